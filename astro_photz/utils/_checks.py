# Licensed under a 3-clause BSD style license - see LICENSE
"""
Checks of arguments that several rooms make alike.
"""

import operator
from pathlib import Path

__all__ = ["check_count", "check_not_there"]


def check_count(name, value, *, least=1):
    """
    Convert a number of things to an int, if it is one.

    Raise a TypeError if it is no whole number, and a ValueError if it is less than ``least``.

    Examples
    --------
    >>> from astro_photz.utils._checks import check_count
    >>> check_count("n", 0)
    Traceback (most recent call last):
    ...
    ValueError: n must be at least 1, got 0
    """
    if isinstance(value, bool) or not hasattr(value, "__index__"):
        raise TypeError(f"{name} must be a whole number, got {value!r}")
    if value < least:
        raise ValueError(f"{name} must be at least {least}, got {value}")
    return operator.index(value)


def check_not_there(path, *, overwrite):
    """
    Refuse to replace a file or folder, unless the user says so.

    Raise a FileExistsError if it is there and ``overwrite`` is not set.
    """
    if Path(path).exists() and not overwrite:
        raise FileExistsError(f"{path} exists: choose another path, or set overwrite=True")
