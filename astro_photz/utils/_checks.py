# Licensed under a 3-clause BSD style license - see LICENSE
"""
Checks of arguments that several rooms make alike.
"""

import operator
from pathlib import Path

from ._suggestions import shortened

__all__ = ["check_count", "check_not_there", "check_release"]


def check_count(name, value, *, least=1, most=None):
    """
    Convert a number of things to an int, if it is one.

    Raise a TypeError if it is no whole number, and a ValueError if it is less than ``least`` or more than ``most``.

    Examples
    --------
    >>> from astro_photz.utils._checks import check_count
    >>> check_count("n", 0)
    Traceback (most recent call last):
    ...
    ValueError: n must be at least 1, got 0
    """
    try:
        number = None if isinstance(value, bool) else operator.index(value)
    except TypeError:  # also of an array, which may have an index
        number = None
    if number is None:
        raise TypeError(f"{name} must be a whole number, got {shortened(value)}")
    if number < least:
        raise ValueError(f"{name} must be at least {least}, got {shortened(number)}")
    if most is not None and number > most:
        raise ValueError(f"{name} must be at most {most}, got {shortened(number)}")
    return number


def check_not_there(path, *, overwrite):
    """
    Refuse to replace a file or folder, unless the user says so.

    Raise a FileExistsError if it is there and ``overwrite`` is not set.
    """
    if Path(path).exists() and not overwrite:
        raise FileExistsError(f"{path} exists: choose another path, or set overwrite=True")


def check_release(name, value):
    """
    Refuse a number that is no data release of SDSS.

    Raise a ValueError if it is no whole number from 1 on.
    """
    if isinstance(value, bool) or not hasattr(value, "__index__") or value < 1:
        raise ValueError(f"{name} must be that of an SDSS catalogue, such as 12 or 17; got {shortened(value)}")
