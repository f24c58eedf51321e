# Licensed under a 3-clause BSD style license - see LICENSE
"""
Exact nearest neighbours, block by block: float16 vectors in a file or in memory, products in float32 by BLAS.
"""

import numpy as np

__all__ = ["distances_to", "nearest", "ordered", "within"]

_BLOCK_BYTES = 2**25  # of vectors as float32
_QUERIES, _PRODUCTS = 256, 2**22  # queries, and their distances, at once
_PRECISION = 1e-5  # of products in float32, with room to spare
_MORE = 16  # candidates beyond k: products are exact to float32 only, and the last digits decide among these


def nearest(vectors, queries, k, *, rows=None, own=None):
    """
    Find the k vectors that are nearest to each query.

    Parameters
    ----------
    vectors : `~numpy.ndarray` (N, K) float16
        NaN where a galaxy has none: such a row is never found.
    queries : `~numpy.ndarray` (M, K) float32
    k : int
    rows : `~numpy.ndarray` (L,) of int, optional
        The rows to search, in increasing order; all by default.
    own : `~numpy.ndarray` (M,) or (M, S) of int, optional
        Rows that each query must not find; -1 for none.

    Returns
    -------
    distance : `~numpy.ndarray` (M, k) float32
        In increasing order; infinite where there is no other vector.
    found : `~numpy.ndarray` (M, k) of int
        -1 where there is none.

    Examples
    --------
    >>> import numpy as np
    >>> from astro_photz.similarity._exact import nearest
    >>> vectors = np.array([[0, 0], [0, 3], [4, 3]], dtype=np.float16)
    >>> distance, found = nearest(vectors, np.array([[0, 0]], dtype=np.float32), 2, own=np.array([0]))
    >>> distance, found
    (array([[3., 5.]], dtype=float32), array([[1, 2]]))
    """
    distance = np.full((len(queries), k), np.inf, dtype=np.float32)
    found = np.full((len(queries), k), -1)
    for start in range(0, len(queries), _QUERIES):
        part = slice(start, start + _QUERIES)
        mine = None if own is None else own[part]
        centre = queries[part].mean(axis=0)
        candidates, unsure = _candidates(vectors, queries[part], centre, k + _MORE, rows, mine)
        distance[part], found[part] = ordered(vectors, queries[part], candidates, k)
        # where others than the candidates may be nearer by the last digits, the query itself is the centre
        for one in start + np.flatnonzero(np.square(distance[part, -1], dtype=float) > unsure):
            query, mine = queries[one : one + 1], None if own is None else own[one : one + 1]
            candidates, _ = _candidates(vectors, query, query[0], k + _MORE, rows, mine)
            distance[one : one + 1], found[one : one + 1] = ordered(vectors, query, candidates, k)
    return distance, found


def within(vectors, queries, radius, *, rows=None, own=None):
    """
    Find all vectors within a distance of each query.

    Parameters
    ----------
    radius : float
    vectors, queries, rows, own
        As in `nearest`.

    Yields
    ------
    distance : `~numpy.ndarray` (L,) float32
        Of the vectors that a query finds, in increasing order.
    found : `~numpy.ndarray` (L,) of int
    """
    for number, query in enumerate(queries):
        centre = _short(query)
        # a vector within the radius is at most that much longer than the query
        limit = radius**2 + _PRECISION * (float((query - centre) @ (query - centre)) + radius**2)
        mine = None if own is None else own[[number]]
        found = [
            own_rows[squared[0] <= limit] for own_rows, squared in _squared(vectors, query[None], centre, rows, mine)
        ]
        found = np.concatenate([np.zeros(0, dtype=int), *found])
        distance = distances_to(vectors, query, found)
        found, distance = found[distance <= radius], distance[distance <= radius]
        order = np.argsort(distance, kind="stable")
        yield distance[order], found[order]


def distances_to(vectors, query, rows):
    """
    Compute the distances of some rows from a query, to float32.

    Return an array (L,); NaN for a row without a vector.
    """
    if not len(rows):
        return np.zeros(0, dtype=np.float32)
    difference = vectors[rows].astype(np.float64) - query.astype(np.float64)
    return np.sqrt(np.einsum("ij,ij->i", difference, difference)).astype(np.float32)


def _short(centre):
    """Round a centre to float16: then it is subtracted from vectors without a loss."""
    most = float(np.finfo(np.float16).max)
    return np.clip(np.nan_to_num(centre), -most, most).astype(np.float16).astype(np.float32)


def _candidates(vectors, queries, centre, k, rows, own):
    """
    Rows (M, up to k) of the vectors that are nearest by products in float32; -1 where there are not as many.

    Also return the squared distance (M,) up to which none is missing, for the precision of the products.
    """
    centre = _short(centre)
    best = np.full((len(queries), 0), np.inf, dtype=np.float32)
    found = np.zeros((len(queries), 0), dtype=int)
    for some, squared in _squared(vectors, queries, centre, rows, own):
        if squared.shape[1] > k:
            near = np.argpartition(squared, k - 1, axis=1)[:, :k]
            squared, some = np.take_along_axis(squared, near, axis=1), some[near]
        else:
            some = np.broadcast_to(some, squared.shape)
        best, found = np.concatenate([best, squared], axis=1), np.concatenate([found, some], axis=1)
        if best.shape[1] > k:
            near = np.argpartition(best, k - 1, axis=1)[:, :k]
            best, found = (np.take_along_axis(values, near, axis=1) for values in (best, found))
    squared = np.square(queries - centre).sum(axis=1)
    candidates = np.where(np.isfinite(best), found, -1)
    if best.shape[1] < k:
        return candidates, np.full(len(queries), np.inf)
    furthest = np.where(np.isfinite(best).all(axis=1), best.max(axis=1), np.finfo(np.float32).max).astype(float)
    return candidates, furthest - _PRECISION * (squared + furthest)


def _squared(vectors, queries, centre, rows, own):
    """
    Yield rows (B,) and their squared distances (M, B), infinite where they are not to be found.

    Products of differences from a centre keep the digits that tell near vectors apart, however far they are from zero.
    """
    queries = queries - centre
    own = None if own is None else own.reshape(len(own), -1)
    length = max(1, min(_BLOCK_BYTES // (4 * vectors.shape[1]), _PRODUCTS // len(queries)))
    n = len(vectors) if rows is None else len(rows)
    query_norm = np.einsum("ij,ij->i", queries, queries)[:, None]
    for start in range(0, n, length):
        some = np.arange(start, min(start + length, n)) if rows is None else rows[start : start + length]
        block = vectors[some[0] : some[-1] + 1] if rows is None else vectors[some]
        block = block.astype(np.float32) - centre
        squared = queries @ block.T
        squared *= -2
        squared += np.einsum("ij,ij->i", block, block)
        squared += query_norm
        np.copyto(squared, np.inf, where=np.isnan(squared))
        if own is not None:
            place = np.searchsorted(some, own)
            mine = (place < len(some)) & (some[np.minimum(place, len(some) - 1)] == own)
            squared[np.nonzero(mine)[0], place[mine]] = np.inf
        yield some, squared


def ordered(vectors, queries, candidates, k):
    """
    Order candidates by their distances, computed one by one, and then by row.

    ``candidates`` are rows (M, C), -1 for none. Return distances and rows (M, k) as `nearest` does.
    """
    distance = np.full((len(queries), k), np.inf, dtype=np.float32)
    found = np.full((len(queries), k), -1)
    for number, (query, rows) in enumerate(zip(queries, candidates, strict=True)):
        rows = np.sort(rows[rows >= 0])
        own = distances_to(vectors, query, rows)
        order = np.argsort(own, kind="stable")[:k]
        distance[number, : len(order)], found[number, : len(order)] = own[order], rows[order]
    return distance, found
