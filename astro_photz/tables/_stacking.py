# Licensed under a 3-clause BSD style license - see LICENSE
"""
Parts of a table, one below the other.
"""

from copy import deepcopy

from astropy.table import vstack

__all__ = ["stacked"]


def stacked(tables):
    """
    Set tables of the same columns one below the other, with the meta of the first.

    >>> from astropy.table import Table
    >>> from astro_photz.tables._stacking import stacked
    >>> parts = [Table({"ra": [ra]}, meta={"comments": ["mine"]}) for ra in (1.5, 2.5)]
    >>> whole = stacked(parts)
    >>> whole["ra"].tolist(), whole.meta
    ([1.5, 2.5], {'comments': ['mine']})
    """
    first = tables[0]
    whole = vstack(tables, join_type="exact", metadata_conflicts="silent")
    whole.meta = deepcopy(first.meta)  # astropy would set its lists one behind the other
    for name in whole.colnames:
        column = whole[name]
        column.info.meta = deepcopy(first[name].info.meta)
        fills = [table[name].fill_value for table in tables if hasattr(table[name], "fill_value")]
        if fills and hasattr(column, "fill_value") and column.dtype.kind in "iu":
            column.fill_value = fills[0]  # the null of a FITS file, which no row has
    return whole
