# Licensed under a 3-clause BSD style license - see LICENSE
"""
Few rows that stand for all rows of a table when the form of its columns in a file is decided.
"""

import numpy as np
from astropy.coordinates import SkyCoord
from astropy.table import Column
from astropy.time import Time
from astropy.units import Quantity

from ._stacking import stacked

__all__ = ["stands_for_all", "survey"]

_HIGHEST = np.iinfo(np.int64).max  # which FITS files have for a masked one, if no other row has it
_PLAIN = {str, int, float, bool}


def survey(parts):
    """
    Make a table of few rows that has, in each column, the extremes of all parts.

    Parameters
    ----------
    parts : iterable of `~astropy.table.Table`
        The parts of one table in order, such as `~astro_photz.tables.parts.TableParts`. They are looked at once.

    Returns
    -------
    `~astropy.table.Table`
        With the attributes and the meta of the first part: in each column the longest text, the smallest and largest
        number, one of each kind of object, a masked value if there is one. What is in a row does not belong together.

    Raises
    ------
    ValueError
        If there are no parts, or a column is of different kinds in two of them.

    Examples
    --------
    >>> from astropy.table import Table
    >>> from astro_photz.tables.streams import survey
    >>> parts = [Table({"name": ["a", "abc"], "n": [5, 6]}), Table({"name": ["b"], "n": [-1]})]
    >>> seed = survey(parts)
    >>> max(seed["name"].tolist(), key=len), min(seed["n"].tolist()), max(seed["n"].tolist())
    ('abc', -1, 6)
    """
    seed = None
    for part in parts:
        few = _extremes(part)
        if seed is not None:
            _check_kinds(seed, few)
        seed = few if seed is None else _extremes(stacked([seed, few]))
    if seed is None:
        raise ValueError("there are no parts of a table")
    return seed


def stands_for_all(seed, form):
    """Check whether each part, with the seed above it, is encoded for a format as the whole table is."""
    return all(_is_decided(seed[name], form) for name in seed.colnames)


def _is_decided(column, form):
    if isinstance(column, Time):
        return column.location is None
    if isinstance(column, Quantity | SkyCoord):
        return True
    if not isinstance(column, Column):
        return False
    present = _present(column)
    if column.dtype.kind == "O":
        kinds = {type(value) for value in present}
        return column.ndim == 1 and len(kinds) < 2 and kinds <= _PLAIN and not _fills(present, np.int64)
    if form == "fits" and column.dtype.kind in "iu" and column.dtype.str[1:] != "i1" and np.any(_mask(column)):
        return not _fills(present.tolist(), column.dtype)
    return True


def _fills(present, dtype):
    """Check whether both numbers occur that stand for a masked one: which one is free then, all rows decide."""
    limits = np.iinfo(dtype)
    return min(limits.max, _HIGHEST) in present and limits.min in present


def _check_kinds(seed, few):
    if seed.colnames != few.colnames:
        raise ValueError(f"the columns of a part are {', '.join(few.colnames)}, and were {', '.join(seed.colnames)}")
    for name in seed.colnames:
        kinds = [_kind(table[name]) for table in (seed, few)]
        if kinds[0] != kinds[1]:
            raise ValueError(f"column {name!r} is {kinds[0]} in one part of the table and {kinds[1]} in another")


def _kind(column):
    if not isinstance(column, Column):
        return type(column).__name__.removeprefix("Masked")
    shape = "".join(f"[{length}]" for length in column.shape[1:])
    kind = column.dtype.kind
    return f"text{shape}" if kind == "U" else f"bytes{shape}" if kind == "S" else f"{column.dtype.name}{shape}"


def _extremes(table):
    rows = {name: _rows(table[name]) if len(table) else [] for name in table.colnames}
    most = max(map(len, rows.values()), default=0)
    few = table[np.zeros(most, dtype=int)]
    for name, picked in rows.items():
        few.replace_column(name, table[name][np.resize(np.array(picked, dtype=int), most)])
    return few


def _rows(column):
    """Numbers of rows with the extremes of a column."""
    mask = _mask(column)
    picked = {*_first(mask), *_first(~mask)}
    if isinstance(column, Column):
        values = np.ma.getdata(column)
        kind = values.dtype.kind
        if kind in "US":
            picked |= _texts(values)
        elif kind in "iu" and not mask.all():
            picked |= _limits(np.ma.asarray(column))
        elif kind == "M":
            picked |= _first(np.isnat(values))
        elif kind == "O" and values.ndim == 1:
            picked |= _objects(values)
    return sorted(picked)


def _texts(values):
    """Rows of the text that is longest in bytes, also where it is masked, and of one beyond ASCII."""
    coded = np.strings.encode(values, "utf-8", "surrogatepass") if values.dtype.kind == "U" else values
    nbytes = np.strings.str_len(coded)
    other = nbytes != np.strings.str_len(values)
    return {int(np.argmax(nbytes.reshape(len(values), -1).max(axis=1))), *_first(other)}


def _limits(values):
    """Rows of the smallest and largest value."""
    rows = [np.unravel_index(place, values.shape)[0] for place in (values.argmin(), values.argmax())]
    return {*map(int, rows), *(_first((values == _HIGHEST).filled(False)) if values.dtype.str[1:] == "u8" else ())}


def _objects(values):
    """Rows of each kind of objects: the longest text, the smallest and largest integer, any other one."""
    kinds: dict = {}
    for row, value in enumerate(values):
        kinds.setdefault(type(value), []).append(row)
    picked = {rows[0] for rows in kinds.values()}
    sizes = {str: lambda row: len(values[row].encode("utf-8", "surrogatepass")), int: lambda row: values[row]}
    for kind in sizes.keys() & kinds.keys():
        picked |= {min(kinds[kind], key=sizes[kind]), max(kinds[kind], key=sizes[kind])}
    return picked


def _mask(column):
    """Mask of the elements of a column."""
    return np.broadcast_to(np.asarray(getattr(column, "mask", False)), column.shape)


def _present(column):
    values = np.ma.getdata(column)
    return [value for value in values if value is not None] if values.dtype.kind == "O" else values[~_mask(column)]


def _first(wanted):
    """Number of the first row with an element that is wanted, if there is one."""
    rows = wanted.reshape(len(wanted), -1).any(axis=1)
    return {int(rows.argmax())} if rows.any() else set()
