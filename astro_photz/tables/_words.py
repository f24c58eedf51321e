# Licensed under a 3-clause BSD style license - see LICENSE
"""
Columns of words, as in text, and the numbers that they stand for.
"""

import re
from decimal import Decimal

import numpy as np
from astropy.table import Column, MaskedColumn

__all__ = ["INTEGER_LETTERS", "decimal_points", "is_number", "typed"]

INTEGER_LETTERS = set("0123456789+-")
"""Letters of integers."""

_NUMBER_LETTERS = INTEGER_LETTERS | set(".eEdDnaifNAIFtyTY")
_NUMBER = re.compile(r"[+-]?(\d+[.,]?\d*|[.,]\d+)([eEdD][+-]?\d+)?", re.ASCII)
_COMMA = re.compile(r"[+-]?\d*,\d+([eEdD][+-]?\d+)?|[+-]?\d{1,3}(\.\d{3})+,\d+", re.ASCII)  # also 1.234,5
_SEXAGESIMAL = re.compile(r"[+-]?\d+[:hd ]\d+[:m' ]?[\d.]*[s\"]?", re.ASCII)
_LEADING_ZERO = re.compile(r"[+-]?0\d", re.ASCII)
_FORTRAN = re.compile(r"(?<=[\d.])[dD](?=[+-]?\d)")
_EXACT = 2**53  # up to which a float tells one integer from the next
_UNKNOWN = {"nan", "+nan", "-nan"}
_INFINITE = {"inf", "infinity"}
_DIGITS = 15  # that a float keeps of any number


def is_number(word, *, comma=False):
    """
    Check whether a word is a number, with a decimal comma if that is allowed, or an angle of two or three.

    >>> from astro_photz.tables._words import is_number
    >>> [is_number(word) for word in ("1.5", "-2e3", "10:00:00", "ra", "3,6")]
    [True, True, True, False, False]
    """
    if not comma and "," in word:
        return False
    return bool(_NUMBER.fullmatch(word) or _SEXAGESIMAL.fullmatch(word)) or word.lower() in _UNKNOWN


def typed(words):
    """
    Make a column of words, and one of numbers if they all are numbers.

    Integers stay exact: int64 or uint64, and text if they are longer or begin with a zero. An empty word is masked.

    >>> from astro_photz.tables._words import typed
    >>> typed(["1237651943176138868", ""]).dtype, typed(["1", "2.5"]).dtype, typed(["1", "b"]).dtype
    (dtype('int64'), dtype('float64'), dtype('<U1'))
    """
    present = [word for word in words if word]
    if not present:
        return _masked(np.full(len(words), np.nan), [True] * len(words))
    values = _numbers(present)
    if values is None:
        values = _integers_among_nan(words)
        if values is not None:
            return values
        values = _floats(present)
    if values is None:
        values = np.array(present)
    if len(present) == len(words):
        return Column(values)
    missing = np.array([not word for word in words])
    whole = np.zeros(len(words), dtype=values.dtype)
    whole[~missing] = values
    return _masked(whole, missing)


def _masked(values, missing):
    return MaskedColumn(values, mask=missing) if len(values) else Column(values)


def _numbers(words):
    """Integers of words, if they all are such; None otherwise."""
    if not set("".join(words)) <= INTEGER_LETTERS:
        return None
    if any(map(_LEADING_ZERO.match, words)):
        return np.array(words)  # a name, such as the run 003900, whose zeros a number would lose
    try:
        numbers = [int(word) for word in words]
    except ValueError:
        return None
    lowest, highest = min(numbers), max(numbers)
    if lowest >= np.iinfo(np.int64).min and highest <= np.iinfo(np.int64).max:
        return np.array(numbers, dtype=np.int64)
    if lowest >= 0 and highest <= np.iinfo(np.uint64).max:
        return np.array(numbers, dtype=np.uint64)
    return np.array(words)  # as text they lose no digit


def _integers_among_nan(words):
    """Masked integers for words with NaN among them, if floats would round them."""
    bare = ["" if word.lower() in _UNKNOWN else word for word in words]
    present = [word for word in bare if word]
    numbers = _numbers(present) if present and len(present) < len(words) else None
    if numbers is None or (numbers.dtype.kind in "iu" and all(abs(int(number)) <= _EXACT for number in numbers)):
        return None
    return typed(bare)


def _floats(words):
    if not set("".join(words)) <= _NUMBER_LETTERS:
        return None
    for kind in (words, [_FORTRAN.sub("e", word) for word in words]):
        try:
            values = np.array([float(word) for word in kind])
        except ValueError:
            continue
        return None if _loses_digits(kind, values) else values
    return None


def _loses_digits(words, values):
    """Check whether floats would merge identifiers, or turn a name such as 1E0657 into infinity."""
    large = np.flatnonzero(np.abs(values) > _EXACT)
    return any(
        words[index].strip("+-").lower() not in _INFINITE if np.isinf(values[index]) else _is_rounded(words[index])
        for index in large
    )


def _is_rounded(word):
    exact = Decimal(word)
    return len(exact.as_tuple().digits) > _DIGITS and exact != Decimal(repr(float(word)))


def decimal_points(columns, lines, delimiter):
    """
    Turn decimal commas into points, if all numbers have commas.

    A mixture raises ValueError, unless commas are the delimiter: a field such as ``"1,2"`` stays text then.
    """
    with_comma = [index for index, words in enumerate(columns) if _all_commas(words)]
    if not with_comma:
        return columns
    with_point = _first_point(columns, lines)  # which also a column of both has
    if with_point:
        if delimiter == ",":
            return columns
        row, word = next((row, word) for row, word in enumerate(columns[with_comma[0]]) if "," in word)
        raise ValueError(
            f"line {lines[row]} has a number with a decimal comma ({word}), and line {with_point[0]} one with a point "
            f"({with_point[1]}): write all numbers with points"
        )
    return [
        [word.replace(".", "").replace(",", ".") for word in words] if index in with_comma else words
        for index, words in enumerate(columns)
    ]


def _all_commas(words):
    """Check whether there are numbers with a decimal comma, and nothing but numbers."""
    letters = set("".join(words))
    if "," not in letters or not letters <= _NUMBER_LETTERS | {","}:
        return False
    present = [word for word in words if word and word.lower() not in _UNKNOWN]
    commas = [bool(_COMMA.fullmatch(word)) for word in present]
    return any(commas) and all(comma or _NUMBER.fullmatch(word) for comma, word in zip(commas, present, strict=True))


def _first_point(columns, lines):
    """Line and word of the first number with a decimal point, in the columns of nothing but numbers."""
    for words in columns:
        letters = set("".join(words))
        if "." not in letters or not letters <= _NUMBER_LETTERS | {","}:
            continue
        present = [
            (line, word) for line, word in zip(lines, words, strict=True) if word and word.lower() not in _UNKNOWN
        ]
        if all(_NUMBER.fullmatch(word) or _COMMA.fullmatch(word) for _, word in present):
            found = next(((line, word) for line, word in present if "." in word and "," not in word), None)
            if found:
                return found
    return None
