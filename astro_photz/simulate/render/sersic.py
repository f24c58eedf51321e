# Licensed under a 3-clause BSD style license - see LICENSE
"""
Sersic profiles of any index n, and their Fourier transforms.

The transform of exp(-b_n r^(1/n)) has a closed form for few n. It is tabulated once, by a fast Hankel transform, for
indices 3 % apart; a profile is drawn with the nearest of them.
"""

from functools import cache

import numpy as np
import torch
from scipy.fft import fht, fhtoffset
from scipy.special import gamma, gammaincinv

__all__ = ["INDICES", "nearest_index", "sersic_law", "sersic_transform"]

INDICES = np.geomspace(0.5, 6.2, 85)
"""Indices n that are tabulated: from a Gaussian to the most concentrated galaxies."""

_B = gammaincinv(2 * INDICES, 0.5)

_DROPPED_BITS = 13  # of 23 that a float has: leaves 1024 places to an octave
_TABLE_LIMITS = np.array([2.0**-24, 2.0**18], dtype=np.float32)  # of (k R_50)^2
_FIRST_PLACE, _LAST_PLACE = (int(bits) for bits in _TABLE_LIMITS.view(np.int32) >> _DROPPED_BITS)
_PLACES = _LAST_PLACE - _FIRST_PLACE
_RADII = np.geomspace(1e-8, 1e8, 4096)  # in half-light radii: no light is outside, whatever the index


def sersic_law(index):
    """
    Find the tabulated index nearest to each, and its b_n.

    Parameters
    ----------
    index : `~numpy.ndarray` (M,)

    Returns
    -------
    index, b : `~numpy.ndarray` (M,)
        Of the profile exp(-b (r / R_50)^(1 / index)), in which R_50 is the half-light radius.

    Raises
    ------
    ValueError
        If an index is out of the table's range, or no number.

    References
    ----------
    Graham & Driver 2005, PASA 22, 118, equation 4.

    Examples
    --------
    >>> import numpy as np
    >>> from astro_photz.simulate.render.sersic import sersic_law
    >>> index, b = sersic_law(np.array([0.5, 4.0]))
    >>> index.round(2), b.round(2)
    (array([0.5 , 3.95]), array([0.69, 7.58]))
    """
    place = _place(index)
    return INDICES[place], _B[place]


def nearest_index(index):
    """
    Find the tabulated index nearest to each.

    Parameters
    ----------
    index : `~numpy.ndarray` (M,)
        Limited to the table's range.

    Returns
    -------
    `~numpy.ndarray` (M,)

    Examples
    --------
    >>> import numpy as np
    >>> from astro_photz.simulate.render.sersic import nearest_index
    >>> nearest_index(np.array([0.2, 1.0])).round(2)
    array([0.5, 1. ])
    """
    return INDICES[_place(np.clip(index, INDICES[0], INDICES[-1]))]


def sersic_transform(k2, index):
    """
    Look up the transforms of Sersic profiles of unit flux.

    Parameters
    ----------
    k2 : `torch.Tensor` (M, ...) float32
        (k R_50)^2; used up.
    index : `~numpy.ndarray` (M,)

    Returns
    -------
    `torch.Tensor` (M, ...)
        At the nearest tabulated indices and wave numbers.
    """
    # The leading bits of a positive float grow with it, and nearly in proportion to its logarithm.
    place = k2.view(torch.int32).bitwise_right_shift(_DROPPED_BITS).sub_(_FIRST_PLACE).clamp_(0, _PLACES - 1)
    first = torch.as_tensor(_place(index) * _PLACES, dtype=torch.int32, device=k2.device)
    place += first.view(-1, *[1] * (k2.dim() - 1))
    return _table(k2.device).index_select(0, place.flatten()).view(k2.shape)


def _place(index):
    if not ((index >= INDICES[0]) & (index <= INDICES[-1])).all():
        raise ValueError(f"Sersic indices must lie between {INDICES[0]:g} and {INDICES[-1]:g}, got {index}")
    step = np.log(INDICES[-1] / INDICES[0]) / (len(INDICES) - 1)
    return np.rint(np.log(index / INDICES[0]) / step).astype(int)


@cache
def _table(device):
    """Transforms of all indices, one after the other, each in the middle of every interval of (k R_50)^2."""
    place = np.arange(_FIRST_PLACE, _LAST_PLACE, dtype=np.int32)
    k2 = ((place << _DROPPED_BITS) + (1 << (_DROPPED_BITS - 1))).astype(np.int32).view(np.float32)
    log_k = 0.5 * np.log(k2.astype(float))
    table = np.concatenate([_transform(log_k, *law).astype(np.float32) for law in zip(INDICES, _B, strict=True)])
    return torch.as_tensor(table, device=device)


def _transform(log_k, index, b):
    """Transform of a profile of unit flux at increasing ln(k R_50): its Hankel transform of order 0."""
    from scipy.interpolate import make_interp_spline

    step = np.log(_RADII[1] / _RADII[0])
    offset = fhtoffset(step, mu=0)
    brightness = np.exp(-b * _RADII ** (1 / index)) * b ** (2 * index) / (2 * np.pi * index * gamma(2 * index))
    k = np.exp(offset) / _RADII[::-1]
    transform = 2 * np.pi * fht(_RADII * brightness, step, mu=0, offset=offset) / k
    first, last = np.searchsorted(np.log(k), log_k[[0, -1]])
    near = slice(first - 4, last + 4)
    return make_interp_spline(np.log(k[near]), transform[near])(log_k)
