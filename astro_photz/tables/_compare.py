# Licensed under a 3-clause BSD style license - see LICENSE
"""
Compare a table with its copy from a file: find losses, and changes of form.
"""

from typing import NamedTuple

import numpy as np
from astropy.table import Table
from astropy.table.serialize import represent_mixins_as_columns

from ._record import split_records

__all__ = ["Loss", "differences", "lost_meta"]

_TIME_PARTS = (".jd1", ".jd2")
_LAST_DIGIT = 1e-13
_DAY = 1e-11  # of a day: a microsecond


class Loss(NamedTuple):
    """Loss in a column: row and kind."""

    column: str
    row: int | None
    what: str

    def __str__(self):
        row = "" if self.row is None else f", row {self.row + 1}"
        return f"column {self.column!r}{row}: {self.what}"


def differences(table, back):
    """
    Compare a table with its copy from a file: list losses, and notes (column, change) on columns that look different.

    Masked numbers and NaN are alike, and so are masked and empty text.
    """
    own = set(table.colnames)
    table, back = _plain(table), _plain(back)
    if len(table) != len(back):
        return [Loss(table.colnames[0], None, f"{len(table)} rows would become {len(back)}")], []
    losses, notes = [], []
    for number, name in enumerate(table.colnames):
        if name not in back.colnames:
            now = back.colnames[number] if number < len(back.colnames) else "nothing"
            losses.append(Loss(name, None, f"its name would become {now!r}"))
            continue
        _compare(name, table[name], back[name], losses, notes, part=name not in own)
    return losses, notes


def lost_meta(meta, back):
    """List the entries of a table's meta that did not come back."""
    _, rest = split_records(meta)
    known = {str(key).lower(): value for key, value in back.items()}
    return [
        str(key)
        for key, value in rest.items()
        if not str(key).startswith("__") and not _same(value, known.get(str(key).lower()))
    ]


def _same(value, back):
    """Check whether an entry came back; long text may have been broken into lines."""
    return value is None or _squeezed(value) == _squeezed(back)


def _squeezed(value):
    words = value if isinstance(value, (list, tuple)) else [value]
    return "".join("".join(map(str, words)).split())


def _plain(table):
    plain = represent_mixins_as_columns(table)
    return plain if isinstance(plain, Table) else Table(plain)


def _compare(name, column, back, losses, notes, *, part):
    """Compare two columns; a part of a position may be rounded in its last digit on the way."""
    if column.shape != back.shape:
        losses.append(Loss(name, None, f"its shape {column.shape} would become {back.shape}"))
        return
    if not len(column):
        return
    missing, gone = _missing(column), _missing(back)
    if row := _first(missing != gone):
        what = f"{_shown(column, row)} would become {_shown(back, row)}"
        losses.append(Loss(name, row[0], what))
        return
    values, others = np.ma.getdata(_bare(column)), np.ma.getdata(_bare(back))
    note = None
    if name.endswith(_TIME_PARTS):
        equal = np.isclose(values, others, rtol=0, atol=_DAY)
    elif part and values.dtype.kind == "f" and others.dtype.kind == "f":
        equal = np.isclose(values, others, rtol=_LAST_DIGIT, atol=0)
    else:
        equal, note = _equal(values, others, ~missing)
    if row := _first(~(equal | missing)):
        losses.append(Loss(name, row[0], f"{_shown(column, row)} would become {_shown(back, row)}"))
        return
    if note:
        notes.append((name, note))
    if _two_kinds_of_missing(column):
        both = ("empty", "masked text") if column.dtype.kind in "USO" else ("NaN", "masked numbers")
        if not np.array_equal(_mask(column), _mask(back)):
            notes.append((name, f"{both[0]} and {both[1]} are alike"))
    if str(column.unit or "") and str(back.unit or "") == "":
        notes.append((name, "unit dropped"))


def _bare(column):
    return np.ma.asarray(getattr(column, "value", column))


def _mask(column):
    return np.ma.getmaskarray(_bare(column))


def _missing(column):
    """Mask of values that are masked, NaN or empty."""
    data, mask = np.ma.getdata(_bare(column)), _mask(column)
    if data.dtype.kind in "fc":
        return mask | np.isnan(data)
    if data.dtype.kind == "S":
        return mask | (data == b"")
    if data.dtype.kind == "U":
        return mask | (data == "")
    if data.dtype.kind == "O":
        return mask | np.array([value is None for value in data.ravel()], dtype=bool).reshape(data.shape)
    return mask


def _two_kinds_of_missing(column):
    mask = _mask(column)
    return mask.any() and (_missing(column) & ~mask).any()


def _first(wrong):
    """Index of the first element that is wrong; an empty tuple if there is none."""
    return tuple(np.argwhere(wrong)[0]) if wrong.any() else ()


def _shown(column, index):
    value = column[index]
    return "nothing" if np.ma.is_masked(value) else repr(value.item() if hasattr(value, "item") else value)


def _are_equal(one, other):
    try:
        both_lists = isinstance(one, list) and isinstance(other, list)  # whose own may have several lengths
        return np.array_equal(one, other) or (both_lists and one == other)
    except (AttributeError, ValueError):  # of numpy 2.0 where a number stands beside a text; of arrays in lists
        return False


def _equal(values, others, present):
    """Mask of equal elements of two arrays, and a note if one is text and the other is not."""
    if values.dtype.kind == "O":
        pairs = zip(values.ravel(), others.ravel(), strict=True)
        return np.array([_are_equal(one, other) for one, other in pairs]).reshape(values.shape), None
    values_text, others_text = (array.dtype.kind in "US" for array in (values, others))
    note = None
    if values_text and others_text:
        values, others = _text(values), _text(others)
        trimmed = np.strings.strip(values)
        note = "blanks at its ends dropped" if (trimmed != values)[present & (values != others)].any() else None
        return (np.strings.strip(others) == trimmed), note
    if values_text:
        words = np.where(present, _text(values), "0")
        return _cast(words, others.dtype) == others, "read back as numbers, if a program guesses"
    if others_text:
        words = np.where(present, _text(others), "0")
        if values.dtype.kind == "b":
            return words == values.astype(str), "as text"
        return _cast(words, values.dtype) == values, "as text"
    with np.errstate(all="ignore"):
        return others.astype(values.dtype) == values, note


def _cast(words, dtype):
    try:
        return words.astype(dtype)
    except ValueError:
        return np.full(words.shape, np.nan)


def _text(values):
    return np.strings.decode(values, "utf-8", "replace") if values.dtype.kind == "S" else values
