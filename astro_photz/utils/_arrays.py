# Licensed under a 3-clause BSD style license - see LICENSE
"""
Numbers out of whatever holds them: columns, masked arrays, quantities, frames of pandas, text, Python's own objects.

What is not known stays not known. A mask, a null word, pandas' NA and the sentinels of catalogues all become NaN (of
numbers), -1 (of whole numbers) or an empty text (of names), here and nowhere else.
"""

import numpy as np
from astropy import units as u

from ._units import own_unit

__all__ = [
    "NULL_WORDS",
    "POSITIVE_SENTINELS",
    "SENTINELS",
    "filled",
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
"""Words that stand for no value, in lower case."""

SENTINELS = (-9.0, -99.0, -999.0, -9999.0, -99999.0, -99.9, -99.99, -99.999, -999.9, -999.99, -9999.9, -9999.99)
"""Numbers that stand for no value, where no such number can be meant."""

POSITIVE_SENTINELS = (99.0, 99.9, 99.99, 99.999, 999.0, 999.9, 999.99, 9999.0, 99999.0)
"""Others, where no number as large can be meant."""

_SENTINEL_WORDS = tuple(f"{number:g}{end}" for number in SENTINELS[:5] for end in ("", ".0"))
_MOST = np.iinfo(np.int32).max
_HUGE = 1e20  # nothing here is as large: 1e20, 1e30 and 1.6e38 (IRAF's INDEF) stand for no value


def filled(values, dtype=float):
    """
    Convert numbers to an array of NumPy, with NaN where they are masked.

    Parameters
    ----------
    values : array_like
        Also a column that is masked, or has a unit, which is left out.
    dtype : `~numpy.dtype`, optional
        Of floating-point numbers.

    Returns
    -------
    `~numpy.ndarray`

    Examples
    --------
    >>> from astropy.table import MaskedColumn
    >>> from astro_photz.utils._arrays import filled
    >>> filled(MaskedColumn([1, 2], mask=[False, True]))
    array([ 1., nan])
    """
    return np.ma.filled(np.ma.asarray(getattr(values, "value", values)).astype(dtype), np.nan)


def numbers(values, *, unit=None, sentinels=SENTINELS):
    """
    Convert values to numbers, with NaN for what is not known or is no number.

    Parameters
    ----------
    values : array_like
        Numbers, masked or not, with a unit or without; text; a column of pandas; Python's own objects.
    unit : `~astropy.units.Unit`, optional
        Of the result; values without a unit are taken to have it. By default a unit is left out.
    sentinels : sequence of float, optional
        Numbers that stand for no value, in the unit of ``values``. Infinity and what exceeds 1e20 always do.

    Returns
    -------
    `~numpy.ndarray` of float

    Raises
    ------
    ValueError
        If the unit of ``values`` does not convert to ``unit``.

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

    Parameters
    ----------
    values : array_like
        As in `numbers`.
    unknown : int, optional
        What stands for a value that is not known, or is no such number.
    most : int, optional
        The largest that can be.

    Returns
    -------
    `~numpy.ndarray` of int

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

    Parameters
    ----------
    values : array_like

    Returns
    -------
    `~numpy.ndarray`
        Whole numbers as they are, exactly, with -1 for what is not known (0 if they are unsigned); floating-point
        numbers with NaN, and text with an empty one.

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
    Take values apart into plain ones and a mask of what is not known.

    Parameters
    ----------
    values : array_like

    Returns
    -------
    values : `~numpy.ndarray`
        Without unit and mask.
    mask : `~numpy.ndarray` of bool
        Of the same shape.
    """
    if hasattr(values, "isna") and hasattr(values, "to_numpy"):  # of pandas
        return _of_pandas(values)
    if isinstance(values, list | tuple) and any(isinstance(value, u.Quantity) for value in values):
        values = u.Quantity(values)
    if isinstance(values, list | tuple) and any(value is np.ma.masked for value in values):
        values = [None if value is np.ma.masked else value for value in values]
    values = np.asanyarray(values)
    mask = np.broadcast_to(np.asarray(getattr(values, "mask", False)), values.shape)
    unmasked = getattr(values, "unmasked", values)
    return np.asarray(np.ma.getdata(getattr(unmasked, "value", unmasked))), mask


def _is_one_of(values, sentinels):
    """Whether each value is a sentinel, or that rounded to float32."""
    ordered = np.array([-np.inf, *sorted(sentinels), np.inf])
    above = np.searchsorted(ordered[1:-1], values)
    return np.isclose(values, ordered[above], rtol=1e-6, atol=0) | np.isclose(
        values, ordered[above + 1], rtol=1e-6, atol=0
    )


def _of_pandas(series):
    mask = np.asarray(series.isna().to_numpy(), dtype=bool)
    if series.dtype.kind in "iu" and mask.any():  # which in floats would lose the digits of an objID
        return series.to_numpy(dtype=np.int64 if series.dtype.kind == "i" else np.uint64, na_value=0), mask
    plain = series.to_numpy()
    return plain if plain.dtype.kind in "iufb" else series.to_numpy(dtype=object), mask


def _floats(plain):
    if plain.dtype.kind in "iufb":
        return plain.astype(float)
    return np.array([_number(value) for value in plain.ravel()], dtype=float).reshape(plain.shape)


def _number(value):
    if value is np.ma.masked:
        return np.nan
    try:
        return float(value.decode("utf-8", "replace") if isinstance(value, bytes) else value)
    except (TypeError, ValueError):  # null words, None, pandas' NA
        return np.nan


def _from_objects(plain, mask):
    """Python's own objects as whole numbers if they are such, else as text."""
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
