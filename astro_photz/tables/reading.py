# Licensed under a 3-clause BSD style license - see LICENSE
"""
Read a table of any program.

The content of a file decides how it is read; its suffix is a hint only.
"""

from __future__ import annotations

import errno
import io
import re
import sys
import warnings
from contextlib import contextmanager
from typing import TYPE_CHECKING

from astro_photz.utils._files import expanded
from astro_photz.utils._suggestions import first_line
from astro_photz.utils._types import PathLike

from ._decode import decode
from ._text import read_text
from ._unpack import binary_kind, is_packed, refuse_known, unpacked
from .formats import canonical, ending_format, need_package, shown

if TYPE_CHECKING:
    from astropy.table import Table

__all__ = ["read_table"]

_HEAD = 512
_FITS_BLOCK = 2880  # bytes


def read_table(path: PathLike, *, format: str | None = None) -> Table:
    """
    Read a table of any format.

    Parameters
    ----------
    path : path-like or "-"
        FITS, VOTable, HDF5, Parquet, ECSV, CSV, other text or what else astropy reads, packed by gzip, bzip2 or xz or
        not; "-" is standard input.
    format : str, optional
        Astropy's name of the format, if it is not to be found out.

    Returns
    -------
    `~astropy.table.Table`
        Every row and column of the file. A column whose name appears twice gets a new name, and a warning says so.

    Raises
    ------
    OSError
        If there is no such file, or it is a folder.
    ValueError
        If there is no table in it, or not every row can be read.
    ImportError
        If a package is missing that reads it.

    Examples
    --------
    >>> from pathlib import Path
    >>> from tempfile import TemporaryDirectory
    >>> from astro_photz.tables import read_table
    >>> with TemporaryDirectory() as folder:
    ...     path = Path(folder) / "hosts.csv"
    ...     _ = path.write_text("#Table1\\nobjid,ra,dec\\n1237651943176138868,150.1,2.2\\n")
    ...     print(read_table(path))
           objid          ra  dec
    ------------------- ----- ---
    1237651943176138868 150.1 2.2
    """
    form = canonical(format, mode="read") if format is not None else None
    name = "standard input" if str(path) == "-" else path
    file = _open(path)
    try:
        with _quiet(name):
            return _read(file, form, ending_format(path), name)
    except (ImportError, MemoryError, KeyboardInterrupt, RecursionError):
        raise
    except OSError as error:
        if error.errno is not None:  # of the disk
            raise
        raise _told(name, error) from error
    except Exception as error:  # each format's reader has errors of its own
        raise _told(name, error) from error


def _told(name, error):
    line = first_line(error)
    known = isinstance(error, ValueError) and line.startswith(("it ", "its ", "line "))
    said = line if known else f"it cannot be read as a table ({line}): it may be cut short or broken"
    return ValueError(f"{name}: {said}")


def _open(path):
    """Path of a file, or the content of standard input."""
    if str(path) == "-":
        if sys.stdin is None:
            raise OSError(errno.EBADF, "standard input is closed: give the name of a file")
        return sys.stdin.buffer.read()
    path = expanded(path)
    if path.is_dir():
        raise IsADirectoryError(f"{path} is a folder: give the name of a file with a table")
    if not path.exists():
        raise FileNotFoundError(f"no file {path}")
    return path.read_bytes() if not path.is_file() else path  # from a pipe


def _read(file, form, ending, name):
    head = file[:_HEAD] if isinstance(file, bytes) else _head(file)
    if is_packed(head):
        file = unpacked(file if isinstance(file, bytes) else file.read_bytes())
        head = file[:_HEAD]
    if not head:
        raise ValueError("it is empty: there is no table in it")
    kind = binary_kind(head)
    if form in ("fits", "hdf5", "parquet") and form != kind:
        raise ValueError(f"it is no {shown(form)} file: leave format={form!r} away, or give another file")
    if kind and form in (None, kind):
        return _binary(kind, io.BytesIO(file) if isinstance(file, bytes) else file, name)
    if form not in (None, "votable") and not form.startswith("ascii"):
        return _by_astropy(file, form)
    refuse_known(head)
    text = decode(file if isinstance(file, bytes) else file.read_bytes())
    if not text.strip():
        raise ValueError("it is empty: there is no table in it")
    if form == "votable" or (form is None and _is_votable(text)):
        from ._votable import read_votable

        return read_votable(io.BytesIO(_utf8_xml(text)))
    return read_text(text, form=form, ending=ending)


def _head(path):
    with open(path, "rb") as file:
        return file.read(_HEAD)


def _binary(kind, file, name):
    need_package(kind, name)
    if kind == "fits":
        from ._fits import read_fits

        return read_fits(file)
    if kind == "hdf5":
        from ._hdf5 import read_hdf5

        return read_hdf5(file)
    from ._parquet import read_parquet

    return read_parquet(file)


def _by_astropy(file, form):
    from astropy.table import Table

    return Table.read(io.BytesIO(file) if isinstance(file, bytes) else file, format=form)


def _is_votable(text):
    head = text[:5000].lstrip()
    if not head.startswith("<"):
        return False
    if "VOTABLE" in head:
        return True
    if head.startswith("<?xml") and "<html" not in head.lower():
        raise ValueError("it is XML, but no VOTable: save the table as VOTable, CSV, FITS or ECSV")
    return False


def _utf8_xml(text):
    """XML in UTF-8, without a declaration of the encoding that the file had."""
    text = text.lstrip()
    if text.startswith("<?xml"):
        text = text[text.index("?>") + 2 :]
    return b'<?xml version="1.0" encoding="utf-8"?>' + text.encode("utf-8")


@contextmanager
def _quiet(name):
    """Suppress astropy's warnings of harmless things, but refuse a file that is cut short."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        yield
    for warning in caught:
        said = str(warning.message)
        if "truncated" in said.lower() and not _only_unpadded(said):
            raise ValueError("it is cut short: get the file again")
        if said.startswith(("a column name appears", "lines that begin with #")):
            warnings.warn(f"{name}: {said}", stacklevel=4)


def _only_unpadded(said):
    """Check whether astropy misses nothing of a FITS file but the padding of its last block."""
    lengths = [int(number) for number in re.findall(r"\((\d+)\)", said)]
    return len(lengths) == 2 and abs(lengths[1] - lengths[0]) < _FITS_BLOCK
