# Licensed under a 3-clause BSD style license - see LICENSE
"""
Write a table without losing anything.

Each format lacks a place for something. `check_writable` finds that out before hours of work, by writing what may be
difficult and reading it back; `write_table` changes the form of some columns so that a format can hold them.
"""

import errno
import os
import re
import shutil
import sys
import warnings
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from astropy.table import MaskedColumn

from astro_photz.utils._files import aside, expanded, full_disk_told
from astro_photz.utils._suggestions import first_line

from ._compare import Loss, differences, lost_meta
from ._encode import encode
from ._record import EDGES
from ._unpack import PACKERS
from .formats import DELIMITERS, output_format, shown
from .reading import read_table

__all__ = ["check_writable", "write_table"]

_HEAD = 1000  # rows in which plain numbers are tried
_OWN_SIGNS = ("ascii.ecsv", "fits", "hdf5", "votable", "parquet")  # formats that are known by their first bytes
_KEEP_RECORDS = _OWN_SIGNS
_FLOATS = ("", "_err", "_median", "_mode", "_lo68", "_hi68", "_lo95", "_hi95", "_odds", "_ood")
_TOLD = 5  # losses in a message


def check_writable(table, path, *, pdf=False, prefix="z_phot", format=None):
    """
    Tell before the work what a format cannot hold of a table and its redshifts.

    Rows of all columns that are not plain numbers are written to a temporary folder, read back and compared.

    Parameters
    ----------
    table : `~astropy.table.Table`
        Before the redshifts are added. Columns of an earlier run with the same prefix count for nothing.
    path : path-like or "-"
        The file that is to be written; "-" is standard output.
    pdf : bool, optional
        Whether the redshifts come with their PDF.
    prefix : str, optional
        Of the new columns' names.
    format : str, optional
        Astropy's name of the format, if it is not the one of the file's ending.

    Returns
    -------
    str
        What takes another form, or what of the meta has no place, in a line; empty if there is nothing to tell.

    Raises
    ------
    ValueError
        If something would be lost: names the column, the row and a remedy.
    ImportError
        If a package is missing that writes the format.
    OSError
        If the temporary folder is full.
    """
    form = output_format(path, format)
    new = _placeholders(min(len(table), _HEAD), prefix, pdf)
    replaced = [name for name in (*new, f"{prefix}_pdf") if name in table.colnames]
    encoded, notes = encode(table[[name for name in table.colnames if name not in replaced]], form)
    head = encoded[:_HEAD]
    for name, column in new.items():
        head[name] = column
    head, _ = encode(head, form)
    head.meta[prefix] = {"model": "a model", "data_release": 17, EDGES: [0.0, 0.5, 1.0]}
    difficult = [name for name in encoded.colnames if not _is_plain(encoded[name])]
    with TemporaryDirectory() as folder, full_disk_told(folder):
        losses, found, back = _tried(head, Path(folder) / "head", form, hint=False)
        notes += found
        if difficult and len(table) > _HEAD and not losses:
            losses, found, _ = _tried(encoded[difficult], Path(folder) / "whole", form, hint=True)
            notes += found
    if losses:
        raise ValueError(_refusal(_named(path), form, losses))
    meta = lost_meta(table.meta, back.meta)
    told = _told(notes, meta, form)
    more = "" if form == "ascii.ecsv" else "; .ecsv does all that"
    return f"{_named(path)}: {shown(form)} {told}{more}" if told else ""


def write_table(table, path, *, format=None):
    """
    Write a table with redshifts.

    Parameters
    ----------
    table : `~astropy.table.Table`
        What its meta says of how redshifts were made goes wherever the format has a place for it.
    path : path-like or "-"
        The file, which is replaced if it is there; "-" is standard output.
    format : str, optional
        Astropy's name of the format, if it is not the one of the file's ending.

    Raises
    ------
    OSError
        If the disk is full, or the like.
    ValueError
        If the format cannot hold the table after all: the table is then in an ECSV file beside, which the error names.
    """
    form = output_format(path, format)
    try:
        _write(table, path, form)
    except BrokenPipeError:  # whoever reads standard output has enough
        raise
    except Exception as error:
        kept = _keep(table, path)
        if kept is None:
            raise
        reason = first_line(error)
        said = f"{_named(path)}: writing failed ({reason}); the result is in {kept}"
        if isinstance(error, OSError) and error.errno is not None:
            raise OSError(error.errno, said) from error
        raise ValueError(said) from error


def _named(path):
    return "standard output" if str(path) == "-" else path


def _placeholders(n, prefix, pdf):
    """Columns like those of the redshifts."""
    values, mask = np.zeros(n, dtype=np.float32), np.arange(n) % 2 == 1
    columns = {f"{prefix}{name}": MaskedColumn(values, mask=mask) for name in _FLOATS}
    columns[f"{prefix}_flags"] = MaskedColumn(np.zeros(n, dtype=np.int32))
    if pdf:
        columns[f"{prefix}_pdf"] = MaskedColumn(
            np.zeros((n, 2), dtype=np.float32), mask=np.repeat(mask[:, np.newaxis], 2, axis=1)
        )
    return columns


def _is_plain(column):
    kind = getattr(getattr(column, "dtype", None), "kind", "O")
    return kind in "iuf" and not np.any(getattr(column, "mask", False))


def _tried(table, path, form, *, hint):
    """What is lost and what changes when a table is written and read back."""
    try:
        _write_form(table, path, form)
    except OSError as error:
        if error.errno is not None or "errno = " in str(error):  # of the disk, also as HDF5 tells it
            raise
        if told := re.search(r"\[Errno (\d+)\]", str(error)):
            raise OSError(int(told[1]), os.strerror(int(told[1]))) from error
        return [_culprit(table, path, form, error)], [], None
    except Exception as error:  # each format's writer has errors of its own
        return [_culprit(table, path, form, error)], [], None
    known = form in _OWN_SIGNS or (form in DELIMITERS and not hint)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            back = read_table(path, format=None if known else form)
    except ValueError as error:
        reason = first_line(error).removeprefix(f"{path}: ")
        return [Loss(table.colnames[0], None, f"the table cannot be read back ({reason})")], [], None
    return *differences(table, back), back


def _culprit(table, path, form, error):
    """The column, and the first row of it, that cannot be written."""

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
        low, high = 0, len(alone)  # of how many rows: the first few that can be written, and more that cannot
        if fails(alone[:0]):
            return Loss(name, None, first_line(error))
        while high - low > 1:
            middle = (low + high) // 2
            low, high = (low, middle) if fails(alone[:middle]) else (middle, high)
        return Loss(name, high - 1, f"{str(alone[name][high - 1])[:50]!r} ({first_line(error)})")
    return Loss("meta", None, first_line(error))


def _refusal(path, form, losses):
    told = "; ".join(str(loss) for loss in losses[:_TOLD])
    more = f", and {len(losses) - _TOLD} more" if len(losses) > _TOLD else ""
    pdf = any(loss.column.endswith("_pdf") for loss in losses)
    remedy = "give the column plain values, or leave it out" if form == "ascii.ecsv" else "write .ecsv, which holds any"
    without = " or do without the PDF" if pdf and form != "ascii.ecsv" else ""
    return f"{path}: {shown(form)} cannot hold this table: {told}{more}; {remedy}{without}"


def _told(notes, meta, form):
    """What changes, in a line."""
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


def _write(table, path, form):
    """Encode and write a table: whole, or not at all."""
    encoded, _ = encode(table, form)
    if str(path) == "-":
        if sys.stdout is None:
            raise OSError(errno.EBADF, "standard output is closed: give the name of a file")
        _stream(encoded, sys.stdout.buffer, form)
        return
    path = expanded(path)
    if path.exists() and not path.is_file():  # a device or a pipe, whose name is not to be taken
        with open(path, "wb") as file:
            _stream(encoded, file, form)
        return
    if path.is_symlink():  # the file behind it is meant
        path = path.resolve()
    with full_disk_told(path), aside(path) as part:
        packer = PACKERS.get(path.suffix.lower())
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
        warnings.simplefilter("ignore")  # what they tell of was told before the work
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
    except Exception:  # the first error is the one to tell
        return None
    return kept
