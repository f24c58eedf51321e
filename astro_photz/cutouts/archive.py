# Licensed under a 3-clause BSD style license - see LICENSE
"""
Cutouts from the archive of the survey, by astroquery.
"""

import warnings
from contextlib import closing
from functools import partial

import numpy as np
from astropy import units as u
from astropy.coordinates import SkyCoord
from astropy.utils.exceptions import AstropyUserWarning
from astroquery.exceptions import RemoteServiceError
from astroquery.sdss import conf as sdss_conf

from .. import sdss
from ..config import conf
from ..dust import ebv_from_extinction
from ..flags import PhotozFlag
from .container import MINIMUM_SIZE
from .fields import Targets, cut_fields, plan_tasks, stamp_reach
from .remote import FAILURES, SkyServer, download_frame, with_retries
from .source import without_image

__all__ = ["SDSSArchive"]

_FIELD = ("run", "rerun", "camcol", "field")
_PLACE = ("ra", "dec", *_FIELD, "rowc_r", "colc_r")
_EXTINCTION = tuple(f"extinction_{band}" for band in sdss.BANDS)
_PSF = tuple(f"psffwhm_{band}" for band in sdss.BANDS)
# Positions of a batch go up in one query; the server's own limit is on the time that it takes.
_BATCH = 500


class SDSSArchive:
    """
    Cutouts from the servers of SDSS.

    The positions are matched with the nearest primary object of the catalogue, which tells the field, the Galactic
    extinction and the widths of the point-spread function; then the five frames of each field are downloaded, once,
    whatever the number of galaxies in it. Answers and frames are kept in the caches of astroquery and astropy, so that
    a second call needs no network.

    Parameters
    ----------
    data_release : int, optional
        Data release of SDSS.
    match_radius : `~astropy.units.Quantity` or float, optional
        How far the catalogued object may lie from the position (arcsec); at most 3 arcmin.
    threads : int, optional
        Fields that are fetched at a time; ``conf.threads`` by default.
    timeout : float, optional
        Of a request to the servers (s).
    cache : bool, optional
        Whether to use the caches.

    Raises
    ------
    ValueError
        If ``data_release`` is before DR8, whose images are of another kind, or ``match_radius`` is out of range.

    Notes
    -----
    A galaxy whose table gives ``run``, ``camcol``, ``field`` and E(B-V) is cut from that field without a query of the
    catalogue, unless its ``rerun`` is one of before DR8; its stamp then ends at the edge of the frame.

    The servers are asked at most ``conf.queries_per_minute`` queries of the catalogue, and each request
    ``conf.attempts`` times.

    Examples
    --------
    >>> import astro_photz
    >>> source = astro_photz.SDSSArchive(data_release=17)
    >>> table = astro_photz.predict(table, source=source)  # doctest: +SKIP
    """

    def __init__(self, *, data_release=17, match_radius=2 * u.arcsec, threads=None, timeout=60, cache=True):
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

    def batches(self, positions, *, size=MINIMUM_SIZE):
        """
        Cut the stamps of all galaxies: see `~astro_photz.cutouts.CutoutSource`.

        Parameters
        ----------
        positions : `~astro_photz.catalog.Positions` (N,)
        size : int, optional
            Side of a stamp (pixels).

        Yields
        ------
        `~astro_photz.cutouts.Batch`

        Warns
        -----
        AstropyUserWarning
            For what the servers failed to give.
        """
        rows = np.arange(len(positions))
        yield from without_image(rows[~positions.valid], PhotozFlag.NO_POSITION, size=size, ebv=positions.ebv)

        with closing(SkyServer(timeout=self.timeout)) as server:
            catalogue = _Catalogue(self, server, positions)
            fillers = catalogue.fillers(size)
        yield from without_image(catalogue.failed, PhotozFlag.NO_IMAGE, size=size, ebv=positions.ebv)
        yield from without_image(catalogue.unmatched, PhotozFlag.NO_MATCH, size=size, ebv=positions.ebv)
        yield from cut_fields(
            plan_tasks(catalogue.field_ids, fillers),
            Targets(positions.coord, catalogue.ebv, catalogue.psf_fwhm, self.data_release),
            load=partial(self._load, size=size),
            size=size,
            threads=self.threads or conf.threads,
            max_bytes=conf.frame_cache * 2**20,
        )

    def _load(self, field_id, band, coord, *, size):
        url = f"{sdss_conf.sas_baseurl}/{sdss.frame_path(band, field_id, data_release=self.data_release)}"
        return download_frame(url, coord=coord, size=size, timeout=self.timeout, cache=self.cache)


class _Catalogue:
    """What the catalogue server says of the galaxies."""

    def __init__(self, archive, server, positions):
        n = len(positions)
        self._archive = archive
        self._server = server
        self._coord = positions.coord
        self._depth = {}  # pixels from each matched object to the edge of its r frame
        self._off = {}  # pixels from it to the position
        self.field_ids = {}
        self.psf_fwhm = np.full((n, 5), np.nan, dtype=np.float32)
        self.ebv = np.full(n, np.nan, dtype=np.float32) if positions.ebv is None else positions.ebv.copy()

        known = np.zeros(n, dtype=bool)
        if positions.field_ids is not None:
            # Before DR8, fields had other reruns, of which there are no frames: the catalogue knows that of today.
            known = positions.valid & (positions.field_ids[:, 1] == sdss.RERUN) & np.isfinite(self.ebv)
            self.field_ids = {
                row: sdss.FieldID(*positions.field_ids[row].tolist()) for row in np.flatnonzero(known).tolist()
            }
        asked = np.flatnonzero(positions.valid & ~known)
        self.failed = self._identify(asked)
        answered = np.setdiff1d(asked, self.failed)
        self.unmatched = np.array([row for row in answered if row not in self.field_ids], dtype=int)

    def _identify(self, asked):
        """Find the primary object of each galaxy; the rows for which the server failed."""
        extinction = np.full((len(self._coord), 5), np.nan, dtype=np.float32)
        failed = []
        for start in range(0, len(asked), _BATCH):
            rows = asked[start : start + _BATCH]
            try:
                objects = self._ask("query_crossid", rows, _PLACE + _EXTINCTION + _PSF)
            except FAILURES as error:
                _warn(f"the SDSS catalogue did not answer for {len(rows)} galaxies: {error}")
                failed.extend(rows)
                continue
            for row, match, separation in self._match(rows, objects):
                self.field_ids[row] = sdss.FieldID(*(int(match[name]) for name in _FIELD))
                self._depth[row], self._off[row] = _depth(match), separation / sdss.PIXEL_SCALE
                extinction[row] = [match[name] for name in _EXTINCTION]
                self.psf_fwhm[row] = [match[name] for name in _PSF]
        self.psf_fwhm[self.psf_fwhm <= 0] = np.nan  # the catalogue has -9999 for what was not measured
        # All galaxies together tell which coefficients the release has.
        self.ebv = np.where(np.isfinite(self.ebv), self.ebv, ebv_from_extinction(extinction))
        return np.array(failed, dtype=int)

    def _ask(self, method, rows, columns):
        """Send positions to the server by a method of astroquery; the objects that it found, or None."""

        def query():
            objects = getattr(self._server, method)(
                self._coord[rows],
                radius=self._archive.match_radius,
                photoobj_fields=list(columns),
                timeout=self._archive.timeout,
                data_release=self._archive.data_release,
                cache=self._archive.cache,
            )
            if objects is not None:
                _check_answer(objects, columns)
            return objects

        def query_table():
            with warnings.catch_warnings():
                # said where the server's description of its tables is an error page, which must not stay in the cache
                warnings.filterwarnings("error", message="Field info are not available", category=AstropyUserWarning)
                try:
                    return query()
                except (AstropyUserWarning, LookupError, ValueError) as error:
                    raise RemoteServiceError(f"the answer is no table: {error}") from error

        objects = with_retries(query_table, forget=self._server.forget)
        self._server.keep()
        return objects

    def _match(self, rows, objects):
        """Rows, the nearest object of each and how far it is: the server leaves out rows, and gives no names."""
        if objects is None:
            return
        places = SkyCoord(objects["ra"], objects["dec"], unit=u.deg)
        nearest, separation, _ = self._coord[rows].match_to_catalog_sky(places)
        near = separation <= self._archive.match_radius
        for row, index, apart in zip(rows[near], nearest[near], separation[near].arcsec, strict=True):
            yield row, objects[index], apart

    def fillers(self, size):
        """
        For galaxies near the edge of their frame, the other fields in which the survey saw them.

        Where one of them holds the galaxy more centrally than the primary's field, they change places.
        """
        fillers = {}
        reach = {row: stamp_reach(size) + off for row, off in self._off.items()}
        edge = np.array([row for row, depth in self._depth.items() if depth < reach[row]], dtype=int)
        for start in range(0, len(edge), _BATCH):
            rows = edge[start : start + _BATCH]
            try:
                detections = self._ask("query_region", rows, _PLACE)
            except FAILURES as error:
                _warn(f"the SDSS catalogue did not answer; {len(rows)} stamps end at the edge of a frame: {error}")
                continue
            if detections is None:
                continue
            places = SkyCoord(detections["ra"], detections["dec"], unit=u.deg)
            of_detection, of_row, *_ = self._coord[rows].search_around_sky(places, self._archive.match_radius)
            for index, row in enumerate(rows):
                found = {self.field_ids[row]: self._depth[row]}
                for detection in detections[of_detection[of_row == index]]:
                    field_id = sdss.FieldID(*(int(detection[name]) for name in _FIELD))
                    found[field_id] = _depth(detection)
                first, *others = sorted(found, key=found.get, reverse=True)
                self.field_ids[row] = first
                if found[first] < reach[row] and others:
                    fillers[row] = others
        return fillers


def _warn(message):
    warnings.warn(message, AstropyUserWarning, stacklevel=5)  # where the user's loop or call is


def _check_answer(objects, columns):
    """Tell an error page that was read as a table, or a table that breaks off, from an answer."""
    missing = [name for name in columns if name not in objects.colnames]
    if missing:
        raise RemoteServiceError(f"the answer is no table of objects: it lacks {', '.join(missing)}")
    if any(np.ma.is_masked(column) for column in objects.columns.values()):
        raise RemoteServiceError("the answer breaks off in the middle of a row")


def _depth(match):
    """Pixels from an object to the nearest edge of its r frame."""
    (rows, columns), column, row = sdss.FRAME_SHAPE, float(match["colc_r"]), float(match["rowc_r"])
    return min(column, columns - column, row, rows - row)
