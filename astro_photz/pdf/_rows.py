# Licensed under a 3-clause BSD style license - see LICENSE
"""
Rows of a RedshiftPDF: those that an index means, and those of several PDFs joined.
"""

import numpy as np

from astro_photz.utils._suggestions import shortened

from .grids import same_grid, shown_grid

__all__ = ["check_one_grid", "index_of"]


def index_of(rows, n):
    """
    Index of NumPy for a number, a slice, a mask or an array of rows, which keeps the axis of n galaxies.

    Raise an IndexError for anything else, and for rows that are not there.
    """
    if isinstance(rows, tuple):
        raise IndexError("a RedshiftPDF has one axis, that of its galaxies; the array .p has that of the bins too")
    try:
        index = rows if isinstance(rows, slice) else _array_of(rows)
        np.empty(n, dtype=bool)[index]
    except (IndexError, TypeError, ValueError):
        raise IndexError(
            f"rows of a RedshiftPDF of {n} galaxies are numbers below that, a slice, or a mask of as many; got "
            f"{shortened(rows)}"
        ) from None
    return index


def _array_of(rows):
    rows = np.ma.atleast_1d(np.ma.asarray(rows))
    if rows.dtype.kind == "b":
        return np.ma.filled(rows, False)  # a masked condition holds for no galaxy
    return np.asarray(rows) if rows.size else np.zeros(0, dtype=int)


def check_one_grid(parts):
    """Raise a ValueError if there are no parts, or their grids differ."""
    if not parts:
        raise ValueError("parts must hold at least one RedshiftPDF, whose grid the result has; got none")
    first = parts[0].edges
    for number, part in enumerate(parts):
        if not same_grid(first, part.edges):
            others = " with other edges" if len(part.edges) == len(first) else ""
            raise ValueError(
                f"parts must be on one grid: the first has {shown_grid(first)}, that with index {number} has "
                f"{shown_grid(part.edges)}{others}"
            )
