# Licensed under a 3-clause BSD style license - see LICENSE
"""Regions: what the package regions reads in the file is what the table says."""

import warnings

import numpy as np
import pytest
from astropy import units as u
from astropy.coordinates import SkyCoord
from astropy.table import Table
from astropy.utils.exceptions import AstropyUserWarning
from pages import estimated_table

from astro_photz import PhotozFlag, flags
from astro_photz.cli import main
from astro_photz.report import write_regions

AWKWARD = ["a } b", "{", "x ; y # z", "q\"u'o", "tab\tline\n", "c" * 300, "", "back\\", "é 好", "text={x}", "\ud800"]


def table_of(n=12, **columns):
    """A table in which every third row is doubtful, and the last two have no image."""
    table = estimated_table(n, missing=2)
    table["z_phot_flags"][:-2] = np.where(np.arange(n - 2) % 3, PhotozFlag.PARTIAL, PhotozFlag.LOW_SNR)
    for name, values in columns.items():
        table[name] = values
    return table


def read(path):
    """Regions in a file, as the astropy project reads them."""
    package = pytest.importorskip("regions")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        return package.Regions.read(path, format="ds9")


def test_places_radii_and_states_are_those_of_the_table(tmp_path):
    table = table_of()
    found = read(write_regions(table, tmp_path / "z.reg"))
    places = SkyCoord([one.center for one in found])
    assert places.frame.name == "icrs"
    assert places.separation(SkyCoord(table["ra"], table["dec"], unit="deg")).max() < 1 * u.mas
    assert {one.radius for one in found} == {12.672 * u.arcsec}
    bad = (table["z_phot_flags"] & flags.BAD) != 0
    wanted = np.where(table["z_phot"].mask, "masked", np.where(bad, "doubtful", "good"))
    assert [one.meta["tag"][0] for one in found] == list(wanted)
    assert [one.meta["tag"][1:] for one in found] == [flags.names(value) for value in table["z_phot_flags"]]
    colours = {"good": "cyan", "doubtful": "yellow", "masked": "red"}
    assert [one.visual["edgecolor"] for one in found] == [colours[state] for state in wanted]
    assert [one.visual.get("linestyle") == "dashed" for one in found] == list(wanted == "masked")


def test_the_text_is_name_redshift_and_flags(tmp_path):
    table = table_of()
    found = [one.meta["text"] for one in read(write_regions(table, tmp_path / "z.reg"))]
    assert found[0] == f"galaxy 0 z={table['z_phot'][0]:.4f} LOW_SNR"
    assert found[-1] == "galaxy 11 NO_IMAGE"
    del table["objid"]
    assert read(write_regions(table, tmp_path / "no_names.reg"))[3].meta["text"].startswith("row 3 z=")


def test_no_name_breaks_the_file(tmp_path):
    table = table_of(len(AWKWARD) + 2, objid=[*AWKWARD, "last", "none"])
    found = read(write_regions(table, tmp_path / "z.reg"))
    assert [one.meta["tag"] for one in found] == [
        one.meta["tag"] for one in read(write_regions(table_of(13), tmp_path / "plain.reg"))
    ]
    texts = [one.meta["text"].partition(" z=")[0] for one in found]
    assert texts[:5] == ["a ) b", "(", "x , y # z", "q\"u'o", "tab line"]
    assert texts[6:10] == ["row 6", "back/", "é 好", "text=(x)"]
    assert texts[5] == "c" * 80


@pytest.mark.parametrize(
    ("states", "n"), [(("good",), 6), ("doubtful", 4), (("masked", "doubtful"), 6), (["good", "good"], 6)]
)
def test_states_choose_rows(tmp_path, states, n):
    assert len(read(write_regions(table_of(), tmp_path / "z.reg", states=states))) == n


def test_no_row_of_a_state_makes_an_empty_file(tmp_path):
    table = table_of()[:1]
    assert len(read(write_regions(table, tmp_path / "z.reg", states=["good"]))) == 0


@pytest.mark.parametrize("radius", [5, 5 * u.arcsec, u.Quantity(5 / 60, "arcmin"), np.float32(5)])
def test_the_radius_is_an_angle(tmp_path, radius):
    assert read(write_regions(table_of(), tmp_path / "z.reg", radius=radius))[0].radius.to_value(
        u.arcsec
    ) == pytest.approx(5)


@pytest.mark.parametrize(
    ("wrong", "error", "message"),
    [
        ({"radius": 0}, ValueError, "radius must be a positive number of arcseconds, or an angle; got 0"),
        ({"radius": np.nan}, ValueError, "radius must be"),
        ({"radius": "wide"}, ValueError, "radius must be"),
        ({"radius": 5 * u.mag}, ValueError, "radius must be"),
        ({"radius": [1, 2]}, ValueError, "radius must be"),
        ({"states": "bad"}, ValueError, "states must be some of good, doubtful, masked; got 'bad'"),
        ({"states": []}, ValueError, "got none"),
        ({"states": ["good", 3]}, ValueError, "got 3"),
        ({"prefix": "zp"}, ValueError, "no redshifts of the prefix 'zp'"),
        ({"ra": "x", "dec": "dec"}, KeyError, "no such column"),
    ],
)
def test_bad_input_is_told_and_writes_nothing(tmp_path, wrong, error, message):
    with pytest.raises(error, match=message):
        write_regions(table_of(), tmp_path / "z.reg", **wrong)
    assert not list(tmp_path.iterdir())


def test_rows_without_a_position_are_told(tmp_path):
    table = table_of()
    table["ra"][2:4] = np.nan
    with pytest.warns(AstropyUserWarning, match=r"z\.reg lacks 2 of 12 rows, which have no position"):
        path = write_regions(table, tmp_path / "z.reg")
    assert len(read(path)) == 10
    table["ra"] = np.nan
    with pytest.raises(ValueError, match="none of 12 rows has a position"):
        write_regions(table, tmp_path / "none.reg")
    table.remove_columns(["ra", "dec"])
    with pytest.raises(ValueError, match="the table has no coordinates"):
        write_regions(table, tmp_path / "none.reg")


def test_a_file_is_replaced_only_if_asked_for(tmp_path):
    path = tmp_path / "z.reg"
    path.write_text("mine")
    with pytest.raises(FileExistsError, match="overwrite=True"):
        write_regions(table_of(), path)
    assert path.read_text() == "mine"
    write_regions(table_of(), path, overwrite=True)
    assert path.read_text().startswith("# Region file format: DS9")
    table_of().write(tmp_path / "t.ecsv")
    with pytest.raises(ValueError, match="is the table itself"):
        write_regions(tmp_path / "t.ecsv", tmp_path / "t.ecsv", overwrite=True)


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A folder with a table in it, to work in."""
    monkeypatch.chdir(tmp_path)
    table_of().write("z.ecsv")
    return tmp_path


def test_the_command_writes_beside_the_table(folder, capsys):
    assert main(["regions", "z.ecsv"]) == 0
    assert capsys.readouterr().err == "wrote z.reg\n"
    assert main(["regions", "--states", "doubtful, masked", "--radius", "30", "z.ecsv", "--output", "look.reg"]) == 0
    assert len(read("look.reg")) == 6
    assert read("look.reg")[0].radius == 30 * u.arcsec
    assert {path.name for path in folder.iterdir()} == {"z.ecsv", "z.reg", "look.reg"}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ("z.ecsv --states fair", "--states must be some of good, doubtful, masked; got 'fair'"),
        ("z.ecsv --radius -1", "--radius must be a positive number"),
        ("z.ecsv --prefix zp", "no redshifts of the prefix 'zp': give --prefix z_phot"),
        ("z.ecsv --output z.ecsv --overwrite", "is read by this command"),
        ("z.ecsv --output there.reg", "there.reg exists: choose another name, or say --overwrite"),
        ("z.ecsv --output none/z.reg", "there is no folder none"),
        ("none.ecsv", "no file none.ecsv"),
        ("plain.csv", "plain.csv has no column z_phot"),
    ],
)
def test_the_command_tells_bad_input_in_a_line(folder, capsys, options, message):
    (folder / "there.reg").write_text("mine")
    Table({"ra": [1.0], "dec": [2.0]}).write("plain.csv")
    assert main(["regions", *options.split()]) == 1
    said = capsys.readouterr().err
    assert message in said
    assert said.count("\n") == 1
    assert (folder / "there.reg").read_text() == "mine"
    assert {path.name for path in folder.iterdir()} == {"z.ecsv", "plain.csv", "there.reg"}


def test_a_table_from_standard_input_needs_an_output(folder, capsys):
    with pytest.raises(SystemExit) as left:
        main(["regions", "-"])
    assert left.value.code == 2
    assert "--output" in capsys.readouterr().err
