# Licensed under a 3-clause BSD style license - see LICENSE
"""
Read a table of any program.

The content of a file decides how it is read; its suffix is a hint only.
"""

from __future__ import annotations

import errno
import io
import sys
from typing import TYPE_CHECKING

from astro_photz.utils._files import expanded
from astro_photz.utils._suggestions import first_line
from astro_photz.utils._types import PathLike

from ._decode import decode
from ._quiet import quiet
from ._text import read_text
from ._unpack import binary_kind, is_packed, refuse_known, unpacked
from .formats import canonical, ending_format, need_package, shown

if TYPE_CHECKING:
    from astropy.table import Table

__all__ = ["read_table"]

_HEAD = 512
_LONGEST = 4 * 2**30  # bytes that come through a pipe, which may have no end
# A VOTable of these forms names the file with its values, which may be any.
_NAMING_FILES = ("votable.parquet", "parquet.votable")


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
        with quiet(name):
            return _read(file, form, ending_format(path), name)
    except (ImportError, KeyboardInterrupt):
        raise
    except MemoryError:
        raise ValueError(f"{name}: it declares more than the memory holds: it may be broken") from None
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
        return _all_of(sys.stdin.buffer, "standard input")
    path = expanded(path)
    if path.is_dir():
        raise IsADirectoryError(f"{path} is a folder: give the name of a file with a table")
    if not path.exists():
        raise FileNotFoundError(f"no file {path}")
    if path.is_file():
        return path
    with open(path, "rb") as pipe:
        return _all_of(pipe, path)


def _all_of(pipe, name):
    content = pipe.read(_LONGEST + 1)
    if len(content) > _LONGEST:
        raise ValueError(f"{name}: more than {_LONGEST // 2**30} GiB came through a pipe: give the name of a file")
    return content


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
    if form in _NAMING_FILES:
        raise ValueError(f"its values are in another file: give that one, without format={form!r}")
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
