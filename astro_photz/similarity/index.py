# Licensed under a 3-clause BSD style license - see LICENSE
"""
The index of galaxies that similarity searches ask.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from dataclasses import replace
from numbers import Real
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from astropy.table import QTable
from astropy.utils.exceptions import AstropyUserWarning
from numpy.typing import ArrayLike

from astro_photz.cutouts import Cutouts
from astro_photz.utils._checks import check_count
from astro_photz.utils._files import expanded
from astro_photz.utils._types import PathLike, TableLike

from ._answers import answer, mutual_only, search_all
from ._building import Building
from ._contents import Contents
from ._folder import check_folder, new_generation, read_index, save
from ._queries import queries_of, same_galaxies, usable
from ._search import assembled
from ._where import selected_rows
from .embeddings import Embeddings
from .exploration import Exploration

if TYPE_CHECKING:
    from astro_photz.cutouts import CutoutSource
    from astro_photz.models import PhotozModel

    from .space import SearchSpace

__all__ = ["SimilarityIndex"]


class SimilarityIndex(Exploration):
    """
    An index of N galaxies, which finds those most similar to others.

    Make one by `build` or `load`. A search is exact, unless there are so many galaxies that an approximate one is worth
    its while and faiss is installed.

    Examples
    --------
    >>> import astro_photz
    >>> from astro_photz.similarity import SimilarityIndex
    >>> cutouts = astro_photz.Cutouts.read(astro_photz.demo_path())
    >>> index = SimilarityIndex.build(cutouts, model="sim-small-v1-pretrained")
    >>> index
    <SimilarityIndex of 24 galaxies, 69 numbers each, in memory, exact>
    >>> index.query(cutouts[:1], k=3)["rank"].tolist()
    [1, 2, 3]
    """

    def __init__(self, contents: Contents, path: Path | None = None):
        self._contents = contents
        self.path = path

    @classmethod
    def build(
        cls,
        data: ArrayLike | Cutouts | TableLike | Embeddings | Iterator,
        *,
        ids: ArrayLike | str | None = None,
        table: TableLike | None = None,
        model: PathLike | PhotozModel | None = None,
        source: CutoutSource | PathLike | None = None,
        space: SearchSpace | None = None,
        approximate: bool | None = None,
        path: PathLike | None = None,
        overwrite: bool = False,
    ) -> Self:
        """
        Build an index.

        Parameters
        ----------
        data : array_like (N, D), `~astro_photz.similarity.embeddings.Embeddings`, iterator, Cutouts or table-like
            Embeddings: an array, a file of ``astro-photz embed``, or an iterator of arrays (M, D), which need not fit
            into memory together; or galaxies that are embedded now. Galaxies without an image, and vectors with NaN or
            of zeros, stay in the index, but are never found.
        ids : array_like (N,) or str, optional
            Names or numbers of the galaxies, or the column of the table that has them. By default those of ``data``; or
            the column ``objid``, or one of ``object_id``, ``specobjid``, ``source_id``, ``id`` and ``name`` without
            repeated values; and else their places.
        table : table-like (N,), optional
            Catalogue of the galaxies: its columns come with the neighbours, and a search can ask for ranges of them.
            It is matched to a file of embeddings by id, and to other data row by row.
        model : str, path-like or `~astro_photz.models.PhotozModel`, optional
            Model that makes, or has made, the embeddings. Images need one, ``conf.default_model`` by default.
        source : `~astro_photz.cutouts.CutoutSource`, str or path-like, optional
            Where images of a table come from, as in `~astro_photz.predict`.
        space : `SearchSpace`, optional
            That in which distances are measured; by default that of the model, and without one that of cosine
            similarity.
        approximate : bool, optional
            Whether to have an approximate search besides the exact one, which needs faiss. By default for vectors of
            more than 64 MiB, if faiss is installed.
        path : str or path-like, optional
            Folder to keep the index in. It is then built with one block of embeddings in memory at a time.
        overwrite : bool, optional
            Replace an index that is there.

        Returns
        -------
        `SimilarityIndex`

        Raises
        ------
        ValueError
            If ids are not unique, or numbers of rows differ.
        FileExistsError
            If there is such a folder, and ``overwrite`` is not set.
        ImportError
            If ``approximate`` is set without faiss.
        """
        building = Building.of(data, ids=ids, table=table, model=model, source=source, space=space)
        if path is None:
            return cls(assembled(building.in_memory(), approximate=approximate))
        path = expanded(path).resolve()
        check_folder(path, overwrite=overwrite)
        with new_generation(path) as folder:
            save(folder, assembled(building.in_folder(folder), approximate=approximate))
        return cls.load(path)

    @classmethod
    def load(cls, path: PathLike, *, approximate: bool = True) -> Self:
        """
        Open an index that was saved. Its files are mapped into memory, and read when they are needed.

        Parameters
        ----------
        path : str or path-like
            Folder of the index.
        approximate : bool, optional
            Whether to use its approximate search, if it has one.

        Returns
        -------
        `SimilarityIndex`
            As it is now: what other processes add later, it does not see.

        Raises
        ------
        FileNotFoundError
            If there is no index.
        ValueError
            If it is not whole.

        Warns
        -----
        AstropyUserWarning
            If the index has an approximate search, and faiss is not installed: the search is exact then.
        """
        path = expanded(path).resolve()
        try:
            contents, _ = read_index(path, approximate=approximate)
        except ImportError as error:
            contents, _ = read_index(path, approximate=False)
            warnings.warn(f"{path} is searched exactly, which is slower: {error}", AstropyUserWarning, stacklevel=2)
        return cls(contents, path)

    def save(self, path: PathLike, *, overwrite: bool = False) -> None:
        """
        Save the index in a folder, which is complete or not an index. This one goes on as it is; `load` opens that one.

        Parameters
        ----------
        path : str or path-like
        overwrite : bool, optional
            Replace an index that is there. Processes that have opened it keep the old one.

        Raises
        ------
        FileExistsError
            If there is such a folder, and ``overwrite`` is not set.
        """
        path = expanded(path).resolve()
        check_folder(path, overwrite=overwrite)
        with new_generation(path) as folder:
            save(folder, self._contents)

    def add(
        self,
        data: ArrayLike | Cutouts | TableLike | Embeddings | Iterator,
        *,
        ids: ArrayLike | str | None = None,
        table: TableLike | None = None,
        model: PathLike | PhotozModel | None = None,
        source: CutoutSource | PathLike | None = None,
    ) -> None:
        """
        Add galaxies to the index, and to its folder if it has one.

        Other processes that have opened the folder keep the index that they have read. An approximate search is trained
        anew.

        Parameters
        ----------
        data, ids, table, model, source
            As in `build`; the table has the same columns, and is converted to their units.

        Raises
        ------
        ValueError
            If an id is there already, or all galaxies where they have none; if the table has other columns, or units
            that do not convert; or if another model made the embeddings.
        BlockingIOError
            If another process is adding to the same folder.
        """
        if self.path is None:
            more = Building.of(data, ids=ids, table=table, model=model, source=source, like=self._contents)
            contents = more.appended(self._contents)
            self._contents = assembled(contents, approximate=self._contents.approximate is not None)
            return
        with new_generation(self.path) as folder:
            before, document = read_index(self.path, approximate=False)  # as it is now: another process may have added
            more = Building.of(data, ids=ids, table=table, model=model, source=source, like=before)
            contents = more.appended(before, folder)
            save(folder, assembled(contents, approximate=document.approximate))
        self._contents = read_index(self.path)[0]

    def query(
        self,
        what: Cutouts | TableLike | ArrayLike | Embeddings | str | int | None = None,
        k: int | None = 10,
        *,
        rows: ArrayLike | None = None,
        where: Any = None,
        radius: float | None = None,
        exclude_self: bool = True,
        mutual: bool = False,
        exact: bool = False,
        model: PathLike | PhotozModel | None = None,
        source: CutoutSource | PathLike | None = None,
    ) -> QTable:
        """
        Find the galaxies most similar to others.

        Parameters
        ----------
        what : Cutouts, table-like, array_like, `Embeddings`, str or int
            M galaxies: images; a table or SkyCoord; the ids of galaxies in the index (whole numbers or texts, one or
            many); or embeddings (M, D) or (D,), of floating-point numbers or in a file. Galaxies of a table with the
            id of one in the index, or within an arcsecond, are that one; images of the others are fetched.
        k : int, optional
            Neighbours of each; None for all within ``radius``.
        rows : array_like (M,) of int, optional
            Rows of the index, instead of ``what``.
        where : tuple, dict, array of bool, int or list, optional
            Galaxies to search among, chosen before the search: a cone (SkyCoord, Quantity); ranges of columns, such as
            ``{"r_mag": (15, 17), "redshift": (None, 0.1), "type": "spiral"}``, limits included; a mask (N,); flags that
            they must not have, such as ``PhotozFlag.CROWDED | PhotozFlag.PARTIAL``; or a list of these, which must all
            hold.
        radius : float, optional
            Largest distance of a neighbour.
        exclude_self : bool, optional
            Whether a galaxy that is in the index does not find itself: its id, and all within an arcsecond.
        mutual : bool, optional
            Keep only neighbours that have the query, too, among their k nearest.
        exact : bool, optional
            Search exactly, even if there is an approximate search.
        model : str, path-like or `~astro_photz.models.PhotozModel`, optional
            Model of the index, if it has another name or place here.
        source : `~astro_photz.cutouts.CutoutSource`, str or path-like, optional
            Where images of a table come from, as in `~astro_photz.predict`.

        Returns
        -------
        `~astropy.table.QTable`
            A row for each neighbour: ``query``, ``rank`` (from 1), ``distance``, ``similarity`` (the fraction of random
            pairs of galaxies of the index that are farther apart), ``id``, ``ra`` and ``dec`` if they are known, and
            the columns of the catalogue.

        Raises
        ------
        ValueError
            If the index is empty, no query has an image, vectors have another length, or a condition is none.
        KeyError
            If an id is not in the index.
        `~astro_photz.models.ModelError`
            If images would be embedded by another model than that of the index.

        Warns
        -----
        AstropyUserWarning
            If some queries have no image, or there are fewer galaxies than ``k``.
        """
        contents = self._contents
        if not len(contents):
            raise ValueError("the index is empty: there is nothing to find in it")
        k = _checked_number(k, radius, mutual=mutual)
        queries = usable(queries_of(contents, what, rows, model=model, source=source))
        selected = selected_rows(contents, where)
        if selected is not None and not len(selected):
            raise ValueError("no galaxy of the index is left to search among: where= excludes all of them")
        own = same_galaxies(contents, queries) if exclude_self else None
        most = k if k is None else min(k, len(contents))
        found = search_all(contents, queries.vectors, most, rows=selected, own=own, radius=radius, exact=exact)
        if k is not None and radius is None:
            _warn_of_few(found, k, len(queries.labels))
        if mutual:
            found = mutual_only(contents, found, most, rows=selected)
        return answer(contents, queries, found)

    def __len__(self) -> int:
        return len(self._contents)

    def __repr__(self) -> str:
        contents = self._contents
        where = "in memory" if self.path is None else f"in {self.path}"
        told = "exact" if contents.approximate is None else f"approximate with a recall of {contents.recall:.3f}"
        return f"<SimilarityIndex of {len(self)} galaxies, {contents.space.dim} numbers each, {where}, {told}>"

    @property
    def ids(self) -> np.ndarray:
        """Names or numbers of the galaxies, `~numpy.ndarray` (N,)."""
        return np.asarray(self._contents.ids)

    @property
    def vectors(self) -> np.ndarray:
        """Vectors of the galaxies in the space of the search, `~numpy.ndarray` (N, K) float16; NaN where unknown."""
        return self._contents.vectors

    @property
    def catalogue(self) -> QTable:
        """Positions and columns of the galaxies, `~astropy.table.QTable` (N,)."""
        return QTable(self._contents.catalogue)

    @property
    def space(self) -> SearchSpace:
        """Space in which distances are measured, `SearchSpace`."""
        return self._contents.space

    @property
    def recall(self) -> float:
        """Share of the ten nearest neighbours that the search finds, measured when it was built, float."""
        return self._contents.recall

    @property
    def is_approximate(self) -> bool:
        """True if the index has an approximate search, bool."""
        return self._contents.approximate is not None

    @property
    def model(self) -> dict:
        """Name of the model that made the embeddings, and hash of its encoder, dict; empty if unknown."""
        return dict(self._contents.model)

    def exact(self) -> SimilarityIndex:
        """
        Make an index of the same galaxies that searches exactly.

        Returns
        -------
        `SimilarityIndex`
        """
        return SimilarityIndex(replace(self._contents, approximate=None, recall=1.0), self.path)


def _checked_number(k, radius, *, mutual):
    """Check k and the radius of a search; return k as an int or None."""
    if radius is not None and not (isinstance(radius, Real) and np.isfinite(radius) and radius >= 0):
        raise ValueError(f"radius must be a distance of 0 or more, got {radius!r}")
    if k is None:
        if radius is None or mutual:
            raise ValueError("k must be a number of neighbours, unless radius= limits them")
        return None
    return check_count("k", k)


def _warn_of_few(found, k, n):
    fewest = int(np.bincount(found.query, minlength=n).min(initial=k))
    if fewest < k:
        told = f"there are only {fewest} galaxies with vectors to find, fewer than k={k}"
        warnings.warn(told, AstropyUserWarning, stacklevel=3)
