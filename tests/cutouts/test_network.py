# Licensed under a 3-clause BSD style license - see LICENSE
"""The archive on a bad network: it says what is wrong in a line, speaks while it waits, and lets go when told to."""

import errno
import os
import signal
import socket
import ssl
import subprocess
import sys
import threading
import time
import traceback
import urllib.error
import warnings
from pathlib import Path

import numpy as np
import pytest
import requests
from astropy.table import Table
from astropy.utils.exceptions import AstropyUserWarning
from astroquery.sdss import conf as sdss_conf

from astro_photz.config import conf
from astro_photz.cutouts.frames import FrameError
from astro_photz.cutouts.sources import _link as link_module
from astro_photz.cutouts.sources import _skyserver as remote
from astro_photz.cutouts.sources import _waiting
from astro_photz.cutouts.sources import archive as archive_module
from astro_photz.cutouts.sources._failures import explain, is_final, is_unreachable
from astro_photz.cutouts.sources._link import Link
from astro_photz.cutouts.sources._skyserver import RateLimit
from astro_photz.cutouts.sources._waiting import Announcer, Waits
from astro_photz.cutouts.sources.archive import SDSSArchive
from astro_photz.flags import PhotozFlag
from astro_photz.positions import read_positions
from astro_photz.testing.source_contract import archive_of_scene, catalogue, check_source
from astro_photz.testing.unreachable import UNREACHABLE, unreachable


@pytest.fixture(autouse=True)
def settings(quick, monkeypatch):
    """Frames of the scene are small, its server needs no patience, and nothing was said before."""
    monkeypatch.setattr(_waiting, "_ANNOUNCER", Announcer())
    monkeypatch.setattr(link_module, "_CONNECT", 0.3)
    with conf.set_temp("attempts", 3):
        yield


def many(n, *, known=False):
    """A table of galaxies, strewn over as many fields; with the fields, if these are ``known``."""
    table = Table({"ra": np.linspace(100, 200, n), "dec": np.linspace(0, 40, n)})
    if known:
        table["run"], table["camcol"], table["field"], table["ebv"] = 4207, 3, np.arange(11, 11 + n), 0.05
    return read_positions(table)


def known_fields():
    """Galaxies of the scene's first two fields, which the table names."""
    with archive_of_scene(n_fields=2):
        cutouts = check_source(SDSSArchive(timeout=5), read_positions(catalogue()))
    table = catalogue()
    for name in ("run", "rerun", "camcol", "field"):
        table[name] = cutouts.provenance[name]
    return table[(cutouts.flags & ~PhotozFlag.PARTIAL) == 0]


# What is said of a failure


class _Answer(requests.Response):
    def __init__(self, status, **headers):
        super().__init__()
        self.status_code, self.url = status, "https://data.sdss.org/sas/frame-r-004207-3-0110.fits.bz2"
        self.headers.update(headers)


def _read_timeout():
    return requests.ReadTimeout(
        "HTTPSConnectionPool(host='data.sdss.org', port=443): Read timed out. (read timeout=60)"
    )


PHRASES = {
    "data.sdss.org answered 503 Service Unavailable": requests.HTTPError(response=_Answer(503)),
    "data.sdss.org answered 404 Not Found": requests.HTTPError(response=_Answer(404)),
    "data.sdss.org answered 599": requests.HTTPError(response=_Answer(599)),
    "data.sdss.org answered 429 Too Many Requests and asks to wait 7200 s": requests.HTTPError(
        response=_Answer(429, **{"Retry-After": "7200"})
    ),
    "sky:8080 answered 500 Internal Server Error": urllib.error.HTTPError("http://sky:8080/x", 500, "no", {}, None),
    "data.sdss.org did not answer within 60 s": _read_timeout(),
    "data.sdss.org did not answer in time": TimeoutError("timed out"),
    "data.sdss.org cannot be reached (its name cannot be looked up)": urllib.error.URLError(socket.gaierror(-2, "no")),
    "data.sdss.org cannot be reached (connection refused)": ConnectionRefusedError(111, "Connection refused"),
    "data.sdss.org cannot be reached (no route to it)": OSError(errno.EHOSTUNREACH, "No route to host"),
    "the connection to data.sdss.org broke off": ConnectionResetError(104, "Connection reset by peer"),
    "the certificate of data.sdss.org cannot be verified": requests.exceptions.SSLError(
        ssl.SSLCertVerificationError("self-signed certificate")
    ),
    "there is no room on the disk for /tmp/x": OSError(errno.ENOSPC, "No space left on device", "/tmp/x"),
    "there is no room on the disk for the cache": OSError(errno.ENOSPC, "No space left on device"),
    "what data.sdss.org sent is no whole frame: it is empty": FrameError("it is empty"),
}


@pytest.mark.parametrize("phrase", PHRASES)
def test_a_failure_in_the_users_terms(phrase):
    assert explain(PHRASES[phrase], None if "sky" in phrase else "data.sdss.org") == phrase


def test_the_words_of_others_are_short():
    phrase = explain(requests.RequestException("a" * 500 + "\nand more"), "data.sdss.org")
    assert len(phrase) < 130
    assert "\n" not in phrase


@pytest.mark.parametrize("way", UNREACHABLE)
def test_a_host_that_cannot_be_reached_is_told_from_one_that_fails(way):
    with unreachable(way) as url, pytest.raises(requests.RequestException) as caught:
        requests.get(f"{url}/some/path?with=query", timeout=(0.3, 5))
    assert is_unreachable(caught.value)
    assert UNREACHABLE[way] in explain(caught.value)
    assert url.removeprefix("http://") in explain(caught.value)
    assert "path" not in explain(caught.value)


@pytest.mark.parametrize("mode", [404, 500, "timeout", "disconnect", "cut off"])
def test_a_host_that_fails_can_be_reached(server, mode):
    server.fail("frame", mode)
    with pytest.raises(requests.RequestException) as caught:
        requests.get(f"{sdss_conf.sas_baseurl}/{next(iter(server.frames))}", timeout=0.5).raise_for_status()
    assert not is_unreachable(caught.value)
    assert is_final(caught.value) == (mode == 404)


# No network


@pytest.mark.parametrize("known", [False, True])
@pytest.mark.parametrize("way", UNREACHABLE)
def test_a_thousand_galaxies_without_a_network_end_in_one_line(server, way, known):
    positions = many(1000, known=known)
    began = time.monotonic()
    with unreachable(way) as url:
        name = "sas_baseurl" if known else "skyserver_baseurl"
        with (
            sdss_conf.set_temp(name, url),
            pytest.raises(ConnectionError, match=r"no network: .*check the net") as caught,
        ):
            check_source(SDSSArchive(timeout=5), positions)
    assert time.monotonic() - began < 30
    assert UNREACHABLE[way] in str(caught.value)
    told = "".join(traceback.format_exception(caught.value))
    assert told.count("Traceback") == 2  # its own and the socket's: a notebook shows no pages of those between
    assert not server.requests


def test_attempts_at_a_connection_are_limited_in_time_too(monkeypatch):
    """A host of many addresses takes the time of each of them."""
    monkeypatch.setattr(link_module, "_TO_REACH", 0.5)
    tried = []

    def action():
        tried.append(time.monotonic())
        time.sleep(0.3)
        raise ConnectionRefusedError(111, "Connection refused")

    with pytest.raises(ConnectionError, match="sky cannot be reached"):
        Link().with_retries(action, host="sky", forget=lambda: None)
    assert len(tried) == 1


def test_slow_attempts_at_a_connection_are_told(monkeypatch, spoken):
    monkeypatch.setattr(link_module, "_HELD_BACK", 0.1)

    def action():
        time.sleep(0.2)
        raise ConnectionRefusedError(111, "Connection refused")

    with pytest.raises(ConnectionError):
        Link().with_retries(action, host="sky", forget=lambda: None)
    assert [line.split("; ")[1] for line in spoken()] == [f"trying again now (attempt {n} of 3)" for n in (2, 3)]


def test_frames_out_of_reach_are_warned_of_once(server):
    """The catalogue answers, so something was had; each frame is not tried again."""
    with warnings.catch_warnings(record=True) as caught, unreachable("refused") as url:
        warnings.simplefilter("always")
        with sdss_conf.set_temp("sas_baseurl", url):
            cutouts = check_source(SDSSArchive(timeout=5), read_positions(catalogue()))
    messages = [str(warning.message) for warning in caught]
    assert len(messages) == 1
    assert "frames could not be had: 127.0.0.1" in messages[0]
    assert set(cutouts.flags) == {PhotozFlag.NO_IMAGE, PhotozFlag.NO_MATCH, PhotozFlag.NO_POSITION}


def _refuse(*args, **options):
    raise ConnectionRefusedError(111, "Connection refused")


def test_frames_that_were_kept_need_no_network(server, monkeypatch):
    """Also where others cannot be had, and the host is known to be out of reach."""
    table = known_fields()
    kept = table["field"] == table["field"].max()
    assert 0 < kept.sum() < len(kept)
    expected = check_source(SDSSArchive(timeout=5), read_positions(table[kept]))
    monkeypatch.setattr(Link, "get", _refuse)
    with pytest.warns(AstropyUserWarning, match=r"frames could not be had: 127.0.0.1:\d+ cannot be reached"):
        cutouts = check_source(SDSSArchive(timeout=5), read_positions(table))
    np.testing.assert_array_equal(cutouts.flux[kept], expected.flux)
    assert np.all(cutouts.flags[~kept] == PhotozFlag.NO_IMAGE)


def test_a_catalogue_that_goes_out_of_reach_is_warned_of_once(server, monkeypatch):
    """What was found before keeps its images."""
    monkeypatch.setattr(archive_module, "_BATCH", 3)
    monkeypatch.setattr(requests.adapters.HTTPAdapter, "send", _refuse_after(server, 2))
    frames = sdss_conf.sas_baseurl.replace("127.0.0.1", "localhost")  # another host than that of the catalogue
    with warnings.catch_warnings(record=True) as caught, sdss_conf.set_temp("sas_baseurl", frames):
        warnings.simplefilter("always")
        cutouts = check_source(SDSSArchive(timeout=5), read_positions(catalogue()))
    said = [str(warning.message) for warning in caught]
    assert len(said) == 1
    assert "galaxies are left for a later call" in said[0]
    assert "connection refused" in said[0]
    assert np.sum(cutouts.flags == PhotozFlag.NO_IMAGE) >= 3
    assert np.isfinite(cutouts.flux).any()


def _refuse_after(server, n_queries):
    send = requests.adapters.HTTPAdapter.send

    def send_or_refuse(self, request, **options):
        if "frame" not in request.url and server.count("crossid") >= n_queries:
            _refuse()
        return send(self, request, **options)

    return send_or_refuse


# Waits speak


def test_a_server_that_hangs_is_spoken_of_within_ten_seconds(server, spoken):
    server.fail("crossid", "hang")
    with conf.set_temp("attempts", 1), pytest.warns(AstropyUserWarning, match="did not answer within 7.5 s"):
        check_source(SDSSArchive(timeout=7.5), read_positions(catalogue()))
    assert len(spoken()) == 1
    assert "waiting for 127.0.0.1" in spoken()[0]
    assert "since 4 s; it is given up after 7.5 s without a sign (attempt 1 of 1)" in spoken()[0]


def test_several_threads_that_wait_for_one_host_speak_once(server, spoken, monkeypatch):
    monkeypatch.setattr(_waiting, "_QUIET", 0.3)
    table = known_fields()
    server.fail("frame", "hang")
    with conf.set_temp("attempts", 1), pytest.warns(AstropyUserWarning, match="could not be had"):
        check_source(SDSSArchive(timeout=2.0, threads=3), read_positions(table))
    assert len([line for line in spoken() if "waiting for" in line]) == 1


def test_the_same_is_said_again_at_growing_intervals(spoken, monkeypatch):
    now = [0.0]
    monkeypatch.setattr(_waiting.time, "monotonic", lambda: now[0])
    announcer, said = Announcer(), []
    for now[0] in np.arange(0.0, 600.0):
        announcer.say("host", "waiting")
        announcer.say("other", "waiting too")
        if len(spoken()) > 2 * len(said):
            said.append(now[0])
    assert said[:4] == [0, 10, 30, 70]
    assert np.all(np.diff(said)[3:] >= 80)
    assert np.diff(said).max() <= 121


def test_nothing_is_said_where_all_is_quick(server, spoken):
    check_source(SDSSArchive(timeout=5), read_positions(catalogue()))
    assert spoken() == []


RETRIES = {
    503: "answered 503 Service Unavailable; trying again now (attempt 2 of 3)",
    429: "answered 429 Too Many Requests; trying again now (attempt 2 of 3)",
    "disconnect": "broke off; trying again now (attempt 2 of 3)",
    "html": "answered with something else than a table: it lacks",
}


@pytest.mark.parametrize("mode", RETRIES)
def test_a_retry_is_told(server, spoken, mode):
    server.fail("crossid", mode, times=1)
    check_source(SDSSArchive(timeout=5), read_positions(catalogue()))
    assert len(spoken()) == 1
    assert RETRIES[mode] in spoken()[0]


def test_a_long_patience_is_told(spoken, monkeypatch):
    monkeypatch.setattr(Waits, "sleep", lambda self, seconds: None)

    def busy():
        raise requests.HTTPError(response=_Answer(503, **{"Retry-After": "90"}))

    with pytest.raises(requests.HTTPError):
        Link().with_retries(busy, host="data.sdss.org", forget=lambda: None)
    assert "asks to wait 90 s; trying again in 90 s (attempt 2 of 3)" in spoken()[0]


def test_the_limit_of_queries_says_for_how_long_it_holds_back(server, spoken, monkeypatch):
    limit = RateLimit(minute=0.6)
    monkeypatch.setattr(remote, "_HELD_BACK", 0.3)
    monkeypatch.setattr(remote, "_QUERIES", limit)
    with conf.set_temp("queries_per_minute", 1):
        limit.wait(1)
        check_source(SDSSArchive(timeout=5), many(1))
    assert "is asked 1 queries a minute, at most: waiting for 1 s" in spoken()[0]


# Interrupts


def _interrupt_soon(seconds):
    main = threading.main_thread().ident
    timer = threading.Timer(seconds, signal.pthread_kill, (main, signal.SIGINT))
    timer.start()
    return time.monotonic() + seconds


@pytest.mark.parametrize("threads", [1, 3])
@pytest.mark.parametrize(("kind", "mode"), [("crossid", "hang"), ("frame", "hang"), ("frame", 503)])
def test_an_interrupt_ends_all_waits_at_once(server, kind, mode, threads):
    before = set(threading.enumerate())
    server.fail(kind, mode)
    with conf.set_temp("retry_wait", 30.0):
        at = _interrupt_soon(1.0)
        with pytest.raises(KeyboardInterrupt):
            check_source(SDSSArchive(timeout=20, threads=threads), read_positions(catalogue()))
    assert time.monotonic() - at < 10  # an answer is waited for twice as long
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline and _at_work(before):
        time.sleep(0.02)
    assert not _at_work(before)
    server.mend()
    cutouts = check_source(SDSSArchive(timeout=5), read_positions(catalogue()))
    assert np.isfinite(cutouts.flux).any()


def _at_work(before):
    return [thread for thread in set(threading.enumerate()) - before if thread.name == "fields"]


def test_closing_the_batches_ends_the_waits(server):
    batches = SDSSArchive(timeout=20, threads=2).batches(read_positions(catalogue()))
    next(batches)
    server.fail("frame", "hang")
    for batch in batches:
        if (batch.cutouts.flags == PhotozFlag.NO_MATCH).all():
            break
    began = time.monotonic()
    batches.close()
    assert time.monotonic() - began < 10  # an answer is waited for twice as long


_SCRIPT = """
import sys
from astro_photz.testing.source_contract import archive_of_scene, catalogue, check_source
from astro_photz.cutouts.sources.archive import SDSSArchive
from astro_photz.positions import read_positions
with archive_of_scene(n_fields=2) as server:
    server.fail("frame", "hang")
    print("ready", flush=True)
    check_source(SDSSArchive(timeout=30), read_positions(catalogue()))
"""


def test_a_script_that_is_interrupted_leaves_no_stray_traceback():
    here = Path(__file__).parents[1]
    environment = os.environ | {"PYTHONPATH": str(here), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-c", _SCRIPT]
    with subprocess.Popen(
        command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout.readline() == "ready\n"
        time.sleep(1.5)
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=20)  # an answer is waited for longer
    assert said.count("Traceback") == 1
    assert said.strip().endswith("KeyboardInterrupt")
