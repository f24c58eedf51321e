# Licensed under a 3-clause BSD style license - see LICENSE
"""Figures of merit of a search, by exact distances between vectors."""

import numpy as np

__all__ = ["neighbours", "rank_of_own"]

BLOCK = 500


def squared_distances(queries, vectors):
    """Squared Euclidean distances (M, N)."""
    return (queries**2).sum(axis=1)[:, None] + (vectors**2).sum(axis=1) - 2 * queries @ vectors.T


def rank_of_own(vectors, queries, rows=None):
    """Number (M,) of vectors (N, K) that are nearer to each query (M, K) than the one in its own row."""
    rows = np.arange(len(queries)) if rows is None else rows
    rank = np.empty(len(queries), dtype=int)
    for start in range(0, len(queries), BLOCK):
        part = slice(start, start + BLOCK)
        distance = squared_distances(queries[part], vectors)
        rank[part] = (distance < distance[np.arange(len(distance)), rows[part]][:, None]).sum(axis=1)
    return rank


def neighbours(vectors, k, *, rows=None):
    """Rows (M, k) of the nearest vectors of others to those in ``rows``, the nearest first."""
    rows = np.arange(len(vectors)) if rows is None else rows
    found = np.empty((len(rows), k), dtype=int)
    for start in range(0, len(rows), BLOCK):
        part = rows[start : start + BLOCK]
        distance = squared_distances(vectors[part], vectors)
        distance[np.arange(len(part)), part] = np.inf
        near = np.argpartition(distance, k - 1, axis=1)[:, :k]
        order = np.take_along_axis(distance, near, axis=1).argsort(axis=1)
        found[start : start + BLOCK] = np.take_along_axis(near, order, axis=1)
    return found
