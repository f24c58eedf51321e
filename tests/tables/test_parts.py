# Licensed under a 3-clause BSD style license - see LICENSE
"""A table that is read part by part is the table that is read whole."""

import bz2
import io
import os
import subprocess
import sys
import textwrap
import warnings
from decimal import Decimal
from importlib.util import find_spec

import h5py
import numpy as np
import pytest
from astropy.io import fits
from astropy.table import Table
from broken_tables import REFUSED, UNPACKED
from hypothesis import given, settings
from hypothesis import strategies as st
from table_parts import FORMS, assert_same, cut, hosts

from astro_photz.tables import _delimited_parts, _parquet_parts, read_table, write_table
from astro_photz.tables import parts as parts_module
from astro_photz.tables._stacking import stacked
from astro_photz.tables.parts import open_parts

needs_pyarrow = pytest.mark.skipif(not find_spec("pyarrow"), reason="needs pyarrow")
STREAMED = ["fits", "h5", "csv", "tsv", pytest.param("parquet", marks=needs_pyarrow)]
WHOLE = ["vot", "ecsv", "txt", "fits.gz", "csv.bz2"]


@pytest.fixture(autouse=True)
def _small_pieces(monkeypatch):
    monkeypatch.setattr(_delimited_parts, "_PIECE", 9000)
    monkeypatch.setattr(_delimited_parts, "_STEP", 7)
    monkeypatch.setattr(_parquet_parts, "_BATCH", 13)
    monkeypatch.setattr(parts_module, "_MOST", 100)


def assert_parts_are_whole(path, *sizes, streamed=True, format=None):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        whole = read_table(path, format=format)
    with open_parts(path, format=format) as parts:
        assert parts.n == len(whole)
        assert parts.colnames == whole.colnames
        assert parts.meta == whole.meta
        for size in sizes:
            found = [parts.part(*limits) for limits in cut(len(whole), size)]
            for limits, part in zip(cut(len(whole), size), found, strict=True):
                assert len(part) == limits[1] - limits[0]
            assert_same(stacked(found), whole)
        names = whole.colnames[::2]
        assert_same(parts.columns(names), whole[names])
        assert parts.streamed is streamed
    return whole


@pytest.mark.parametrize("ending", STREAMED)
def test_parts_of_any_size_are_the_whole_table(tmp_path, ending):
    path = tmp_path / f"hosts.{ending}"
    write_table(hosts(ending, 500), path)
    assert_parts_are_whole(path, 1000, 500, 499, 77)


@pytest.mark.parametrize("ending", STREAMED)
@pytest.mark.parametrize("n", [1, 2])
def test_a_small_table(tmp_path, ending, n):
    path = tmp_path / f"hosts.{ending}"
    write_table(hosts(ending, n), path)
    assert_parts_are_whole(path, 1, 3)


@pytest.mark.parametrize("ending", STREAMED)
def test_a_table_without_rows(tmp_path, ending):
    path = tmp_path / f"hosts.{ending}"
    write_table(Table({"ra": np.zeros(0), "name": np.zeros(0, "U3")}), path)
    assert_parts_are_whole(path, 3, streamed=ending in ("fits", "h5", "parquet"))


@pytest.mark.parametrize("ending", ["fits", "h5", pytest.param("parquet", marks=needs_pyarrow)])
def test_positions_and_times(tmp_path, ending):
    path = tmp_path / f"hosts.{ending}"
    write_table(hosts(ending, 50, mixins=True), path)
    assert_parts_are_whole(path, 17)


@pytest.mark.parametrize("ending", WHOLE)
def test_other_files_are_read_whole(tmp_path, ending):
    path = tmp_path / f"hosts.{ending}"
    write_table(Table({"ra": np.arange(9.0), "id": np.arange(9)}, meta={"a": 1}), path)
    assert_parts_are_whole(path, 4, streamed=False)


@pytest.mark.parametrize("ending", STREAMED)
def test_parts_are_slices(tmp_path, ending):
    path = tmp_path / f"hosts.{ending}"
    write_table(Table({"ra": np.arange(9.0), "v": np.arange(9)}), path)
    whole = read_table(path)
    with open_parts(path) as parts:
        for limits in ((0, 0), (3, 3), (9, 9), (5, 2), (-2, 9), (7, 99), (2, 4), (0, 9), (8, 9), (1, 2)):
            assert_same(parts.part(*limits), whole[slice(*limits)])
        with pytest.raises(KeyError, match="dec"):
            parts.columns(["ra", "dec"])
        assert parts.streamed


WORDS = [
    *("", "nan", "NaN", "5", "-3", "007", "1.5", "1e3", "1d3", "inf", "a", "M-31", "x-1", "9007199254740993"),
    *("18446744073709551615", "-9223372036854775808", "123456789012345678901", "1237651943176138868.0"),
]
words = st.sampled_from(WORDS)


@settings(max_examples=100, deadline=None)
@given(st.lists(st.tuples(words, words), min_size=1, max_size=12), st.sampled_from(",\t;"), st.integers(1, 5))
def test_text_of_any_words(tmp_path_factory, rows, delimiter, size):
    """Types are those that all words of a column have together."""
    path = tmp_path_factory.mktemp("words") / "hosts.csv"
    path.write_text(
        "".join(f"{delimiter.join(row)}\n" for row in (("one", "two", "n"), *((*row, "1") for row in rows)))
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_delimited_parts, "_PIECE", 24)
        try:
            whole = read_table(path)
        except ValueError:
            with pytest.raises(ValueError, match="hosts"):
                open_parts(path)
            return
        with open_parts(path) as parts:
            found = stacked([parts.part(*limits) for limits in cut(len(whole), size)])
            for name in whole.colnames:
                if np.ma.getmaskarray(np.ma.asarray(whole[name])).all():
                    assert np.ma.getmaskarray(np.ma.asarray(found[name])).all()
                    whole.remove_column(name)
                    found.remove_column(name)
            assert_same(found, whole)


MANY = "".join(f"{number},{number / 7}\n" for number in range(40))


@pytest.mark.parametrize(
    ("text", "streamed"),
    [
        (f"#Table1\nobjid,ra\n{MANY}", True),
        (f"\n# of two nights\n\nobjid,ra\n{MANY}", True),
        (f"\ufeffobjid,ra\n{MANY}", True),
        (f"objid,ra\n{MANY}".replace("\n", "\r\n"), True),
        (f"objid,ra\n{MANY}\n \n", True),
        (f"objid,ra\n{MANY}".rstrip(), True),
        (f"objid|ra\n{MANY.replace(',', '|')}", True),
        (f"objid,ra\n{MANY.replace(',', ' , ')}", True),
        (f"objid,ra\n{MANY}# the end\n", False),
        (f'objid,ra\n{MANY}"41",2\n', False),
        (f"objid,ra\n{MANY}\n41,2\n", False),
        (f"objid,ra\n{MANY}---,---\n41,2\n", False),
        (f"objid,ra\n{MANY}é,2\n", False),
        ("name,ra\n" + "a,1\n---,2\né,3\n" * 20, True),
        (f"sep=;\nobjid;ra\n{MANY.replace(',', ';')}", False),
        (f"objid;ra\n{MANY.replace(',', ';').replace('.', ',')}", False),
        (f"objid,ra,\n{MANY.replace(chr(10), ',' + chr(10))}", False),
        (MANY, False),
        (f"#objid,ra\n{MANY}", False),
        (f"ra,ra\n{MANY}", False),
        (f"objid,ra\n----,----\n{MANY}", False),
        (f"objid ra\n{MANY.replace(',', ' ')}", False),
    ],
)
def test_text_with_something_about_it(tmp_path, monkeypatch, text, streamed):
    monkeypatch.setattr(_delimited_parts, "_PIECE", 100)
    path = tmp_path / "hosts.csv"
    path.write_bytes(text.encode())
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert_parts_are_whole(path, 3, 41, streamed=streamed)


def test_other_encodings_are_read_whole(tmp_path):
    for encoding in ("utf-16", "latin-1", "utf-32"):
        path = tmp_path / f"{encoding}.csv"
        path.write_bytes("name,ra\né,1\nb,2\n".encode(encoding))
        assert_parts_are_whole(path, 1, streamed=False)


def test_a_column_of_two_kinds_of_words_is_read_whole(tmp_path, monkeypatch):
    monkeypatch.setattr(_delimited_parts, "_PIECE", 10)
    path = tmp_path / "hosts.csv"
    path.write_text("name,ra\n" + "1.50,2\n" * 9 + "M31,2\n")
    assert assert_parts_are_whole(path, 2, streamed=False)["name"][0] == "1.50"


@pytest.mark.parametrize("form", ["csv", "tab"])
def test_a_format_that_is_named(tmp_path, form):
    path = tmp_path / "hosts"
    path.write_text("a,b\tc\n1,5\t2\n3,5\t4\n")
    assert_parts_are_whole(path, 1, streamed=form == "csv", format=form)
    with pytest.raises(ValueError, match="it is no FITS file"):
        open_parts(path, format="fits")


def test_fits_of_others(tmp_path):
    """Lists of any length, a second table, an image, numbers that are scaled, names that are there twice."""
    path = tmp_path / "hosts.fits"
    lists = fits.Column("a", "PJ()", array=np.array([[1], [2, 3]], dtype=object))
    fits.BinTableHDU.from_columns([lists]).writeto(path)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert not open_parts(path).streamed
    columns = [
        fits.Column("x", "I", array=np.arange(50)),
        fits.Column("b", "11X", array=np.arange(50 * 11).reshape(50, 11) % 3 == 0),
        fits.Column("s", "6A", array=[f"{number}  " for number in range(50)]),
        fits.Column("m", "2E", dim="(2)", unit="mJy", disp="F8.3", array=np.arange(100.0).reshape(50, 2)),
        fits.Column("n", "J", null=7, array=np.arange(50)),
        fits.Column("l", "L", array=np.arange(50) % 2 == 0),
    ]
    table = fits.BinTableHDU.from_columns(columns, name="MINE")
    table.header["OBSERVER"] = "me"
    table.header.add_history("made")
    table.header["TSCAL1"], table.header["TZERO1"] = 0.5, 3.0
    empty = fits.table_to_hdu(Table({"x": np.zeros(0)}))
    fits.HDUList([fits.PrimaryHDU(np.zeros((3, 3))), empty, table]).writeto(path, overwrite=True, checksum=True)
    whole = assert_parts_are_whole(path, 50, 7)
    assert whole["n"].mask.sum() == 1
    table.header["TTYPE2"] = "x"
    table = fits.BinTableHDU(table.data, table.header)
    content = io.BytesIO()
    fits.HDUList([fits.PrimaryHDU(), table]).writeto(content)
    path.write_bytes(content.getvalue().replace(b"TTYPE2  = 'b       '", b"TTYPE2  = 'x       '"))
    with pytest.warns(UserWarning, match=r"hosts\.fits: a column name appears more than once") as told:
        open_parts(path)
    assert len(told) == 1


def test_hdf5_of_others(tmp_path):
    path = tmp_path / "hosts.h5"
    rows = np.zeros(50, dtype=[("ra", ">f8"), ("name", "S5"), ("id", "i8"), ("v", "f4", (2,))])
    rows["ra"], rows["name"], rows["id"] = np.arange(50), "é".encode(), np.arange(50)
    with h5py.File(path, "w") as file:
        file["a/empty"] = rows[:0]
        table = file.create_dataset("a/hosts", data=rows, chunks=(8,), compression="gzip")
        table.attrs["OBSERVER"], table.attrs["n"] = "me", 5
    whole = assert_parts_are_whole(path, 50, 9)
    assert (whole["name"][0], whole.meta["OBSERVER"]) == ("é", "me")
    with h5py.File(path, "a") as file:
        rows["name"][49] = b"\xff"  # no text, so that all are bytes
        file["a/hosts"][49] = rows[49]
    assert assert_parts_are_whole(path, 9, streamed=False)["name"].dtype.kind == "S"


@needs_pyarrow
@pytest.mark.parametrize(
    ("make", "streamed"),
    [
        (lambda pa: pa.array([None if n == 40 else n for n in range(50)], pa.int64()), True),
        (lambda pa: pa.array([None if n == 40 else n / 7 for n in range(50)], pa.float32()), True),
        (lambda pa: pa.array([None if n == 40 else "é" * n for n in range(50)]), True),
        (lambda pa: pa.array([None if n == 40 else "ab"[n % 2] for n in range(50)]).dictionary_encode(), True),
        (lambda pa: pa.array([None if n == 40 else n % 2 == 0 for n in range(50)]), True),
        (lambda pa: pa.array([b"a" * n for n in range(50)]), True),
        (lambda pa: pa.array(np.arange(50).astype("M8[ns]")), True),
        (lambda pa: pa.array([Decimal(n) for n in range(50)], pa.decimal128(20, 0)), True),
        (lambda pa: pa.array([Decimal(2**63 if n == 40 else n) for n in range(50)], pa.decimal128(20, 0)), True),
        (lambda pa: pa.array([Decimal(2**70 if n == 40 else n) for n in range(50)], pa.decimal128(30, 0)), True),
        (lambda pa: pa.array([Decimal(n) / 4 for n in range(50)], pa.decimal128(20, 2)), True),
        (lambda pa: pa.array([[n, n / 2] for n in range(50)], pa.list_(pa.float32(), 2)), True),
        (lambda pa: pa.array([None if n == 40 else [n, n] for n in range(50)], pa.list_(pa.int32(), 2)), False),
        (lambda pa: pa.array([[1] * (n % 3) for n in range(50)]), False),
        (lambda pa: pa.array([{"a": n} for n in range(50)]), False),
        (lambda pa: pa.nulls(50), False),
    ],
)
def test_parquet_of_others(tmp_path, make, streamed):
    import pyarrow as pa
    from pyarrow import parquet

    path = tmp_path / "hosts.parquet"
    try:
        parquet.write_table(pa.table({"x": make(pa), "n": np.arange(50)}), path, row_group_size=11)
    except pa.ArrowNotImplementedError as error:
        pytest.skip(f"this pyarrow writes no such column: {error}")
    assert_parts_are_whole(path, 50, 7, streamed=streamed)


@needs_pyarrow
def test_rows_that_were_taken_out_of_a_parquet_file(tmp_path):
    """Other programs keep astropy's description, and may write nothing where a number was."""
    import pyarrow as pa
    from pyarrow import parquet

    path = tmp_path / "hosts.parquet"
    write_table(Table({"ra": np.arange(50), "name": ["a"] * 50}), path)
    table = parquet.read_table(path)
    column = pa.array([None if n == 40 else n for n in range(50)], pa.int64())
    parquet.write_table(table.set_column(0, "ra", column), path, row_group_size=11)
    assert_parts_are_whole(path, 7, streamed=False)


@pytest.mark.parametrize(("ending", "what"), REFUSED)
def test_broken_files_are_refused_as_before(tmp_path, monkeypatch, ending, what):
    monkeypatch.setattr("astro_photz.tables._unpack.ROOM", UNPACKED // 2)
    pytest.importorskip("pyarrow") if ending == "parquet" else None
    path = tmp_path / f"hosts.{ending}"
    path.write_bytes(REFUSED[ending, what]((tmp_path / "other").as_uri()))
    with pytest.raises(ValueError, match=r"hosts\.") as right:
        read_table(path)
    with pytest.raises(ValueError, match=r"hosts\.") as told, open_parts(path) as parts:
        list(parts)
    assert str(told.value) == str(right.value)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("absent.csv", None),
        ("empty.csv", b""),
        ("ragged.csv", b"ra,dec\n1,2\n3\n"),
        ("page.csv", b"<html><body>error</body></html>"),
        ("packed.bz2", bz2.compress(b"ra,dec\n1,2\n")[:20]),
        ("cut.h5", b"\x89HDF\r\n\x1a\n...."),
        ("json.csv", b'{"ra": [1]}'),
    ],
)
def test_errors_are_those_of_reading_whole(tmp_path, name, content):
    path = tmp_path / name
    if content is not None:
        path.write_bytes(content)
    with pytest.raises((OSError, ValueError)) as right:
        read_table(path)
    with pytest.raises(type(right.value)) as told:
        open_parts(path)
    assert str(told.value) == str(right.value)


@pytest.mark.parametrize("ending", STREAMED)
def test_a_file_that_changes_is_noticed(tmp_path, ending):
    path = tmp_path / f"hosts.{ending}"
    write_table(Table({"ra": np.arange(9.0)}), path)
    with open_parts(path) as parts:
        parts.part(0, 2)
        write_table(Table({"ra": np.arange(10.0)}), path)
        with pytest.raises(ValueError, match="has changed while it was read"):
            parts.part(2, 4)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs pipes with a name")
def test_a_pipe_is_read_once(tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"ra,dec\n1,2\n3,4\n")))
    with open_parts("-") as parts:
        assert (parts.streamed, parts.n, parts.part(1, 2)["ra"].tolist()) == (False, 2, [3])


MEMORY = """
    import numpy as np
    from astropy.table import Table
    from astro_photz.tables.parts import open_parts
    from astro_photz.tables.streams import open_writer, survey

    def used():
        with open("/proc/self/status") as file:
            return next(int(line.split()[1]) for line in file if line.startswith("VmHWM"))

    def there_and_back(path, n):
        part = Table({{f"x{{number}}": np.full(50_000, number / 7) for number in range(4)}})
        with open_writer(path, survey([part]), n, {form!r}) as writer:
            for start in range(0, n, len(part)):
                writer.append(part)
        with open_parts(path) as parts:
            rows = sum(len(parts.part(start, start + len(part))) for start in range(0, parts.n, len(part)))
            assert parts.streamed
        return rows

    there_and_back({path!r}, 50_000)  # imports
    before = used()
    print(there_and_back({path!r}, 2_000_000), used() - before)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="memory is told in another way")
@pytest.mark.parametrize("ending", ["fits", "h5", pytest.param("parquet", marks=needs_pyarrow)])
def test_memory_does_not_grow_with_the_rows(tmp_path, ending):
    """The table takes 64 MB."""
    program = textwrap.dedent(MEMORY.format(path=str(tmp_path / f"hosts.{ending}"), form=FORMS[ending]))
    told = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    rows, grown = map(int, told.stdout.split())
    assert rows == 2_000_000
    assert grown < 30_000, f"{grown} kB"
