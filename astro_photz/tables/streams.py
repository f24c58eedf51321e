# Licensed under a 3-clause BSD style license - see LICENSE
"""
Write a table part by part, in memory that does not grow with its rows.

What a column becomes in a file depends on all its values: the width of a text, the number that stands for a masked one.
So `survey` looks for the extremes of all parts first; `open_writer` writes each part as if they stood above it, and
leaves them away. The file holds what `astro_photz.tables.write_table` would write.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from astro_photz.utils._files import aside, expanded, full_disk_told
from astro_photz.utils._types import PathLike

from ._encode import encode
from ._seed import stands_for_all, survey
from ._stacking import stacked
from .formats import COMPRESSED
from .writing import write_table

if TYPE_CHECKING:
    from astropy.table import Table

__all__ = ["TableWriter", "can_stream", "open_writer", "survey", "write_parts"]

_FORMATS = ("fits", "hdf5", "parquet", "ascii.csv", "ascii.tab")


def can_stream(form: str, seed: Table | None = None) -> bool:
    """
    Check whether a table can be written part by part.

    Parameters
    ----------
    form : str
        Astropy's name of the format, as from `~astro_photz.tables.output_format`.
    seed : `~astropy.table.Table`, optional
        The extremes of the table, of `survey`. Without them the answer is that for usual columns.

    Returns
    -------
    bool
        False for ECSV, VOTable and other formats; for columns whose form is decided by more than their extremes, such
        as objects of several kinds; in FITS, for masked integers among which both limits of their type occur.

    Examples
    --------
    >>> from astro_photz.tables.streams import can_stream
    >>> can_stream("fits"), can_stream("ascii.ecsv")
    (True, False)
    """
    return form in _FORMATS and (seed is None or stands_for_all(seed, form))


class TableWriter:
    """
    Table that is written part by part, by `open_writer`; a context manager.

    Parameters
    ----------
    file : object
        The stream of a format.
    path : path-like
    seed : `~astropy.table.Table`
    n : int
    form : str
    """

    def __init__(self, file: Any, path: PathLike, seed: Table, n: int, form: str):
        self._file, self._path, self._seed, self._form = file, path, seed, form
        self._n, self._written = n, 0

    @property
    def written(self) -> int:
        """Number of rows that have been appended."""
        return self._written

    def append(self, table: Table) -> None:
        """
        Append rows.

        Parameters
        ----------
        table : `~astropy.table.Table` (M,)
            With the columns of the seed. Its meta is not used.

        Raises
        ------
        ValueError
            If there are more rows than were told, or a column is not as the seed says.
        OSError
            If the disk is full.
        """
        rows = f"{self._path}: rows {self._written + 1} to {self._written + len(table)}"
        if table.colnames != self._seed.colnames:
            raise ValueError(
                f"{rows}: the columns are {', '.join(table.colnames)}, and must be {', '.join(self._seed.colnames)}"
            )
        if self._written + len(table) > self._n:
            raise ValueError(f"{rows}: there are to be {self._n} rows only")
        if not len(table):
            return
        encoded = _encoded(stacked([self._seed, table]), self._form)
        with warnings.catch_warnings(), full_disk_told(self._path):
            warnings.simplefilter("ignore")  # `check_writable` has reported these losses
            try:
                self._file.append(encoded, len(self._seed))
            except (TypeError, ValueError) as error:
                raise ValueError(f"{rows} cannot be written: {error}") from error
        self._written += len(table)

    def close(self) -> None:
        """
        Complete the file.

        Raises
        ------
        ValueError
            If there are fewer rows than were told; the file is then not complete.
        OSError
            If the disk is full.
        """
        with warnings.catch_warnings(), full_disk_told(self._path):
            warnings.simplefilter("ignore")  # as in `append`
            try:
                if self._written < self._n:
                    raise ValueError(f"{self._path}: {self._written} rows of {self._n} have been written")
                self._file.complete()
            finally:
                self._file.close()

    def __enter__(self) -> TableWriter:
        return self

    def __exit__(self, kind: Any, error: Any, trace: Any) -> None:
        if kind is None:
            self.close()
            return
        with full_disk_told(self._path):
            self._file.close()


def open_writer(path: PathLike, seed: Table, n: int, form: str) -> TableWriter:
    """
    Begin to write a table part by part.

    Parameters
    ----------
    path : path-like
        The file, which is replaced and grows from now on: see ``astro_photz.utils._files.aside`` for one that takes its
        name when it is complete.
    seed : `~astropy.table.Table`
        The extremes of all parts, of `survey`, with the meta that is to be written.
    n : int
        Number of rows of all parts.
    form : str
        Astropy's name of the format, as from `~astro_photz.tables.output_format`.

    Returns
    -------
    `TableWriter`

    Raises
    ------
    ValueError
        If such a table cannot be written part by part: see `can_stream`.
    OSError
        If the file cannot be written.

    Examples
    --------
    >>> from pathlib import Path
    >>> from tempfile import TemporaryDirectory
    >>> from astropy.table import Table
    >>> from astro_photz.tables import read_table
    >>> from astro_photz.tables.streams import open_writer, survey
    >>> parts = [Table({"ra": [1.5, 2.5]}), Table({"ra": [3.5]})]
    >>> with TemporaryDirectory() as folder:
    ...     path = Path(folder) / "hosts.fits"
    ...     with open_writer(path, survey(parts), 3, "fits") as writer:
    ...         for part in parts:
    ...             writer.append(part)
    ...     print(read_table(path)["ra"].tolist())
    [1.5, 2.5, 3.5]
    """
    if not can_stream(form, seed):
        raise ValueError(f"{path}: this table cannot be written part by part in the format {form!r}")
    with warnings.catch_warnings(), full_disk_told(path):
        warnings.simplefilter("ignore")
        file = _stream(path, _encoded(seed, form), n, form)
    return TableWriter(file, path, seed, n, form)


def write_parts(
    parts: Callable[[], Iterator[Table]], path: PathLike, n: int, *, form: str, overwrite: bool = False
) -> None:
    """
    Write a table that comes in parts: part by part where that is possible, or else as a whole.

    Parameters
    ----------
    parts : callable
        Yields the parts, each time that it is called; if there is but one, the table is written as a whole.
    path : path-like
        The file, which takes its name when it is complete.
    n : int
        Number of rows of all parts.
    form : str
        Astropy's name of the format.
    overwrite : bool, optional
        Replace a file that is there.

    Raises
    ------
    FileExistsError, OSError, ValueError
        As of `~astro_photz.tables.write_table`.
    """
    first = next(iter(parts()))
    seed = survey(parts()) if len(first) < n and can_stream(form) and not _is_packed(path) else None
    if seed is None or not can_stream(form, seed):
        write_table(first if len(first) == n else stacked(list(parts())), path, format=form, overwrite=overwrite)
        return
    with aside(path, overwrite=overwrite) as part, open_writer(part, seed, n, form) as writer:
        for table in parts():
            writer.append(table)


def _is_packed(path):
    return expanded(path).suffix.lower() in COMPRESSED


def _encoded(table, form):
    return encode(table, form)[0]


def _stream(path, seed, n, form):
    if form == "fits":
        from ._fits_parts import FITSStream

        return FITSStream(path, seed, n)
    if form == "hdf5":
        from ._hdf5_parts import HDF5Stream

        return HDF5Stream(path, seed, n)
    if form == "parquet":
        from ._parquet_parts import ParquetStream

        return ParquetStream(path, seed)
    from ._delimited_parts import DelimitedStream

    return DelimitedStream(path, seed, form=form)
