# Licensed under a 3-clause BSD style license - see LICENSE
"""
Cut stamps field by field, for any source of frames.

Reading a frame takes a hundred times longer than cutting a stamp out of it. So a frame is read as far as the last of
its galaxies, and all of them are cut while it is in memory. Frames that a neighbouring field needs too stay in memory,
up to a limit.
"""

import warnings
from collections import defaultdict
from contextlib import closing
from typing import NamedTuple

import numpy as np
from astropy.table import Table
from astropy.utils.exceptions import AstropyUserWarning

from astro_photz.cutouts.container import Cutouts
from astro_photz.cutouts.frames import FrameError
from astro_photz.cutouts.hdf5.layout import PROVENANCE
from astro_photz.cutouts.resampling import AffineMap, resample
from astro_photz.flags import PhotozFlag
from astro_photz.sdss import BANDS, FieldID

from ._failures import FrameLeft
from ._frame_store import FrameStore
from ._waiting import in_threads
from .protocol import BATCH_SIZE, Batch

__all__ = ["BANDS_APART", "FieldTask", "Targets", "cut_fields", "plan_tasks", "stamp_reach"]

# Pixels along the edges of a frame that are taken from other frames if possible. The first tries leave out those where
# the spline errs by more than 0.1 % of the gradient, the last none.
_TRIMS = (6, 4, 2, 0)
_FAR = -1e6  # pixels: the place in a frame of what is on the other side of the sky
BANDS_APART = 12
"""Largest offset (pixels) of the frames of a field from that of the *r* band."""


class Targets(NamedTuple):
    """
    Facts about the galaxies that are known before their images.

    Positions (N,), E(B-V) (N,) in mag, FWHM of the point-spread function (N, 5) in arcsec, both float32; and the data
    release of the frames, -1 if unknown.
    """

    coord: object
    ebv: np.ndarray
    psf_fwhm: np.ndarray
    data_release: int


class FieldTask(NamedTuple):
    """
    Galaxies to be cut from one field.

    ``rows`` (M,) are those of the targets. ``fillers`` lists, by row, the fields that hold the rest of a stamp that
    crosses an edge of the frame.
    """

    field_id: FieldID
    rows: np.ndarray
    fillers: dict

    @property
    def fields(self):
        """All fields whose frames may be needed, set of `~astro_photz.sdss.FieldID`."""
        return {self.field_id}.union(*self.fillers.values())

    def rows_of(self, field_id):
        """List the galaxies that may need one of the fields."""
        if field_id == self.field_id:
            return self.rows.tolist()
        return [row for row, others in self.fillers.items() if field_id in others]


def stamp_reach(size):
    """Distance (pixels) from an edge of the *r* frame below which a stamp may need another frame, in any band."""
    return size / 2 + 1 + BANDS_APART


def plan_tasks(field_ids, fillers):
    """
    Group galaxies by field, at most 256 in a task, and put fields that share frames next to each other.

    Both arguments are by row: its field, and for rows that need them the fields that hold the rest of the stamp.
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
    """Yield the fields, each followed by those that share frames with it (a depth-first walk)."""
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
    Cut all stamps, a few fields at a time, as batches; a warning names each frame that is not available, once.

    ``load`` reads a frame for a `~astro_photz.cutouts.sources._frame_store.FrameStore`; ``threads`` fields are cut at
    the same time; ``max_bytes`` limits the decompressed frames in memory, besides those in use. Frames that ``load``
    leaves, by a FrameLeft, are counted by their galaxies, in one warning at the end.
    """
    store = FrameStore(load, tasks=tasks, coord=targets.coord, max_bytes=max_bytes)
    warned, left = set(), _Left()

    def cut(task):
        try:
            return _FieldCutter(task.field_id, store, size).cut(task, targets)
        finally:
            store.release(task)

    def doing(task, done):
        run, _, camcol, field = task.field_id
        frames = f"run {run}, camcol {camcol}, field {field}"
        return f"waiting for the frames of {frames}; {done} of {len(tasks)} parts are done"

    with closing(store), closing(in_threads(cut, tasks, threads, doing=doing)) as results:
        for batch, problems in results:
            for problem in map(str, left.without(problems, batch)):
                if problem not in warned:
                    warned.add(problem)
                    warnings.warn(problem, AstropyUserWarning, stacklevel=2)
            yield batch._replace(problems=tuple(map(str, problems)))
    if left.why:
        warnings.warn(left.words(), AstropyUserWarning, stacklevel=2)


class _Left:
    """Count of the galaxies whose frames were left."""

    def __init__(self):
        self.why = None
        self._galaxies = self._parts = 0

    def without(self, problems, batch):
        """Count the galaxies of a batch if one of its frames was left; return the other problems."""
        others = [problem for problem in problems if not isinstance(problem, FrameLeft)]
        if len(others) < len(problems):
            self.why = self.why or next(problem for problem in problems if isinstance(problem, FrameLeft))
            cut_short = (batch.cutouts.flags & (PhotozFlag.NO_IMAGE | PhotozFlag.PARTIAL)) != 0
            self._galaxies += int(cut_short.sum())
            self._parts += 1
        return others

    def words(self):
        galaxies = f"{self._galaxies} galaxies" if self._galaxies != 1 else "1 galaxy"
        fields = f"{self._parts} fields" if self._parts != 1 else "1 field"
        return f"{self.why}; {galaxies} in {fields} left without a whole image: a later call takes them up"


class _FieldCutter:
    """Cut stamps on the r pixels of one field, from its own frames and, at the edges, from those of others."""

    def __init__(self, field_id, store, size):
        self.field_id = field_id
        self.store = store
        self.size = size
        self.problems = []
        self._reference = None  # the r frame, which the store may drop
        self._layers = {}

    def cut(self, task, targets):
        cutouts = Cutouts.blank(len(task.rows), size=self.size)
        cutouts.ebv[:] = targets.ebv[task.rows]
        cutouts.psf_fwhm[:] = targets.psf_fwhm[task.rows]
        cutouts.provenance = self._provenance(len(task.rows), targets.data_release)
        reference = self._reference = self._frame(self.field_id, "r")
        if reference is None:
            cutouts.flags[:] = PhotozFlag.NO_IMAGE
            return Batch(task.rows, cutouts), self.problems

        cutouts.simulated = reference.simulated
        coord = targets.coord[task.rows]
        xy = np.stack(reference.wcs.all_world2pix(coord.ra.deg, coord.dec.deg, 0), axis=1)
        xy = np.nan_to_num(xy, nan=_FAR)
        corners = np.round(xy - (self.size - 1) / 2).astype(int)
        cutouts.target_xy[:] = xy - corners
        rows, columns = reference.image.shape
        outside = ~((xy > -0.5) & (xy < [columns - 0.5, rows - 0.5])).all(axis=1)
        flags = cutouts.flags
        flags[outside] = PhotozFlag.NO_MATCH
        for i in np.flatnonzero(~outside):
            others = task.fillers.get(task.rows[i], ())
            flags[i] = self._fill(cutouts.flux[i], corners[i], [self.field_id, *others])
        flags[(flags == 0) & np.isnan(cutouts.flux).any(axis=(1, 2, 3))] = PhotozFlag.PARTIAL
        return Batch(task.rows, cutouts), self.problems

    def _fill(self, stamp, corner, field_ids):
        """Fill a stamp (5, size, size) from one field after the other, until no pixel is missing; return its flags."""
        broken = False  # a frame of the galaxy's own field; without one of another field, only an edge is missing
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
        """Image of a frame and the map onto it from this field's r pixels; None if it is not available."""
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
            if str(error) not in map(str, self.problems):
                self.problems.append(error)
            return None

    def _provenance(self, n, data_release):
        values = (data_release, self.field_id.run, self.field_id.rerun, self.field_id.camcol, self.field_id.field)
        return Table({name: np.full(n, value, dtype=np.int32) for name, value in zip(PROVENANCE, values, strict=True)})
