# Licensed under a 3-clause BSD style license - see LICENSE
"""
Manners towards the survey's servers: astroquery's client with a limit of queries, retries, and a memory for what it
cached.
"""

import http.client
import pickle
import threading
import time
import urllib.error
from collections import deque
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from pathlib import Path

import requests
from astropy.utils.data import clear_download_cache, download_file
from astroquery.exceptions import RemoteServiceError
from astroquery.exceptions import TimeoutError as AstroqueryTimeoutError
from astroquery.query import AstroQuery
from astroquery.sdss import SDSSClass

from ..config import conf
from .frames import FrameError, read_frame

__all__ = ["FAILURES", "RateLimit", "SkyServer", "download_frame", "with_retries"]

FAILURES = (
    requests.RequestException,
    http.client.HTTPException,
    RemoteServiceError,
    AstroqueryTimeoutError,
    OSError,  # with urllib's URLError and HTTPError, TimeoutError, and FrameError
)
"""What a request to an archive may raise through no fault of the caller."""

_MINUTE = 60
_PATIENCE = 120  # s


class RateLimit:
    """
    At most so many passes in any minute.

    Parameters
    ----------
    minute : float, optional
        Length of the minute (s).
    """

    def __init__(self, *, minute=_MINUTE):
        self._minute = minute
        self._passes = deque()
        self._lock = threading.Lock()

    def wait(self, per_minute):
        """
        Wait until there is room for another pass.

        Parameters
        ----------
        per_minute : int
        """
        with self._lock:
            while len(self._passes) >= per_minute:
                time.sleep(max(0.0, self._passes.popleft() + self._minute - time.monotonic()))
            self._passes.append(time.monotonic())


# One for the process: the server counts the queries of all our objects together.
_QUERIES = RateLimit()


class _PoliteAdapter(requests.adapters.HTTPAdapter):
    """Holds back requests, which answers from the cache do not become, beyond ``conf.queries_per_minute``."""

    def send(self, *args, **kwargs):
        _QUERIES.wait(conf.queries_per_minute)
        return super().send(*args, **kwargs)


class SkyServer(SDSSClass):
    """
    astroquery's SDSS client that keeps to ``conf.queries_per_minute``, and can forget the answers that it cached last.

    Parameters
    ----------
    timeout : float
        Of a request (s).
    """

    def __init__(self, *, timeout):
        super().__init__()
        self.TIMEOUT = timeout  # that of the schema queries, which take no argument
        self._answers = []
        for scheme in ("https://", "http://"):
            self._session.mount(scheme, _PoliteAdapter())

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
        """Remove from astroquery's cache what the queries since the last call left there."""
        for file in self._answers:
            file.unlink(missing_ok=True)
        self._answers.clear()

    def keep(self):
        """Leave in the cache what the queries so far left there."""
        self._answers.clear()


def with_retries(action, *, forget):
    """
    Do what may fail for a while.

    Parameters
    ----------
    action : callable
    forget : callable
        Removes from the caches what a failed action left there.

    Returns
    -------
    object
        What ``action`` returned.

    Raises
    ------
    Exception
        One of `FAILURES`, after ``conf.attempts`` of them or at once if the server refuses for good (404 and the like)
        or asks for more than two minutes of patience.
    """
    for attempt in range(1, conf.attempts + 1):
        try:
            return action()
        except FAILURES as error:
            forget()
            if isinstance(error, urllib.error.HTTPError):
                error.close()  # it is the server's answer too, on an open connection
            delay = _delay(error, attempt)
            if attempt == conf.attempts or _is_final(error) or delay > _PATIENCE:
                raise
            time.sleep(delay)


def _response(error):
    """Status and headers of the server's answer, as requests or urllib tell them."""
    answer = getattr(error, "response", None)
    if answer is not None:
        return answer.status_code, answer.headers
    return getattr(error, "code", None), getattr(error, "headers", None)


def _is_final(error):
    status, _ = _response(error)
    return isinstance(status, int) and 400 <= status < 500 and status not in (408, 429)


def _delay(error, attempt):
    """Seconds until the next attempt: as many as the server asks for, in either form of the header."""
    _, headers = _response(error)
    asked = (headers or {}).get("Retry-After", "")
    if asked.isdigit():
        return float(asked)
    try:
        return max(0.0, (parsedate_to_datetime(asked) - datetime.now(UTC)).total_seconds())
    except (TypeError, ValueError):  # no date, or none with a time zone
        return conf.retry_wait * 2 ** (attempt - 1)


def download_frame(url, *, coord, size, timeout, cache=True):
    """
    Download a frame by astropy's cache, which astroquery's ``get_images`` uses too, and read it.

    Parameters
    ----------
    url : str
    coord, size
        Which part of it is needed: see `~astro_photz.cutouts.frames.read_frame`.
    timeout : float
        Of the connection (s).
    cache : bool, optional
        Keep the file, and use one that was kept.

    Returns
    -------
    `~astro_photz.cutouts.frames.Frame`

    Raises
    ------
    FrameError
        If the frame cannot be had.
    """

    def download():
        path = download_file(url, cache=cache, timeout=timeout, show_progress=False)
        try:
            return read_frame(path, coord=coord, size=size)
        finally:
            if not cache:  # astropy would keep it until Python ends
                Path(path).unlink()

    try:
        return with_retries(download, forget=lambda: clear_download_cache(url))
    except FAILURES as error:
        raise FrameError(f"{url} could not be had: {error}") from error
