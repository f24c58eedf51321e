# Licensed under a 3-clause BSD style license - see LICENSE
"""
Ways to look at an index without a galaxy to begin with: the odd ones, the promising ones, and a map.
"""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any

import numpy as np
from astropy.utils.exceptions import AstropyUserWarning
from numpy.typing import ArrayLike

from astro_photz.utils._checks import check_count

from ._answers import listed
from ._oddities import labels_of, likely_rows, oddest_rows, probabilities
from ._projection import projected
from ._queries import of_ids
from ._where import selected_rows

if TYPE_CHECKING:
    from astropy.table import QTable

    from ._contents import Contents

__all__ = ["Exploration"]


class Exploration:
    """
    The part of a `~astro_photz.SimilarityIndex` that asks for no galaxy.

    Examples
    --------
    >>> import astro_photz
    >>> from astro_photz.similarity import Exploration, SimilarityIndex
    >>> index = SimilarityIndex.build(astro_photz.Cutouts.read(astro_photz.demo_path()))
    >>> isinstance(index, Exploration)
    True
    >>> len(index.outliers(2))
    2
    """

    _contents: Contents

    def outliers(self, n: int = 20, *, k: int = 10, where: Any = None) -> QTable:
        """
        List the oddest galaxies: those farthest from their neighbours.

        Parameters
        ----------
        n : int, optional
            How many of them.
        k : int, optional
            A galaxy is as odd as the mean distance to its k nearest neighbours is large. Up to about k galaxies of one
            odd kind are found, as they are no neighbours enough for each other.
        where : optional
            Galaxies to look among, as in `~astro_photz.SimilarityIndex.query`.

        Returns
        -------
        `~astropy.table.QTable`
            The oddest first: ``rank`` (from 1), ``distance`` (the mean one), ``similarity`` (the fraction of random
            pairs of galaxies that are farther apart), ``id`` and the columns of the catalogue.

        Raises
        ------
        ValueError
            If there are no two galaxies with vectors, or a condition is none.

        Warns
        -----
        AstropyUserWarning
            If there are fewer galaxies than ``n``.

        Examples
        --------
        >>> import numpy as np
        >>> from astro_photz.similarity import SearchSpace, SimilarityIndex
        >>> vectors = np.append(np.random.default_rng(0).normal(size=(50, 4)), [[9, 9, 9, 9]], axis=0)
        >>> index = SimilarityIndex.build(vectors, space=SearchSpace(np.zeros(4), np.eye(4)))
        >>> index.outliers(1)["id"].tolist()
        [50]
        """
        n, k = check_count("n", n), check_count("k", k)
        rows = self._known_rows(where)
        if len(rows) < 2:
            raise ValueError(f"of {len(rows)} galaxies with vectors, none is odder than others")
        found, distance = oddest_rows(self._contents, n, min(k, len(rows) - 1), rows)
        self._warn_of_few(len(found), n)
        told = f"Mean distance to the {k} nearest neighbours"
        return listed(self._contents, found, distance=(distance, told))

    def suggest(self, interesting: ArrayLike, not_interesting: ArrayLike, n: int = 20, *, where: Any = None) -> QTable:
        """
        List the galaxies to look at next, by some that you have looked at.

        Parameters
        ----------
        interesting, not_interesting : array_like of int or str
            Ids of galaxies in the index, one of each kind at least.
        n : int, optional
            How many galaxies to list.
        where : optional
            Galaxies to look among, as in `~astro_photz.SimilarityIndex.query`.

        Returns
        -------
        `~astropy.table.QTable`
            The most promising first: ``rank`` (from 1), ``probability`` (that you call it interesting), ``id`` and the
            columns of the catalogue. Galaxies that you have looked at are left out.

        Raises
        ------
        KeyError
            If an id is not in the index.
        ValueError
            If one of the kinds has no galaxy with a vector, a galaxy is of both, or a condition is none.

        Warns
        -----
        AstropyUserWarning
            If there are fewer galaxies than ``n``.

        Notes
        -----
        A logistic regression on the vectors, with a normal prior for its weights. Label what comes, add it to the
        lists, and ask again (compare Lochner & Bassett 2021, Astronomy and Computing 36, 100481).

        Examples
        --------
        >>> import astro_photz
        >>> from astro_photz.similarity import SimilarityIndex
        >>> index = SimilarityIndex.build(astro_photz.Cutouts.read(astro_photz.demo_path()))
        >>> index.suggest([1, 2], [3, 4, 5], n=2).colnames
        ['rank', 'probability', 'id', 'ra', 'dec']
        """
        n = check_count("n", n)
        labels = labels_of(self._contents, interesting, not_interesting)
        probability = probabilities(self._contents, labels)
        rows = likely_rows(self._contents, probability, labels, self._known_rows(where))[:n]
        self._warn_of_few(len(rows), n)
        return listed(self._contents, rows, probability=(probability[rows], "Probability of being called interesting"))

    def rows_of(self, ids: ArrayLike) -> np.ndarray:
        """
        Look up galaxies by their ids.

        Parameters
        ----------
        ids : array_like (M,) of int or str

        Returns
        -------
        `~numpy.ndarray` (M,) of int
            Their rows in the index.

        Raises
        ------
        KeyError
            If an id is not in the index.
        """
        return of_ids(self._contents, ids).own

    def project(self, method: str = "pca") -> np.ndarray:
        """
        Give each galaxy a place in a plane, for a map.

        Parameters
        ----------
        method : str, optional
            ``"pca"``, for the two principal components of the vectors; or ``"umap"``, which keeps neighbours together,
            and needs the extra ``[map]``.

        Returns
        -------
        `~numpy.ndarray` (N, 2) float32
            NaN for a galaxy without a vector.

        Raises
        ------
        ValueError
            If there is no such method.
        ImportError
            For UMAP without umap-learn.

        Examples
        --------
        >>> import astro_photz
        >>> from astro_photz.similarity import SimilarityIndex
        >>> index = SimilarityIndex.build(astro_photz.Cutouts.read(astro_photz.demo_path()))
        >>> index.project().shape
        (24, 2)
        """
        return projected(self._contents.vectors, method)

    def _known_rows(self, where):
        """Rows with vectors that conditions hold for."""
        if not len(self._contents):
            raise ValueError("the index is empty: there is nothing to find in it")
        selected = selected_rows(self._contents, where)
        rows = np.arange(len(self._contents)) if selected is None else selected
        if not len(rows):
            raise ValueError("no galaxy of the index is left to look at: where= excludes all of them")
        return rows[np.isfinite(np.asarray(self._contents.vectors[rows, 0], dtype=np.float32))]

    @staticmethod
    def _warn_of_few(found, n):
        if found < n:
            warnings.warn(
                f"there are only {found} galaxies to list, fewer than n={n}", AstropyUserWarning, stacklevel=3
            )
