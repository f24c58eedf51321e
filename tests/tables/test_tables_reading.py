# Licensed under a 3-clause BSD style license - see LICENSE
"""Tables that other programs wrote: what is read out of them, and what is said where nothing can be."""

import bz2
import gzip
import io
import lzma
import subprocess
import sys
import warnings
from decimal import Decimal
from functools import partial
from importlib.util import find_spec

import h5py
import numpy as np
import pytest
from astropy.io import fits
from astropy.table import MaskedColumn, Table

from astro_photz.tables import _delimited, read_table

ID = 1237651943176138868
gzipped = partial(gzip.compress, mtime=0)  # names of tests are made of it
needs_pyarrow = pytest.mark.skipif(not find_spec("pyarrow"), reason="needs pyarrow")
ROWS = {"name": ["NGC é", "b"], "ra": [150.1, 150.2], "dec": [2.2, -2.0]}
CSV = "name,ra,dec\nNGC é,150.1,2.2\nb,150.2,-2\n"


def written(tmp_path, content, name="hosts.csv"):
    path = tmp_path / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def values(table):
    """Columns as lists, None where masked."""
    return {name: np.ma.asarray(table[name]).tolist() for name in table.colnames}


@pytest.mark.parametrize(
    "content",
    [
        *(CSV.encode(name) for name in ("utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32", "latin-1")),
        *(b"\xfe\xff" + CSV.encode("utf-16-be"), CSV.encode("cp1252"), CSV.encode() + b"\x1a"),
        *(CSV.replace("\n", "\r\n").encode("utf-16"), CSV.replace("\n", "\r").encode("latin-1")),
    ],
)
def test_any_encoding(tmp_path, content):
    assert values(read_table(written(tmp_path, content))) == ROWS


def fits_bytes(table):
    file = io.BytesIO()
    table.write(file, format="fits")
    return file.getvalue()


def votable_bytes(table):
    file = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of a name that is no identifier of XML
        table.write(file, format="votable")
    return file.getvalue()


@pytest.mark.parametrize("plain", [CSV.encode(), CSV.encode("utf-16"), fits_bytes(Table({"ra": [1.5], "dec": [2.5]}))])
@pytest.mark.parametrize(
    ("pack", "name"),
    [
        (gzipped, "a.csv.gz"),
        (bz2.compress, "a.FITS.BZ2"),
        (lzma.compress, "A.xz"),
        (lambda data: gzipped(gzipped(data)), "a.csv.gz"),
        (lambda data: gzipped(data[:10]) + gzipped(data[10:]), "a"),
        (bytes, "a.csv.gz"),
        (gzipped, "packed_all_the_same.csv"),
        (bytes, "A.CSV"),
    ],
)
def test_packed_whatever_the_ending(tmp_path, plain, pack, name):
    assert values(read_table(written(tmp_path, pack(plain), name)))["dec"][0] in (2.2, 2.5)


@pytest.mark.parametrize(
    ("text", "right"),
    [
        # what SkyServer, CasJobs and their like put before the table
        (f"#Table1\nobjid,ra\n{ID},1.5\n", {"objid": [ID], "ra": [1.5]}),
        ("# made by me\n\n# on Monday, at night\nra,dec\n1,2\n# no more\n3,4\n", {"ra": [1, 3], "dec": [2, 4]}),
        ("\n\nra,dec\n\n1,2\n\n", {"ra": [1], "dec": [2]}),
        ("sep=;\nra;dec\n1;2\n", {"ra": [1], "dec": [2]}),
        ("ra,name\n1,a#b\n2,#c\n", {"ra": [1, 2], "name": ["a#b", "#c"]}),
        # delimiters
        ("ra;name\n1;a,b\n2;c\n", {"ra": [1, 2], "name": ["a,b", "c"]}),
        ("ra\tname\n1\ta b\n2\t\n", {"ra": [1, 2], "name": ["a b", None]}),
        ("ra|dec\n1|2\n3|4\n", {"ra": [1, 3], "dec": [2, 4]}),
        ("| ra | dec |\n|----|-----|\n| 1  | 2   |\n", {"ra": [1], "dec": [2]}),
        (" ra   dec\n  1 \t  2\n 30    4\n", {"ra": [1, 30], "dec": [2, 4]}),
        ("ra, dec\n1.5, 2\n", {"ra": [1.5], "dec": [2]}),
        (" id | ra\n----+-----\n  1 | 2.5\n", {"id": [1], "ra": [2.5]}),
        ("objid\n12\n13\n", {"objid": [12, 13]}),
        # quotes
        ('name,ra\n"a, b",1\n"c ""d""",2\n', {"name": ["a, b", 'c "d"'], "ra": [1, 2]}),
        ('name,ra\n"two\n#lines",1\n', {"name": ["two\n#lines"], "ra": [1]}),
        ('name ra\n"NGC 1" 1\n5" 2\n', {"name": ["NGC 1", '5"'], "ra": [1, 2]}),
        # delimiters at the ends of lines
        ("ra,dec,\n1,2,\n3,4,\n", {"ra": [1, 3], "dec": [2, 4]}),
        ("ra,dec\n1,2,\n3,4,\n", {"ra": [1, 3], "dec": [2, 4]}),
        ("ra;dec;;;\n1;2;;;\n", {"ra": [1], "dec": [2]}),
        ("ra,dec\n1,2\n,\n", {"ra": [1, None], "dec": [2, None]}),
        # names
        ("#ra dec\n1.5 2\n", {"ra": [1.5], "dec": [2]}),
        ("# a catalogue\n# ra, dec\n1.5,2\n", {"ra": [1.5], "dec": [2]}),
        ("1.5 2\n3 4\n", {"col1": [1.5, 3], "col2": [2, 4]}),
        ("NGC1,1.5\nNGC2,3\n", {"col1": ["NGC1", "NGC2"], "col2": [1.5, 3]}),
        (
            "10:00:00 +02:00:00\n10:01:00 +03:00:00\n",
            {"col1": ["10:00:00", "10:01:00"], "col2": ["+02:00:00", "+03:00:00"]},
        ),
        ("ra,3.6,4.5\n1,2,3\n", {"ra": [1], "3.6": [2], "4.5": [3]}),
        (",ra\n0,1.5\n1,2.5\n", {"col1": [0, 1], "ra": [1.5, 2.5]}),
        ("0,1\n1.5,2.5\n", {"0": [1.5], "1": [2.5]}),
        ("ra,dec\n", {"ra": [], "dec": []}),
        # numbers
        ("a;b\n150,1;2,2\n-3;1,5e-3\n", {"a": [150.1, -3], "b": [2.2, 1.5e-3]}),
        ("a\tb\n150,1\t\n3\t1,5\n", {"a": [150.1, 3], "b": [None, 1.5]}),
        ("a;b\n1.234,5;2,2\n-1,5;3\n", {"a": [1234.5, -1.5], "b": [2.2, 3]}),
        ('a,b\n"150,1","2,2"\n', {"a": [150.1], "b": [2.2]}),
        ('a,b\n"1,2",0.5\n', {"a": ["1,2"], "b": [0.5]}),
        (f"a,b\n{ID},{2**64 - 1}\n-1,0\n", {"a": [ID, -1], "b": [2**64 - 1, 0]}),
        (f"a,b\n{ID},{10**25 + 1}\nnan,5\n", {"a": [ID, None], "b": [str(10**25 + 1), "5"]}),
        (f"a,b\n{ID},1_0\n,2\n", {"a": [ID, None], "b": ["1_0", "2"]}),
        ("a,b,c\n003900,0,05\n12,-7,\n", {"a": ["003900", "12"], "b": [0, -7], "c": ["05", None]}),
        ("a,b,c\n1.5D+02,inf,null\n2d0,-inf,1\n", {"a": [150, 2], "b": [np.inf, -np.inf], "c": ["null", "1"]}),
        ("a,b\n1,2020-01-01\n,2-1\n", {"a": [1, None], "b": ["2020-01-01", "2-1"]}),
        ("a,b\n,x\n,y\n", {"a": [None, None], "b": ["x", "y"]}),
    ],
)
def test_delimited_text(tmp_path, text, right):
    table = read_table(written(tmp_path, text))
    assert values(table) == right
    exact = [name for name, cells in right.items() if any(isinstance(cell, int) and cell > 2**53 for cell in cells)]
    assert all(table[name].dtype.kind in "iu" for name in exact)  # no float, which may be equal by chance


SEXTRACTOR = "#   1 NUMBER  Running object number\n#   2 ALPHA_J2000  Right ascension  [deg]\n 1 150.1\n 2 150.2\n"
IPAC = "\\catalog='x'\n|  ra   | dec  |\n| double| double|\n| deg   | deg  |\n 150.1    2.2   \n"
MRT = """\
Title: A table
Authors: Someone
Table: One
================================================================================
Byte-by-byte Description of file: datafile.txt
--------------------------------------------------------------------------------
   Bytes Format Units  Label     Explanations
--------------------------------------------------------------------------------
 1-  5  F5.1   deg     RAdeg     Right ascension
 7- 10  F4.1   deg     DEdeg     Declination
--------------------------------------------------------------------------------
Notes:
--------------------------------------------------------------------------------
150.1  2.2
150.2 -2.0
"""
VIZIER = "#RESOURCE=yCat\n#Name: J/ApJ\n\nRAJ2000;rmag\ndeg;mag\n-------;----\n150.1;17.2\n150.2;    \n"
RDB = "ra\tname\nN\tS\n1.5\ta\n"
DAOPHOT = (
    "#K IRAF = V3 version %-23s\n#N ID    XCENTER \\\n#U ##    pixels \\\n#F %-9d  %-10.3f \n#\n1 138.5 \\\n2 18.1 \\\n"
)


@pytest.mark.parametrize(
    ("text", "name", "first"),
    [
        (SEXTRACTOR, "ALPHA_J2000", 150.1),
        (IPAC, "ra", 150.1),
        (MRT, "RAdeg", 150.1),
        (MRT[MRT.index("Byte") :], "RAdeg", 150.1),
        (VIZIER, "RAJ2000", 150.1),
        (RDB, "ra", 1.5),
        ("=== ===\n ra dec\n=== ===\n1.5   2\n=== ===\n", "ra", 1.5),
        ("|  ra | dec |\n| 1.5 |   2 |\n", "ra", 1.5),
        (" ra dec\n--- ---\n1.5   2\n", "ra", 1.5),
        ("\\begin{tabular}{cc}\nra & dec \\\\\n1.5 & 2 \\\\\n\\end{tabular}\n", "ra", 1.5),
        ("# %ECSV 1.0\n# ---\n# datatype:\n# - {name: ra, datatype: float64, unit: deg}\nra\n1.5\n", "ra", 1.5),
        (
            b"\xef\xbb\xbf# %ECSV 1.0\r\n# ---\r\n# datatype:\r\n# - {name: ra, datatype: float64}\r\nra\r\n1.5\r\n",
            "ra",
            1.5,
        ),
    ],
)
def test_formats_of_text(tmp_path, text, name, first):
    assert read_table(written(tmp_path, text, "hosts.cat"))[name][0] == first


def test_units_below_names_are_units(tmp_path):
    table = read_table(written(tmp_path, VIZIER))
    assert [str(table[name].unit) for name in table.colnames] == ["deg", "mag"]
    assert table["rmag"].tolist() == [17.2, None]


def fits_table(**columns):
    return fits.table_to_hdu(Table(columns))


def fits_twice():
    hdu = fits_table(ra=[1.0], rb=[2.0], dec=[3.0])
    hdu.header["TTYPE2"] = "ra"
    data = hdu.data.tobytes()
    return fits.BinTableHDU.fromstring(hdu.header.tostring().encode() + data.ljust(2880, b"\0"))


def fits_file(*hdus):
    file = io.BytesIO()
    fits.HDUList([fits.PrimaryHDU(), *hdus]).writeto(file)
    return file.getvalue()


def hdf5_file(**items):
    file = io.BytesIO()
    with h5py.File(file, "w") as opened:
        for name, value in items.items():
            opened[name.replace("__", "/")] = value
    return file.getvalue()


def unsigned():
    return fits_table(a=np.array([1, 2**64 - 1], dtype=np.uint64), b=MaskedColumn([7, 8], mask=[True, False]))


STRUCTURED = np.array([(1.5, ID)], dtype=[("ra", "f8"), ("objid", "i8")])
VOTABLE = votable_bytes(Table({"E(B-V)": [0.1], "ra": [1.5], "name": ["é"], "n": MaskedColumn([ID], mask=[False])}))


@pytest.mark.parametrize(
    ("content", "right"),
    [
        (lambda: fits_file(fits_table(ra=[1.5], s=["a"])), {"ra": [1.5], "s": ["a"]}),
        (lambda: fits_file(fits.ImageHDU(np.zeros((2, 2))), fits_table(ra=[1.5])), {"ra": [1.5]}),
        (lambda: fits_file(fits_table(x=np.zeros(0)), fits_table(ra=[1.5])), {"ra": [1.5]}),
        (lambda: fits_file(fits_table(x=np.zeros(0))), {"x": []}),
        (lambda: fits_file(unsigned()), {"a": [1, 2**64 - 1], "b": [None, 8]}),
        (lambda: fits_file(fits_table(flag=np.array([True, False]))), {"flag": [True, False]}),
        (lambda: hdf5_file(table=STRUCTURED), {"ra": [1.5], "objid": [ID]}),
        (lambda: hdf5_file(group__table=STRUCTURED, x=np.zeros(3)), {"ra": [1.5], "objid": [ID]}),
        (lambda: hdf5_file(a=STRUCTURED[:0], b=STRUCTURED), {"ra": [1.5], "objid": [ID]}),
        (lambda: VOTABLE, {"E(B-V)": [0.1], "ra": [1.5], "name": ["é"], "n": [ID]}),
        (lambda: VOTABLE.decode().encode("utf-16"), {"E(B-V)": [0.1], "ra": [1.5], "name": ["é"], "n": [ID]}),
        (
            lambda: b"\n" + VOTABLE[VOTABLE.index(b"<VOTABLE") :],
            {"E(B-V)": [0.1], "ra": [1.5], "name": ["é"], "n": [ID]},
        ),
    ],
)
def test_binary_and_xml(tmp_path, content, right):
    assert values(read_table(written(tmp_path, content(), "no_ending"))) == right


@needs_pyarrow
@pytest.mark.parametrize(
    ("kind", "cells", "right"),
    [
        ("int64", [ID, None], [ID, None]),
        ("uint64", [2**64 - 1, 1], [2**64 - 1, 1]),
        ("bool_", [True, None], [True, None]),
        ("float32", [0.5, None], [0.5, None]),
        ("string", ["é", None], ["é", None]),
        ("large_string", ["a", "b"], ["a", "b"]),
        ("binary", [b"a", b"b"], ["a", "b"]),
    ],
)
def test_parquet_of_others(tmp_path, kind, cells, right):
    import pyarrow as pa
    from pyarrow import parquet

    parquet.write_table(pa.table({"x": pa.array(cells, type=getattr(pa, kind)())}), tmp_path / "a.parquet")
    assert values(read_table(tmp_path / "a.parquet")) == {"x": right}


@pytest.mark.parametrize(
    ("content", "names"),
    [
        ("ra,dec,ra\n1,2,3\n", ["ra", "dec", "ra_2"]),
        ("ra,ra,ra_2,ra\n1,2,3,4\n", ["ra", "ra_3", "ra_2", "ra_4"]),
        ("#ra ra\n1 3.5\n", ["ra", "ra_2"]),
        (lambda: fits_file(fits_twice()), ["ra", "ra_2", "dec"]),
        (lambda: VOTABLE.replace(b'name="ra"', b'name="E(B-V)"'), ["E(B-V)", "E(B-V)_2", "name", "n"]),
    ],
)
def test_a_name_twice(tmp_path, content, names):
    path = written(tmp_path, content() if callable(content) else content)
    with pytest.warns(UserWarning, match=r"hosts.csv: a column name appears more than once.* now ") as told:
        table = read_table(path)
    assert table.colnames == names
    assert len(told) == 1
    assert repr(names[1] if names[1].endswith(("_2", "_3")) else names[2]) in str(told[0].message)


@pytest.mark.parametrize(
    ("content", "name", "message"),
    [
        (b"", "a.csv", "a.csv: it is empty"),
        (b"\n \n", "a.csv", "it is empty"),
        (b"\xff\xfe", "a.csv", "it is empty"),
        (gzipped(b""), "a.csv.gz", "it is empty"),
        ("# nothing\n# but comments\n", "a.csv", "no table, only comments"),
        ("ra,dec\n1,2\n3\n", "a.csv", r"line 3 has 1 field\(s\), where line 1 has 2: mend"),
        ("#Table1\nra,dec\n\n1,2,3\n", "a.csv", r"line 4 has 3 field\(s\), where line 2 has 2"),
        ('ra,name\n1,"a\nb"\n2,c,d\n', "a.csv", r"line 4 has 3 field\(s\)"),
        ("ra dec\n1 2\n(1 rows affected)\n", "a.txt", r"line 3 has 3 field\(s\)"),
        ('ra,name\n1,"a\n2,b\n', "a.csv", r"line 2: the quotes \(\"\) do not match"),
        ("ra;dec\n1,5;2\n2;2.5\n", "a.csv", r"line 2 has .*decimal comma \(1,5\), and line 3 one with a point \(2.5\)"),
        ("ra;dec\n1,5;2\n1.234;2\n", "a.csv", r"decimal comma \(1,5\), and line 3 one with a point \(1.234\)"),
        ("<!DOCTYPE html><html><head><title>503 Busy</title></head></html>", "a.csv", r"a web page \('503 Busy'\)"),
        ("\n<html><body>error</body></html>", "a.fits", "it is a web page, not a table"),
        ("<?xml version='1.0'?><error/>", "a.xml", "XML, but no VOTable"),
        (
            '<?xml version="1.0"?><VOTABLE><RESOURCE><INFO name="QUERY_STATUS" value="ERROR">no such column</INFO>'
            "</RESOURCE></VOTABLE>",
            "a.vot",
            "without a table, which says QUERY_STATUS ERROR no such column",
        ),
        ("<table><tr><td>1</td></tr></table>", "a.csv", "it is a web page"),
        ('{"ra": [1]}', "a.json", "it is JSON"),
        (b"PK\x03\x04...", "a.xlsx", "ZIP archive or an Excel workbook"),
        (b"%PDF-1.4", "a.pdf", "a PDF document"),
        (b"\x00\x01\x02", "a.fits", "cannot be read as a table: binary data"),
        (bytes(range(256)) * 20, "a.dat", "cannot be read as a table: binary data"),
        (lambda: fits_file(fits.ImageHDU(np.zeros((2, 2)))), "a.fits", r"FITS file of 2 image\(s\), without a table"),
        (lambda: fits_file(fits_table(ra=np.zeros(5000)))[:9000], "a.fits", "a.fits: it "),
        (lambda: hdf5_file(images=np.zeros((2, 2))), "a.h5", "without a table; it has images. .* source="),
        (b"\x89HDF\r\n\x1a\n....", "a.h5", "it cannot be read as a table"),
        (gzipped(CSV.encode())[:-12], "a.csv.gz", "packed with gzip, and cut short"),
        (lzma.compress(CSV.encode())[:40], "a.csv.xz", "packed with lzma, and cut short"),
        (VOTABLE[: len(VOTABLE) // 2], "a.vot", "it cannot be read as a table"),
    ],
)
def test_what_is_no_table_says_so(tmp_path, content, name, message):
    path = written(tmp_path, content() if callable(content) else content, name)
    with pytest.raises(ValueError, match=message) as told:
        read_table(path)
    assert "\n" not in str(told.value)
    assert str(told.value).startswith(str(path))


def test_files_that_are_not_there(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"no file .*absent"):
        read_table(tmp_path / "absent.csv")
    with pytest.raises(IsADirectoryError, match="is a folder: give the name of a file"):
        read_table(tmp_path)


@pytest.mark.parametrize(
    ("text", "form", "right"),
    [
        ("a b\nc,1\n", "csv", {"a b": ["c"]}),
        ("x,y\na,b\n", "tab", {"x,y": ["a,b"]}),
        ("1 2\n3 4\n", "ascii.no_header", {"col1": [1, 3], "col2": [2, 4]}),
        ("1 2\n3 4\n", "no_header", {"col1": [1, 3], "col2": [2, 4]}),
        ("ra dec\n1 2\n", "BASIC", {"ra": [1], "dec": [2]}),
        (VOTABLE, "votable", {"E(B-V)": [0.1], "ra": [1.5], "name": ["é"], "n": [ID]}),
    ],
)
def test_a_format_that_is_named(tmp_path, text, form, right):
    if form == "csv":
        with pytest.raises(ValueError, match="line 2 has 2"):
            read_table(written(tmp_path, text), format=form)
        return
    assert values(read_table(written(tmp_path, text), format=form)) == right


@pytest.mark.parametrize(
    ("form", "message"),
    [
        ("cvs", "format='cvs': no format of tables that astropy can read; did you mean 'csv'"),
        ("fits", "it is no FITS file: leave format='fits' away"),
        ("parquet", "it is no Parquet file"),
        ("ascii.cds", "it cannot be read as a table in the format ascii.cds"),
    ],
)
def test_a_format_that_it_is_not(tmp_path, form, message):
    with pytest.raises(ValueError, match=message):
        read_table(written(tmp_path, CSV), format=form)


@pytest.mark.parametrize("content", [CSV.encode(), gzipped(CSV.encode("utf-16")), CSV.encode("latin-1")])
def test_standard_input(monkeypatch, content):
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(content)))
    assert values(read_table("-")) == ROWS


def test_harmless_warnings_are_not_shown(tmp_path):
    hdu = fits_table(flux=[1.0])
    hdu.header["TUNIT1"] = "nanofrobs"
    broken = VOTABLE.replace(b'datatype="double"', b'datatype="double" unit="nanofrobs"', 1)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert str(read_table(written(tmp_path, fits_file(hdu), "a.fits"))["flux"].unit) == "nanofrobs"
        assert str(read_table(written(tmp_path, broken, "a.vot"))["E(B-V)"].unit) == "nanofrobs"


def test_importing_loads_nothing_heavy():
    code = "import sys, astro_photz.tables; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = {name.partition(".")[0] for name in done.stdout.split()}
    assert not loaded & {"h5py", "pyarrow", "pandas", "scipy", "torch"}


@pytest.mark.parametrize(
    "value",
    [str, lambda row: "" if row % 3 else "7", lambda row: f"gal {row}", lambda row: "nan" if row % 2 else f"{row}.5"],
)
@pytest.mark.parametrize("delimiter", [",", "\t", ";", "|"])
def test_the_quick_way_is_the_careful_one(monkeypatch, delimiter, value):
    lines = [f"{1237651943176138868 + row}{delimiter}{row / 7:.6f}{delimiter}{value(row)}" for row in range(300)]
    text = "\n".join([delimiter.join(("objid", "ra", "x")), *lines]) + "\n"
    monkeypatch.setattr(_delimited, "_LARGE", 0)
    quick = _delimited._quickly(text, delimiter)
    assert quick is not None or (delimiter == "\t" and "\t\n" in text)  # which astropy strips
    if quick is None:
        return
    monkeypatch.setattr(_delimited, "_LARGE", 10**9)
    careful = _delimited.read_delimited(text)
    for name in ("objid", "ra", "x"):
        assert quick[name].dtype == careful[name].dtype
        one, other = (np.ma.asarray(table[name]) for table in (quick, careful))
        np.testing.assert_array_equal(np.ma.getmaskarray(one), np.ma.getmaskarray(other))
        np.testing.assert_array_equal(one.compressed(), other.compressed())


@pytest.mark.parametrize(
    "text",
    [
        "ra,dec\n1,2\n# a comment\n3,4\n",
        'name,ra\n"a, b",2\n',
        "run,ra\n003900,2\n",
        "ra;dec\n1,5;2,5\n",
        "ra,dec\n1,2\n3\n",
        f"objid,ra\n{2**64 - 1},2\n",
        f"objid,ra\n{2**62 + 1},2\nnan,3\n",
        "1,2\n3,4\n",
        "ra,ra\n1,2\n",
        "ra,dec\n1.5D+02,2\n",
    ],
)
def test_what_is_not_plain_is_read_with_care(monkeypatch, text):
    monkeypatch.setattr(_delimited, "_LARGE", 0)
    assert _delimited._quickly(text, ";" if ";" in text else ",") is None


@pytest.mark.parametrize(
    ("words", "right"),
    [
        (["1237651943176138868", "-999.0"], ["1237651943176138868", "-999.0"]),
        (["1237651943176138868.0", "1237651943176138869.0"], ["1237651943176138868.0", "1237651943176138869.0"]),
        (["1.237654321098765433e18", "1"], ["1.237654321098765433e18", "1"]),
        (["1E0657", "2E0336"], ["1E0657", "2E0336"]),
        (["1e20", "2.5"], [1e20, 2.5]),
        (["inf", "2.5"], [np.inf, 2.5]),
        (["1.7976931348623157e308", "1"], [1.7976931348623157e308, 1.0]),
    ],
)
def test_no_digit_of_a_name_is_lost(tmp_path, words, right):
    text = "\n".join(["name,ra", *(f"{word},1.5" for word in words)])
    assert read_table(written(tmp_path, text.encode()))["name"].tolist() == right


@needs_pyarrow
def test_decimal_numbers_of_databases(tmp_path):
    import pyarrow as pa
    from pyarrow import parquet

    ids = [1237654321098765433, 1237654321098765434]
    columns = {
        "id": pa.array(list(map(Decimal, ids)), pa.decimal128(19, 0)),
        "large": pa.array([Decimal(10**30), Decimal(1)], pa.decimal128(38, 0)),
        "z": pa.array([Decimal("0.12"), None], pa.decimal128(5, 2)),
    }
    parquet.write_table(pa.table(columns), tmp_path / "a.parquet")
    table = read_table(tmp_path / "a.parquet")
    assert table["id"].tolist() == ids
    assert table["large"].tolist() == [str(10**30), "1"]
    assert np.ma.filled(table["z"], -1).tolist() == [0.12, -1]


def test_rows_that_are_taken_for_comments_are_told(tmp_path):
    path = written(tmp_path, b"name,ra\nA1,1\n#2,2\n# of two nights\nA3,3\n")
    with pytest.warns(UserWarning, match=r"1 of them look like rows, the first is line 3"):
        assert len(read_table(path)) == 2


@pytest.mark.parametrize("name", ["[Fe/H]", "<z>", "[OIII] 5007", "{x}"])
def test_names_in_brackets(tmp_path, name):
    assert read_table(written(tmp_path, f"{name},ra\n0.1,2\n".encode())).colnames == [name, "ra"]


def test_a_table_in_a_box(tmp_path):
    """As STILTS and MySQL print it."""
    rule = "+------+-------+"
    text = "\n".join([rule, "| name | ra    |", rule, "| a b  | 150.5 |", "| c    |       |", rule, ""])
    table = read_table(written(tmp_path, text.encode(), "hosts.txt"))
    assert table["name"].tolist() == ["a b", "c"]
    assert table["ra"].tolist() == [150.5, None]


def test_the_objects_of_sextractor_and_not_its_header(tmp_path):
    header = fits.BinTableHDU(Table({"Field Header Card": ["SIMPLE"]}), name="LDAC_IMHEAD")
    objects = fits.BinTableHDU(Table({"ALPHA_J2000": [1.5]}), name="LDAC_OBJECTS")
    fits.HDUList([fits.PrimaryHDU(), header, objects]).writeto(tmp_path / "a.fits")
    assert read_table(tmp_path / "a.fits").colnames == ["ALPHA_J2000"]


def test_a_fits_file_whose_last_block_is_not_filled(tmp_path):
    """As some programs leave it: all rows are there."""
    path = tmp_path / "hosts.fits"
    Table({"ra": np.arange(5.0), "dec": np.arange(5.0)}).write(path)
    whole = path.read_bytes()
    header = whole.rfind(b"END" + b" " * 77) // 2880 * 2880 + 2880
    path.write_bytes(whole[: header + 5 * 16])
    assert len(read_table(path)) == 5
    path.write_bytes(whole[: header + 3 * 16])
    with pytest.raises(ValueError, match=r"hosts\.fits: it"):
        read_table(path)
