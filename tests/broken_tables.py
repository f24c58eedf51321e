# Licensed under a 3-clause BSD style license - see LICENSE
"""
Files of tables that are wrong in one way, for tests and for fuzzing.

`REFUSED` holds functions that make the bytes of such a file, by the ending of its name and by what is wrong. Those that
name another file name the one that they are given, by its URL.
"""

import bz2
import gzip
import io
import lzma

import h5py
import numpy as np
from astropy.io import fits
from astropy.table import Table

__all__ = ["REFUSED", "SECRET", "UNPACKED", "sound"]

UNPACKED = 2**24
"""Bytes in the packed files: a test that is to be quick lowers the limit below it."""

SECRET = "1237.5"
"""Value in the file that no reader may follow a name to."""


def sound(form):
    """Bytes of a table of 5 galaxies in a format."""
    file = io.BytesIO()
    table = Table({"ra": np.arange(5) + 0.5, "dec": np.arange(5) * 1.0, "r": np.full(5, 17.2, dtype="f4")})
    if form == "parquet":
        import pyarrow
        import pyarrow.parquet

        pyarrow.parquet.write_table(pyarrow.table({name: np.array(table[name]) for name in table.colnames}), file)
    elif form == "h5":
        with h5py.File(file, "w") as opened:
            opened["table"] = table.as_array()
    else:
        table.write(file, format={"vot": "votable"}.get(form, form))
    return file.getvalue()


# VOTable


def _votable(fields, data, *, table="", before=""):
    return f"""<?xml version="1.0"?>{before}
<VOTABLE version="1.4" xmlns="http://www.ivoa.net/xml/VOTable/v1.3"><RESOURCE><TABLE {table}>
{fields}<DATA>{data}</DATA></TABLE></RESOURCE></VOTABLE>""".encode()


_FIELDS = '<FIELD name="ra" datatype="double"/><FIELD name="dec" datatype="double"/>'
_ROWS = "<TABLEDATA><TR><TD>1.5</TD><TD>2.5</TD></TR></TABLEDATA>"
_LAUGHS = "".join(f'<!ENTITY l{n} "{f"&l{n - 1};" * 10}">' for n in range(1, 10))


def _stream(element, attributes):
    return lambda other: _votable(_FIELDS, f"<{element}><STREAM {attributes.format(other)}/></{element}>")


VOTABLES = {
    "a stream": _stream("BINARY", 'href="{}"'),
    "a stream of the second kind": _stream("BINARY2", "encoding='none'\n href = '{}'"),
    "a stream that is packed": _stream("BINARY", 'encoding="gzip" href="{}"'),
    "a stream of FITS": _stream("FITS", 'href="{}"'),
    "a stream of the web": _stream("BINARY", 'href="http://127.0.0.1:9/rows"'),
    "a stream of a relative name": _stream("BINARY", 'href="file:rows.bin"'),
    "a stream without a name": _stream("BINARY", 'href=""'),
    "a stream with a prefix": lambda other: _votable(
        _FIELDS, f'<v:BINARY xmlns:v="http://x"><v:STREAM v:n="&gt;" href="{other}"/></v:BINARY>'
    ),
    "a stream by default": lambda other: _votable(
        _FIELDS, "<BINARY><STREAM/></BINARY>", before=f'<!DOCTYPE V [<!ATTLIST STREAM href CDATA "{other}">]>'
    ),
    "an entity of another file": lambda other: _votable(
        _FIELDS, _ROWS.replace("1.5", "&e;"), before=f'<!DOCTYPE V [<!ENTITY e SYSTEM "{other}">]>'
    ),
    "an entity of parameters": lambda other: _votable(
        _FIELDS, _ROWS, before=f'<!DOCTYPE V [<!ENTITY % e SYSTEM "{other}"> %e;]>'
    ),
    "a billion laughs": lambda _: _votable(
        _FIELDS, _ROWS.replace("1.5", "&l9;"), before=f'<!DOCTYPE V [<!ENTITY l0 "ha">{_LAUGHS}]>'
    ),
    "cells of 10**12 numbers": lambda _: _votable(
        f'{_FIELDS}<FIELD name="p" datatype="double" arraysize="1000000000000"/>', _ROWS
    ),
    "cells of many axes": lambda _: _votable(
        f'{_FIELDS}<FIELD name="p" datatype="double" arraysize="10000x10000x10000x*"/>', _ROWS
    ),
    "cells of 5000 digits": lambda _: _votable(
        f'{_FIELDS}<FIELD name="p" datatype="int" arraysize="{"9" * 5000}"/>', _ROWS
    ),
    "texts of a gigabyte": lambda _: _votable(
        f'{_FIELDS}<FIELD name="p" datatype="char" arraysize="1000000000"/>', _ROWS
    ),
    "a parameter of 10**10 numbers": lambda _: _votable(
        f'<PARAM name="p" datatype="double" arraysize="10000000000" value="1"/>{_FIELDS}', _ROWS
    ),
    "10**13 rows": lambda _: _votable(_FIELDS, _ROWS, table='nrows="10000000000000"'),
    "empty rows of many cells": lambda _: _votable(
        f'{_FIELDS}<FIELD name="p" datatype="double" arraysize="1000000"/>',
        "<TABLEDATA>" + "<TR/>" * 5000 + "</TABLEDATA>",
    ),
}


# FITS


def _card(keyword, value):
    """A table with another value in the last card of a keyword."""

    def change(_):
        content = sound("fits")
        place = content.rfind(f"{keyword:<8}=".encode())
        return content[:place] + f"{keyword:<8}= {value}".encode().ljust(80) + content[place + 80 :]

    return change


def _without_end(which):
    def change(_):
        content = sound("fits")
        ends = [content.find(b"END" + b" " * 77), content.rfind(b"END" + b" " * 77)]
        return content[: ends[which]] + b" " * 4_000_000

    return change


FITS_TABLES = {
    f"{keyword} = {value}": _card(keyword, value)
    for keyword, values in {
        "NAXIS": (0, 999, -1),
        "NAXIS1": (10**10, -24),
        "NAXIS2": (10**12, 2**31, 2**62, -1, "'5'"),
        "PCOUNT": (10**13,),
        "GCOUNT": (10**9,),
        "TFIELDS": (10**9, 5000, -1, "'3'"),
        "TFORM1": ("'1000000000D'", "'900000000000000D'", "'Z'", 5),
    }.items()
    for value in values
} | {
    "header without an end": _without_end(0),
    "second header without an end": _without_end(1),
    "3000 parts": lambda _: (fits.PrimaryHDU().header.tostring() + fits.ImageHDU().header.tostring() * 3000).encode(),
}


# HDF5


def _hdf5(make):
    def write(other):
        file = io.BytesIO()
        with h5py.File(file, "w") as opened:
            make(opened, other.removeprefix("file://"))
        return file.getvalue()

    return write


_KIND = np.dtype([("ra", "f8"), ("dec", "f8")])


def _external(file, other):
    file.create_dataset("table", (3,), dtype=_KIND, external=[(other, 0, 48)])


def _virtual(file, other):
    layout = h5py.VirtualLayout(shape=(3,), dtype=_KIND)
    layout[...] = h5py.VirtualSource(other, "table", shape=(3,))
    file.create_virtual_dataset("table", layout)


def _described_elsewhere(file, other):
    file["table"] = np.zeros(3, dtype=_KIND)
    file["table.__table_column_meta__"] = h5py.ExternalLink(other, "meta")


def _with_column(kind):
    return _hdf5(lambda file, _: file.create_dataset("table", (3,), dtype=[("ra", "f8"), ("x", kind)]))


HDF5_TABLES = {
    "stored outside": _hdf5(_external),
    "virtual": _hdf5(_virtual),
    "a link to another file": _hdf5(lambda file, other: file.__setitem__("table", h5py.ExternalLink(other, "table"))),
    "a description in another file": _hdf5(_described_elsewhere),
    "2**40 rows": _hdf5(lambda file, _: file.create_dataset("table", (2**40,), dtype=_KIND, chunks=(1000,))),
    "references": _hdf5(
        lambda file, _: file.create_dataset("table", (3,), dtype=[("ra", "f8"), ("x", h5py.ref_dtype)])
    ),
    "lists": _hdf5(
        lambda file, _: file.create_dataset("table", (3,), dtype=[("ra", "f8"), ("x", h5py.vlen_dtype("f8"))])
    ),
    "texts of a gigabyte": _hdf5(
        lambda file, _: file.create_dataset("table", (3,), dtype=[("ra", "f8"), ("x", "S1000000000")])
    ),
    "a chunk of gigabytes": _hdf5(
        lambda file, _: file.create_dataset(
            "table", (3,), maxshape=(None,), chunks=(2**27,), dtype=_KIND, compression="gzip"
        )
    ),
}


# Parquet


def _parquet(columns, **options):
    def write(_):
        import pyarrow
        import pyarrow.parquet

        file = io.BytesIO()
        pyarrow.parquet.write_table(pyarrow.table(columns(pyarrow)), file, **options)
        return file.getvalue()

    return write


PARQUET = {
    "a text in many rows": _parquet(
        lambda pa: {"x": pa.DictionaryArray.from_arrays(pa.array([0] * 200_000, pa.int32()), pa.array(["x" * 20_000]))},
        compression="zstd",
    ),
    "cut short": lambda _: sound("parquet")[:-20],
    "without a beginning": lambda _: b"PAR1" + sound("parquet")[100:],
}


# Packed


def _packed(packer, head=b"ra,dec\n"):
    return lambda _: packer.compress(head + bytes(UNPACKED), **({"compresslevel": 1} if packer is not lzma else {}))


def _xz(_):
    return lzma.compress(b"ra,dec\n" + bytes(UNPACKED), preset=0)


PACKED = {
    "zeros, by gzip": _packed(gzip),
    "zeros, by bzip2": _packed(bz2),
    "zeros, by xz": _xz,
    "zeros, twice": lambda _: gzip.compress(_packed(gzip)(_)),
    "packed ten times": lambda _: _many_times(b"ra,dec\n1,2\n", 10),
}


def _many_times(content, times):
    for _ in range(times):
        content = gzip.compress(content)
    return content


REFUSED = {
    (ending, what): make
    for ending, ways in {
        "vot": VOTABLES,
        "fits": FITS_TABLES,
        "h5": HDF5_TABLES,
        "parquet": PARQUET,
        "csv": PACKED,
    }.items()
    for what, make in ways.items()
}
"""Functions of the URL of another file, to the bytes of a broken one; by the ending and by what is wrong."""
