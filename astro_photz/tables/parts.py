# Licensed under a 3-clause BSD style license - see LICENSE
"""
Read a table part by part, in memory that does not grow with its rows.

What comes is what `astro_photz.tables.read_table` gives, cut into parts. Where that is in doubt, the table is read
whole.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from astro_photz.utils._files import expanded
from astro_photz.utils._types import PathLike

from ._quiet import quiet
from ._stacking import stacked
from ._unpack import binary_kind, is_packed
from .formats import canonical, ending_format
from .reading import read_table

if TYPE_CHECKING:
    from astropy.table import Table

__all__ = ["TableParts", "open_parts"]

_HEAD = 512
_PIECE = 2**24  # bytes of rows that are read together
_MOST = 65_536  # rows that are read together


class TableParts:
    """
    Table in a file that is read part by part, by `open_parts`; a context manager, and an iterator of its parts.

    Parameters
    ----------
    path : path-like
    format : str or None
        As in `open_parts`.
    reader : object or None
        The rows of a format, or None for a table that is read whole.
    state : tuple or None
        By which a file that has changed is noticed.
    """

    def __init__(self, path: PathLike, format: str | None, reader: Any, state: tuple | None):
        self._path, self._format, self._reader, self._state = path, format, reader, state
        self._whole: Table | None = None
        first = self._few(0, min(1, reader.rows)) if reader else None
        if first is None:
            first = self._read_whole()
        self._colnames, self._meta = list(first.colnames), first.meta

    @property
    def n(self) -> int:
        """Number of rows."""
        return len(self._whole) if self._whole is not None else self._reader.rows

    @property
    def colnames(self) -> list[str]:
        """Names of the columns."""
        return list(self._colnames)

    @property
    def meta(self) -> dict:
        """Meta of the table."""
        return self._meta

    @property
    def streamed(self) -> bool:
        """False if the table is read whole, so that its parts are slices of it."""
        return self._whole is None

    def part(self, start: int, stop: int) -> Table:
        """
        Read some rows.

        Parameters
        ----------
        start, stop : int
            As in a slice of the table.

        Returns
        -------
        `~astropy.table.Table`
            ``read_table(path)[start:stop]``; its texts may be narrower, and a column without a masked value in these
            rows may be one that has no mask.

        Raises
        ------
        OSError, ValueError, ImportError
            As of `~astro_photz.tables.read_table`. ValueError if the file is not the one that was opened.
        """
        start, stop, _ = slice(start, stop).indices(self.n)
        if self._whole is None:
            few = self._few(start, stop)
            if few is not None:
                return few
        return self._read_whole()[start:stop]

    def columns(self, names: Sequence[str]) -> Table:
        """
        Read whole columns.

        Parameters
        ----------
        names : list of str

        Returns
        -------
        `~astropy.table.Table` (N,)
            With these columns, and the meta of the table.

        Raises
        ------
        KeyError
            If there is no such column.
        OSError, ValueError, ImportError
            As of `part`.
        """
        names = list(names)
        for name in names:
            if name not in self._colnames:
                raise KeyError(name)
        if self._whole is None:
            parts = [part[names].copy() for part in self]
            if self._whole is None:
                return stacked(parts)
        return self._whole[names]

    def __iter__(self) -> Iterator[Table]:
        """Yield the parts of the table in order, at least one."""
        step = self.n
        if self._whole is None:
            step = max(1, min(_MOST, _PIECE // max(1, self._reader.row_nbytes)))
        for start in range(0, max(1, self.n), max(1, step)):
            yield self.part(start, start + step)

    def close(self) -> None:
        """Close the file, and forget a table that was read whole."""
        if self._reader is not None and hasattr(self._reader, "close"):
            self._reader.close()
        self._reader = self._whole = None

    def __enter__(self) -> TableParts:
        return self

    def __exit__(self, *error: Any) -> None:
        self.close()

    def _few(self, start, stop):
        """Some rows, or None if the table must be read whole."""
        self._check_state()
        first, end = (start, stop) if start < stop else (0, min(1, self._reader.rows))
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # which have been shown
                table = self._reader.read(first, end)
        except Exception:  # `read_table` tells what is wrong, if it does not read the table
            return None
        if len(table) != end - first:
            return None
        return table if start < stop else table[:0]

    def _check_state(self):
        if self._state != _state(self._path):
            raise ValueError(f"{self._path}: the file has changed while it was read: start again")

    def _read_whole(self) -> Table:
        if self._whole is None:
            if self._state is not None:
                self._check_state()
            self._whole = read_table(self._path, format=self._format)
        return self._whole


def open_parts(path: PathLike, *, format: str | None = None) -> TableParts:
    """
    Open a table of any format to read it part by part.

    FITS, HDF5, Parquet and plain CSV or tab-separated text are read so. Any other file is read whole, as `TableParts`
    tells: one that is packed, a pipe, a table with lists of various lengths, text with quotes, say.

    Parameters
    ----------
    path : path-like or "-"
        As in `~astro_photz.tables.read_table`.
    format : str, optional
        Astropy's name of the format, if it is not to be found out.

    Returns
    -------
    `TableParts`

    Raises
    ------
    OSError, ValueError, ImportError
        As of `~astro_photz.tables.read_table`.

    Examples
    --------
    >>> from pathlib import Path
    >>> from tempfile import TemporaryDirectory
    >>> from astropy.table import Table
    >>> from astro_photz.tables import write_table
    >>> from astro_photz.tables.parts import open_parts
    >>> with TemporaryDirectory() as folder:
    ...     path = Path(folder) / "hosts.fits"
    ...     write_table(Table({"ra": [1.5, 2.5, 3.5], "r": [17.0, 17.5, 16.0]}), path)
    ...     with open_parts(path) as parts:
    ...         print(parts.n, parts.columns(["ra"])["ra"].tolist(), parts.part(1, 3)["r"].tolist())
    3 [1.5, 2.5, 3.5] [17.5, 16.0]
    """
    form = canonical(format, mode="read") if format is not None else None
    reader = state = None
    path = path if str(path) == "-" else expanded(path)
    try:
        state = _state(path)
        with quiet(path):
            reader = _reader(path, form)
    except Exception:  # `read_table` tells what is wrong, if it does not read the table
        pass
    return TableParts(path, format, reader, state if reader else None)


def _reader(path, form):
    """Rows of a file by its format; None for a format whose rows cannot be read by themselves."""
    if str(path) == "-" or not path.is_file():
        return None
    with open(path, "rb") as file:
        head = file.read(_HEAD)
    kind = binary_kind(head)
    if is_packed(head) or (kind and form not in (None, kind)):
        return None
    if kind == "fits":
        from ._fits_parts import FITSRows

        return FITSRows(path)
    if kind == "hdf5":
        from ._hdf5_parts import HDF5Rows

        return HDF5Rows(path)
    if kind == "parquet":
        from ._parquet_parts import ParquetRows

        return ParquetRows(path)
    from ._delimited_parts import DelimitedRows

    return DelimitedRows(path, form, ending_format(path))


def _state(path):
    """Facts by which a file that has changed is noticed."""
    told = Path(path).stat()
    return told.st_ino, told.st_size, told.st_mtime_ns
