# Licensed under a 3-clause BSD style license - see LICENSE
"""
Galactic dust, corrected inside the network: one formula for training and for the exported graph.

Encoders call it when they scale the pixels (`astro_photz.train.networks.scaling`), so that estimates from ONNX are
dereddened by the very same operation.
"""

import math

import torch

from astro_photz.sdss import R_UGRIZ

__all__ = ["deredden"]

_EXPONENT = tuple(0.4 * math.log(10) * R_UGRIZ.astype(float))  # e-folds of flux that E(B-V) = 1 takes


def deredden(flux: torch.Tensor, ebv: torch.Tensor) -> torch.Tensor:
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
    >>> from astro_photz.train import deredden
    >>> deredden(torch.ones(1, 5, 1, 1), torch.tensor([0.1])).flatten()
    tensor([1.4776, 1.3556, 1.2342, 1.1693, 1.1234])
    """
    return flux * torch.exp(ebv[:, None] * ebv.new_tensor(_EXPONENT))[:, :, None, None]
