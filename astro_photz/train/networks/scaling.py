# Licensed under a 3-clause BSD style license - see LICENSE
"""
The first layer of every encoder: observed fluxes become a network's input.
"""

import torch
from torch import nn

from astro_photz.train.tensors import asinh
from astro_photz.utils._settings import check_one_of

from .dereddening import deredden

__all__ = ["SCALINGS", "SOFTENING", "PixelScaling"]

SOFTENING = (0.06, 0.024, 0.042, 0.068, 0.25)
"""Flux (nanomaggies a pixel) in *ugriz* where the scale turns from linear to logarithmic: 1.5 times the usual noise."""


SCALINGS = ("asinh", "linear", "none")
"""Names of the scales."""


_LARGEST = 1e8  # of scaled pixels: a larger value is no light, and must not overflow


class PixelScaling(nn.Module):
    """
    Turn observed fluxes into a network's input: dereddened, on a scale of choice, 0 where there is no image.

    A galaxy gives the same numbers behind any dust.

    Parameters
    ----------
    scaling : {'asinh', 'linear', 'none'}, optional
        ``'linear'`` gives flux in units of `SOFTENING`, numbers of order one in an empty pixel; ``'asinh'`` takes
        their inverse hyperbolic sine (Lupton, Gunn & Szalay 1999), so that a galaxy's centre is of order one too;
        ``'none'`` leaves nanomaggies.

    Raises
    ------
    ValueError
        If there is no such scaling.
    """

    def __init__(self, scaling="asinh"):
        super().__init__()
        check_one_of("scaling", scaling, SCALINGS)
        self.scaling = scaling
        self.register_buffer("softening", torch.tensor(SOFTENING)[:, None, None], persistent=False)

    def forward(self, flux, ebv):
        """
        Scale.

        Parameters
        ----------
        flux : `torch.Tensor` (B, 5, S, S)
            Nanomaggies; NaN where there is no image.
        ebv : `torch.Tensor` (B,)
            E(B-V) (mag).

        Returns
        -------
        `torch.Tensor` (B, 5, S, S)
            Free of NaN.
        """
        unit = torch.ones_like(self.softening) if self.scaling == "none" else self.softening
        scaled = flux * deredden(1 / unit[None], ebv)  # five numbers a galaxy first, then each pixel once
        scaled = scaled.clamp(-_LARGEST, _LARGEST).nan_to_num(nan=0.0)
        return asinh(scaled) if self.scaling == "asinh" else scaled

    def extra_repr(self):
        """Describe the layer, for ``print``."""
        return f"scaling={self.scaling!r}"
