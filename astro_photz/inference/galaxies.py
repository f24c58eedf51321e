# Licensed under a 3-clause BSD style license - see LICENSE
"""
Galaxies of a run that writes a file: their images in batches, and their table in parts.

What a run does not need at once is not in memory: of cutouts in a file nothing but a batch, of a table in a file the
positions and a part.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from astropy import units as u
from astropy.coordinates import SkyCoord
from astropy.table import QTable, Table

from astro_photz.cutouts import Batch, Cutouts, CutoutSource
from astro_photz.cutouts.collect import collect_batches, with_known_ebv
from astro_photz.cutouts.container import read_rows
from astro_photz.cutouts.hdf5.layout import holds, open_cutouts, read_column, read_coord
from astro_photz.cutouts.sources.hdf5_file import read_catalog
from astro_photz.cutouts.sources.named import source_or_archive
from astro_photz.cutouts.unfinished import facts_of, hash_of, some_positions, state_of
from astro_photz.models.model import IMAGE_SIZE
from astro_photz.positions import Positions, position_columns, read_positions
from astro_photz.similarity._given import ids_of_table
from astro_photz.tables.inputs import as_table
from astro_photz.tables.parts import TableParts, open_parts
from astro_photz.utils._arrays import identifiers
from astro_photz.utils._files import expanded
from astro_photz.utils._suggestions import advice
from astro_photz.utils._threads import made_ahead

from .engine import BATCH, batches_of

__all__ = ["Galaxies", "PartsOfTable", "check_shard", "open_galaxies", "table_of"]


_SAME_PLACE = 1 * u.arcsec


class _Parts(Protocol):
    """A table that is read in parts, as `~astro_photz.tables.parts.TableParts`."""

    @property
    def n(self) -> int: ...

    @property
    def streamed(self) -> bool: ...

    @property
    def colnames(self) -> list[str]: ...

    def part(self, start: int, stop: int) -> Table: ...


class Galaxies(Protocol):
    """
    Galaxies with images, some way or other.
    """

    @property
    def source(self) -> Any:
        """Source of the images, with a ``name``; None where they are in memory."""
        ...

    @property
    def table(self) -> _Parts:
        """The table of the galaxies."""
        ...

    def __len__(self) -> int: ...

    @property
    def ids(self) -> np.ndarray:
        """Their names or numbers, (N,)."""
        ...

    @property
    def coord(self) -> SkyCoord | None:
        """Their positions, (N,); None where these are not known."""
        ...

    def facts(self) -> dict:
        """Facts that decide what is estimated, by which an unfinished run knows its own galaxies."""
        ...

    def are_of(self, table: TableParts, start: int = 0) -> bool:
        """Tell whether a table has been made of these galaxies, from one of them on."""
        ...

    def batches(self, rows: np.ndarray) -> Iterator[Batch]:
        """Yield batches of some galaxies; their rows count these."""
        ...


@dataclass(frozen=True, eq=False)
class PartsOfTable:
    """
    Parts of a table in memory.

    Parameters
    ----------
    whole : `~astropy.table.Table` (N,)
    """

    whole: Table
    streamed = False

    @property
    def n(self):
        """Number of rows, int."""
        return len(self.whole)

    @property
    def colnames(self):
        """Names of the columns, list of str."""
        return list(self.whole.colnames)

    def part(self, start, stop):
        """Rows from one number to another, `~astropy.table.Table`."""
        return self.whole[start:stop]

    def columns(self, names):
        """Columns by their names, `~astropy.table.Table` (N,)."""
        return self.whole[list(names)]


def table_of(cutouts):
    """
    Make a table of cutouts.

    Parameters
    ----------
    cutouts : `~astro_photz.Cutouts` (N,)

    Returns
    -------
    `~astropy.table.QTable` (N,)
        ``id``, ``coord`` if it is known, and ``ebv``.
    """
    table = QTable({"id": cutouts.ids})
    if cutouts.coord is not None:
        table["coord"] = cutouts.coord
    table["ebv"] = cutouts.ebv
    return table


class _InMemory:
    """Cutouts in memory."""

    source = None

    def __init__(self, cutouts: Cutouts):
        self.cutouts, self.ids, self.coord = cutouts, cutouts.ids, cutouts.coord

    def __len__(self):
        return len(self.cutouts)

    @cached_property
    def table(self):
        return PartsOfTable(table_of(self.cutouts))

    def facts(self):
        return {"images": hashlib.sha256(np.ascontiguousarray(self.cutouts.flux)).hexdigest()}

    def are_of(self, table, start=0):
        return _same_ids(table.columns(["id"])["id"], self.cutouts.ids[start : start + table.n])

    def batches(self, rows):
        return batches_of(self.cutouts[rows], progress=False)


class _InFile:
    """Cutouts in a file, whose table is read in parts too."""

    streamed = True

    def __init__(self, path: Path):
        self.source = self.table = self
        self.path, self.name = path, path.name
        with open_cutouts(path) as file:
            self.n = len(file["images"])
            self._placed = "ra" in file and "dec" in file

    def __len__(self):
        return self.n

    @cached_property
    def colnames(self):
        return self.part(0, 1).colnames

    @property
    def ids(self):
        with open_cutouts(self.path) as file:
            ids = read_column(file, "ObjID")
        return np.arange(self.n) if ids is None else identifiers(ids)

    @property
    def coord(self):
        with open_cutouts(self.path) as file:
            return read_coord(file) if self._placed else None

    def part(self, start, stop):
        with open_cutouts(self.path) as file:
            return read_catalog(file, slice(start, stop))

    def columns(self, names):
        return self.part(0, self.n)[list(names)]

    def facts(self):
        return {"source": self.name, "images": state_of(self.path)}

    def are_of(self, table, start=0):
        return _same_ids(table.columns(["objid"])["objid"], self.part(start, start + table.n)["objid"])

    def batches(self, rows):
        return made_ahead(self._batches(rows))  # which the threads of the model would wait for

    def _batches(self, rows):
        with open_cutouts(self.path) as file:
            for start in range(0, len(rows), BATCH):
                part = rows[start : start + BATCH]
                coord = read_coord(file, slice(part[0], part[-1] + 1))[part - part[0]] if self._placed else None
                batch = Batch(np.arange(len(part)), read_rows(file, part).crop(IMAGE_SIZE))
                yield with_known_ebv(batch, coord)._replace(rows=batch.rows + start)  # cutouts are made without filling


@dataclass(frozen=True, eq=False)
class _Placed:
    """Galaxies at positions, whose images a source has."""

    table: PartsOfTable | TableParts
    positions: Positions
    source: CutoutSource
    named: dict

    def __len__(self):
        return len(self.positions)

    @property
    def ids(self):
        ids = ids_of_table(self.table.part(0, len(self)))
        return np.arange(len(self)) if ids is None else ids

    @property
    def coord(self):
        return self.positions.coord

    def facts(self):
        return {"galaxies": hash_of(self.positions), "source": self.source.name} | facts_of(self.source)

    def are_of(self, table, start=0):
        other = _placed(table, self.source, self.named).positions.coord
        own = self.positions.coord[start : start + len(other)]
        near = (own.separation(other) < _SAME_PLACE) | (np.isnan(own.ra) & np.isnan(other.ra))
        return len(own) == len(other) and bool(near.all())

    def batches(self, rows):
        return collect_batches(
            some_positions(self.positions, rows), source=self.source, size=IMAGE_SIZE, progress=False
        )


class _Shard:
    """Some of the rows of galaxies, one after the other."""

    def __init__(self, galaxies: Galaxies, number: int, of: int):
        n = len(galaxies)
        self._galaxies, self._shard = galaxies, [number, of]
        self._start, self._stop = n * (number - 1) // of, n * number // of
        self.source, self.table, self.streamed = galaxies.source, self, galaxies.table.streamed
        self.n, self.colnames = self._stop - self._start, galaxies.table.colnames

    @property
    def ids(self):
        return self._galaxies.ids[self._start : self._stop]

    @property
    def coord(self):
        coord = self._galaxies.coord
        return None if coord is None else coord[self._start : self._stop]

    def __len__(self):
        return self.n

    def part(self, start, stop):
        return self._galaxies.table.part(self._start + start, min(self._start + stop, self._stop))

    def facts(self):
        return self._galaxies.facts() | {"shard": self._shard}

    def are_of(self, table, start=0):
        return self._galaxies.are_of(table, self._start + start)

    def batches(self, rows):
        return self._galaxies.batches(rows + self._start)


@contextmanager
def open_galaxies(
    data: Any, *, source: Any = None, format: str | None = None, shard: Any = None, **named: Any
) -> Iterator[Galaxies]:
    """
    Open the galaxies that the user gives.

    Parameters
    ----------
    data : table-like or `~astro_photz.Cutouts`
        As in `~astro_photz.predict`.
    source : `~astro_photz.cutouts.CutoutSource`, str or path-like, optional
    format : str, optional
        Of a table in a file, as in `~astro_photz.tables.read_table`.
    shard : tuple of int, optional
        As in `~astro_photz.inference.prediction_files.predict_to_file`.
    **named
        As in `~astro_photz.positions.read_positions`.

    Yields
    ------
    `Galaxies`
    """
    if shard is not None:
        number, of = check_shard(shard)
        with open_galaxies(data, source=source, format=format, **named) as galaxies:
            yield _Shard(galaxies, number, of)
        return
    if isinstance(data, Cutouts):
        yield _InMemory(data)
        return
    if not isinstance(data, str | os.PathLike):
        yield _placed(PartsOfTable(as_table(data)), source, named)
        return
    if str(data) != "-" and source in (None, "sdss") and holds(expanded(data)):
        yield _InFile(expanded(data))
        return
    with open_parts(data, format=format) as parts:
        yield _placed(parts, source, named)


def check_shard(shard):
    """
    Check the number of a part of a table and that of all parts.

    Parameters
    ----------
    shard : tuple of int

    Returns
    -------
    tuple of int

    Raises
    ------
    ValueError
        If it is none.
    """
    numbers = tuple(shard) if isinstance(shard, tuple | list) else ()
    whole = all(isinstance(number, int | np.integer) and not isinstance(number, bool) for number in numbers)
    if len(numbers) != 2 or not whole or not 1 <= numbers[0] <= numbers[1]:
        raise ValueError(
            f"shard must be the number of a part, from 1, and that of all parts, as in (3, 10); got {shard!r}"
        )
    return numbers


def _placed(table, source, named):
    head = table.part(0, 0)
    given = {name: named.get(name) for name in ("coord", "ra", "dec", "ebv")}
    for name, column in given.items():  # here, where all names of the table are known
        if isinstance(column, str) and column not in head.colnames:
            raise KeyError(f"{name}={column!r}: the table has no such column; {advice(column, head.colnames)}")
    names = position_columns(head, **given)
    positions = read_positions(table.columns(names) if names else head, **named)
    return _Placed(table, positions, source_or_archive(source), named)


def _same_ids(one, other):
    """Compare identifiers as text, which formats keep in one form or another."""
    return np.array_equal(*(np.asarray(np.ma.getdata(ids)).astype(str) for ids in (one, other)))
