# Licensed under a 3-clause BSD style license - see LICENSE
"""
Clients of the survey's servers: rate limit, retries, caches.
"""

import pickle
import threading
import time
import urllib.error
from collections import deque
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from urllib.parse import urlsplit
from urllib.request import url2pathname

import requests
from astropy.utils.data import clear_download_cache, download_file, import_file_to_cache
from astroquery.exceptions import RemoteServiceError
from astroquery.query import AstroQuery
from astroquery.sdss import SDSSClass

from astro_photz.config import conf
from astro_photz.cutouts.frames import FrameError, read_frame

from ._failures import FAILURES, Unreachable, asked_patience, explain, host_of, is_final, is_unreachable
from ._waiting import Waits

__all__ = ["Link", "RateLimit", "SkyServer", "download_frame", "kept_file"]

_MINUTE = 60
_PATIENCE = 120  # s that a server may ask for
_CONNECT = 3.5  # s for a connection: two packets may be lost
_TO_REACH = 20.0  # s for all attempts at a connection
_HELD_BACK = 3.0  # s that the limit of queries may hold back, or attempts at a connection take, without a word
_BLOCK = 2**16


class RateLimit:
    """Limit of the number of passes in any minute; a test may set its length (s)."""

    def __init__(self, *, minute=_MINUTE):
        self._minute = minute
        self._passes = deque()
        self._lock = threading.Lock()

    def wait(self, per_minute, *, sleep=time.sleep):
        """Wait until there is room for another pass."""
        with self._lock:
            while len(self._passes) >= per_minute:
                sleep(max(0.0, self._passes[0] + self._minute - time.monotonic()))
                self._passes.popleft()
            self._passes.append(time.monotonic())


# One for the process: the server counts the queries of all our objects together.
_QUERIES = RateLimit()


class Link:
    """Connection to the servers during one call: its waits, and the hosts that cannot be reached."""

    def __init__(self, *, threads=1):
        self.waits = Waits()
        self._lost = {}
        self._session = requests.Session()
        for scheme in ("https://", "http://"):
            self._session.mount(scheme, requests.adapters.HTTPAdapter(pool_maxsize=threads))

    def close(self):
        """End all waits, and close the connections."""
        self.waits.stop()
        self._session.close()

    def with_retries(self, action, *, host, forget):
        """
        Repeat an action that may fail for a while; ``forget`` removes the remains of a failed one from the caches.

        Without a connection to the host this call and later ones raise Unreachable. Otherwise the error of the last of
        ``conf.attempts`` is raised; there is only one attempt if the server refuses for good (404 and the like) or asks
        for a wait of more than two minutes.
        """
        began = time.monotonic()
        for attempt in range(1, conf.attempts + 1):
            try:
                with self.waits.turn(attempt, conf.attempts):
                    return action()
            except Unreachable:
                raise
            except FAILURES as error:
                forget()
                if isinstance(error, urllib.error.HTTPError):
                    error.close()  # it is the server's answer too, on an open connection
                unreachable, last, took = is_unreachable(error), attempt == conf.attempts, time.monotonic() - began
                # As long as the attempts so far took, another would take.
                last |= unreachable and took * (attempt + 1) / attempt > _TO_REACH
                if unreachable and last:
                    self._lost[host] = explain(error, host)
                    raise Unreachable(self._lost[host]) from error
                delay = _delay(error, attempt)
                if last or is_final(error) or delay > _PATIENCE:
                    raise
                if not unreachable or took > _HELD_BACK:  # without a network all attempts are over in no time
                    self._say_again(host, error, delay, attempt + 1)
            self.waits.sleep(delay)

    def _say_again(self, host, error, delay, attempt):
        when = f"in {delay:.0f} s" if delay >= 1 else "now"
        line = f"{explain(error, host)}; trying again {when} (attempt {attempt} of {conf.attempts})"
        self.waits.say(line, line)

    def send(self, action, *, host, limit):
        """
        Ask a server, unless it could not be reached before.

        ``action`` reports the progress of the answer to its argument, a ``Progress``; it gives up after ``limit``
        seconds.
        """
        if host in self._lost:
            raise Unreachable(self._lost[host])
        return self.waits.run(action, host=host, limit=limit)

    def get(self, url, *, timeout):
        """Download a file as bytes; the timeout (s) is that of the connection."""
        return self.send(partial(self._get, url, timeout), host=host_of(url), limit=timeout)

    def _get(self, url, timeout, progress):
        # Files come as they are: what compresses them belongs to them.
        options = {"headers": {"Accept-Encoding": "identity"}, "timeout": _timeouts(timeout), "stream": True}
        blocks = []
        with self._session.get(url, **options) as response:
            response.raise_for_status()
            for block in response.iter_content(_BLOCK):
                blocks.append(block)
                progress.add(len(block))
        return b"".join(blocks)


def _timeouts(timeout):
    """Time limits of the connection and of the answer (s): a server that runs accepts connections quickly."""
    return min(timeout, _CONNECT), timeout


def _delay(error, attempt):
    """Seconds until the next attempt."""
    asked = asked_patience(error)
    return conf.retry_wait * 2 ** (attempt - 1) if asked is None else asked


class _PoliteAdapter(requests.adapters.HTTPAdapter):
    """Rate-limit requests to ``conf.queries_per_minute``; cached answers do not count."""

    def __init__(self, link):
        super().__init__()
        self._link = link

    def send(self, request, *, timeout=None, **kwargs):
        host = host_of(request.url)
        _QUERIES.wait(conf.queries_per_minute, sleep=partial(self._hold_back, host))
        send = super().send

        def exchange(progress):
            response = send(request, timeout=_timeouts(timeout), **kwargs)
            progress.add(len(response.content))  # reads the body too, in this thread
            return response

        return self._link.send(exchange, host=host, limit=timeout)

    def _hold_back(self, host, seconds):
        if seconds > _HELD_BACK:
            line = f"{host} is asked {conf.queries_per_minute} queries a minute, at most: waiting for {seconds:.0f} s"
            self._link.waits.say((host, "limit"), line)
        self._link.waits.sleep(seconds)


class SkyServer(SDSSClass):
    """
    Client of astroquery that keeps to ``conf.queries_per_minute``, and can remove its latest answers from the cache.
    """

    def __init__(self, *, timeout, link):
        super().__init__()
        self.TIMEOUT = timeout  # that of the schema queries, which take no argument
        self._answers = []
        for scheme in ("https://", "http://"):
            self._session.mount(scheme, _PoliteAdapter(link))

    def _request(self, method, url, **kwargs):
        sent = {name: kwargs.get(name) for name in ("params", "data", "headers", "files", "json")}
        self._answers.append(AstroQuery(method, url, **sent).request_file(self.cache_location))
        try:
            response = super()._request(method, url, **kwargs)
        except (EOFError, LookupError, pickle.UnpicklingError) as error:  # astroquery does not write its files aside
            raise RemoteServiceError(f"the answer that was cached is broken: {error}") from error
        response.raise_for_status()
        return response

    def close(self):
        """Close the connections."""
        self._session.close()

    def forget(self):
        """Remove the answers since the last call of ``keep`` or ``forget`` from astroquery's cache."""
        for file in self._answers:
            file.unlink(missing_ok=True)
        self._answers.clear()

    def keep(self):
        """Leave the answers so far in the cache."""
        self._answers.clear()


def download_frame(url, *, link, coord, size, timeout, cache=True):
    """
    Download and read a frame, by way of astropy's cache, which astroquery's ``get_images`` uses too.

    Only the part that ``coord`` and ``size`` need is read: see `~astro_photz.cutouts.frames.read_frame`. A frame that
    is not available raises FrameError.
    """
    name, host, read = Path(urlsplit(url).path).name, host_of(url), partial(read_frame, coord=coord, size=size)

    def download():
        kept = kept_file(url) if cache else None
        if kept:
            return read(kept)
        with TemporaryDirectory(prefix="astro-photz-") as folder:
            path = Path(folder) / name
            path.write_bytes(link.get(url, timeout=timeout))
            frame = read(path)
            if cache:
                _keep(url, path, link)
        return frame

    def forget():
        if cache:
            clear_download_cache(url)

    try:
        if urlsplit(url).scheme == "file":
            return read(url2pathname(urlsplit(url).path))
        return link.with_retries(download, host=host, forget=forget)
    except Unreachable as error:
        raise FrameError(f"frames could not be had: {error}") from error  # the same for all of them
    except FAILURES as error:
        raise FrameError(f"{name} could not be had: {explain(error, host)}") from error


def kept_file(url):
    """Find the path of a file in astropy's cache; None if it is not there."""
    try:
        return download_file(url, cache=True, sources=[])
    except KeyError:  # not in the cache
        return None


def _keep(url, path, link):
    try:
        import_file_to_cache(url, str(path))
    except OSError as error:  # a disk that is full, or not ours: the frame is there all the same
        link.waits.say("cache", f"frames cannot be kept in the cache of astropy: {error.strerror or error}")
