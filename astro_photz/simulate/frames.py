# Licensed under a 3-clause BSD style license - see LICENSE
"""
Whole fields, as the survey's archive has them: five frames each, and a catalogue of what is truly in them.

The fields are consecutive ones of a drift scan. What is in the sky is drawn in strips of 64 rows, each from a random
generator of its own; the noise of a row of pixels likewise. So a field does not depend on how many are made, and where
two fields overlap they share their objects and their noise, as real ones do. In a strip, compact sources are drawn
together in stamps that tile it, extended ones each in a stamp of its own; stamps are added up at the places that the
world coordinate system of each band gives.

The layout is that of SDSS frames: calibrated, sky-subtracted nanomaggies in HDU 0, rounded to whole counts, and kept to
10 binary digits as in the survey; calibration in HDU 1; sky in HDU 2; the names of the field in HDU 3.

Point-spread function, sky brightness, calibration and E(B-V) are one draw for the whole scan. The calibration, the sky
that was subtracted and the coordinates are exact here, as they never are on the real sky. Of a galaxy, what lies
farther out than 76 arcsec is not drawn.
"""

import bz2
import io
import json
import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, fields, replace
from functools import cached_property
from pathlib import Path

import numpy as np
from astropy import units as u
from astropy.coordinates import SkyCoord
from astropy.io import fits
from astropy.table import QTable, vstack
from astropy.wcs import WCS
from scipy.ndimage import map_coordinates

from astro_photz import __version__
from astro_photz.cutouts.collect import progress_bar
from astro_photz.cutouts.frames import AffineMap
from astro_photz.sdss import (
    BANDS,
    FRAME_SHAPE,
    PIXEL_SCALE,
    R_UGRIZ,
    ZERO_POINT,
    FieldID,
    dark_variance,
    frame_name,
    gain,
)

from .generate import Recipe, check_count, draw_targets
from .neighbours import draw_neighbours
from .population import draw_population
from .rendering import PROFILES, Sources, render
from .settings import Settings
from .sky import draw_conditions

__all__ = ["write_frames"]

OVERLAP = 128
"""Rows that a field shares with the next."""

_STEP = FRAME_SHAPE[0] - OVERLAP
_TILE = 64  # pixels; a frame is 32 of them wide
_TILE_STAMP = 128  # pixels: what is drawn of the objects of a tile
_WIDE_STAMP = 384  # pixels: what is drawn of a galaxy too wide for that
_COMPACT = 6.0  # half-light radius (pixels) up to which a faint galaxy's light stays within 32 pixels of its tile
_SCAN_ANGLE = 90.0 * u.deg  # the scan goes east at its first field

# Where a point of the r frame lies in the other bands (columns, rows), how much those are turned against r (deg), and
# by which fraction their columns are farther apart: of the size found in real frames.
_OFFSET = {"u": (0.4, 6.7), "g": (-0.9, 9.9), "r": (0.0, 0.0), "i": (1.6, 2.8), "z": (-1.7, 6.5)}
_TURN = {"u": -0.010, "g": 0.013, "r": 0.0, "i": 0.006, "z": -0.012}
_STRETCH = {"u": 4e-4, "g": 3e-4, "r": 0.0, "i": 2e-4, "z": -3e-4}

_FLAT_FIELD = 0.002  # relative amplitude of the calibration over the columns
_SKY_SLOPE = 0.002  # relative change of the sky over a frame's columns and over a field's rows
_SKY_BIN = 8  # pixels a node of the sky table
_SKY_NODES = 192, 256
_DIGITS = 14  # of the 23 of a float32 that frames leave zero


def write_frames(
    path,
    *,
    seed,
    n_fields=1,
    run=9000,
    camcol=3,
    field=11,
    coord=None,
    split="train",
    config=None,
    overwrite=False,
    progress=None,
):
    """
    Simulate consecutive fields of a scan into a folder: ``frame-*.fits.bz2`` in five bands, and ``truth.ecsv``.

    Parameters
    ----------
    path : str or path-like
        Folder; it is made if it is not there.
    seed : int
        The same seed gives the same sky; more fields begin with the same ones.
    n_fields : int, optional
    run, camcol, field : int, optional
        Numbers of the first field; the default run is one that SDSS never had. Gains and dark variances are those of
        the camera column in that run.
    coord : `~astropy.coordinates.SkyCoord`, optional
        Centre of the first field; (180, 30) deg by default.
    split : {'train', 'validation', 'test'}, optional
        Whose seeds, among the real galaxies, the galaxies are drawn from.
    config : `Settings`, dict, str or path-like, optional
        As in `galaxies`. Errors of calibration, registration and sky subtraction are not made here, whatever it says.
    overwrite : bool, optional
        Replace files that are there.
    progress : bool, optional
        Whether to draw a progress bar on a terminal; by default for more than 100 fields.

    Returns
    -------
    `~astropy.table.QTable` (N,)
        What ``truth.ecsv`` holds, a row for each object whose centre lies on an *r* frame: position (ICRS), the field
        in which it is most central and its column and row there (pixels, the first pixel's centre at 0), type, total
        flux in each band as observed, extinction included, and E(B-V). The galaxies of the sample (by default those
        to r = 17.8) have a redshift and a shape, too; fainter galaxies and stars have NaN there. Seeing, seed and
        settings are in ``meta``.

    Raises
    ------
    FileExistsError
        If one of the files is there and ``overwrite`` is not set.
    OSError
        If the files cannot be written.
    ValueError, TypeError
        If a parameter is out of its range.

    Examples
    --------
    >>> from astro_photz import FrameDirectory, fetch, simulate
    >>> truth = simulate.write_frames("field/", seed=1)  # doctest: +SKIP
    >>> sample = truth[truth["redshift"] > 0]  # doctest: +SKIP
    >>> cutouts = fetch(sample, source=FrameDirectory("field/"))  # doctest: +SKIP
    """
    recipe = Recipe(seed=seed, split=split, settings=Settings.of(config))
    n_fields = check_count("n_fields", n_fields)
    first = _first_field(run, camcol, field, n_fields)
    coord = SkyCoord(180, 30, unit=u.deg) if coord is None else coord
    if not isinstance(coord, SkyCoord) or not coord.isscalar:
        raise TypeError(f"coord must be a SkyCoord of one position, the centre of the first field; got {coord!r}")
    path = Path(path)
    names = [frame_name(band, first._replace(field=field + k)) for k in range(n_fields) for band in BANDS]
    _check_folder(path, [*names, "truth.ecsv"], overwrite)
    scan = _Scan(recipe, first, coord.icrs)
    path.mkdir(parents=True, exist_ok=True)
    tables = []
    with progress_bar(n_fields, progress) as advance:
        for number in range(n_fields):
            images, objects = scan.draw(number)
            _write_field(path, scan, number, images)
            tables.append(scan.truth(number, objects, n_fields))
            advance(1)
    truth = vstack(tables, metadata_conflicts="silent")
    truth.meta = scan.meta()
    _write_aside(path / "truth.ecsv", lambda part: truth.write(part, format="ascii.ecsv", overwrite=True))
    return truth


def _first_field(run, camcol, field, n_fields):
    for name, value, last in (("run", run, 999_999), ("camcol", camcol, 6), ("field", field, 9999)):
        if check_count(name, value) > last:
            raise ValueError(f"{name} must be at most {last}, got {value}")
    if field + n_fields > 10_000:
        raise ValueError(f"n_fields must leave the last field's number below 10000, got {n_fields} from {field} on")
    return FieldID(run, 301, camcol, field)


def _check_folder(path, names, overwrite):
    if path.exists() and not path.is_dir():
        raise NotADirectoryError(f"{path} is a file: give the name of a folder")
    if path.is_dir() and not os.access(path, os.W_OK):
        raise PermissionError(f"{path}: no permission to write there")
    there = [name for name in names if (path / name).exists()]
    if there and not overwrite:
        raise FileExistsError(f"{path / there[0]} exists: choose another folder, or set overwrite=True (--overwrite)")


class _Scan:
    """The sky along a scan, and the camera under it. Rows are counted from the first of the first field."""

    def __init__(self, recipe, first, coord):
        self.recipe = recipe
        self.first = first
        self.coord = coord
        rng = self._rng(0)
        self.conditions = draw_conditions(1, rng, **recipe.settings.sky)
        self.ebv = float(draw_population(1, rng, split=recipe.split).ebv[0])
        self.gain = gain(first.camcol, first.run)
        self.dark_variance = dark_variance(first.camcol, first.run)

    def _rng(self, *key):
        return np.random.default_rng([self.recipe.seed, *self.first[:3], *key])

    def wcs(self, number, band):
        """World coordinate system of a band's frame in a field."""
        rows, columns = FRAME_SHAPE
        centre = self.coord.directional_offset_by(_SCAN_ANGLE, number * _STEP * PIXEL_SCALE * u.arcsec)
        angle = centre.position_angle(self.coord) + 180 * u.deg if number else _SCAN_ANGLE
        middle = columns // 2, rows // 2
        native = _tangent_plane(centre.ra.deg, centre.dec.deg, middle, angle.to_value(u.deg))
        if band == "r":
            return native
        # As in real frames, the bands share CRPIX and differ in CRVAL.
        ra, dec = native.all_pix2world(*np.subtract(middle, _OFFSET[band]), 0)
        return _tangent_plane(float(ra), float(dec), middle, angle.to_value(u.deg) + _TURN[band], _STRETCH[band])

    def draw(self, number):
        """Ideal images (5, rows, columns) of a field, and the objects in it."""
        rows, _ = FRAME_SHAPE
        native = self.wcs(number, "r")
        maps = [AffineMap.between(native, self.wcs(number, band), shape=FRAME_SHAPE) for band in BANDS]
        first_row = number * _STEP
        images = np.zeros((5, *FRAME_SHAPE), dtype=np.float32)
        reach = _WIDE_STAMP // 2
        strips = [self.strip(k) for k in range((first_row - reach) // _TILE, (first_row + rows + reach) // _TILE + 1)]
        for strip in strips:
            strip.add_to(images, maps, first_row, self.conditions)
        return images, vstack([strip.objects for strip in strips])

    def strip(self, number):
        """What is in 64 rows of the scan."""
        recipe = self.recipe
        rng = self._rng(1, number + _WIDE_STAMP)  # strips before the first field have negative numbers
        tiles = FRAME_SHAPE[1] // _TILE + 2  # one to each side, whose objects shine in
        ebv = np.full(tiles, self.ebv)
        others = draw_neighbours(ebv, rng, size=_TILE, split=recipe.split, **recipe.settings.neighbours)
        inside = np.abs(others.x - (_TILE - 1) / 2) < _TILE / 2
        inside &= np.abs(others.y - (_TILE - 1) / 2) < _TILE / 2
        others = others[inside]
        others.x, others.y = others.x + _TILE * (others.scene - 1), others.y + _TILE * number

        # Galaxies bright enough for the sample give their places to such that have a redshift, a bulge and a disc.
        extended = others.profile != PROFILES.index("point")
        r = ZERO_POINT - 2.5 * np.log10(others.flux[:, 2]) - R_UGRIZ[2] * self.ebv
        bright = extended & (r < recipe.settings.sample.faintest)
        places = np.stack([others.x, others.y], axis=1)[bright]
        rest = others[~bright]
        rest.scene = np.arange(len(rest))
        objects = _plain_objects(rest, extended[~bright])
        if bright.any():
            population = draw_population(len(places), rng, split=recipe.split, sample=recipe.settings.sample)
            population = replace(population, ebv=np.full(len(places), self.ebv))
            targets, truth = draw_targets(population, rng, places)
            targets.scene = targets.scene + len(rest)
            observed = truth["flux"] * 10 ** (-0.4 * R_UGRIZ * self.ebv)
            objects = vstack([objects, _sample_objects(places, truth, observed)])
            rest = Sources.concatenate([rest, targets])
        return _Strip(number, objects, rest)

    def truth(self, number, objects, n_fields):
        """Rows of the catalogue: the objects that are more central in this field than in the others."""
        field_id = self.first._replace(field=self.first.field + number)
        objects = objects.copy()
        objects["y"] -= number * _STEP
        low = OVERLAP / 2 - 0.5 if number else -0.5
        high = (FRAME_SHAPE[0] if number == n_fields - 1 else _STEP + OVERLAP / 2) - 0.5
        x, y = objects["x"], objects["y"]
        objects = objects[(x >= -0.5) & (x < FRAME_SHAPE[1] - 0.5) & (y >= low) & (y < high)]
        ra, dec = self.wcs(number, "r").all_pix2world(objects["x"], objects["y"], 0)
        objects.add_columns([ra * u.deg, dec * u.deg], names=["ra", "dec"], indexes=[0, 0])
        for name, value in field_id._asdict().items():
            objects[name] = np.full(len(objects), value)
        objects["ebv"] = np.full(len(objects), self.ebv) * u.mag
        return objects

    def meta(self):
        """What holds for all objects."""
        return {
            "simulated": True,
            "astro_photz_version": __version__,
            "seed": self.recipe.seed,
            "split": self.recipe.split,
            "settings": json.dumps(self.recipe.settings.as_dict()),
            "psf_fwhm_arcsec": dict(zip(BANDS, self.conditions.psf_fwhm[0].round(4).tolist(), strict=True)),
        }

    def calibration(self, k):
        """Nanomaggies per count (columns,) float32 of band k: the flat field differs a little over the columns."""
        wave = np.sin(np.linspace(0, 2 * np.pi, FRAME_SHAPE[1]) + k)
        return (self.conditions.calibration[0, k] * (1 + _FLAT_FIELD * wave)).astype(np.float32)

    def sky(self, number, k):
        """Sky of band k in a field: a table of nodes, and where in it each column and each row lies."""
        y, x = (np.arange(nodes) / nodes - 0.5 for nodes in _SKY_NODES)
        allsky = self.conditions.sky[0, k] * (1 + _SKY_SLOPE * (x + np.cos(k) * (y[:, None] + number)))
        rows, columns = FRAME_SHAPE
        x, y = (np.arange(columns) + 0.5) / _SKY_BIN - 0.5, (np.arange(rows) + 0.5) / _SKY_BIN + 0.5
        return allsky.astype(np.float32), x.astype(np.float32), y.astype(np.float32)

    def expose(self, number, k, image):
        """The image as the camera sees it and the pipeline calibrates it, in float32."""
        calibration = self.calibration(k)
        sky = _interpolate(*self.sky(number, k))
        counts = image / calibration + sky
        noise = np.empty_like(counts)
        for row in range(len(noise)):
            self._rng(2, k, number * _STEP + row).standard_normal(out=noise[row])
        variance = np.clip(counts, 0, None) / self.gain[k] + self.dark_variance[k]
        observed = np.rint(counts + noise * np.sqrt(variance))
        return _truncate(((observed - sky) * calibration).astype(np.float32))

    def hdulist(self, number, k, image):
        """A frame in the layout of SDSS."""
        band, field_id = BANDS[k], self.first._replace(field=self.first.field + number)
        primary = fits.PrimaryHDU(self.expose(number, k, image), self._header(number, k, field_id))
        allsky, x, y = self.sky(number, k)
        sky = [
            fits.Column("ALLSKY", f"{allsky.size}E", dim=str(allsky.shape[::-1]), array=allsky[None]),
            fits.Column("XINTERP", f"{x.size}E", array=x[None]),
            fits.Column("YINTERP", f"{y.size}E", array=y[None]),
        ]
        names = [fits.Column(name.upper(), "J", array=[getattr(field_id, name)]) for name in ("run", "camcol", "field")]
        names += [
            fits.Column("RERUN", "3A", array=[str(field_id.rerun)]),
            fits.Column("FILTER", "A", array=[band]),
        ]
        tables = [fits.BinTableHDU.from_columns(columns) for columns in (sky, names)]
        return fits.HDUList([primary, fits.ImageHDU(self.calibration(k)), *tables])

    def _header(self, number, k, field_id):
        wcs = self.wcs(number, BANDS[k]).wcs
        header = fits.Header()
        header["SIMULATE"] = (True, "simulated by astro_photz: no real sky")
        header["RUN"] = (field_id.run, "Run number")
        header["FRAME"] = (field_id.field, "Frame sequence number within the run")
        header["CAMCOL"] = (field_id.camcol, "column in the imaging camera")
        header["FILTER"] = (BANDS[k], "filter used")
        header["BUNIT"] = ("nanomaggy", "1 nanomaggy = 3.631e-6 Jy")
        header["EQUINOX"] = 2000.0
        header["RADECSYS"] = ("ICRS", "International Celestial Ref. System")
        for axis in (0, 1):
            header[f"CTYPE{axis + 1}"] = wcs.ctype[axis]
            header[f"CUNIT{axis + 1}"] = "deg"
            header[f"CRPIX{axis + 1}"] = wcs.crpix[axis]
            header[f"CRVAL{axis + 1}"] = wcs.crval[axis]
            for other in (0, 1):
                header[f"CD{axis + 1}_{other + 1}"] = wcs.cd[axis, other]
        header["NMGY"] = (float(np.median(self.calibration(k))), "Calibration factor [nMgy per count]")
        header["RERUN"] = (str(field_id.rerun), "rerun")
        return header


@dataclass
class _Strip:
    """Objects in 64 rows of the scan, and the sources that they consist of, whose ``scene`` is the object's row."""

    number: int
    objects: QTable
    sources: Sources

    def add_to(self, images, maps, first_row, conditions):
        """Add the light to the images (5, rows, columns) of the field that begins with ``first_row``."""
        for sources, centre, size in (self._in_tiles, self._on_their_own):
            corner = np.floor(centre).astype(int) - size // 2 + 1
            x, y = sources.x - corner[sources.scene, 0], sources.y - corner[sources.scene, 1]
            native = centre - [0, first_row]
            moved = np.stack([transform(native) - native for transform in maps], axis=1)  # (N, 5, 2)
            whole = np.rint(moved).astype(int)
            transfer = _repeat(conditions, len(centre)).transfer
            stamps = render(replace(sources, x=x, y=y), transfer, size=size, shift=moved - whole).numpy()
            places = (corner - [0, first_row])[:, None] + whole
            for in_bands in zip(stamps, places, strict=True):
                for image, stamp, place in zip(images, *in_bands, strict=True):
                    _add(image, stamp, *place)

    @property
    def _is_wide(self):
        """Which objects shine farther than their tile's stamp (N,)."""
        wide = self.objects["redshift"] > 0
        wide[self.sources.scene[self.sources.radius > _COMPACT]] = True
        return wide

    @cached_property
    def _in_tiles(self):
        """Sources of the other objects by tile, the tiles' middles (N, 2), and the size of their stamps."""
        number = np.arange(-1, FRAME_SHAPE[1] // _TILE + 1)
        centre = np.stack([_TILE * (number + 0.5), np.full(len(number), _TILE * (self.number + 0.5))], axis=1) - 0.5
        sources = self.sources[~self._is_wide[self.sources.scene]]
        tile = np.floor((self.objects["x"][sources.scene] + 0.5) / _TILE).astype(int) + 1
        sources = replace(sources, scene=tile)
        return sources[np.argsort(tile, kind="stable")], centre, _TILE_STAMP

    @cached_property
    def _on_their_own(self):
        """Sources of the wide objects by object, the objects' places (N, 2), and the size of their stamps."""
        objects = np.flatnonzero(self._is_wide)
        sources = self.sources[self._is_wide[self.sources.scene]]
        centre = np.stack([self.objects["x"], self.objects["y"]], axis=1)[objects]
        return replace(sources, scene=np.searchsorted(objects, sources.scene)), centre, _WIDE_STAMP


def _plain_objects(sources, extended):
    """Objects of one source each, of which no more is known than what they look like."""
    n = len(sources)
    unknown = np.full(n, np.nan)
    return _objects(
        sources.x,
        sources.y,
        np.where(extended, "galaxy", "star"),
        sources.flux,
        redshift=unknown,
        bulge_fraction=unknown,
        half_light_radius=np.where(extended, sources.radius * np.sqrt(sources.axis_ratio) * PIXEL_SCALE, 0) * u.arcsec,
        inclination=unknown * u.deg,
        seed_index=np.full(n, -1),
    )


def _sample_objects(places, truth, observed):
    names = ("redshift", "bulge_fraction", "half_light_radius", "inclination", "seed_index")
    kind = np.full(len(truth), "galaxy")
    return _objects(*places.T, kind, observed.value, **{name: truth[name] for name in names})


def _objects(x, y, kind, flux, **columns):
    fluxes = {f"flux_{band}": flux[:, k] * u.nmgy for k, band in enumerate(BANDS)}
    return QTable({"type": kind, **fluxes, "x": x, "y": y, **columns})


def _tangent_plane(ra, dec, middle, angle, stretch=0.0):
    """World coordinate system whose rows go along a position angle (deg), mirrored as SDSS is."""
    wcs = WCS(naxis=2)
    wcs.wcs.ctype = "RA---TAN", "DEC--TAN"
    wcs.wcs.crval = ra, dec
    wcs.wcs.crpix = np.add(middle, 1.0)
    east, north = np.sin(np.deg2rad(angle)), np.cos(np.deg2rad(angle))
    wcs.wcs.cd = PIXEL_SCALE / 3600 * np.array([[-north, east], [east, north]]) * [1 + stretch, 1]
    wcs.wcs.set()
    return wcs


def _repeat(conditions, n):
    """One set of conditions for n scenes."""
    repeated = {field.name: np.repeat(getattr(conditions, field.name), n, axis=0) for field in fields(conditions)}
    return replace(conditions, **repeated)


def _add(image, stamp, x, y):
    """Add a stamp whose first pixel lies at column x and row y, as far as it is on the image."""
    rows, columns = image.shape
    left, bottom = max(x, 0), max(y, 0)
    right, top = min(x + stamp.shape[1], columns), min(y + stamp.shape[0], rows)
    if left < right and bottom < top:
        image[bottom:top, left:right] += stamp[bottom - y : top - y, left - x : right - x]


def _interpolate(table, x, y):
    """What a table of nodes gives at columns x and rows y, bilinearly, as users of the frames do it."""
    places = np.meshgrid(y, x, indexing="ij")
    return map_coordinates(table.astype(float), places, order=1, mode="nearest")


def _truncate(image):
    """Round to 10 binary digits, as frames are to make them compress."""
    half = np.uint32(1 << (_DIGITS - 1))
    bits = image.view(np.uint32) + half
    return (bits >> np.uint32(_DIGITS) << np.uint32(_DIGITS)).view(np.float32)


def _write_field(path, scan, number, images):
    def write_band(k):
        buffer = io.BytesIO()
        scan.hdulist(number, k, images[k]).writeto(buffer)
        name = frame_name(BANDS[k], scan.first._replace(field=scan.first.field + number))
        data = bz2.compress(buffer.getvalue())
        _write_aside(path / name, lambda part: part.write_bytes(data))

    with ThreadPoolExecutor() as pool:  # bzip2 works without Python's lock
        list(pool.map(write_band, range(len(BANDS))))


def _write_aside(path, write):
    """Write under another name and rename, so that there is never half a file under its name."""
    part = path.with_name(path.name + ".part")
    try:
        write(part)
        os.replace(part, path)
    finally:
        part.unlink(missing_ok=True)
