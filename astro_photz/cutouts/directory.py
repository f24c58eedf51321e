# Licensed under a 3-clause BSD style license - see LICENSE
"""
Cutouts from a folder of frames.
"""

import re
import warnings
from collections import defaultdict
from functools import partial
from pathlib import Path

import numpy as np
from astropy import units as u
from astropy.coordinates import SkyCoord
from astropy.utils.exceptions import AstropyUserWarning

from ..config import conf
from ..dust import ebv_from_map
from ..flags import PhotozFlag
from ..sdss import PIXEL_SCALE, RERUN, FieldID
from .container import MINIMUM_SIZE
from .fields import Targets, cut_fields, plan_tasks, stamp_reach
from .frames import FrameError, frame_wcs, read_frame, read_header
from .source import without_image

__all__ = ["FrameDirectory"]

_NAME = re.compile(r"frame-(?P<band>[ugriz])-(?P<run>\d{6})-(?P<camcol>[1-6])-(?P<field>\d{4})\.fits(\.bz2|\.gz)?$")


class FrameDirectory:
    """
    Cutouts from a folder of SDSS frames; nothing is asked of the network.

    Parameters
    ----------
    path : str or path-like
        Folder with files ``frame-{band}-{run}-{camcol}-{field}.fits``, compressed by bzip2, gzip or not, side by side
        or in the folders of the Science Archive Server.
    dust_map : str, path-like or callable, optional
        Where E(B-V) comes from for galaxies whose table does not give it: see `~astro_photz.dust.ebv_from_map`.
    data_release : int, optional
        Of the frames, noted with the cutouts.
    threads : int, optional
        Fields that are read at a time; ``conf.threads`` by default.

    Raises
    ------
    FileNotFoundError
        If there is no such folder, or no *r* frame in it.

    Examples
    --------
    >>> import astro_photz
    >>> source = astro_photz.FrameDirectory("frames/")  # doctest: +SKIP
    >>> table = astro_photz.predict(table, source=source)  # doctest: +SKIP
    """

    def __init__(self, path, *, dust_map=None, data_release=-1, threads=None):
        self.path = Path(path).expanduser()
        self.name = f"frames in {self.path.name}"
        self.dust_map = dust_map
        self.data_release = data_release
        self.threads = threads
        self._paths = _find_frames(self.path)
        self._fields = {}

    def __repr__(self):
        return f"<FrameDirectory {self.path}: {len(self._paths)} frames>"

    @property
    def field_ids(self):
        """The fields whose *r* frame is there and can be read, list of `~astro_photz.sdss.FieldID`."""
        return list(self._index(self._keys))

    def frame_path(self, field_id, band):
        """
        Where the frame of a field lies.

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

        Raises
        ------
        ValueError
            If there is no way to know E(B-V).
        """
        targets = self._targets(positions)
        rows = np.arange(len(positions))
        yield from without_image(rows[~positions.valid], PhotozFlag.NO_POSITION, size=size, ebv=targets.ebv)
        field_ids, fillers = self._locate(positions, size)
        unmatched = [row for row in rows[positions.valid] if row not in field_ids]
        yield from without_image(np.array(unmatched, dtype=int), PhotozFlag.NO_MATCH, size=size, ebv=targets.ebv)
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
        elif positions.ebv is None and n:
            raise ValueError(
                "E(B-V) of the galaxies is not known. Give it by a column ebv of the table (or ebv='its name'), by the "
                "SDSS columns extinction_u ... extinction_z, or by a map: "
                "FrameDirectory(path, dust_map='folder of the SFD map')."
            )
        return Targets(positions.coord, ebv, np.full((n, 5), np.nan, dtype=np.float32), self.data_release)

    def _load(self, field_id, band, coord, *, size):
        return read_frame(self.frame_path(field_id, band), coord=coord, size=size)

    @property
    def _keys(self):
        """Run, camcol and field of every r frame, set."""
        return {(run, camcol, field) for band, run, camcol, field in self._paths if band == "r"}

    def _index(self, keys):
        """Shape and WCS of r frames by their field, of which each is read once."""
        for run, camcol, field in sorted(keys - self._fields.keys()):
            self._fields[run, camcol, field] = None
            try:
                header = read_header(self._paths["r", run, camcol, field])
            except FrameError as error:
                warnings.warn(str(error), AstropyUserWarning, stacklevel=4)
                continue
            field_id = FieldID(run, int(header.get("RERUN", RERUN)), camcol, field)
            self._fields[run, camcol, field] = field_id, (header["NAXIS2"], header["NAXIS1"]), frame_wcs(header)
        known = (self._fields[key] for key in sorted(keys))
        return {field_id: place for field_id, *place in filter(None, known)}

    def _worth_reading(self, positions):
        """
        Run, camcol and field of the frames that galaxies may lie on, set.

        A survey has hundreds of thousands, and to read all headers takes hours: where the table names the fields, these
        and their neighbours in the run are enough.
        """
        if positions.field_ids is None:
            return self._keys
        named = positions.field_ids[positions.valid][:, [0, 2, 3]]
        if (named < 0).any():
            return self._keys
        named = np.unique(named, axis=0).tolist()
        return self._keys & {(run, camcol, field + step) for run, camcol, field in named for step in (-1, 0, 1)}

    def _locate(self, positions, size):
        """The field of each row in which it is most central, and those that hold the rest of its stamp."""
        places = defaultdict(list)
        fields = self._index(self._worth_reading(positions))
        for field_id, rows in _near(positions, fields, size):
            shape, wcs = fields[field_id]
            coord = positions.coord[rows]
            x, y = wcs.all_world2pix(coord.ra.deg, coord.dec.deg, 0)
            # pixels to the nearest edge
            depth = np.min([x + 0.5, shape[1] - 0.5 - x, y + 0.5, shape[0] - 0.5 - y], axis=0)
            for row, pixels in zip(rows, depth, strict=True):
                if pixels > -size:
                    places[row].append((float(pixels), field_id))
        field_ids, fillers = {}, {}
        for row, found in places.items():
            (depth, field_id), *others = sorted(found, reverse=True)
            if depth > 0:
                field_ids[row] = field_id
                if depth < stamp_reach(size) and others:
                    fillers[row] = [other for _, other in others]
        return field_ids, fillers


def _near(positions, fields, size):
    """Each field with the rows that may lie on it, or near enough for a part of their stamp."""
    rows = np.flatnonzero(positions.valid)
    if not fields or not len(rows):
        return
    centres = [wcs.all_pix2world(shape[1] / 2, shape[0] / 2, 0) for shape, wcs in fields.values()]
    reach = max(np.hypot(*shape) / 2 + 1.5 * size for shape, _ in fields.values()) * PIXEL_SCALE * u.arcsec
    in_field, in_rows, *_ = positions.coord[rows].search_around_sky(SkyCoord(centres, unit=u.deg), reach)
    order = np.argsort(in_field, kind="stable")
    ends = np.searchsorted(in_field[order], np.arange(len(fields) + 1))
    for field_id, start, stop in zip(fields, ends[:-1], ends[1:], strict=True):
        if stop > start:
            yield field_id, rows[in_rows[order[start:stop]]]


def _find_frames(path):
    if not path.is_dir():
        raise FileNotFoundError(f"no folder {path}")
    found = {}
    for file in sorted(path.rglob("frame-*.fits*"), key=lambda file: len(file.name), reverse=True):
        match = _NAME.match(file.name)
        if match:  # of several copies the one with the shortest name stays: it is not compressed
            found[match["band"], int(match["run"]), int(match["camcol"]), int(match["field"])] = file
    if not any(band == "r" for band, *_ in found):
        raise FileNotFoundError(
            f"{path} has no frames of the r band, on whose pixels stamps lie: no file named like "
            "frame-r-001043-5-0025.fits.bz2"
        )
    return found
