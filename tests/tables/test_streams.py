# Licensed under a 3-clause BSD style license - see LICENSE
"""A table that is written part by part is the table that is written whole."""

import errno
import os
import subprocess
import sys
import textwrap
from importlib.util import find_spec

import numpy as np
import pytest
from astropy.table import Column, MaskedColumn, QTable, Table
from table_parts import FORMS, assert_same, cut, hosts

from astro_photz.tables import _parquet_parts, read_table, write_table
from astro_photz.tables.parts import open_parts
from astro_photz.tables.streams import can_stream, open_writer, survey

needs_pyarrow = pytest.mark.skipif(not find_spec("pyarrow"), reason="needs pyarrow")
ENDINGS = ["fits", "h5", "csv", "tsv", pytest.param("parquet", marks=needs_pyarrow)]
SAME_BYTES = ("fits", "csv", "tsv")


def parts_of(table, size):
    return [table[start:stop] for start, stop in cut(len(table), size)]


def write_parts(parts, path, form):
    parts = list(parts)
    with open_writer(path, survey(parts), sum(map(len, parts)), form) as writer:
        for part in parts:
            writer.append(part)
    assert writer.written == sum(map(len, parts))


def assert_written_as_whole(table, folder, ending, *sizes):
    whole = folder / f"whole.{ending}"
    write_table(table, whole)
    for size in sizes:
        path = folder / f"parts{size}.{ending}"
        write_parts(parts_of(table, size), path, FORMS[ending])
        assert_same(read_table(path), read_table(whole))
        if ending in SAME_BYTES:
            assert path.read_bytes() == whole.read_bytes()


@pytest.mark.parametrize("ending", ENDINGS)
def test_parts_of_any_size_make_the_whole_table(tmp_path, ending):
    assert_written_as_whole(hosts(ending, 300, mixins=True), tmp_path, ending, 299, 77)


@pytest.mark.parametrize("ending", ENDINGS)
@pytest.mark.parametrize("n", [0, 1, 2])
def test_a_small_table(tmp_path, ending, n):
    assert_written_as_whole(hosts(ending, n), tmp_path, ending, 1)


@pytest.mark.parametrize("ending", ENDINGS)
def test_from_file_to_file(tmp_path, ending):
    """As a prediction does: parts are read, get a column, and are written."""
    path, right, made = (tmp_path / f"{name}.{ending}" for name in ("hosts", "right", "made"))
    write_table(hosts(ending, 300), path)
    whole = read_table(path)
    whole["z_phot"] = MaskedColumn(np.arange(300, dtype="f4"), mask=np.arange(300) == 250, description="redshift")
    write_table(whole, right)
    with open_parts(path) as parts:
        seed = survey(parts)
        seed["z_phot"] = whole["z_phot"][np.resize([0, 250], len(seed))]
        with open_writer(made, seed, parts.n, FORMS[ending]) as writer:
            for start in range(0, parts.n, 64):
                part = parts.part(start, start + 64)
                part["z_phot"] = whole["z_phot"][start : start + 64]
                writer.append(part)
        assert parts.streamed
    assert_same(read_table(made), read_table(right))


@pytest.mark.parametrize("ending", ENDINGS)
@pytest.mark.parametrize(
    "column",
    [
        MaskedColumn(np.arange(256).astype("u1")[::-1], mask=np.arange(256) == 255),  # masked is 0, so that 0 is free
        MaskedColumn([2**63 - 1, 5, 2**64 - 1, 7], dtype="u8", mask=[False, False, False, True]),
        MaskedColumn([-(2**63), 5, 2**63 - 2, 7], dtype="i8", mask=[False, False, False, True]),
        MaskedColumn([999999, 5, 3, 7], mask=[False] * 4, fill_value=-1),
        MaskedColumn(["a long one", "b", "c", "d"], mask=[True, False, False, False]),
        Column(np.array([1, None, 2**40, 7], dtype=object)),
        Column(np.array([1.5, None, 2.5, 7.5], dtype=object)),
        Column(np.array([True, None, True, True], dtype=object)),
        Column([1.0, 2, 3, 4], format=".2f", unit="mag"),
        Column(np.array(["2020-01-01", "NaT", "2021-01-01", "2021-01-01"], dtype="M8[ms]")),
    ],
)
def test_what_all_values_decide(tmp_path, ending, column):
    assert_written_as_whole(Table({"x": column}), tmp_path, ending, max(1, len(column) // 4), 3 * len(column) // 4)


def test_extremes():
    seed = survey(parts_of(hosts("csv", 3000), 100))
    assert len(seed) < 7
    whole = hosts("csv", 3000)
    for name in ("u1", "i8", "u8", "id"):
        assert (min(seed[name]), max(seed[name])) == (min(whole[name]), max(whole[name]))
    assert max(map(len, seed["greek"])) == 9
    assert "λλλλλλλλ" in seed["greek"]
    assert seed["masked_i4"].mask.any()
    assert not seed["masked_i4"].mask.all()
    assert seed["none"].mask.all()
    assert set(seed["words"]) == {"a", None}
    assert (seed["ra"].unit, seed["ra"].description, seed.meta) == (whole["ra"].unit, "where it is", whole.meta)


@pytest.mark.parametrize(
    ("parts", "message"),
    [
        ([], "no parts of a table"),
        ([Table({"x": [1]}), Table({"x": ["a"]})], "column 'x' is int64 in one part of the table and text in another"),
        ([Table({"x": [1]}), Table({"x": [1.5]})], "column 'x' is int64 in .* float64"),
        ([Table({"x": [[1]]}), Table({"x": [1]})], r"column 'x' is int64\[1\] in .* int64"),
        ([Table({"x": [1]}), Table({"y": [1]})], "the columns of a part are y, and were x"),
    ],
)
def test_parts_that_are_not_of_one_table(parts, message):
    with pytest.raises(ValueError, match=message):
        survey(parts)


@pytest.mark.parametrize(
    ("form", "column", "right"),
    [
        ("ascii.ecsv", [1], False),
        ("votable", [1], False),
        ("ascii.basic", [1], False),
        ("fits", [1], True),
        ("fits", MaskedColumn([0, 255, 1], dtype="u1", mask=[False, False, True]), False),
        ("hdf5", MaskedColumn([0, 255, 1], dtype="u1", mask=[False, False, True]), True),
        ("fits", MaskedColumn([0, 255, 1], dtype="u1"), True),
        ("parquet", np.array([1, "a"], dtype=object), False),
        ("parquet", np.array([{"a": 1}, None], dtype=object), False),
        ("parquet", np.array(["a", None], dtype=object), True),
    ],
)
def test_what_can_be_written_in_parts(tmp_path, form, column, right):
    table = Table({"x": column})
    assert can_stream(form, survey([table])) is right
    if not right:
        with pytest.raises(ValueError, match="cannot be written part by part"):
            open_writer(tmp_path / "a", survey([table]), len(table), form)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("ending", ENDINGS)
def test_rows_and_columns_are_those_that_were_told(tmp_path, ending):
    path, table = tmp_path / f"a.{ending}", Table({"x": ["a", "b"], "y": [1, 2]})
    with pytest.raises(ValueError, match=r"a\..*: 2 rows of 3 have been written"):  # noqa: SIM117
        with open_writer(path, survey([table]), 3, FORMS[ending]) as writer:
            writer.append(table)
    with open_writer(path, survey([table]), 2, FORMS[ending]) as writer:
        with pytest.raises(ValueError, match="rows 1 to 2: the columns are x, and must be x, y"):
            writer.append(table[["x"]])
        with pytest.raises(ValueError, match="rows 1 to 4: there are to be 2 rows only"):
            writer.append(table[[0, 1, 0, 1]])
        if ending not in ("csv", "tsv"):
            with pytest.raises(ValueError, match=r"rows 1 to 2 cannot be written: .*than in the rows before"):
                writer.append(Table({"x": ["a", "longer"], "y": [1, 2]}))
        writer.append(table[:0])
        writer.append(table)
    assert (list(read_table(path)["x"]), read_table(path)["y"].tolist()) == (["a", "b"], [1, 2])


@pytest.mark.parametrize("ending", ENDINGS)
def test_an_error_between_the_parts_closes_the_file(tmp_path, ending):
    path, table = tmp_path / f"a.{ending}", Table({"x": [1, 2]})
    with pytest.raises(KeyboardInterrupt):  # noqa: PT012, SIM117
        with open_writer(path, survey([table]), 4, FORMS[ending]) as writer:
            writer.append(table)
            raise KeyboardInterrupt
    path.unlink()


def test_quantities(tmp_path):
    table = QTable({"ra": Column(np.arange(9.0), unit="deg"), "x": np.arange(9)})
    assert_written_as_whole(table, tmp_path, "fits", 2)
    assert_written_as_whole(table, tmp_path, "h5", 2)


@needs_pyarrow
def test_groups_of_parquet_are_large(tmp_path, monkeypatch):
    from pyarrow import parquet

    monkeypatch.setattr(_parquet_parts, "_GROUP", 100)
    table = Table({"x": np.arange(1000)})
    write_parts(parts_of(table, 30), tmp_path / "a.parquet", "parquet")
    assert parquet.ParquetFile(tmp_path / "a.parquet").num_row_groups == 9
    assert read_table(tmp_path / "a.parquet")["x"].tolist() == list(range(1000))


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs a disk that is always full")
@pytest.mark.parametrize("ending", ["fits", "csv", pytest.param("parquet", marks=needs_pyarrow)])
def test_a_full_disk_is_told(ending):
    table = Table({"x": np.arange(100_000)})
    with pytest.raises(OSError, match="no room for /dev/full") as told:
        write_parts([table], "/dev/full", FORMS[ending])
    assert told.value.errno == errno.ENOSPC


def test_a_full_disk_of_hdf5(tmp_path):
    """In a process of its own, whose files may not grow."""
    program = f"""
        import errno, resource, signal
        import numpy as np
        from astropy.table import Table
        from astro_photz.tables.streams import open_writer, survey

        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        table = Table({{"x": np.arange(100_000)}})
        resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, 200_000))
        try:
            with open_writer({str(tmp_path / "a.h5")!r}, survey([table]), len(table), "hdf5") as writer:
                writer.append(table)
        except OSError as error:
            assert error.errno == errno.EFBIG, error
            assert "no room for" in str(error), error
            print("told")
        """
    told = subprocess.run([sys.executable, "-c", textwrap.dedent(program)], capture_output=True, text=True, check=False)
    assert told.stdout == "told\n", told.stderr


def test_importing_loads_nothing_heavy():
    code = "import sys, astro_photz.tables.parts, astro_photz.tables.streams; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = {name.partition(".")[0] for name in done.stdout.split()}
    assert not loaded & {"h5py", "pyarrow", "pandas", "scipy", "torch"}
