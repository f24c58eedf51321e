# Licensed under a 3-clause BSD style license - see LICENSE
"""A catalogue server that says what cannot be: it is asked again, and only the galaxies concerned lose their images."""

import logging
import warnings
from contextlib import closing

import numpy as np
import pytest
from astropy.coordinates import SkyCoord
from astropy.table import Table
from astropy.utils.exceptions import AstropyUserWarning
from astroquery.sdss import SDSSClass, field_names

from astro_photz import sdss
from astro_photz.config import conf
from astro_photz.cutouts.sources._answers import folder
from astro_photz.cutouts.sources._link import Link
from astro_photz.cutouts.sources._skyserver import SkyServer
from astro_photz.cutouts.sources.archive import SDSSArchive, _Catalogue
from astro_photz.flags import PhotozFlag
from astro_photz.positions import read_positions
from astro_photz.testing.source_contract import archive_of_scene, check_source, scene
from astro_photz.testing.synthetic_sky import SHAPE

N = 5
EDGE = {1, 4}  # rows of galaxies whose stamps cross the edge of a frame
NOWHERE = N  # the row of a position without an object


@pytest.fixture(autouse=True)
def settings(quick):
    """Frames of the scene are small, and its server needs no patience."""
    with conf.set_temp("attempts", 2):
        yield


@pytest.fixture
def server():
    with archive_of_scene() as server:
        yield server


def table():
    """Galaxies of the scene, the last of them at an edge, and a position without one."""
    _, galaxies = scene()
    rows = [(galaxy.ra, galaxy.dec) for galaxy in (*galaxies[: N - 1], galaxies[-1])]
    return Table(rows=[*rows, (150.2, 2.5)], names=("ra", "dec"))


def identified(*, cache=True):
    """Facts about the galaxies of the table, before any image."""
    positions, archive = read_positions(table()), SDSSArchive(timeout=5, cache=cache)
    with closing(Link()) as link, closing(SkyServer(timeout=5, link=link, cache=cache)) as client:
        catalogue = _Catalogue(archive, client, link, positions)
        catalogue.at_edge = catalogue.fillers(64)
    return catalogue


@pytest.fixture(scope="module")
def expected():
    with pytest.MonkeyPatch.context() as patch, archive_of_scene():
        patch.setattr(sdss, "FRAME_SHAPE", SHAPE)
        catalogue = identified()
    assert sorted(catalogue.field_ids) == list(range(N))
    assert catalogue.failed.tolist() == []
    assert catalogue.unmatched.tolist() == [NOWHERE]
    assert set(catalogue.at_edge) == EDGE
    return catalogue


def assert_same(result, expected, rows=range(N + 1), *, lost=()):
    """Compare rows; the others are ``lost``."""
    rows = list(rows)
    for name in ("field_ids", "at_edge"):
        one, other = getattr(result, name), getattr(expected, name)
        assert {row: one[row] for row in rows if row in one} == {row: other[row] for row in rows if row in other}
    for name in ("ebv", "psf_fwhm"):
        np.testing.assert_array_equal(getattr(result, name)[rows], getattr(expected, name)[rows])
    assert sorted(result.failed.tolist()) == sorted(lost)
    assert result.unmatched.tolist() == [row for row in expected.unmatched if row not in lost]
    assert not set(lost) & set(result.field_ids)


def alter(server, column, word, *, galaxy=0):
    """Change what the server says of one galaxy of the table; return its true value."""
    here = SkyCoord(*table()[galaxy]["ra", "dec"], unit="deg")
    row, *_ = here.match_to_catalog_sky(SkyCoord(server.catalogue["ra"], server.catalogue["dec"], unit="deg"))
    server.alter(column, word, row=row)
    return server.catalogue[column][row].item()


def edit(server, monkeypatch, change, *, times, scope="nearest"):
    """Let the first answers to queries of a scope pass through a function of their text."""
    crossid, left = server._database.crossid, [times]

    def answer(*query, nearest):
        text = crossid(*query, nearest=nearest)
        if nearest != (scope == "nearest") or not left[0]:
            return text
        left[0] -= 1
        return change(text)

    monkeypatch.setattr(server._database, "crossid", answer)


IMPOSSIBLE = [
    *[("run", word) for word in ("NaN", "inf", None, 2**32 + 4207, "4207 x", 4208)],
    *[("camcol", 7), ("extinction_g", "inf"), ("psffwhm_r", "wide"), ("rowc_r", "-inf")],
]


@pytest.mark.parametrize(("column", "word"), IMPOSSIBLE)
def test_one_impossible_value_costs_one_galaxy_and_stays_nowhere(server, expected, column, word):
    true = alter(server, column, word)
    with pytest.warns(
        AstropyUserWarning, match=f"answer for 6 galaxies is used but for impossible lines: .*{column} is "
    ) as caught:
        result = identified()
    assert len(caught) == 1
    assert server.count("crossid") == conf.attempts + 1  # and what is at the edge
    assert_same(result, expected, [1, 2, 3, 4, NOWHERE], lost=[0])
    alter(server, column, true)
    assert_same(identified(), expected)


@pytest.mark.parametrize(("column", "word"), [("dec", 295), ("ra", "NaN"), ("ra", None), ("dec", 12.5), ("ra", -9999)])
def test_an_object_without_a_place_may_be_that_of_any_galaxy_without_one(server, expected, column, word):
    true = alter(server, column, word)
    with pytest.warns(AstropyUserWarning, match="answer for 6 galaxies is used but for impossible lines"):
        result = identified()
    assert_same(result, expected, [1, 2, 3, 4], lost=[0, NOWHERE])
    alter(server, column, true)
    assert_same(identified(), expected)


def test_galaxies_that_are_lost_have_a_flag_and_the_others_their_images(server):
    whole = check_source(SDSSArchive(timeout=5), read_positions(table()))
    for column, word in (("run", "NaN"), ("dec", 295)):
        true = alter(server, column, word)
        with pytest.warns(AstropyUserWarning, match="is used but for impossible lines"):
            cutouts = check_source(SDSSArchive(timeout=5, cache=False), read_positions(table()))
        lost = [0] if column == "run" else [0, NOWHERE]
        others = [row for row in range(N + 1) if row not in lost]
        assert cutouts.flags[lost].tolist() == [PhotozFlag.NO_IMAGE] * len(lost)
        for name in ("flux", "flags", "ebv", "psf_fwhm"):
            np.testing.assert_array_equal(getattr(cutouts, name)[others], getattr(whole, name)[others])
        alter(server, column, true)


@pytest.mark.parametrize("word", [None, "NaN"])
@pytest.mark.parametrize("column", ["extinction_g", "psffwhm_r", "rowc_r", "rerun"])
def test_what_is_unknown_of_an_object_is_its_own_affair(server, expected, column, word):
    alter(server, column, word)
    result = identified()
    assert_same(result, expected, [1, 2, 3, 4, NOWHERE])
    assert result.field_ids == expected.field_ids
    assert np.isnan(result.ebv[0]) == (column == "extinction_g")
    assert np.isnan(result.psf_fwhm[0]).tolist() == [False, False, column == "psffwhm_r", False, False]


def first_line(change):
    def changed(text):
        lines = text.splitlines()
        lines[2] = change(lines[2])
        return "\n".join(lines) + "\n"

    return changed


GLITCHES = {
    "a number is text": first_line(lambda line: line.replace("4207", "42O7")),
    "a line is cut": first_line(lambda line: line[:30]),
    "a line is longer": first_line(lambda line: f"{line},1"),
    "a line is another": first_line(lambda line: "1" * 200),
    "a column is missing": lambda text: text.replace("extinction_g", "extinction"),
    "a column is there twice": lambda text: text.replace("psffwhm_z", "ra"),
    "columns are exchanged": lambda text: text.replace("ra,dec,", "dec,ra,"),
    "lines are repeated": lambda text: text + "".join(text.splitlines(keepends=True)[2:]),
    "all is in capitals, and cut": lambda text: text.upper()[: len(text) // 2],
    "no answer but a line": lambda text: "#Table1\n",
    "another encoding": lambda text: text.replace(",", ",\x00"),
}


@pytest.mark.parametrize("glitch", GLITCHES)
def test_what_is_wrong_once_is_not_noticed(server, expected, monkeypatch, glitch):
    edit(server, monkeypatch, GLITCHES[glitch], times=1)
    assert_same(identified(), expected)
    assert server.count("crossid") == 3
    assert_same(identified(), expected)
    assert server.count("crossid") == 3


@pytest.mark.parametrize("glitch", ["a column is missing", "lines are repeated", "no answer but a line"])
def test_what_is_no_table_costs_the_galaxies_of_the_query(server, expected, monkeypatch, glitch):
    with monkeypatch.context() as patch:
        edit(server, patch, GLITCHES[glitch], times=99)
        with pytest.warns(AstropyUserWarning, match="did not answer for 6 galaxies: "):
            result = identified()
    assert_same(result, expected, [], lost=range(N + 1))
    assert_same(identified(), expected)


@pytest.mark.parametrize("glitch", ["a number is text", "a line is cut", "columns are exchanged"])
def test_what_is_wrong_at_an_edge_costs_the_pixels_beyond_it(server, expected, monkeypatch, glitch):
    with monkeypatch.context() as patch:
        edit(server, patch, GLITCHES[glitch], times=99, scope="all")
        with pytest.warns(AstropyUserWarning, match=f"for {len(EDGE)} galaxies is used but for impossible lines"):
            result = identified()
    assert_same(result, expected, set(range(N + 1)) - EDGE)
    assert sorted(result.field_ids) == list(range(N))
    assert_same(identified(), expected)


@pytest.mark.parametrize("names", ["unit", "name"])
def test_a_list_of_columns_that_astroquery_holds_is_not_stumbled_over(server, expected, monkeypatch, names):
    held = {(name, SDSSClass()._get_query_url(17)): Table({names: ["x"]}) for name in ("PhotoObjAll", "SpecObjAll")}
    monkeypatch.setattr(field_names, "_cached_table_fields", held)
    with conf.set_temp("attempts", 1):
        assert_same(identified(), expected)


def test_attempts_are_told_and_the_answer_is_not_kept(server, caplog):
    caplog.set_level(logging.WARNING, logger="astro_photz")
    alter(server, "run", "NaN")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", AstropyUserWarning)
        identified()
    said = [record.getMessage() for record in caplog.records if record.name == "astro_photz"]
    assert any("its line 1 cannot be: run is 'NaN'; trying again now" in line for line in said)
    kept = [path.read_text() for path in folder().iterdir()]
    assert not [text for text in kept if "NaN" in text]
