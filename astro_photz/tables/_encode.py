# Licensed under a 3-clause BSD style license - see LICENSE
"""
Change columns to a form that a format can hold without loss.
"""

import numpy as np
from astropy.coordinates import SkyCoord
from astropy.table import Column, MaskedColumn, Table
from astropy.table.serialize import represent_mixins_as_columns
from astropy.time import Time

from .formats import DELIMITERS

__all__ = ["encode", "holds_mixins"]

_MIXIN_FORMATS = ("fits", "ascii.ecsv", "hdf5", "parquet")
_WIDER = {
    "fits": {"i1": "i2", "f2": "f4"},
    "votable": {"i1": "i2", "u2": "i4", "u4": "i8", "f2": "f4"},
}
_SECOND = 1e-6  # of a time, below which nothing is lost


def holds_mixins(form):
    """Check whether a format, by astropy's name, can hold SkyCoord and Time."""
    return form in _MIXIN_FORMATS


def encode(table, form):
    """
    Change the form of columns that a format, by astropy's name, cannot hold as they are.

    The table that comes back shares the data of unchanged columns; the notes (column, change) list those that look
    different.
    """
    encoded, notes = table.copy(copy_data=False), []
    for name in table.colnames:
        column, note = _encoded(table[name], form)
        if column is not table[name]:
            encoded.replace_column(name, column)
        if note:
            notes.append((name, note))
    if not holds_mixins(form):
        encoded, split = _split(encoded)
        notes += split
    return encoded, notes


def _encoded(column, form):
    """A column in a form that a format can hold, and a note on the difference."""
    if isinstance(column, Time):
        return _time(column, form)
    if not isinstance(column, Column):
        return _all_digits(column, form), None
    note = None
    if column.dtype.kind == "O" and form != "ascii.ecsv":
        column, note = _of_one_kind(column)
    if column.dtype.kind == "M" and form != "ascii.ecsv":
        column, note = _dates(column), "dates as text"
    wider = _WIDER.get(form, {}).get(column.dtype.str[1:])
    if wider:
        column = _as(column, wider)
    if form == "ascii.ecsv" and not len(column) and column.ndim > 1:
        column = _like(column, np.zeros(0, column.dtype), np.zeros(0, bool) if hasattr(column, "mask") else None)
    if form in DELIMITERS and column.shape[1:] == (1,):  # as FITS files have them
        column = _like(column, np.ma.getdata(column)[:, 0], column.mask[:, 0] if hasattr(column, "mask") else None)
    if form == "votable" and column.dtype.str[1:] == "u8":
        column, note = _of_int64(column)
    if form == "fits" and _is_masked(column):
        column, note = _fits_null(column, note)
    return _all_digits(column, form), note


def _all_digits(column, form):
    """A column without its display format, which would limit the digits of text."""
    if column.info.format is None or holds_mixins(form):
        return column
    column = column.copy()
    column.info.format = None
    return column


def _is_masked(column):
    return isinstance(column, MaskedColumn) and bool(np.any(column.mask))


def _like(column, values, mask=None):
    """A column with other values and the same attributes."""
    mask = getattr(column, "mask", None) if mask is None else mask
    options = {"name": column.info.name, "description": column.description, "unit": column.unit, "meta": column.meta}
    return Column(values, **options) if mask is None else MaskedColumn(values, mask=mask, **options)


def _as(column, dtype):
    return _like(column, np.ma.getdata(column).astype(dtype))


def _of_one_kind(column):
    """Objects that are all text, or all numbers, as a column of that; None is masked."""
    values = list(np.ma.asarray(column).filled(None).ravel()) if hasattr(column, "mask") else list(column)
    if column.ndim > 1:
        return column, None
    missing = np.array([value is None for value in values], dtype=bool)
    kinds = {type(value) for value in values if value is not None}
    if len(kinds) > 1 or not kinds <= {str, int, float, bool}:
        return column, None
    empty = next(iter(kinds), str)()
    plain = np.array([empty if value is None else value for value in values], dtype=None if values else str)
    if plain.dtype.kind == "O":
        return column, None
    return _like(column, plain, missing if missing.any() else None), "objects as plain values"


def _of_int64(column):
    """Unsigned integers as signed ones, or as text if they are too large for that."""
    present = np.ma.asarray(column).compressed()
    if not len(present) or present.max() <= np.iinfo(np.int64).max:
        return _as(column, "i8"), None
    return _as(column, str), "large numbers as text"


def _dates(column):
    values = np.ma.getdata(column)
    missing = np.isnat(values) | np.ma.getmaskarray(np.ma.asarray(column))
    return _like(column, np.where(missing, "", np.datetime_as_string(values)), missing if missing.any() else None)


def _fits_null(column, note):
    """A column whose masked rows have a value that no other row has: FITS has no masks."""
    if column.dtype.kind == "b":
        column, note = _as(column, "u1"), "true and false as 1 and 0, since some are masked"
    if column.dtype.kind not in "iu":
        return column, note
    present = np.ma.asarray(column).compressed()
    while (null := _free(present, column.dtype)) is None:
        column = _as(column, {"u1": "i2", "i2": "i4", "u2": "i4"}[column.dtype.str[1:]])
    column = _like(column, np.ma.getdata(column))
    column.fill_value = null
    return column, note


def _free(values, dtype):
    """A number of an integer type that none of the values is; None if there is none left."""
    limits = np.iinfo(dtype)
    highest = min(limits.max, np.iinfo(np.int64).max)  # astropy does not read larger ones back
    for number in (highest, limits.min):
        if number not in values:
            return number
    if limits.bits > 16:
        return next(number for number in range(highest - len(values) - 1, highest) if number not in values)
    left = np.setdiff1d(np.arange(limits.min, limits.max + 1), values)
    return int(left[0]) if len(left) else None


def _time(column, form):
    if not holds_mixins(form):
        precise = column.copy()
        precise.precision = 9
        mask = np.broadcast_to(np.asarray(getattr(column, "mask", False)), column.shape)
        text = np.ma.getdata(getattr(precise.isot, "unmasked", precise.isot)).astype(str)
        values = np.where(mask, "", text)
        made = MaskedColumn(values, mask=mask) if mask.any() else Column(values)
        return made, f"times as text ({column.scale.upper()})"
    if form == "ascii.ecsv" and not _survives_as_shown(column):
        column = column.copy()
        column.info.serialize_method["ecsv"] = "jd1_jd2"
    return column, None


def _survives_as_shown(column):
    try:
        again = Time(column.value, format=column.format, scale=column.scale)
        return bool(np.all(np.abs((again - column).to_value("s")) < _SECOND))
    except Exception:  # of a format that is not read back
        return False


def _split(table):
    """Positions and other compound columns as plain ones."""
    notes = []
    compound = [name for name in table.colnames if isinstance(table[name], SkyCoord)]
    meta = dict(table.meta)
    try:
        plain = Table(represent_mixins_as_columns(table), copy=False)
    except Exception:  # of a column that has no plain form: the trial will tell which
        return table, notes
    plain.meta.clear()
    plain.meta.update(meta)
    for name in compound:
        parts = [part for part in plain.colnames if part.startswith(f"{name}.")]
        simple = [part.removeprefix(f"{name}.") for part in parts]
        if simple == ["ra", "dec"] and not {"ra", "dec"} & set(plain.colnames) and table[name].frame.name == "icrs":
            plain.rename_columns(parts, simple)
            parts = simple
        notes.append((name, f"position as the columns {' and '.join(parts)} ({table[name].frame.name})"))
    return plain, notes
