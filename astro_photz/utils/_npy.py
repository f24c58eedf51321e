# Licensed under a 3-clause BSD style license - see LICENSE
"""
Arrays in files of numpy, read by one thread at a time.

Python 3.11 counts the depth of literals, such as an array's header, over all threads that read one, and ends in a
SystemError (CPython issue 106905).
"""

from threading import Lock

import numpy as np

__all__ = ["read_arrays", "read_npy"]

_ONE_AT_A_TIME = Lock()


def read_npy(file, *, mapped=False):
    """Read an array of a file ``.npy``, or map it into memory."""
    with _ONE_AT_A_TIME:
        return np.load(file, mmap_mode="r" if mapped else None, allow_pickle=False)


def read_arrays(file):
    """Read all arrays of a file ``.npz``, by name."""
    with _ONE_AT_A_TIME, np.load(file, allow_pickle=False) as arrays:
        return dict(arrays)
