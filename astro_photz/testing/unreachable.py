# Licensed under a 3-clause BSD style license - see LICENSE
"""Servers that cannot be reached, in all the ways in which that happens."""

from __future__ import annotations

import errno
import functools
import os
import socket
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from unittest.mock import patch

__all__ = ["UNREACHABLE", "unreachable"]

UNREACHABLE = {
    "refused": "connection refused",
    "black hole": "no connection within",
    "unknown name": "its name cannot be looked up",
    "no route": "no route to it",
    "proxy": "by its proxy",
}
"""Ways in which a server cannot be reached, and words of the message that tells each."""


@contextmanager
def unreachable(way: str) -> Iterator[str]:
    """
    Give a base of URLs to which there is no connection.

    Parameters
    ----------
    way : str
        One of `UNREACHABLE`.

    Yields
    ------
    str
    """
    with socket.socket() as listener, ExitStack() as stack:
        listener.bind(("127.0.0.1", 0))
        port = listener.getsockname()[1]
        if way == "black hole":  # its backlog is full, and what comes then is dropped
            listener.listen(0)
            for _ in range(4):
                client = stack.enter_context(socket.socket())
                client.setblocking(False)
                client.connect_ex(("127.0.0.1", port))
        if way == "unknown name":
            lookup = socket.getaddrinfo
            stack.enter_context(patch.object(socket, "getaddrinfo", functools.partial(_unknown_name, lookup)))
            yield "http://nowhere.invalid"
        elif way == "no route":
            stack.enter_context(patch.object(socket.socket, "connect", _no_route))
            yield f"http://127.0.0.1:{port}"
        elif way == "proxy":
            stack.enter_context(patch.dict(os.environ, http_proxy=f"http://127.0.0.1:{port}"))
            yield "http://nowhere.invalid"
        else:
            yield f"http://127.0.0.1:{port}"


def _unknown_name(lookup, host, *args, **options):
    if str(host).endswith(".invalid"):
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
    return lookup(host, *args, **options)


def _no_route(self, address):
    raise OSError(errno.ENETUNREACH, "Network is unreachable")
