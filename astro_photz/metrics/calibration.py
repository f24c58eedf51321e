# Licensed under a 3-clause BSD style license - see LICENSE
"""
Calibration of PDFs: the distribution of their PIT, its distances from the uniform one, and what chance makes of these.
"""

from functools import partial

import numpy as np
from numpy.typing import ArrayLike

from astro_photz.utils._checks import check_count
from astro_photz.utils._settings import check_between

from ._drawn import Drawn, draws
from ._given import one_each
from .figures import coverage

__all__ = [
    "LEVELS",
    "PIT_END",
    "coverage_by_level",
    "pit_ad",
    "pit_ad_by_chance",
    "pit_histogram",
    "pit_ks",
    "pit_ks_by_chance",
]

LEVELS = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.68, 0.8, 0.9, 0.95, 0.99)
"""Nominal levels of central intervals at which the coverage is reported."""

PIT_END = 1e-6
"""A PIT that lies nearer to 0 or 1 counts as this far from it in the Anderson-Darling distance: see `pit_ad`."""

_AD_LEVELS = 1e-3, 0.999999  # to which the distribution of A² is tabulated
_PIT_BINS, _MOST_BINS = 20, 10**6


def pit_histogram(pit: ArrayLike, *, bins: int = _PIT_BINS) -> list[int]:
    """
    Histogram of the PIT in equal bins from 0 to 1: flat, if the PDFs are calibrated.

    Parameters
    ----------
    pit : array_like (N,)
    bins : int, optional

    Returns
    -------
    list of int

    Raises
    ------
    TypeError, ValueError
        If ``pit`` holds no real numbers or is empty, or ``bins`` is no number of bins.

    Examples
    --------
    >>> from astro_photz.metrics import pit_histogram
    >>> pit_histogram([0.1, 0.4, 0.45, 1.0], bins=4)
    [1, 2, 0, 1]
    """
    bins = check_count("bins", bins, most=_MOST_BINS)
    return np.histogram(one_each(pit=pit), bins=bins, range=(0, 1))[0].tolist()


def coverage_by_level(pit: ArrayLike) -> dict[str, float]:
    """
    Share of the true redshifts within the central intervals of their PDFs, at each of the `LEVELS`.

    Parameters
    ----------
    pit : array_like (N,)

    Returns
    -------
    dict of float
        By the nominal level, as text.

    Raises
    ------
    TypeError, ValueError
        If ``pit`` holds no real numbers, or is empty.

    Examples
    --------
    >>> from astro_photz.metrics import coverage_by_level
    >>> coverage_by_level([0.5, 0.45, 0.3, 0.01])["0.5"]
    0.75
    """
    return {str(level): round(coverage(pit, level=level), 6) for level in LEVELS}


def pit_ks(pit: ArrayLike) -> float:
    """
    Kolmogorov-Smirnov distance of the PIT from the uniform distribution.

    Parameters
    ----------
    pit : array_like (N,)

    Returns
    -------
    float
        0 is perfect; of N calibrated PDFs, 95 % of samples lie below 1.36 / sqrt(N).

    Raises
    ------
    TypeError, ValueError
        If ``pit`` holds no real numbers, or is empty.

    Examples
    --------
    >>> from astro_photz.metrics import pit_ks
    >>> pit_ks([0.25, 0.75])
    0.25
    """
    from scipy.stats import kstest  # takes half a second to import

    return float(kstest(one_each(pit=pit), "uniform", method="asymp").statistic)


def pit_ad(pit: ArrayLike) -> float:
    """
    Anderson-Darling distance A² of the PIT from the uniform distribution, which looks at the ends more than `pit_ks`.

    Parameters
    ----------
    pit : array_like (N,)

    Returns
    -------
    float
        Of N calibrated PDFs, 95 % of samples lie below 2.49, whatever N is.

    Raises
    ------
    TypeError, ValueError
        If ``pit`` holds no real numbers, or is empty.

    Notes
    -----
    The formula is that of Anderson & Darling (1954), page 765. A PIT of exactly 0 or 1, of a redshift that the PDF
    excludes, makes it infinite; so a PIT counts as at least 1e-6 from either. The k-sample distance of some packages
    compares with another sample, and has other critical values.

    Examples
    --------
    >>> import numpy as np
    >>> from astro_photz.metrics import pit_ad
    >>> pit = (np.arange(100) + 0.5) / 100
    >>> round(pit_ad(pit), 3), round(pit_ad(pit**2), 1)
    (0.011, 22.8)
    """
    pit = np.sort(np.clip(one_each(pit=pit), PIT_END, 1 - PIT_END))
    n = len(pit)
    odd = 2 * np.arange(1, n + 1) - 1
    return float(-n - np.mean(odd * (np.log(pit) + np.log1p(-pit[::-1]))))


def pit_ks_by_chance(
    pit: ArrayLike, *, groups: ArrayLike | None = None, level: float = 0.95, resamples: int = 500, seed: int = 0
) -> float:
    """
    KS distance from uniform that the PIT of calibrated PDFs has by chance alone.

    For independent galaxies it follows from Kolmogorov's distribution. For others it is the distance from this sample
    of samples that are drawn from it, which is larger than their number suggests.

    Parameters
    ----------
    pit : array_like (N,)
    groups, resamples, seed
        See `resampled`.
    level : float, optional
        Share of such samples with a smaller distance.

    Returns
    -------
    float
        Of `pit_ks`.

    Raises
    ------
    TypeError, ValueError
        If ``pit`` holds no real numbers or is empty, ``level`` is no probability, or ``groups`` has another length.

    Examples
    --------
    >>> import numpy as np
    >>> from astro_photz.metrics import pit_ks_by_chance
    >>> pit, galaxy = np.repeat(np.linspace(0, 1, 100), 10), np.repeat(np.arange(100), 10)  # ten views of each
    >>> [round(pit_ks_by_chance(pit, groups=groups), 2) for groups in (None, galaxy)]
    [0.04, 0.13]
    """
    from scipy.stats import kstwobign

    pit = one_each(pit=pit)
    check_between("level", level, 0, 1)
    if groups is None:
        return float(kstwobign.ppf(level) / np.sqrt(len(pit)))
    return _quantile_of(Drawn.ks_from_sample, pit, groups, level, resamples, seed)


def pit_ad_by_chance(
    pit: ArrayLike, *, groups: ArrayLike | None = None, level: float = 0.95, resamples: int = 500, seed: int = 0
) -> float:
    """
    Anderson-Darling distance from uniform that the PIT of calibrated PDFs has by chance alone.

    For independent galaxies it follows from the distribution of A² of large samples, as Marsaglia & Marsaglia (2004)
    give it, good to 1 % from eight galaxies. For others it is the distance from this sample of samples that are drawn
    from it.

    Parameters
    ----------
    pit : array_like (N,)
    groups, resamples, seed
        See `resampled`.
    level : float, optional
        Share of such samples with a smaller distance.

    Returns
    -------
    float
        Of `pit_ad`.

    Raises
    ------
    TypeError, ValueError
        If ``pit`` holds no real numbers or is empty, ``level`` is no probability, or ``groups`` has another length.

    Examples
    --------
    >>> import numpy as np
    >>> from astro_photz.metrics import pit_ad_by_chance
    >>> pit, galaxy = np.repeat(np.linspace(0, 1, 100), 10), np.repeat(np.arange(100), 10)  # ten views of each
    >>> [round(pit_ad_by_chance(pit, groups=groups)) for groups in (None, galaxy)]
    [2, 24]
    """
    pit = one_each(pit=pit)
    check_between("level", level, *_AD_LEVELS)
    if groups is None:
        return _ad_of_large_samples(level)
    return _quantile_of(Drawn.ad_from_sample, pit, groups, level, resamples, seed)


def _quantile_of(distance, pit, groups, level, resamples, seed):
    order = np.argsort(pit)
    parts = draws(len(pit), groups=groups, resamples=resamples, seed=seed)
    return float(np.quantile(np.concatenate([distance(Drawn(pit, order, weights)) for weights in parts]), level))


def _ad_of_large_samples(level):
    """Quantile of A²: the inverse of the polynomials in section 2 of Marsaglia & Marsaglia (2004)."""
    from scipy.optimize import brentq

    return float(brentq(partial(_ad_excess, level=level), 1e-2, 50))


def _ad_excess(a2, *, level):
    if a2 < 2:
        polynomial = np.polyval([0.00168691, -0.0116720, 0.0347962, -0.0649821, 0.247105, 2.00012], a2)
        return np.exp(-1.2337141 / a2) / np.sqrt(a2) * polynomial - level
    polynomial = np.polyval([-0.0003146, 0.008056, -0.082433, 0.43424, -2.30695, 1.0776], a2)
    return np.exp(-np.exp(polynomial)) - level
