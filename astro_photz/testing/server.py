# Licensed under a 3-clause BSD style license - see LICENSE
"""HTTP server of a `~astro_photz.testing.loopback.LoopbackArchive`: searches, frames, and faults."""

import email
import re
import socket
import sqlite3
import struct
import sys
import threading
import urllib.parse
from contextlib import suppress
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

__all__ = ["ERROR_PAGE", "FAULTS", "Server"]

ERROR_PAGE = (
    b"<html><head>\n<title>Skyserver Error</title>\n</head><body bgcolor=white>\n"
    b"<h2>An error occured</h2><H3 BGCOLOR=pink><font color=red><br></font></H3></BODY></HTML>\n"
)
"""Page that SkyServer sends with status 200 when it fails. astroquery reads it as a table of one column."""

SEARCH_PATH = re.compile(r"/dr\d+/en/tools/search/x_results\.aspx", re.IGNORECASE)

FAULTS = (
    *("timeout", "hang", "disconnect", "reset", "html", "truncated", "cut off", "empty"),
    *("stall", "drip", "drip headers", "endless"),
)
"""Ways to fail, besides an HTTP status."""

_SILENCE = 300.0  # s, longer than any client of a test waits


class Server(ThreadingHTTPServer):
    """
    A server whose threads all end with it, also those that wait for a client's next request.

    Parameters
    ----------
    archive : `~astro_photz.testing.loopback.LoopbackArchive`
        Has the frames, records the requests, and decides which of them fail.
    database : `~astro_photz.testing.database.Database`
    """

    daemon_threads = False

    def __init__(self, archive, database):
        self.archive = archive
        self.database = database
        self.closing = threading.Event()
        self._connections = set()
        super().__init__(("127.0.0.1", 0), _Handler)
        self._thread = threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        self._thread.start()

    def process_request(self, request, client_address):
        self._connections.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request):
        self._connections.discard(request)
        super().shutdown_request(request)

    def handle_error(self, request, client_address):
        """Show errors, but for clients that hang up."""
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)

    def stop(self):
        """Close all connections, and end."""
        self.closing.set()
        self.shutdown()
        self._thread.join()
        for connection in list(self._connections):
            with suppress(OSError):  # closed by its own thread in between
                connection.shutdown(socket.SHUT_RDWR)
        self.server_close()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"  # keeps connections open, as the real servers do

    def log_message(self, format, *args):
        pass

    def do_GET(self):
        path = urllib.parse.unquote_plus(self.path)
        if path.startswith("/sas/"):
            self._answer("frame", path, self._frame)
        else:
            command = urllib.parse.parse_qs(urllib.parse.urlsplit(self.path).query).get("cmd", [""])[0]
            kind = "schema" if "fDocColumns" in command else "sql"
            self._answer(kind, path, lambda: self._search(command, kind))

    do_HEAD = do_GET

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        form = _parse_form(self.headers["Content-Type"], body)
        self._answer("crossid", self.path, lambda: self._crossid(form))

    def _frame(self):
        frame = self.server.archive.frames.get(self.path.removeprefix("/sas/"))
        if frame is None:
            return HTTPStatus.NOT_FOUND, "text/html", _page(HTTPStatus.NOT_FOUND)
        return HTTPStatus.OK, "application/x-bzip2", frame if isinstance(frame, bytes) else frame.read_bytes()

    def _search(self, command, kind):
        if not SEARCH_PATH.match(self.path):
            return HTTPStatus.NOT_FOUND, "text/html", _page(HTTPStatus.NOT_FOUND)
        database = self.server.database
        if kind == "schema":
            return HTTPStatus.OK, "application/json", database.schema.encode()
        return _csv(lambda: database.answer(command))

    def _crossid(self, form):
        if not SEARCH_PATH.match(self.path):
            return HTTPStatus.NOT_FOUND, "text/html", _page(HTTPStatus.NOT_FOUND)
        radius = float(form["radius"])
        if radius > 3:
            return HTTPStatus.OK, "text/html", ERROR_PAGE
        first = int(form["firstcol"])
        header, *lines = form["upload"].strip().splitlines()
        if header.split()[first : first + 2] != ["ra", "dec"]:
            return HTTPStatus.OK, "text/html", ERROR_PAGE
        positions = [tuple(float(x) for x in line.split()[first : first + 2]) for line in lines]
        nearest = form["photoScope"] == "nearPrim"
        database = self.server.database
        return _csv(lambda: database.crossid(form["uquery"], positions, radius, nearest=nearest))

    def _answer(self, kind, path, respond):
        archive = self.server.archive
        fault = archive.receive(self.command, path, kind)
        mode = fault and fault.mode
        if archive.delay:
            self.server.closing.wait(archive.delay)
        if mode in ("timeout", "hang", "disconnect", "reset"):
            self._give_no_answer(mode)
            return
        if mode == "html":
            status, content_type, body = HTTPStatus.OK, "text/html", ERROR_PAGE
        elif isinstance(mode, int):
            status, content_type, body = mode, "text/html", _page(HTTPStatus(mode))
        else:
            status, content_type, body = respond()
            body = b"" if mode == "empty" else body[: len(body) // 2] if mode in ("truncated", "cut off") else body
        if mode == "drip headers":
            self._drip(f"HTTP/1.1 {int(status)} OK\r\nX-Filler: {'x' * 1000}\r\n".encode())
            return
        self.send_response(status)
        self.send_header("Content-Type", content_type)
        if mode == "endless":
            self.send_header("Connection", "close")
        else:
            # Half a body under its full length, then the end: the client sees the connection break.
            self.send_header("Content-Length", str(2 * len(body) if mode == "cut off" else len(body)))
        if fault and fault.retry_after is not None and isinstance(mode, int):
            self.send_header("Retry-After", fault.retry_after)
        self.end_headers()
        if self.command != "HEAD":
            self._send_body(body, mode)

    def _give_no_answer(self, mode):
        self.close_connection = True
        if mode == "reset":  # what is closed without lingering sends an RST
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.connection.close()
        elif mode != "disconnect":
            self.server.closing.wait(_SILENCE)

    def _send_body(self, body, mode):
        if mode == "drip":
            self._drip(body)
        elif mode == "endless":
            self.close_connection = True
            while not self.server.closing.is_set():
                self.wfile.write(body or b"\n")
        elif mode == "stall":
            self.wfile.write(body[: len(body) // 2])
            self._give_no_answer(mode)
        else:
            self.wfile.write(body)
            self.close_connection |= mode == "cut off"

    def _drip(self, content):
        """Send a byte a second."""
        for k in range(len(content)):
            self.wfile.write(content[k : k + 1])
            if self.server.closing.wait(1.0):
                break
        self.close_connection = True


def _page(status):
    return f"<html><body><h1>{status.value} {status.phrase}</h1>\n{status.description}.\n</body></html>\n".encode()


def _csv(query):
    try:
        return HTTPStatus.OK, "text/plain", query().encode()
    except sqlite3.Error as error:
        # The word by which astroquery knows that the SQL was at fault.
        return HTTPStatus.OK, "text/plain", f"#Table1\nerror_message\n{error}\n".encode()


def _parse_form(content_type, body):
    """Fields of a multipart form, by name."""
    message = email.message_from_bytes(b"Content-Type: " + content_type.encode() + b"\r\n\r\n" + body)
    return {
        part.get_param("name", header="content-disposition"): part.get_payload(decode=True).decode()
        for part in message.get_payload()
    }
