# Licensed under a 3-clause BSD style license - see LICENSE
"""Answers on the disk are data: nothing there runs, nothing there is believed that was not written so."""

import json
import os
import pickle
import threading
import time
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
from astropy.config import set_temp_cache
from astropy.utils.exceptions import AstropyUserWarning
from astroquery import cache_conf
from astroquery.query import AstroQuery
from astroquery.sdss import SDSSClass, field_names

from astro_photz.config import conf
from astro_photz.cutouts.sources import _answers
from astro_photz.cutouts.sources._answers import LONGEST, Answers, folder
from astro_photz.cutouts.sources._link import Link
from astro_photz.cutouts.sources._skyserver import SkyServer
from astro_photz.cutouts.sources.archive import SDSSArchive, _Catalogue
from astro_photz.positions import read_positions
from astro_photz.testing.source_contract import archive_of_scene, catalogue

REQUEST = ["POST", "https://sky/dr17", {"radius": 0.1}, None, {"upload": ["x", "ra dec\n1 2"]}]
TEXT = '#Table1\nra,dec\n1.5,2.5\n"é\u2028\n'


@pytest.fixture(autouse=True)
def settings(quick):
    """Frames of the scene are small, and a server has one attempt: what the cache holds counts as none."""
    with conf.set_temp("attempts", 1):
        yield


@pytest.fixture
def server():
    with archive_of_scene() as server:
        yield server


@pytest.fixture
def cache(tmp_path):
    with set_temp_cache(tmp_path):
        yield tmp_path


def identified(table=None, *, cache=True):
    """Fields and E(B-V) of the scene's galaxies, as after a start of Python."""
    field_names._cached_table_fields.clear()
    positions, archive = read_positions(catalogue() if table is None else table), SDSSArchive(timeout=5, cache=cache)
    with closing(Link()) as link, closing(SkyServer(timeout=5, link=link, cache=cache)) as client:
        found = _Catalogue(archive, client, link, positions)
        fillers = found.fillers(64)
    return found.field_ids, fillers, found.ebv.tolist(), found.failed.tolist()


def assert_same(one, other):
    np.testing.assert_equal(one, other)


# One answer


def kept():
    Answers().keep(REQUEST, TEXT)
    (file,) = [path for path in folder().iterdir() if not path.name.startswith(".")]
    return file


def test_an_answer_comes_back(cache):
    assert Answers().find(REQUEST) is None
    assert kept().is_relative_to(cache)
    assert Answers().find(REQUEST) == TEXT
    Answers().forget(REQUEST)
    Answers().forget(REQUEST)
    assert Answers().find(REQUEST) is None


@pytest.mark.parametrize("place", range(5))
def test_another_request_has_another_answer(cache, place):
    kept()
    other = [*REQUEST]
    other[place] = "else"
    assert Answers().find(other) is None


def document(**changes):
    return lambda content: json.dumps(json.loads(content) | changes).encode()


DAMAGES = {
    "empty": lambda content: b"",
    "cut": lambda content: content[:-1],
    "half": lambda content: content[: len(content) // 2],
    "longer": lambda content: content + b" ",
    "twice": lambda content: content * 2,
    "a number changed": lambda content: content.replace(b"1.5,2.5", b"1.5,2.6"),
    "another version": document(format=2),
    "no version": document(format=True),
    "another request": document(request=["GET"]),
    "another hash": document(sha256="0" * 64),
    "no text": document(answer=["1.5"]),
    "deep": document(answer=None, more={"a": [[[[]]]]}),
    "more": document(code="import os"),
    "half a character": document(answer="\ud800"),
    "very deep": lambda content: b"[" * 200_000,
    "deep inside": lambda content: content[: content.index(b'"answer": ') + 10] + b"[" * 200_000,
    "a long number": lambda content: b"9" * 100_000,
    "no JSON": lambda content: b"<html></html>",
    "no text at all": lambda content: bytes(range(256)),
    "a pickle": lambda content: pickle.dumps(Bomb("nowhere")),
    "spread": lambda content: json.dumps(json.loads(content), indent=1).encode(),
}


class Bomb:
    """Makes a file when it is unpickled."""

    def __init__(self, path):
        self.path = str(path)

    def __reduce__(self):
        return Path.touch, (Path(self.path),)


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_file_is_no_answer_and_is_replaced(cache, damage):
    file = kept()
    content = DAMAGES[damage](file.read_bytes())
    assert content != file.read_bytes()
    file.write_bytes(content)
    assert Answers().find(REQUEST) is None
    Answers().keep(REQUEST, TEXT)
    assert Answers().find(REQUEST) == TEXT


def test_any_changed_byte_is_noticed(cache):
    file = kept()
    content = file.read_bytes()
    for place in range(len(content)):
        file.write_bytes(content[:place] + bytes([content[place] ^ 1]) + content[place + 1 :])
        assert Answers().find(REQUEST) is None


def test_a_file_that_is_too_large_is_not_read(cache):
    file = kept()
    with open(file, "r+b") as opened:
        opened.truncate(2**40)
    assert Answers().find(REQUEST) is None
    assert 2 * LONGEST < 2**28


def _link(file, tmp_path):
    target = tmp_path / "elsewhere"
    target.write_bytes(file.read_bytes())
    file.unlink()
    file.symlink_to(target)
    return lambda: json.loads(target.read_bytes())["answer"] == TEXT


def _dangling(file, tmp_path):
    file.unlink()
    file.symlink_to(tmp_path / "nowhere")
    return lambda: not (tmp_path / "nowhere").exists()


def _pipe(file, tmp_path):
    file.unlink()
    os.mkfifo(file)
    return lambda: True


@pytest.mark.skipif(os.name == "nt", reason="links and pipes of POSIX")
@pytest.mark.parametrize("plant", [_link, _dangling, _pipe])
def test_what_is_no_file_is_neither_read_nor_written_through(cache, tmp_path, plant):
    untouched = plant(kept(), tmp_path)
    assert Answers().find(REQUEST) is None
    Answers().keep(REQUEST, "another")
    assert Answers().find(REQUEST) == "another"
    assert untouched()


def test_a_folder_in_its_place(cache):
    file = kept()
    file.unlink()
    file.mkdir()
    assert Answers().find(REQUEST) is None
    Answers().forget(REQUEST)
    with pytest.raises(OSError, match=file.name):
        Answers().keep(REQUEST, TEXT)


@pytest.mark.parametrize(("age", "longest", "found"), [(8, 7, False), (6, 7, True), (400, None, True), (-3, 7, False)])
def test_answers_age(cache, age, longest, found):
    """In days; one from the future is of no known age."""
    file = kept()
    at = time.time() - age * 86_400
    os.utime(file, (at, at))
    with cache_conf.set_temp("cache_timeout", longest and longest * 86_400):
        assert (Answers().find(REQUEST) is not None) == found


def test_several_processes_at_one_answer(cache, monkeypatch):
    """Nobody ever sees a part of an answer."""
    monkeypatch.setattr("astro_photz.utils._parts.sync", lambda path: None, raising=False)
    texts, seen, stop = ["a" * 50_000, "b" * 90_000], set(), threading.Event()

    def write(text):
        while not stop.is_set():
            Answers().keep(REQUEST, text)

    writers = [threading.Thread(target=write, args=(text,)) for text in texts]
    for writer in writers:
        writer.start()
    until = time.monotonic() + 1
    while time.monotonic() < until or (None in seen and len(seen) == 1):
        seen.add(Answers().find(REQUEST))
        if time.monotonic() > until + 20:
            break
    stop.set()
    for writer in writers:
        writer.join()
    assert seen <= {None, *texts}
    assert seen & set(texts)


# A catalogue server


def test_what_was_kept_needs_no_server(server):
    first, asked = identified(), len(server.requests)
    assert asked
    server.fail(None, 500)
    assert_same(identified(), first)
    assert len(server.requests) == asked
    assert not list(server.cache.rglob("*.pickle"))


def test_a_failure_of_the_server_removes_nothing_that_was_kept(server):
    """The lists of columns are needed for every answer from the cache."""
    first = identified()
    server.fail("crossid", 500)
    with pytest.warns(AstropyUserWarning, match="did not answer"):
        identified(catalogue()[:3])
    server.fail(None, 500)
    assert_same(identified(), first)


def test_without_a_cache_nothing_is_read_or_written(server):
    first = identified(cache=False)
    asked = len(server.requests)
    assert not list(server.cache.rglob("*.json"))
    assert not list(server.cache.rglob("*.pickle"))
    assert_same(identified(cache=False), first)
    assert len(server.requests) == 2 * asked
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_answers, "folder", None)
        assert_same(identified(cache=False), first)


@pytest.mark.parametrize("damage", ["half", "a number changed", "very deep", "a pickle", "another version"])
def test_damaged_answers_are_asked_for_again_without_a_word(server, damage):
    first, asked = identified(), len(server.requests)
    files = list(folder().iterdir())
    before = {file: file.read_bytes() for file in files}
    for file in files:
        file.write_bytes(DAMAGES[damage](file.read_bytes()) if damage != "a number changed" else b"{}")
    assert_same(identified(), first)
    assert len(server.requests) == 2 * asked
    assert {file: file.read_bytes() for file in folder().iterdir()} == before


PLANTED = {
    "run": lambda text: text.replace("4207", str(2**32 + 4207)),
    "dec": lambda text: text.replace("2.", "295."),
    "a column": lambda text: text.replace("camcol", "column"),
    "a page": lambda text: "<html></html>",
    "nothing": lambda text: "",
}


@pytest.mark.parametrize("planted", PLANTED)
def test_a_planted_answer_that_cannot_be_is_asked_for_again(server, planted):
    """Though it is in the form of an answer, and there is one attempt only."""
    first, asked = identified(), len(server.requests)
    for file in folder().iterdir():
        document = json.loads(file.read_bytes())
        Answers().keep(document["request"], PLANTED[planted](document["answer"]))
    assert_same(identified(), first)
    assert len(server.requests) > asked
    again = len(server.requests)
    assert_same(identified(), first)
    assert len(server.requests) == again


def test_pickles_of_astroquery_never_run(server, tmp_path, monkeypatch):
    """Neither under the names of its own cache, nor under those that earlier versions of ours had there."""
    asked, request = [], SkyServer._request

    def recorded(self, method, url, **options):
        sent = {name: options.get(name) for name in ("params", "data", "headers", "files", "json")}
        asked.append(AstroQuery(method, url, **sent))
        return request(self, method, url, **options)

    monkeypatch.setattr(SkyServer, "_request", recorded)
    first = identified()
    with closing(Link()) as link, closing(SkyServer(timeout=5, link=link)) as client:
        places = [SDSSClass().cache_location, client.cache_location]
    bombs = [query.request_file(place) for query in asked for place in places]
    for file in bombs:
        file.write_bytes(pickle.dumps(Bomb(tmp_path / "ran")))
    before = [file.read_bytes() for file in bombs]
    for file in folder().iterdir():
        file.write_bytes(before[0])
    assert_same(identified(), first)
    assert not (tmp_path / "ran").exists()
    assert [file.read_bytes() for file in bombs] == before


def test_a_cache_that_cannot_be_written_costs_nothing_else(server, caplog):
    folder().parent.mkdir(parents=True)
    folder().write_text("a file")
    assert not identified()[-1]
    assert "answers cannot be kept in the cache" in caplog.text


def test_a_broken_answer_that_cannot_be_removed_is_passed_by(server, monkeypatch):
    first = identified()
    for file in folder().iterdir():
        document = json.loads(file.read_bytes())
        Answers().keep(document["request"], "nothing")
    monkeypatch.setattr(Answers, "forget", lambda self, request: None)
    monkeypatch.setattr(Answers, "keep", lambda self, request, text: None)
    for _ in range(2):
        assert_same(identified(), first)


@pytest.mark.parametrize("n", range(20))
def test_two_calls_at_one_cache_do_not_disturb_each_other(cache, n):
    """One forgets what the other is reading, and the reverse."""
    request, found = [*REQUEST, n], []

    def work():
        Answers().keep(request, TEXT)
        found.append(Answers().find(request))
        Answers().forget(request)

    workers = [threading.Thread(target=work) for _ in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert len(found) == 4
    assert set(found) <= {None, TEXT}
