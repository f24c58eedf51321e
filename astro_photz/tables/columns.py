# Licensed under a 3-clause BSD style license - see LICENSE
"""
Columns of a table as one array.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from astropy import units as u

from astro_photz.utils._arrays import numbers
from astro_photz.utils._units import own_unit

if TYPE_CHECKING:
    from astropy.table import Table

__all__ = ["side_by_side"]


def side_by_side(table: Table, names: Sequence[str]) -> np.ndarray:
    """
    Set columns side by side.

    Parameters
    ----------
    table : `~astropy.table.Table` (N,)
    names : list of str

    Returns
    -------
    `~numpy.ndarray` or `~astropy.units.Quantity` (N,) or (N, K)
        NaN where a value is not known; with the unit of the columns, if they have one.

    Raises
    ------
    ValueError
        If a column is not there, holds no number at all, or has a unit that is none; or if their units differ.

    Examples
    --------
    >>> from astropy.table import Table
    >>> from astro_photz.tables import side_by_side
    >>> table = Table({"u": [19.1, 18.7], "g": [17.5, 17.2]})
    >>> side_by_side(table, ["u", "g"])
    array([[19.1, 17.5],
           [18.7, 17.2]])
    """
    for name in names:
        if name not in table.colnames:
            raise ValueError(f"no column {name!r} in the table, which has {', '.join(table.colnames)}")
    units = {_unit(table, name) for name in names}
    if len(units) > 1:
        raise ValueError(f"{', '.join(names)} must have the same unit, got {', '.join(map(str, units))}")
    arrays = [numbers(table[name]) for name in names]
    for name, array in zip(names, arrays, strict=True):
        if array.size and np.isnan(array).all():
            raise ValueError(f"column {name!r} has no number in it; the first value is {str(table[name][0])!r}")
    values = arrays[0] if len(arrays) == 1 else np.stack(arrays, axis=1)
    (unit,) = units
    return u.Quantity(values, unit) if unit else values


def _unit(table, name):
    try:
        return own_unit(table[name])
    except ValueError as error:
        raise ValueError(f"column {name!r}: {error}") from None
