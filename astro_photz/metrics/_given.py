# Licensed under a 3-clause BSD style license - see LICENSE
"""
Numbers that a user gives to a metric.
"""

import numpy as np

from astro_photz.utils._arrays import filled

__all__ = ["one_each"]

_LARGEST = 1e100  # whose square is a number, too


def one_each(**columns):
    """
    Convert columns to arrays (N,), a number for each galaxy, with NaN where masked.

    Raise a TypeError if one holds no real numbers, and a ValueError if it is no list, empty, of another length, or
    holds a number that is infinite, or so large that its square may be.

    >>> from astro_photz.metrics._given import one_each
    >>> one_each(z_phot=[0.1, 0.2], redshift=[0.1])
    Traceback (most recent call last):
        ...
    ValueError: redshift must have the shape (2,), like z_phot; got (1,)
    """
    arrays = {name: filled(values, name=name) for name, values in columns.items()}
    (first, shape), *others = ((name, values.shape) for name, values in arrays.items())
    if len(shape) != 1 or not shape[0]:
        raise ValueError(f"{first} must be a list of numbers, one for each galaxy, not empty; got the shape {shape}")
    for name, other in others:
        if other != shape:
            raise ValueError(f"{name} must have the shape {shape}, like {first}; got {other}")
    for name, values in arrays.items():
        large = np.flatnonzero(np.abs(values) > _LARGEST)
        if len(large):
            raise ValueError(
                f"{name} must be numbers of a size up to {_LARGEST:g}; got {values[large[0]]:g}, in row {large[0]}"
            )
    return list(arrays.values()) if others else arrays[first]
