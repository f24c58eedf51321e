# Licensed under a 3-clause BSD style license - see LICENSE
"""
Figures of merit of point estimates and intervals.
"""

import numpy as np
from astropy.stats import mad_std
from numpy.typing import ArrayLike

from astro_photz.utils._settings import check_between

from ._given import one_each

__all__ = ["OUTLIER", "bias", "coverage", "eta", "sigma68", "sigma_mad"]

OUTLIER = 0.05
"""Absolute deviation that an outlier exceeds, in the literature on the SDSS main sample."""


def bias(deviation: ArrayLike) -> float:
    """
    Mean deviation.

    Parameters
    ----------
    deviation : array_like (N,)
        See `astro_photz.metrics.deviation`.

    Returns
    -------
    float

    Raises
    ------
    TypeError, ValueError
        If deviations are no real numbers, or there are none.

    Examples
    --------
    >>> from astro_photz.metrics import bias
    >>> bias([0.01, -0.01, 0.03])
    0.01
    """
    return float(np.mean(one_each(deviation=deviation)))


def sigma_mad(deviation: ArrayLike) -> float:
    """
    Scatter: median absolute deviation from the median, scaled to a normal distribution; robust against outliers.

    Parameters
    ----------
    deviation : array_like (N,)
        See `astro_photz.metrics.deviation`.

    Returns
    -------
    float

    Raises
    ------
    TypeError, ValueError
        If deviations are no real numbers, or there are none.

    Examples
    --------
    >>> from astro_photz.metrics import sigma_mad
    >>> round(sigma_mad([-0.01, 0.0, 0.01, 7.0]), 6)
    0.014826
    """
    return float(mad_std(one_each(deviation=deviation)))


def sigma68(deviation: ArrayLike) -> float:
    """
    Scatter: half of the range from the 16 % to the 84 % quantile.

    It is that of Ilbert et al. (2013) and of many surveys since. Unlike `sigma_mad`, it is not cut to the core of the
    distribution: of a normal one both are the standard deviation.

    Parameters
    ----------
    deviation : array_like (N,)
        See `astro_photz.metrics.deviation`.

    Returns
    -------
    float

    Raises
    ------
    TypeError, ValueError
        If deviations are no real numbers, or there are none.

    Examples
    --------
    >>> from astro_photz.metrics import sigma68
    >>> round(sigma68([-0.02, -0.01, 0.0, 0.01, 0.02]), 4)
    0.0136
    """
    low, high = np.quantile(one_each(deviation=deviation), [0.16, 0.84])
    return float(high - low) / 2


def eta(deviation: ArrayLike, *, beyond: float = OUTLIER) -> float:
    """
    Share of outliers.

    Parameters
    ----------
    deviation : array_like (N,)
        See `astro_photz.metrics.deviation`.
    beyond : float, optional
        Absolute deviation of an outlier, at least; 0.05 in the literature on the SDSS main sample.

    Returns
    -------
    float

    Raises
    ------
    TypeError, ValueError
        If deviations are no real numbers, or there are none; or ``beyond`` is no number.

    Examples
    --------
    >>> from astro_photz.metrics import eta
    >>> eta([0.01, -0.01, 0.08, -0.2])
    0.5
    >>> eta([0.01, -0.01, 0.08, -0.2], beyond=0.15)
    0.25
    """
    check_between("beyond", beyond, 0, np.inf)
    off = np.abs(one_each(deviation=deviation))
    return _share(off > beyond, off)


def coverage(pit: ArrayLike, *, level: float) -> float:
    """
    Share of the true redshifts within the central interval of their PDF.

    Parameters
    ----------
    pit : array_like (N,)
    level : float
        Probability in the interval; the share is as large if the PDFs are calibrated.

    Returns
    -------
    float

    Raises
    ------
    TypeError, ValueError
        If values of ``pit`` are no real numbers, or there are none; or ``level`` is no probability.

    Examples
    --------
    >>> from astro_photz.metrics import coverage
    >>> coverage([0.1, 0.2, 0.4, 0.5, 0.7, 0.8, 0.95, 0.99], level=0.68)
    0.625
    """
    check_between("level", level, 0, 1)
    off = np.abs(one_each(pit=pit) - 0.5)
    return _share(off < level / 2, off)


def _share(holds, values):
    """Share of values for which something holds; NaN, as other metrics, if one of them is."""
    return float(np.mean(np.where(np.isnan(values), np.nan, holds)))
