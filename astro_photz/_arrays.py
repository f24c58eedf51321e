# Licensed under a 3-clause BSD style license - see LICENSE
"""
Numbers out of the columns that tables have.
"""

import numpy as np

__all__ = ["filled", "numbers"]


def filled(values, dtype=float):
    """
    Values as an array of NumPy, with NaN where they are masked.

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
    >>> from astro_photz._arrays import filled
    >>> filled(MaskedColumn([1, 2], mask=[False, True]))
    array([ 1., nan])
    """
    return np.ma.filled(np.ma.asarray(getattr(values, "value", values)).astype(dtype), np.nan)


def numbers(values):
    """
    The same of values that may have been read as text, with NaN for what is no number.

    Parameters
    ----------
    values : array_like

    Returns
    -------
    `~numpy.ndarray`

    Examples
    --------
    >>> from astro_photz._arrays import numbers
    >>> numbers(["0.1", "null"])
    array([0.1, nan])
    """
    if np.asanyarray(values).dtype.kind not in "USO":
        return filled(values)
    text = np.ma.filled(np.ma.asarray(values).astype(str), "nan")
    return np.array([_number(word) for word in text.ravel()], dtype=float).reshape(text.shape)


def _number(word):
    try:
        return float(word)
    except ValueError:
        return np.nan
