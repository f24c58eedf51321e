# Licensed under a 3-clause BSD style license - see LICENSE
"""
The catalogue that a user gives: its rows in the order of the embeddings, and the column that names the galaxies.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from astropy import units as u
from astropy.coordinates import SkyCoord
from astropy.table import Table

from astro_photz.positions import read_positions
from astro_photz.tables.inputs import as_table
from astro_photz.utils._arrays import identifiers
from astro_photz.utils._column_names import GALAXY_NAMES, named
from astro_photz.utils._suggestions import advice

__all__ = ["GivenCatalogue", "are_places", "ids_of_table"]

_SAME_PLACE = 5 * u.arcsec  # of a row in a file and in a table, whose digits may be rounded


def are_places(ids):
    """Return True if identifiers (N,) are no names, but the places 0 to N - 1, or None."""
    return ids is None or (ids.dtype.kind in "iu" and np.array_equal(ids, np.arange(len(ids))))


def ids_of_table(table, column=None):
    """
    Find the names or numbers of galaxies in a table.

    Parameters
    ----------
    table : `~astropy.table.Table` (N,)
    column : str, optional
        The column to take. By default ``objid``, or else the first of ``object_id``, ``specobjid``, ``source_id``,
        ``id`` and ``name`` that has another value in each row.

    Returns
    -------
    `~numpy.ndarray` (N,) or None
        None if there is no such column.

    Raises
    ------
    ValueError
        If the table has no such column.

    Examples
    --------
    >>> from astropy.table import Table
    >>> from astro_photz.similarity._given import ids_of_table
    >>> ids_of_table(Table({"type": [1, 1], "source_id": [70, 71]})).tolist()
    [70, 71]
    """
    return next(iter(_all_ids(table, column)), None)


def _all_ids(table, column):
    """Every column of a table that may name its galaxies, the preferred one first."""
    found = []
    if column is not None:
        if column not in table.colnames:
            raise ValueError(f"ids: no column {column!r} in the table: {advice(column, table.colnames)}")
        found.append(identifiers(table[column]))
    for name in (name for bare in GALAXY_NAMES for name in named(table, bare)):
        if len(getattr(table[name], "shape", ())) != 1:
            continue
        ids = identifiers(table[name])
        if name in named(table, "objid") or (ids.dtype.kind in "iuU" and len(np.unique(ids)) == len(ids)):
            found.append(ids)
    return found


@dataclass(frozen=True)
class GivenCatalogue:
    """
    A table of N galaxies, with the positions and identifiers that it gives, if it has any.

    Parameters
    ----------
    table : `~astropy.table.Table` (N,) or None
    coord : `~astropy.coordinates.SkyCoord` (N,) or None
    ids : `~numpy.ndarray` (N,) or None
    others : tuple of `~numpy.ndarray` (N,)
        Further columns by which galaxies may be known.
    """

    table: Table | None = None
    coord: SkyCoord | None = None
    ids: np.ndarray | None = None
    others: tuple = ()

    @classmethod
    def of(cls, table, column=None):
        """Read a table-like; ``column`` names its galaxies. Raise a ValueError if there is no such column."""
        if table is None:
            if column is not None:
                raise ValueError(f"ids names the column {column!r}: give the table= that has it")
            return cls()
        table = as_table(table)
        ids, *others = _all_ids(table, column) or [None]
        try:
            coord = read_positions(table).coord
        except ValueError:  # a catalogue of magnitudes alone is one, too
            coord = None
        return cls(table, coord, ids, tuple(others))

    def in_order_of(self, ids, coord):
        """
        Order the rows as those of a file of embeddings (N,): by identifiers, or row by row where galaxies have none.

        Identifiers that count from 0 may be names or not: positions decide.

        Raises
        ------
        ValueError
            If a galaxy is not in the table, or the positions of the rows are others.
        """
        if self.table is None:
            return self
        columns = [one for one in (self.ids, *self.others) if one is not None] if ids is not None else []
        orders = [rows for rows in (_rows_of(column, ids) for column in columns) if rows is not None]
        if columns and not orders and not are_places(ids):
            missing = ids[~np.isin(ids.astype(str), columns[0].astype(str))]
            raise ValueError(
                f"table lacks {len(missing)} of the {len(ids)} galaxies, such as {missing[:1].astype(str)[0]}"
            )
        if orders and not are_places(ids):
            return self[orders[0]]
        for rows in orders:
            if self[rows]._agrees(coord):
                return self[rows]
        if not self._agrees(coord):
            raise ValueError(
                "table has its rows in another order than the embeddings, as their positions are not the same, and no "
                "ids tell which is which: give it in the same order"
            )
        return self

    def __getitem__(self, rows):
        coord = None if self.coord is None else self.coord[rows]
        ids = None if self.ids is None else self.ids[rows]
        return GivenCatalogue(self.table[rows], coord, ids, tuple(one[rows] for one in self.others))

    def _agrees(self, coord):
        """Return True if the galaxies of the rows are at these positions, as far as they are known."""
        if coord is None or self.coord is None or len(coord) != len(self.coord):
            return True  # other lengths are told elsewhere
        apart = self.coord.separation(coord)
        return not (np.ma.filled(apart.to_value(u.arcsec), np.nan) > _SAME_PLACE.value).any()


def _rows_of(column, ids):
    """Rows of a column of identifiers that hold some (N,), None if one is not in it."""
    own, wanted = column.astype(str), ids.astype(str)
    order = np.argsort(own, kind="stable")
    place = np.minimum(np.searchsorted(own[order], wanted), max(0, len(own) - 1))
    if not len(own) or (own[order][place] != wanted).any():
        return None
    return order[place]
