# Licensed under a 3-clause BSD style license - see LICENSE
"""
Parquet files, some rows at a time.

Rows of a file of astropy's are a small file in memory, with the same schema. Rows of other programs are Arrow's.
"""

from pathlib import Path
from tempfile import TemporaryDirectory

from ._parquet import check_declared, from_arrow, is_of_astropy, most_bytes, nbytes, read_parquet, write_parquet

__all__ = ["ParquetRows", "ParquetStream"]

_BATCH = 8192  # rows
_BUFFER = 2**20  # bytes of a column that are read together
_GROUP = 2**14  # rows of a group in a new file, at least
_GROUP_NBYTES = 2**25


class ParquetRows:
    """Rows of a Parquet file; ValueError if they cannot be read by themselves."""

    def __init__(self, path):
        self._path, self._most = path, most_bytes(Path(path).stat().st_size)
        self._file = None
        with _opened(path) as file:
            metadata, self._schema = file.metadata, file.schema_arrow
            check_declared(metadata, self._schema, self._most)
            groups = [metadata.row_group(number) for number in range(metadata.num_row_groups)]
            self._ends, self.rows = [], 0
            for group in groups:
                self.rows += group.num_rows
                self._ends.append(self.rows)
            self.row_nbytes = sum(group.total_byte_size for group in groups) // max(1, self.rows)
            self._of_astropy = is_of_astropy(self._schema)
            _check_kinds(self._schema, groups, self._of_astropy)
            if not self._of_astropy:
                _check_texts(file, self._schema, self.rows, self._most)
            self._integers = {} if self._of_astropy else _integers(file, self._schema)
        from_arrow(self._schema.empty_table(), self._most)  # which tells of a name that is there twice

    def read(self, start, stop):
        """Table of some rows."""
        import pyarrow as pa
        from pyarrow import parquet

        if self._file is None or start != self._next:
            self._begin(start)
        while len(self._ahead) < stop - start:
            self._ahead = pa.concat_tables([self._ahead, self._more()])
        rows, self._ahead = self._ahead[: stop - start], self._ahead[stop - start :]
        self._next = stop
        for name, kind in self._integers.items():
            rows = rows.set_column(name, self._schema.names[name], rows.column(name).cast(kind))
        if not self._of_astropy:
            return from_arrow(rows, self._most)
        content = pa.BufferOutputStream()  # Arrow's alone, as in `read_parquet`
        parquet.write_table(rows, content)
        return read_parquet(pa.BufferReader(content.getvalue()))

    def _begin(self, start):
        """Begin to read at a row."""
        self.close()
        self._file = _opened(self._path)
        first = next((number for number, end in enumerate(self._ends) if end > start), len(self._ends))
        groups = range(first, len(self._ends))
        self._batches = self._file.iter_batches(_BATCH, row_groups=groups, use_threads=False)
        self._ahead = self._schema.empty_table()
        before = start - (self._ends[first - 1] if first else 0)
        while before > len(self._ahead):
            before -= len(self._ahead)
            self._ahead = self._more()
        self._ahead = self._ahead[before:]
        self._next = start

    def _more(self):
        """The next rows of the file."""
        import pyarrow as pa

        batch = next(self._batches)
        if sum(map(nbytes, batch.columns)) > self._most:
            raise ValueError("its values take too many bytes")
        return pa.Table.from_batches([batch], self._schema)

    def close(self):
        """Close the file, if it is open."""
        if self._file is not None:
            self._file.close()
        self._file = None


class ParquetStream:
    """Parquet file that is written some rows at a time."""

    def __init__(self, path, seed):
        from pyarrow import parquet

        self._schema = _laid_out(seed).schema
        self._writer = parquet.ParquetWriter(path, self._schema, version="2.4")  # as astropy does
        self._waiting = self._schema.empty_table()

    def append(self, table, skip):
        """Write the rows of a table but the first ones, or keep them until a group is full."""
        import pyarrow as pa

        rows = _laid_out(table)[skip:]
        if not rows.schema.equals(self._schema, check_metadata=True):
            pairs = zip(rows.schema, self._schema, strict=False)
            other = next((one.name for one, begun in pairs if one != begun), "its description")
            raise ValueError(f"a column is another than in the rows before ({other})")
        self._waiting = pa.concat_tables([self._waiting, rows])
        if len(self._waiting) >= _GROUP or self._waiting.nbytes >= _GROUP_NBYTES:
            self._write()

    def _write(self):
        self._writer.write_table(self._waiting)
        self._waiting = self._schema.empty_table()

    def complete(self):
        """Write the rows that are left."""
        self._write()

    def close(self):
        """Close the file."""
        self._writer.close()


def _opened(path):
    from pyarrow import parquet

    return parquet.ParquetFile(path, memory_map=False, buffer_size=_BUFFER, pre_buffer=False)


def _laid_out(table):
    """Arrow's table of astropy's, as astropy writes it."""
    from pyarrow import parquet

    with TemporaryDirectory() as folder:
        write_parquet(table, Path(folder) / "rows.parquet")
        return parquet.read_table(Path(folder) / "rows.parquet", memory_map=False)


def _check_kinds(schema, groups, of_astropy):
    """Raise ValueError if the values of a column decide together what it becomes."""
    import pyarrow as pa

    lists = any(pa.types.is_fixed_size_list(kind) for kind in schema.types)
    allowed = _is_plain if of_astropy else _is_known
    if not all(map(allowed, schema.types)) or ((of_astropy or lists) and any(map(_may_lack, groups))):
        raise ValueError("its rows do not stand alone")


def _is_plain(kind):
    import pyarrow as pa

    kind = kind.value_type if pa.types.is_fixed_size_list(kind) else kind
    return pa.types.is_primitive(kind) or pa.types.is_string(kind) or pa.types.is_binary(kind)


def _is_known(kind):
    import pyarrow as pa

    texts = (pa.types.is_string, pa.types.is_large_string, pa.types.is_binary, pa.types.is_large_binary)
    numbers = (pa.types.is_integer, pa.types.is_floating, pa.types.is_boolean, pa.types.is_decimal)
    if pa.types.is_dictionary(kind):
        return any(test(kind.value_type) for test in texts)
    if pa.types.is_fixed_size_list(kind):  # of numbers that NumPy makes one type of, whichever they are
        kind = kind.value_type
        return pa.types.is_floating(kind) or (pa.types.is_integer(kind) and not pa.types.is_uint64(kind))
    return any(test(kind) for test in (*texts, *numbers, pa.types.is_timestamp))


def _may_lack(group):
    """Check whether a value may be missing in a group of rows."""
    for number in range(group.num_columns):
        told = group.column(number).statistics
        if group.num_rows and (told is None or not told.has_null_count or told.null_count):
            return True
    return False


def _check_texts(file, schema, rows, most):
    """Raise ValueError if all texts together take more bytes than are allowed for the whole table."""
    import pyarrow as pa

    texts = [name for name, kind in zip(schema.names, schema.types, strict=True) if not pa.types.is_primitive(kind)]
    taken = 0
    for batch in file.iter_batches(_BATCH, columns=texts, use_threads=False) if texts else ():
        taken += sum(map(nbytes, batch.columns))
        if taken > most:
            raise ValueError(f"its {rows:,} rows take too many bytes")


def _integers(file, schema):
    """Kinds of the decimal numbers without a fraction, by the number of their column: all rows decide."""
    import pyarrow as pa

    long = [number for number, kind in enumerate(schema.types) if pa.types.is_decimal(kind) and kind.scale <= 0]
    kinds = {number: [pa.int64(), pa.uint64(), pa.string()] for number in long}
    if len(set(schema.names)) < len(schema.names) and long:
        raise ValueError("its rows do not stand alone")
    names = [schema.names[number] for number in long]
    for batch in file.iter_batches(_BATCH, columns=names, use_threads=False) if long else ():
        for number in long:
            kinds[number] = [kind for kind in kinds[number] if _fits(batch[schema.names[number]], kind)]
    return {number: left[0] for number, left in kinds.items()}


def _fits(array, kind):
    import pyarrow as pa

    try:
        array.cast(kind)
    except pa.ArrowInvalid:
        return False
    return True
