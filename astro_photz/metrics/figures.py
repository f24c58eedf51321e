# Licensed under a 3-clause BSD style license - see LICENSE
"""
Scores of single galaxies, and the figures of merit that sum them up.
"""

from typing import NamedTuple

import numpy as np
from astropy.stats import mad_std
from numpy.typing import ArrayLike

from astro_photz.pdf import RedshiftPDF
from astro_photz.utils._arrays import filled

__all__ = ["Scores", "bias", "coverage", "deviation", "eta", "pit_ks", "score", "sigma_mad"]


class Scores(NamedTuple):
    """
    Scores of N galaxies.

    Parameters
    ----------
    deviation : `~numpy.ndarray` (N,)
        See `deviation`; the estimate is the mean of the PDF.
    crps : `~numpy.ndarray` (N,)
        Continuous ranked probability score: see `astro_photz.RedshiftPDF.crps`.
    pit : `~numpy.ndarray` (N,)
        Cumulative probability at the true redshift: see `astro_photz.RedshiftPDF.pit`.
    """

    deviation: np.ndarray
    crps: np.ndarray
    pit: np.ndarray

    def of(self, rows: np.ndarray) -> "Scores":
        """
        Scores of some of the galaxies.

        Parameters
        ----------
        rows : `~numpy.ndarray` (M,) of int, or (N,) of bool

        Returns
        -------
        `Scores` (M,)
        """
        return Scores(*(values[rows] for values in self))


def score(pdf: RedshiftPDF, redshift: ArrayLike) -> Scores:
    """
    Score each PDF by the true redshift.

    Parameters
    ----------
    pdf : `~astro_photz.RedshiftPDF` (N,)
    redshift : array_like (N,)

    Returns
    -------
    `Scores` (N,)

    Examples
    --------
    >>> from astro_photz import RedshiftPDF
    >>> from astro_photz.metrics import score, summary
    >>> pdf = RedshiftPDF([[0.25, 0.5, 0.25]] * 3, [0.0, 0.1, 0.2, 0.3])
    >>> summary(score(pdf, [0.15, 0.15, 0.15]))["bias"]
    0.0
    """
    redshift = filled(redshift)
    if redshift.shape != (len(pdf),):
        raise ValueError(f"redshift must have the shape ({len(pdf)},), a number for each PDF; got {redshift.shape}")
    return Scores(deviation(pdf.mean(), redshift), pdf.crps(redshift), pdf.pit(redshift))


def deviation(z_phot: ArrayLike, redshift: ArrayLike) -> np.ndarray:
    """
    Deviation of estimates in units of 1 + z: Δz = (z_phot - z) / (1 + z).

    Parameters
    ----------
    z_phot, redshift : array_like (N,)
        Estimated and true; columns of a table may be masked.

    Returns
    -------
    `~numpy.ndarray` (N,)
        NaN where one of them is masked.

    Examples
    --------
    >>> from astro_photz.metrics import deviation
    >>> deviation([0.21, 0.1], [0.1, 0.1]).round(6)
    array([0.1, 0. ])
    """
    z_phot, redshift = filled(z_phot), filled(redshift)
    return (z_phot - redshift) / (1 + redshift)


def bias(deviation: ArrayLike) -> float:
    """
    Mean deviation.

    Parameters
    ----------
    deviation : array_like (N,)
        See `deviation`.

    Returns
    -------
    float
    """
    return float(np.mean(filled(deviation)))


def sigma_mad(deviation: ArrayLike) -> float:
    """
    Scatter: median absolute deviation from the median, scaled to a normal distribution; robust against outliers.

    Parameters
    ----------
    deviation : array_like (N,)
        See `deviation`.

    Returns
    -------
    float

    Examples
    --------
    >>> from astro_photz.metrics import sigma_mad
    >>> round(sigma_mad([-0.01, 0.0, 0.01, 7.0]), 6)
    0.014826
    """
    return float(mad_std(filled(deviation)))


def eta(deviation: ArrayLike, *, beyond: float = 0.05) -> float:
    """
    Share of outliers.

    Parameters
    ----------
    deviation : array_like (N,)
        See `deviation`.
    beyond : float, optional
        Absolute deviation of an outlier, at least; 0.05 in the literature on the SDSS main sample.

    Returns
    -------
    float
    """
    off = np.abs(filled(deviation))
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
    """
    off = np.abs(filled(pit) - 0.5)
    return _share(off < level / 2, off)


def _share(holds, values):
    """Share of values for which something holds; NaN, as other metrics, if one of them is."""
    return float(np.mean(np.where(np.isnan(values), np.nan, holds)))


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

    Examples
    --------
    >>> from astro_photz.metrics import pit_ks
    >>> pit_ks([0.25, 0.75])
    0.25
    """
    from scipy.stats import kstest  # takes half a second to import

    return float(kstest(pit, "uniform", method="asymp").statistic)
