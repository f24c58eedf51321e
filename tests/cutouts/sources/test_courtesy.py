# Licensed under a 3-clause BSD style license - see LICENSE
"""A user is one guest of the archive: one rate, one name, and no download that nobody wanted."""

import pickle
import subprocess
import sys
import time
import warnings
from types import SimpleNamespace

import numpy as np
import pytest
import requests
from astropy.config import set_temp_cache
from astropy.utils.exceptions import AstropyUserWarning

import astro_photz
from astro_photz import sdss
from astro_photz.cli import _input, main
from astro_photz.config import conf
from astro_photz.cutouts.sources import _rate
from astro_photz.cutouts.sources._estimate import DownloadEstimate
from astro_photz.cutouts.sources._rate import RateLimit, shared_file
from astro_photz.cutouts.sources.archive import SDSSArchive
from astro_photz.testing.source_contract import archive_of_scene, catalogue, write_scene

PASSES = """
import sys, time
from pathlib import Path
from astro_photz.cutouts.sources._rate import RateLimit
limit = RateLimit(minute=1.0, file=lambda: Path(sys.argv[1]))
for _ in range(int(sys.argv[2])):
    limit.wait(4)
    print(time.time(), flush=True)
"""


@pytest.fixture(autouse=True)
def settings(quick):
    with conf.set_temp("attempts", 1):
        yield


@pytest.fixture
def server(tmp_path):
    with set_temp_cache(tmp_path), archive_of_scene() as server:
        yield server


def no_sleep(seconds):
    raise TimeoutError(seconds)


# One rate


def test_processes_keep_to_one_limit_together(tmp_path):
    code = [sys.executable, "-c", PASSES, str(tmp_path / "queries"), "5"]
    children = [subprocess.Popen(code, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    times = np.sort([float(line) for child in children for line in child.communicate()[0].split()])
    assert len(times) == 10
    # Between passes and the next line there are moments, in which the machine may be busy.
    assert (times[4:] - times[:-4] > 0.7).all()


def test_objects_of_one_process_share_a_file(tmp_path):
    first, second = (RateLimit(file=lambda: tmp_path / "queries") for _ in range(2))
    for _ in range(3):
        first.wait(3, sleep=no_sleep)
    with pytest.raises(TimeoutError) as error:
        second.wait(3, sleep=no_sleep)
    assert 55 < error.value.args[0] <= 60
    second.wait(4, sleep=no_sleep)  # the limit was raised


@pytest.mark.parametrize("content", [b"", b"no numbers", b"\xff" * 80, np.full(9, np.nan).tobytes(), bytes(2**21)])
def test_a_file_of_something_else_holds_nobody_back(tmp_path, content):
    (tmp_path / "queries").write_bytes(content)
    limit = RateLimit(file=lambda: tmp_path / "queries")
    limit.wait(1, sleep=no_sleep)
    with pytest.raises(TimeoutError):
        limit.wait(1, sleep=no_sleep)


def test_times_of_a_clock_that_was_put_back_count_for_nothing(tmp_path):
    (tmp_path / "queries").write_bytes(np.full(99, time.time() + 86400).tobytes())
    RateLimit(file=lambda: tmp_path / "queries").wait(1, sleep=no_sleep)


@pytest.mark.parametrize("why", ["no folder", "a folder", "no locks", "no cache", "held by another"])
def test_without_a_shared_file_the_limit_is_that_of_the_process(tmp_path, monkeypatch, why):
    path = {"no folder": tmp_path / "gone" / "queries", "a folder": tmp_path, "no cache": None}
    if why == "no locks":
        monkeypatch.setattr(_rate, "fcntl", None)
    monkeypatch.setattr(_rate, "_TRIES", 2)
    holder = _rate._open(tmp_path / "queries") if why == "held by another" else None
    limit = RateLimit(file=lambda: path.get(why, tmp_path / "queries"))
    limit.wait(1, sleep=no_sleep)
    with pytest.raises(TimeoutError):
        limit.wait(1, sleep=no_sleep)
    if holder is not None:
        _rate.os.close(holder)


def test_queries_are_counted_in_the_cache(server):
    astro_photz.fetch(catalogue(), source=SDSSArchive(timeout=5))
    sent = sum(server.count(kind) for kind in ("crossid", "sql", "schema"))
    assert shared_file().stat().st_size == 8 * sent > 0


# One name


def test_every_request_says_who_asks(server, monkeypatch):
    seen, send = [], requests.adapters.HTTPAdapter.send

    def noted(self, request, **options):
        seen.append((request.path_url, request.headers["User-Agent"]))
        return send(self, request, **options)

    monkeypatch.setattr(requests.adapters.HTTPAdapter, "send", noted)
    astro_photz.fetch(catalogue(), source=SDSSArchive(timeout=5))
    assert {path.startswith("/sas/") for path, _ in seen} == {True, False}
    assert all(agent.startswith(f"astro_photz/{astro_photz.__version__} ") for _, agent in seen)
    assert any("astroquery/" in agent for _, agent in seen)


# A large download


def test_an_estimate_counts_what_is_not_in_the_cache():
    fields = [sdss.FieldID(1, 301, 1, number) for number in range(1000)]
    with conf.set_temp("confirm_download_gb", 1.0):
        estimate = DownloadEstimate.of(fields, lambda field_id, band: band == "r" or field_id.field < 500)
    assert (estimate.fields, estimate.frames) == (500, 2000)
    assert estimate.gigabytes == pytest.approx(6.0)
    assert str(estimate) == "about 6 GB: 2000 frames of 500 fields"


def test_a_small_download_is_not_looked_into():
    def kept(field_id, band):
        raise AssertionError

    assert not DownloadEstimate.of([sdss.FieldID(1, 301, 1, 11)], kept).is_large


def test_a_large_download_warns_once_before_it_begins(server):
    archive, frames = SDSSArchive(timeout=5), []

    def confirm(estimate):
        frames.append((estimate.frames, server.count("frame")))

    with conf.set_temp("confirm_download_gb", 0.01):
        with pytest.warns(AstropyUserWarning, match=r"about 0.075 GB: 25 frames of 5 fields.*confirm_download_gb"):
            astro_photz.fetch(catalogue(), source=archive)
        astro_photz.fetch(catalogue(), source=SDSSArchive(timeout=5))  # it is in the cache now
        astro_photz.fetch(catalogue(), source=SDSSArchive(timeout=5, cache=False, confirm=confirm))
    assert frames == [(25, 25)]


def test_parts_of_a_table_add_up(server):
    asked, table = [], catalogue()
    archive = SDSSArchive(timeout=5, confirm=asked.append)
    with conf.set_temp("confirm_download_gb", 0.05):
        for row in range(len(table)):
            astro_photz.fetch(table[row : row + 1], source=archive)
    assert len(asked) == 1
    assert 0.05 < asked[0].gigabytes < 0.075


def test_who_refuses_downloads_nothing(server):
    def confirm(estimate):
        raise ValueError("too much")

    with conf.set_temp("confirm_download_gb", 0.01), pytest.raises(ValueError, match="too much"):
        astro_photz.fetch(catalogue(), source=SDSSArchive(timeout=5, confirm=confirm))
    assert server.count("frame") == 0


@pytest.fixture
def table(tmp_path):
    catalogue().write(tmp_path / "galaxies.ecsv")
    return str(tmp_path / "galaxies.ecsv"), str(tmp_path / "z.ecsv")


def command(table, *options):
    with conf.set_temp("confirm_download_gb", 0.01), warnings.catch_warnings():
        warnings.simplefilter("error")
        return main(["predict", *table, "--quiet", *options])


def on_a_terminal(monkeypatch, answer):
    for name in ("stdin", "stderr"):
        monkeypatch.setattr(getattr(sys, name), "isatty", lambda: True, raising=False)
    stdin = SimpleNamespace(isatty=lambda: True, readline=lambda: answer)
    monkeypatch.setattr(_input.sys, "stdin", stdin)


def test_the_command_without_a_terminal_names_the_number_and_the_option(server, table, capsys):
    assert command(table) == 1
    assert server.count("frame") == 0
    told = capsys.readouterr().err
    assert "about 0.075 GB: 25 frames of 5 fields" in told
    assert "--yes" in told


def test_the_command_downloads_what_it_is_told_to(server, table, capsys):
    assert command(table, "--yes") == 0
    assert server.count("frame") == 25
    assert "about 0.075 GB" in capsys.readouterr().err


@pytest.mark.parametrize(("answer", "code", "frames"), [("y\n", 0, 25), ("n\n", 1, 0), ("\n", 1, 0), ("", 1, 0)])
def test_the_command_asks_on_a_terminal(server, table, monkeypatch, capsys, answer, code, frames):
    on_a_terminal(monkeypatch, answer)
    assert command(table) == code
    assert server.count("frame") == frames
    assert "[y/N]" in capsys.readouterr().err


# Workers of a cluster


def test_sources_go_to_other_processes(tmp_path, monkeypatch):
    frames = write_scene(tmp_path / "frames")
    monkeypatch.chdir(tmp_path)
    folder, stamps = astro_photz.FrameDirectory("frames"), astro_photz.CutoutFile(astro_photz.demo_path())
    archive = SDSSArchive(data_release=16, threads=3)
    pickled = [pickle.dumps(one) for one in (folder, stamps, archive)]
    assert max(map(len, pickled)) < 2000  # the list of a survey's frames does not travel
    monkeypatch.chdir("/")
    there = [pickle.loads(one) for one in pickled]
    assert there[0].field_ids == folder.__class__(frames).field_ids
    assert [one.name for one in there] == ["frames in frames", "demo.h5", "SDSS DR16"]
    assert (there[2].threads, there[2].match_radius) == (3, archive.match_radius)
    expected = astro_photz.fetch(catalogue(), source=astro_photz.FrameDirectory(frames))
    np.testing.assert_array_equal(astro_photz.fetch(catalogue(), source=there[0]).flux, expected.flux)
