# Licensed under a 3-clause BSD style license - see LICENSE
"""
Connection to the servers during one call: attempts, pauses between them, and hosts that are given up.

A request is an answer that is asked for in several attempts. Its longest time is that of ``conf.patience`` and of two
attempts; that of an attempt is in `~astro_photz.cutouts.sources._waiting`.
"""

import random
import threading
import time
import urllib.error
from functools import partial

import requests
import urllib3

from astro_photz import __version__
from astro_photz.config import conf

from ._failures import (
    FAILURES,
    Lost,
    TooLong,
    Unreachable,
    asked_patience,
    explain,
    host_of,
    is_final,
    is_of_the_server,
    is_unreachable,
)
from ._waiting import Waits, watch

__all__ = ["IDENTITY", "Link", "WatchedAdapter", "read_body", "timeouts"]

IDENTITY = f"astro_photz/{__version__}"
"""Name by which the servers know what asks them: it begins the header ``User-Agent``."""

_CONNECT = 3.5  # s for a connection: two packets may be lost
_TO_REACH, _TO_CONNECT = 20.0, 3  # s, and number, of all attempts at a connection that was never there
_HELD_BACK = 3.0  # s that attempts at a connection may take without a word
_LONGEST_PAUSE = 30.0  # s between two attempts, where the server does not say
_JITTER = 0.5  # of a pause, at most: clients that failed together do not come back together
_BLOCK = 2**13
_LARGEST_FILE = 2**26  # a frame has 2 to 13 MB


class Link:
    """Connection to the servers during one call: its waits, and the hosts that are not asked any more."""

    def __init__(self, *, threads=1):
        self.waits = Waits()
        self._hosts = _Hosts()
        self._sent = threading.local()
        self._session = requests.Session()
        self._session.headers["User-Agent"] = f"{IDENTITY} {self._session.headers['User-Agent']}"
        for scheme in ("https://", "http://"):
            self._session.mount(scheme, WatchedAdapter(pool_maxsize=threads))

    def close(self):
        """End all waits, and close the connections."""
        self.waits.stop()
        self._session.close()

    def with_retries(self, action, *, host, forget):
        """
        Repeat an action that may fail for a while; ``forget`` removes the remains of a failed one from the caches.

        Without a connection to the host this call and later ones raise Unreachable. Otherwise the error of the last
        attempt is raised. There are at most ``conf.attempts``; only one if the server refuses for good (404 and the
        like); and from the third on they begin within ``conf.patience``, as does the second if it has to wait. After
        ``conf.failures_in_a_row`` such errors, which are not those of a single file, later calls raise Lost.
        """
        began, attempt = time.monotonic(), 1
        self._sent.host = None
        while True:
            try:
                with self.waits.turn(attempt, conf.attempts):
                    outcome = action()
            except Lost:
                raise
            except FAILURES as error:
                forget()
                if isinstance(error, urllib.error.HTTPError):
                    error.close()  # it is the server's answer too, on an open connection
                pause = self._pause(error, host, attempt, time.monotonic() - began)
                if pause is None:
                    raise
            else:
                if self._sent.host == host:  # and not found in a cache
                    self._hosts.worked(host)
                return outcome
            attempt += 1
            self.waits.sleep(pause)

    def _pause(self, error, host, attempt, took):
        """Seconds until the next attempt at a request, or None if there is none; the host may be lost by that."""
        unreachable = is_unreachable(error)
        never = unreachable and not self._hosts.has_worked(host)  # as without a network, which one wants to know soon
        asked = asked_patience(error)
        pause = min(_backoff(attempt), attempt) if never else max(asked or 0.0, _backoff(attempt))
        late = pause > conf.patience or (attempt > 1 and took + pause > conf.patience)
        # As long as the attempts so far took, another would take.
        late |= never and took * (attempt + 1) / attempt > _TO_REACH
        last = late or is_final(error) or attempt >= (min(_TO_CONNECT, conf.attempts) if never else conf.attempts)
        if last and unreachable:
            raise self._hosts.lose(host, Unreachable(explain(error, host))) from error
        if last:
            if asked and late:
                self.waits.say(host, f"{explain(error, host)}: longer than conf.patience, {conf.patience:g} s")
            if is_of_the_server(error):
                self._hosts.failed(host, error)
            return None
        if not unreachable or took > _HELD_BACK:  # without a network all attempts are over in no time
            when = f"in {pause:.0f} s" if pause >= 1 else "now"
            line = f"{explain(error, host)}; trying again {when} (attempt {attempt + 1} of {conf.attempts})"
            self.waits.say(f"{explain(error, host)} {attempt}", line)
        return pause

    def send(self, action, *, host, limit):
        """
        Ask a server, unless it is lost.

        ``action`` reports the progress of the answer to its argument, a ``Progress``. It is given up as
        `~astro_photz.cutouts.sources._waiting.Waits.run` says; ``limit`` is in seconds.
        """
        self._hosts.check(host)
        self._sent.host = host
        return self.waits.run(action, host=host, limit=limit)

    def get(self, url, *, timeout):
        """Download a file as bytes; the timeout (s) is that of the connection."""
        return self.send(partial(self._get, url, timeout), host=host_of(url), limit=timeout)

    def _get(self, url, timeout, progress):
        # Files come as they are: what compresses them belongs to them.
        options = {"headers": {"Accept-Encoding": "identity"}, "timeout": timeouts(timeout), "stream": True}
        with self._session.get(url, **options) as response:
            response.raise_for_status()
            return read_body(response, progress, largest=_LARGEST_FILE)


def _backoff(attempt):
    """Seconds until the next attempt, where the server does not say: twice as long each time, and never the same."""
    pause = min(conf.retry_wait * 2.0 ** min(attempt - 1, 9), max(_LONGEST_PAUSE, conf.retry_wait))
    return pause * random.uniform(1, 1 + _JITTER)


class _Hosts:
    """Hosts that are not asked any more in this call: without a connection, or after some failures in a row."""

    def __init__(self):
        self._failures = {}  # in a row, by host; 0 for one that has worked
        self._lost = {}
        self._lock = threading.Lock()

    def check(self, host):
        """Raise the error of a host that is lost."""
        lost = self._lost.get(host)
        if lost is not None:
            raise type(lost)(str(lost))

    def has_worked(self, host):
        """Check whether an answer of a host ever came."""
        return host in self._failures

    def worked(self, host):
        """Record that a request came to a good end."""
        with self._lock:
            self._failures[host] = 0

    def failed(self, host, error):
        """Record that the server failed at a request."""
        with self._lock:
            times = self._failures[host] = self._failures.get(host, 0) + 1
        if times >= conf.failures_in_a_row:
            again = f"failure {times} in a row; it" if times > 1 else "it"
            self.lose(host, Lost(f"{explain(error, host)} ({again} is not asked any more)"))

    def lose(self, host, error):
        """Give up a host; return the error that tells why, that of the first loss."""
        with self._lock:
            return self._lost.setdefault(host, error)


def timeouts(timeout):
    """Time limits of the connection and of the answer (s): a server that runs accepts connections quickly."""
    return min(timeout, _CONNECT), timeout


def read_body(response, progress, *, largest):
    """
    Read the answer to a request that was sent with ``stream=True``, bytes.

    Raise a TooLong for more than ``largest`` bytes, before reading them if the server announces them.
    """
    announced = response.headers.get("Content-Length", "")
    if announced.isascii() and announced.isdigit() and int(announced[:20]) > largest:
        raise TooLong(largest)
    blocks = []
    for block in response.iter_content(_BLOCK):
        blocks.append(block)
        progress.add(len(block))
        if progress.n_bytes > largest:
            raise TooLong(largest)
    return b"".join(blocks)


class WatchedAdapter(requests.adapters.HTTPAdapter):
    """
    Adapter whose connections are cut when their request is given up, so that no thread stays behind in a socket.

    Connections by a proxy are not cut.
    """

    def init_poolmanager(self, *args, **options):
        super().init_poolmanager(*args, **options)
        self.poolmanager.pool_classes_by_scheme = {"http": _Pool, "https": _SecurePool}


class _Watched:
    def connect(self):
        super().connect()
        watch(self.sock)

    def request(self, *args, **options):
        if getattr(self, "sock", None) is not None:  # kept open by an earlier request
            watch(self.sock)
        return super().request(*args, **options)


class _Connection(_Watched, urllib3.connection.HTTPConnection):
    pass


class _SecureConnection(_Watched, urllib3.connection.HTTPSConnection):
    pass


class _Pool(urllib3.HTTPConnectionPool):
    ConnectionCls = _Connection


class _SecurePool(urllib3.HTTPSConnectionPool):
    ConnectionCls = _SecureConnection
