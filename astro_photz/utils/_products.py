# Licensed under a 3-clause BSD style license - see LICENSE
"""
Matrix products whose rows do not depend on each other, to the last bit.
"""

import numpy as np

__all__ = ["ROWS", "padded", "row_products"]

ROWS = 16
"""Galaxies in one call of a matrix product or a graph: each row then comes out the same, in whatever company."""


def row_products(values, matrix, *, rows=ROWS):
    """
    Multiply each row of an array by a matrix.

    Libraries of linear algebra add up in an order that depends on the number of rows. Here it is always the same one,
    so that a galaxy gets the same numbers alone, in a catalogue, and when a run is resumed.

    Parameters
    ----------
    values : `~numpy.ndarray` (N, K)
    matrix : `~numpy.ndarray` (K, M) or (K,)
    rows : int, optional
        Rows of one product.

    Returns
    -------
    `~numpy.ndarray` (N, M) or (N,)

    Examples
    --------
    >>> import numpy as np
    >>> from astro_photz.utils._products import row_products
    >>> values, matrix = np.random.default_rng(0).normal(size=(100, 300)), np.ones((300, 7))
    >>> bool((row_products(values, matrix)[:1] == row_products(values[:1], matrix)).all())
    True
    """
    columns = matrix[:, None] if matrix.ndim == 1 else matrix
    n, whole = len(values), len(values) // rows * rows
    result = np.empty((n, columns.shape[1]), dtype=np.result_type(values, columns))
    blocks = np.ascontiguousarray(values[:whole]).reshape(-1, rows, values.shape[1])
    np.matmul(blocks, columns, out=result[:whole].reshape(-1, rows, columns.shape[1]))
    if whole < n:
        result[whole:] = (padded(values[whole:], rows) @ columns)[: n - whole]
    return result[:, 0] if matrix.ndim == 1 else result


def padded(values, rows=ROWS):
    """
    Fill an array up to a number of rows, with copies of the first one.

    Parameters
    ----------
    values : `~numpy.ndarray` (N, ...)
        At least one row.
    rows : int, optional

    Returns
    -------
    `~numpy.ndarray` (rows, ...)
        The array itself, if it has as many.
    """
    lacking = rows - len(values)
    return np.concatenate([values, np.repeat(values[:1], lacking, axis=0)]) if lacking > 0 else values
