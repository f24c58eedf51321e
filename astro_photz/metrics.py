# Licensed under a 3-clause BSD style license - see LICENSE
"""
How good redshift PDFs are, in the field's usual numbers.

Each galaxy is first scored by itself (`score`): how far the estimate is off, how wrong the PDF is, where in the PDF the
truth lies. Every number here sums up such scores, of all galaxies (`summary`), of some (`binned`), or of samples
drawn from them again and again, which tells its error (`bootstrap`). Galaxies that are not independent, such as
simulated ones that were drawn from the same real one, are a *group*, and are drawn together.
"""

import itertools
from typing import NamedTuple

import numpy as np

from .utils._arrays import filled

__all__ = [
    "METRICS",
    "Scores",
    "bias",
    "binned",
    "bootstrap",
    "coverage",
    "deviation",
    "eta",
    "pit_ks",
    "pit_ks_by_chance",
    "resampled",
    "score",
    "sigma_mad",
    "summary",
]

_GAUSSIAN = 1.4826  # standard deviation of a normal distribution over its median absolute deviation


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

    def of(self, rows):
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


def score(pdf, redshift):
    """
    Compare each PDF with the true redshift.

    Parameters
    ----------
    pdf : `~astro_photz.RedshiftPDF` (N,)
    redshift : array_like (N,)

    Returns
    -------
    `Scores` (N,)

    Examples
    --------
    >>> import numpy as np
    >>> from astro_photz import RedshiftPDF
    >>> from astro_photz.metrics import score, summary
    >>> pdf = RedshiftPDF(np.tile([0.25, 0.5, 0.25], (3, 1)), [0.0, 0.1, 0.2, 0.3])
    >>> summary(score(pdf, [0.15, 0.15, 0.15]))["bias"]
    0.0
    """
    redshift = filled(redshift)
    if redshift.shape != (len(pdf),):
        raise ValueError(f"redshift must have the shape ({len(pdf)},), a number for each PDF; got {redshift.shape}")
    return Scores(deviation(pdf.mean(), redshift), pdf.crps(redshift), pdf.pit(redshift))


def deviation(z_phot, redshift):
    """
    How far estimates are off, in units of 1 + z: Δz = (z_phot - z) / (1 + z).

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


def bias(deviation):
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


def sigma_mad(deviation):
    """
    Scatter: 1.4826 times the median absolute deviation from the median, which outliers leave alone.

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
    deviation = filled(deviation)
    return float(_GAUSSIAN * np.median(np.abs(deviation - np.median(deviation))))


def eta(deviation, *, beyond=0.05):
    """
    Share of outliers.

    Parameters
    ----------
    deviation : array_like (N,)
        See `deviation`.
    beyond : float, optional
        Which absolute deviation makes an outlier; 0.05 in the literature on the SDSS main sample.

    Returns
    -------
    float
    """
    off = np.abs(filled(deviation))
    return _share(off > beyond, off)


def coverage(pit, *, level):
    """
    Share of the true redshifts that lie within the central interval of their PDF.

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
    """Of how many values something holds; NaN, as other metrics, if one of them is."""
    return float(np.mean(np.where(np.isnan(values), np.nan, holds)))


def pit_ks(pit):
    """
    Largest distance (Kolmogorov and Smirnov's) of the distribution of the PIT from the uniform one.

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


def pit_ks_by_chance(pit, *, groups=None, level=0.95, resamples=500, seed=0):
    """
    How far from uniform the PIT of calibrated PDFs is by chance alone.

    Of independent galaxies, by Kolmogorov's distribution. Of others, as far as samples drawn from this one are from it:
    more than their number tells.

    Parameters
    ----------
    pit : array_like (N,)
    groups, resamples, seed
        See `resampled`.
    level : float, optional
        Share of such samples that are nearer.

    Returns
    -------
    float
        Of `pit_ks`.

    Examples
    --------
    Ten views of each of a hundred galaxies are a hundred galaxies, not a thousand:

    >>> import numpy as np
    >>> from astro_photz.metrics import pit_ks_by_chance
    >>> pit, galaxy = np.repeat(np.linspace(0, 1, 100), 10), np.repeat(np.arange(100), 10)
    >>> [round(pit_ks_by_chance(pit, groups=groups), 2) for groups in (None, galaxy)]
    [0.04, 0.13]
    """
    from scipy.stats import ks_2samp, kstwobign

    pit = np.asarray(pit)
    if groups is None:
        return float(kstwobign.ppf(level) / np.sqrt(len(pit)))
    samples = resampled(len(pit), groups=groups, resamples=resamples, seed=seed)
    return float(np.quantile([ks_2samp(pit[rows], pit, method="asymp").statistic for rows in samples], level))


METRICS = {
    "bias": lambda scores: bias(scores.deviation),
    "sigma_mad": lambda scores: sigma_mad(scores.deviation),
    "eta": lambda scores: eta(scores.deviation),
    "crps": lambda scores: np.mean(scores.crps),
    "coverage68": lambda scores: coverage(scores.pit, level=0.68),
    "coverage95": lambda scores: coverage(scores.pit, level=0.95),
    "pit_ks": lambda scores: pit_ks(scores.pit),
}
"""Each metric of a `summary`, as a function of `Scores`."""


def summary(scores):
    """
    All metrics of a sample.

    Parameters
    ----------
    scores : `Scores` (N,)

    Returns
    -------
    dict of float
        Those of `METRICS`, to six digits after the point, and ``n``, the number of galaxies.

    Raises
    ------
    ValueError
        If there is no galaxy, or one without an estimate or a redshift.
    """
    n = len(scores.deviation)
    if n == 0:
        raise ValueError("there is no galaxy to judge by: scores is empty")
    unknown = np.count_nonzero(np.isnan(scores).any(axis=0))
    if unknown:
        raise ValueError(f"scores must be numbers; of {unknown} galaxies they are NaN: leave those out by Scores.of")
    return {name: _rounded(metric(scores)) for name, metric in METRICS.items()} | {"n": n}


def resampled(n, *, groups=None, resamples=200, seed=0):
    """
    Draw samples, with replacement, from a sample.

    Parameters
    ----------
    n : int
        Galaxies in the sample.
    groups : array_like (n,), optional
        Galaxies with the same number are not independent, and are drawn together: as many groups as there are.
    resamples : int, optional
        How many samples to draw.
    seed : int, optional

    Yields
    ------
    `~numpy.ndarray` of int
        Rows of the sample.

    Examples
    --------
    >>> from astro_photz.metrics import resampled
    >>> for rows in resampled(4, groups=[7, 7, 7, 9], resamples=3):  # three galaxies that are one, and another
    ...     print(rows.tolist())
    [3, 3]
    [3, 0, 1, 2]
    [0, 1, 2, 0, 1, 2]
    """
    rng = np.random.default_rng(seed)
    if groups is None:
        yield from (rng.integers(n, size=n) for _ in range(resamples))
        return
    order = np.argsort(groups, kind="stable")
    members = np.split(order, 1 + np.flatnonzero(np.diff(np.asarray(groups)[order])))
    for _ in range(resamples):
        yield np.concatenate([members[group] for group in rng.integers(len(members), size=len(members))])


def bootstrap(scores, *, groups=None, resamples=200, seed=0):
    """
    Error of each metric: its standard deviation over samples drawn, with replacement, from the sample itself.

    Parameters
    ----------
    scores : `Scores` (N,)
    groups, resamples, seed
        See `resampled`.

    Returns
    -------
    dict of float
        Those of `METRICS`.

    Examples
    --------
    The error of a mean is known without drawing:

    >>> import numpy as np
    >>> from astro_photz.metrics import Scores, bootstrap
    >>> deviation, pit = np.random.default_rng(0).normal(0, 0.02, 10000), np.linspace(0, 1, 10000)
    >>> round(bootstrap(Scores(deviation, np.abs(deviation), pit))["bias"], 4)  # 0.02 / sqrt(10000)
    0.0002
    """
    samples = resampled(len(scores.deviation), groups=groups, resamples=resamples, seed=seed)
    drawn = np.array([[metric(scores.of(rows)) for metric in METRICS.values()] for rows in samples])
    return {name: _rounded(error) for name, error in zip(METRICS, drawn.std(axis=0), strict=True)}


def binned(scores, values, edges, *, at_least=20, groups=None, resamples=200, seed=0):
    """
    All metrics and their errors, in bins of another number.

    Parameters
    ----------
    scores : `Scores` (N,)
    values : array_like (N,)
        What the galaxies are sorted by. Those beyond the edges, or without a number, are in no bin.
    edges : array_like (K + 1,)
        Edges of the bins, the upper one not included.
    at_least : int, optional
        Bins with fewer galaxies say nothing and are left out.
    groups, resamples, seed
        See `resampled`.

    Returns
    -------
    list of dict
        For each bin ``low``, ``high``, the metrics of `summary`, and ``errors``, those of `bootstrap`.
    """
    values = filled(values)
    groups = None if groups is None else np.asarray(groups)
    bins = []
    for low, high in itertools.pairwise(edges):
        rows = np.flatnonzero((values >= low) & (values < high))
        inside = scores.of(rows)
        if len(rows) >= at_least:
            own = None if groups is None else groups[rows]
            errors = bootstrap(inside, groups=own, resamples=resamples, seed=seed)
            bins.append({"low": float(low), "high": float(high), **summary(inside), "errors": errors})
    return bins


def _rounded(value):
    return round(float(value), 6) + 0.0  # no -0.0
