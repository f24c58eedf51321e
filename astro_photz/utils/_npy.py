# Licensed under a 3-clause BSD style license - see LICENSE
"""
Arrays in files of numpy: numbers and text only, none larger than its file says, read by one thread at a time.

Python 3.11 counts the depth of literals, such as an array's header, over all threads that read one, and ends in a
SystemError (CPython issue 106905).
"""

import math
import zlib
from threading import Lock
from tokenize import TokenError
from zipfile import BadZipFile, ZipFile

import numpy as np
from numpy.lib import format as npy

__all__ = ["LARGEST_ARRAYS", "read_arrays", "read_npy", "real_numbers"]

LARGEST_ARRAYS = 2**30
"""Bytes of all arrays of a file ``.npz``, unpacked."""

_ONE_AT_A_TIME = Lock()
_NO_HEADER = (SyntaxError, TokenError)  # one that is no Python
# What zipfile and numpy say of damage: RuntimeError of a password, NotImplementedError of another compression.
_DAMAGE = (BadZipFile, EOFError, LookupError, TypeError, OSError, RuntimeError, zlib.error, *_NO_HEADER)
_HEADERS = {(1, 0): npy.read_array_header_1_0, (2, 0): npy.read_array_header_2_0}


def read_npy(file, *, mapped=False):
    """Read an array of a file ``.npy``, or map it into memory; raise a ValueError if its header is damaged."""
    try:
        with _ONE_AT_A_TIME:
            return np.load(file, mmap_mode="r" if mapped else None, allow_pickle=False)
    except _NO_HEADER as error:
        raise ValueError(f"no array can be read: {error}") from error


def read_arrays(file):
    """
    Read all arrays of a file ``.npz``, by name.

    Raise a ValueError if it is no such file, is damaged, holds anything but arrays of numbers and text, or if these
    would take more memory than `LARGEST_ARRAYS`; a FileNotFoundError if there is none.
    """
    try:
        with _ONE_AT_A_TIME:
            with ZipFile(file) as members:
                _check_sizes(members)
            if hasattr(file, "seek"):
                file.seek(0)
            with np.load(file, allow_pickle=False) as arrays:
                return dict(arrays)
    except FileNotFoundError:
        raise
    except _DAMAGE as error:
        raise ValueError(f"no arrays can be read: {error}") from error


def real_numbers(array):
    """Take an array of a file as float32; raise a ValueError if it is of other things than real, finite numbers."""
    if array.dtype.kind not in "fiu":
        raise ValueError(f"an array must be of real numbers, got {array.dtype}")
    with np.errstate(over="ignore"):
        numbers = array.astype(np.float32)
    if not np.isfinite(numbers).all():
        raise ValueError("an array must be of finite numbers")
    return numbers


def _check_sizes(members):
    """Raise a ValueError unless each member is an array that fills it, and all of them have room."""
    sizes = [one.file_size for one in members.infolist()]
    if sum(sizes) > LARGEST_ARRAYS:
        raise ValueError(f"its arrays would take {sum(sizes)} bytes, more than {LARGEST_ARRAYS}")
    for one in members.infolist():
        with members.open(one) as member:
            version = npy.read_magic(member)
            if version not in _HEADERS:
                raise ValueError(f"{one.filename} has a header of version {version}")
            shape, _, dtype = _HEADERS[version](member)
            found, wanted = one.file_size - member.tell(), math.prod(shape) * dtype.itemsize
        if dtype.hasobject or min(shape, default=0) < 0 or found != wanted:
            raise ValueError(f"{one.filename} is no array of numbers or text with {found} bytes")
