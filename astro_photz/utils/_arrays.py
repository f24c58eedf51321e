# Licensed under a 3-clause BSD style license - see LICENSE
"""
Convert columns, masked arrays, quantities, frames of pandas, text and Python's own objects to plain arrays.

Unknown values stay unknown. A mask, a null word, pandas' NA and the sentinels of catalogues become NaN (in numbers), -1
(in whole numbers) or an empty text (in names). No other module does this.
"""

import re

import numpy as np
from astropy import units as u

from ._suggestions import shortened
from ._units import own_unit

__all__ = [
    "NULL_WORDS",
    "POSITIVE_SENTINELS",
    "SENTINELS",
    "filled",
    "foreign_kind",
    "identifiers",
    "integers",
    "numbers",
    "values_and_mask",
]

NULL_WORDS = frozenset(
    {
        *("", "null", "none", "nan", "na", "n/a", "n.a.", "<na>", "nat", "nil", "undef", "undefined", "unknown"),
        *("missing", "masked", "-", "--", "---", "----", "-----", "...", "…", "\\n", "?"),
    }
)
"""Words for an unknown value, in lower case."""

SENTINELS = (-9.0, -99.0, -999.0, -9999.0, -99999.0, -99.9, -99.99, -99.999, -999.9, -999.99, -9999.9, -9999.99)
"""Numbers for an unknown value, among values that cannot be like that."""

POSITIVE_SENTINELS = (99.0, 99.9, 99.99, 99.999, 999.0, 999.9, 999.99, 9999.0, 99999.0)
"""Further ones, among values that cannot be as large."""

_SENTINEL_WORDS = tuple(f"{number:g}{end}" for number in SENTINELS[:5] for end in ("", ".0"))
_MOST = np.iinfo(np.int32).max
_HUGE = 1e20  # nothing here is as large: 1e20, 1e30 and 1.6e38 (IRAF's INDEF) stand for no value
# Python takes 1_5 for 15, and digits of any script: in a catalogue they are slips.
_NUMBER = re.compile(r"[+-]?((\d+\.?\d*|\.\d+)(e[+-]?\d+)?|inf|infinity|nan)", re.ASCII | re.IGNORECASE)
_FOREIGN = {"b": "True and False", "c": "complex numbers", "m": "spans of time", "M": "dates", "V": "records"}
_NO_NUMBERS = "cmMV"  # kinds of arrays


def filled(values, dtype=float, *, name="values"):
    """
    Convert numbers to a NumPy array, with NaN where they are masked.

    A unit is left out; ``dtype`` is one of floating-point numbers. Raise a TypeError that begins with ``name`` if they
    are no real numbers.

    Examples
    --------
    >>> from astropy.table import MaskedColumn
    >>> from astro_photz.utils._arrays import filled
    >>> filled(MaskedColumn([1, 2], mask=[False, True]))
    array([ 1., nan])
    >>> filled([0.1, "z"], name="redshift")
    Traceback (most recent call last):
        ...
    TypeError: redshift must hold real numbers; got [0.1, 'z']
    """
    try:
        plain = np.ma.asarray(getattr(values, "value", values))
    except (TypeError, ValueError, OverflowError):  # lists of several lengths
        plain = None
    if plain is None or plain.dtype.kind in _NO_NUMBERS or (plain.dtype.kind in "USO" and _has_other_words(plain)):
        raise TypeError(f"{name} must hold real numbers; got {shortened(values)}")
    if plain.dtype.kind in "USO":
        plain = np.ma.masked_array(_floats(plain.data), plain.mask)
    with np.errstate(over="ignore"):
        return np.ma.filled(plain.astype(dtype), np.nan)


def _has_other_words(plain):
    """Check whether there is a value that is neither a number nor unknown."""
    found = _floats(np.ma.getdata(plain))
    other = np.isnan(found) & ~np.ma.getmaskarray(plain)
    return not all(_is_null(value) for value in np.ma.getdata(plain)[other])


def _is_null(value):
    text = value.decode("utf-8", "replace") if isinstance(value, bytes) else value
    return value is None or value is np.ma.masked or str(text).strip().lower() in NULL_WORDS


def foreign_kind(values):
    """
    Name what a column holds, if it is neither numbers nor text; an empty text for those.

    Examples
    --------
    >>> import numpy as np
    >>> from astropy.time import Time
    >>> from astro_photz.utils._arrays import foreign_kind
    >>> foreign_kind(np.array([0.1])), foreign_kind(np.array([True])), foreign_kind(Time(["2000-01-01"]))
    ('', 'True and False', 'a Time')
    """
    dtype = getattr(values, "dtype", None)
    if dtype is None:  # of astropy's compound columns
        return f"a {type(values).__name__}"
    return _FOREIGN.get(dtype.kind, "")


def numbers(values, *, unit=None, sentinels=SENTINELS):
    """
    Convert values to numbers, with NaN where they are unknown or no numbers.

    Values may be masked, text, a column of pandas, or Python's own objects. The result is in ``unit``, which values
    without a unit are taken to have; by default a unit is left out. ``sentinels``, in the unit of ``values``, stand for
    no value, as do infinity and what exceeds 1e20. Raise a ValueError if the units do not convert.

    Examples
    --------
    >>> from astropy import units as u
    >>> from astro_photz.utils._arrays import numbers
    >>> numbers(["0.1", "null", None, "-9999"])
    array([0.1, nan, nan, nan])
    >>> numbers([50, -9999] * u.mmag, unit=u.mag)
    array([0.05,  nan])
    """
    own = own_unit(values) if unit is not None else None
    factor = 1.0 if own is None else own.to(unit)  # raises a ValueError
    plain, mask = values_and_mask(values)
    found = _floats(plain)
    unknown = mask | ~(np.abs(found) < _HUGE) | _is_one_of(found, sentinels)
    return np.where(unknown, np.nan, found) * factor


def integers(values, *, unknown=-1, most=_MOST):
    """
    Convert values to whole numbers of 0 or more.

    Values are as in `numbers`; one that is unknown, no such number, or above ``most`` becomes ``unknown``.

    Examples
    --------
    >>> from astro_photz.utils._arrays import integers
    >>> integers(["1043", "null", "-9999", "2.5"])
    array([1043,   -1,   -1,   -1])
    """
    found = numbers(values)
    known = (found >= 0) & (found <= most) & (found == np.floor(found))
    return np.where(known, np.where(known, found, 0).astype(int), unknown)


def identifiers(values):
    """
    Convert names or numbers of galaxies to an array without a mask.

    Whole numbers stay exact, with -1 where unknown (0 if they are unsigned); floating-point numbers get NaN, and text
    an empty one.

    Examples
    --------
    >>> from astropy.table import MaskedColumn
    >>> from astro_photz.utils._arrays import identifiers
    >>> identifiers(MaskedColumn([1237653651835781245, 7], mask=[False, True]))
    array([1237653651835781245,                  -1])
    """
    plain, mask = values_and_mask(values)
    if plain.dtype.kind == "O":
        plain = _from_objects(plain, mask)
    if plain.dtype.kind in "iu":
        signed = plain.dtype.kind == "i"
        unknown = mask | (np.isin(plain, np.array(SENTINELS[:5], dtype=int)) if signed else False)
        return np.where(unknown, np.array(-1 if signed else 0, dtype=plain.dtype), plain)
    if plain.dtype.kind == "f":
        return np.where(mask | _is_one_of(plain, SENTINELS), np.nan, plain)
    if plain.dtype.kind in "US":
        text = _text(plain)
        words = np.char.lower(np.char.strip(text))
        return np.where(mask | np.isin(words, [*NULL_WORDS, *_SENTINEL_WORDS]), "", text)
    return plain


def values_and_mask(values):
    """
    Split values into plain ones and a mask of the unknown ones.

    The plain values have no unit; the mask has their shape.
    """
    if hasattr(values, "isna") and hasattr(values, "to_numpy"):  # of pandas
        return _of_pandas(values)
    if isinstance(values, list | tuple) and any(isinstance(value, u.Quantity) for value in values):
        values = u.Quantity(values)
    if isinstance(values, list | tuple) and any(value is np.ma.masked for value in values):
        values = [None if value is np.ma.masked else value for value in values]
    try:
        values = np.asanyarray(values)
    except ValueError:  # rows of several lengths: objects
        rows, values = values, np.empty(len(values), dtype=object)
        values[:] = rows
    mask = np.broadcast_to(np.asarray(getattr(values, "mask", False)), values.shape)
    unmasked = getattr(values, "unmasked", values)
    return np.asarray(np.ma.getdata(getattr(unmasked, "value", unmasked))), mask


def _is_one_of(values, sentinels):
    """Mask of the values that are a sentinel, or one rounded to float32."""
    ordered = np.array([-np.inf, *sorted(sentinels), np.inf])
    above = np.searchsorted(ordered[1:-1], values)
    return np.isclose(values, ordered[above], rtol=1e-6, atol=0) | np.isclose(
        values, ordered[above + 1], rtol=1e-6, atol=0
    )


def _of_pandas(series):
    mask = np.asarray(series.isna().to_numpy(), dtype=bool)
    if series.dtype.kind in "iu" and mask.any():  # floats would lose the digits of an objID
        return series.to_numpy(dtype=np.int64 if series.dtype.kind == "i" else np.uint64, na_value=0), mask
    plain = series.to_numpy()
    return plain if plain.dtype.kind in "iufb" else series.to_numpy(dtype=object), mask


def _floats(plain):
    if plain.dtype.kind in "iufb":
        with np.errstate(over="ignore"):
            return plain.astype(float)
    if plain.dtype.kind in _NO_NUMBERS:
        return np.full(plain.shape, np.nan)
    return np.array([_number(value) for value in plain.ravel()], dtype=float).reshape(plain.shape)


def _number(value):
    if value is np.ma.masked or isinstance(value, bool | np.bool_ | np.ndarray):
        return np.nan
    if isinstance(value, bytes):
        value = value.decode("utf-8", "replace")
    if isinstance(value, str):
        return float(value) if _NUMBER.fullmatch(value.strip()) else np.nan
    try:
        return float(value)
    except (TypeError, ValueError, OverflowError):  # None, pandas' NA, an integer beyond all floats
        return np.nan


def _from_objects(plain, mask):
    """Convert Python's own objects to whole numbers if they all are such, else to text."""
    none = [unknown or value is None or value is np.ma.masked for value, unknown in zip(plain, mask, strict=True)]
    known = [value for value, unknown in zip(plain, none, strict=True) if not unknown and str(value).lower() != "nan"]
    whole_numbers = known and all(
        isinstance(value, int | np.integer) and not isinstance(value, bool) for value in known
    )
    kind = next((kind for kind in (np.int64, np.uint64) if whole_numbers and _all_fit(known, kind)), None)
    if kind is not None:
        missing = 0 if kind is np.uint64 else -1
        whole = (value if isinstance(value, int | np.integer) else missing for value in plain)
        return np.array([missing if unknown else value for value, unknown in zip(whole, none, strict=True)], dtype=kind)
    words = ("" if unknown else value for value, unknown in zip(plain, none, strict=True))
    return np.array([word.decode("utf-8", "replace") if isinstance(word, bytes) else str(word) for word in words])


def _all_fit(numbers, kind):
    return np.iinfo(kind).min <= min(numbers) and max(numbers) <= np.iinfo(kind).max


def _text(plain):
    return np.char.decode(plain, "utf-8", "replace") if plain.dtype.kind == "S" else plain
