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

from __future__ import annotations

import functools
import os
import tempfile
import threading
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from typing import Any, Self

import numpy as np
from astropy.config import set_temp_cache
from astropy.coordinates import SkyCoord
from astropy.table import Table

from astro_photz.sdss import BANDS, FRAME_SHAPE, FieldID, frame_path

from .catalogues import detections, field_table, frame_wcs, photo_catalogue
from .database import Database
from .server import FAULTS, Server
from .synthetic_frames import Field, make_run
from .synthetic_sky import Galaxy, Geometry, make_sky

__all__ = ["LoopbackArchive", "Request", "real_archive", "synthetic_archive"]


@dataclass(frozen=True)
class Request:
    """One request that the archive received: ``kind`` is 'schema', 'crossid', 'sql' or 'frame'."""

    method: str
    path: str
    kind: str
    time: float


@dataclass
class _Fault:
    """A way to misbehave, and the requests that meet it."""

    kind: str | None
    mode: int | str
    times: int | None
    path_contains: str | None
    retry_after: str | None

    def strikes(self, kind, path):
        """Count a request, and tell if it meets the fault."""
        if self.times == 0 or self.kind not in (None, kind) or (self.path_contains or "") not in path:
            return False
        if self.times is not None:
            self.times -= 1
        return True


class LoopbackArchive:
    """
    A context in which astroquery's requests go to a server on this machine, with caches of its own.

    Parameters
    ----------
    catalogue : `~astropy.table.Table`
        Detected objects: a table as ``testing.catalogues.photo_catalogue`` makes it.
    frames : dict
        bytes or `~pathlib.Path` of each frame, by its path below the archive's root (`~astro_photz.sdss.frame_path`).
    delay : float, optional
        Seconds to wait before each answer.

    Attributes
    ----------
    requests : list of Request
        All requests so far.
    cache : `~pathlib.Path`
        Folder of astropy's and astroquery's caches inside the context.

    Examples
    --------
    >>> import astro_photz
    >>> from astro_photz import testing
    >>> with testing.synthetic_archive() as archive:
    ...     cutouts = astro_photz.fetch(archive.positions[:2])
    >>> cutouts
    <Cutouts of 2 galaxies, 5 x 64 x 64 pixels>
    >>> len(archive.requests) > 0
    True
    """

    def __init__(self, catalogue: Table, frames: Mapping[str, bytes | Path], *, delay: float = 0.0):
        self.catalogue = catalogue
        self.frames = dict(frames)
        self.delay = delay
        self.requests: list[Request] = []
        self.cache = None
        self._faults: list[_Fault] = []
        self._lock = threading.Lock()
        self._fields = field_table(self.frames)

    @classmethod
    def of(
        cls,
        fields: Sequence[Field],
        galaxies: Sequence[Galaxy],
        *,
        coefficients: str = "DR13",
        data_release: int = 17,
        **options: Any,
    ) -> Self:
        """
        Make an archive of synthetic fields and the galaxies in them.

        Parameters
        ----------
        fields : list of `~astro_photz.testing.synthetic_frames.Field`
        galaxies : list of `~astro_photz.testing.synthetic_sky.Galaxy`
        coefficients : {'DR12', 'DR13'}, optional
            Coefficients that the catalogue's extinctions are made with.
        data_release : int, optional
        **options
            Of `LoopbackArchive`.

        Returns
        -------
        `LoopbackArchive`
        """
        frames = {
            frame_path(band, field.field_id, data_release=data_release): field.frame(band)
            for field in fields
            for band in BANDS
        }
        seen = [detection for galaxy in galaxies for detection in detections(fields, galaxy)]
        found, ids, x, y, mode = zip(*seen, strict=True) if seen else [()] * 5
        catalogue = photo_catalogue(
            SkyCoord([galaxy.ra for galaxy in found], [galaxy.dec for galaxy in found], unit="deg"),
            ids,
            np.add(y, 0.5),
            np.add(x, 0.5),
            [galaxy.ebv for galaxy in found],
            mode=mode,
            coefficients=coefficients,
        )
        return cls(catalogue, frames, **options)

    @property
    def primaries(self) -> Table:
        """The catalogue's primary objects (`~astropy.table.Table`)."""
        return self.catalogue[self.catalogue["mode"] == 1]

    @property
    def positions(self) -> SkyCoord:
        """Positions of the primary objects (`~astropy.coordinates.SkyCoord`)."""
        return SkyCoord(self.primaries["ra"], self.primaries["dec"], unit="deg")

    def count(self, kind: str, path_contains: str = "") -> int:
        """
        Count the requests of a kind so far.

        Parameters
        ----------
        kind : {'schema', 'crossid', 'sql', 'frame'}
        path_contains : str, optional
            Only those whose path contains it.

        Returns
        -------
        int
        """
        return sum(r.kind == kind and path_contains in r.path for r in self.requests)

    def fail(
        self,
        kind: str | None,
        mode: int | str,
        *,
        times: int | None = None,
        path_contains: str | None = None,
        retry_after: str | None = None,
    ) -> None:
        """
        Misbehave from now on.

        Parameters
        ----------
        kind : {'schema', 'crossid', 'sql', 'frame', None}
            What to fail at; None for everything.
        mode : int or str
            An HTTP status (429 asks to retry after 0 s), or 'timeout' or 'hang' (no answer for longer than any client
            waits), 'disconnect' (hangs up without an answer), 'reset' (breaks the connection), 'html' (an error page
            with status 200), 'truncated' (half of the body, announced as if it were all), 'cut off' (hangs up after
            half of the body), 'stall' (falls silent there), 'empty', 'drip' and 'drip headers' (a byte a second), or
            'endless'.
        times : int, optional
            How often. Always by default.
        path_contains : str, optional
            Only for paths that contain it.
        retry_after : str, optional
            Header ``Retry-After`` of an HTTP status.

        Raises
        ------
        ValueError
            If there is no such mode.
        """
        if not (mode in FAULTS or isinstance(mode, int)):
            raise ValueError(f"mode must be an HTTP status or one of {FAULTS}, got {mode!r}")
        if retry_after is None and mode == HTTPStatus.TOO_MANY_REQUESTS:
            retry_after = "0"
        with self._lock:
            self._faults.append(_Fault(kind, mode, times, path_contains, retry_after))

    def alter(self, column: str, value: object, *, row: int) -> None:
        """
        Change a value that the searches return for an object. The object is still found at its old position.

        Parameters
        ----------
        column : str
        value : object
            None comes as ``null``, text as it is.
        row : int
            Of the catalogue.
        """
        self._database.alter(column, value, self.catalogue["objID"][row])

    def mend(self) -> None:
        """Behave well again."""
        with self._lock:
            self._faults.clear()

    def receive(self, method: str, path: str, kind: str) -> _Fault | None:
        """Record a request, and return the fault that it meets, if any."""
        with self._lock:
            self.requests.append(Request(method, path, kind, time.monotonic()))
            return next((fault for fault in self._faults if fault.strikes(kind, path)), None)

    def __enter__(self):
        # Importing astroquery takes half a second: only those who start an archive pay.
        from astroquery import sdss
        from astroquery.sdss import field_names

        with ExitStack() as stack:
            self._database = Database(self.catalogue, self._fields)
            stack.callback(self._database.close)
            server = Server(self, self._database)
            stack.callback(server.stop)
            url = f"http://127.0.0.1:{server.server_port}"
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


@functools.cache
def _synthetic_sky():
    geometry = Geometry(ra=150.1, dec=2.2)
    galaxies = [
        galaxy
        for k in range(3)
        for galaxy in make_sky(geometry.window(0, 120 * k, geometry.shape), 3, seed=k, margin=40)
    ]
    return make_run(FieldID(4207, 301, 3, 110), geometry, galaxies, n_fields=3), galaxies


def synthetic_archive(*, coefficients: str = "DR13", **options: Any) -> LoopbackArchive:
    """
    Make an archive of three small consecutive fields with nine galaxies.

    Parameters
    ----------
    coefficients : {'DR12', 'DR13'}, optional
        Coefficients that the catalogue's extinctions are made with.
    **options
        Of `LoopbackArchive`.

    Returns
    -------
    `LoopbackArchive`

    Examples
    --------
    >>> from astro_photz import testing
    >>> archive = testing.synthetic_archive()
    >>> len(archive.primaries)
    9
    """
    fields, galaxies = _synthetic_sky()
    return LoopbackArchive.of(fields, galaxies, coefficients=coefficients, **options)


def real_archive(folder: Path, *, coefficients: str = "DR13", **options: Any) -> LoopbackArchive:
    """
    Make an archive of real fields, with the galaxies known in them.

    Parameters
    ----------
    folder : `~pathlib.Path`
        With ``real_galaxies.ecsv``, and their frames in ``sdss_frames``.
    coefficients : {'DR12', 'DR13'}, optional
        Coefficients that the catalogue's extinctions are made with.
    **options
        Of `LoopbackArchive`.

    Returns
    -------
    `LoopbackArchive`

    Raises
    ------
    ValueError
        If a galaxy lies outside its frame.
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
        wcs = frame_wcs(frames[frame_path("r", field_id)])
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
