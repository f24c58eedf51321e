# Licensed under a 3-clause BSD style license - see LICENSE
"""
Tables in HDF5 files, some rows at a time.

Some rows of a file are a small file in memory, with astropy's description of the columns. Reading and writing such
files is left to `astro_photz.tables._hdf5`.
"""

import io
from contextlib import contextmanager

import h5py
from h5py import h5t

from astro_photz.utils._hdf5 import open_hdf5

from ._hdf5 import TABLE, find_table, read_hdf5, write_edges

__all__ = ["HDF5Rows", "HDF5Stream"]

_DESCRIPTION = "__table_column_meta__"  # astropy's
_PIECE = 2**23  # bytes of rows that are looked at together


class HDF5Rows:
    """Rows of the table in an HDF5 file; ValueError if they cannot be read by themselves."""

    def __init__(self, path):
        self._path = path
        with open_hdf5(path) as opened:
            self._name = find_table(opened)
            table = opened[self._name]
            self.rows, self.row_nbytes = len(table), table.dtype.itemsize
            kind = table.id.get_type()
            members = [kind.get_member_type(number) for number in range(kind.get_nmembers())]
            if _DESCRIPTION in table.attrs or any(map(_is_of_any_length, members)):
                raise ValueError("its rows do not stand alone")
            _check_texts(table)

    def read(self, start, stop):
        """Table of some rows."""
        content, description = io.BytesIO(), f"{self._name}.{_DESCRIPTION}"
        with h5py.File(self._path, "r") as opened, h5py.File(content, "w") as few:
            rows = opened[self._name]
            few.create_dataset(self._name, data=rows[start:stop])
            described = description in opened
            if described:
                opened.copy(opened[description], few, name=description)
            attributes = {} if described else dict(rows.attrs)
        table = read_hdf5(content)
        table.meta.update(attributes)
        return table


class HDF5Stream:
    """HDF5 file of a table that is written some rows at a time."""

    def __init__(self, path, seed, rows):
        self._meta = seed.meta
        with _laid_out(seed) as few:
            self._layout, self._description = few[TABLE].dtype, few[f"{TABLE}.{_DESCRIPTION}"][()]
            self._file = h5py.File(path, "w")
            try:
                self._table = self._file.create_dataset(TABLE, shape=(rows,), dtype=self._layout)
                few.copy(few[f"{TABLE}.{_DESCRIPTION}"], self._file, name=f"{TABLE}.{_DESCRIPTION}")
            except BaseException:
                self.close()
                raise
        self._written = 0

    def append(self, table, skip):
        """Write the rows of a table but the first ones."""
        with _laid_out(table) as few:
            rows, description = few[TABLE][skip:], few[f"{TABLE}.{_DESCRIPTION}"][()]
        if rows.dtype != self._layout or description.tolist() != self._description.tolist():
            raise ValueError(f"a column is another than in the rows before ({_other_column(rows.dtype, self._layout)})")
        self._table[self._written : self._written + len(rows)] = rows
        self._written += len(rows)

    def complete(self):
        """Write what stands beside the rows."""
        write_edges(self._meta, self._file)

    def close(self):
        """Close the file."""
        self._file.close()


def _is_of_any_length(kind):
    kind = kind.get_super() if kind.get_class() == h5t.ARRAY else kind
    return kind.get_class() == h5t.VLEN or (kind.get_class() == h5t.STRING and kind.is_variable_str())


def _check_texts(table):
    """Raise ValueError if a text is none: its whole column then stays bytes."""
    names = [name for name in table.dtype.names if table.dtype[name].base.kind == "S"]
    step = max(1, _PIECE // table.dtype.itemsize)
    for start in range(0, len(table) if names else 0, step):
        rows = table[start : start + step]
        for name in names:
            b"\n".join(rows[name].ravel().tolist()).decode("utf-8")


@contextmanager
def _laid_out(table):
    """Yield an open file in memory with a table."""
    with h5py.File(io.BytesIO(), "w") as file:
        table.write(file, format="hdf5", path=TABLE, serialize_meta=True)
        yield file


def _other_column(layout, other):
    names = (name for name in layout.names if name not in other.names or layout[name] != other[name])
    return next(names, "its description")
