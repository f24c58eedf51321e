# Licensed under a 3-clause BSD style license - see LICENSE
"""
Cutouts from the archive of the survey, by astroquery.
"""

from __future__ import annotations

import warnings
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import closing
from typing import TYPE_CHECKING

import numpy as np
from astropy import units as u
from astropy.utils.exceptions import AstropyUserWarning
from astroquery.exceptions import RemoteServiceError
from astroquery.sdss import conf as sdss_conf

from astro_photz import sdss
from astro_photz.config import conf
from astro_photz.cutouts.hdf5.layout import MINIMUM_SIZE
from astro_photz.dust import ebv_from_extinction
from astro_photz.flags import PhotozFlag
from astro_photz.sdss import FieldID

from ._archive_frames import Frames, no_network
from ._estimate import DownloadEstimate, warn_of
from ._failures import FAILURES, Lost, Unreachable, explain, host_of, root_of
from ._field_cutting import Targets, cut_fields, plan_tasks, stamp_reach
from ._frame_cache import kept_file
from ._link import Link
from ._objects import DETAILS, PLACE, TYPE, ImpossibleAnswer, is_field, read_objects
from ._skyserver import SkyServer
from .protocol import without_image

if TYPE_CHECKING:
    from astro_photz.cutouts.sources.protocol import Batch
    from astro_photz.positions import Positions

__all__ = ["SDSSArchive"]

# Positions of a batch go up in one query; the server's own limit is on the time that it takes.
_BATCH = 500


class SDSSArchive:
    """
    Cutouts from the servers of SDSS.

    Each position is matched with the nearest primary object of the catalogue, which has the field, the Galactic
    extinction and the width of the point-spread function. Then the five frames of each field are downloaded once,
    whatever the number of galaxies in it. Answers and frames stay in the cache of astropy, so that a second call needs
    no network.

    Parameters
    ----------
    data_release : int, optional
        Data release of SDSS.
    match_radius : `~astropy.units.Quantity` or float, optional
        Largest distance of the catalogued object from the position (arcsec); at most 3 arcmin.
    threads : int, optional
        Fields that are fetched at the same time; ``conf.threads`` by default.
    timeout : float, optional
        Time (s) without a sign of the server after which an attempt at a request is given up.
    cache : bool, optional
        Whether to use the caches.
    confirm : callable, optional
        Takes an estimate of a download above ``conf.confirm_download_gb`` before it begins: an object with ``fields``,
        ``frames`` and ``gigabytes``. An error that it raises ends the call. By default a warning tells the estimate.

    Raises
    ------
    ValueError
        If ``data_release`` is before DR8, whose images are of another kind, or ``match_radius``, ``threads`` or
        ``timeout`` is out of range.

    Notes
    -----
    A galaxy whose table gives ``run``, ``camcol``, ``field`` and E(B-V) is cut from that field without a query of the
    catalogue, and its stamp ends at the edge of the frame. A ``rerun`` from before DR8 is looked up all the same.

    At most ``conf.queries_per_minute`` queries go to the catalogue, from all processes of a user that share a cache.
    Waits of more than some seconds are announced through the logger ``astro_photz``.

    A request, which is a query or a frame, has several attempts. One attempt is given up after ``timeout`` seconds
    without a sign; after these, when fewer bytes have come than ``conf.minimum_rate`` asks for; and after ten times
    ``timeout`` in any case. There are ``conf.attempts`` of them, with pauses between that begin at ``conf.retry_wait``
    and double, or are as long as the server asks for; but from the third attempt on they begin within
    ``conf.patience``, and a longer pause is not waited for. So the longest time of a request is::

        T = conf.patience + 2 A    with A = timeout where the server is silent or drips, else 10 timeout, at most

    (The first query asks for two lists of columns besides, and each may take A.)

    A server that fails ``conf.failures_in_a_row`` requests one after the other, be it by errors, by silence, or by
    something else than what was asked for, is not asked any more in the same call. An absent frame (404) does not
    count, and a success begins the count anew. The other rows that would need it are flagged ``NO_IMAGE``; a warning
    says how many they are, and a later call takes them up. So such a server makes a call longer by
    ``failures_in_a_row`` T for the catalogue, and as long again, and an A, for the frames, at most. In general, a call
    takes longer by T for each query that fails, and by T / ``threads`` for each frame.

    Without a connection to a server that never answered there are three attempts within 20 s.

    Examples
    --------
    >>> import astro_photz
    >>> source = astro_photz.SDSSArchive(data_release=17, match_radius=2)
    >>> source.name
    'SDSS DR17'
    >>> astro_photz.SDSSArchive(data_release=7)
    Traceback (most recent call last):
        ...
    ValueError: data_release must be 8 or later, got 7: earlier frames are not calibrated
    """

    def __init__(
        self,
        *,
        data_release: int = 17,
        match_radius: u.Quantity = 2 * u.arcsec,
        threads: int | None = None,
        timeout: float = 60,
        cache: bool = True,
        confirm: Callable | None = None,
    ):
        if data_release < 8:
            raise ValueError(f"data_release must be 8 or later, got {data_release}: earlier frames are not calibrated")
        self.data_release = data_release
        self.match_radius = u.Quantity(match_radius, u.arcsec)
        if not 0 * u.arcsec < self.match_radius <= SkyServer.MAX_CROSSID_RADIUS:
            raise ValueError(f"match_radius must lie between 0 and 3 arcmin, got {match_radius}")
        if threads is not None and threads < 1:
            raise ValueError(f"threads must be at least 1, got {threads}")
        if not 0 < timeout < np.inf:
            raise ValueError(f"timeout must be a positive number of seconds, got {timeout}")
        self.threads = threads
        self.timeout = timeout
        self.cache = cache
        self.confirm = confirm or warn_of
        self._expected, self._confirmed = DownloadEstimate(0, 0), False
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
            About failures of the servers, and a download above ``conf.confirm_download_gb``.
        """
        rows = np.arange(len(positions))
        yield from without_image(rows[~positions.valid], PhotozFlag.NO_POSITION, size=size, ebv=positions.ebv)

        threads = self.threads or conf.threads
        with closing(Link(threads=threads)) as link:
            with closing(SkyServer(timeout=self.timeout, link=link, cache=self.cache)) as server:
                catalogue = _Catalogue(self, server, link, positions)
                fillers = catalogue.fillers(size)
            for problem, failed in catalogue.failures.items():
                options = {"size": size, "ebv": positions.ebv, "problems": (problem,)}
                yield from without_image(np.array(failed), PhotozFlag.NO_IMAGE, **options)
            yield from without_image(catalogue.unmatched, PhotozFlag.NO_MATCH, size=size, ebv=positions.ebv)
            tasks = plan_tasks(catalogue.field_ids, fillers)
            self._announce({field_id for task in tasks for field_id in task.fields})
            yield from cut_fields(
                tasks,
                Targets(positions.coord, catalogue.ebv, catalogue.psf_fwhm, self.data_release),
                load=Frames(self, link, tasks, size, alone=not catalogue.answered).load,
                size=size,
                threads=threads,
                max_bytes=conf.frame_cache * 2**20,
            )

    def _announce(self, fields):
        """Let a large download be confirmed, once for this object, all calls together."""
        self._expected += DownloadEstimate.of(fields, self._is_kept)
        if self._expected.is_large and not self._confirmed:
            self.confirm(self._expected)
            self._confirmed = True

    def _is_kept(self, field_id, band):
        url = self.frame_url(field_id, band)
        return url.startswith("file:") or (self.cache and kept_file(url) is not None)

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
        self._lost = False  # the user has been warned of a server that is not asked any more
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
        self.failures = self._identify(asked)
        answered = np.setdiff1d(asked, self.failed)
        self.unmatched = np.array([row for row in answered if row not in self.field_ids], dtype=int)

    @property
    def failed(self):
        """Rows for which the server failed, `~numpy.ndarray` of int."""
        return np.array([row for failed in self.failures.values() for row in failed], dtype=int)

    def _identify(self, asked):
        """Find the primary object of each galaxy; return the rows for which the server failed, by what was wrong."""
        extinction = np.full((len(self._coord), 5), np.nan, dtype=np.float32)
        alone = not self.field_ids
        failed, n_left, lost = defaultdict(list), 0, None
        for start in range(0, len(asked), _BATCH):
            rows = asked[start : start + _BATCH]
            try:
                objects = self._ask("query_crossid", rows, PLACE + DETAILS, most=len(rows))
            except FAILURES as error:
                if alone and isinstance(error, Unreachable) and not self.answered:
                    raise no_network(error) from root_of(error)
                failed[f"the SDSS catalogue did not answer: {explain(error, self._host)}"].extend(rows)
                if isinstance(error, Lost):
                    n_left, lost = n_left + len(rows), error
                else:
                    self._warn(error, f"the SDSS catalogue did not answer for {len(rows)} galaxies")
                continue
            matched = list(self._match(rows, objects))
            if doubtful := _in_doubt(rows, matched, objects):
                failed["the SDSS catalogue answered what cannot be"].extend(doubtful)
            for row, index, separation in matched:
                if objects.field_ids[index] is not None:
                    self.field_ids[row] = objects.field_ids[index]
                    self._depth[row], self._off[row] = objects.depth[index], separation / sdss.PIXEL_SCALE
                extinction[row], self.psf_fwhm[row] = objects.extinction[index], objects.psf_fwhm[index]
        if lost:
            self._warn(lost, f"{n_left} galaxies are left for a later call, without an answer of the SDSS catalogue")
        self.ebv = np.where(np.isfinite(self.ebv), self.ebv, ebv_from_extinction(extinction, strict=False))
        return failed

    def _warn(self, error, what):
        """Warn of a failure; only once of a server that is lost."""
        if not self._lost:
            self._lost = isinstance(error, Lost)
            warnings.warn(f"{what}: {explain(error, self._host)}", AstropyUserWarning, stacklevel=5)

    @property
    def _host(self):
        return host_of(sdss_conf.skyserver_baseurl)

    def _ask(self, method, rows, columns, **most):
        """
        Send positions to the server by a method of astroquery; return the `Objects` that it found.

        A warning tells of lines that cannot be; what they concern has no field.
        """

        def query():
            text = getattr(self._server, method)(
                self._coord[rows],
                radius=self._archive.match_radius,
                photoobj_fields=list(columns),
                timeout=self._archive.timeout,
                data_release=self._archive.data_release,
            )
            given = (*columns, TYPE) if method == "query_crossid" else columns
            return read_objects(text, given, around=self._coord[rows], radius=self._archive.match_radius, **most)

        def query_in_our_terms():
            with warnings.catch_warnings():
                warnings.filterwarnings("error", message="Field info are not available", category=AstropyUserWarning)
                try:
                    return query()
                except (AstropyUserWarning, LookupError, TypeError, ValueError) as error:
                    raise RemoteServiceError(str(error)) from error

        def query_cache_or_server():
            while True:
                try:
                    return query_in_our_terms()
                except RemoteServiceError:
                    if not self._server.forget():  # it was the server, and not the cache
                        raise

        try:
            objects = self._link.with_retries(query_cache_or_server, host=self._host, forget=self._server.forget)
        except ImpossibleAnswer as error:
            objects = error.objects
            self._warn(error, f"the SDSS catalogue's answer for {len(rows)} galaxies is used but for impossible lines")
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


def _in_doubt(rows, matched, objects):
    """List the rows whose line of the answer is impossible, and those whose line may be one that is nowhere."""
    impossible = [row for row, index, _ in matched if objects.field_ids[index] is None]
    return impossible + (np.setdiff1d(rows, [row for row, *_ in matched]).tolist() if objects.astray else [])
