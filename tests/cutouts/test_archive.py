# Licensed under a 3-clause BSD style license - see LICENSE
"""`SDSSArchive` against servers that behave, and others: nothing is asked twice, and nothing broken stays."""

import time
import urllib.error
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from unittest.mock import patch

import numpy as np
import pytest
from astropy.table import Table
from astropy.utils.exceptions import AstropyUserWarning

from astro_photz import sdss
from astro_photz.config import conf
from astro_photz.cutouts.frames import Frame
from astro_photz.cutouts.sources import _skyserver as remote_module
from astro_photz.cutouts.sources import archive as archive_module
from astro_photz.cutouts.sources._answers import folder
from astro_photz.cutouts.sources._link import Link
from astro_photz.cutouts.sources._skyserver import RateLimit
from astro_photz.cutouts.sources._waiting import Waits
from astro_photz.cutouts.sources.archive import SDSSArchive
from astro_photz.flags import PhotozFlag
from astro_photz.positions import read_positions
from astro_photz.sdss import BANDS, frame_path
from astro_photz.testing.server import ERROR_PAGE
from astro_photz.testing.source_contract import FIELD, archive_of_scene, catalogue, check_source, scene
from astro_photz.testing.synthetic_sky import SHAPE

BROKEN_FRAMES = [404, 500, 429, "html", "truncated", "empty", "cut off", "disconnect", "timeout"]
BROKEN_ANSWERS = [404, 500, 429, "html", "empty", "cut off", "disconnect", "timeout"]


@pytest.fixture(autouse=True)
def settings(quick):
    """Frames of the scene are small, and its server needs no patience."""
    with conf.set_temp("attempts", 3):
        yield


@pytest.fixture(scope="module")
def expected():
    """Cutouts of the `catalogue` from a server that behaves."""
    with pytest.MonkeyPatch.context() as patch, archive_of_scene(n_fields=2):
        patch.setattr(sdss, "FRAME_SHAPE", SHAPE)
        cutouts = check_source(SDSSArchive(timeout=5), read_positions(catalogue()))
    assert set(cutouts.provenance["field"][cutouts.flags == 0]) == {FIELD.field, FIELD.field + 1}
    return cutouts


def fetch(source=None):
    return check_source(source or SDSSArchive(timeout=5), read_positions(catalogue()))


def assert_same(result, expected, rows=slice(None)):
    np.testing.assert_array_equal(result.flux[rows], expected.flux[rows])
    np.testing.assert_array_equal(result.ebv[rows], expected.ebv[rows])
    np.testing.assert_array_equal(result.flags[rows], expected.flags[rows])


# What is asked of the servers


def test_each_frame_is_downloaded_and_read_once():
    """Also where a field fills the stamps of another."""
    with archive_of_scene() as server, patch("astro_photz.cutouts.frames.Frame", wraps=Frame) as counted:
        fetch()
    paths = [request.path for request in server.requests if request.kind == "frame"]
    assert len(set(paths)) == len(paths) == len(BANDS) * len(scene()[0])
    assert counted.call_count == len(paths)


def test_second_call_needs_no_network(server, expected):
    fetch()
    before = len(server.requests)
    assert_same(fetch(), expected)
    assert len(server.requests) == before


def test_no_cache(server, expected):
    source = SDSSArchive(timeout=5, cache=False)
    fetch(source)
    before = len(server.requests)
    assert_same(fetch(source), expected)
    assert len(server.requests) > before
    assert not [path for path in server.cache.rglob("*") if path.name == "contents"]


def test_without_a_cache_no_frame_is_left_anywhere(server, tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    fetch(SDSSArchive(timeout=5, cache=False))
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]


def test_positions_go_up_in_batches(server, expected, monkeypatch):
    monkeypatch.setattr(archive_module, "_BATCH", 4)
    assert_same(fetch(), expected)
    asked = np.sum(np.isfinite(catalogue()["ra"]))
    primaries = -(-asked // 4)
    assert primaries <= server.count("crossid") <= 2 * primaries


def test_galaxies_of_known_field_and_reddening_need_no_catalogue(server, expected):
    table = catalogue()
    found = (expected.flags & ~PhotozFlag.PARTIAL) == 0
    table = table[found]
    for name in ("run", "rerun", "camcol", "field"):
        table[name] = expected.provenance[name][found]
    result = check_source(SDSSArchive(timeout=5), read_positions(table))
    assert set(result.flags) == {0, PhotozFlag.PARTIAL}
    assert server.count("crossid") == server.count("schema") == server.count("sql") == 0
    # Without the catalogue, stamps end at the edges of their own frame.
    seen = np.isfinite(result.flux)
    np.testing.assert_array_equal(result.flux[seen], expected.flux[found][seen])


def test_galaxies_of_an_earlier_rerun_are_looked_up(server, expected):
    """Their field is of today's numbers, but there are no frames of that rerun any more."""
    table = catalogue()
    for name in ("run", "camcol", "field"):
        table[name] = np.maximum(expected.provenance[name], 0)
    table["rerun"] = 44
    assert_same(check_source(SDSSArchive(timeout=5), read_positions(table)), expected)


@pytest.mark.parametrize("data_release", [12, 17, 18])
def test_data_release_is_passed_on(data_release):
    _, galaxies = scene()
    with archive_of_scene(data_release=data_release) as server:
        table = Table(rows=[(galaxies[0].ra, galaxies[0].dec)], names=("ra", "dec"))
        cutouts = check_source(SDSSArchive(data_release=data_release, timeout=5), read_positions(table))
        assert not cutouts.flags.any()
        assert all(f"/dr{data_release}/" in request.path for request in server.requests)


@pytest.mark.parametrize("coefficients", ["DR12", "DR13"])
def test_reddening_comes_from_the_catalogue_by_the_right_coefficients(coefficients):
    _, galaxies = scene()
    with archive_of_scene(coefficients=coefficients):
        table = Table(rows=[(g.ra, g.dec) for g in galaxies], names=("ra", "dec"))
        cutouts = check_source(SDSSArchive(timeout=5), read_positions(table))
    np.testing.assert_allclose(cutouts.ebv, [galaxy.ebv for galaxy in galaxies], rtol=1e-4)
    assert np.all((cutouts.psf_fwhm > 1) & (cutouts.psf_fwhm < 2))


def test_users_reddening_goes_before_the_catalogues(server):
    _, galaxies = scene()
    table = Table({"ra": [g.ra for g in galaxies[:2]], "dec": [g.dec for g in galaxies[:2]], "ebv": [0.3, np.nan]})
    cutouts = check_source(SDSSArchive(timeout=5), read_positions(table))
    np.testing.assert_allclose(cutouts.ebv, [0.3, galaxies[1].ebv], rtol=1e-4)


def test_position_off_the_object_keeps_its_own_place(server):
    """The stamp is centred where the user said, not where the catalogue has the object."""
    _, galaxies = scene()
    table = Table(rows=[(galaxies[0].ra, galaxies[0].dec + 1.5 / 3600)], names=("ra", "dec"))
    cutouts = check_source(SDSSArchive(timeout=5), read_positions(table))
    assert not cutouts.flags.any()
    y, x = np.unravel_index(np.argmax(cutouts.flux[0, 2, 24:40, 24:40]), (16, 16))
    distance = np.hypot(x + 24 - cutouts.target_xy[0, 0], y + 24 - cutouts.target_xy[0, 1]) * sdss.PIXEL_SCALE
    assert distance == pytest.approx(1.5, abs=0.3)


def test_position_beyond_the_radius_has_no_match(server):
    _, galaxies = scene()
    table = Table(rows=[(galaxies[0].ra, galaxies[0].dec + 3 / 3600)], names=("ra", "dec"))
    cutouts = check_source(SDSSArchive(timeout=5), read_positions(table))
    assert cutouts.flags[0] == PhotozFlag.NO_MATCH
    cutouts = check_source(SDSSArchive(timeout=5, match_radius=5), read_positions(table))
    assert cutouts.flags[0] == 0


@pytest.mark.parametrize("radius", [0, -1, 181])
def test_radius_out_of_range_is_refused(radius):
    with pytest.raises(ValueError, match="match_radius"):
        SDSSArchive(match_radius=radius)


def test_early_release_is_refused():
    with pytest.raises(ValueError, match="data_release must be 8 or later, got 7"):
        SDSSArchive(data_release=7)


def test_rate_limit_lets_no_more_through_in_any_minute():
    limit, passes = RateLimit(minute=0.2), []
    for _ in range(5):
        limit.wait(2)
        passes.append(time.monotonic())
    passes = np.array(passes)
    assert np.all(passes[2:] - passes[:-2] > 0.19)
    assert passes[-1] - passes[0] < 20


def test_only_queries_that_go_out_count_against_the_limit(server, monkeypatch):
    waits = []
    monkeypatch.setattr(remote_module._QUERIES, "wait", lambda per_minute, **_: waits.append(per_minute))
    fetch()
    asked = len(server.requests) - server.count("frame")
    assert len(waits) == asked > 0
    fetch()
    assert len(waits) == asked


# Servers that fail for good: the rows that they concern are flagged, the others come back


@pytest.mark.parametrize("mode", BROKEN_FRAMES)
def test_frame_that_cannot_be_had(server, expected, mode):
    server.fail("frame", mode, path_contains=sdss.frame_name("g", FIELD))
    source = SDSSArchive(timeout=2.0 if mode == "timeout" else 5)
    with pytest.warns(AstropyUserWarning, match=sdss.frame_name("g", FIELD)):
        cutouts = fetch(source)
    hit = (expected.provenance["run"] == FIELD.run) & (expected.provenance["field"] == FIELD.field)
    assert 0 < hit.sum() < len(hit)
    lost = np.isnan(cutouts.flux).any(axis=(1, 2, 3)) & hit  # of the others, another frame has that band
    assert lost.sum() > 0
    assert np.all(cutouts.flags[hit] == np.where(lost, PhotozFlag.NO_IMAGE, 0)[hit])
    assert_same(cutouts, expected, ~hit)
    others = [0, 2, 3, 4]
    np.testing.assert_array_equal(cutouts.flux[hit][:, others], expected.flux[hit][:, others])

    server.mend()
    assert_same(fetch(SDSSArchive(timeout=5)), expected)


def test_no_frames_at_all(server, expected):
    server.fail("frame", 500)
    with pytest.warns(AstropyUserWarning, match="could not be had"):
        cutouts = fetch()
    served = (expected.flags & ~PhotozFlag.PARTIAL) == 0
    assert np.all(cutouts.flags[served] == PhotozFlag.NO_IMAGE)
    np.testing.assert_array_equal(cutouts.flags[~served], expected.flags[~served])
    assert np.isnan(cutouts.flux).all()
    server.mend()
    assert_same(fetch(), expected)


@pytest.mark.parametrize("kind", ["crossid", "schema"])
@pytest.mark.parametrize("mode", BROKEN_ANSWERS)
def test_catalogue_that_does_not_answer(server, expected, kind, mode):
    server.fail(kind, mode)
    with pytest.warns(AstropyUserWarning, match="catalogue did not answer"):
        cutouts = fetch(SDSSArchive(timeout=2.0 if mode == "timeout" else 5))
    served = expected.flags != PhotozFlag.NO_POSITION
    assert np.all(cutouts.flags[served] == PhotozFlag.NO_IMAGE)
    assert np.all(cutouts.flags[~served] == PhotozFlag.NO_POSITION)
    assert np.isnan(cutouts.flux).all()

    server.mend()
    assert_same(fetch(), expected)


def test_one_batch_that_fails_leaves_the_others(server, expected, monkeypatch):
    monkeypatch.setattr(archive_module, "_BATCH", 4)
    server.fail("crossid", "html", times=conf.attempts)
    with pytest.warns(AstropyUserWarning, match="did not answer for 4 galaxies"):
        cutouts = fetch()
    lost = cutouts.flags == PhotozFlag.NO_IMAGE
    assert lost.sum() == 4
    assert_same(cutouts, expected, ~lost)
    assert_same(fetch(), expected)


def test_half_an_answer_is_no_answer(server, expected):
    """A list of objects that breaks off in the middle must not turn the rest of the galaxies into unmatched ones."""
    server.fail("crossid", "truncated", times=1)
    assert_same(fetch(), expected)


# Servers that fail for a while: nothing is lost


@pytest.mark.parametrize("mode", [500, 503, 429, "html", "truncated", "empty", "cut off", "disconnect", "timeout"])
def test_frame_that_comes_at_the_second_attempt(server, expected, mode):
    server.fail("frame", mode, times=2)
    assert_same(fetch(SDSSArchive(timeout=2.0 if mode == "timeout" else 5)), expected)


@pytest.mark.parametrize("kind", ["crossid", "schema"])
@pytest.mark.parametrize("mode", [500, 503, 429, "html", "empty", "cut off", "disconnect", "timeout"])
def test_catalogue_that_answers_at_the_second_attempt(server, expected, kind, mode):
    server.fail(kind, mode, times=1)
    assert_same(fetch(SDSSArchive(timeout=2.0 if mode == "timeout" else 5)), expected)


def test_attempts_are_limited(server):
    path = frame_path("g", FIELD)
    server.fail("frame", 500, path_contains=path)
    with conf.set_temp("attempts", 2), pytest.warns(AstropyUserWarning, match="500"):
        fetch()
    assert server.count("frame", path) == 2


def test_frame_that_is_not_there_is_not_asked_for_again(server):
    path = frame_path("g", FIELD)
    server.fail("frame", 404, path_contains=path)
    with pytest.warns(AstropyUserWarning, match="404"):
        fetch()
    assert server.count("frame", path) == 1


def test_nothing_broken_stays_in_a_cache(server, expected):
    for mode in ("html", "truncated", "empty"):
        server.fail("frame", mode, path_contains=f"-{FIELD.field:04d}.fits")
    server.fail("crossid", "html", times=2)
    with pytest.warns(AstropyUserWarning):
        fetch()
    kept = [path.read_bytes() for path in server.cache.rglob("*") if path.is_file()]
    assert kept
    assert not [content for content in kept if ERROR_PAGE[:30] in content]
    frames = {content for content in kept if content[:3] == b"BZh"}
    assert frames <= set(server.frames.values())


def test_half_an_answer_in_the_cache_is_replaced(server, expected):
    assert_same(fetch(), expected)
    answers = list(folder().glob("*.json"))
    for n in (0, 40, -40):
        for path in answers:
            path.write_bytes(path.read_bytes()[:n])
        assert_same(fetch(), expected)


@pytest.mark.parametrize("answer", ['{"Message": "An error has occurred."}', "[]", '[{"Rows": []}]'])
def test_another_error_instead_of_the_schema(server, expected, monkeypatch, answer):
    with monkeypatch.context() as patch:
        patch.setitem(server._database.__dict__, "schema", answer)
        with pytest.warns(AstropyUserWarning, match="catalogue did not answer"):
            cutouts = fetch()
    assert set(cutouts.flags) == {PhotozFlag.NO_POSITION, PhotozFlag.NO_IMAGE}
    assert_same(fetch(), expected)


def test_a_schema_that_is_not_there_is_asked_for_once(server):
    server.fail("schema", 404)
    with pytest.warns(AstropyUserWarning, match="catalogue did not answer"):
        fetch()
    assert server.count("schema") == 1


def test_a_server_is_asked_again_when_it_says(monkeypatch):
    """In seconds or at a time; but nobody waits for hours."""
    slept, now = [], datetime.now(UTC)
    monkeypatch.setattr(Waits, "sleep", lambda self, seconds: slept.append(seconds))

    def refused(after):
        def action():
            raise urllib.error.HTTPError("http://sky", 503, "busy", {"Retry-After": after} if after else {}, None)

        return action

    for after in ("7", format_datetime(now + timedelta(seconds=20), usegmt=True), "soon", None):
        with pytest.raises(urllib.error.HTTPError), conf.set_temp("retry_wait", 1.5):
            Link().with_retries(refused(after), host="sky", forget=lambda: None)
    assert slept[:2] == [7, 7]
    assert np.all(np.abs(np.array(slept[2:4]) - 19) < 2)
    for first, second in zip(slept[4::2], slept[5::2], strict=True):
        assert 1.5 <= first <= 2.25
        assert 3.0 <= second <= 4.5
    slept.clear()
    for after in ("86400", format_datetime(now + timedelta(hours=1), usegmt=True)):
        with pytest.raises(urllib.error.HTTPError):
            Link().with_retries(refused(after), host="sky", forget=lambda: None)
    assert slept == []


def test_broken_file_that_was_in_the_cache_before_is_replaced(server, expected):
    """Whatever put it there: astroquery itself keeps what it downloads."""
    from astropy.utils.data import download_file
    from astroquery.sdss import conf as sdss_conf

    server.fail("frame", "html", times=1)
    download_file(f"{sdss_conf.sas_baseurl}/{frame_path('i', FIELD)}", cache=True)
    assert_same(fetch(), expected)


def test_edge_of_a_frame_when_the_catalogue_fails_there():
    """Where else a galaxy at an edge was seen cannot be known then: its stamp ends there, and it keeps its redshift."""
    _, galaxies = scene()
    table = Table(rows=[(galaxies[-1].ra, galaxies[-1].dec)], names=("ra", "dec"))
    with archive_of_scene():
        whole = check_source(SDSSArchive(timeout=5), read_positions(table))
    with archive_of_scene() as server:
        source = SDSSArchive(timeout=5)
        check_source(source, read_positions(table))
        server.fail("crossid", 500)
        # The primary's answer is in the cache; only the question after the edge goes out again.
        for path in folder().glob("*.json"):
            if b"allObj" in path.read_bytes():
                path.unlink()
        with pytest.warns(AstropyUserWarning, match="end at the edge"):
            cutouts = check_source(source, read_positions(table))
    assert cutouts.flags.tolist() == [PhotozFlag.PARTIAL]
    assert np.isfinite(whole.flux).all()
    seen = np.isfinite(cutouts.flux)
    assert seen[..., 28:36, 28:36].all()
    assert not seen.all()
    # The r pixels are the frame's own up to its edge; the other bands' come from the better frame near it.
    r = seen[0, 2]
    np.testing.assert_array_equal(cutouts.flux[0, 2][r], whole.flux[0, 2][r])
