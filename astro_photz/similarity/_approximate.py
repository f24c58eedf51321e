# Licensed under a 3-clause BSD style license - see LICENSE
"""
Approximate nearest neighbours in a fraction of the time and memory, by faiss.

Galaxies are sorted into lists about centres (an inverted file), and a query looks into the nearest lists only. Each
galaxy is kept as its leading principal components, in 8 bits each (Johnson, Douze & Jégou 2019, IEEE Transactions on
Big Data 7, 535). What it finds are candidates: their distances are computed from the whole vectors.
"""

import errno
from dataclasses import dataclass

import numpy as np

from astro_photz.utils._npy import read_arrays
from astro_photz.utils._optional import optional

__all__ = ["COMPONENTS", "ApproximateSearch"]

COMPONENTS = 48
"""Numbers of a galaxy that faiss keeps, a byte each: a multiple of 16, as processors take 16 at once."""

_SAMPLE_PER_LIST = 48  # galaxies that a centre is learnt from
_MOST_LISTS = 16384
_TRAINING_ROUNDS = 10
_BLOCK = 2**16
_LEAST = 64  # candidates, however few neighbours are wanted
_KEPT = 0.999  # of the variance: further components say next to nothing


@dataclass(frozen=True, eq=False)
class ApproximateSearch:
    """
    Candidates of neighbours, by faiss.

    Parameters
    ----------
    lists : `faiss.IndexIVF`
        Galaxies by row.
    mean, axes : `~numpy.ndarray` (K,), (K, C) float32
        Of the principal components.
    probes : int
        Lists that a query looks into.
    factor : int
        Candidates for each neighbour that is wanted.
    """

    lists: object
    mean: np.ndarray
    axes: np.ndarray
    probes: int = 8
    factor: int = 8

    @classmethod
    def train(cls, vectors, rng):
        """
        Learn components and lists from a sample, without galaxies in them yet.

        Parameters
        ----------
        vectors : `~numpy.ndarray` (N, K) float16
        rng : `~numpy.random.Generator`

        Returns
        -------
        `ApproximateSearch`

        Raises
        ------
        ImportError
            Without faiss.
        """
        faiss = faiss_module()
        n_lists = int(np.clip(2 * np.sqrt(len(vectors)), 1, _MOST_LISTS))
        wanted = min(len(vectors), _SAMPLE_PER_LIST * n_lists)
        sample = vectors[np.sort(rng.choice(len(vectors), size=wanted, replace=False))].astype(np.float32)
        sample = sample[np.isfinite(sample).all(axis=1)]
        mean = sample.mean(axis=0)
        variance, axes = np.linalg.eigh(np.cov((sample - mean).T).reshape(len(mean), -1))
        kept = min(COMPONENTS, 1 + int(np.searchsorted(np.cumsum(variance[::-1]), _KEPT * variance.sum())))
        axes = np.ascontiguousarray(axes[:, ::-1][:, :kept], dtype=np.float32)
        n_lists = max(1, min(n_lists, len(sample) // _SAMPLE_PER_LIST))
        centres = faiss.IndexFlatL2(kept)
        lists = faiss.IndexIVFScalarQuantizer(centres, kept, n_lists, faiss.ScalarQuantizer.QT_8bit)
        lists.cp.niter, lists.cp.seed = _TRAINING_ROUNDS, int(rng.integers(2**31))
        lists.cp.max_points_per_centroid = _SAMPLE_PER_LIST
        lists.cp.min_points_per_centroid = 1
        lists.train((sample - mean) @ axes)
        return cls(lists, mean, axes)

    def add(self, vectors, start=0):
        """
        Put galaxies into the lists, from a row on, block by block.

        Parameters
        ----------
        vectors : `~numpy.ndarray` (N, K) float16
        start : int, optional
            The first row that is not in them yet.
        """
        for first in range(start, len(vectors), _BLOCK):
            block = vectors[first : first + _BLOCK].astype(np.float32)
            known = np.isfinite(block).all(axis=1)
            rows = first + np.flatnonzero(known)
            self.lists.add_with_ids((block[known] - self.mean) @ self.axes, rows.astype(np.int64))

    def candidates(self, queries, k, *, rows=None):
        """
        Find rows that are likely to hold the k nearest neighbours.

        Parameters
        ----------
        queries : `~numpy.ndarray` (M, K) float32
        k : int
        rows : `~numpy.ndarray` (L,) of int, optional
            The rows to search; all by default.

        Returns
        -------
        `~numpy.ndarray` (M, C) of int
            -1 where there are not as many.
        """
        faiss = faiss_module()
        options = {"nprobe": self.probes}
        if rows is not None:
            options["sel"] = faiss.IDSelectorBatch(rows.astype(np.int64))
        many = max(self.factor * k, _LEAST)
        short = np.ascontiguousarray((queries - self.mean) @ self.axes)
        _, found = self.lists.search(short, many, params=faiss.SearchParametersIVF(**options))
        return found

    @property
    def n_lists(self):
        """Number of lists, int."""
        return self.lists.nlist

    def write(self, folder):
        """Write the files of the search into a folder."""
        faiss_module().write_index(self.lists, str(folder / "lists.faiss"))
        np.savez(folder / "components.npz", mean=self.mean, axes=self.axes, effort=[self.probes, self.factor])

    @classmethod
    def read(cls, folder, *, mapped=True):
        """
        Read what `write` has written; lists that are mapped into memory take none until they are needed.

        Raise a FileNotFoundError if a file is missing, and a ValueError if faiss cannot read it.
        """
        faiss = faiss_module()
        flags = faiss.IO_FLAG_MMAP | faiss.IO_FLAG_READ_ONLY if mapped else 0
        path = folder / "lists.faiss"
        try:
            lists = faiss.read_index(str(path), flags)
        except RuntimeError as error:  # faiss has no others
            if not path.exists():
                raise FileNotFoundError(errno.ENOENT, "no such file", str(path)) from error
            raise ValueError(f"{path} cannot be read by faiss; make the index again") from error
        arrays = read_arrays(folder / "components.npz")
        return cls(lists, arrays["mean"], arrays["axes"], *map(int, arrays["effort"]))


def faiss_module():
    """
    Import faiss.

    Raise an ImportError that names the extra without it.
    """
    return optional("faiss", extra="search", doing="an approximate search")
