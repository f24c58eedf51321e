# Licensed under a 3-clause BSD style license - see LICENSE
"""Time at the archive is bounded: slow answers are given up, pauses grow, and a server that fails is let alone."""

import os
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import warnings
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import requests

from astro_photz.config import conf
from astro_photz.cutouts.sources import _link as link_module
from astro_photz.cutouts.sources import _waiting
from astro_photz.cutouts.sources import archive as archive_module
from astro_photz.cutouts.sources._failures import FAILURES, Lost, PartAnswer, TooLong, asked_patience, explain
from astro_photz.cutouts.sources._link import Link
from astro_photz.cutouts.sources._waiting import Announcer, Progress, Waits, in_threads
from astro_photz.cutouts.sources.archive import SDSSArchive
from astro_photz.flags import PhotozFlag
from astro_photz.positions import read_positions
from astro_photz.testing.source_contract import FIELD, catalogue, check_source


@pytest.fixture(autouse=True)
def settings(quick, monkeypatch):
    """Frames of the scene are small, its server needs no patience, and nothing was said before."""
    monkeypatch.setattr(_waiting, "_ANNOUNCER", Announcer())
    with conf.set_temp("attempts", 2):
        yield


HEAD = b"HTTP/1.1 200 OK\r\nContent-Length: 5000000\r\n\r\n"
STALLS = {
    "nothing": [],
    "half a head": [HEAD[:20]],
    "a head": [HEAD],
    "half a body": [HEAD, b"x" * 2_500_000],
    "a dripping head": [HEAD[i : i + 1] for i in range(len(HEAD))],
    "a dripping body": [HEAD, *[b"x"] * 100],
}


@contextmanager
def serving(parts, *, pause=0.1):
    """A server that sends parts of an answer, with pauses between, and then falls silent."""
    over = threading.Event()

    def answer(client):
        with client:
            try:
                client.recv(10_000)
                for part in parts:
                    client.sendall(part)
                    if over.wait(pause):
                        return
                while client.recv(1):
                    pass
            except OSError:
                pass

    def accept():
        while not over.is_set():
            try:
                client = listener.accept()[0]
            except OSError:
                return
            threading.Thread(target=answer, args=(client,), daemon=True).start()

    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=accept, daemon=True).start()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}/frame"
        over.set()


def waiting_threads():
    return [thread for thread in threading.enumerate() if thread.name.startswith("wait-127.0.0.1")]


# One attempt


@pytest.mark.parametrize("how", STALLS)
def test_an_answer_that_never_ends_is_given_up(how):
    link = Link()
    with serving(STALLS[how], pause=0.3) as url:  # what drips does so for longer than ten seconds
        began = time.monotonic()
        with pytest.raises(FAILURES) as caught:
            link.get(url, timeout=0.5)
        assert time.monotonic() - began < 10
        words = explain(caught.value, "sky")
        assert words.startswith("sky")
        assert "within 0.5 s" in words or "in time" in words or "came within 1" in words
        deadline = time.monotonic() + 15
        while waiting_threads() and time.monotonic() < deadline:
            time.sleep(0.02)
        assert not waiting_threads()  # its connection is cut


def test_a_slow_answer_that_keeps_coming_is_waited_for():
    body = [b"y" * 9000] * 8
    head = f"HTTP/1.1 200 OK\r\nContent-Length: {sum(map(len, body))}\r\n\r\n".encode()
    with serving([head, *body], pause=0.4) as url:
        assert Link().get(url, timeout=2.0) == b"".join(body)


@pytest.mark.parametrize(
    ("at", "n_bytes", "given_up"),
    [(59, 0, False), (61, 0, True), (61, 3000, True), (100, 5_000_000, False), (700, 5_000_000, True)],
)
def test_limits_of_an_answer(monkeypatch, at, n_bytes, given_up):
    """By default: a minute of silence, 10 kB/s, ten minutes."""
    now = [0.0]
    monkeypatch.setattr(_waiting, "time", SimpleNamespace(monotonic=lambda: now[0]))
    progress = Progress(60.0)
    if n_bytes:
        now[0] = at - 1.0
        progress.add(n_bytes)
    now[0] = at
    assert (progress.left() <= 0) == given_up


@pytest.mark.parametrize("length", ["10000000000", "9" * 400, None])
def test_an_answer_that_is_too_long_is_refused(monkeypatch, length):
    monkeypatch.setattr(link_module, "_LARGEST_FILE", 10**6)
    header = f"Content-Length: {length}\r\n" if length else "Connection: close\r\n"
    body = [b"x" * 100_000] * 40
    with (
        serving([f"HTTP/1.1 200 OK\r\n{header}\r\n".encode(), *body], pause=0.0) as url,
        pytest.raises(TooLong, match="longer than 1 MB"),
    ):
        Link().get(url, timeout=5)


def test_a_look_up_of_a_name_that_hangs_is_given_up(monkeypatch):
    over = threading.Event()
    monkeypatch.setattr(socket, "getaddrinfo", lambda *arguments, **options: over.wait(30))
    began = time.monotonic()
    with pytest.raises(TimeoutError, match=r"no whole answer came within [\d.]{1,3} s"):
        Link().get("http://sky.example/frame", timeout=0.4)
    assert time.monotonic() - began < 15
    over.set()


def test_a_dripping_server_is_spoken_of_within_ten_seconds(spoken, monkeypatch):
    assert _waiting._SLOW + 1 < 10
    monkeypatch.setattr(_waiting, "_SLOW", 0.4)
    body = [b"y" * 9000] * 8
    head = f"HTTP/1.1 200 OK\r\nContent-Length: {sum(map(len, body))}\r\n\r\n".encode()
    with serving([head, *body], pause=0.2) as url:
        Link().get(url, timeout=2.0)
    assert "waiting for 127.0.0.1" in spoken()[0]


def test_results_that_take_long_are_spoken_of(spoken, monkeypatch):
    monkeypatch.setattr(_waiting, "_SLOW", 0.2)
    results = in_threads(lambda k: time.sleep(0.3) or k, range(3), 2, doing=lambda item, done: f"{done} before {item}")
    assert list(results) == [0, 1, 2]
    assert spoken()[0] == "0 before 0"


# Attempts and pauses


def refused(after=None, status=503):
    def action():
        headers = {} if after is None else {"Retry-After": after}
        raise urllib.error.HTTPError("http://sky", status, "busy", headers, None)

    return action


def pauses_of(action, monkeypatch, **settings):
    """Pauses between the attempts at an action that fails, in a time that passes only in them."""
    slept = []
    monkeypatch.setattr(Waits, "sleep", lambda self, seconds: slept.append(seconds))
    monkeypatch.setattr(link_module, "time", SimpleNamespace(monotonic=lambda: sum(slept)))
    with ExitStack() as stack:
        for name, value in ({"retry_wait": 2.0, "attempts": 8} | settings).items():
            stack.enter_context(conf.set_temp(name, value))
        stack.enter_context(pytest.raises(FAILURES))
        Link().with_retries(action, host="sky", forget=lambda: None)
    return slept


def test_pauses_double_up_to_a_limit_and_are_not_the_same(monkeypatch):
    all_pauses = [pauses_of(refused(), monkeypatch, patience=1e6, attempts=12) for _ in range(5)]
    least = np.minimum(2.0 * 2.0 ** np.arange(11), 30)
    assert np.all((all_pauses >= least) & (all_pauses <= 1.5 * least))
    assert np.ptp(all_pauses, axis=0).all()


def test_all_attempts_begin_within_the_patience(monkeypatch):
    slept = pauses_of(refused(), monkeypatch)
    assert 4 <= len(slept) <= 7
    assert 45 < sum(slept) <= conf.patience


@pytest.mark.parametrize("attempts", [1, 2, 40])
def test_attempts_are_as_many_as_are_set(monkeypatch, attempts):
    slept = pauses_of(refused(), monkeypatch, attempts=attempts, patience=1e9)
    assert len(slept) == attempts - 1


def test_the_second_attempt_is_made_however_long_the_first_took(monkeypatch):
    """A time limit that a user has raised must not mean that there is only one."""
    slept, now = [], [0.0]
    monkeypatch.setattr(Waits, "sleep", lambda self, seconds: slept.append(seconds))
    monkeypatch.setattr(link_module, "time", SimpleNamespace(monotonic=lambda: now[0]))

    def action():
        now[0] += 600.0
        raise TimeoutError

    with pytest.raises(TimeoutError), conf.set_temp("attempts", 8):
        Link().with_retries(action, host="sky", forget=lambda: None)
    assert len(slept) == 1


WAITS_ASKED = {
    "7": 7.0,
    " 7 ": 7.0,
    "1.5": 1.5,
    "0": 0.0,
    "120": 120.0,
    "Wed, 21 Oct 2015 07:28:00 -0000": 0.0,
    "": None,
    "soon": None,
    "-5": None,
    "²": None,
    "٣": None,
    "1e3": None,
    "nan": None,
    "inf": None,
    "5, 7": None,
    "Wed, 21 Oct 99999 07:28:00 GMT": None,
    "Wed, 99 Foo 2030": None,
    "9" * 400: np.inf,
}


@pytest.mark.parametrize("word", WAITS_ASKED)
def test_every_form_of_a_wait_that_is_asked_for(word):
    answer = requests.Response()
    answer.status_code, answer.url = 503, "https://sky/frame"
    answer.headers["Retry-After"] = word
    assert asked_patience(requests.HTTPError(response=answer)) == WAITS_ASKED[word]
    assert explain(requests.HTTPError(response=answer)).startswith("sky answered 503 Service Unavailable")


@pytest.mark.parametrize("word", [word for word, seconds in WAITS_ASKED.items() if seconds is None])
def test_a_wait_that_is_no_number_is_an_ordinary_pause(monkeypatch, word):
    assert 2 <= pauses_of(refused(word), monkeypatch)[0] <= 3


def test_a_wait_that_is_asked_for_is_kept_to(monkeypatch):
    assert pauses_of(refused("50"), monkeypatch) == [50, 50]  # a third would end after two minutes
    assert pauses_of(refused("100", 429), monkeypatch) == [100]
    date = format_datetime(datetime.now(UTC) + timedelta(seconds=100), usegmt=True)
    assert pauses_of(refused(date), monkeypatch)[0] == pytest.approx(98, abs=4)
    past = format_datetime(datetime.now(UTC) - timedelta(hours=1), usegmt=True)
    assert 2 <= pauses_of(refused(past), monkeypatch)[0] <= 3


@pytest.mark.parametrize("word", ["121", "86400", "9" * 400])
def test_a_wait_that_is_too_long_is_told_and_not_kept_to(monkeypatch, spoken, word):
    assert pauses_of(refused(word), monkeypatch) == []
    assert "longer than conf.patience, 120 s" in spoken()[0]


def test_a_connection_that_is_lost_on_the_way_is_tried_longer_than_one_that_never_was(monkeypatch):
    def refuse():
        raise ConnectionRefusedError(111, "Connection refused")

    assert pauses_of(refuse, monkeypatch) == [1, 2]
    monkeypatch.setattr(link_module._Hosts, "has_worked", lambda self, host: True)
    assert len(pauses_of(refuse, monkeypatch)) > 3


# Servers that fail


class Server:
    """Answers in turn, as ``outcomes`` say, by a link; counts how often it was asked."""

    def __init__(self, *outcomes):
        self.link, self.asked, self.outcomes = Link(), 0, list(outcomes)

    def ask(self, *, kept=None, host="sky"):
        def action():
            return kept or self.link.send(self._answer, host=host, limit=5)

        return self.link.with_retries(action, host=host, forget=lambda: None)

    def _answer(self, progress):
        self.asked += 1
        outcome = self.outcomes.pop(0) if self.outcomes else "answer"
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    def fate(self, n):
        """Names of the errors of n requests; an empty one for a success."""
        names = []
        for _ in range(n):
            try:
                self.ask()
                names.append("")
            except FAILURES as error:
                names.append(type(error).__name__)
        return names


def status(code):
    return urllib.error.HTTPError("http://sky", code, "", {}, None)


BAD = [status(500), status(403), requests.ReadTimeout(), ConnectionResetError(), TooLong(1), status(429)]


@pytest.mark.parametrize("error", BAD, ids=repr)
def test_a_server_is_let_alone_after_some_failures_in_a_row(error):
    with conf.set_temp("attempts", 1):
        server = Server(*[error] * 20)
        assert server.fate(10)[3:] == ["Lost"] * 7
        assert server.asked == 3
        with pytest.raises(Lost, match=r"sky.*failure 3 in a row; it is not asked any more"):
            server.ask()
        assert server.ask(kept="from a cache") == "from a cache"


def test_a_success_begins_the_count_anew():
    with conf.set_temp("attempts", 1):
        server = Server(*([status(500)] * 2 + ["answer"]) * 5)
        assert server.fate(15) == ["HTTPError", "HTTPError", ""] * 5
        server = Server(*[status(500)] * 9)
        for _ in range(2):
            assert server.fate(1) == ["HTTPError"]
            assert server.ask(kept="from a cache")  # which says nothing of the server
        assert server.fate(2) == ["HTTPError", "Lost"]


@pytest.mark.parametrize("error", [status(404), status(410), PartAnswer("a line"), OSError(28, "full")], ids=repr)
def test_what_is_no_fault_of_the_server_does_not_count(error):
    with conf.set_temp("attempts", 1):
        assert "Lost" not in Server(*[error] * 10).fate(10)


def test_another_server_is_another_matter():
    with conf.set_temp("attempts", 1), conf.set_temp("failures_in_a_row", 1):
        server = Server(status(500))
        assert server.fate(2) == ["HTTPError", "Lost"]
        assert server.ask(host="another") == "answer"


# The archive


def fetch(**options):
    return check_source(SDSSArchive(timeout=5, **options), read_positions(catalogue()))


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("mode", [500, "html", "reset", "stall"])
def test_the_rest_is_left_and_told_of_and_a_later_call_takes_it_up(server, mode, threads):
    """What was had before keeps its images."""
    server.fail("frame", mode, path_contains=f"-{FIELD.field + 1:04d}.fits")
    options = {"timeout": 2.0} if mode == "stall" else {}
    with warnings.catch_warnings(record=True) as told, conf.set_temp("failures_in_a_row", 1):
        warnings.simplefilter("always")
        cutouts = check_source(SDSSArchive(**{"timeout": 5, "threads": threads} | options), read_positions(catalogue()))
    said = [str(one.message) for one in told]
    lost = cutouts.flags == PhotozFlag.NO_IMAGE
    assert len(said) <= 2
    assert lost.any()
    if len(said) == 2:  # other frames were left after that
        assert "left without a whole image: a later call takes them up" in said[-1]
        assert "is not asked any more" in said[-1]
    server.mend()
    again = fetch()
    assert not (again.flags & PhotozFlag.NO_IMAGE).any()
    np.testing.assert_array_equal(cutouts.flux[cutouts.flags == 0], again.flux[cutouts.flags == 0])


def test_frames_that_are_left_are_not_asked_for(server):
    server.fail("frame", 500)
    with warnings.catch_warnings(record=True) as told, conf.set_temp("failures_in_a_row", 1):
        warnings.simplefilter("always")
        cutouts = fetch(threads=1)
    assert server.count("frame") == conf.attempts
    said = [str(one.message) for one in told]
    assert "frame-r-004207-3-0110.fits.bz2 could not be had" in said[0]
    assert "galaxies in 1 field left without a whole image" in said[1]
    assert set(cutouts.flags) == {PhotozFlag.NO_IMAGE, PhotozFlag.NO_MATCH, PhotozFlag.NO_POSITION}


def test_a_catalogue_that_fails_is_let_alone(server, monkeypatch):
    monkeypatch.setattr(archive_module, "_BATCH", 2)
    server.fail("crossid", 500)
    with warnings.catch_warnings(record=True) as told, conf.set_temp("failures_in_a_row", 2):
        warnings.simplefilter("always")
        cutouts = fetch()
    assert server.count("crossid") == 2 * conf.attempts
    said = [str(one.message) for one in told]
    assert len(said) == 3
    assert "galaxies are left for a later call, without an answer of the SDSS catalogue: 127.0.0.1" in said[-1]
    assert "failure 2 in a row" in said[-1]
    assert set(cutouts.flags) == {PhotozFlag.NO_IMAGE, PhotozFlag.NO_POSITION}
    server.mend()
    assert np.isfinite(fetch().flux).any()


@pytest.mark.parametrize("options", [{"timeout": 0}, {"timeout": -1}, {"timeout": np.nan}, {"threads": 0}])
def test_options_that_mean_nothing(options):
    with pytest.raises(ValueError, match=next(iter(options))):
        SDSSArchive(**options)


# Python ends


_STALLED = """
import socket, sys, threading, time
import numpy as np
from astropy.table import Table
from astroquery.sdss import conf
from astro_photz.cutouts.sources.archive import SDSSArchive
from astro_photz.positions import read_positions
server = socket.create_server(("127.0.0.1", 0))
conf.sas_baseurl = conf.skyserver_baseurl = f"http://127.0.0.1:{server.getsockname()[1]}"
def tell():
    held = server.accept()  # closed, if nobody held it
    print("ready", flush=True)
    time.sleep(100)
threading.Thread(target=tell, daemon=True).start()
table = Table({"ra": [100.0, 101.0, np.nan], "dec": 3 * [0.0], "field": [11, 12, 13]})
table["run"], table["camcol"], table["ebv"] = 4207, 3, 0.05
"""
_IN_OTHER_CODE = """
batches = SDSSArchive(timeout=60).batches(read_positions(table))
next(batches)
threading.Thread(target=next, args=(batches,), daemon=True).start()
time.sleep(60)
"""
_COMMAND = """
from astro_photz.cli import entry
table.write("hosts.csv")
sys.argv = ["astro-photz", "fetch", "hosts.csv", "stamps.h5"]
sys.exit(entry())
"""


@contextmanager
def stalled(then, folder):
    """A process that waits for frames of a server that has accepted its connection and says nothing."""
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parents[2]), "OMP_NUM_THREADS": "1"}
    with subprocess.Popen(
        [sys.executable, "-c", _STALLED + then],
        env=environment,
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            assert process.stdout.readline() == "ready\n", process.stderr.read()
            yield process
        finally:
            process.kill()


def test_python_ends_though_batches_hang_that_nobody_closes(tmp_path):
    """As where the interrupt hits other code than that of the batches: their threads are not waited for."""
    with stalled(_IN_OTHER_CODE, tmp_path) as process:
        process.send_signal(signal.SIGINT)
        said = process.communicate(timeout=40)[1]  # an attempt alone takes 60
        assert said.strip().endswith("KeyboardInterrupt")


@pytest.mark.parametrize(("signum", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_the_command_ends_though_frames_hang(tmp_path, signum, code):
    with stalled(_COMMAND, tmp_path) as process:
        process.send_signal(signum)
        said = process.communicate(timeout=40)[1]
        assert process.returncode == code
        *before, last = said.splitlines()
        assert last.startswith("astro-photz: interrupted" if code == 130 else "astro-photz: terminated")
        assert all("waiting" in line or "trying again" in line for line in before)
    assert not (tmp_path / "stamps.h5").exists()


def test_batches_of_a_caller_who_leaves_are_over(server):
    server.fail("frame", "hang")
    batches = SDSSArchive(timeout=60, threads=2).batches(read_positions(catalogue()))
    for batch in batches:
        if (batch.cutouts.flags == PhotozFlag.NO_MATCH).all():
            break
    batches.close()
    assert list(batches) == []
