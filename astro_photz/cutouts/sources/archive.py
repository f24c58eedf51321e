# Licensed under a 3-clause BSD style license - see LICENSE
"""
Cutouts from the archive of the survey, by astroquery.
"""

from __future__ import annotations

import threading
import warnings
from collections.abc import Iterator
from contextlib import closing
from typing import TYPE_CHECKING

import numpy as np
from astropy import units as u
from astropy.utils.exceptions import AstropyUserWarning
from astroquery.exceptions import RemoteServiceError
from astroquery.sdss import conf as sdss_conf

from astro_photz import sdss
from astro_photz.config import conf
from astro_photz.cutouts.frames import FrameError
from astro_photz.cutouts.hdf5.layout import MINIMUM_SIZE
from astro_photz.dust import ebv_from_extinction
from astro_photz.flags import PhotozFlag
from astro_photz.sdss import FieldID

from ._failures import FAILURES, Unreachable, explain, host_of
from ._field_cutting import Targets, cut_fields, plan_tasks, stamp_reach
from ._objects import DETAILS, PLACE, Objects, check_answer, is_field
from ._skyserver import Link, SkyServer, download_frame, kept_file
from .protocol import without_image

if TYPE_CHECKING:
    from astro_photz.cutouts.sources.protocol import Batch
    from astro_photz.positions import Positions

__all__ = ["SDSSArchive"]

# Positions of a batch go up in one query; the server's own limit is on the time that it takes.
_BATCH = 500
_REMEDY = "check the network, or take the images from a folder of frames or a file of cutouts, by source="


class SDSSArchive:
    """
    Cutouts from the servers of SDSS.

    Each position is matched with the nearest primary object of the catalogue, which has the field, the Galactic
    extinction and the width of the point-spread function. Then the five frames of each field are downloaded once,
    whatever the number of galaxies in it. Answers and frames stay in the caches of astroquery and astropy, so that a
    second call needs no network.

    Parameters
    ----------
    data_release : int, optional
        Data release of SDSS.
    match_radius : `~astropy.units.Quantity` or float, optional
        Largest distance of the catalogued object from the position (arcsec); at most 3 arcmin.
    threads : int, optional
        Fields that are fetched at the same time; ``conf.threads`` by default.
    timeout : float, optional
        Time limit of a request to the servers (s).
    cache : bool, optional
        Whether to use the caches.

    Raises
    ------
    ValueError
        If ``data_release`` is before DR8, whose images are of another kind, or ``match_radius`` is out of range.

    Notes
    -----
    A galaxy whose table gives ``run``, ``camcol``, ``field`` and E(B-V) is cut from that field without a query of the
    catalogue, and its stamp ends at the edge of the frame. A ``rerun`` from before DR8 is looked up all the same.

    At most ``conf.queries_per_minute`` queries go to the catalogue. A request is tried ``conf.attempts`` times, but a
    server that cannot be reached is not tried again in the same call. Waits of more than some seconds are announced
    through the logger ``astro_photz``.

    Examples
    --------
    >>> import astro_photz
    >>> source = astro_photz.SDSSArchive(data_release=17)
    >>> table = astro_photz.predict(table, source=source)  # doctest: +SKIP
    """

    def __init__(
        self,
        *,
        data_release: int = 17,
        match_radius: u.Quantity = 2 * u.arcsec,
        threads: int | None = None,
        timeout: float = 60,
        cache: bool = True,
    ):
        if data_release < 8:
            raise ValueError(f"data_release must be 8 or later, got {data_release}: earlier frames are not calibrated")
        self.data_release = data_release
        self.match_radius = u.Quantity(match_radius, u.arcsec)
        if not 0 * u.arcsec < self.match_radius <= SkyServer.MAX_CROSSID_RADIUS:
            raise ValueError(f"match_radius must lie between 0 and 3 arcmin, got {match_radius}")
        self.threads = threads
        self.timeout = timeout
        self.cache = cache
        self.name = f"SDSS DR{data_release}"

    def __repr__(self):
        return f"<SDSSArchive DR{self.data_release}>"

    def batches(self, positions: Positions, *, size: int = MINIMUM_SIZE) -> Iterator[Batch]:
        """
        Cut the stamps of all galaxies: see `~astro_photz.cutouts.CutoutSource`.

        Parameters
        ----------
        positions : `~astro_photz.positions.Positions` (N,)
        size : int, optional
            Side of a stamp (pixels).

        Yields
        ------
        `~astro_photz.cutouts.Batch`

        Raises
        ------
        ConnectionError
            If the servers cannot be reached, and nothing is in the cache.

        Warns
        -----
        AstropyUserWarning
            About failures of the servers.
        """
        rows = np.arange(len(positions))
        yield from without_image(rows[~positions.valid], PhotozFlag.NO_POSITION, size=size, ebv=positions.ebv)

        threads = self.threads or conf.threads
        with closing(Link(threads=threads)) as link:
            with closing(SkyServer(timeout=self.timeout, link=link)) as server:
                catalogue = _Catalogue(self, server, link, positions)
                fillers = catalogue.fillers(size)
            yield from without_image(catalogue.failed, PhotozFlag.NO_IMAGE, size=size, ebv=positions.ebv)
            yield from without_image(catalogue.unmatched, PhotozFlag.NO_MATCH, size=size, ebv=positions.ebv)
            tasks = plan_tasks(catalogue.field_ids, fillers)
            yield from cut_fields(
                tasks,
                Targets(positions.coord, catalogue.ebv, catalogue.psf_fwhm, self.data_release),
                load=_Frames(self, link, tasks, size, alone=not catalogue.answered).load,
                size=size,
                threads=threads,
                max_bytes=conf.frame_cache * 2**20,
            )

    def frame_url(self, field_id: FieldID, band: str) -> str:
        """
        Make the URL of a frame.

        Parameters
        ----------
        field_id : `~astro_photz.sdss.FieldID`
        band : str

        Returns
        -------
        str
        """
        return f"{sdss_conf.sas_baseurl}/{sdss.frame_path(band, field_id, data_release=self.data_release)}"


class _Frames:
    """Frames of the archive."""

    def __init__(self, archive, link, tasks, size, *, alone):
        self._archive = archive
        self._link = link
        self._size = size
        self._fields = {field_id for task in tasks for field_id in task.fields}
        self._alone = alone  # the catalogue gave nothing
        self._lock = threading.Lock()

    def load(self, field_id, band, coord):
        archive = self._archive
        options = {"link": self._link, "size": self._size, "timeout": archive.timeout, "cache": archive.cache}
        try:
            frame = download_frame(archive.frame_url(field_id, band), coord=coord, **options)
        except FrameError as error:
            if isinstance(error.__cause__, Unreachable) and self._nothing_to_be_had():
                raise _no_network(error.__cause__) from error
            raise
        self._alone = False
        return frame

    def _nothing_to_be_had(self):
        """Check whether neither the catalogue nor a frame came, and no frame is in the cache."""
        with self._lock:
            urls = (self._archive.frame_url(field_id, band) for field_id in self._fields for band in sdss.BANDS)
            self._alone = self._alone and not (self._archive.cache and any(map(kept_file, urls)))
            self._fields = set()  # one look is enough
            return self._alone


class _Catalogue:
    """Answers of the catalogue server about the galaxies."""

    def __init__(self, archive, server, link, positions):
        n = len(positions)
        self._archive = archive
        self._server = server
        self._link = link
        self._coord = positions.coord
        self._depth = {}  # pixels from each matched object to the edge of its r frame
        self._off = {}  # pixels from it to the position
        self._out_of_reach = False  # the user has been warned of a server that cannot be reached
        self.answered = False
        self.field_ids = {}
        self.psf_fwhm = np.full((n, 5), np.nan, dtype=np.float32)
        self.ebv = np.full(n, np.nan, dtype=np.float32) if positions.ebv is None else positions.ebv.copy()

        known = np.zeros(n, dtype=bool)
        if positions.field_ids is not None:
            # Fields from before DR8 have other reruns, without frames: the catalogue knows the present one.
            known = positions.valid & (positions.field_ids[:, 1] == sdss.RERUN) & np.isfinite(self.ebv)
            known &= is_field(positions.field_ids)
            self.field_ids = {
                row: sdss.FieldID(*positions.field_ids[row].tolist()) for row in np.flatnonzero(known).tolist()
            }
        asked = np.flatnonzero(positions.valid & ~known)
        self.failed = self._identify(asked)
        answered = np.setdiff1d(asked, self.failed)
        self.unmatched = np.array([row for row in answered if row not in self.field_ids], dtype=int)

    def _identify(self, asked):
        """Find the primary object of each galaxy; return the rows for which the server failed."""
        extinction = np.full((len(self._coord), 5), np.nan, dtype=np.float32)
        alone = not self.field_ids
        failed = []
        for start in range(0, len(asked), _BATCH):
            rows = asked[start : start + _BATCH]
            try:
                objects = self._ask("query_crossid", rows, PLACE + DETAILS)
            except FAILURES as error:
                if alone and isinstance(error, Unreachable) and not self.answered:
                    raise _no_network(error) from error
                self._warn(error, f"the SDSS catalogue did not answer for {len(rows)} galaxies")
                failed.extend(rows)
                continue
            for row, index, separation in self._match(rows, objects):
                if objects.field_ids[index] is not None:
                    self.field_ids[row] = objects.field_ids[index]
                    self._depth[row], self._off[row] = objects.depth[index], separation / sdss.PIXEL_SCALE
                extinction[row], self.psf_fwhm[row] = objects.extinction[index], objects.psf_fwhm[index]
        self.ebv = np.where(np.isfinite(self.ebv), self.ebv, ebv_from_extinction(extinction, strict=False))
        return np.array(failed, dtype=int)

    def _warn(self, error, what):
        """Warn of a failure; only once of a server that cannot be reached."""
        if self._out_of_reach:
            return
        self._out_of_reach = isinstance(error, Unreachable)
        ahead = ", nor will it for others" if self._out_of_reach else ""
        warnings.warn(f"{what}{ahead}: {explain(error, self._host)}", AstropyUserWarning, stacklevel=5)

    @property
    def _host(self):
        return host_of(sdss_conf.skyserver_baseurl)

    def _ask(self, method, rows, columns):
        """Send positions to the server by a method of astroquery; return the `Objects` that it found."""

        def query():
            table = getattr(self._server, method)(
                self._coord[rows],
                radius=self._archive.match_radius,
                photoobj_fields=list(columns),
                timeout=self._archive.timeout,
                data_release=self._archive.data_release,
                cache=self._archive.cache,
            )
            if table is not None:
                check_answer(table, columns)
            return Objects.of(table)

        def query_table():
            with warnings.catch_warnings():
                # astroquery's warning of an error page instead of the list of columns, which must not stay in the cache
                warnings.filterwarnings("error", message="Field info are not available", category=AstropyUserWarning)
                try:
                    return query()
                except (AstropyUserWarning, LookupError, ValueError) as error:
                    raise RemoteServiceError(str(error)) from error

        objects = self._link.with_retries(query_table, host=self._host, forget=self._server.forget)
        self._server.keep()
        self.answered = True
        return objects

    def _match(self, rows, objects):
        """Yield rows, the nearest object of each and its distance: the server leaves out rows, and gives no names."""
        if not objects.field_ids:
            return
        nearest, separation, _ = self._coord[rows].match_to_catalog_sky(objects.coord)
        near = separation <= self._archive.match_radius
        yield from zip(rows[near].tolist(), nearest[near].tolist(), separation[near].arcsec.tolist(), strict=True)

    def fillers(self, size):
        """
        Find the other fields that show galaxies near the edge of their frame.

        If one of them holds a galaxy more centrally than the primary's field, the two change places.
        """
        fillers = {}
        reach = {row: stamp_reach(size) + off for row, off in self._off.items()}
        # An unknown depth counts as near.
        edge = np.array([row for row, depth in self._depth.items() if not depth >= reach[row]], dtype=int)
        for start in range(0, len(edge), _BATCH):
            rows = edge[start : start + _BATCH]
            try:
                detections = self._ask("query_region", rows, PLACE)
            except FAILURES as error:
                self._warn(error, f"the SDSS catalogue did not answer; {len(rows)} stamps end at the edge of a frame")
                continue
            for row, seen in self._seen(rows, detections):
                first, *others = sorted(seen, key=seen.get, reverse=True)
                self.field_ids[row] = first
                if others and not reach[row] <= seen[first] < np.inf:
                    fillers[row] = others
        return fillers

    def _seen(self, rows, detections):
        """Yield each row with the fields that show it, and its distance from their edges (pixels)."""
        of_detection, of_row, *_ = self._coord[rows].search_around_sky(detections.coord, self._archive.match_radius)
        for index, row in enumerate(rows.tolist()):
            own = self.field_ids[row]
            # With an unknown depth, the primary's field goes first and any other last.
            seen = {own: np.nan_to_num(self._depth[row], nan=np.inf)}
            for detection in of_detection[of_row == index]:
                field_id, depth = detections.field_ids[detection], detections.depth[detection]
                if field_id is not None and np.isfinite(depth):
                    seen[field_id] = depth
                elif field_id is not None:
                    seen.setdefault(field_id, -np.inf)
            yield row, seen


def _no_network(error):
    return ConnectionError(f"no network: {error}; {_REMEDY}")
