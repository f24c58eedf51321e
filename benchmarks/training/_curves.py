# Licensed under a 3-clause BSD style license - see LICENSE
"""Scatter against the number of labels: what curves of two ways of training tell, with errors."""

import math
from typing import NamedTuple

import numpy as np
from scipy.interpolate import PchipInterpolator
from scipy.optimize import isotonic_regression

from astro_photz import metrics

from ._experiments import error_of_mean

__all__ = ["Scatter", "difference_of", "equivalent_factor", "scatter_of", "share_of_gap"]


class Scatter(NamedTuple):
    """
    A scatter, as the mean over seeds, and what it might have been.

    ``drawn`` (DRAWS,) is with other test galaxies and other labels; NaN of one seed alone. Draws of two scatters are
    paired.
    """

    mean: float
    drawn: np.ndarray


def scatter_of(deviations, rows, rng):
    """
    Scatter of trainings that differ by their seed.

    ``deviations`` (N,) are of the same test galaxies, for each seed; ``rows`` are test galaxies drawn with replacement.
    """
    seeds = np.array([metrics.sigma_mad(one) for one in deviations])
    galaxies = np.array([np.mean([metrics.sigma_mad(one[part]) for one in deviations]) for part in rows])
    return Scatter(seeds.mean(), galaxies + error_of_mean(seeds) * rng.standard_normal(len(rows)))


def equivalent_factor(n_labels, tuned, scratch):
    """
    Number of labels needed from scratch, relative to ``n_labels``; ``scratch`` is by the number of labels.

    ``at_least`` tells if even the most labels are too few from scratch, and ``at_most`` if even the fewest are too
    many: the factor is that of those. The error is half of the interval that holds 68 % of the draws, or the side of it
    that does not reach the end of the curve.
    """
    numbers = np.log(list(scratch))
    best = _crossing(numbers, [one.mean for one in scratch.values()], tuned.mean)
    ends = zip(np.transpose([one.drawn for one in scratch.values()]), tuned.drawn, strict=True)
    drawn = [_crossing(numbers, *end) if np.isfinite([*end[0], end[1]]).all() else math.nan for end in ends]
    factor = math.exp(best) / n_labels
    bounds = {"at_least": bool(best >= numbers[-1]), "at_most": bool(best <= numbers[0])}
    return {"factor": factor, "factor_err": factor * _error(best, drawn, numbers[0], numbers[-1])} | bounds


def share_of_gap(tuned, few, most):
    """
    Share of the gain from few labels to the most that the pretraining gains with few: 1 for all of it.

    ``few`` and ``most`` are from scratch. The error is NaN of one seed alone.
    """
    gap = few.mean - most.mean
    share = (few.mean - tuned.mean) / gap
    # To first order: a quotient's draws have no variance where the gap may be none.
    drawn = few.drawn - tuned.drawn - share * (few.drawn - most.drawn)
    return {"share": float(share), "share_err": float(np.std(drawn) / abs(gap))}


def difference_of(one, other):
    """Excess of a scatter over another, with its error."""
    difference, drawn = (a - b for a, b in zip(one, other, strict=True))
    return {"difference": float(difference), "difference_err": float(np.std(drawn))}


def _error(best, drawn, first, last):
    """Error of a number whose draws end at two limits."""
    low, high = np.percentile(drawn, [15.9, 84.1])
    sides = [side for side, there in ((best - low, low > first), (high - best, high < last)) if there]
    return float(np.mean(sides)) if sides else math.nan


def _crossing(numbers, scatter, wanted):
    """Find the place where a falling curve through points has a value, within the points."""
    falling = isotonic_regression(scatter, increasing=False).x
    fine = np.linspace(numbers[0], numbers[-1], 2000)
    curve = PchipInterpolator(numbers, falling)(fine) - 1e-12 * np.arange(len(fine))  # where it is level, its beginning
    return float(np.interp(-wanted, -curve, fine))
