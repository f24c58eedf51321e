# Licensed under a 3-clause BSD style license - see LICENSE
"""Frames on the disk: as many as the limit allows, and the longest unused go first."""

import os
import tempfile
import threading

import pytest
from astropy.utils.data import cache_contents

from astro_photz.config import conf
from astro_photz.cutouts.sources import _skyserver
from astro_photz.cutouts.sources._frame_cache import FrameCache, kept_file
from astro_photz.cutouts.sources._link import Link
from astro_photz.cutouts.sources.archive import SDSSArchive
from astro_photz.positions import read_positions
from astro_photz.testing.source_contract import archive_of_scene, catalogue, check_source, scene

ADDRESS = "https://archive.example/frames"
FRAME = bytes(1000)


@pytest.fixture
def server(quick):
    """The archive of the scene, with a cache of its own."""
    with archive_of_scene() as server:
        yield server


def url(number):
    return f"{ADDRESS}/frame-{number}"


def kept(*numbers):
    return [number for number in numbers if kept_file(url(number))]


def age(number, days):
    """As if a frame were used last so many days ago."""
    path = kept_file(url(number))
    time = os.stat(path).st_mtime - 86_400 * days
    os.utime(path, (time, time))


def test_the_longest_unused_go_first(server):
    cache = FrameCache(ADDRESS, 3400)
    for number in range(3):
        cache.keep(url(number), FRAME)
        age(number, 10 - number)
    cache.find(url(0))
    cache.keep(url(3), FRAME)
    assert kept(0, 1, 2, 3) == [0, 2, 3]


def test_without_a_limit_all_stay(server):
    cache = FrameCache(ADDRESS, 0)
    for number in range(5):
        cache.keep(url(number), FRAME)
    assert kept(*range(5)) == [0, 1, 2, 3, 4]


def test_a_frame_larger_than_the_limit_stays_until_the_next(server):
    cache = FrameCache(ADDRESS, 10)
    cache.keep(url(0), FRAME)
    assert kept(0) == [0]
    cache.keep(url(1), FRAME)
    assert kept(0, 1) == [1]


def test_files_of_others_are_neither_counted_nor_removed(server):
    other = FrameCache("https://other.example", 0)
    for number in range(9):
        other.keep(f"https://other.example/{number}", FRAME)
    cache = FrameCache(ADDRESS, 2300)
    cache.keep(url(0), FRAME)
    cache.keep(url(1), FRAME)
    assert kept(0, 1) == [0, 1]
    assert len(cache_contents()) == 11


def test_frames_of_other_processes_count(server):
    one, other = FrameCache(ADDRESS, 4500), FrameCache(ADDRESS, 4500)
    one.keep(url(0), FRAME)
    for number in (1, 2, 3):
        other.keep(url(number), FRAME)
        age(number, 1)
    for number in (4, 5, 6):
        one.keep(url(number), FRAME)
    assert kept(*range(7)) == [0, 4, 5, 6]  # those of the other were last used a day before


def test_threads_that_keep_frames_at_once(server):
    cache = FrameCache(ADDRESS, 5000)
    threads = [threading.Thread(target=cache.keep, args=(url(number), FRAME)) for number in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    cache.keep(url(20), FRAME)
    assert 1 <= len(kept(*range(21))) <= 5


def test_cutouts_are_the_same_with_any_limit(server):
    whole = check_source(SDSSArchive(timeout=5), read_positions(catalogue()))
    sizes = [os.path.getsize(path) for path in cache_contents().values()]
    assert len(sizes) == 5 * len(scene()[0])
    limit = 2.5 * max(sizes)
    with conf.set_temp("cache_gb", limit / 1e9):
        again = check_source(SDSSArchive(timeout=5), read_positions(catalogue()))  # all are there: nothing is kept
        assert len(cache_contents()) == len(sizes)
        for address in list(cache_contents())[:3]:
            FrameCache("http", 0).forget(address)
        few = check_source(SDSSArchive(timeout=5), read_positions(catalogue()))
    left = [os.path.getsize(path) for address, path in cache_contents().items() if "frame" in address]
    assert sum(left) <= limit
    for other in (again, few):
        assert (other.flux.tobytes(), other.flags.tobytes()) == (whole.flux.tobytes(), whole.flags.tobytes())


def test_a_frame_that_went_meanwhile_is_downloaded_again(server, monkeypatch):
    whole = check_source(SDSSArchive(timeout=5), read_positions(catalogue()))
    before = server.count("frame")
    found = set()

    def find(self, address):
        new = address not in found
        found.add(address)
        return "gone.fits.bz2" if new else kept_file(address)

    monkeypatch.setattr(FrameCache, "find", find)
    again = check_source(SDSSArchive(timeout=5), read_positions(catalogue()))
    assert server.count("frame") == 2 * before
    assert again.flux.tobytes() == whole.flux.tobytes()


def test_a_kill_while_a_frame_comes_or_is_read_would_leave_nothing(server, monkeypatch, tmp_path):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    found = []

    def watched(function):
        def watching(*args, **options):
            result = function(*args, **options)
            found.append(list(tmp_path.iterdir()))
            return result

        return watching

    monkeypatch.setattr(Link, "get", watched(Link.get))
    monkeypatch.setattr(_skyserver, "read_frame", watched(_skyserver.read_frame))
    check_source(SDSSArchive(timeout=5, threads=1), read_positions(catalogue()))
    assert len(found) == 2 * server.count("frame") > 0
    assert not any(found)
