# Licensed under a 3-clause BSD style license - see LICENSE
"""
Images of the galaxies of an answer: out of cutouts that are at hand, or fetched from a source.
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from astropy import units as u
from astropy.coordinates import SkyCoord
from astropy.table import Table
from astropy.utils.exceptions import AstropyUserWarning

from astro_photz.cutouts import CutoutFile, Cutouts, fetch
from astro_photz.cutouts.container import read_rows
from astro_photz.cutouts.hdf5.layout import holds, is_simulated, open_cutouts, read_column, read_coord
from astro_photz.utils._arrays import identifiers
from astro_photz.utils._files import expanded
from astro_photz.utils._sky import icrs_from_degrees
from astro_photz.utils._types import PathLike

from ._given import are_places

if TYPE_CHECKING:
    from astro_photz.cutouts import CutoutSource

__all__ = ["Places", "at_hand", "shows_simulated", "stamps_of", "stamps_of_queries"]

_SAME_PLACE, _ELSEWHERE = 1 * u.arcsec, 10 * u.arcsec


@dataclass(frozen=True, eq=False)
class Places:
    """
    Names and positions of M galaxies, by which their images are found.

    Parameters
    ----------
    ids : `~numpy.ndarray` (M,)
    coord : `~astropy.coordinates.SkyCoord` (M,) or None
        NaN where unknown.
    """

    ids: np.ndarray
    coord: SkyCoord | None

    def __len__(self) -> int:
        return len(self.ids)

    @classmethod
    def of(cls, table: Table | dict[str, Any], name: str = "id") -> Places:
        """
        Take the galaxies of an answer, or of a dict of lists.

        Parameters
        ----------
        table : `~astropy.table.Table` or dict
        name : str, optional
            Column of the names; positions are in ``ra`` and ``dec``, if they are known.

        Returns
        -------
        `Places`
        """
        columns = table.colnames if isinstance(table, Table) else table
        coord = None
        if {"ra", "dec"} <= set(columns):
            values = [np.ma.filled(np.ma.asarray(table[one]).astype(float), np.nan) for one in ("ra", "dec")]
            coord = icrs_from_degrees(*values)
        return cls(np.asarray(table[name]), coord)

    def joined(self, other: Places) -> Places:
        """
        Append other galaxies.

        Parameters
        ----------
        other : `Places`

        Returns
        -------
        `Places`
            Their names are texts if those of either are.
        """
        kinds = {self.ids.dtype.kind in "iu", other.ids.dtype.kind in "iu"}
        ids = [one.astype(str) if len(kinds) > 1 else one for one in (self.ids, other.ids)]
        degrees = [
            np.full((2, len(one)), np.nan) if one.coord is None else [one.coord.ra.deg, one.coord.dec.deg]
            for one in (self, other)
        ]
        return Places(np.concatenate(ids), icrs_from_degrees(*np.concatenate(degrees, axis=1)))


def at_hand(source: object) -> bool:
    """
    Find out if images of a source are on this machine, so that a hundred more cost little.

    Parameters
    ----------
    source : object

    Returns
    -------
    bool
        True for `~astro_photz.Cutouts` and files of them.
    """
    if isinstance(source, str | os.PathLike):
        return expanded(source).is_file()
    return isinstance(source, Cutouts | CutoutFile)


def shows_simulated(source: object) -> bool:
    """
    Find out if the images of a source are known to be simulated.

    Parameters
    ----------
    source : object

    Returns
    -------
    bool
    """
    path = _file_of(source)
    if path is None:
        return False
    with open_cutouts(path) as file:
        return is_simulated(file)


def stamps_of(source: CutoutSource | Cutouts | PathLike, galaxies: Places) -> np.ndarray:
    """
    Get the images of galaxies.

    Parameters
    ----------
    source : `~astro_photz.Cutouts`, `~astro_photz.cutouts.CutoutSource`, str or path-like
        Images that are at hand, in which galaxies are found by id, or else by position within an arcsecond, or else by
        row if they have no names; or where to fetch them from, as in `~astro_photz.fetch`.
    galaxies : `Places` (M,)

    Returns
    -------
    `~numpy.ndarray` (M, 5, S, S) float32
        Nanomaggies; NaN for a galaxy without an image.

    Raises
    ------
    ValueError
        If images are to be fetched, and no position is known.
    OSError
        If the archive cannot be reached, or there is no such file.
    """
    path = _file_of(source)
    if path is not None:
        with open_cutouts(path) as file:
            ids = read_column(file, "ObjID")
            coord = read_coord(file) if "ra" in file and "dec" in file else None
            rows = _rows_of(galaxies, None if ids is None else identifiers(ids), coord, len(file["images"]))
            found, back = np.unique(rows[rows >= 0], return_inverse=True)
            return _placed(rows, read_rows(file, found).flux[back] if len(found) else None)
    if isinstance(source, Cutouts):
        rows = _rows_of(galaxies, source.ids, source.coord, len(source))
        return _placed(rows, np.asarray(source.flux)[rows[rows >= 0]])
    return _fetched(source, galaxies)


def stamps_of_queries(cutouts: Cutouts, labels: Sequence[Any]) -> np.ndarray:
    """
    Take the images of queries out of the cutouts that were searched for.

    Parameters
    ----------
    cutouts : `~astro_photz.Cutouts`
    labels : sequence of int or str (M,)
        Of the queries in the answer: their ids, or their numbers without any.

    Returns
    -------
    `~numpy.ndarray` (M, 5, S, S) float32
        NaN for a query that is not among them.
    """
    names = np.arange(len(cutouts)) if cutouts.ids is None else cutouts.ids
    places = {str(name): row for row, name in enumerate(names.tolist())}
    rows = np.array([places.get(str(label), -1) for label in labels], dtype=int)
    return _placed(rows, np.asarray(cutouts.flux)[rows[rows >= 0]])


def _file_of(source):
    """Path of a file of cutouts, None for another source."""
    if isinstance(source, CutoutFile):
        return source.path
    if isinstance(source, str | os.PathLike) and holds(expanded(source)):
        return expanded(source)
    return None


def _placed(rows, flux):
    if flux is None or not len(flux):
        return np.full((len(rows), 5, 64, 64), np.nan, dtype=np.float32)
    result = np.full((len(rows), *flux.shape[1:]), np.nan, dtype=np.float32)
    result[rows >= 0] = flux
    return result


def _rows_of(galaxies, ids, coord, n):
    """Rows (M,) of images that show galaxies, -1 for none: by id, where positions do not deny it, or by position."""
    rows = np.full(len(galaxies), -1)
    both = galaxies.coord is not None and coord is not None
    if both:
        known, valid = np.isfinite(coord.ra.deg), np.isfinite(galaxies.coord.ra.deg)
        if known.any() and valid.any():
            nearest, apart, _ = galaxies.coord[valid].match_to_catalog_sky(coord[known])
            rows[valid] = np.where(apart <= _SAME_PLACE, np.flatnonzero(known)[nearest], -1)
    names = np.arange(n) if ids is None and (not both or are_places(galaxies.ids)) else ids
    if names is None or not n:
        return rows
    names = names.astype(str)
    order = np.argsort(names, kind="stable")
    wanted = galaxies.ids.astype(str)
    place = np.minimum(np.searchsorted(names[order], wanted), n - 1)
    named = np.where(names[order][place] == wanted, order[place], -1)
    if both:
        apart = galaxies.coord.separation(coord[np.maximum(named, 0)])
        named[np.ma.filled(apart.to_value(u.arcsec), np.nan) > _ELSEWHERE.value] = -1
    return np.where(named >= 0, named, rows)


def _fetched(source, galaxies):
    known = np.zeros(len(galaxies), dtype=bool) if galaxies.coord is None else np.isfinite(galaxies.coord.ra.deg)
    if not known.any():
        raise ValueError(
            f"no position is known of the {len(galaxies)} galaxies, so no image of them can be fetched: give their "
            "Cutouts"
        )
    with warnings.catch_warnings():  # of the reddening, which a picture does not need
        warnings.filterwarnings("ignore", message=".*(?:E\\(B-V\\)|reddening|extinction)", category=AstropyUserWarning)
        cutouts = fetch(galaxies.coord[known], source=source, progress=False)
    flux = np.full((len(galaxies), *cutouts.flux.shape[1:]), np.nan, dtype=np.float32)
    flux[known] = cutouts.flux
    return flux
