# Licensed under a 3-clause BSD style license - see LICENSE
"""
Warnings of readers: those of harmless things are not shown, and that of a file cut short is an error.
"""

import re
import warnings
from contextlib import contextmanager

__all__ = ["quiet"]

_FITS_BLOCK = 2880  # bytes


@contextmanager
def quiet(name):
    """Suppress astropy's warnings of harmless things, but refuse a file that is cut short."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        yield
    for warning in caught:
        said = str(warning.message)
        if "truncated" in said.lower() and not _only_unpadded(said):
            raise ValueError("it is cut short: get the file again")
        if said.startswith(("a column name appears", "lines that begin with #")):
            warnings.warn(f"{name}: {said}", stacklevel=4)


def _only_unpadded(said):
    """Check whether astropy misses nothing of a FITS file but the padding of its last block."""
    lengths = [int(number) for number in re.findall(r"\((\d+)\)", said)]
    return len(lengths) == 2 and abs(lengths[1] - lengths[0]) < _FITS_BLOCK
