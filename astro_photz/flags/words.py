# Licensed under a 3-clause BSD style license - see LICENSE
"""
Flags in words: names in the place of numbers, such as ``LOW_SNR|CROWDED``, and counts of them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ._unknown import no_flag
from .bits import FLAG_MEANINGS, PhotozFlag

if TYPE_CHECKING:
    from astropy.table import Table

__all__ = ["describe", "names", "parse", "to_table", "with_names"]

_LATER = "BIT_"  # begins the name of a bit that this version has no name for
_BITS = 31  # of the columns' int32, without its sign
_SEPARATORS = str.maketrans("+,", "||")


def names(value: int | str) -> list[str]:
    """
    Name the flags of one galaxy.

    Parameters
    ----------
    value : int or str
        Sum of bits, or names as `parse` takes them.

    Returns
    -------
    list of str
        A bit of a later version is ``BIT_20`` if it is the 20th, counted from 0.

    Raises
    ------
    ValueError
        If the value is no sum of flags.

    Examples
    --------
    >>> from astro_photz import flags
    >>> flags.names(384)
    ['OFF_CENTRE', 'CROWDED']
    """
    number = _number(value)
    return [_name(bit) for bit in range(_BITS) if number >> bit & 1]


def describe(value: int | str) -> str:
    """
    Tell what the flags of one galaxy mean.

    Parameters
    ----------
    value : int or str
        As for `names`.

    Returns
    -------
    str
        A line.

    Raises
    ------
    ValueError
        If the value is no sum of flags.

    Examples
    --------
    >>> from astro_photz import flags
    >>> flags.describe(96)
    'PARTIAL: a part of the stamp has no data; LOW_SNR: the galaxy is fainter than 10 times its noise in r'
    >>> flags.describe(0)
    'no flag: nothing speaks against the estimate'
    """
    told = [f"{name}: {_meaning(name)}" for name in names(value)]
    return "; ".join(told) or "no flag: nothing speaks against the estimate"


def parse(values: Any) -> np.ndarray:
    """
    Read flags, whether they are numbers or names.

    Parameters
    ----------
    values : array_like (N,) of int or str
        A column of a table, also out of a text file: numbers, or names with ``|``, ``+`` or commas between them. What
        is masked, NaN or empty has no flag.

    Returns
    -------
    `~numpy.ndarray` (N,) int32

    Raises
    ------
    ValueError
        If a value is no sum of flags; the message names its row.

    Examples
    --------
    >>> from astro_photz import flags
    >>> flags.parse(["", "LOW_SNR|CROWDED", "64"])
    array([  0, 320,  64], dtype=int32)
    """
    values = np.ma.asarray(values.to_numpy() if hasattr(values, "to_numpy") else values)
    plain = np.ma.getdata(values)
    if plain.dtype.kind in "iu" and (not plain.size or 0 <= plain.min() <= plain.max() < 1 << _BITS):
        return np.asarray(np.ma.filled(values, 0), dtype=np.int32)
    known: dict[Any, int] = {}
    result = np.zeros(plain.shape, dtype=np.int32)
    for row in np.flatnonzero(~np.ma.getmaskarray(values)):
        value = plain.flat[row]
        if value not in known:
            try:
                known[value] = _number(value)
            except ValueError as error:
                raise ValueError(f"row {row}: {error}") from None
        result.flat[row] = known[value]
    return result


def to_table(data: Any, prefix: str = "z_phot") -> Table:
    """
    Count the galaxies of each flag.

    Parameters
    ----------
    data : `~astropy.table.Table`, `pandas.DataFrame`, or array_like (N,) of int or str
        A table with redshifts, or flags alone.
    prefix : str, optional
        The flags of a table are in the column ``{prefix}_flags``.

    Returns
    -------
    `~astropy.table.Table`
        A row for each flag, also where no galaxy has it: ``name``, ``bit`` (the number that it adds), ``n`` (number of
        galaxies), ``share`` (of all) and ``meaning``.

    Raises
    ------
    KeyError
        If the table has no such column.
    ValueError
        If a value is no sum of flags.

    Examples
    --------
    >>> from astro_photz import flags
    >>> counts = flags.to_table([0, 64, 320, 0])
    >>> counts["name", "n", "share"][counts["n"] > 0].pprint()
      name   n  share
    ------- --- -----
    LOW_SNR   2   0.5
    CROWDED   1  0.25
    """
    from astropy.table import Table

    found = parse(data[_column(data, prefix)] if _is_table(data) else data)
    used = int(np.bitwise_or.reduce(found, axis=None)) if found.size else 0
    bits = [bit for bit in range(_BITS) if bit < len(PhotozFlag) or used >> bit & 1]
    counts = np.array([np.count_nonzero(found & (1 << bit)) for bit in bits])
    listed = [_name(bit) for bit in bits]
    share = counts / max(found.size, 1)
    columns = [listed, [1 << bit for bit in bits], counts, share, [_meaning(name) for name in listed]]
    table = Table(columns, names=["name", "bit", "n", "share", "meaning"])
    table["share"].info.format = ".3g"
    return table


def with_names(data: Any, prefix: str = "z_phot") -> Any:
    """
    Put the names of flags in the place of their numbers.

    Parameters
    ----------
    data : `~astropy.table.Table` or `pandas.DataFrame`
        With redshifts; it stays as it is.
    prefix : str, optional
        The flags are in the column ``{prefix}_flags``.

    Returns
    -------
    `~astropy.table.Table` or `pandas.DataFrame`
        A copy whose column of flags is text: ``LOW_SNR|CROWDED``, or nothing. A Table shares the data of its other
        columns.

    Raises
    ------
    KeyError
        If the table has no such column.

    Examples
    --------
    >>> from astropy.table import Table
    >>> from astro_photz import flags
    >>> flags.with_names(Table({"z_phot": [0.1, 0.2], "z_phot_flags": [320, 0]})).pprint()
    z_phot   z_phot_flags
    ------ ---------------
       0.1 LOW_SNR|CROWDED
       0.2
    """
    name = _column(data, prefix)
    values, inverse = np.unique(parse(data[name]), return_inverse=True)
    text = np.array(["|".join(names(int(value))) for value in values], dtype=str)[inverse]
    if not hasattr(data, "colnames"):
        return data.assign(**{name: text})
    named = data.copy(copy_data=False)
    description = getattr(data[name], "description", None)
    named[name] = text
    named[name].info.description = description and "Names of what speaks against the estimate; nothing for no doubt"
    return named


def _number(value):
    """The sum of bits that a number or a text stands for."""
    if np.ndim(value):
        raise ValueError(
            f"flags of one galaxy are one value; got {np.size(value)}. For a column there is with_names(table)"
        )
    if isinstance(value, bytes):
        value = value.decode("utf-8", "replace")
    if value is None or value is np.ma.masked or value != value:
        return 0
    if isinstance(value, str):
        words = [word.strip() for word in value.translate(_SEPARATORS).split("|")]
        total = 0
        for word in filter(None, words):
            total |= _bit(word)
        return total
    try:
        number = int(value)
    except (TypeError, ValueError, OverflowError):
        number = -1
    if number != value or not 0 <= number < 1 << _BITS:
        raise ValueError(f"flags are a sum of bits, from 0 to {(1 << _BITS) - 1}; got {value!r}")
    return number


def _bit(word):
    if word.isdecimal():
        return _number(int(word))
    bare = word.upper().removeprefix("PHOTOZFLAG.")
    if bare.startswith(_LATER) and bare.removeprefix(_LATER).isdecimal():
        return _number(1 << min(int(bare.removeprefix(_LATER)), _BITS))
    if bare not in PhotozFlag.__members__:
        raise ValueError(no_flag(word, PhotozFlag.__members__))
    return int(PhotozFlag[bare])


def _name(bit):
    return PhotozFlag(1 << bit).name if bit < len(PhotozFlag) else f"{_LATER}{bit}"


def _meaning(name):
    return FLAG_MEANINGS.get(name) or f"bit {name.removeprefix(_LATER)}, of a later version"


def _is_table(data):
    return hasattr(data, "colnames") or (hasattr(data, "columns") and hasattr(data, "assign"))


def _column(data, prefix):
    """Name of the column of flags, which must be there."""
    name, names = f"{prefix}_flags", list(getattr(data, "colnames", getattr(data, "columns", ())))
    if name in names:
        return name
    others = [other.removesuffix("_flags") for other in map(str, names) if other.endswith("_flags")]
    remedy = f"give prefix={' or '.join(map(repr, others))}" if others else "astro_photz.predict adds it"
    raise KeyError(f"no column {name!r} in the table: {remedy}")
