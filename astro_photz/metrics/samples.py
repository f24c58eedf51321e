# Licensed under a 3-clause BSD style license - see LICENSE
"""
All figures of merit of a sample of galaxies, their errors by resampling, and both in bins.
"""

import itertools
from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import ArrayLike

from astro_photz.utils._arrays import filled

from .figures import Scores, bias, coverage, eta, pit_ks, sigma_mad

__all__ = ["METRICS", "binned", "bootstrap", "pit_ks_by_chance", "resampled", "summary"]

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

    Examples
    --------
    >>> import numpy as np
    >>> from astro_photz.metrics import pit_ks_by_chance
    >>> pit, galaxy = np.repeat(np.linspace(0, 1, 100), 10), np.repeat(np.arange(100), 10)  # ten views of each
    >>> [round(pit_ks_by_chance(pit, groups=groups), 2) for groups in (None, galaxy)]
    [0.04, 0.13]
    """
    from scipy.stats import ks_2samp, kstwobign

    pit = np.asarray(pit)
    if groups is None:
        return float(kstwobign.ppf(level) / np.sqrt(len(pit)))
    samples = resampled(len(pit), groups=groups, resamples=resamples, seed=seed)
    return float(np.quantile([ks_2samp(pit[rows], pit, method="asymp").statistic for rows in samples], level))


def summary(scores: Scores) -> dict[str, float]:
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


def resampled(n: int, *, groups: ArrayLike | None = None, resamples: int = 200, seed: int = 0) -> Iterator[np.ndarray]:
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


def bootstrap(
    scores: Scores, *, groups: ArrayLike | None = None, resamples: int = 200, seed: int = 0
) -> dict[str, float]:
    """
    Error of each metric: its standard deviation over samples that are drawn with replacement.

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
    >>> import numpy as np
    >>> from astro_photz.metrics import Scores, bootstrap
    >>> deviation, pit = np.random.default_rng(0).normal(0, 0.02, 10000), np.linspace(0, 1, 10000)
    >>> round(bootstrap(Scores(deviation, np.abs(deviation), pit))["bias"], 4)  # 0.02 / sqrt(10000)
    0.0002
    """
    samples = resampled(len(scores.deviation), groups=groups, resamples=resamples, seed=seed)
    drawn = np.array([[metric(scores.of(rows)) for metric in METRICS.values()] for rows in samples])
    return {name: _rounded(error) for name, error in zip(METRICS, drawn.std(axis=0), strict=True)}


def binned(
    scores: Scores,
    values: ArrayLike,
    edges: Sequence[float],
    *,
    at_least: int = 20,
    groups: ArrayLike | None = None,
    resamples: int = 200,
    seed: int = 0,
) -> list[dict]:
    """
    All metrics and their errors, in bins of another quantity.

    Parameters
    ----------
    scores : `Scores` (N,)
    values : array_like (N,)
        Quantity that the galaxies are binned by. Those beyond the edges, or without a number, are in no bin.
    edges : array_like (K + 1,)
        Edges of the bins, the upper one not included.
    at_least : int, optional
        Bins with fewer galaxies are left out.
    groups, resamples, seed
        See `resampled`.

    Returns
    -------
    list of dict
        For each bin ``low``, ``high``, the metrics of `summary`, and ``errors``, those of `bootstrap`.
    """
    values, bins = filled(values), []
    for low, high in itertools.pairwise(edges):
        rows = np.flatnonzero((values >= low) & (values < high))
        if len(rows) >= at_least:
            inside, own = scores.of(rows), None if groups is None else np.asarray(groups)[rows]
            errors = bootstrap(inside, groups=own, resamples=resamples, seed=seed)
            bins.append({"low": float(low), "high": float(high), **summary(inside), "errors": errors})
    return bins


def _rounded(value):
    return round(float(value), 6) + 0.0  # no -0.0
