# Licensed under a 3-clause BSD style license - see LICENSE
"""
Wait for servers: announce long waits, give up those that are too long, and end all when the work is stopped.

A thread that hangs in a socket, or in the system's look-up of a name, cannot be stopped. So calls that may block run in
threads of their own. Nobody waits for those once they are given up or the work is stopped, nor when Python ends; their
connections are cut.
"""

import logging
import queue
import socket
import threading
import time
from collections import deque
from concurrent.futures import FIRST_COMPLETED, CancelledError, Future, InvalidStateError, wait
from contextlib import contextmanager, suppress

from astro_photz.config import conf
from astro_photz.utils._blas import one_blas_thread

from ._failures import Overdue

__all__ = ["Announcer", "Progress", "Waits", "in_threads", "watch"]

_LOG = logging.getLogger("astro_photz")
_QUIET = 4.0  # s without a sign of life before a wait is announced; longer than it takes to connect
_SLOW = 8.0  # s before a transfer is announced, though bytes come, or the work of others on a result
_AGAIN = 10.0  # s before the same line is repeated; twice as long each time
_SELDOM = 120.0  # s, the longest of these
_LONGEST = 10  # time limits without a sign that an answer may take in all
_SLACK = 0.5  # s by which the limits of the sockets, whose messages say more, come first


class Announcer:
    """Write lines for the user, and suppress repetitions, also by several threads."""

    def __init__(self):
        self._said = {}
        self._latest = -float("inf")
        self._lock = threading.Lock()

    def say(self, key, line, *, silence=0.0):
        """Write a line, unless one of the same key was written a while ago, or any within ``silence`` seconds."""
        now = time.monotonic()
        with self._lock:
            if now - self._latest < silence:
                return
            before, gap = self._said.get(key, (-float("inf"), 0.0))
            if now - before < gap:
                return
            on_and_on = now - before < 2 * gap
            self._said[key] = now, min(2 * gap, _SELDOM) if on_and_on else _AGAIN
            self._latest = now
        _LOG.warning(line)


# One for the process: all threads write to the same screen.
_ANNOUNCER = Announcer()


class Progress:
    """
    Progress of an answer, which is given up after ``limit`` seconds without a sign.

    It is given up too where, after these seconds, fewer bytes came than ``conf.minimum_rate`` asks for, and after ten
    times as long in any case: a server that sends a byte a second is no better than one that sends nothing.
    """

    def __init__(self, limit):
        self.limit = limit
        self.began = self.heard = time.monotonic()
        self.n_bytes = 0
        self.connection = None

    def add(self, n_bytes):
        """Record that bytes came."""
        self.n_bytes += n_bytes
        self.heard = time.monotonic()

    def due(self):
        """Seconds until the wait is long enough to be announced, float."""
        return min(self.heard + _QUIET, self.began + _SLOW) - time.monotonic()

    def left(self):
        """Seconds until the answer is given up, float."""
        slowest = self.limit + self.n_bytes / (1000 * conf.minimum_rate)
        ends = self.heard + self.limit, self.began + slowest, self.began + _LONGEST * self.limit
        return min(ends) + _SLACK - time.monotonic()

    def words(self):
        """Describe the time that it takes and the bytes so far, str."""
        return f"since {self._seconds():.0f} s" + (f", {self._amount()} have come" if self.n_bytes else "")

    def give_up(self):
        """Cut the connection; return the error that tells why, an Overdue."""
        self.cut()
        came = f"only {self._amount()} of its answer" if self.n_bytes else "no whole answer"
        return Overdue(f"{came} came within {round(self._seconds(), int(self._seconds() < 10)):g} s")

    def cut(self):
        """Cut the connection, by which a thread that waits for it wakes up."""
        if isinstance(self.connection, socket.socket):
            with suppress(OSError):
                socket.socket.shutdown(self.connection, socket.SHUT_RDWR)  # that of TLS would say farewell first

    def _seconds(self):
        return time.monotonic() - self.began

    def _amount(self):
        return f"{self.n_bytes / 1e6:.1f} MB" if self.n_bytes >= 1e5 else f"{self.n_bytes / 1e3:.0f} kB"


class Waits:
    """Waits of one call, which can be stopped together."""

    def __init__(self):
        self._stopped = Future()
        self._turn = threading.local()  # which attempt at a request each thread makes

    def stop(self):
        """End all waits, those of other threads too, with a `~concurrent.futures.CancelledError`."""
        with suppress(InvalidStateError):  # stopped already
            self._stopped.set_result(None)

    @contextmanager
    def turn(self, attempt, attempts):
        """Mention in the announcements of this context the number of the attempt."""
        self._turn.words = f" (attempt {attempt} of {attempts})"
        try:
            yield
        finally:
            self._turn.words = ""

    def say(self, key, line):
        """Write a line to the user, unless one with the same key was written a while ago, or the work is stopped."""
        if not self._stopped.done():  # connections that break by the stop are no news
            _ANNOUNCER.say(key, line)

    def sleep(self, seconds):
        """Wait for some seconds, or until the work is stopped."""
        if wait([self._stopped], timeout=seconds).done:
            raise CancelledError

    def run(self, action, *, host, limit):
        """
        Run something that may block, and wait for it.

        ``action`` takes a `Progress`, asks the host, and gives up after ``limit`` seconds without a sign. Otherwise it
        is given up, as `Progress` says, by an Overdue. After that, and after a stop, its result is lost.
        """
        progress, outcome = Progress(limit), Future()
        threading.Thread(target=_settle, args=(outcome, action, progress), name=f"wait-{host}", daemon=True).start()
        pause = progress.due()
        while True:
            pause = max(0.0, min(pause, progress.left()))
            wait([outcome, self._stopped], timeout=pause, return_when=FIRST_COMPLETED)
            if outcome.done():
                return outcome.result()
            if self._stopped.done():
                progress.cut()
                raise CancelledError
            if progress.left() <= 0:
                raise progress.give_up()
            pause = progress.due()
            if pause <= 0:
                turn = getattr(self._turn, "words", "")
                line = f"waiting for {host} {progress.words()}; it is given up after {limit:g} s without a sign{turn}"
                self.say((host, "waits"), line)
                pause = 1.0


_CURRENT = threading.local()


def watch(connection):
    """Name the connection (socket) that the action at work in this thread waits for."""
    progress = getattr(_CURRENT, "progress", None)
    if progress is not None:
        progress.connection = connection


def _settle(outcome, action, progress):
    _CURRENT.progress = progress
    try:
        outcome.set_result(action(progress))
    except BaseException as error:
        outcome.set_exception(error)


def in_threads(function, items, threads, *, doing):
    """
    Map a function over items in threads, ahead of the caller by no more items than threads: results can be large.

    A caller who stops early, for instance by an interrupt, does not wait for running calls, nor does Python when it
    ends. A result that takes long is announced: ``doing`` makes a line of an item and the number of those before it.
    """
    with one_blas_thread():
        yield from _mapped(function, items, threads, doing)


def _mapped(function, items, threads, doing):
    if threads == 1:
        yield from map(function, items)
        return
    tasks, ahead = queue.SimpleQueue(), deque()
    for _ in range(threads):
        threading.Thread(target=_work, args=(function, tasks), name="fields", daemon=True).start()
    try:
        for done, item in enumerate(items):
            ahead.append((Future(), item, done))
            tasks.put(ahead[-1][:2])
            if len(ahead) > threads:
                yield _result(*ahead.popleft(), doing)
        while ahead:
            yield _result(*ahead.popleft(), doing)
    finally:
        for future, *_ in ahead:
            future.cancel()
        for _ in range(threads):
            tasks.put(None)


def _work(function, tasks):
    for future, item in iter(tasks.get, None):
        if future.set_running_or_notify_cancel():
            try:
                future.set_result(function(item))
            except BaseException as error:
                future.set_exception(error)


def _result(future, item, done, doing):
    while not wait([future], timeout=_SLOW).done:
        _ANNOUNCER.say("works", doing(item, done), silence=_SLOW)
    return future.result()
