# Licensed under a 3-clause BSD style license - see LICENSE
"""
Two numbers for each galaxy, by which a picture has a place for it.
"""

import numpy as np

from astro_photz.utils._optional import optional
from astro_photz.utils._suggestions import advice

__all__ = ["METHODS", "projected"]

METHODS = ("pca", "umap")
"""Ways to make two numbers of a vector."""

_BLOCK = 2**14
_NEIGHBOURS = 15
_SEED = 29


def projected(vectors, method):
    """
    Project vectors (N, K) to places (N, 2) float32; NaN for a galaxy without a vector.

    ``method`` is one of `METHODS`: the two principal components, or a uniform manifold approximation (McInnes, Healy &
    Melville 2018, arXiv:1802.03426). Raise a ValueError for another one, and an ImportError without its package.
    """
    if method not in METHODS:
        raise ValueError(f"no method {method!r}: {advice(str(method), METHODS)}")
    known = np.concatenate([np.isfinite(block).all(axis=1) for block in _blocks(vectors)] or [np.zeros(0, dtype=bool)])
    places = np.full((len(vectors), 2), np.nan, dtype=np.float32)
    if known.sum() < 3:  # no plane lies through fewer
        places[known] = np.arange(known.sum())[:, None] * [1, 0]
        return places
    places[known] = (_principal if method == "pca" else _umap)(vectors, known)
    return places


def _blocks(vectors):
    for start in range(0, len(vectors), _BLOCK):
        yield np.asarray(vectors[start : start + _BLOCK], dtype=float)


def _principal(vectors, known):
    """Two principal components of the vectors that are known, with one block in memory at a time."""
    number, dim = known.sum(), vectors.shape[1]
    mean, square = np.zeros(dim), np.zeros((dim, dim))
    parts = np.split(known, np.arange(_BLOCK, len(known), _BLOCK))
    for block, there in zip(_blocks(vectors), parts, strict=True):
        mean += block[there].sum(axis=0) / number
    for block, there in zip(_blocks(vectors), parts, strict=True):
        square += (block[there] - mean).T @ (block[there] - mean)
    axes = np.linalg.eigh(square)[1][:, ::-1][:, :2]
    axes = np.pad(axes, ((0, 0), (0, 2 - axes.shape[1])))
    axes *= np.where(axes[np.abs(axes).argmax(axis=0), np.arange(2)] < 0, -1, 1)  # one sign on all machines
    return np.concatenate([(block[there] - mean) @ axes for block, there in zip(_blocks(vectors), parts, strict=True)])


def _umap(vectors, known):
    umap = optional("umap", extra="map", doing="a map by UMAP")
    neighbours = min(_NEIGHBOURS, int(known.sum()) - 1)
    # a fixed seed means one process, which umap says in a warning if it is not told
    made = umap.UMAP(n_components=2, n_neighbors=neighbours, random_state=_SEED, n_jobs=1)
    return made.fit_transform(np.asarray(vectors[known], dtype=np.float32))
