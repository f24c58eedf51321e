# Licensed under a 3-clause BSD style license - see LICENSE
"""
HDF5 files: a table as astropy writes it, and the edges of the bins of redshift as a data set of their own.

The table is the data set ``table``; ``z_phot_edges``, after the prefix, are the edges.
"""

import numpy as np
from astropy.table import Table

from ._record import edges_of, split_records

__all__ = ["read_hdf5", "write_hdf5"]

_TOLD = 5  # names in a message


def read_hdf5(file):
    """Read the first table with rows; ValueError without a data set that has named columns."""
    import h5py

    with h5py.File(file, "r") as opened:
        found = []
        opened.visititems(lambda name, item: found.append(name) if _is_table(item) else None)
        if not found:
            raise ValueError(
                f"it is an HDF5 file without a table; it has {_contents(opened)}. "
                "Give the table of the galaxies; a file of their images goes to source="
            )
        path = next((name for name in found if len(opened[name])), found[0])
        table = Table.read(opened, path=path, format="hdf5")
    for name in table.colnames:
        if getattr(getattr(table[name], "dtype", None), "kind", None) == "S":
            _decode(table, name)  # HDF5 has no other text
    return table


def _decode(table, name):
    """Text instead of bytes, if they are text."""
    column = table[name]
    try:
        text = np.char.decode(np.ma.getdata(column), "utf-8")
    except UnicodeDecodeError:
        return
    options = {"description": column.description} | ({"mask": column.mask} if hasattr(column, "mask") else {})
    table.replace_column(name, type(column)(text, **options))


def _contents(file):
    names = list(file)
    more = f" and {len(names) - _TOLD} more" if len(names) > _TOLD else ""
    return (", ".join(names[:_TOLD]) or "nothing") + more


def _is_table(item):
    return getattr(item, "dtype", None) is not None and item.dtype.names is not None and item.ndim == 1


def write_hdf5(table, path):
    """Write a table with its meta, and the edges of each record in it once more."""
    import h5py

    records, _ = split_records(table.meta)
    table.write(path, format="hdf5", path="table", serialize_meta=True, overwrite=True)
    with h5py.File(path, "a") as file:
        for prefix, record in records.items():
            file[f"{prefix}_edges"] = edges_of(record)
