# Licensed under a 3-clause BSD style license - see LICENSE
"""
Parquet files, of astropy and of other programs.
"""

import numpy as np
from astropy.table import Column, MaskedColumn, Table

from ._names import unique_names

__all__ = ["read_parquet", "write_parquet"]


def read_parquet(file):
    """Read a table; integers with gaps among them stay exact, and are masked."""
    from pyarrow import parquet

    schema = parquet.read_schema(file)
    if b"table_meta_yaml" in (schema.metadata or {}):
        return Table.read(file, format="parquet")
    if hasattr(file, "seek"):
        file.seek(0)
    arrow = parquet.ParquetFile(file).read()  # also with a name twice
    columns = [_column(chunked) for chunked in arrow.columns]
    return Table(columns, names=unique_names(arrow.column_names))


def _column(chunked):
    """Astropy's column of Arrow's."""
    import pyarrow as pa

    if pa.types.is_dictionary(chunked.type):
        chunked = chunked.cast(chunked.type.value_type)
    if pa.types.is_decimal(chunked.type):
        chunked = _undecimal(chunked)
    missing = np.asarray(chunked.is_null(), dtype=bool)
    kind = chunked.type
    if pa.types.is_string(kind) or pa.types.is_large_string(kind):
        values = np.array([value or "" for value in chunked.to_pylist()], dtype=str)
    elif pa.types.is_binary(kind) or pa.types.is_large_binary(kind):
        values = np.array([value or b"" for value in chunked.to_pylist()], dtype=bytes)
    elif pa.types.is_integer(kind) or pa.types.is_boolean(kind):
        values = chunked.fill_null(False if pa.types.is_boolean(kind) else 0).to_numpy()
    elif pa.types.is_list(kind) or pa.types.is_fixed_size_list(kind) or pa.types.is_large_list(kind):
        values = _stacked(chunked.to_pylist())
    else:
        values = chunked.to_numpy()
    if values.dtype.kind == "O" and missing.any():
        missing = np.zeros(len(missing), dtype=bool)  # None says it
    return MaskedColumn(values, mask=missing) if missing.any() else Column(values)


def _undecimal(chunked):
    """Decimal numbers as integers, if they are such, which databases use for identifiers; as text if too large."""
    import pyarrow as pa

    if chunked.type.scale > 0:
        return chunked.cast(pa.float64())
    for kind in (pa.int64(), pa.uint64(), pa.string()):
        try:
            return chunked.cast(kind)
        except pa.ArrowInvalid:
            continue
    return chunked


def _stacked(rows):
    """Lists of one length as rows of an array; others as objects."""
    lengths = {len(row) for row in rows if row is not None}
    if len(lengths) == 1 and None not in rows:
        array = np.array(rows)
        if array.dtype.kind != "O":
            return array
    objects = np.empty(len(rows), dtype=object)
    objects[:] = rows
    return objects


def write_parquet(table, path):
    """Write a table with its meta."""
    table.write(path, format="parquet", overwrite=True)
