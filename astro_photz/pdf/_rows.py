# Licensed under a 3-clause BSD style license - see LICENSE
"""
Rows of a RedshiftPDF: those that an index means, and those of several PDFs joined.
"""

import numpy as np

from .grids import same_grid, shown_grid

__all__ = ["check_one_grid", "index_of"]


def index_of(rows):
    """Index of NumPy for a number, a slice, a mask or an array of rows, which keeps the axis of the galaxies."""
    if isinstance(rows, tuple):
        raise IndexError("a RedshiftPDF has one axis, that of its galaxies; the array .p has that of the bins too")
    if isinstance(rows, slice):
        return rows
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
