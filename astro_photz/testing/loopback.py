# Licensed under a 3-clause BSD style license - see LICENSE
"""
An SDSS archive on this machine: SkyServer's searches and the frames of the Science Archive Server, over HTTP.

`LoopbackArchive` points astroquery's own configuration at itself, so what runs against it are astroquery's real
requests. It answers them as SkyServer does: the schema as JSON, searches as CSV under a line ``#Table1``; cross-
identification returns the nearest primary of each position, drops positions without one and never repeats their names.
The SQL is carried out by SQLite on a catalogue, so that a query that names a column wrongly fails here too.

It can be told to misbehave (`LoopbackArchive.fail`) in the ways in which the real one does, down to the error page
that comes with status 200, and it keeps a record of every request.

>>> import astropy.units as u
>>> from astroquery.sdss import SDSSClass
>>> from astro_photz.testing.loopback import synthetic_archive
>>> with synthetic_archive() as archive:
...     matches = SDSSClass().query_crossid(
...         archive.positions, radius=2 * u.arcsec, photoobj_fields=["ra", "dec", "run"], timeout=10, data_release=17
...     )
>>> len(matches) == len(archive.positions)
True
>>> [request.kind for request in archive.requests]
['schema', 'schema', 'crossid']
"""

import email
import errno
import functools
import io
import json
import os
import re
import socket
import sqlite3
import sys
import tempfile
import threading
import time
import urllib.parse
import warnings
from bz2 import BZ2File
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import astropy.units as u
import numpy as np
from astropy.config import set_temp_cache
from astropy.coordinates import SkyCoord, search_around_sky
from astropy.io import fits
from astropy.table import Table
from astropy.wcs import WCS, FITSFixedWarning

from astro_photz.sdss import BANDS, EXTINCTION_COEFFICIENTS, FRAME_SHAPE, FieldID, frame_path
from astro_photz.testing.synthetic_frames import Geometry, make_run, make_sky

__all__ = [
    "UNREACHABLE",
    "LoopbackArchive",
    "Request",
    "photo_catalogue",
    "real_archive",
    "synthetic_archive",
    "unreachable",
]

PSF_FWHM = (1.5, 1.4, 1.3, 1.25, 1.25)
"""Seeing that the catalogues quote (arcsec)."""

ERROR_PAGE = (
    b"<html><head>\n<title>Skyserver Error</title>\n</head><body bgcolor=white>\n"
    b"<h2>An error occured</h2><H3 BGCOLOR=pink><font color=red><br></font></H3></BODY></HTML>\n"
)
"""What SkyServer sends with status 200 when it fails. astroquery reads it as a table of one column."""

SEARCH_PATH = re.compile(r"/dr\d+/en/tools/search/x_results\.aspx", re.IGNORECASE)

FAULTS = ("timeout", "hang", "disconnect", "html", "truncated", "cut off", "empty")


def photo_catalogue(coords, field_ids, rowc, colc, ebv, *, mode=1, coefficients="DR13", petro_radius=3.0):
    """
    A catalogue of galaxies with the columns of PhotoObj that the package asks for.

    Parameters
    ----------
    coords : `~astropy.coordinates.SkyCoord` (N,)
    field_ids : list of `~astro_photz.sdss.FieldID`
    rowc, colc : array_like (N,)
        Place in the *r* frame as SDSS counts: 0.5 is the centre of the first pixel.
    ebv : array_like (N,)
        E(B-V) (mag).
    mode : array_like (N,) of int, optional
        1 for primary objects, 2 for further detections of the same ones.
    coefficients : {'DR12', 'DR13'}, optional
        Which coefficients the extinctions are made with.
    petro_radius : array_like (N,), optional
        Petrosian radius (arcsec).

    Returns
    -------
    `~astropy.table.Table`
    """
    n = len(coords)
    table = Table({"ra": coords.icrs.ra.deg, "dec": coords.icrs.dec.deg})
    ids = np.array(field_ids, dtype=np.int64).reshape(n, 4)
    for name, values in zip(FieldID._fields, ids.T, strict=True):
        table[name] = values
    table["objID"] = [_object_id(field_id, k) for k, field_id in enumerate(field_ids, start=11)]
    table["type"] = np.full(n, 3)
    table["mode"] = np.broadcast_to(mode, n)
    table["clean"] = np.full(n, 1)
    table["score"] = np.full(n, 0.85)
    table["rowc_r"], table["colc_r"] = rowc, colc
    table["petroRad_r"] = np.broadcast_to(petro_radius, n)
    for k, band in enumerate(BANDS):
        table[f"extinction_{band}"] = np.asarray(ebv) * float(EXTINCTION_COEFFICIENTS[coefficients][k])
        table[f"psffwhm_{band}"] = np.full(n, PSF_FWHM[k])
    return table


def _object_id(field_id, number):
    run, rerun, camcol, field = field_id
    return (2 << 59) | (rerun << 48) | (run << 32) | (camcol << 29) | (field << 16) | number


@dataclass(frozen=True)
class Request:
    """One request that the archive received; ``kind`` is 'schema', 'crossid', 'sql' or 'frame'."""

    method: str
    path: str
    kind: str
    time: float


class _Database:
    """The catalogue and the fields, in SQLite, under SkyServer's names."""

    def __init__(self, catalogue, fields):
        self._lock = threading.Lock()
        self._catalogue = catalogue
        self._coords = SkyCoord(catalogue["ra"], catalogue["dec"], unit="deg")
        self._connection = sqlite3.connect(":memory:", check_same_thread=False)
        self._connection.create_function("fPhotoTypeN", 1, {3: "GALAXY", 6: "STAR"}.get)
        self._store("PhotoObjAll", catalogue)
        self._store("Field", fields)
        self._connection.execute("CREATE VIEW PhotoObj AS SELECT * FROM PhotoObjAll WHERE mode IN (1, 2)")

    def _store(self, name, table):
        self._connection.execute(f"DROP TABLE IF EXISTS {name}")
        self._connection.execute(f"CREATE TABLE {name} ({', '.join(table.colnames)})")
        marks = ", ".join("?" * len(table.colnames))
        rows = zip(*(table[column].tolist() for column in table.colnames), strict=True)
        self._connection.executemany(f"INSERT INTO {name} VALUES ({marks})", rows)

    def select(self, sql):
        """CSV of a query."""
        # T-SQL's temporary tables, owner and row limit, in SQLite's words.
        sql = sql.replace("#", "_").replace("dbo.", "")
        sql = re.sub(r"^\s*SELECT\s+(DISTINCT\s+)?TOP\s+(\d+)(.*)", r"SELECT \1\3 LIMIT \2", sql, flags=re.I | re.S)
        cursor = self._connection.execute(sql)
        # Columns come back under the names by which the query called them, whatever their case in the schema.
        called = {word.lower(): word for word in reversed(re.findall(r"\w+", sql))}
        lines = [",".join(called.get(column[0].lower(), column[0]) for column in cursor.description)]
        lines += [",".join(_format(value) for value in row) for row in cursor]
        return "#Table1\n" + "\n".join(lines) + "\n"

    def answer(self, sql):
        with self._lock:
            return self.select(sql)

    def crossid(self, sql, positions, radius, *, nearest):
        """CSV of a query that joins the uploaded positions to the objects around them (``radius`` in arcmin)."""
        coords = SkyCoord([p[0] for p in positions], [p[1] for p in positions], unit="deg")
        up, found = [], []
        if len(self._coords) and len(coords):
            up, found, distance, _ = search_around_sky(coords, self._coords, radius * u.arcmin)
            order = np.lexsort((distance, up))
            up, found = up[order], found[order]
            if nearest:
                primary = self._catalogue["mode"][found] == 1
                up, first = np.unique(up[primary], return_index=True)
                found = found[primary][first]
        ids = np.asarray(self._catalogue["objID"], dtype=np.int64)[np.asarray(found, dtype=int)]
        with self._lock:
            self._store("_x", Table({"up_id": np.asarray(up, dtype=int) + 1, "objID": ids}))
            self._store("_upload", Table({"up_id": np.arange(len(positions)) + 1}))
            return self.select(sql)

    def alter(self, column, value, object_id):
        with self._lock:
            self._connection.execute(f"UPDATE PhotoObjAll SET {column} = ? WHERE objID = ?", (value, int(object_id)))

    @functools.cached_property
    def schema(self):
        """Names of PhotoObjAll's columns as SkyServer's ``fDocColumns`` gives them."""
        rows = [{"name": name, "type": "", "unit": ""} for name in self._catalogue.colnames]
        return json.dumps([{"TableName": "Table1", "Rows": rows}])

    def close(self):
        self._connection.close()


def _format(value):
    if value is None:
        return "null"
    return f"{value:.15g}" if isinstance(value, float) else str(value)


class _Fault:
    def __init__(self, kind, mode, times, path_contains):
        self.kind, self.mode, self.times, self.path_contains = kind, mode, times, path_contains

    def strikes(self, kind, path):
        if self.times == 0 or self.kind not in (None, kind) or (self.path_contains or "") not in path:
            return False
        if self.times is not None:
            self.times -= 1
        return True


class LoopbackArchive:
    """
    Context manager that serves an archive to astroquery, with caches of its own.

    Parameters
    ----------
    catalogue : `~astropy.table.Table`
        Detected objects, see `photo_catalogue`.
    frames : dict
        bytes or `~pathlib.Path` of each frame, by its path below the archive's root (`~astro_photz.sdss.frame_path`).
    delay : float, optional
        Seconds to wait before each answer.

    Attributes
    ----------
    requests : list of `Request`
        All requests so far.
    primaries : `~astropy.table.Table`
        The catalogue's primary objects.
    positions : `~astropy.coordinates.SkyCoord`
        Of the primary objects.
    cache : `~pathlib.Path`
        Directory of astropy's and astroquery's caches inside the context.
    """

    def __init__(self, catalogue, frames, *, delay=0.0):
        self.catalogue = catalogue
        self.frames = dict(frames)
        self.delay = delay
        self.requests = []
        self.cache = None
        self._faults = []
        self._lock = threading.Lock()
        self._fields = _field_table(self.frames)

    @classmethod
    def of(cls, fields, sources, *, coefficients="DR13", data_release=17, **options):
        """Archive of synthetic fields and the sources in them."""
        frames = {
            frame_path(band, field.field_id, data_release=data_release): field.frame(band)
            for field in fields
            for band in BANDS
        }
        detections = [detection for source in sources for detection in _detections(fields, source)]
        found, ids, x, y, mode = zip(*detections, strict=True) if detections else [()] * 5
        catalogue = photo_catalogue(
            SkyCoord([s.ra for s in found], [s.dec for s in found], unit="deg"),
            ids,
            np.add(y, 0.5),
            np.add(x, 0.5),
            [s.ebv for s in found],
            mode=mode,
            coefficients=coefficients,
        )
        return cls(catalogue, frames, **options)

    @property
    def primaries(self):
        return self.catalogue[self.catalogue["mode"] == 1]

    @property
    def positions(self):
        return SkyCoord(self.primaries["ra"], self.primaries["dec"], unit="deg")

    def count(self, kind, path_contains=""):
        """Number of requests of a kind so far."""
        return sum(r.kind == kind and path_contains in r.path for r in self.requests)

    def fail(self, kind, mode, *, times=None, path_contains=None):
        """
        Misbehave from now on.

        Parameters
        ----------
        kind : {'schema', 'crossid', 'sql', 'frame', None}
            What to fail at; None for everything.
        mode : int or str
            An HTTP status (429 asks to retry after 0 s), or 'timeout' or 'hang' (no answer for longer than any client
            waits), 'disconnect' (hangs up without an answer), 'html' (an error page with status 200), 'truncated'
            (half of the body, announced as if it were all), 'cut off' (hangs up after half of the body) or 'empty'.
        times : int, optional
            How often. Always by default.
        path_contains : str, optional
            Only for paths that contain it.
        """
        if not (mode in FAULTS or isinstance(mode, int)):
            raise ValueError(f"mode must be a HTTP status or one of {FAULTS}, got {mode!r}")
        with self._lock:
            self._faults.append(_Fault(kind, mode, times, path_contains))

    def alter(self, column, value, *, row):
        """
        Change what the searches say of an object; positions are found where it is all the same.

        Parameters
        ----------
        column : str
        value : object
            None comes as ``null``, text as it is.
        row : int
            Of the catalogue.
        """
        self._database.alter(column, value, self.catalogue["objID"][row])

    def mend(self):
        """Behave well again."""
        with self._lock:
            self._faults.clear()

    def _receive(self, method, path, kind):
        """Record a request; returns the mode of the fault that it meets, if any."""
        with self._lock:
            self.requests.append(Request(method, path, kind, time.monotonic()))
            return next((fault.mode for fault in self._faults if fault.strikes(kind, path)), None)

    def __enter__(self):
        # astroquery's modules cost half a second; only those who start an archive pay.
        from astroquery import sdss
        from astroquery.sdss import field_names

        with ExitStack() as stack:
            self._database = _Database(self.catalogue, self._fields)
            stack.callback(self._database.close)
            self._server = _Server(self)
            stack.callback(self._server.stop)
            url = f"http://127.0.0.1:{self._server.server_port}"
            stack.enter_context(sdss.conf.set_temp("skyserver_baseurl", url))
            stack.enter_context(sdss.conf.set_temp("sas_baseurl", url + "/sas"))
            stack.enter_context(_no_proxy("127.0.0.1"))
            # Threads that were let go may still write there.
            folder = tempfile.TemporaryDirectory(prefix="loopback-", ignore_cleanup_errors=True)
            directory = stack.enter_context(folder)
            self.cache = Path(stack.enter_context(set_temp_cache(directory)))
            field_names._cached_table_fields.clear()
            stack.callback(field_names._cached_table_fields.clear)
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *exception):
        self._stack.close()


@contextmanager
def _no_proxy(host):
    """Reach a host directly even where a proxy is configured."""
    before = {name: os.environ.get(name) for name in ("no_proxy", "NO_PROXY")}
    for name, value in before.items():
        os.environ[name] = f"{value},{host}" if value else host
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


UNREACHABLE = {
    "refused": "connection refused",
    "black hole": "no connection within",
    "unknown name": "its name cannot be looked up",
    "no route": "no route to it",
    "proxy": "by its proxy",
}
"""Ways in which a server cannot be reached, and what is said of them."""


@contextmanager
def unreachable(way, monkeypatch):
    """
    Base of URLs to which there is no connection, in one of the ways of `UNREACHABLE`.

    Parameters
    ----------
    way : str
    monkeypatch : `pytest.MonkeyPatch`

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
            monkeypatch.setattr(socket, "getaddrinfo", functools.partial(_unknown_name, lookup))
            yield "http://nowhere.invalid"
        elif way == "no route":
            monkeypatch.setattr(socket.socket, "connect", _no_route)
            yield f"http://127.0.0.1:{port}"
        elif way == "proxy":
            monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{port}")
            yield "http://nowhere.invalid"
        else:
            yield f"http://127.0.0.1:{port}"


def _unknown_name(lookup, host, *args, **options):
    if str(host).endswith(".invalid"):
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
    return lookup(host, *args, **options)


def _no_route(self, address):
    raise OSError(errno.ENETUNREACH, "Network is unreachable")


class _Server(ThreadingHTTPServer):
    """A server whose threads all end with it, also those that wait for a client's next request."""

    daemon_threads = False

    def __init__(self, archive):
        self.archive = archive
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
        """Clients that hang up are part of the game; anything else is shown."""
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)

    def stop(self):
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
        database = self.server.archive._database
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
        database = self.server.archive._database
        return _csv(lambda: database.crossid(form["uquery"], positions, radius, nearest=nearest))

    def _answer(self, kind, path, respond):
        archive = self.server.archive
        fault = archive._receive(self.command, path, kind)
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


def _detections(fields, source):
    """Source, field, column, row and mode wherever it was seen: primary in the field that holds it most centrally."""
    seen = []
    for field in fields:
        x, y = field.geometry.pixel(source.ra, source.dec)
        rows, columns = field.geometry.shape
        depth = min(x, y, columns - 1 - x, rows - 1 - y)
        if depth > 0:
            seen.append((depth, (source, field.field_id, x, y)))
    seen.sort(key=lambda item: item[0], reverse=True)
    return [(*detection, 1 if k == 0 else 2) for k, (_, detection) in enumerate(seen)]


def _field_table(frames):
    """SkyServer's table of fields: their numbers and extent, from the headers of the r frames."""
    rows = []
    for path, frame in frames.items():
        match = re.search(r"frames/(\d+)/.*frame-r-(\d+)-(\d)-(\d+)\.fits\.bz2$", path)
        if match:
            rerun, run, camcol, field = map(int, match.groups())
            header = _frame_header(frame)
            corners = _wcs(header).calc_footprint(axes=(header["NAXIS1"], header["NAXIS2"]))
            extent = (*corners.min(axis=0), *corners.max(axis=0))
            rows.append((run, rerun, camcol, field, *map(float, extent)))
    return Table(
        rows=rows or None,
        names=(*FieldID._fields, "raMin", "decMin", "raMax", "decMax"),
        dtype=[int] * 4 + [float] * 4,
    )


def _frame_header(frame):
    with BZ2File(io.BytesIO(frame) if isinstance(frame, bytes) else frame) as file:
        return fits.Header.fromstring(file.read(36 * 2880).split(b"END" + b" " * 77)[0].decode("ascii", "ignore"))


def _wcs(header):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FITSFixedWarning)
        return WCS(header)


@functools.cache
def _synthetic_sky():
    geometry = Geometry(ra=150.1, dec=2.2)
    sources = [
        source
        for k in range(3)
        for source in make_sky(geometry.window(0, 120 * k, geometry.shape), 3, seed=k, margin=40)
    ]
    return make_run(FieldID(4207, 301, 3, 110), geometry, sources, n_fields=3), sources


def synthetic_archive(*, coefficients="DR13", **options):
    """
    An archive of three small consecutive fields with nine galaxies.

    Parameters
    ----------
    coefficients : {'DR12', 'DR13'}, optional
        Which coefficients the catalogue's extinctions are made with.
    **options
        Of `LoopbackArchive`.

    Returns
    -------
    `LoopbackArchive`
    """
    fields, sources = _synthetic_sky()
    return LoopbackArchive.of(fields, sources, coefficients=coefficients, **options)


def real_archive(folder, *, coefficients="DR13", **options):
    """
    An archive of real fields, with the galaxies known in them.

    Parameters
    ----------
    folder : `~pathlib.Path`
        With ``real_galaxies.ecsv``, and their frames in ``sdss_frames``.
    coefficients : {'DR12', 'DR13'}, optional
        Which coefficients the catalogue's extinctions are made with.
    **options
        Of `LoopbackArchive`.

    Returns
    -------
    `LoopbackArchive`
    """
    galaxies = Table.read(folder / "real_galaxies.ecsv")
    coords = SkyCoord(galaxies["ra"], galaxies["dec"])
    frames, x, y = {}, np.zeros(len(galaxies)), np.zeros(len(galaxies))
    field_ids = np.empty(len(galaxies), dtype=object)
    for name in np.unique(galaxies["field"]):
        run, camcol, field = map(int, name.split("-"))
        field_id = FieldID(run, 301, camcol, field)
        for band in BANDS:
            frames[frame_path(band, field_id)] = folder / "sdss_frames" / f"frame-{band}-{name}.fits.bz2"
        inside = np.flatnonzero(galaxies["field"] == name)
        wcs = _wcs(_frame_header(frames[frame_path("r", field_id)]))
        x[inside], y[inside] = wcs.world_to_pixel(coords[inside])
        for i in inside:
            field_ids[i] = field_id
    if not (np.all(x < FRAME_SHAPE[1]) and np.all(y < FRAME_SHAPE[0])):
        raise ValueError("real_galaxies.ecsv and sdss_frames disagree about where the galaxies are")
    catalogue = photo_catalogue(
        coords,
        list(field_ids),
        y + 0.5,
        x + 0.5,
        galaxies["ebv"],
        coefficients=coefficients,
        petro_radius=2 * galaxies["half_light_radius"].value,
    )
    return LoopbackArchive(catalogue, frames, **options)
