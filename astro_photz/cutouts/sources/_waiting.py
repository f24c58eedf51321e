# Licensed under a 3-clause BSD style license - see LICENSE
"""
Wait for servers: announce long waits, and end them when the work is stopped.

A thread that hangs in a socket, or in the system's look-up of a name, cannot be stopped. So calls that may block run in
threads of their own. Nobody waits for those once the work is stopped, nor when Python ends.
"""

import logging
import threading
import time
from concurrent.futures import FIRST_COMPLETED, CancelledError, Future, InvalidStateError, wait
from contextlib import contextmanager, suppress

__all__ = ["Announcer", "Progress", "Waits"]

_LOG = logging.getLogger("astro_photz")
_QUIET = 4.0  # s without a sign of life before a wait is announced; longer than it takes to connect
_SLOW = 30.0  # s before a transfer is announced, though bytes come
_AGAIN = 10.0  # s before the same line is repeated; twice as long each time
_SELDOM = 120.0  # s, the longest of these


class Announcer:
    """Write lines for the user, and suppress repetitions, also by several threads."""

    def __init__(self):
        self._said = {}
        self._lock = threading.Lock()

    def say(self, key, line):
        """Write a line, unless one with the same key was written a while ago."""
        now = time.monotonic()
        with self._lock:
            before, gap = self._said.get(key, (-float("inf"), 0.0))
            if now - before < gap:
                return
            on_and_on = now - before < 2 * gap
            self._said[key] = now, min(2 * gap, _SELDOM) if on_and_on else _AGAIN
        _LOG.warning(line)


# One for the process: all threads write to the same screen.
_ANNOUNCER = Announcer()


class Progress:
    """Progress of an answer."""

    def __init__(self):
        self.began = self.heard = time.monotonic()
        self.n_bytes = 0

    def add(self, n_bytes):
        """Record that bytes came."""
        self.n_bytes += n_bytes
        self.heard = time.monotonic()

    def due(self):
        """Seconds until the wait is long enough to be announced, float."""
        return min(self.heard + _QUIET, self.began + _SLOW) - time.monotonic()

    def words(self):
        """Describe the time that it takes and the bytes so far, str."""
        came = f", {self.n_bytes / 1e6:.1f} MB have come" if self.n_bytes else ""
        return f"since {time.monotonic() - self.began:.0f} s{came}"


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
        """Write a line to the user, unless one with the same key was written a while ago."""
        _ANNOUNCER.say(key, line)

    def sleep(self, seconds):
        """Wait for some seconds, or until the work is stopped."""
        if wait([self._stopped], timeout=seconds).done:
            raise CancelledError

    def run(self, action, *, host, limit):
        """
        Run something that may block, and wait for it.

        ``action`` takes a `Progress`, asks the host, and gives up after ``limit`` seconds. After a stop, its result is
        lost.
        """
        progress, outcome = Progress(), Future()
        threading.Thread(target=_settle, args=(outcome, action, progress), name=f"wait-{host}", daemon=True).start()
        pause = progress.due()
        while True:
            wait([outcome, self._stopped], timeout=pause, return_when=FIRST_COMPLETED)
            if outcome.done():
                return outcome.result()
            if self._stopped.done():
                raise CancelledError
            pause = progress.due()
            if pause <= 0:
                turn = getattr(self._turn, "words", "")
                line = f"waiting for {host} {progress.words()}; it is given up after {limit:g} s without a sign{turn}"
                self.say((host, "waits"), line)
                pause = 1.0


def _settle(outcome, action, progress):
    try:
        outcome.set_result(action(progress))
    except BaseException as error:
        outcome.set_exception(error)
