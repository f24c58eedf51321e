# Licensed under a 3-clause BSD style license - see LICENSE
"""Galaxies come in as users hold them, and go back in kind."""

import numpy as np
import pandas as pd
import pytest
from astropy import units as u
from astropy.coordinates import ICRS, SkyCoord
from astropy.io import fits
from astropy.table import QTable, Table

import astro_photz
from astro_photz import CutoutFile, FrameDirectory, PhotozFlag, SDSSArchive, embed, fetch, predict
from astro_photz.cutouts.sources.named import source_or_archive
from astro_photz.flags import MISSING
from astro_photz.testing.factories import gaussian_cutouts


@pytest.fixture(scope="module")
def sky(tmp_path_factory):
    """A file of four stamps, the table of their galaxies, and what is estimated of them."""
    cutouts = gaussian_cutouts(4)
    path = tmp_path_factory.mktemp("sky") / "stamps.h5"
    cutouts.write(path)
    table = Table({"name": list("abcd"), "ra": cutouts.coord.ra.deg, "dec": cutouts.coord.dec.deg})
    return path, table, predict(table, source=path)


def frame_of(table):
    return pd.DataFrame({name: table[name].tolist() for name in table.colnames}, index=[7, 3, 5, 1])


def structured(table):
    return table.as_array()


def coords(table):
    return SkyCoord(table["ra"], table["dec"], unit="deg")


KINDS = {
    "Table": (lambda table: table, Table),
    "QTable": (QTable, QTable),
    "dict of lists": (lambda table: {name: table[name].tolist() for name in table.colnames}, QTable),
    "dict of arrays": (lambda table: {"RA": np.array(table["ra"]), "DEC": np.array(table["dec"])}, QTable),
    "dict of quantities": (lambda table: {"ra": table["ra"] * u.deg, "dec": np.deg2rad(table["dec"]) * u.rad}, QTable),
    "dict with SkyCoord": (lambda table: {"where": coords(table)}, QTable),
    "dict of series": (lambda table: dict(frame_of(table).items()), QTable),
    "list of dicts": (lambda table: [dict(row) for row in table], QTable),
    "list of rows": (list, Table),
    "SkyCoord": (coords, QTable),
    "frame of astropy": (lambda table: ICRS(table["ra"] * u.deg, table["dec"] * u.deg), QTable),
    "list of SkyCoord": (lambda table: list(coords(table)), QTable),
    "SkyCoords of several frames": (lambda table: [coords(table)[:3].galactic, coords(table)[3]], QTable),
    "structured array": (structured, QTable),
    "FITS table": (lambda table: fits.BinTableHDU(table), QTable),
    "FITS records": (lambda table: fits.BinTableHDU(table).data, QTable),
    "list of frames of astropy": (lambda table: [ICRS(row["ra"] * u.deg, row["dec"] * u.deg) for row in table], QTable),
    "list of rows with units": (
        lambda table: list(QTable({"ra": table["ra"] * u.deg, "dec": table["dec"] * u.deg})),
        QTable,
    ),
    "DataFrame": (frame_of, pd.DataFrame),
    "DataFrame of arrow": (lambda table: frame_of(table).convert_dtypes(dtype_backend="pyarrow"), pd.DataFrame),
    "DataFrame of nullable columns": (lambda table: frame_of(table).convert_dtypes(), pd.DataFrame),
    "DataFrame with text": (lambda table: frame_of(table).astype({"ra": str, "dec": str}), pd.DataFrame),
}


@pytest.mark.parametrize(("make", "kind"), KINDS.values(), ids=KINDS)
def test_kinds(sky, make, kind):
    path, table, expected = sky
    data = make(table)
    result = predict(data, source=path, pdf=True)
    assert type(result) is kind
    np.testing.assert_allclose(np.asarray(result["z_phot"]), expected["z_phot"], atol=1e-6)
    assert np.asarray(result["z_phot_flags"]).tolist() == expected["z_phot_flags"].tolist()
    np.testing.assert_allclose(np.sum(result["z_phot_pdf"][1:2].tolist()[0]), 1, rtol=1e-5)
    assert len(embed(data, source=path)) == len(fetch(data, source=path)) == 4


@pytest.mark.parametrize("ending", ["csv", "ecsv", "fits", "h5", "vot"])
@pytest.mark.parametrize("kind", [str, lambda path: path])
def test_paths_of_tables(sky, tmp_path, ending, kind):
    path, table, expected = sky
    hosts = tmp_path / f"hosts.{ending}"
    table.write(hosts, **({"path": "hosts"} if ending == "h5" else {"format": "votable"} if ending == "vot" else {}))
    result = predict(kind(hosts), source=kind(path))
    assert type(result) is QTable
    np.testing.assert_allclose(result["z_phot"], expected["z_phot"], atol=1e-6)
    assert len(fetch(kind(hosts), source=path)) == 4


def test_path_of_cutouts(sky):
    path, _, expected = sky
    np.testing.assert_allclose(predict(path)["z_phot"], expected["z_phot"], atol=1e-6)
    assert len(embed(str(path))) == 4


def test_one_galaxy(sky):
    path, table, expected = sky
    one = [
        table[2],
        coords(table)[2],
        {"ra": float(table["ra"][2]), "dec": float(table["dec"][2])},
        frame_of(table).iloc[2:3],
        coords(table)[2:3],
    ]
    for data in one:
        result = predict(data, source=path)
        assert len(result) == 1
        np.testing.assert_allclose(np.asarray(result["z_phot"]), expected["z_phot"][2:3], atol=1e-6)


def test_a_frame_comes_back_as_it_was(sky):
    """The same index and dtypes, NaN for what is not known, and what made it in its attributes."""
    path, table, _ = sky
    frame = frame_of(table).convert_dtypes(dtype_backend="pyarrow")
    frame["seen"] = pd.Series([True, None, False, True], index=frame.index, dtype="boolean")
    frame.loc[3, "dec"] = None
    before = frame.copy()
    result = predict(frame, source=path, prefix="zp", pdf=True)
    pd.testing.assert_frame_equal(frame, before)
    pd.testing.assert_frame_equal(result[frame.columns], before, check_like=False)
    assert result.index.equals(frame.index)
    assert result["zp"].isna().tolist() == [False, True, False, False]
    assert result["zp"].dtype == np.float32
    assert (result["zp_flags"] & MISSING).tolist() == [0, PhotozFlag.NO_POSITION, 0, 0]
    assert result["zp_pdf"].isna().tolist() == [False, True, False, False]
    assert result.attrs["zp"]["model"] == astro_photz.load_model().name
    again = predict(result, source=path, prefix="zp", replace=True)
    assert "zp_pdf" not in again
    np.testing.assert_array_equal(again["zp"], result["zp"])
    with pytest.raises(ValueError, match="has a column 'zp' already"):
        predict(result, source=path, prefix="zp")


def test_units_of_records_and_rows(sky):
    path, table, _ = sky
    table = Table(table["ra", "dec"], copy=True)
    table["ra"] = np.deg2rad(table["ra"])
    table["ra"].unit, table["dec"].unit = "rad", "deg"
    table["ebv"] = [30.0, 40.0, 50.0, 60.0]
    table["ebv"].unit = "mmag"
    for data in (fits.BinTableHDU(table).data, list(table), list(QTable(table)), tuple(table)):
        np.testing.assert_allclose(fetch(data, source=path).ebv, [0.03, 0.04, 0.05, 0.06], rtol=1e-6)


def test_frames_that_cannot_be_told_apart(sky):
    path, table, _ = sky
    frame = frame_of(table)
    twice = pd.concat([frame, frame[["ra"]]], axis=1)
    with pytest.warns(UserWarning, match="several columns of the name 'ra': the first is taken"):
        assert len(predict(twice, source=path)) == 4
    frame.columns = pd.MultiIndex.from_product([["sdss"], frame.columns])
    with pytest.raises(ValueError, match="columns of several levels: give them one name each"):
        predict(frame, source=path)


def test_a_frame_without_rows(sky):
    path, table, _ = sky
    result = predict(frame_of(table)[:0], source=path)
    assert len(result) == 0
    assert "z_phot_flags" in result


class Polars:
    __module__ = "polars.dataframe"


@pytest.mark.parametrize(
    ("data", "remedy"),
    [
        (None, "Nothing came"),
        (np.zeros((3, 2)), r"SkyCoord\(ra, dec, unit=\"deg\"\)"),
        ([(150.0, 2.0)], r"SkyCoord\(ra, dec, unit=\"deg\"\)"),
        ((150.0, 2.0), r"SkyCoord\(ra, dec, unit=\"deg\"\)"),
        ([], "Positions become one by SkyCoord"),
        (pd.Series([1.0, 2.0]), r"data.to_frame\(\).T"),
        (Polars(), r"data.to_pandas\(\)"),
        (fits.HDUList(), r"Table.read\(data\)"),
        (Table, "make an object of it"),
        (7, r"Make a Table"),
        ({1.0, 2.0}, r"Make a Table"),
    ],
    ids=lambda value: type(value).__name__,
)
@pytest.mark.parametrize("call", [predict, embed, fetch])
def test_what_is_no_table(call, data, remedy):
    with pytest.raises(TypeError, match=rf"data must be an astropy Table.*got {type(data).__name__}\..*{remedy}"):
        call(data)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ({"ra": [1.0, 2.0], "dec": [1.0]}, "one length; got ra: 2, dec: 1"),
        ({"ra": [1.0, 2.0], "dec": 1.0}, "one length; got ra: 2, dec: 1"),
        ({}, "has no coordinates"),
        (Table(), "has no coordinates"),
        (pd.DataFrame({"x": [1.0]}), "has no coordinates.*It has x"),
    ],
)
def test_tables_that_are_none(data, message):
    with pytest.raises(ValueError, match=message):
        predict(data)


def test_sources_by_name(sky, tmp_path):
    path, *_ = sky
    assert isinstance(source_or_archive(None), SDSSArchive)
    assert isinstance(source_or_archive("sdss"), SDSSArchive)
    for name in (path, str(path)):
        assert isinstance(source_or_archive(name), CutoutFile)
    source = CutoutFile(path)
    assert source_or_archive(source) is source


@pytest.mark.parametrize(
    ("source", "error", "message"),
    [
        ("absent", FileNotFoundError, "source='absent': neither 'sdss', nor a folder of frames, nor an HDF5 file"),
        ("sky", FileNotFoundError, "no frames of the r band"),
        ("sky/hosts.csv", OSError, "is not an HDF5 file"),
        (FrameDirectory, TypeError, r"give an object of it, FrameDirectory\(...\)"),
        (gaussian_cutouts(1), TypeError, r"predict\(cutouts\) takes them"),
        (17, TypeError, "source must be an SDSSArchive.*got int"),
        ({"path": "frames"}, TypeError, "source must be an SDSSArchive.*got dict"),
    ],
    ids=lambda value: str(value)[:20],
)
def test_sources_that_are_none(sky, tmp_path, monkeypatch, source, error, message):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "sky").mkdir()
    (tmp_path / "sky" / "hosts.csv").write_text("ra,dec\n1,2\n")
    for call in (predict, embed, fetch):
        with pytest.raises(error, match=message):
            call(sky[1], source=source)


def test_hours_that_were_taken_for_degrees(sky):
    path, table, expected = sky
    hours = Table({"ra": table["ra"] / 15, "dec": table["dec"]})
    with pytest.warns(UserWarning, match=r"below 24, and 4 of 4 positions match nothing.*ra_unit='hourangle'"):
        predict(hours, source=path)
    result = predict(hours, source=path, ra_unit="hourangle")
    np.testing.assert_allclose(result["z_phot"], expected["z_phot"], atol=1e-6)
