# Licensed under a 3-clause BSD style license - see LICENSE
"""HTTP server of a `~astro_photz.testing.loopback.LoopbackArchive`: searches, frames, and faults."""

import email
import re
import socket
import sqlite3
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

FAULTS = ("timeout", "hang", "disconnect", "html", "truncated", "cut off", "empty")
"""Ways to fail, besides an HTTP status."""


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
        if archive.delay:
            self.server.closing.wait(archive.delay)
        if fault in ("timeout", "hang", "disconnect"):
            if fault != "disconnect":
                self.server.closing.wait(60)
            self.close_connection = True
            return
        if fault is None:
            status, content_type, body = respond()
        elif fault == "html":
            status, content_type, body = HTTPStatus.OK, "text/html", ERROR_PAGE
        elif isinstance(fault, int):
            status, content_type, body = fault, "text/html", _page(HTTPStatus(fault))
        else:
            status, content_type, body = respond()
            body = b"" if fault == "empty" else body[: len(body) // 2]
        # Half a body under its full length, then silence: the client sees the connection break.
        length = 2 * len(body) if fault == "cut off" else len(body)
        self.send_response(status)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(length))
        if status == HTTPStatus.TOO_MANY_REQUESTS:
            self.send_header("Retry-After", "0")
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)
        if fault == "cut off":
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
