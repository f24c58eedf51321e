# Licensed under a 3-clause BSD style license - see LICENSE
"""
Sizes of galaxies: half-light radii by luminosity and type.
"""

import numpy as np

from ._cosmology import arcsec_per_kpc

__all__ = ["FADING", "draw_radius", "nearby_radius", "shen_radius"]

_LIMITS = 0.3, 12.0  # arcsec
FADING = 1.0
"""Of galaxies, per unit of redshift (mag): Loveday et al. (2015, MNRAS 451, 1540). The second family has another."""
_NEARBY_REDSHIFT = 0.04  # median of the galaxies that `nearby_radius` is for
# Of `nearby_radius`: alpha, beta, gamma, M_0, sigma_1 and sigma_2.
_NEARBY = {"early": (0.32, 0.68, -2.435, -20.3, 0.26, 0.31), "late": (0.24, 0.60, -1.553, -20.2, 0.39, 0.15)}


def shen_radius(absolute_magnitude, early):
    """
    Median half-light radius at given luminosity, and its scatter.

    Parameters
    ----------
    absolute_magnitude : array_like (N,)
        In the *r* band shifted to z = 0.1, h = 0.7.
    early : array_like (N,) of bool
        Type.

    Returns
    -------
    radius : `~numpy.ndarray` (N,)
        In kpc.
    scatter : `~numpy.ndarray` (N,)
        Standard deviation of ln R.

    References
    ----------
    Shen et al. 2003, MNRAS 343, 978, equations 14 (early types), 15 (late types) and 16.

    Examples
    --------
    >>> from astro_photz.simulate.population.sizes import shen_radius
    >>> radius, _ = shen_radius([-21.5, -21.5], [True, False])
    >>> radius.round(1)
    array([3.4, 4.7])
    """
    magnitude = np.asarray(absolute_magnitude, dtype=float)
    characteristic = -20.52
    log_early = -0.4 * 0.60 * magnitude - 4.63
    knee = np.log10(1 + 10 ** (-0.4 * (magnitude - characteristic)))
    log_late = -0.4 * 0.21 * magnitude + (0.53 - 0.21) * knee - 1.31
    scatter = 0.25 + (0.48 - 0.25) / (1 + 10 ** (-0.8 * (magnitude - characteristic)))
    return 10 ** np.where(early, log_early, log_late), scatter


def nearby_radius(absolute_magnitude, early):
    """
    Median half-light radius of types by colour, of a mean bulge, and its scatter.

    The form is that of Shen et al. for late types: log R = -0.4 alpha M + (beta - alpha) log(1 + 10^(-0.4 (M - M_0))) +
    gamma, with a scatter of ln R from sigma_1 at faint to sigma_2 at bright magnitudes. The parameters are such that
    nearby galaxies, drawn and measured as SDSS measures them, have the Petrosian radii of real ones
    (benchmarks/simulation/shapes.py): those of Shen et al. hold for types by Sersic index, where the few early types
    that are faint are as small as their blur.

    Parameters
    ----------
    absolute_magnitude : array_like (N,)
        In the *r* band shifted to z = 0.1, h = 0.7.
    early : array_like (N,) of bool
        Type.

    Returns
    -------
    radius : `~numpy.ndarray` (N,)
        In kpc.
    scatter : `~numpy.ndarray` (N,)
        Standard deviation of ln R.

    References
    ----------
    Shen et al. 2003, MNRAS 343, 978, equations 15 and 16.

    Examples
    --------
    >>> from astro_photz.simulate.population.sizes import nearby_radius
    >>> radius, _ = nearby_radius([-20.5, -20.5], [True, False])
    >>> radius.round(1)
    array([2.1, 3.5])
    """
    magnitude = np.asarray(absolute_magnitude, dtype=float)
    pairs = zip(_NEARBY["early"], _NEARBY["late"], strict=True)
    alpha, beta, gamma, characteristic, faint, bright = (np.where(early, *pair) for pair in pairs)
    brighter = -0.4 * (magnitude - characteristic)
    logarithm = -0.4 * alpha * magnitude + (beta - alpha) * np.log10(1 + 10**brighter) + gamma
    return 10**logarithm, bright + (faint - bright) / (1 + 10 ** (2 * brighter))


def draw_radius(population, early, rng):
    """
    Draw half-light radii, log-normal about `nearby_radius`; a distant galaxy is as large as it is when it has faded.

    Parameters
    ----------
    population : `~astro_photz.simulate.population.draw.Population` (N,)
    early : `~numpy.ndarray` (N,) of bool
        Type.
    rng : `~numpy.random.Generator`

    Returns
    -------
    `~numpy.ndarray` (N,)
        In arcsec.
    """
    faded = population.absolute_magnitude + FADING * (population.redshift - _NEARBY_REDSHIFT)
    median, scatter = nearby_radius(faded, early)
    radius = median * np.exp(scatter * rng.standard_normal(len(early))) * arcsec_per_kpc(population.redshift)
    return np.clip(radius, *_LIMITS)
