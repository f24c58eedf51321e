# Licensed under a 3-clause BSD style license - see LICENSE
"""
Write a table without loss.

No format can hold everything. Before hours of work, `check_writable` writes the difficult columns and reads them back;
`write_table` changes the form of some columns so that a format can hold them.
"""

from __future__ import annotations

import errno
import os
import re
import shutil
import stat
import sys
import warnings
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import numpy as np
from astropy.table import MaskedColumn
from astropy.utils.exceptions import AstropyUserWarning
from numpy.typing import ArrayLike

from astro_photz.utils._files import KeptElsewhere, check_room, expanded, full_disk_told, save
from astro_photz.utils._parts import file_type
from astro_photz.utils._suggestions import first_line
from astro_photz.utils._types import PathLike

from ._compare import Loss, differences, lost_meta
from ._encode import encode
from ._record import EDGES
from ._unpack import PACKERS
from .formats import DELIMITERS, output_format, shown
from .reading import read_table

if TYPE_CHECKING:
    from astropy.table import Table

__all__ = ["LossWarning", "check_writable", "write_table"]

_HEAD = 1000  # rows in which plain numbers are tried
_OWN_SIGNS = ("ascii.ecsv", "fits", "hdf5", "votable", "parquet")  # formats that are known by their first bytes
_KEEP_RECORDS = _OWN_SIGNS
_FLOATS = ("", "_err", "_median", "_mode", "_lo68", "_hi68", "_lo95", "_hi95", "_odds", "_ood")
_MAY_BE = ("_pdf", "_knn", "_knn_err", "_analogue_id", "_analogue_z", "_analogue_distance")
_LISTED = 5  # losses in a message
_SURELY = 0.8  # of the room that the first rows would take, times the others: their header comes once


class LossWarning(AstropyUserWarning):
    """
    Warning that a format does not keep all of a table, or keeps it in another form.

    Examples
    --------
    >>> import warnings
    >>> from astro_photz.tables import LossWarning
    >>> warnings.simplefilter("ignore", LossWarning)  # for one who knows
    >>> issubclass(LossWarning, UserWarning)
    True
    """


def check_writable(
    table: Table,
    path: PathLike,
    *,
    pdf: bool = False,
    analogues: ArrayLike | None = None,
    prefix: str = "z_phot",
    format: str | None = None,
    n: int | None = None,
) -> str:
    """
    Check before the work whether a format can hold a table and its redshifts.

    Rows of all columns that are not plain numbers are written to a temporary folder, read back and compared.

    Parameters
    ----------
    table : `~astropy.table.Table`
        Before the redshifts are added. Columns of an earlier run with the same prefix are ignored.
    path : path-like or "-"
        The file that is to be written; "-" is standard output.
    pdf : bool, optional
        Whether the redshifts come with their PDF.
    analogues : array_like (M,) of int or str, optional
        Identifiers like those of the M analogues that each galaxy comes with, if it does.
    prefix : str, optional
        Prefix of the new columns' names.
    format : str, optional
        Astropy's name of the format, if it is not that of the file's suffix.
    n : int, optional
        Number of rows of the table, if some of them are given here.

    Returns
    -------
    str
        One line about columns that change their form and entries of the meta that are dropped; empty if there are none.

    Raises
    ------
    ValueError
        If something would be lost; the message names the column, the row and a remedy.
    ImportError
        If the package that writes the format is missing.
    OSError
        If the temporary folder is full, or there is no room for the file.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> from astropy.table import Table
    >>> from astro_photz.tables import check_writable
    >>> table = Table({"ra": [150.1], "dec": [2.2], "colours": [[0.4, 1.2]]})
    >>> folder = pathlib.Path(tempfile.mkdtemp())
    >>> check_writable(table, folder / "redshifts.fits")
    ''
    >>> try:
    ...     check_writable(table, folder / "redshifts.csv")
    ... except ValueError as error:
    ...     print(str(error).partition("table: ")[2])
    column 'colours': it has several values a row; write .ecsv, which holds any
    """
    form = output_format(path, format)
    new = _placeholders(min(len(table), _HEAD), prefix, pdf=pdf, analogues=analogues)
    replaced = [name for name in (*new, *(f"{prefix}{end}" for end in _MAY_BE)) if name in table.colnames]
    kept = table.copy(copy_data=False)
    kept.remove_columns(replaced)
    encoded, notes = encode(kept, form)
    head = encoded[:_HEAD]
    for name, column in new.items():
        head[name] = column
    head, _ = encode(head, form)
    head.meta[prefix] = {"model": "a model", "data_release": 17, EDGES: [0.0, 0.5, 1.0]}
    difficult = [name for name in encoded.colnames if not _is_plain(encoded[name])]
    with TemporaryDirectory() as folder, full_disk_told(folder):
        losses, found, back = _tried(head, Path(folder) / "head", form, hint=False)
        notes += found
        written = 0 if losses else (Path(folder) / "head").stat().st_size
        if difficult and len(table) > _HEAD and not losses:
            losses, found, _ = _tried(encoded[difficult], Path(folder) / "whole", form, hint=True)
            notes += found
    if losses:
        raise ValueError(_refusal(_named(path), form, losses))
    _check_room(path, form, written * (len(table) if n is None else n) / max(1, len(head)))
    meta = lost_meta(table.meta, back.meta)
    changes = _changes(notes, meta, form)
    more = "" if form == "ascii.ecsv" else "; .ecsv does all that"
    return f"{_named(path)}: {shown(form)} {changes}{more}" if changes else ""


def write_table(table: Table, path: PathLike, *, format: str | None = None, overwrite: bool = True) -> None:
    """
    Write a table with redshifts.

    Parameters
    ----------
    table : `~astropy.table.Table`
        The records of its redshifts, in its meta, go wherever the format has a place for them.
    path : path-like or "-"
        The file, whose mode is kept if it is there; of a link, the file behind it. "-" is standard output.
    format : str, optional
        Astropy's name of the format, if it is not that of the file's suffix.
    overwrite : bool, optional
        Replace a file that is there.

    Raises
    ------
    FileExistsError
        If there is such a file and ``overwrite`` is not set. The table is then beside it, in a file that the message
        names.
    OSError
        If the disk is full, or another error of the system occurs. The table is then in another folder that has room,
        if there is one: the temporary one, the user's cache or home; the message names the file.
    ValueError
        If the format cannot hold the table after all. The table is then in an ECSV file, which the message names. If
        the table has no columns.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> import astro_photz
    >>> from astro_photz.tables import read_table, write_table
    >>> table = astro_photz.predict(astro_photz.Cutouts.read(astro_photz.demo_path()))
    >>> path = pathlib.Path(tempfile.mkdtemp()) / "redshifts.fits"
    >>> write_table(table, path)
    >>> read_table(path).meta["z_phot"]["model"]
    'sim-small-v1'
    """
    form = output_format(path, format)
    if not table.colnames:
        raise ValueError(f"{_named(path)}: the table has no columns, so that there is nothing to write")
    try:
        _write(table, path, form, overwrite=overwrite)
    except (BrokenPipeError, FileExistsError, KeptElsewhere):  # whoever reads has enough, or the table is kept already
        raise
    except Exception as error:
        kept = _keep(table, path)
        if kept is None:
            raise
        said = f"{_named(path)}: writing failed ({first_line(error)}); the result is in {kept}"
        if isinstance(error, OSError) and error.errno is not None:
            raise OSError(error.errno, said) from error
        raise ValueError(said) from error


def _check_room(path, form, nbytes):
    """Look for the room of a table; what its form or its suffix compresses may need less."""
    place = expanded(path)
    if str(path) == "-" or form == "parquet" or place.suffix.lower() in PACKERS:
        return
    if file_type(place) in (0, stat.S_IFREG):
        check_room(place, int(_SURELY * nbytes))


def _named(path):
    return "standard output" if str(path) == "-" else path


def _placeholders(n, prefix, *, pdf, analogues):
    """Columns like those of the redshifts."""
    mask = np.arange(n) % 2 == 1

    def column(*shape, dtype=np.float32):
        gone = np.broadcast_to(mask.reshape(n, *[1] * len(shape)), (n, *shape))
        return MaskedColumn(np.zeros((n, *shape), dtype=dtype), mask=gone)

    columns = {end: column() for end in _FLOATS}
    columns["_flags"] = MaskedColumn(np.zeros(n, dtype=np.int32))
    if pdf:
        columns["_pdf"] = column(2)
    if analogues is not None:
        ids = np.asarray(analogues)
        columns |= {"_knn": column(), "_knn_err": column(), "_analogue_id": column(len(ids), dtype=ids.dtype)}
        columns["_analogue_id"].data[:] = ids
        columns |= {"_analogue_z": column(len(ids)), "_analogue_distance": column(len(ids))}
    return {f"{prefix}{end}": values for end, values in columns.items()}


def _is_plain(column):
    kind = getattr(getattr(column, "dtype", None), "kind", "O")
    return kind in "iuf" and not np.any(getattr(column, "mask", False))


def _tried(table, path, form, *, hint):
    """Write a table and read it back; return the losses, the changes and the copy."""
    try:
        _write_form(table, path, form)
    except OSError as error:
        if error.errno is not None or "errno = " in str(error):  # of the disk, also from HDF5
            raise
        if found := re.search(r"\[Errno (\d+)\]", str(error)):
            raise OSError(int(found[1]), os.strerror(int(found[1]))) from error
        return [_culprit(table, path, form, error)], [], None
    except Exception as error:  # each format's writer has errors of its own
        return [_culprit(table, path, form, error)], [], None
    known = form in _OWN_SIGNS or (form in DELIMITERS and not hint)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            back = read_table(path, format=None if known else form)
    except ValueError as error:
        why = first_line(error).removeprefix(f"{path}: ")
        return [Loss(table.colnames[0], None, f"the table cannot be read back ({why})")], [], None
    return *differences(table, back), back


def _culprit(table, path, form, error):
    """Find the column that cannot be written, and its first such row."""

    def fails(part):
        try:
            _write_form(part, path, form)
        except Exception:  # each format's writer has errors of its own
            return True
        return False

    for name in table.colnames:
        alone = table[[name]]
        alone.meta.clear()
        if not fails(alone):
            continue
        low, high = 0, len(alone)  # numbers of first rows: so many can be written, and so many cannot
        if fails(alone[:0]):
            return Loss(name, None, first_line(error))
        while high - low > 1:
            middle = (low + high) // 2
            low, high = (low, middle) if fails(alone[:middle]) else (middle, high)
        return Loss(name, high - 1, f"{str(alone[name][high - 1])[:50]!r} ({first_line(error)})")
    return Loss("meta", None, first_line(error))


def _refusal(path, form, losses):
    listed = "; ".join(str(loss) for loss in losses[:_LISTED])
    more = f", and {len(losses) - _LISTED} more" if len(losses) > _LISTED else ""
    own = {"_pdf": "the PDF", "_analogue_id": "the analogues"}
    extra = [name for end, name in own.items() if any(loss.column.endswith(end) for loss in losses)]
    remedy = "give the column plain values, or leave it out" if form == "ascii.ecsv" else "write .ecsv, which holds any"
    without = f", or do without {' and '.join(extra)}" if extra and form != "ascii.ecsv" else ""
    return f"{path}: {shown(form)} cannot hold this table: {listed}{more}; {remedy}{without}"


def _changes(notes, meta, form):
    """Describe changes of columns and meta in a line."""
    kinds = {}
    for name, note in notes:
        kinds.setdefault(note, {})[name] = None
    parts = [f"{note} ({', '.join(names)})" for note, names in kinds.items()]
    said = [f"keeps in another form: {'; '.join(parts)}"] if parts else []
    if meta:
        said.append(f"drops of the table's meta: {', '.join(meta)}")
    if form not in _KEEP_RECORDS:
        said.append("does not keep which model and images made the redshifts")
    return ", and ".join(said)


def _write(table, path, form, *, overwrite=True):
    """Encode and write a table: whole, or not at all."""
    encoded, _ = encode(table, form)
    if str(path) == "-":
        if sys.stdout is None:
            raise OSError(errno.EBADF, "standard output is closed: give the name of a file")
        _stream(encoded, sys.stdout.buffer, form)
        return
    path = expanded(path)
    packer = PACKERS.get(path.suffix.lower())

    def write(part):
        if packer is None:
            _write_form(encoded, part, form)
            return
        bare = part.with_name(f"{part.name}.bare")
        try:
            _write_form(encoded, bare, form)
            with open(bare, "rb") as file, packer.open(part, "wb") as packed:
                shutil.copyfileobj(file, packed)
        finally:
            bare.unlink(missing_ok=True)

    save(path, write, overwrite=overwrite)


def _stream(table, file, form):
    """Write a table into an open file."""
    with TemporaryDirectory() as folder:
        part = Path(folder) / "table"
        _write_form(table, part, form)
        with open(part, "rb") as whole:
            shutil.copyfileobj(whole, file)
    file.flush()


def _write_form(table, path, form):
    """Write a table that is encoded for a format."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # `check_writable` has reported these losses
        if form in DELIMITERS:
            from ._delimited import write_delimited

            write_delimited(table, path, delimiter=DELIMITERS[form])
        elif form == "ascii.ecsv":
            from ._ecsv import write_ecsv

            write_ecsv(table, path)
        elif form == "fits":
            from ._fits import write_fits

            write_fits(table, path)
        elif form == "votable":
            from ._votable import write_votable

            write_votable(table, path)
        elif form == "hdf5":
            from ._hdf5 import write_hdf5

            write_hdf5(table, path)
        elif form == "parquet":
            from ._parquet import write_parquet

            write_parquet(table, path)
        else:
            table.write(path, format=form, overwrite=True)


def _keep(table, path):
    """Write a table as ECSV beside a file that could not be written; None if that fails, too."""
    beside = expanded("standard_output" if str(path) == "-" else path)
    for number in range(1, 100):
        kept = beside.with_name(f"{beside.name}{'' if number == 1 else f'.{number}'}.ecsv")
        if not kept.exists():
            break
    try:
        _write(table, kept, "ascii.ecsv")
    except KeptElsewhere as error:
        return error.place
    except Exception:  # the first error is reported
        return None
    return kept
