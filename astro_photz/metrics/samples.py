# Licensed under a 3-clause BSD style license - see LICENSE
"""
All figures of merit of a sample of galaxies, their errors by resampling, and both in bins.
"""

import itertools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import ArrayLike

from astro_photz.utils._arrays import filled
from astro_photz.utils._checks import check_count

from ._drawn import Drawn, draws, group_numbers
from .calibration import PIT_END, pit_ad, pit_ks
from .figures import OUTLIER, bias, coverage, eta, sigma68, sigma_mad
from .scores import Scores

__all__ = ["METRICS", "Metric", "binned", "bootstrap", "resampled", "summary"]


@dataclass(frozen=True)
class Metric:
    """
    A figure of merit: a function of one score of all galaxies.

    Parameters
    ----------
    score : str
        Name of the score in `Scores`.
    value : callable
        Takes the scores (N,), and gives a float.
    of_drawn : callable, optional
        Takes samples that were drawn from the scores, a ``Drawn`` of ``metrics/_drawn.py``, and gives the value of each
        (R,). It is for speed: without it, each sample is written out, and ``value`` called.
    instead : str, optional
        Name of a score whose mean is the metric where ``score`` is not known.

    Examples
    --------
    >>> import numpy as np
    >>> from astro_photz.metrics import METRICS, Metric
    >>> METRICS["sigma_mad"].score
    'deviation'
    >>> Metric("deviation", np.median).value([0.01, -0.01, 0.03])
    np.float64(0.01)
    """

    score: str
    value: Callable[[np.ndarray], float]
    of_drawn: Callable[[Drawn], np.ndarray] | None = None
    instead: str | None = None

    def __call__(self, scores: Scores) -> float:
        """
        Value for galaxies with these scores.

        Parameters
        ----------
        scores : `Scores` (N,)

        Returns
        -------
        float
        """
        name = self.source(scores) or self.score
        values = getattr(scores, name)
        return float(self.value(values) if name == self.score else np.mean(values))

    def source(self, scores: Scores) -> str | None:
        """
        Name of the score that the metric takes, or None if none of them is known.

        Parameters
        ----------
        scores : `Scores` (N,)

        Returns
        -------
        str or None
        """
        names = [name for name in (self.score, self.instead) if name and getattr(scores, name) is not None]
        return names[0] if names else None

    def drawn(self, scores: Scores, samples: dict[str, Drawn], weights: np.ndarray) -> np.ndarray:
        """
        Value for each of several samples that were drawn from galaxies with these scores.

        Parameters
        ----------
        scores : `Scores` (N,)
        samples : dict of ``Drawn``
            The drawn samples of each score, by its name.
        weights : `~numpy.ndarray` (R, N)
            Number of times that each galaxy was drawn.

        Returns
        -------
        `~numpy.ndarray` (R,)
        """
        name = self.source(scores) or self.score
        if name != self.score:
            return samples[name].mean()
        if self.of_drawn is not None:
            return self.of_drawn(samples[name])
        values = getattr(scores, name)
        return np.array([self.value(np.repeat(values, times.astype(int))) for times in weights])


def _coverage(level, instead):
    def of_drawn(drawn):
        return drawn.mean_of(np.abs(drawn.values - 0.5) < level / 2)

    return Metric("pit", partial(coverage, level=level), of_drawn, instead)


METRICS = {
    "bias": Metric("deviation", bias, Drawn.mean),
    "sigma_mad": Metric("deviation", sigma_mad, Drawn.mad_std),
    "sigma68": Metric("deviation", sigma68, Drawn.half_range),
    "eta": Metric("deviation", eta, lambda drawn: drawn.mean_of(np.abs(drawn.values) > OUTLIER)),
    "crps": Metric("crps", np.mean, Drawn.mean),
    "log_score": Metric("log_score", np.mean, Drawn.mean),
    "cde_loss": Metric("cde_loss", np.mean, Drawn.mean),
    "coverage68": _coverage(0.68, "within68"),
    "coverage95": _coverage(0.95, "within95"),
    "pit_ks": Metric("pit", pit_ks, Drawn.ks_from_uniform),
    "pit_ad": Metric("pit", pit_ad, partial(Drawn.ad_from_uniform, end=PIT_END)),
}
"""Each metric of a `summary`: a function of `Scores`."""


def summary(scores: Scores) -> dict[str, float]:
    """
    All metrics of a sample.

    Parameters
    ----------
    scores : `Scores` (N,)

    Returns
    -------
    dict of float
        Those of `METRICS` whose scores are known, to six digits after the point, and ``n``, the number of galaxies.

    Raises
    ------
    ValueError
        If there is no galaxy, or one without an estimate or a redshift.

    Examples
    --------
    >>> from astro_photz.metrics import Scores, deviation, summary
    >>> summary(Scores(deviation([0.11, 0.19, 0.31], [0.10, 0.20, 0.30])))  # no PDFs
    {'bias': 0.002817, 'sigma_mad': 0.002074, 'sigma68': 0.005924, 'eta': 0.0, 'n': 3}
    """
    n = _length(scores)
    unknown = np.count_nonzero(scores.unknown)
    if unknown:
        raise ValueError(f"scores must be numbers; of {unknown} galaxies they are NaN: leave those out by Scores.of")
    return {name: _rounded(metric(scores)) for name, metric in _known(scores).items()} | {"n": n}


def _length(scores):
    """Number of galaxies; ValueError if there is none, or scores have several lengths."""
    shapes = {np.shape(values) for values in scores if values is not None}
    (shape, *others) = shapes
    if others or len(shape) != 1:
        raise ValueError(f"scores must be lists of one length, a number for each galaxy; got the shapes {shapes}")
    if not shape[0]:
        raise ValueError("there is no galaxy to judge by: scores is empty")
    return shape[0]


def _known(scores):
    """Metrics for which there is a score."""
    return {name: metric for name, metric in METRICS.items() if metric.source(scores) is not None}


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

    Raises
    ------
    TypeError, ValueError
        If ``n`` or ``resamples`` is no number from 1 on, ``seed`` none from 0 on, or ``groups`` has another length.

    Examples
    --------
    >>> from astro_photz.metrics import resampled
    >>> for rows in resampled(4, groups=[7, 7, 7, 9], resamples=3):  # three galaxies that are one, and another
    ...     print(rows.tolist())
    [3, 3]
    [3, 0, 1, 2]
    [0, 1, 2, 0, 1, 2]
    """
    n, resamples, seed = check_count("n", n), check_count("resamples", resamples), check_count("seed", seed, least=0)
    rng = np.random.default_rng(seed)
    if groups is None:
        yield from (rng.integers(n, size=n) for _ in range(resamples))
        return
    member_of, n_groups = group_numbers(groups, n)
    order = np.argsort(member_of, kind="stable")
    members = np.split(order, 1 + np.flatnonzero(np.diff(member_of[order])))
    for _ in range(resamples):
        yield np.concatenate([members[group] for group in rng.integers(n_groups, size=n_groups)])


def bootstrap(
    scores: Scores, *, groups: ArrayLike | None = None, resamples: int = 200, seed: int = 0
) -> dict[str, float]:
    """
    Error of each metric: its standard deviation over samples that are drawn with replacement.

    Parameters
    ----------
    scores : `Scores` (N,)
    groups, resamples, seed
        See `resampled`, which draws the same samples.

    Returns
    -------
    dict of float
        Those of `METRICS` whose scores are known.

    Examples
    --------
    >>> import numpy as np
    >>> from astro_photz.metrics import Scores, bootstrap
    >>> deviation, pit = np.random.default_rng(0).normal(0, 0.02, 10000), np.linspace(0, 1, 10000)
    >>> round(bootstrap(Scores(deviation, np.abs(deviation), pit))["bias"], 4)  # 0.02 / sqrt(10000)
    0.0002
    """
    metrics = _known(scores)
    names = {metric.source(scores) for metric in metrics.values()}
    orders = {name: np.argsort(getattr(scores, name)) for name in names}
    drawn = []
    for weights in draws(len(scores.deviation), groups=groups, resamples=resamples, seed=seed):
        samples = {name: Drawn(getattr(scores, name), orders[name], weights) for name in names}
        drawn.append([metric.drawn(scores, samples, weights) for metric in metrics.values()])
    errors = np.concatenate(drawn, axis=1).std(axis=1)
    return {name: _rounded(error) for name, error in zip(metrics, errors, strict=True)}


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

    Examples
    --------
    >>> import numpy as np
    >>> from astro_photz.metrics import binned, score_gaussian
    >>> z = np.linspace(0.05, 0.25, 100)
    >>> r_mag = 15 + 10 * z
    >>> scores = score_gaussian(z + 0.01 * np.sin(1e4 * z), np.full(100, 0.01), z)
    >>> for one in binned(scores, r_mag, [15, 16, 17, 18]):
    ...     print(one["low"], one["high"], one["n"], round(one["sigma_mad"], 3), round(one["errors"]["sigma_mad"], 3))
    15.0 16.0 25 0.009 0.002
    16.0 17.0 50 0.009 0.001
    17.0 18.0 25 0.009 0.002
    """
    values, bins = filled(values, name="values"), []
    for low, high in itertools.pairwise(edges):
        rows = np.flatnonzero((values >= low) & (values < high))
        if len(rows) >= at_least:
            inside, own = scores.of(rows), None if groups is None else np.asarray(groups)[rows]
            errors = bootstrap(inside, groups=own, resamples=resamples, seed=seed)
            bins.append({"low": float(low), "high": float(high), **summary(inside), "errors": errors})
    return bins


def _rounded(value):
    return round(float(value), 6) + 0.0  # no -0.0
