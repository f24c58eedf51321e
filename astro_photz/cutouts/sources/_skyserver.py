# Licensed under a 3-clause BSD style license - see LICENSE
"""
Clients of the survey's servers: rate limit, retries, caches.
"""

import io
import json
from functools import partial
from http import HTTPStatus
from pathlib import Path
from urllib.parse import urlsplit
from urllib.request import url2pathname

import requests
import urllib3
from astroquery.sdss import SDSSClass, field_names

from astro_photz.config import conf
from astro_photz.cutouts.frames import FrameError, read_frame

from ._answers import LONGEST, Answers
from ._failures import FAILURES, FrameLeft, Lost, explain, host_of
from ._link import IDENTITY, WatchedAdapter, read_body, timeouts
from ._objects import check_columns
from ._rate import RateLimit, shared_file

__all__ = ["SkyServer", "download_frame"]

_OF_TRANSFER = ("content-encoding", "content-length", "transfer-encoding")
_HELD_BACK = 3.0  # s that the limit of queries may hold back without a word


# One for the user: the server counts the queries of all our objects together.
_QUERIES = RateLimit(file=shared_file)


class _PoliteAdapter(WatchedAdapter):
    """Rate-limit requests to ``conf.queries_per_minute``; cached answers do not count."""

    def __init__(self, link):
        super().__init__()
        self._link = link

    def send(self, request, *, timeout=None, **kwargs):
        host = host_of(request.url)
        _QUERIES.wait(conf.queries_per_minute, sleep=partial(self._hold_back, host))
        send = super().send

        def exchange(progress):
            with send(request, timeout=timeouts(timeout), **kwargs | {"stream": True}) as response:
                body = read_body(response, progress, largest=LONGEST)  # in this thread
                return self.build_response(request, _whole(response, body))

        return self._link.send(exchange, host=host, limit=timeout)

    def _hold_back(self, host, seconds):
        if seconds > _HELD_BACK:
            line = f"{host} is asked {conf.queries_per_minute} queries a minute, at most: waiting for {seconds:.0f} s"
            self._link.waits.say((host, "limit"), line)
        self._link.waits.sleep(seconds)


def _whole(response, body):
    """Answer of urllib3 with a body that was read, and decompressed."""
    headers = {name: value for name, value in response.headers.items() if name.lower() not in _OF_TRANSFER}
    status, reason = response.status_code, response.reason
    return urllib3.HTTPResponse(io.BytesIO(body), headers, status=status, reason=reason, preload_content=False)


class SkyServer(SDSSClass):
    """
    Client of astroquery that keeps to ``conf.queries_per_minute``, and returns answers as text.

    Answers come from `~astro_photz.cutouts.sources._answers.Answers`, if ``cache`` is set, and go there by `keep`.
    astroquery's own cache is neither read nor written: it holds pickles.
    """

    def __init__(self, *, timeout, link, cache=True):
        super().__init__()
        _forget_broken_lists()
        self._session.headers["User-Agent"] = f"{IDENTITY} {self._session.headers['User-Agent']}"
        self.TIMEOUT = timeout  # that of the schema queries, which take no argument
        self._answers = Answers() if cache else None
        self._link = link
        self._refused = []  # requests whose answers could not be used
        self._latest = []  # answers that were not judged yet: requests, texts, and whether they are new
        for scheme in ("https://", "http://"):
            self._session.mount(scheme, _PoliteAdapter(link))

    def _request(self, method, url, **options):
        request = _as_data(method, url, options)
        text = self._answers.find(request) if self._answers and request not in self._refused else None
        new = text is None
        if new:
            response = super()._request(method, url, **options | {"cache": False})
            response.raise_for_status()
            text = response.content.decode("utf-8-sig", "replace")
        self._latest.append((request, text, new))
        if (options.get("params") or {}).get("format") == "json":
            check_columns(text)
            self.keep()
        return _response(url, text)

    def _parse_result(self, response, verbose=False):
        return response.text

    def close(self):
        """Close the connections."""
        self._session.close()

    def forget(self):
        """Remove the answers since the last call of ``keep`` or ``forget``; tell whether one came from the cache."""
        from_cache = not all(new for _, _, new in self._latest)
        for request, _, _ in self._latest:
            if self._answers:
                self._answers.forget(request)
            self._refused.append(request)  # a file that is not ours stays, and is not read again
        self._latest.clear()
        return from_cache

    def keep(self):
        """Write the answers so far into the cache."""
        try:
            for request, text, new in self._latest:
                if self._answers and new:
                    self._answers.keep(request, text)
        except OSError as error:  # a disk that is full, or not ours: the answers are there all the same
            self._link.waits.say("answers", f"answers cannot be kept in the cache: {error.strerror or error}")
        self._latest.clear()


def _as_data(method, url, options):
    """Describe what is asked as JSON reads it; its URL has the data release."""
    return json.loads(json.dumps([method, url, *(options.get(name) for name in ("params", "data", "files"))]))


def _response(url, text):
    response = requests.Response()
    response.url, response.status_code, response.encoding = url, HTTPStatus.OK, "utf-8"
    response.raw = io.BytesIO(text.encode())
    return response


def _forget_broken_lists():
    """Remove lists of columns that astroquery would stumble over each time: it keeps whatever came first."""
    lists = getattr(field_names, "_cached_table_fields", {})
    for key in [key for key, table in lists.items() if "name" not in table.colnames]:
        lists.pop(key, None)


def download_frame(url, *, link, coord, size, timeout, cache=None):
    """
    Download and read a frame, by way of a `~astro_photz.cutouts.sources._frame_cache.FrameCache`, if one is given.

    Only the part that ``coord`` and ``size`` need is read: see `~astro_photz.cutouts.frames.read_frame`. A frame that
    is not available raises FrameError.
    """
    name, host, read = Path(urlsplit(url).path).name, host_of(url), partial(read_frame, coord=coord, size=size)

    def download():
        kept = cache and cache.find(url)
        if kept:
            return read(kept)
        content = link.get(url, timeout=timeout)
        frame = read(content)
        if cache:
            _keep(cache, url, content, link)
        return frame

    def forget():
        if cache:
            cache.forget(url)

    try:
        if urlsplit(url).scheme == "file":
            return read(url2pathname(urlsplit(url).path))
        return link.with_retries(download, host=host, forget=forget)
    except Lost as error:
        raise FrameLeft(f"frames could not be had: {error}") from error  # the same for all of them
    except FAILURES as error:
        raise FrameError(f"{name} could not be had: {explain(error, host)}") from error


def _keep(cache, url, content, link):
    try:
        cache.keep(url, content)
    except OSError as error:  # a disk that is full, or not ours: the frame is there all the same
        link.waits.say("cache", f"frames cannot be kept in the cache of astropy: {error.strerror or error}")
