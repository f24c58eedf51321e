# Licensed under a 3-clause BSD style license - see LICENSE
"""
Galaxies that are unlike all others, and those that a person is likely to call interesting.
"""

from dataclasses import dataclass

import numpy as np
from scipy.special import expit

from ._queries import of_ids, of_rows, same_galaxies
from ._search import find

__all__ = ["Labels", "labels_of", "likely_rows", "oddest_rows", "probabilities"]

_BLOCK = 2**12
_SAMPLE, _SEED = 2048, 29
_STRENGTH = 1.0  # of the labels against the prior, C of scikit-learn


def oddest_rows(contents, n, k, rows):
    """
    Find the galaxies with the largest mean distances to their k nearest neighbours.

    Neighbours in a sample are no nearer than those among all, so the mean distance to them is an upper limit. Galaxies
    are taken in the order of these limits, until no other can be as odd as those found (compare Bay & Schwabacher 2003,
    Proc. KDD, 29).

    Parameters
    ----------
    contents : `~astro_photz.similarity._contents.Contents` (N,)
    n, k : int
    rows : `~numpy.ndarray` (L,) of int
        The galaxies, with vectors, in increasing order; neighbours are sought among them.

    Returns
    -------
    rows : `~numpy.ndarray` (n,) of int
        The oddest first; fewer if there are not as many with neighbours.
    distance : `~numpy.ndarray` (n,) float32
    """
    size = max(_SAMPLE, 4 * k, len(rows) // 16)  # a larger one costs more, and leaves fewer to compare with all
    limit = np.full(len(rows), np.inf, dtype=np.float32)
    if len(rows) > 2 * size:
        sample = np.sort(np.random.default_rng(_SEED).choice(rows, size=size, replace=False))
        limit = _mean_distances(contents, k, rows, sample)
    order = np.argsort(-limit, kind="stable")
    found, distance = np.zeros(0, dtype=int), np.zeros(0, dtype=np.float32)
    for start in range(0, len(rows), _BLOCK):
        part = order[start : start + _BLOCK]
        if len(distance) >= n and distance[n - 1] >= limit[part[0]]:
            break
        exact = _mean_distances(contents, k, rows[part], rows)
        known = np.isfinite(exact)
        found, distance = np.append(found, rows[part][known]), np.append(distance, exact[known])
        best = np.lexsort((found, -distance))[:n]
        found, distance = found[best], distance[best]
    return found, distance


def _mean_distances(contents, k, rows, among):
    """Mean distances (L,) of galaxies to their k nearest neighbours among some; infinite without any."""
    result = np.empty(len(rows), dtype=np.float32)
    among = None if len(among) == len(contents) else among
    for start in range(0, len(rows), _BLOCK):
        queries = of_rows(contents, rows[start : start + _BLOCK])
        own = same_galaxies(contents, queries)
        distance, found = find(contents, queries.vectors, k, rows=among, own=own)
        number = (found >= 0).sum(axis=1)
        total = np.where(found >= 0, distance, 0).sum(axis=1)
        result[start : start + _BLOCK] = np.where(number > 0, total / np.maximum(number, 1), np.inf)
    return result


@dataclass(frozen=True)
class Labels:
    """
    Galaxies of an index that a person has looked at.

    Parameters
    ----------
    rows : `~numpy.ndarray` (M,) of int
    interesting : `~numpy.ndarray` (M,) of bool
    """

    rows: np.ndarray
    interesting: np.ndarray


def labels_of(contents, interesting, not_interesting):
    """
    Look up galaxies that a person has looked at.

    Raise a KeyError if one is not in the index, and a ValueError if one of the two kinds is empty or without vectors,
    or a galaxy is of both.
    """
    kinds = {"interesting": interesting, "not_interesting": not_interesting}
    found = {}
    for name, ids in kinds.items():
        ids = np.atleast_1d(np.asarray(ids if isinstance(ids, str | int) else list(ids)))
        if not len(ids):
            advice = "; index.query finds galaxies like some" if name == "not_interesting" else ""
            raise ValueError(f"{name} must name a galaxy at least: what sets apart both kinds is learnt{advice}")
        rows = np.unique(of_ids(contents, ids).own)
        known = np.isfinite(np.asarray(contents.vectors[rows], dtype=np.float32)).all(axis=1)
        if not known.any():
            raise ValueError(f"{name}: no image is known of these galaxies, so nothing is learnt of them")
        found[name] = rows[known]
    both = np.intersect1d(*found.values())
    if len(both):
        raise ValueError(f"galaxy {contents.ids[both[0]]!s} cannot be both interesting and not")
    rows = np.concatenate(list(found.values()))
    return Labels(rows, np.arange(len(rows)) < len(found["interesting"]))


def probabilities(contents, labels):
    """
    Probability (N,) float32 that a person calls each galaxy interesting, by a logistic regression on the vectors.

    The weights have a normal prior, in units of the scatter of all galaxies, so that a few labels are enough. NaN for a
    galaxy without a vector.
    """
    rng = np.random.default_rng(0)
    sample = np.sort(rng.choice(len(contents), size=min(len(contents), _BLOCK), replace=False))
    typical = np.asarray(contents.vectors[sample], dtype=float)
    typical = typical[np.isfinite(typical).all(axis=1)]
    mean = typical.mean(axis=0)
    scale = np.sqrt(np.mean(np.square(typical - mean))) or 1.0
    vectors = (np.asarray(contents.vectors[labels.rows], dtype=float) - mean) / scale
    weights, offset = _logistic(vectors, labels.interesting)
    result = np.empty(len(contents), dtype=np.float32)
    for start in range(0, len(contents), _BLOCK):
        part = slice(start, start + _BLOCK)
        result[part] = expit((np.asarray(contents.vectors[part], dtype=float) - mean) / scale @ weights + offset)
    return result


def likely_rows(contents, probability, labels, rows):
    """Order rows by probability, the most likely first, without those labelled or at the same places."""
    known = same_galaxies(contents, of_rows(contents, labels.rows))
    rows = np.setdiff1d(rows, np.append(known, labels.rows))
    rows = rows[np.isfinite(probability[rows])]
    return rows[np.argsort(-probability[rows], kind="stable")]


def _logistic(vectors, truth):
    """Weights (K,) and offset of a logistic regression, whose weights have a normal prior of variance ``_STRENGTH``."""
    from scipy.optimize import minimize  # here, as a search does without it and is quicker to begin

    sign = np.where(truth, 1.0, -1.0)
    data = np.column_stack([vectors, np.ones(len(vectors))])

    def loss(parameters):
        margin = sign * (data @ parameters)
        gradient = -(sign * expit(-margin)) @ data
        gradient[:-1] += parameters[:-1] / _STRENGTH
        return np.logaddexp(0, -margin).sum() + parameters[:-1] @ parameters[:-1] / 2 / _STRENGTH, gradient

    found = minimize(loss, np.zeros(data.shape[1]), jac=True, method="L-BFGS-B")
    return found.x[:-1], found.x[-1]
