# Licensed under a 3-clause BSD style license - see LICENSE
"""
Flags: named bits for missing or doubtful estimates, and their names in words.

A column of flags is a number for each galaxy, the sum of its bits. `with_names` writes names in its place, such as
``LOW_SNR|CROWDED``, and `parse` reads either.
"""

from .bits import BAD, FLAG_ADVICE, FLAG_MEANINGS, MISSING, PhotozFlag
from .words import describe, names, parse, to_table, with_names

__all__ = [
    "BAD",
    "FLAG_ADVICE",
    "FLAG_MEANINGS",
    "MISSING",
    "PhotozFlag",
    "describe",
    "names",
    "parse",
    "to_table",
    "with_names",
]
