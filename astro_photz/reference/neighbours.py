# Licensed under a 3-clause BSD style license - see LICENSE
"""
The result of a search for analogues.
"""

from typing import NamedTuple, Self

import numpy as np

__all__ = ["Neighbours"]


class Neighbours(NamedTuple):
    """
    Analogues of N galaxies, M each, the nearest first; NaN, -1 or an empty text for a galaxy without an embedding.

    Parameters
    ----------
    ids : `~numpy.ndarray` (N, M) of int or str
    redshift : `~numpy.ndarray` (N, M) float32
    distance : `~numpy.ndarray` (N, M) float32
        In standard deviations of the galaxies that the model knows.
    z_knn, z_knn_err : `~numpy.ndarray` (N,) float32
        The mean redshift of the k nearest, and its error.

    Examples
    --------
    >>> import numpy as np
    >>> from astro_photz.reference import Analogues
    >>> redshift = np.linspace(0.1, 0.2, 51)
    >>> found = Analogues.fit(redshift[:, None], redshift).search([[0.1499]], 2)
    >>> found.redshift, found.z_knn.shape
    (array([[0.15 , 0.148]], dtype=float32), (1,))
    """

    ids: np.ndarray
    redshift: np.ndarray
    distance: np.ndarray
    z_knn: np.ndarray
    z_knn_err: np.ndarray

    @classmethod
    def unknown(cls, n: int, m: int, kind: np.dtype) -> Self:
        """
        Make the neighbours of galaxies without an embedding, to be filled in.

        Parameters
        ----------
        n, m : int
            Number of galaxies, and of the analogues of each.
        kind : `~numpy.dtype`
            Of the analogues' identifiers.

        Returns
        -------
        `Neighbours` (n, m)
        """
        ids = np.full((n, m), -1, dtype=np.int64) if kind.kind in "iu" else np.zeros((n, m), dtype=kind)
        return cls(ids, *np.full((2, n, m), np.nan, dtype=np.float32), *np.full((2, n), np.nan, dtype=np.float32))
