# Licensed under a 3-clause BSD style license - see LICENSE
"""
Cutouts from a folder of frames.
"""

from __future__ import annotations

import warnings
from collections import defaultdict
from collections.abc import Callable, Iterator
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from astropy import units as u
from astropy.coordinates import SkyCoord
from astropy.utils.exceptions import AstropyUserWarning

from astro_photz.config import conf
from astro_photz.cutouts.frames import FrameError, frame_wcs, read_frame, read_header
from astro_photz.cutouts.hdf5.layout import MINIMUM_SIZE
from astro_photz.dust import ebv_from_map
from astro_photz.flags import PhotozFlag
from astro_photz.sdss import PIXEL_SCALE, RERUN, FieldID
from astro_photz.utils._files import expanded
from astro_photz.utils._types import PathLike

from ._field_cutting import BANDS_APART, Targets, cut_fields, plan_tasks, stamp_reach
from ._frame_files import find_frames
from .protocol import without_image

if TYPE_CHECKING:
    from astro_photz.cutouts.sources.protocol import Batch
    from astro_photz.positions import Positions

__all__ = ["FrameDirectory"]

_RERUN_DIGITS = 9  # more do not fit into the column
# Bands by whose frame a field is placed, if that of r cannot be read.
_OTHERS = ("i", "g", "z", "u")


class _Place(NamedTuple):
    """Place of a field on the sky."""

    field_id: FieldID
    shape: tuple
    wcs: object
    usable: bool  # whether there is an r frame, on whose pixels stamps lie


class FrameDirectory:
    """
    Cutouts from a folder of SDSS frames, without the network.

    Parameters
    ----------
    path : str or path-like
        Folder with files ``frame-{band}-{run}-{camcol}-{field}.fits``, compressed by bzip2, gzip or not, side by side
        or in the folders of the Science Archive Server. Links are followed.
    dust_map : str, path-like or callable, optional
        Map of E(B-V) for galaxies whose table does not give it: see `~astro_photz.dust.ebv_from_map`. By default, the
        map at low resolution that comes with the package, with a flag.
    data_release : int, optional
        Data release of the frames, recorded with the cutouts.
    threads : int, optional
        Fields that are read at the same time; ``conf.threads`` by default.

    Raises
    ------
    FileNotFoundError
        If there is no such folder, or no *r* frame in it.

    Examples
    --------
    >>> import tempfile
    >>> import astro_photz
    >>> from astro_photz import sdss, testing
    >>> geometry = testing.Geometry(150.0, 2.0, shape=(240, 240))
    >>> galaxies = testing.make_sky(geometry, 2, margin=60)
    >>> field = testing.make_field(sdss.FieldID(9000, 301, 3, 11), geometry, galaxies)
    >>> table = {"ra": [one.ra for one in galaxies], "dec": [one.dec for one in galaxies]}
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     written = testing.write_field(folder, field)
    ...     cutouts = astro_photz.fetch(table, source=astro_photz.FrameDirectory(folder))
    >>> written[2].name
    'frame-r-009000-3-0011.fits.bz2'
    >>> cutouts
    <Cutouts of 2 galaxies, 5 x 64 x 64 pixels>
    """

    def __init__(
        self,
        path: PathLike,
        *,
        dust_map: str | Callable | None = None,
        data_release: int = -1,
        threads: int | None = None,
    ):
        self.path = expanded(path)
        self.name = f"frames in {self.path.name}"
        self.dust_map = dust_map
        self.data_release = data_release
        self.threads = threads
        len(self._paths)  # raises an error where there are none
        self._places: dict[FieldID, SkyCoord] = {}
        self._broken: dict[FieldID, Exception] = {}  # the error of each field whose frames give no place

    def __repr__(self):
        return f"<FrameDirectory {self.path}: {len(self._paths)} frames>"

    def __getstate__(self):  # a worker looks into the folder itself, wherever it runs; the list may be a survey's
        kept = {name: value for name, value in vars(self).items() if not name.startswith("_")}
        return kept | {"path": self.path.absolute()}

    def __setstate__(self, state):
        vars(self).update(state)
        self._places, self._broken = {}, {}

    @cached_property
    def _paths(self):
        return _find_frames(self.path)

    @property
    def field_ids(self):
        """The fields whose *r* frame is there and can be read, list of `~astro_photz.sdss.FieldID`."""
        return [place.field_id for place in self._index(self._keys) if place.usable]

    def frame_path(self, field_id: FieldID, band: str) -> Path:
        """
        Find the file of a frame.

        Parameters
        ----------
        field_id : `~astro_photz.sdss.FieldID`
        band : str

        Returns
        -------
        `~pathlib.Path`

        Raises
        ------
        OSError
            If there is none.
        """
        key = band, field_id.run, field_id.camcol, field_id.field
        if key not in self._paths:
            raise FrameError(f"{self.path} has no {band} frame of run {key[1]}, camcol {key[2]}, field {key[3]}")
        return self._paths[key]

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

        Warns
        -----
        AstropyUserWarning
            About each broken frame on which a galaxy may lie.
        """
        targets = self._targets(positions)
        rows = np.arange(len(positions))
        yield from without_image(rows[~positions.valid], PhotozFlag.NO_POSITION, size=size, ebv=targets.ebv)
        keys = self._worth_reading(positions)
        field_ids, fillers = self._locate(positions, self._index(keys), size)
        unmatched = np.array([row for row in rows[positions.valid].tolist() if row not in field_ids], dtype=int)
        hidden = self._may_be_hidden(positions, unmatched, keys)
        yield from without_image(unmatched[hidden], PhotozFlag.NO_IMAGE, size=size, ebv=targets.ebv)
        yield from without_image(unmatched[~hidden], PhotozFlag.NO_MATCH, size=size, ebv=targets.ebv)
        yield from cut_fields(
            plan_tasks(field_ids, fillers),
            targets,
            load=partial(self._load, size=size),
            size=size,
            threads=self.threads or conf.threads,
            max_bytes=conf.frame_cache * 2**20,
        )

    def _targets(self, positions):
        n = len(positions)
        ebv = np.full(n, np.nan, dtype=np.float32) if positions.ebv is None else positions.ebv.copy()
        if self.dust_map is not None:
            unknown = np.isnan(ebv)
            ebv[unknown] = ebv_from_map(positions.coord[unknown], self.dust_map)
        return Targets(positions.coord, ebv, np.full((n, 5), np.nan, dtype=np.float32), self.data_release)

    def _load(self, field_id, band, coord, *, size):
        return read_frame(self.frame_path(field_id, band), coord=coord, size=size)

    @property
    def _keys(self):
        """Run, camcol and field of every frame, set."""
        return {tuple(key) for _, *key in self._paths}

    def _index(self, keys):
        """Find the `_Place` of each field that has one; each header is read once."""
        for key in sorted(keys - self._places.keys()):
            self._places[key] = self._place(key)
        return [self._places[key] for key in sorted(keys) if self._places[key]]

    def _place(self, key):
        """Find the place of a field, by another band if the r frame is broken or missing: they lie pixels apart."""
        problems = []
        for band in ("r", *_OTHERS):
            path = self._paths.get((band, *key))
            if path is None:
                continue
            try:
                header = read_header(path)
            except FrameError as error:
                problems.append(str(error))
                continue
            run, camcol, field = key
            field_id = FieldID(run, _rerun(header), camcol, field)
            return _Place(field_id, (header["NAXIS2"], header["NAXIS1"]), frame_wcs(header), band == "r")
        self._broken[key] = problems[0]
        return None

    def _may_be_hidden(self, positions, rows, keys):
        """
        Mask of the rows that may lie on a broken frame, whose place is unknown.

        The rows are those that no other frame covers. All of them may, except those whose table names another field.
        """
        broken = sorted(keys & self._broken.keys())
        for key in broken:
            what = "galaxies that no other frame covers may lie on it, and count as without an image"
            warnings.warn(f"{self._broken[key]}; {what}", AstropyUserWarning, stacklevel=4)
        hidden = np.full(len(rows), bool(broken))
        if broken and positions.field_ids is not None:
            named = positions.field_ids[rows][:, [0, 2, 3]]
            hidden = (named < 0).any(axis=1) | [tuple(key) in self._broken for key in named.tolist()]
        return hidden

    def _worth_reading(self, positions):
        """
        Run, camcol and field of the frames on which galaxies may lie, set.

        To read the headers of a whole survey takes hours. If the table names the fields, these and their neighbours in
        the run are enough.
        """
        if positions.field_ids is None:
            return self._keys
        named = positions.field_ids[positions.valid][:, [0, 2, 3]]
        if (named < 0).any():
            return self._keys
        named = np.unique(named, axis=0).tolist()
        return self._keys & {(run, camcol, field + step) for run, camcol, field in named for step in (-1, 0, 1)}

    @staticmethod
    def _locate(positions, fields, size):
        """Find the field in which each row is most central, and those that hold the rest of its stamp."""
        places = defaultdict(list)
        for place, rows in _near(positions, fields, size):
            for row, depth in zip(rows.tolist(), _depths(place, positions.coord[rows]).tolist(), strict=True):
                if depth > -size:
                    places[row].append((place.usable, depth, place.field_id))
        field_ids, fillers = {}, {}
        for row, found in places.items():
            # Any usable field goes before one without its r frame, whose place by another band is pixels off.
            found.sort(reverse=True)
            covering = [field_id for usable, depth, field_id in found if depth > (0 if usable else -BANDS_APART)]
            if covering:
                field_ids[row] = covering[0]
                others = [field_id for usable, _, field_id in found if usable and field_id != covering[0]]
                if found[0][1] < stamp_reach(size) and others:
                    fillers[row] = others
        return field_ids, fillers


def _depths(place, coord):
    """Distances (pixels) from each position to the nearest edge of a field."""
    rows, columns = place.shape
    x, y = place.wcs.all_world2pix(coord.ra.deg, coord.dec.deg, 0)
    return np.min([x + 0.5, columns - 0.5 - x, y + 0.5, rows - 0.5 - y], axis=0)


def _rerun(header):
    said = str(header.get("RERUN", "")).strip()
    return int(said) if said.isascii() and said.isdigit() and len(said) <= _RERUN_DIGITS else RERUN


def _near(positions, fields, size):
    """Yield each field with the rows that may have a part of their stamp on it."""
    rows = np.flatnonzero(positions.valid)
    if not fields or not len(rows):
        return
    centres = [place.wcs.all_pix2world(place.shape[1] / 2, place.shape[0] / 2, 0) for place in fields]
    reach = max(np.hypot(*place.shape) / 2 + 1.5 * size for place in fields) * PIXEL_SCALE * u.arcsec
    in_field, in_rows, *_ = positions.coord[rows].search_around_sky(SkyCoord(centres, unit=u.deg), reach)
    order = np.argsort(in_field, kind="stable")
    ends = np.searchsorted(in_field[order], np.arange(len(fields) + 1))
    for place, start, stop in zip(fields, ends[:-1], ends[1:], strict=True):
        if stop > start:
            yield place, rows[in_rows[order[start:stop]]]


def _find_frames(path):
    if not path.is_dir():
        raise FileNotFoundError(f"no folder {path}")
    found = find_frames(path)
    if not any(band == "r" for band, *_ in found):
        raise FileNotFoundError(
            f"{path} has no frames of the r band, on whose pixels stamps lie: no file named like "
            "frame-r-001043-5-0025.fits.bz2"
        )
    return found
