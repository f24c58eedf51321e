# Licensed under a 3-clause BSD style license - see LICENSE
"""
Stamps cut field by field, whatever the frames come from.

Reading a frame takes a hundred times longer than cutting a stamp out of it. So a frame is read as far as the last of
its galaxies, and all of them are cut while it is in memory; frames that a neighbouring field will need again stay
there, up to a limit.
"""

import threading
import warnings
from collections import Counter, OrderedDict, defaultdict, deque
from concurrent.futures import CancelledError, Future, ThreadPoolExecutor
from contextlib import closing
from typing import NamedTuple

import numpy as np
from astropy.table import Table
from astropy.utils.exceptions import AstropyUserWarning

from astro_photz.cutouts.container import PROVENANCE, Cutouts
from astro_photz.cutouts.frames import AffineMap, FrameError, resample
from astro_photz.flags import PhotozFlag
from astro_photz.sdss import BANDS, FieldID

from .protocol import BATCH_SIZE, Batch

__all__ = ["BANDS_APART", "FieldTask", "FrameStore", "Targets", "cut_fields", "plan_tasks", "stamp_reach"]

# Pixels along the edges that are left to other frames, if there are any: first those where the spline errs by more
# than 0.1 % of the gradient, at last none.
_TRIMS = (6, 4, 2, 0)
BANDS_APART = 12
"""Pixels by which the frames of a field lie off that of the *r* band, at most."""


class Targets(NamedTuple):
    """
    What is known of the galaxies before their images are there.

    Parameters
    ----------
    coord : `~astropy.coordinates.SkyCoord` (N,)
    ebv : `~numpy.ndarray` (N,) float32
        E(B-V) (mag).
    psf_fwhm : `~numpy.ndarray` (N, 5) float32
        Widths of the point-spread function (arcsec).
    data_release : int
        Of the frames; -1 if unknown.
    """

    coord: object
    ebv: np.ndarray
    psf_fwhm: np.ndarray
    data_release: int


class FieldTask(NamedTuple):
    """
    The galaxies to be cut from one field.

    Parameters
    ----------
    field_id : `~astro_photz.sdss.FieldID`
    rows : `~numpy.ndarray` (M,) of int
        Which of the targets.
    fillers : dict of int to list of `~astro_photz.sdss.FieldID`
        For a row whose stamp crosses the frame's edge, the fields that hold the rest.
    """

    field_id: FieldID
    rows: np.ndarray
    fillers: dict

    @property
    def fields(self):
        """All fields whose frames may be needed, set of `~astro_photz.sdss.FieldID`."""
        return {self.field_id}.union(*self.fillers.values())

    def rows_of(self, field_id):
        """
        Galaxies for which one of the fields may be needed.

        Parameters
        ----------
        field_id : `~astro_photz.sdss.FieldID`

        Returns
        -------
        list of int
        """
        if field_id == self.field_id:
            return self.rows.tolist()
        return [row for row, others in self.fillers.items() if field_id in others]


class FrameStore:
    """
    Decompressed frames, each loaded once, by one thread, and kept as long as a task needs it.

    Parameters
    ----------
    load : callable
        Takes a `~astro_photz.sdss.FieldID`, a band, and the positions of the galaxies that will be cut from that frame;
        returns a `~astro_photz.cutouts.frames.Frame` or raises a `~astro_photz.cutouts.frames.FrameError`.
    tasks : list of `FieldTask`
        All that will be done.
    coord : `~astropy.coordinates.SkyCoord` (N,)
        Of the galaxies.
    max_bytes : int
        Memory to be kept; beyond it, the frames that were not used for longest go, to be loaded again.
    """

    def __init__(self, load, *, tasks, coord, max_bytes):
        self._load = load
        self._coord = coord
        self._rows = defaultdict(set)
        for task in tasks:
            for field_id in task.fields:
                self._rows[field_id].update(task.rows_of(field_id))
        self._uses = Counter(field_id for task in tasks for field_id in task.fields)
        self._max_bytes = max_bytes
        self._frames = OrderedDict()
        self._lock = threading.Lock()
        self._closed = threading.Event()

    def get(self, field_id, band):
        """
        A frame, from memory if it is there.

        Parameters
        ----------
        field_id : `~astro_photz.sdss.FieldID`
        band : {'u', 'g', 'r', 'i', 'z'}

        Returns
        -------
        `~astro_photz.cutouts.frames.Frame`

        Raises
        ------
        FrameError
            If it cannot be had; also each time that it is asked for again.
        ~concurrent.futures.CancelledError
            If the store is closed.
        """
        if self._closed.is_set():
            raise CancelledError
        key = field_id, band
        with self._lock:
            future = self._frames.get(key)
            mine = future is None
            if mine:
                future = self._frames[key] = Future()
            self._frames.move_to_end(key)
        if mine:
            try:
                coord = self._coord[sorted(self._rows[field_id])]
                future.set_result(self._load(field_id, band, coord))
            except BaseException as error:
                future.set_exception(error)
            self._evict()
        return future.result()

    def close(self):
        """Give no more frames: threads that nobody waits for end with the one that they read."""
        self._closed.set()

    def release(self, task):
        """
        Let go of the frames that no other task needs.

        Parameters
        ----------
        task : `FieldTask`
            One that is done.
        """
        with self._lock:
            self._uses.subtract(task.fields)
            for key in [key for key in self._frames if self._uses[key[0]] <= 0]:
                del self._frames[key]

    def _evict(self):
        with self._lock:
            sizes = {
                key: future.result().nbytes
                for key, future in self._frames.items()
                if future.done() and future.exception() is None
            }
            excess = sum(sizes.values()) - self._max_bytes
            for key, size in sizes.items():  # the longest unused first
                if excess <= 0:
                    break
                del self._frames[key]
                excess -= size


def stamp_reach(size):
    """
    How near to an edge of its *r* frame a stamp may need another frame, in a band or other.

    Parameters
    ----------
    size : int
        Side of a stamp (pixels).

    Returns
    -------
    float
        Pixels from the target to the edge.
    """
    return size / 2 + 1 + BANDS_APART


def plan_tasks(field_ids, fillers):
    """
    Group galaxies by field, with fields that share frames next to each other.

    Parameters
    ----------
    field_ids : dict of int to `~astro_photz.sdss.FieldID`
        The field of each row.
    fillers : dict of int to list of `~astro_photz.sdss.FieldID`
        The fields that hold the rest of a row's stamp, for rows that need it.

    Returns
    -------
    list of `FieldTask`
        Of at most 256 galaxies each.
    """
    rows = defaultdict(list)
    for row, field_id in field_ids.items():
        rows[field_id].append(row)
    neighbours = defaultdict(set)
    for row, others in fillers.items():
        for other in others:
            neighbours[field_ids[row]].add(other)
            neighbours[other].add(field_ids[row])
    tasks = []
    for field_id in _linked_order(sorted(rows), neighbours):
        for start in range(0, len(rows.get(field_id, ())), BATCH_SIZE):
            part = rows[field_id][start : start + BATCH_SIZE]
            tasks.append(FieldTask(field_id, np.array(part), {row: fillers[row] for row in part if row in fillers}))
    return tasks


def _linked_order(field_ids, neighbours):
    """The fields, each followed by those that it shares frames with (a depth-first walk)."""
    seen = set()
    for start in field_ids:
        stack = [start]
        while stack:
            field_id = stack.pop()
            if field_id not in seen:
                seen.add(field_id)
                yield field_id
                stack.extend(sorted(neighbours[field_id] - seen, reverse=True))


def cut_fields(tasks, targets, *, load, size, threads, max_bytes):
    """
    Cut all stamps, a few fields at a time.

    Parameters
    ----------
    tasks : list of `FieldTask`
    targets : `Targets` (N,)
    load : callable
        See `FrameStore`.
    size : int
        Side of a stamp (pixels).
    threads : int
        Fields at a time.
    max_bytes : int
        Memory for decompressed frames, beside those being cut.

    Yields
    ------
    `~astro_photz.cutouts.sources.protocol.Batch`

    Warns
    -----
    AstropyUserWarning
        Once for each frame that could not be had.
    """
    store = FrameStore(load, tasks=tasks, coord=targets.coord, max_bytes=max_bytes)
    told = set()

    def cut(task):
        try:
            return _FieldCutter(task.field_id, store, size).cut(task, targets)
        finally:
            store.release(task)

    with closing(store), closing(_in_threads(cut, tasks, threads)) as results:
        for batch, problems in results:
            for problem in problems:
                if problem not in told:
                    told.add(problem)
                    warnings.warn(problem, AstropyUserWarning, stacklevel=2)
            yield batch


def _in_threads(function, items, threads):
    """
    Like ``map``, some items ahead in threads but no more than there are threads: results can be large.

    Whoever stops early, by an interrupt for instance, does not wait for what is under way.
    """
    if threads == 1:
        yield from map(function, items)
        return
    pool, ahead = ThreadPoolExecutor(threads), deque()
    try:
        for item in items:
            ahead.append(pool.submit(function, item))
            if len(ahead) > threads:
                yield ahead.popleft().result()
        while ahead:
            yield ahead.popleft().result()
    finally:
        pool.shutdown(wait=False, cancel_futures=True)


class _FieldCutter:
    """Cuts stamps on the r pixels of one field, out of its own frames and, at the edges, out of others."""

    def __init__(self, field_id, store, size):
        self.field_id = field_id
        self.store = store
        self.size = size
        self.problems = []
        self._reference = None  # the r frame: held here, as the store may let go of it
        self._layers = {}

    def cut(self, task, targets):
        cutouts = Cutouts.blank(len(task.rows), size=self.size)
        cutouts.ebv[:] = targets.ebv[task.rows]
        cutouts.psf_fwhm[:] = targets.psf_fwhm[task.rows]
        cutouts.provenance = self._provenance(len(task.rows), targets.data_release)
        reference = self._reference = self._frame(self.field_id, "r")
        if reference is None:
            reasons = np.full(len(task.rows), PhotozFlag.NO_IMAGE)
            return Batch(task.rows, cutouts, reasons), self.problems

        cutouts.simulated = reference.simulated
        coord = targets.coord[task.rows]
        xy = np.stack(reference.wcs.all_world2pix(coord.ra.deg, coord.dec.deg, 0), axis=1)
        corners = np.round(xy - (self.size - 1) / 2).astype(int)
        cutouts.target_xy[:] = xy - corners
        rows, columns = reference.image.shape
        outside = ~((xy > -0.5) & (xy < [columns - 0.5, rows - 0.5])).all(axis=1)
        reasons = np.where(outside, PhotozFlag.NO_MATCH, 0)
        for i, row in enumerate(task.rows):
            if not outside[i]:
                reasons[i] = self._fill(cutouts.flux[i], corners[i], [self.field_id, *task.fillers.get(row, ())])
        reasons[(reasons == 0) & np.isnan(cutouts.flux).any(axis=(1, 2, 3))] = PhotozFlag.PARTIAL
        return Batch(task.rows, cutouts, reasons), self.problems

    def _fill(self, stamp, corner, field_ids):
        """Fill a stamp (5, size, size) from one field after the other, as long as pixels are missing."""
        broken = False  # of the galaxy's own field: without those of others, only an edge is missing
        # The outermost pixels of a frame count only where no other frame has better ones.
        for trim in _TRIMS:
            for field_id in field_ids:
                for band, plane in zip(BANDS, stamp, strict=True):
                    missing = np.isnan(plane)
                    if not missing.any():
                        continue
                    layer = self._layer(field_id, band)
                    if layer is None:
                        broken |= field_id == self.field_id
                        continue
                    part = resample(*layer, corner=corner, size=self.size, trim=trim)
                    plane[missing] = part[missing]
        return PhotozFlag.NO_IMAGE if broken and np.isnan(stamp).any() else 0

    def _layer(self, field_id, band):
        """Image of a frame and the map onto it from this field's r pixels, or None if it cannot be had."""
        key, reference = (field_id, band), self._reference
        if key not in self._layers:
            frame = reference if key == (self.field_id, "r") else self._frame(field_id, band)
            self._layers[key] = frame and (
                frame.image,
                AffineMap.between(reference.wcs, frame.wcs, shape=reference.image.shape),
            )
        return self._layers[key]

    def _frame(self, field_id, band):
        try:
            return self.store.get(field_id, band)
        except FrameError as error:
            if str(error) not in self.problems:
                self.problems.append(str(error))
            return None

    def _provenance(self, n, data_release):
        values = (data_release, self.field_id.run, self.field_id.rerun, self.field_id.camcol, self.field_id.field)
        return Table({name: np.full(n, value, dtype=np.int32) for name, value in zip(PROVENANCE, values, strict=True)})
