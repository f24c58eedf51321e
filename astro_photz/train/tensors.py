# Licensed under a 3-clause BSD style license - see LICENSE
"""
From observed fluxes to the numbers that networks and augmentations work on.

`deredden` takes the dust of our Galaxy off, `PixelScaling` makes the first layer of every encoder of it, and
`AperturePhotometry` adds pixels up to the light within apertures about the centre, and `StandardPhotometry` makes
brightness and colours of it, each in units of its own scatter. They stand beside a network's convolutions.
What pretraining has a network predict, since it needs no label, is `aperture_photometry`, the same of stamps, or
`catalog_photometry`, that of a catalogue.
"""

import functools
import math

from astro_photz.sdss import R_UGRIZ

from ._torch import torch

nn = torch.nn

__all__ = [
    "AperturePhotometry",
    "PixelScaling",
    "StandardPhotometry",
    "aperture_photometry",
    "asinh",
    "catalog_photometry",
    "central",
    "colours",
    "deredden",
]

SOFTENING = (0.06, 0.024, 0.042, 0.068, 0.25)
"""Flux (nanomaggies a pixel) in *ugriz* where the scale turns from linear to logarithmic: 1.5 times the usual noise."""

APERTURES = (3.0, 6.0, 12.0)
"""Widths (pixels, one standard deviation) of the Gaussian apertures about the centre."""

SCALINGS = ("asinh", "linear", "none")
"""How `PixelScaling` can scale."""

_EXPONENT = tuple(0.4 * math.log(10) * R_UGRIZ.astype(float))  # e-folds of flux that E(B-V) = 1 takes
_LARGEST = 1e8  # of scaled pixels: what is beyond is no light, and must not overflow
_SKY_RADIUS = 22  # pixels; beyond lies little of the galaxy's light
_SKY_CLIP = 2.0  # softenings, three times the usual noise: what is brighter belongs to a neighbour


def deredden(flux, ebv):
    """
    Undo the dimming by the dust of the Galaxy.

    `astro_photz.dust.deredden` for torch: flux * 10^(0.4 R E(B-V)), R of `~astro_photz.sdss.R_UGRIZ`.

    Parameters
    ----------
    flux : `torch.Tensor` (B, 5, S, S)
        In *ugriz*, in any linear unit.
    ebv : `torch.Tensor` (B,)
        E(B-V) (mag); negative to redden.

    Returns
    -------
    `torch.Tensor` (B, 5, S, S)

    Examples
    --------
    >>> import torch
    >>> from astro_photz.train.tensors import deredden
    >>> deredden(torch.ones(1, 5, 1, 1), torch.tensor([0.1])).flatten()
    tensor([1.4776, 1.3556, 1.2342, 1.1693, 1.1234])
    """
    return flux * torch.exp(ebv[:, None] * ebv.new_tensor(_EXPONENT))[:, :, None, None]


def central(flux, size):
    """
    The middle of stamps.

    Parameters
    ----------
    flux : `torch.Tensor` (..., S, S)
    size : int
        Side of the middle (pixels).

    Returns
    -------
    `torch.Tensor` (..., size, size)
        A view. Where it cannot lie evenly, it lies half a pixel towards the first row and column.

    Raises
    ------
    ValueError
        If the stamps are smaller.
    """
    margin = (flux.shape[-1] - size) // 2
    if margin < 0:
        raise ValueError(f"stamps must have at least {size} pixels a side, got {flux.shape[-1]}")
    return flux[..., margin : margin + size, margin : margin + size]


def asinh(x):
    """
    Inverse hyperbolic sine.

    Written out, it takes a quarter of the time of `torch.asinh` on a processor.

    Parameters
    ----------
    x : `torch.Tensor` (...)

    Returns
    -------
    `torch.Tensor` (...)
    """
    square = x.square()
    return torch.sign(x) * torch.log1p(torch.addcdiv(x.abs(), square, 1 + torch.sqrt(1 + square)))


class PixelScaling(nn.Module):
    """
    Observed fluxes made into a network's input: dereddened, on a scale of choice, 0 where there is no image.

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
        if scaling not in SCALINGS:
            raise ValueError(f"scaling must be one of {', '.join(SCALINGS)}, got {scaling!r}")
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
        """What ``print`` tells of it."""
        return f"scaling={self.scaling!r}"


class AperturePhotometry(nn.Module):
    """
    Light about the centre in Gaussian apertures, on the asinh scale.

    What the subtraction of the sky left over is measured around the galaxy, in each band, and taken off: over a large
    aperture it would outweigh the noise.

    Parameters
    ----------
    image_size : int
        Side of the images (pixels).
    """

    def __init__(self, image_size):
        super().__init__()
        axis = torch.arange(image_size) - (image_size - 1) / 2
        square = axis[:, None] ** 2 + axis[None, :] ** 2
        weights = torch.stack([torch.exp(-0.5 * square / width**2) for width in APERTURES])
        # noise of an aperture grows as the root of the weights' squares: in its unit, all are alike
        weights = weights / weights.square().sum(dim=(1, 2), keepdim=True).sqrt()
        around = (square > _SKY_RADIUS**2).float()
        self.register_buffer("weights", weights.flatten(1), persistent=False)
        self.register_buffer("around", (around / around.sum()).flatten(), persistent=False)

    def forward(self, scaled):
        """
        Measure.

        Parameters
        ----------
        scaled : `torch.Tensor` (B, 5, S, S)
            On the scale ``'linear'`` of `PixelScaling`.

        Returns
        -------
        `torch.Tensor` (B, 5 * number of apertures)
            All apertures of *u* first, then of *g*, and so on.
        """
        pixels = scaled.flatten(2)
        sky = pixels.clamp(-_SKY_CLIP, _SKY_CLIP) @ self.around
        return asinh(pixels @ self.weights.T - sky[..., None] * self.weights.sum(dim=1)).flatten(1)


def colours(measured):
    """
    Photometry as brightness and colours.

    Parameters
    ----------
    measured : `torch.Tensor` (B, 5 * number of apertures)
        By `AperturePhotometry`.

    Returns
    -------
    `torch.Tensor` (B, 5 * number of apertures)
        In each aperture in turn *r*, *u-g*, *g-r*, *r-i* and *i-z*: asinh magnitudes (Lupton, Gunn & Szalay 1999), but
        for a factor of 0.92 and a zero point.
    """
    bands = measured.unflatten(1, (5, -1)).transpose(1, 2)
    return torch.cat([-bands[..., 2:3], bands.diff(dim=2)], dim=2).flatten(1)


_STAMP = 64  # pixels: of larger stamps the middle is measured, so that all are measured alike
_COVERED = 0.95  # of an aperture's weight: less of it with pixels is no measurement


class StandardPhotometry(nn.Module):
    """
    Brightness and colours in three apertures, in units of their scatter over galaxies.

    Magnitudes are asinh magnitudes, finite whatever the noise (Lupton, Gunn & Szalay 1999), in Gaussian apertures of 3,
    6 and 12 pixels (one standard deviation). They are standardised by the median and the scatter over simulated
    galaxies of the SDSS main sample, so that a colour, whose range is narrow, weighs as much as a brightness.

    Parameters
    ----------
    image_size : int
        Side of the images (pixels).
    """

    def __init__(self, image_size):
        super().__init__()
        self.photometry = AperturePhotometry(image_size)
        weights = self.photometry.weights
        self.register_buffer("share", weights / weights.sum(dim=1, keepdim=True), persistent=False)
        self.register_buffer("centre", torch.tensor(_MEAN).flatten(), persistent=False)
        self.register_buffer("scatter", torch.tensor(_SCATTER).flatten(), persistent=False)

    def forward(self, scaled, covered):
        """
        Measure.

        Parameters
        ----------
        scaled : `torch.Tensor` (B, 5, S, S)
            On the scale ``'linear'`` of `PixelScaling`, dereddened, 0 where there is no image.
        covered : `torch.Tensor` (B, 5, S, S) of bool
            Where there is one.

        Returns
        -------
        measured : `torch.Tensor` (B, 15)
            In each aperture in turn *r*, *u-g*, *g-r*, *r-i* and *i-z*, of order one.
        known : `torch.Tensor` (B, 15) of bool
            Whether the bands have pixels there.
        """
        measured = (colours(self.photometry(scaled)) - self.centre) / self.scatter
        seen = (covered.flatten(2).to(scaled.dtype) @ self.share.T > _COVERED).transpose(1, 2)
        known = torch.cat([seen[..., 2:3], seen[..., 1:] & seen[..., :-1]], dim=2).flatten(1)
        return measured, known


def aperture_photometry(flux):
    """
    Brightness and colours of galaxies, as a task for pretraining that needs no label: see `StandardPhotometry`.

    Parameters
    ----------
    flux : `torch.Tensor` (B, 5, S, S)
        Dereddened (`deredden`) stamps, not otherwise changed.

    Returns
    -------
    `torch.Tensor` (B, 15)
        NaN where a band lacks pixels.
    """
    flux = central(flux, min(flux.shape[-1], _STAMP))
    missing = torch.isnan(flux)
    scaled = torch.where(missing, 0.0, flux) / flux.new_tensor(SOFTENING)[:, None, None]
    measured, known = _photometer(flux.shape[-1], flux.device)(scaled, ~missing)
    return torch.where(known, measured, torch.nan)


def catalog_photometry(flux, radius, ebv):
    """
    Brightness, colours and size of galaxies as a whole, as a catalogue has them, in units of their scatter.

    Parameters
    ----------
    flux : `torch.Tensor` (B, 5)
        Total flux in *ugriz* (nanomaggies), as observed.
    radius : `torch.Tensor` (B,)
        That holds half of the light (arcsec).
    ebv : `torch.Tensor` (B,)
        E(B-V) (mag).

    Returns
    -------
    `torch.Tensor` (B, 6)
        *r*, *u-g*, *g-r*, *r-i* and *i-z* (magnitudes, free of extinction) and the logarithm of the radius, less the
        median and over the scatter of simulated galaxies; NaN where a flux or the radius is not known, or not positive.

    Examples
    --------
    >>> import torch
    >>> from astro_photz.train.tensors import catalog_photometry
    >>> catalog_photometry(torch.tensor([[10.0, 40.0, 90.0, 130.0, 160.0]]), torch.tensor([2.0]), torch.zeros(1))
    tensor([[ 0.6578,  0.0156,  0.3498,  0.1542, -0.2729,  0.0526]])
    """
    clear = deredden(flux[:, :, None, None], ebv)[:, :, 0, 0]
    magnitude = 22.5 - 2.5 * torch.where(clear > 0, clear, torch.nan).log10()
    size = torch.where(radius > 0, radius, torch.nan).log()
    measured = torch.cat([magnitude[:, 2:3], -magnitude.diff(dim=1), size[:, None]], dim=1)
    return (measured - magnitude.new_tensor(_CATALOG_MEAN)) / magnitude.new_tensor(_CATALOG_SCATTER)


@functools.cache
def _photometer(size, device):
    return StandardPhotometry(size).to(device)


# Median, and half of the range that holds 68 %, of r, u-g, g-r, r-i, i-z in the apertures of APERTURES, over simulated
# galaxies to r = 19 (benchmarks/training/units.py). They need not be exact: they say what counts as much as what.
_MEAN = (
    (-5.50, 2.34, 0.29, -0.09, -1.08),
    (-5.37, 2.32, 0.26, -0.10, -1.07),
    (-5.00, 2.27, 0.24, -0.11, -1.07),
)
_SCATTER = (
    (0.61, 0.36, 0.27, 0.10, 0.11),
    (0.63, 0.35, 0.27, 0.08, 0.10),
    (0.67, 0.39, 0.27, 0.08, 0.10),
)
# The same of the light in all (magnitudes), and of the radius's logarithm, over the main sample (--faintest 17.8).
_CATALOG_MEAN = (17.2, 1.5, 0.8, 0.39, 0.25, 0.67)
_CATALOG_SCATTER = (0.63, 0.33, 0.23, 0.06, 0.09, 0.44)
