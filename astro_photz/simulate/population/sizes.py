# Licensed under a 3-clause BSD style license - see LICENSE
"""
Sizes of galaxies: half-light radii by luminosity and type.
"""

import numpy as np

from ._cosmology import arcsec_per_kpc

__all__ = ["draw_radius", "shen_radius"]

_LIMITS = 0.3, 12.0  # arcsec


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


def draw_radius(population, early, rng, *, scatter=1.0):
    """
    Draw half-light radii, log-normal about the median.

    Parameters
    ----------
    population : `~astro_photz.simulate.population.draw.Population` (N,)
    early : `~numpy.ndarray` (N,) of bool
        Type.
    rng : `~numpy.random.Generator`
    scatter : float or `~numpy.ndarray` (N,), optional
        In that of the relation.

    Returns
    -------
    `~numpy.ndarray` (N,)
        In arcsec.
    """
    median, usual = shen_radius(population.absolute_magnitude, early)
    radius = median * np.exp(scatter * usual * rng.standard_normal(len(early))) * arcsec_per_kpc(population.redshift)
    return np.clip(radius, *_LIMITS)
