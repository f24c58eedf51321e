# Licensed under a 3-clause BSD style license - see LICENSE
"""
From a table of galaxies to a file with redshifts, with one batch in memory at a time, and resumable.

The estimates go into an unfinished file, a row of fixed length for each galaxy, and a journal beside it tells which
rows are done. When all are, the table is read again, part by part, and written with its new columns.
"""

from __future__ import annotations

import warnings
from contextlib import ExitStack, closing
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from astropy.coordinates import SkyCoord
from astropy.table import vstack

from astro_photz.cutouts import Cutouts
from astro_photz.cutouts.failures import Failures
from astro_photz.flags import PhotozFlag, parse, with_names
from astro_photz.models import load_model
from astro_photz.tables import LossWarning, check_writable, formats
from astro_photz.tables.formats import COMPRESSED
from astro_photz.tables.parts import open_parts
from astro_photz.tables.streams import can_stream, survey, write_parts
from astro_photz.utils._checks import check_not_there
from astro_photz.utils._claims import claimed
from astro_photz.utils._files import expanded, full_disk_told, take_room
from astro_photz.utils._journal import Journal
from astro_photz.utils._progress import progress_bar
from astro_photz.utils._types import PathLike, TableLike, UnitLike

from .columns import ResultColumns, earlier_columns, put, record_of
from .engine import estimate_batches
from .galaxies import Galaxies, open_galaxies

if TYPE_CHECKING:
    from astro_photz.cutouts import CutoutSource
    from astro_photz.models import PhotozModel

__all__ = ["predict_to_file"]

_PART = 16_384  # rows that are written at once
_HEAD = 1000  # rows in which the form of the file is tried


def predict_to_file(
    data: TableLike | Cutouts,
    path: PathLike,
    *,
    source: CutoutSource | PathLike | None = None,
    model: PathLike | PhotozModel | None = None,
    prefix: str = "z_phot",
    pdf: bool = False,
    analogues: int = 0,
    flags: str = "numbers",
    replace: bool = False,
    retry_failed: bool = False,
    failures: PathLike | None = None,
    shard: tuple[int, int] | None = None,
    format: str | None = None,
    output_format: str | None = None,
    overwrite: bool = False,
    progress: bool | None = None,
    coord: str | SkyCoord | None = None,
    ra: str | None = None,
    dec: str | None = None,
    ra_unit: UnitLike = None,
    ebv: str | None = None,
    extinction_release: int | None = None,
) -> np.ndarray:
    """
    Add photometric redshifts to a table of galaxies, and write it.

    The file holds what `~astro_photz.predict` gives. It takes its name when it is complete. Until then, the same call
    resumes the work where it was stopped: a galaxy with an estimate is never estimated again. What is in memory does
    not grow with the number of galaxies if these come from a file of cutouts. Of a table in FITS, HDF5, Parquet or
    plain CSV that is written in one of these formats, positions, names and reddening of all galaxies are in memory.

    Parameters
    ----------
    data : table-like or `~astro_photz.Cutouts`
        N galaxies, as in `~astro_photz.predict`.
    path : str or path-like
        The file, in the format of its suffix.
    flags : {'numbers', 'names'}, optional
        How flags are written.
    retry_failed : bool, optional
        Estimate again the galaxies without an image of a finished file, which is replaced; those with one are kept.
    failures : path-like, optional
        Table to write of the galaxies without an estimate: their rows in the file from 0, flags, and what was wrong.
    shard : tuple of int, optional
        Number i, from 1, and n of the n parts of about equal length into which the table is divided: only the rows of
        the i-th are taken. `~astro_photz.tables.merge_tables` puts the files together.
    format, output_format : str, optional
        Astropy's names of the formats of a table in a file and of the output, if they do not show.
    overwrite : bool, optional
        Replace a file that is there, or one that was begun with other settings.
    source, model, prefix, pdf, analogues, replace, progress, coord, ra, dec, ra_unit, ebv, extinction_release
        As in `~astro_photz.predict`.

    Returns
    -------
    `~numpy.ndarray` (N,) of int32
        Bits of `~astro_photz.PhotozFlag`.

    Raises
    ------
    FileExistsError
        If there is such a file, or an unfinished one of other settings, and ``overwrite`` is not set.
    FileNotFoundError
        If there is no finished file whose failed galaxies could be tried again.
    BlockingIOError
        If another process writes this file.
    ValueError
        If the format cannot hold the table; or if the finished file is of another table or model.
    TypeError, KeyError, OSError
        As in `~astro_photz.predict`.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> import astro_photz
    >>> from astro_photz.tables import read_table
    >>> path = pathlib.Path(tempfile.mkdtemp()) / "z.fits"
    >>> flags = astro_photz.predict_to_file(astro_photz.demo_path(), path)
    >>> len(flags), read_table(path).colnames[:5]
    (24, ['objid', 'ra', 'dec', 'redshift', 'z_phot'])
    """
    if flags not in ("numbers", "names"):
        raise ValueError(f"flags must be 'numbers' or 'names', got {flags!r}")
    model, path = load_model(model), expanded(path)
    named: dict[str, Any] = {"coord": coord, "ra": ra, "dec": dec, "ra_unit": ra_unit, "ebv": ebv}
    columns = ResultColumns.of(model, pdf=pdf, n_analogues=analogues)
    named |= {"source": source, "shard": shard, "extinction_release": extinction_release}
    form = formats.output_format(path, output_format)
    with open_galaxies(data, format=format, **named) as galaxies:
        taken = earlier_columns(galaxies.table.colnames, prefix, replace=replace)
        output = _Output(galaxies, columns, model, prefix, taken, flags == "names", path, form)
        output.check()
        told = None if failures is None else _failures_file(failures, output, overwrite=overwrite or retry_failed)
        with claimed(path), full_disk_told(path):
            if not retry_failed:
                check_not_there(path, overwrite=overwrite)
            flags = _predicted(output, told, retry_failed=retry_failed, overwrite=overwrite, progress=progress)
        if told:
            told.write(flags, ids=galaxies.ids, coord=galaxies.coord)
        return flags


def _failures_file(path, output, *, overwrite):
    if expanded(path).absolute() == output.path.absolute():
        raise ValueError(f"failures must be another file than the output, got {path}")
    return Failures(path, len(output.galaxies), overwrite=overwrite)


def _predicted(output, failures, *, retry_failed, overwrite, progress):
    unfinished = _Unfinished(output.path.with_name(f"{output.path.name}.part"), len(output.galaxies), output.columns)
    Journal.tidy(unfinished.path, output.path)
    task = {"n": unfinished.n, "model": output.model.sha256, "pdf": output.columns.pdf}
    task |= {"analogues": output.columns.n_analogues} | output.galaxies.facts()
    start = partial(unfinished.lay_out, output.earlier if retry_failed else tuple)
    with ExitStack() as last:
        last.callback(Journal.tidy, unfinished.path, output.path)
        journal = last.enter_context(closing(Journal.open(unfinished.path, task, start=start, overwrite=overwrite)))
        try:
            _estimate(unfinished, output, journal, failures, progress)
        except BaseException:
            if not journal:  # there is nothing to resume
                unfinished.forget(journal)
            raise
        flags = unfinished.column("z_flags")
        try:
            output.write(unfinished, overwrite=overwrite or retry_failed)
        except FileExistsError:  # one that appeared meanwhile: the table has another name
            journal.complete()
            raise
        journal.complete()
    return flags


def _estimate(unfinished, output, journal, failures, progress):
    """Estimate the galaxies that the journal has not."""
    todo = journal.todo(unfinished.n)
    with progress_bar(unfinished.n, progress) as advance:
        advance(unfinished.n - len(todo))
        if not len(todo):
            return

        def numbers(part):
            return part.rows, output.columns.rows(part)

        batches = output.galaxies.batches(todo)
        if failures:
            batches = failures.noted(batches, todo)
        with closing(estimate_batches(batches, output.model, then=numbers)) as parts:
            for rows, values in parts:
                unfinished.put(todo[rows], values)
                failed = (values["z_flags"] & PhotozFlag.NO_IMAGE) != 0  # a later call asks for its image again
                journal.add(todo[rows[~failed]])
                advance(len(rows), int(failed.sum()))


@dataclass(frozen=True)
class _Unfinished:
    """A file with a row of numbers for each of n galaxies."""

    path: Path
    n: int
    form: ResultColumns

    def lay_out(self, earlier):
        """Make the file, with the estimates that ``earlier()`` yields; return the numbers of their rows."""
        known = earlier()
        with open(self.path, "wb") as file:
            file.truncate(max(1, self.n * self.form.dtype.itemsize))
        take_room(self.path)
        done = [np.zeros(0, dtype=int)]
        for start, values in known:
            rows = start + np.arange(len(values["z_flags"]))
            self.put(rows, values)
            done.append(rows[(values["z_flags"] & PhotozFlag.NO_IMAGE) == 0])
        return np.concatenate(done)

    def _rows(self):
        # Mapped anew each time: pages that stay mapped would count as memory of this process.
        return np.memmap(self.path, dtype=self.form.dtype, mode="r+", shape=(self.n,))

    def put(self, rows, values):
        put(self._rows(), rows, values)

    def part(self, start, stop):
        """Rows in memory, from one number to another, dict of arrays."""
        rows = np.array(self._rows()[start:stop]) if self.n else np.zeros(0, dtype=self.form.dtype)
        return {name: np.ascontiguousarray(rows[name]) for name in rows.dtype.names}

    def column(self, name):
        """Numbers of one name of all galaxies, read a part at a time."""
        parts = [np.array(self._rows()[start:stop][name]) for start, stop in _parts(self.n) if stop]
        return np.concatenate([np.zeros(0, dtype=self.form.dtype[name]), *parts])

    def forget(self, journal):
        self.path.unlink(missing_ok=True)
        journal.path.unlink(missing_ok=True)


@dataclass(frozen=True, eq=False)
class _Output:
    """The table that is written: that of the galaxies, with new columns."""

    galaxies: Galaxies
    columns: ResultColumns
    model: PhotozModel
    prefix: str
    taken: list
    named_flags: bool
    path: Path
    form: str

    @property
    def streamed(self):
        """True if the table need not be in memory as a whole."""
        return self.galaxies.table.streamed and can_stream(self.form) and self.path.suffix.lower() not in COMPRESSED

    def check(self):
        """Refuse before the work what the format cannot hold, and warn of what it changes."""
        table = self.galaxies.table
        if self.streamed:
            parts = (table.part(start, stop) for start, stop in _parts(table.n))
            sample = vstack([survey(parts), table.part(0, _HEAD)], metadata_conflicts="silent")
        else:
            sample = table.part(0, table.n)
        ids = None if self.columns.analogues is None else self.columns.analogues.ids[: self.columns.n_analogues]
        options = {"pdf": self.columns.pdf, "prefix": self.prefix, "analogues": ids, "format": self.form}
        changes = check_writable(sample, self.path, n=table.n, **options)
        if changes:
            warnings.warn(changes, LossWarning, stacklevel=3)

    def earlier(self):
        """Yield the first row of each part of the finished file, and its numbers."""
        with open_parts(self.path, format=self.form) as parts:
            record = parts.meta.get(self.prefix)
            if not isinstance(record, dict) or record.get("model_sha256") != self.model.sha256:
                raise ValueError(f"{self.path}: retry_failed=True needs a file that this model has made, and tells so")
            if parts.n != len(self.galaxies) or not self.galaxies.are_of(parts):
                raise ValueError(f"{self.path}: retry_failed=True needs the file of the same galaxies")
            needed = [f"{self.prefix}{name[1:]}" for name in self.columns.dtype.names if name != "simulated"]
            lacking = [name for name in needed if name not in parts.colnames]
            if lacking:
                raise ValueError(f"{self.path} has no column {lacking[0]}: retry_failed=True needs the same options")
            for start, stop in _parts(parts.n):
                yield start, self._numbers(parts.part(start, stop), simulated=bool(record.get("simulated")))

    def _numbers(self, table, *, simulated):
        numbers = self.columns.blank(len(table))
        for name, values in numbers.items():
            if name == "simulated":
                values[:] = simulated
                continue
            column = table[f"{self.prefix}{name[1:]}"]
            if name == "z_flags" and self.named_flags:
                column = parse(column)
            there = ~np.ma.getmaskarray(np.ma.asarray(column))
            values[there] = np.ma.getdata(column)[there]
        return numbers

    def part(self, unfinished, start, stop, *, simulated):
        """Some rows of the table."""
        table = self.galaxies.table.part(start, stop).copy()
        table.remove_columns(self.taken)
        for name, column in self.columns.columns(unfinished.part(start, stop), self.prefix).items():
            table.add_column(column, name=name, copy=False)
        table.meta[self.prefix] = record_of(self.model, self.galaxies.source, simulated=simulated)
        return with_names(table, self.prefix) if self.named_flags else table

    def write(self, unfinished, *, overwrite):
        """Write the table, part by part where that is possible."""
        part = partial(self.part, unfinished, simulated=bool(unfinished.column("simulated").any()))
        places = _parts(unfinished.n) if self.streamed else [(0, unfinished.n)]
        options = {"form": self.form, "overwrite": overwrite}
        write_parts(lambda: (part(start, stop) for start, stop in places), self.path, unfinished.n, **options)


def _parts(n):
    """First row of each part of n rows, and that after its last."""
    return [(start, min(start + _PART, n)) for start in range(0, n, _PART)] or [(0, 0)]
