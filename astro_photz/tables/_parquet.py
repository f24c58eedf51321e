# Licensed under a 3-clause BSD style license - see LICENSE
"""
Parquet files, of astropy and of other programs.
"""

import io
from pathlib import Path

import numpy as np
from astropy.table import Column, MaskedColumn, Table

from ._names import unique_names
from ._unpack import ROOM

__all__ = ["check_declared", "from_arrow", "is_of_astropy", "most_bytes", "nbytes", "read_parquet", "write_parquet"]

_MOST_UNPACKED = 100  # bytes of a table in a byte of a file
_TEXT = 8  # bytes of a text, at least
_BATCH = 8192  # rows
_CHARACTER = 4  # bytes of a character in NumPy


def read_parquet(file):
    """Read a table; integers with gaps among them stay exact, and are masked."""
    from pyarrow import parquet

    if isinstance(file, io.BytesIO):
        file = _arrow_file(file.getbuffer())
    opened = parquet.ParquetFile(file)
    most = most_bytes(Path(file).stat().st_size if isinstance(file, str | Path) else file.size())
    schema = opened.schema_arrow
    check_declared(opened.metadata, schema, most)
    if is_of_astropy(schema):
        if hasattr(file, "seek"):
            file.seek(0)
        return Table.read(file, format="parquet")
    return from_arrow(_rows(opened, most), most)


def _arrow_file(content):
    """File in memory that is Arrow's alone.

    Arrow's threads let go of a file after it is read. Python aborts where one lets go of a file of Python's at exit.
    """
    import pyarrow as pa

    sink = pa.BufferOutputStream()
    sink.write(content)
    return pa.BufferReader(sink.getvalue())


def most_bytes(size):
    """Bytes that the values of a file of a size may take."""
    return max(ROOM, _MOST_UNPACKED * size)


def is_of_astropy(schema):
    """Check whether astropy has written a table, by its schema."""
    return b"table_meta_yaml" in (schema.metadata or {})


def from_arrow(table, most):
    """Astropy's table of Arrow's, which may have a name twice; ValueError if its texts take more than most bytes."""
    for name, column in zip(table.column_names, table.columns, strict=True):
        if _longest(column) * _CHARACTER * len(column) > most:  # NumPy gives each text the room of the longest
            raise ValueError(
                f"its column {name} has texts of {_longest(column):,} bytes, too long for a table: mend it"
            )
    return Table([_column(chunked) for chunked in table.columns], names=unique_names(table.column_names))


def check_declared(metadata, schema, most):
    """Refuse a file that declares more than it can hold, before memory is asked for."""
    groups = (metadata.row_group(number) for number in range(metadata.num_row_groups))
    unpacked = sum(max(0, group.total_byte_size) for group in groups)
    rows = metadata.num_rows
    if max(unpacked, rows * sum(_width(kind) for kind in schema.types)) > most or rows < 0:
        raise ValueError(f"its {rows:,} rows of {len(schema.types)} columns are more than the file can hold: mend it")


def _width(kind):
    """Bytes of a value, as far as its type tells."""
    import pyarrow as pa

    if pa.types.is_fixed_size_list(kind):
        return kind.list_size * _width(kind.value_type)
    return (kind.bit_width + 7) // 8 if pa.types.is_primitive(kind) or pa.types.is_fixed_size_binary(kind) else _TEXT


def _rows(opened, most):
    """All rows, some at a time, as a dictionary can make much of little."""
    import pyarrow as pa

    batches, taken = [], 0
    for batch in opened.iter_batches(_BATCH):
        taken += sum(nbytes(column) for column in batch.columns)
        if taken > most:
            raise ValueError(f"its values take more than {most:,} bytes, which is no table: mend it")
        batches.append(batch)
    return pa.Table.from_batches(batches, opened.schema_arrow)


def nbytes(array):
    """Bytes of the values, each for itself."""
    import pyarrow as pa

    longest = _longest(array)
    shared = pa.types.is_dictionary(array.type) and longest
    return longest * len(array) if shared else array.nbytes


def _longest(array):
    """Bytes of the longest text in a column; 0 in one of others."""
    import pyarrow as pa
    import pyarrow.compute as pc

    kind = array.type
    if pa.types.is_dictionary(kind):
        chunks = array.chunks if isinstance(array, pa.ChunkedArray) else [array]
        return max((_longest(chunk.dictionary) for chunk in chunks), default=0)
    tests = (pa.types.is_string, pa.types.is_large_string, pa.types.is_binary, pa.types.is_large_binary)
    return (pc.max(pc.binary_length(array)).as_py() or 0) if any(test(kind) for test in tests) else 0


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
