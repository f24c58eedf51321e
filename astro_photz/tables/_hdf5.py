# Licensed under a 3-clause BSD style license - see LICENSE
"""
HDF5 files: a table as astropy writes it, and the edges of the bins of redshift as a data set of their own.

The table is the data set ``table``; ``z_phot_edges``, after the prefix, are the edges.
"""

import h5py
import numpy as np
from astropy.table import Table
from h5py import h5t

from astro_photz.utils._hdf5 import check_dataset, find, first_names, open_hdf5

from ._record import edges_of, split_records

__all__ = ["TABLE", "find_table", "read_hdf5", "write_edges", "write_hdf5"]

TABLE = "table"
"""Name of the table in a file of this package."""

_TOLD = 5  # names in a message
_PLAIN = (h5t.INTEGER, h5t.FLOAT, h5t.ENUM, h5t.STRING)


def read_hdf5(file):
    """Read the first table with rows; ValueError without a data set that has named columns."""
    with open_hdf5(file) as opened:
        table = Table.read(opened, path=find_table(opened), format="hdf5")
    for name in table.colnames:
        if getattr(getattr(table[name], "dtype", None), "kind", None) == "S":
            _decode(table, name)  # HDF5 has no other text
    return table


def find_table(opened):
    """Name of the table that is read."""
    found = []
    opened.visititems(lambda name, item: found.append(name) if _is_table(item) else None)
    if not found:
        names = first_names(opened, _TOLD) if len(opened) else "nothing"
        raise ValueError(
            f"it is an HDF5 file without a table; it has {names}. "
            "Give the table of the galaxies; a file of their images goes to source="
        )
    for name in found:
        _check(opened, name)
    return next((name for name in found if len(opened[name])), found[0])


def _decode(table, name):
    """Text instead of bytes, if they are text."""
    column = table[name]
    try:
        text = np.char.decode(np.ma.getdata(column), "utf-8")
    except UnicodeDecodeError:
        return
    options = {"description": column.description} | ({"mask": column.mask} if hasattr(column, "mask") else {})
    table.replace_column(name, type(column)(text, **options))


def _is_table(item):
    """Check whether a thing is a data set of named columns; a virtual one is not asked for its shape."""
    if not isinstance(item, h5py.Dataset):
        return False
    try:
        return item.id.get_type().get_class() == h5t.COMPOUND and item.id.rank == 1
    except (TypeError, RuntimeError):  # of a kind that h5py does not know, or damaged
        return False


def _check(opened, name):
    """Refuse a table, or astropy's description of it, by a ValueError: one that lies elsewhere, or fills the memory."""
    try:
        check_dataset(opened[name], f"its table {ascii(name)[1:-1]}", classes=(h5t.COMPOUND,))
        kind = opened[name].id.get_type()
        for number in range(kind.get_nmembers()):
            member = kind.get_member_type(number)
            member = member.get_super() if member.get_class() == h5t.ARRAY else member
            if member.get_class() not in _PLAIN and member.dtype.kind != "c":  # complex numbers are pairs
                column = ascii(kind.get_member_name(number).decode("utf-8", "replace"))[1:-1]
                raise ValueError(f"the column {column} must be numbers or texts, got something else")
        meta = find(opened, f"{name}.__table_column_meta__")
        if meta is not None:
            check_dataset(meta, "the description of its columns")
    except ValueError as error:
        raise ValueError(f"it cannot be read as a table: {error}") from error


def write_hdf5(table, path):
    """Write a table with its meta, and the edges of each record in it once more."""
    table.write(path, format="hdf5", path=TABLE, serialize_meta=True, overwrite=True)
    with h5py.File(path, "a") as file:
        write_edges(table.meta, file)


def write_edges(meta, file):
    """Write the edges of each record in a table's meta."""
    records, _ = split_records(meta)
    for prefix, record in records.items():
        file[f"{prefix}_edges"] = edges_of(record)
