# Licensed under a 3-clause BSD style license - see LICENSE
"""Answers without an end, or far longer than any: they are cut off, and count as a failure of the server."""

import gzip
import threading
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from astropy.config import set_temp_cache
from astropy.coordinates import SkyCoord
from astropy.table import Table
from astropy.utils.exceptions import AstropyUserWarning
from astroquery.sdss import SDSSClass, field_names
from astroquery.sdss import conf as sdss_conf

from astro_photz.config import conf
from astro_photz.cutouts.frames import FrameError
from astro_photz.cutouts.sources import _link as link_module
from astro_photz.cutouts.sources import _skyserver as skyserver_module
from astro_photz.cutouts.sources._answers import LONGEST, folder
from astro_photz.cutouts.sources._link import Link
from astro_photz.cutouts.sources._skyserver import download_frame
from astro_photz.cutouts.sources.archive import SDSSArchive
from astro_photz.flags import PhotozFlag
from astro_photz.positions import read_positions
from astro_photz.testing.source_contract import check_source

MOST = 2**20
BLOCK = b"1.5,2.5\n" * 1000


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, format, *args):
        pass

    def do_GET(self):
        with suppress(OSError):
            self.rfile.read(int(self.headers.get("Content-Length", 0)))
            self.send_response(200)
            getattr(self, self.server.way)()

    do_POST = do_GET

    def chunked(self):
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        self._write(b"%x\r\n%s\r\n" % (len(BLOCK), BLOCK))

    def unannounced(self):
        self.send_header("Connection", "close")
        self.end_headers()
        self._write(BLOCK)

    def announced(self):
        self.send_header("Content-Length", str(10**12))
        self.end_headers()
        self._write(BLOCK)

    def announced_only(self):
        self.send_header("Content-Length", "9" * 30)
        self.end_headers()
        self.server.done.wait(30)

    def compressed(self):
        self.send_header("Content-Encoding", "gzip")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        zipped = gzip.compress(b"1" * 10**7)
        self._write(b"%x\r\n%s\r\n" % (len(zipped), zipped))

    def endless_chunk_size(self):
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        self._write(b"0" * 10_000)

    def _write(self, block):
        while not self.server.done.is_set():
            self.wfile.write(block)
            self.server.sent += len(block)
        self.close_connection = True


WAYS = ["chunked", "unannounced", "announced", "announced_only", "compressed", "endless_chunk_size"]


@contextmanager
def endless(way):
    """A server that never ends its answers; `sent` counts their bytes."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    server.way, server.sent, server.done, server.daemon_threads = way, 0, threading.Event(), True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    server.url = f"http://127.0.0.1:{server.server_port}"
    try:
        yield server
    finally:
        server.done.set()
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.fixture(autouse=True)
def settings(monkeypatch, tmp_path):
    monkeypatch.setattr(skyserver_module, "LONGEST", MOST)
    monkeypatch.setattr(link_module, "_LARGEST_FILE", MOST)
    monkeypatch.setattr(field_names, "_cached_table_fields", {})
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with conf.set_temp("retry_wait", 0.0), conf.set_temp("attempts", 2), set_temp_cache(tmp_path):
        yield


def galaxies():
    return read_positions(Table({"ra": [150.1, 150.2], "dec": [2.2, 2.3]}))


@pytest.mark.parametrize("kind", ["list of columns", "query"])
@pytest.mark.parametrize("way", WAYS)
def test_an_answer_of_the_catalogue_without_an_end(way, kind):
    with endless(way) as server, sdss_conf.set_temp("skyserver_baseurl", server.url):
        if kind == "query":  # the lists are there
            for name in ("PhotoObjAll", "SpecObjAll"):
                field_names._cached_table_fields[name, SDSSClass()._get_query_url(17)] = Table({"name": ["ra", "dec"]})
        with pytest.warns(AstropyUserWarning, match=r"did not answer for 2 galaxies: .*(longer than 1 MB|broke off)"):
            cutouts = check_source(SDSSArchive(timeout=10), galaxies())
        assert cutouts.flags.tolist() == [PhotozFlag.NO_IMAGE] * 2
        assert server.sent < 2 * 2**27 * conf.attempts  # what fits into the buffers of the system
    assert not folder().exists() or not list(folder().iterdir())


@pytest.mark.parametrize("way", [way for way in WAYS if way != "compressed"])  # files are not unpacked on the way
def test_a_frame_without_an_end(way, tmp_path):
    here = SkyCoord([150.1], [2.2], unit="deg")
    with endless(way) as server, pytest.raises(FrameError, match=r"longer than 1 MB|broke off"):
        download_frame(f"{server.url}/frame-r-001043-5-0025.fits.bz2", link=Link(), coord=here, size=64, timeout=10)
    assert not [path for path in tmp_path.rglob("*") if path.is_file() and path.name == "contents"]


def test_the_limits_leave_room_for_what_is_real(monkeypatch):
    """A line of a query has some 250 bytes, a compressed frame up to 13 MB."""
    monkeypatch.undo()
    assert LONGEST > 10 * 500 * 250
    assert link_module._LARGEST_FILE > 4 * 13e6
