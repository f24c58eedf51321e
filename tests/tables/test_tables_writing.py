# Licensed under a 3-clause BSD style license - see LICENSE
"""Tables in every format: what comes back is what was written, or it is told before the work that it will not be."""

import errno
import io
import os
import re
import sys
from importlib.util import find_spec

import astropy
import h5py
import numpy as np
import pytest
from astropy import units as u
from astropy.coordinates import SkyCoord
from astropy.io import fits, votable
from astropy.table import Column, MaskedColumn, QTable, Table
from astropy.time import Time
from astropy.utils import minversion

from astro_photz.tables import check_writable, output_format, read_table, write_table
from astro_photz.tables import writing as writing_module

FORMATS = ["fits", "ecsv", "h5", "vot", "csv", "txt", "tsv", "dat", "fits.gz", "csv.bz2", "VOT.XZ"]
if find_spec("pyarrow"):
    FORMATS.append("parquet")
DELIMITED = {"csv", "txt", "tsv", "dat", "csv.bz2"}
N = 1100  # more rows than are tried of plain numbers
LATE = 1049  # the row in which something is different
EDGES = [0.0, 0.1, 0.2, 0.4]
RECORD = {
    "model": "mine",
    "model_sha256": "0123456789abcdef" * 4,
    "source": "bilder/é",
    "data_release": 17,
    "z_edges": EDGES,
}


def late(value, other):
    """Values that are all the same but in one late row."""
    values = [value] * N
    values[LATE] = other
    return values


def masked(values, dtype=None):
    mask = np.zeros(np.shape(values), dtype=bool)
    mask[[3, LATE]] = True
    return MaskedColumn(values, dtype=dtype, mask=mask)


def objects(values):
    column = np.empty(len(values), dtype=object)
    column[:] = values
    return column


def kinds():
    """One column of each kind."""
    numbers = np.arange(N)
    small = (numbers % 100).astype("i1")
    positions = SkyCoord(np.linspace(0, 359, N), np.linspace(-89, 89, N), unit="deg")
    return {
        "bool": numbers % 2 == 0,
        "masked bool": masked(numbers % 2 == 0),
        **{
            f"{kind}": small.astype(kind) for kind in ("i1", "u1", "i2", "u2", "i4", "u4", "i8", "u8", "f2", "f4", "f8")
        },
        **{
            f"masked {kind}": masked(small.astype(kind))
            for kind in ("i1", "u1", "i2", "u2", "i4", "u4", "i8", "u8", "f4")
        },
        "id": 1237651943176138868 + numbers,
        "spectrum id": np.uint64(2**64 - 1) - numbers.astype("u8"),
        "masked id": masked(1237651943176138868 + numbers),
        "999999": masked(late(999999, 1)),
        "all of u1": masked((numbers % 256).astype("u1")),
        "limits": masked(np.where(numbers % 2, np.iinfo("i8").min, np.iinfo("i8").max)),
        "nan": np.array(late(1.5, np.nan)),
        "digits": Column(np.linspace(0, 1, N) / 3, format=".2f"),
        "text": np.array(late("NGC 1", "a, b; 'c' | d")),
        "quotes": np.array(late("plain", 'say "x"')),
        "comment": np.array(late("a", "#12 b")),
        "no text": np.array(late("a", "")),
        "masked text": masked(late("a", "b")),
        "bytes": np.array(late(b"a", b"longer")),
        "masked bytes": masked(late(b"a", b"longer")),
        "words": objects(late("a", None)),
        "whole objects": objects(late(7, None)),
        "dates": np.array(late("2020-01-01", "2021-02-03"), dtype="M8[D]"),
        "unit": Column(np.arange(N, dtype=float), unit="mag"),
        "position": positions,
        "galactic": positions.galactic,
        "time": Time(55000 + numbers / 7, format="mjd"),
        "iso": Time(late("2020-01-01 00:00:00.000", "2020-01-01 00:00:00.123456")),
    }


def only_some():
    """Kinds that some formats refuse, with what they say."""
    numbers = np.arange(float(N))
    several = ("several values a row", DELIMITED)
    text = ("FITS cannot hold this table: column .*, row 1050: .*ascii", {"fits", "fits.gz"})
    return {
        "unicode": (np.array(late("a", "é")), *text),
        "greek": (objects(late("a", "λ")), *text),
        "masked greek": (masked(late("λ", "λ")), "FITS cannot hold this table: column .*, row 1: .*ascii", text[1]),
        "vectors": (np.stack([numbers, -numbers], axis=1), *several),
        "masked vectors": (masked(np.stack([numbers, -numbers], axis=1)), *several),
        "masked whole vectors": (
            masked(np.stack([numbers, -numbers], axis=1).astype(int)),
            "several values a row|nothing would become 999999",
            DELIMITED if minversion(astropy, "7.2") else DELIMITED | text[1],  # whose FITS lost their masks before
        ),
        "dicts": (
            objects(late(None, {"a": 1})),
            "cannot hold this table: column 'x'.*write .ecsv, which holds any",
            set(FORMATS) - {"ecsv"},
        ),
        "mixed objects": (
            objects(late(1, "a")),
            "cannot hold this table: column 'x'.*write .ecsv, which holds any",
            set(FORMATS) - {"ecsv"},
        ),
        "complex": (numbers + 1j, "cannot hold this table: column 'x'", {"parquet"}),
    }


def plain(column):
    """Values with nothing where there are none: masked, NaN or empty text."""
    if isinstance(column, Time):
        return [round(second, 5) for second in (column.utc - Time("2020-01-01")).to_value("s").tolist()]
    if isinstance(column, SkyCoord):
        return np.stack([column.icrs.ra.deg, column.icrs.dec.deg], axis=1).round(9).tolist()
    values = np.ma.asarray(getattr(column, "value", column))
    cells = values.ravel().tolist()
    cells = [cell.decode() if isinstance(cell, bytes) else cell for cell in cells]
    return [None if cell == "" or cell != cell else cell for cell in cells]


def as_the_other(cells, back):
    """Values of a column in the form in which they came back."""
    (kind,) = {type(cell) for cell in back if cell is not None}
    return [None if cell is None else kind(cell) for cell in cells] if kind in (str, int) else cells


def came_back(name, column, table):
    """The column that came back, also if it is two now, or text."""
    if isinstance(column, SkyCoord) and name not in table.colnames:
        frame = column.frame.name
        names = ("ra", "dec") if frame == "icrs" else (f"{name}.l", f"{name}.b")
        return SkyCoord(*(np.asarray(table[name]) for name in names), unit="deg", frame=frame)
    back = table[name]
    return Time(np.asarray(back, dtype=str)) if isinstance(column, Time) and not isinstance(back, Time) else back


def round_trip(table, path):
    check_writable(table, path)
    write_table(table, path)
    return read_table(path)


@pytest.mark.parametrize("ending", FORMATS)
def test_round_trip(tmp_path, ending):
    """One table with every kind of column."""
    table = round_trip(Table(kinds()), tmp_path / f"a.{ending}")
    for kind, column in kinds().items():
        back = came_back(kind, column, table)
        if kind == "dates":
            column, back = np.datetime_as_string(column), np.asarray(back).astype(str)
        if kind in ("f2", "f4", "masked f4"):
            back = back.astype(column.dtype)
        back, column = plain(back), plain(column)
        assert back == as_the_other(column, back), kind


@pytest.mark.parametrize("ending", FORMATS)
@pytest.mark.parametrize("kind", only_some())
def test_round_trip_or_told(tmp_path, kind, ending):
    column, message, endings = only_some()[kind]
    table, path = Table({"x": column, "y": np.arange(N)}), tmp_path / f"a.{ending}"
    if ending in endings:
        with pytest.raises(ValueError, match=message):
            check_writable(table, path)
        assert not list(tmp_path.iterdir())
        return
    back = plain(round_trip(table, path)["x"])
    assert (list(map(complex, back)) if kind == "complex" else back) == plain(column)


@pytest.mark.parametrize("ending", FORMATS)
def test_lists_of_lists_are_kept_or_told(tmp_path, ending):
    column = objects([[[1], [1, 2]], [[3], [4, 5]]])
    table, path = Table({"x": column, "y": [1, 2]}), tmp_path / f"a.{ending}"
    try:
        check_writable(table, path)
    except ValueError as error:
        assert ending != "ecsv"
        assert re.search("column 'x'.*write .ecsv", str(error))  # noqa: PT017 - some formats hold them
        return
    assert plain(round_trip(table, path)["x"]) == column.tolist()


@pytest.mark.parametrize("ending", ["fits", "ecsv", "h5", "vot", "csv"])
def test_quantities(tmp_path, ending):
    table = QTable({"x": np.arange(3.0) * u.mJy, "t": [1, 2, 3] * u.s})
    back = round_trip(table, tmp_path / f"a.{ending}")
    assert np.asarray(back["x"]).tolist() == [0, 1, 2]
    assert str(back["x"].unit) == ("None" if ending == "csv" else "mJy")


@pytest.mark.parametrize(
    ("ending", "column", "note"),
    [
        ("csv", Column([1.0, 2.0], unit="mag"), r"a.csv: CSV keeps in another form: unit dropped \(x\)"),
        ("vot", SkyCoord([1, 2], [1, 2], unit="deg"), r"position as the columns ra and dec"),
        ("vot", SkyCoord([1, 2], [1, 2], unit="deg", frame="galactic"), r"the columns x.l and x.b \(galactic\)"),
        ("csv", Time([55000, 55001], format="mjd", scale="tdb"), r"times as text \(TDB\)"),
        ("csv", [True, False], r"as text \(x\)"),
        ("csv", ["7", "1"], "read back as numbers, if a program guesses"),
        ("fits", MaskedColumn([True, False], mask=[True, False]), "true and false as 1 and 0"),
        ("fits", ["a ", "b"], "blanks at its ends dropped"),
        ("fits", MaskedColumn(["", "b"], mask=[False, True]), "empty and masked text are alike"),
        ("vot", MaskedColumn([np.nan, 1], mask=[False, True]), "NaN and masked numbers are alike"),
        ("fits", np.array(["a", None], dtype=object), "objects as plain values"),
        ("csv", [1, 2], "CSV does not keep which model and images made the redshifts; .ecsv does"),
        ("tsv", [1, 2], "tab-separated text does not keep which model"),
    ],
)
def test_another_form_is_told_in_a_line(tmp_path, ending, column, note):
    told = check_writable(Table({"x": column}), tmp_path / f"a.{ending}")
    assert re.search(note, told)
    assert "\n" not in told


@pytest.mark.parametrize("ending", ["fits", "ecsv", "h5", "vot"])
@pytest.mark.parametrize(
    "columns",
    [
        {"ra": [1.5], "objid": [1237651943176138868], "name": ["a"]},
        {"ra": MaskedColumn([1, 2], mask=[True, False])},
        {"ra": np.zeros(0)},
        {"ra": Column([1.5], unit="deg", description="where")},
    ],
)
def test_nothing_is_said_where_nothing_changes(tmp_path, ending, columns):
    assert not check_writable(Table(columns), tmp_path / f"a.{ending}", pdf=True)


@pytest.mark.parametrize(
    ("ending", "columns", "message"),
    [
        ("csv", {}, r"CSV cannot hold this table: column 'z_phot_pdf'.*or do without the PDF"),
        ("html", {}, "cannot hold this table"),
        ("fits", {"λ": [1]}, "FITS cannot hold this table: column 'λ'"),
        ("vot", {"x": [["a", "b"]]}, "VOTable cannot hold this table: column 'x'"),
        ("fits", {"x": late("a", "é")}, "column 'x', row 1050: 'é'"),
    ],
)
def test_what_would_be_lost_is_told_before_the_work(tmp_path, ending, columns, message):
    table = Table(columns or {"ra": [1.5]})
    before = table.copy()
    with pytest.raises(ValueError, match=message) as told:
        check_writable(table, tmp_path / f"a.{ending}", pdf=True)
    assert "\n" not in str(told.value)
    assert ".ecsv" in str(told.value)
    assert (table.colnames, table.meta) == (before.colnames, before.meta)
    assert not list(tmp_path.iterdir())


def test_columns_of_an_earlier_run_count_for_nothing(tmp_path):
    table = Table({"ra": [1.5], "zp_pdf": [[0.5, 0.5]], "zp": ["é"]})
    check_writable(table, tmp_path / "a.csv", prefix="zp")
    with pytest.raises(ValueError, match="zp_pdf"):
        check_writable(table, tmp_path / "a.csv")


def test_plain_numbers_are_tried_in_a_few_rows(tmp_path, monkeypatch):
    tried = []
    monkeypatch.setattr(
        writing_module, "_write_form", lambda table, path, form: tried.append((len(table), table.colnames)) or 1 / 0
    )
    with pytest.raises(ValueError, match="cannot hold"):
        check_writable(Table({"ra": np.zeros(5000), "dec": np.zeros(5000)}), tmp_path / "a.fits")
    assert max(n for n, _ in tried) <= 1000


def with_record(**meta):
    return Table({"ra": [1.5], "z_phot": [0.1]}, meta={"OBSERVER": "me", **meta, "z_phot": dict(RECORD)})


def edges_of_fits(path):
    return fits.getdata(path, "Z_PHOT_EDGES")


def edges_of_votable(path):
    return {param.name: param.value for param in votable.parse_single_table(path).params}["z_phot_z_edges"]


def edges_of_hdf5(path):
    with h5py.File(path) as file:
        return file["z_phot_edges"][()]


def edges_of_meta(path):
    return Table.read(path).meta["z_phot"]["z_edges"]


def edges_of_parquet(path):
    import yaml
    from pyarrow import parquet

    header = yaml.load(parquet.read_schema(path).metadata[b"table_meta_yaml"], Loader=yaml.BaseLoader)
    (meta,) = [pair["z_phot"] for pair in header["meta"] if "z_phot" in pair]
    return [float(edge) for edge in meta["z_edges"]]


@pytest.mark.parametrize(
    ("ending", "edges"),
    [
        ("fits", edges_of_fits),
        ("fits.gz", edges_of_fits),
        ("vot", edges_of_votable),
        ("h5", edges_of_hdf5),
        ("h5", edges_of_meta),
        ("ecsv", edges_of_meta),
        *([("parquet", edges_of_meta), ("parquet", edges_of_parquet)] if find_spec("pyarrow") else []),
    ],
)
def test_edges_and_facts_come_back(tmp_path, ending, edges):
    path = tmp_path / f"a.{ending}"
    table = with_record()
    write_table(table, path)
    assert list(edges(path)) == EDGES
    back = read_table(path)
    record = back.meta.pop("z_phot")
    assert {key: value for key, value in record.items() if key != "source"} == {
        key: value for key, value in RECORD.items() if key != "source"
    }
    assert back.meta == {"OBSERVER": "me"}
    if ending != "h5":
        assert Table.read(path)["ra"].tolist() == [1.5]  # without a warning, which would be an error
    assert table.meta["z_phot"] == RECORD  # the table that was given is as it was


@pytest.mark.parametrize("ending", ["fits", "vot", "h5", "ecsv"])
@pytest.mark.parametrize(
    "comments", [{}, {"comments": ["two nights"]}, {"comments": "one night"}, {"description": "mine"}]
)
def test_records_of_two_runs_and_comments(tmp_path, ending, comments):
    """A second run adds to what the first has left, and comments of the user stay."""
    path = tmp_path / f"a.{ending}"
    table = with_record(**comments)
    write_table(table, path)
    again = read_table(path)
    again.meta["z_phot_b"] = {"model": "other", "z_edges": [0.0, 1.0]}  # which begins as the other does
    write_table(again, path)
    meta = read_table(path).meta
    assert (meta["z_phot"]["z_edges"], meta["z_phot_b"]["z_edges"]) == (EDGES, [0, 1])
    assert (meta["z_phot"]["model"], meta["z_phot_b"]["model"]) == ("mine", "other")
    if ending == "fits":
        said = fits.getheader(path, 1).get("COMMENT", [])
        assert "z_phot model: mine" in list(said)
        assert all(line in " ".join(said) for line in np.ravel(comments.get("comments", [])))
    assert np.array_equal(np.ravel(meta.get("comments", [])), np.ravel(comments.get("comments", [])))


def test_cards_of_fits_are_whole(tmp_path):
    write_table(with_record(), tmp_path / "a.fits")
    header = fits.getheader(tmp_path / "a.fits", "Z_PHOT_EDGES")
    assert header["MODELSHA"] == RECORD["model_sha256"]
    assert header["MODEL"] == "mine"
    comments = list(fits.getheader(tmp_path / "a.fits", 1)["COMMENT"])
    assert all(line.startswith("z_phot ") for line in comments)


@pytest.mark.parametrize("ending", ["fits", "ecsv", "h5", "vot"])
@pytest.mark.parametrize(
    "meta", [{"OBSERVER": "me", "SEEING": 1.25, "NIGHTS": 3}, {"comments": ["long " * 40, "two"]}, {"NOTHING": None}]
)
def test_meta_that_stays(tmp_path, ending, meta):
    assert not check_writable(Table({"ra": [1.5]}, meta=meta), tmp_path / f"a.{ending}")


def test_one_number_in_a_list_is_a_number(tmp_path):
    """As FITS files have them."""
    table = Table({"objid": [[1237651943176138868], [2]], "r": MaskedColumn([[1.5], [2.5]], mask=[[True], [False]])})
    back = round_trip(table, tmp_path / "a.csv")
    assert (back["objid"].tolist(), back["r"].tolist()) == ([1237651943176138868, 2], [None, 2.5])


def test_meta_that_is_dropped_is_told(tmp_path):
    table = Table({"ra": [1.5]}, meta={"nested": {"a": 1}, "OBSERVER": "me"})
    assert "a.fits: FITS drops of the table's meta: nested;" in check_writable(table, tmp_path / "a.fits")
    assert "drops of the table's meta: nested, OBSERVER, and does not keep" in check_writable(table, tmp_path / "a.csv")


@pytest.mark.parametrize(
    ("path", "form", "right"),
    [
        ("a.FITS", None, "fits"),
        ("a.csv.gz", None, "ascii.csv"),
        ("a.tsv", None, "ascii.tab"),
        ("-", None, "ascii.ecsv"),
        ("-", "fits", "fits"),
        ("a", "votable", "votable"),
        ("a.csv", "ECSV", "ascii.ecsv"),
        ("a.b.c.txt", None, "ascii.basic"),
    ],
)
def test_formats_by_ending_and_by_name(path, form, right):
    assert output_format(path, form) == right


@pytest.mark.parametrize(
    ("path", "form", "message"),
    [
        ("a.xyz", None, "astropy knows no table format by that ending; use .ecsv"),
        ("a", None, "or name the format: output_format='csv'"),
        ("a.gz", None, "no table format by that ending"),
        ("a.csv", "fist", "output_format='fist': no format .* did you mean 'fits'"),
    ],
)
def test_formats_that_are_none(path, form, message):
    with pytest.raises(ValueError, match=message):
        output_format(path, form)


@pytest.mark.parametrize("form", [None, "csv", "fits", "votable", "h5"])
def test_standard_output(tmp_path, monkeypatch, form):
    out = io.TextIOWrapper(io.BytesIO())
    monkeypatch.setattr(sys, "stdout", out)
    write_table(with_record(), "-", format=form)
    (tmp_path / "a").write_bytes(out.buffer.getvalue())
    assert read_table(tmp_path / "a")["ra"].tolist() == [1.5]


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs pipes with a name")
def test_special_files_stay_what_they_are(tmp_path):
    pipe, link, path = tmp_path / "pipe.csv", tmp_path / "link.csv", tmp_path / "a.csv"
    os.mkfifo(pipe)
    end = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    write_table(with_record(), pipe)
    assert os.read(end, 100).startswith(b"ra,z_phot")
    os.close(end)
    path.write_text("old")
    link.symlink_to(path)
    write_table(with_record(), link)
    assert link.is_symlink()
    assert read_table(path)["ra"].tolist() == [1.5]
    assert not list(tmp_path.glob(".*"))


@pytest.mark.parametrize("ending", ["fits", "csv", "fits.gz", "h5"])
@pytest.mark.parametrize(
    ("error", "raised", "message"),
    [
        (RuntimeError("a fault"), ValueError, r"writing failed \(a fault\); the result is in .*"),
        (OSError(errno.EIO, "Input/output error"), OSError, "the result is in"),
        (OSError(errno.ENOSPC, "No space left on device"), OSError, "No space left on device"),
    ],
)
def test_a_result_is_kept_if_writing_fails(tmp_path, monkeypatch, ending, error, raised, message):
    path, taken = tmp_path / f"a.{ending}", tmp_path / f"a.{ending}.ecsv"
    taken.write_text("mine")
    path.write_text("old")
    right = writing_module._write_form

    def fails(table, part, form):
        if form != "ascii.ecsv":
            part.write_bytes(b"half")
            raise error
        right(table, part, form)

    monkeypatch.setattr(writing_module, "_write_form", fails)
    with pytest.raises(raised, match=message) as told:
        write_table(with_record(), path)
    kept = tmp_path / f"a.{ending}.2.ecsv"
    assert str(kept) in str(told.value)
    assert getattr(told.value, "errno", None) == getattr(error, "errno", None)
    assert read_table(kept).meta["z_phot"] == RECORD
    assert (taken.read_text(), path.read_text()) == ("mine", "old")
    assert len(list(tmp_path.iterdir())) == 3


def test_a_full_disk_stays_one(tmp_path, monkeypatch):
    """Also where there is no room for the ECSV file, and before the work."""

    def full(*args, **options):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(writing_module, "_write_form", full)
    for attempt in (write_table, check_writable):
        with pytest.raises(OSError, match="No space left") as told:
            attempt(with_record(), tmp_path / "a.fits")
        assert told.value.errno == errno.ENOSPC
    assert not list(tmp_path.iterdir())


def test_missing_package_names_the_command(tmp_path, monkeypatch):
    monkeypatch.setattr("astro_photz.tables.formats.find_spec", lambda name: None)
    with pytest.raises(ImportError, match="pip install pyarrow"):
        check_writable(with_record(), tmp_path / "a.parquet")
