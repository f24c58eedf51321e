# Licensed under a 3-clause BSD style license - see LICENSE
"""
Neighbours in the contents of an index: exact, or from the candidates of an approximate search.
"""

from dataclasses import replace

import numpy as np

from ._approximate import ApproximateSearch
from ._contents import sorted_pair_distances
from ._exact import nearest, ordered

__all__ = ["SEED", "assembled", "find"]

SEED = 29
"""Of the sample by which a search is trained and judged: the same galaxies give the same index."""

_LARGE = 2**26  # bytes of vectors from which an approximate search is worth its while
_FEW = 100_000  # selected rows up to which they are searched exactly
_JUDGED, _NEIGHBOURS, _RECALL = 200, 10, 0.99
_FACTORS, _FEWEST_PROBES = (8, 16, 32, 64), 4


def find(contents, queries, k, *, rows=None, own=None, exact=False):
    """
    Find the k nearest galaxies to each query.

    Parameters
    ----------
    contents : `~astro_photz.similarity._contents.Contents` (N,)
    queries : `~numpy.ndarray` (M, K) float32
    k : int
    rows : `~numpy.ndarray` (L,) of int, optional
        The rows to search; all by default. Up to 100,000 of them are searched exactly.
    own : `~numpy.ndarray` (M,) or (M, S) of int, optional
        Rows that each query must not find; -1 for none.
    exact : bool, optional
        Search exactly even if there is an approximate search.

    Returns
    -------
    distance : `~numpy.ndarray` (M, k) float32
    found : `~numpy.ndarray` (M, k) of int
        As `~astro_photz.similarity._exact.nearest` gives them; distances are exact in either case.
    """
    if exact or contents.approximate is None or (rows is not None and len(rows) <= _FEW):
        return nearest(contents.vectors, queries, k, rows=rows, own=own)
    distance, found = _among_candidates(contents, queries, k, rows, own)
    short = np.flatnonzero((found < 0).any(axis=1))
    if len(short):  # the lists that were looked into hold too few
        mine = None if own is None else own[short]
        distance[short], found[short] = nearest(contents.vectors, queries[short], k, rows=rows, own=mine)
    return distance, found


def _among_candidates(contents, queries, k, rows, own):
    several = 1 if own is None else own.size // max(1, len(own))
    candidates = contents.approximate.candidates(queries, k + several, rows=rows)
    for column in () if own is None else own.reshape(len(own), -1).T:
        candidates = np.where(candidates == column[:, None], -1, candidates)
    return ordered(contents.vectors, queries, candidates, k)


def assembled(contents, *, approximate):
    """
    Complete the contents of an index: distances of pairs, and an approximate search where it is wanted.

    ``approximate`` is None to have one for many galaxies, if faiss is installed.
    """
    rng = np.random.default_rng(SEED)
    contents = replace(contents, pairs=sorted_pair_distances(contents.vectors, rng), approximate=None, recall=1.0)
    large = contents.vectors.nbytes >= _LARGE
    known = int(np.isfinite(contents.vectors[:, 0]).sum()) if contents.vectors.size else 0
    if approximate is False or known < 2 or (approximate is None and not (large and _has_faiss())):
        return contents
    made = ApproximateSearch.train(contents.vectors, rng)
    made.add(contents.vectors)
    return judged(replace(contents, approximate=made))


def judged(contents):
    """
    Take as many candidates, out of as many lists, as a recall of 0.99 needs, and note the recall that was measured.

    Whether there are candidates enough shows where all lists are looked into.
    """
    rng = np.random.default_rng(SEED)
    known = np.flatnonzero(np.isfinite(np.asarray(contents.vectors[:, 0])))
    own = np.sort(rng.choice(known, size=min(_JUDGED, len(known)), replace=False))
    queries = contents.vectors[own].astype(np.float32)
    k = min(_NEIGHBOURS, len(known) - 1)
    distance, _ = nearest(contents.vectors, queries, k, own=own)
    furthest = distance[:, -1:] * (1 + 1e-6)  # among equally near ones, any will do

    def with_effort(probes, factor):
        tried = replace(contents, approximate=replace(contents.approximate, probes=probes, factor=factor))
        found, _ = _among_candidates(tried, queries, k, None, own)
        return replace(tried, recall=float(np.mean(found <= furthest)))

    lists = contents.approximate.n_lists
    for factor in _FACTORS:
        tried = with_effort(lists, factor)
        if tried.recall >= _RECALL:
            break
    wanted, probes = min(_RECALL, tried.recall), _FEWEST_PROBES
    while probes < lists:
        tried = with_effort(probes, factor)
        if tried.recall >= wanted:
            return tried
        probes *= 2
    return with_effort(lists, factor)


def _has_faiss():
    from importlib.util import find_spec

    return find_spec("faiss") is not None
