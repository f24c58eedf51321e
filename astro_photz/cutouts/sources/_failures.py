# Licensed under a 3-clause BSD style license - see LICENSE
"""
Explain failed requests in a short phrase.

The libraries' own messages have up to 400 characters, with the name of the host deep in the middle.
"""

import errno
import http.client
import re
import socket
import ssl
import urllib.error
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from urllib.parse import urlsplit

import requests
import urllib3
from astroquery.exceptions import RemoteServiceError
from astroquery.exceptions import TimeoutError as AstroqueryTimeoutError

from astro_photz.cutouts.frames import FrameError
from astro_photz.utils._suggestions import first_line

__all__ = [
    "FAILURES",
    "FrameLeft",
    "Lost",
    "Overdue",
    "PartAnswer",
    "TooLong",
    "Unreachable",
    "asked_patience",
    "explain",
    "host_of",
    "is_final",
    "is_of_the_server",
    "is_unreachable",
]

FAILURES = (
    requests.RequestException,
    http.client.HTTPException,
    RemoteServiceError,
    AstroqueryTimeoutError,
    OSError,  # with urllib's URLError and HTTPError, TimeoutError, FrameError and Unreachable
)
"""Exceptions that a request to an archive may raise through no fault of the caller."""

_NO_ROUTE = (errno.ENETUNREACH, errno.EHOSTUNREACH, errno.ENETDOWN, errno.EHOSTDOWN)
_NEVER_CONNECTED = (urllib3.exceptions.ConnectTimeoutError, urllib3.exceptions.NewConnectionError)
_FULL = (errno.ENOSPC, errno.EDQUOT)
_ABSENT = (HTTPStatus.NOT_FOUND, HTTPStatus.GONE)
_BREAKS = (
    ConnectionError,
    http.client.HTTPException,
    requests.ConnectionError,
    requests.exceptions.ChunkedEncodingError,
    urllib3.exceptions.HTTPError,
)
_LENGTH = 120  # characters of a message by somebody else


class Lost(ConnectionError):
    """A server that is not asked any more in this call."""


class Unreachable(Lost):
    """A server to which there is no connection."""


class FrameLeft(FrameError):
    """A frame that was not asked for, or not again, because its server is lost."""


class PartAnswer(RemoteServiceError):
    """An answer that can be used in part: the server works."""


class Overdue(TimeoutError):
    """An answer that takes longer than it may; the message is what came of it."""


class TooLong(requests.RequestException):
    """An answer of more bytes than any that is right."""

    def __init__(self, largest):
        super().__init__(f"its answer is longer than {largest / 2**20:.0f} MB")


def host_of(url):
    """Name the host of a URL, with its port where that is not the usual one."""
    parts = urlsplit(url)
    return f"{parts.hostname}:{parts.port}" if parts.port else parts.hostname or ""


def explain(error, host=None):
    """
    Explain in the user's terms why a request failed.

    One line, such as "data.sdss.org answered 503 Service Unavailable", for an error of `FAILURES`. Without ``host``,
    the server is the one that the error names.
    """
    chain = list(_chain(error))
    host = host or next(filter(None, map(_host_in, chain)), "the server")
    for of_kind in (_own_words, _no_connection, _no_trust, _status, _disk_full, _no_answer, _no_content, _broken_off):
        phrase = of_kind(chain, host)
        if phrase:
            return phrase
    return _shortened(error)


def root_of(error):
    """Find the first of the errors that led to this one."""
    while error.__cause__ or error.__context__:
        error = error.__cause__ or error.__context__
    return error


def is_unreachable(error):
    """Check whether there was no connection at all."""
    return isinstance(error, Unreachable) or bool(_no_connection(list(_chain(error)), ""))


def is_final(error):
    """Check whether another attempt would fail in the same way."""
    chain = list(_chain(error))
    status, _ = _answer(chain)
    refused = isinstance(status, int) and 400 <= status < 500 and status not in (408, 429)
    return refused or bool(_disk_full(chain, "") or _no_trust(chain, ""))


def is_of_the_server(error):
    """Check whether a failure is that of a server, and not of the one file or of this machine."""
    chain = list(_chain(error))
    return not (_answer(chain)[0] in _ABSENT or _disk_full(chain, "") or _first(chain, PartAnswer))


def asked_patience(error):
    """Read the wait (s) that the server asks for, in either form of the header ``Retry-After``; None without one."""
    return _patience(_answer(list(_chain(error)))[1])


def _patience(headers):
    asked = str((headers or {}).get("Retry-After", "")).strip()
    if re.fullmatch(r"\d+(\.\d*)?", asked, re.ASCII):
        return float(asked)
    try:
        date = parsedate_to_datetime(asked)
        return max(0.0, (date - datetime.now(date.tzinfo and UTC)).total_seconds())
    except (TypeError, ValueError, OverflowError):
        return None


def _chain(error):
    """List an error and all that it wraps, the outermost first."""
    chain, waiting = [], [error]
    while waiting:
        one = waiting.pop(0)
        if isinstance(one, BaseException) and one not in chain:
            chain.append(one)
            waiting += [*one.args, getattr(one, "reason", None), getattr(one, "original_error", None), one.__cause__]
    return chain


def _host_in(error):
    for name in ("response", "request"):
        url = getattr(getattr(error, name, None), "url", None)
        if url:
            return host_of(url)
    return host_of(error.url or "") if isinstance(error, urllib.error.HTTPError) else None


def _first(chain, *classes):
    return next((one for one in chain if isinstance(one, classes)), None)


def _own_words(chain, host):
    if isinstance(chain[0], Lost):
        return str(chain[0])
    told = _first(chain, Overdue, TooLong)
    return told and f"{host}: {told}"


def _no_connection(chain, host):
    why = None
    if _first(chain, requests.exceptions.ProxyError, urllib3.exceptions.ProxyError):
        why = "by its proxy: see the variables http_proxy and https_proxy"
    elif _first(chain, socket.gaierror):
        why = "its name cannot be looked up"
    elif _first(chain, ConnectionRefusedError):
        why = "connection refused"
    elif any(getattr(one, "errno", None) in _NO_ROUTE for one in chain):
        why = "no route to it"
    elif _first(chain, requests.exceptions.ConnectTimeout, *_NEVER_CONNECTED):
        seconds = _seconds(chain, "connect")
        why = f"no connection within {seconds}" if seconds else "no connection"
    return why and f"{host} cannot be reached ({why})"


def _no_trust(chain, host):
    if _first(chain, ssl.SSLCertVerificationError):
        return f"the certificate of {host} cannot be verified"
    if _first(chain, ssl.SSLError, requests.exceptions.SSLError):
        return f"there is no secure connection to {host}"
    return None


def _status(chain, host):
    status, headers = _answer(chain)
    if not isinstance(status, int):
        return None
    phrase = HTTPStatus(status).phrase if status in iter(HTTPStatus) else ""
    patience = _patience(headers)
    return f"{host} answered {status} {phrase}".rstrip() + (f" and asks to wait {patience:.0f} s" if patience else "")


def _answer(chain):
    """Status and headers of the server's answer, from an error of requests or urllib."""
    for error in chain:
        response = getattr(error, "response", None)
        if isinstance(response, requests.Response):
            return response.status_code, response.headers
        if isinstance(error, urllib.error.HTTPError):
            return error.code, error.headers
    return None, None


def _disk_full(chain, host):
    full = next((one for one in chain if getattr(one, "errno", None) in _FULL), None)
    return full and f"there is no room on the disk for {full.filename or 'the cache'}"


def _no_answer(chain, host):
    if not _first(chain, TimeoutError, AstroqueryTimeoutError, requests.Timeout, urllib3.exceptions.TimeoutError):
        return None
    seconds = _seconds(chain, "read")
    return f"{host} did not answer within {seconds}" if seconds else f"{host} did not answer in time"


def _no_content(chain, host):
    if _first(chain, FrameError):
        cause = chain[0].__cause__ or chain[0]
        return f"what {host} sent is no whole frame: {_shortened(cause)}"
    if _first(chain, PartAnswer):
        return f"{host} answered with what cannot be: {_shortened(chain[0])}"
    if _first(chain, RemoteServiceError):
        return f"{host} answered with something else than a table: {_shortened(chain[0])}"
    return None


def _broken_off(chain, host):
    return _first(chain, *_BREAKS) and f"the connection to {host} broke off"


def _seconds(chain, kind):
    """The time limit that was exceeded, from the message of urllib3."""
    found = re.search(rf"{kind} timeout=([\d.]+)", " ".join(str(one) for one in chain))
    return found and f"{float(found[1]):g} s"


def _shortened(error):
    line = first_line(error)
    return line if len(line) <= _LENGTH else f"{line[:_LENGTH]}..."
