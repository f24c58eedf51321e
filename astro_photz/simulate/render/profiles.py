# Licensed under a 3-clause BSD style license - see LICENSE
"""
Profiles of galaxies and stars: their laws, how their light is spread, and their Fourier transforms.

The exponential and the Gaussian have transforms in a closed form. De Vaucouleurs' is tabulated once, from a sum of
Gaussians that follows the profile to 1e-6 (the law exp(-b r^(1/4)) is a mixture of Gaussians with positive weights;
compare Hogg & Lang 2013, PASP 125, 719). Sersic profiles of other indices are in
`astro_photz.simulate.render.sersic`.
"""

from functools import cache

import numpy as np
import torch
from scipy.special import gammainc, gammaincc

__all__ = [
    "DEVAUCOULEURS",
    "EXPONENTIAL",
    "HALF_LIGHT_SIGMA",
    "PROFILES",
    "SERSIC",
    "TRANSFORMS",
    "exp_of_minus",
    "light_beyond",
    "light_within",
]

PROFILES = ("point", "exponential", "devaucouleurs", "gaussian", "sersic")
"""Names of the profiles; a component's ``profile`` is its place here. The last has an index n for each component."""

EXPONENTIAL = 1.67834699
DEVAUCOULEURS = 7.66924944
"""b_n of the Sersic profiles exp(-b_n (r / R_50)^(1/n)), n = 1 and 4, that makes R_50 the half-light radius."""

SERSIC = {"gaussian": (0.5, np.log(2)), "exponential": (1, EXPONENTIAL), "devaucouleurs": (4, DEVAUCOULEURS)}
"""n and b_n of the extended profiles whose index is fixed."""

HALF_LIGHT_SIGMA = np.sqrt(2 * np.log(2))
"""Half-light radius of a round Gaussian of unit width."""


def light_within(distance, profile):
    """
    Share of the light of round profiles within a distance.

    Parameters
    ----------
    distance : `~numpy.ndarray` (...)
        In half-light radii.
    profile : `~numpy.ndarray` (...) of int
        Index into `PROFILES`, of one of `SERSIC`.

    Returns
    -------
    `~numpy.ndarray` (...)

    References
    ----------
    Graham & Driver 2005, PASA 22, 118, equation 2.

    Examples
    --------
    >>> import numpy as np
    >>> from astro_photz.simulate.render.profiles import PROFILES, light_within
    >>> light_within(np.array([1.0, 2.32]), np.full(2, PROFILES.index("exponential"))).round(2)
    array([0.5, 0.9])
    """
    light = np.empty_like(distance)
    for name, (index, b) in SERSIC.items():
        alike = profile == PROFILES.index(name)
        light[alike] = gammainc(2 * index, b * distance[alike] ** (1 / index))
    return light


def light_beyond(distance, index, b):
    """
    Share of the light of a round Sersic profile beyond a distance.

    Parameters
    ----------
    distance : `~numpy.ndarray` (...)
        In half-light radii.
    index, b : float or `~numpy.ndarray` (...)
        n and b_n.

    Returns
    -------
    `~numpy.ndarray` (...)
    """
    return gammaincc(2 * index, b * distance ** (1 / index))


def exp_of_minus(values):
    """
    Compute exp(-values) in place, never so small that processors compute it ten times more slowly.

    Parameters
    ----------
    values : `torch.Tensor` (...)
        Not negative; changed.

    Returns
    -------
    `torch.Tensor` (...)
    """
    return values.clamp_(max=80).neg_().exp_()


def _exponential(k2):
    """Freeman (1970, ApJ 160, 811): the transform of exp(-r) is (1 + k^2)^(-3/2)."""
    root = k2.mul_(EXPONENTIAL**-2).add_(1).rsqrt_()
    return root * root * root


def _devaucouleurs(k2):
    """
    Look up the nearest entry of the table.

    The leading bits of a positive float grow with it, and nearly in proportion to its logarithm.
    """
    table = _devaucouleurs_table(k2.device)
    place = k2.view(torch.int32).bitwise_right_shift(_DROPPED_BITS).sub_(_FIRST_PLACE).clamp_(0, len(table) - 1)
    return table.index_select(0, place.flatten()).view(k2.shape)


def _gaussian(k2):
    return exp_of_minus(k2.mul_(0.5 / HALF_LIGHT_SIGMA**2))


TRANSFORMS = {"exponential": _exponential, "devaucouleurs": _devaucouleurs, "gaussian": _gaussian}
"""Functions that turn (k R_50)^2, a tensor of float32, into the transform of a profile of unit flux, in place."""

_DROPPED_BITS = 12  # of 23 that a float has: leaves 2048 places to an octave
_TABLE_LIMITS = np.array([2.0**-24, 2.0**18], dtype=np.float32)  # of (k R_50)^2
_FIRST_PLACE, _LAST_PLACE = (int(bits) for bits in _TABLE_LIMITS.view(np.int32) >> _DROPPED_BITS)


@cache
def _devaucouleurs_table(device):
    """Transform of de Vaucouleurs' profile in the middle of each interval of (k R_50)^2."""
    place = np.arange(_FIRST_PLACE, _LAST_PLACE, dtype=np.int32)
    k2 = ((place << _DROPPED_BITS) + (1 << (_DROPPED_BITS - 1))).astype(np.int32).view(np.float32)
    width, flux = _devaucouleurs_gaussians()
    transform = sum(share * np.exp(-0.5 * k2 * sigma**2) for sigma, share in zip(width, flux, strict=True))
    return torch.as_tensor(transform, dtype=torch.float32, device=device)


def _devaucouleurs_gaussians():
    """Widths (in R_50) and shares of the light of round Gaussians that make up de Vaucouleurs' profile."""
    from scipy.optimize import nnls

    radius = np.logspace(-5, 2.5, 400)
    profile = np.exp(-DEVAUCOULEURS * radius**0.25)
    width = np.logspace(-5, 2, 40)
    gaussians = np.exp(-0.5 * (radius[:, None] / width) ** 2)
    weight = 1 / (profile + 1e-4)  # relative in the middle, absolute in the wings
    amplitude, _ = nnls(gaussians * weight[:, None], profile * weight, maxiter=4000)
    flux = amplitude * width**2
    return width, flux / flux.sum()
