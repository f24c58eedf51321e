# Licensed under a 3-clause BSD style license - see LICENSE
"""
The contents that the fields of a card may have, beyond their types.
"""

import math
import re
import reprlib
from itertools import pairwise

from astro_photz.sdss import BANDS

__all__ = ["fault_of", "is_hash"]

_DEEPEST = 32  # lists and dicts in each other
_LONGEST_LINE = 200
_MOST_BINS = 100_000
_LARGEST_DIM = 2**20  # of an embedding
_LARGEST_IMAGE = 4096  # pixels
_HASH = re.compile("[0-9a-f]{64}")
_CONTROLS = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f]")  # all but tabs and line feeds: some are commands to a terminal


def fault_of(fields):
    """
    Find a field that holds what no model can have.

    Parameters
    ----------
    fields : dict
        Values by name, of the right types.

    Returns
    -------
    tuple of str or None
        The field, and what it must be instead of what it is; None if all is well.

    Examples
    --------
    >>> from astro_photz.models._fields import fault_of
    >>> fault_of({"z_edges": [0.0, 0.4, 0.2]})
    ('z_edges', 'must be increasing redshifts, got [0.0, 0.4, 0.2]')
    """
    for name, value in fields.items():
        if not _is_plain(value):
            return name, f"must have no control characters, and lists no more than {_DEEPEST} deep"
        holds, words = _RULES.get(name, (None, ""))
        if holds and value is not None and not holds(value):
            return name, f"must be {words}, got {reprlib.repr(value)}"
    return None


def is_hash(value):
    """Tell whether a value is a hash: 64 hexadecimal digits."""
    return isinstance(value, str) and _HASH.fullmatch(value) is not None


def _is_plain(value, depth=0):
    if isinstance(value, str):
        return not _CONTROLS.search(value)
    if not isinstance(value, dict | list | tuple):
        return True
    inner = [*value.keys(), *value.values()] if isinstance(value, dict) else value
    return depth < _DEEPEST and all(_is_plain(one, depth + 1) for one in inner)


def _is_line(value):
    return 0 < len(value) <= _LONGEST_LINE and "\n" not in value


def _is_number(value):
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _are_numbers(value, length):
    return isinstance(value, list | tuple) and len(value) == length and all(map(_is_number, value))


def _is_count(largest):
    return lambda value: not isinstance(value, bool) and 0 <= value <= largest


def _are_edges(value):
    return 2 <= len(value) <= _MOST_BINS + 1 and _are_numbers(value, len(value)) and _increase(value) and value[0] > -1


def _increase(value):
    return all(low < high for low, high in pairwise(value))


def _are_ranges(value):
    return all(_are_numbers(one, 2) and one[0] <= one[1] for one in value.values())


def _is_training_data(value):
    splits = value.get("splits", {})
    return (
        isinstance(value.get("description"), str)
        and _is_file_of_data(value)
        and isinstance(splits, dict)
        and all(_is_file_of_data(splits.get(name, {})) for name in ("train", "validation"))
    )


def _is_file_of_data(value):
    if not isinstance(value, dict):
        return False
    n = value.get("n", 0)
    return isinstance(n, int) and not isinstance(n, bool) and n >= 0 and isinstance(value.get("sha256", ""), str)


def _is_origin(value):
    ranges = value.get("training_range") or {}
    return (
        isinstance(value.get("name", ""), str)
        and isinstance(value.get("simulated", False), bool)
        and isinstance(ranges, dict)
        and _are_ranges(ranges)
    )


def _are_files(value):
    return all(_is_plain_name(name) and is_hash(digest) for name, digest in value.items())


def _is_plain_name(name):
    return _is_line(name) and not name.startswith(".") and not set(name) & set("/\\:\0")


_LINE = _is_line, f"a line of text of up to {_LONGEST_LINE} characters"
_RANGES = _are_ranges, "two numbers by name, the lower one first"
_RULES = {
    "name": _LINE,
    "version": _LINE,
    "training_data": (_is_training_data, "a description (text), and perhaps n (a number), sha256 (text) and splits"),
    "limits": (lambda value: all(isinstance(one, str) for one in value), "sentences"),
    "origin": (_is_origin, "name (text), simulated (true or false) and training_range, as far as they are known"),
    "training_range": _RANGES,
    "z_edges": (_are_edges, "increasing redshifts"),
    "bands": (lambda value: list(value) == list(BANDS), f"{list(BANDS)}: in this order images are given to it"),
    "pixel_scale": (lambda value: _is_number(value) and value > 0, "a positive number (arcsec)"),
    "r_ugriz": (lambda value: _are_numbers(value, len(BANDS)), f"{len(BANDS)} numbers"),
    "image_size": (_is_count(_LARGEST_IMAGE), f"a number of pixels up to {_LARGEST_IMAGE}"),
    "embedding_dim": (_is_count(_LARGEST_DIM), f"a whole number up to {_LARGEST_DIM}"),
    "files": (_are_files, "hashes (sha256, 64 hexadecimal digits) by names of files in the folder of the model"),
}
"""For each field that has more than a type: whether a value is right, and what it must be."""
