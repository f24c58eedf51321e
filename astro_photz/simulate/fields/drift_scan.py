# Licensed under a 3-clause BSD style license - see LICENSE
"""
A drift scan over a simulated sky: what is in it, and what the camera makes of it, field by field.

What is in the sky is drawn in strips of 64 rows, each from a random generator of its own; the noise of a row of pixels
likewise. So a field does not depend on how many are made, and where two fields overlap they share their objects and
their noise, as real ones do. In a strip, compact sources are drawn together in stamps that tile it, extended ones each
in a stamp of its own; stamps are added up at the places that the world coordinate system of each band gives.

Point-spread function, sky brightness, calibration and E(B-V) are one draw for the whole scan. The calibration, the sky
that was subtracted and the coordinates are exact here, as they never are on the real sky, and the noise of neighbouring
pixels is independent. Of a galaxy, what lies farther out than 76 arcsec is not drawn.
"""

import json
from contextlib import suppress
from dataclasses import dataclass, fields, replace
from functools import cached_property

import numpy as np
from astropy import units as u
from astropy.nddata import NoOverlapError, add_array
from astropy.table import QTable, vstack
from astropy.wcs import WCS
from scipy.ndimage import map_coordinates
from scipy.optimize import linear_sum_assignment

from astro_photz import __version__
from astro_photz.cutouts.frames import AffineMap
from astro_photz.sdss import BANDS, FRAME_SHAPE, PIXEL_SCALE, R_UGRIZ, dark_variance, gain
from astro_photz.simulate.camera.conditions import draw_conditions
from astro_photz.simulate.population.draw import draw_population
from astro_photz.simulate.population.sample import r_magnitude
from astro_photz.simulate.render.components import PROFILES, Sources
from astro_photz.simulate.render.fourier import render
from astro_photz.simulate.scene.neighbours import draw_neighbours
from astro_photz.simulate.simulation import draw_targets

__all__ = ["OVERLAP", "Scan"]


OVERLAP = 128
"""Rows that a field shares with the next."""

_STEP = FRAME_SHAPE[0] - OVERLAP
_TILE = 64  # pixels; a frame is 32 of them wide
_TILE_STAMP = 128  # pixels: what is drawn of the objects of a tile
_WIDE_STAMP = 384  # pixels: what is drawn of a galaxy too wide for that
_COMPACT = 6.0  # half-light radius (pixels) up to which a faint galaxy's light stays within 32 pixels of its tile
_CANDIDATES = 1000  # galaxies of the sample to choose from in a strip: some of any magnitude
_ALIKE = 0.5  # mag in r, to which one of them must be as bright as the galaxy whose place it takes
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


class Scan:
    """
    The sky along a scan, and the camera under it. Rows are counted from the first of the first field.

    Parameters
    ----------
    recipe : `~astro_photz.simulate.simulation.Recipe`
        Seed, split and settings.
    first : `~astro_photz.sdss.FieldID`
        The first field.
    coord : `~astropy.coordinates.SkyCoord`
        Its centre (ICRS).
    """

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
        """
        World coordinate system of a frame.

        Parameters
        ----------
        number : int
            Of the field, from 0.
        band : str

        Returns
        -------
        `~astropy.wcs.WCS`
        """
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
        """
        Draw a field without noise.

        Parameters
        ----------
        number : int
            Of the field, from 0.

        Returns
        -------
        images : `~numpy.ndarray` (5, rows, columns) float32
            Flux (nanomaggies) in *ugriz*.
        objects : `~astropy.table.QTable`
            What is in it, and somewhat beyond.
        """
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
        """
        Draw what is in 64 rows of the scan.

        Parameters
        ----------
        number : int
            Of the strip; the first field begins with strip 0.

        Returns
        -------
        ``_Strip``
        """
        recipe = self.recipe
        rng = self._rng(1, number + _WIDE_STAMP)  # strips before the first field have negative numbers
        tiles = FRAME_SHAPE[1] // _TILE + 2  # one to each side, whose objects shine in
        ebv = np.full(tiles, self.ebv)
        others = draw_neighbours(ebv, rng, size=_TILE, split=recipe.split, **recipe.settings.neighbours)
        inside = np.abs(others.x - (_TILE - 1) / 2) < _TILE / 2
        inside &= np.abs(others.y - (_TILE - 1) / 2) < _TILE / 2
        others = others[inside]
        others.x, others.y = others.x + _TILE * (others.scene - 1), others.y + _TILE * number

        # What is as bright as the sample gives its place to one of its galaxies, with a redshift, a bulge and a disc.
        extended = others.profile != PROFILES.index("point")
        r = r_magnitude(others.flux) - R_UGRIZ[2] * self.ebv
        sample = recipe.settings.sample
        replaced = extended & (r >= sample.brightest) & (r < sample.faintest)
        if replaced.any():
            population, found = self._draw_as_bright(r[replaced], rng)
            replaced[replaced] = found
        rest = others[~replaced]
        rest.scene = np.arange(len(rest))
        objects = _plain_objects(rest, extended[~replaced])
        if replaced.any():
            places = np.stack([others.x, others.y], axis=1)[replaced]
            targets, truth = draw_targets(population, rng, places)
            targets.scene = targets.scene + len(rest)
            observed = truth["flux"] * 10 ** (-0.4 * R_UGRIZ * self.ebv)
            objects = vstack([objects, _sample_objects(places, truth, observed)])
            rest = Sources.concatenate([rest, targets])
        return _Strip(number, objects, rest)

    def _draw_as_bright(self, r, rng):
        """Galaxies of the sample, each about as bright as one of given magnitudes (N,), and for which there is one."""
        recipe = self.recipe
        candidates = draw_population(len(r) + _CANDIDATES, rng, split=recipe.split, sample=recipe.settings.sample)
        apart = np.minimum(np.abs(np.subtract.outer(r, r_magnitude(candidates.flux))), _ALIKE)
        row, candidate = linear_sum_assignment(apart)
        found = apart[row, candidate] < _ALIKE
        population = candidates[candidate[found]]
        return replace(population, ebv=np.full(len(population), self.ebv)), found

    def truth(self, number, objects, n_fields):
        """
        Rows of the catalogue: the objects that are more central in this field than in the others.

        Parameters
        ----------
        number : int
            Of the field, from 0.
        objects : `~astropy.table.QTable` (N,)
            Of `draw`.
        n_fields : int
            How many fields there are.

        Returns
        -------
        `~astropy.table.QTable` (M,)
            With positions and the names of the field besides.
        """
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
        """
        What holds for all objects.

        Returns
        -------
        dict
        """
        return {
            "simulated": True,
            "astro_photz_version": __version__,
            "seed": self.recipe.seed,
            "split": self.recipe.split,
            "settings": json.dumps(self.recipe.settings.as_dict()),
            "psf_fwhm_arcsec": dict(zip(BANDS, self.conditions.psf_fwhm[0].round(4).tolist(), strict=True)),
        }

    def calibration(self, k):
        """
        Calibration of a band: the flat field differs a little over the columns.

        Parameters
        ----------
        k : int
            Place of the band in *ugriz*.

        Returns
        -------
        `~numpy.ndarray` (columns,) float32
            Nanomaggies per count.
        """
        wave = np.sin(np.linspace(0, 2 * np.pi, FRAME_SHAPE[1]) + k)
        return (self.conditions.calibration[0, k] * (1 + _FLAT_FIELD * wave)).astype(np.float32)

    def sky(self, number, k):
        """
        Sky of a band in a field, as a table of nodes.

        Parameters
        ----------
        number : int
            Of the field, from 0.
        k : int
            Place of the band in *ugriz*.

        Returns
        -------
        table : `~numpy.ndarray` (192, 256) float32
            Counts a pixel.
        x : `~numpy.ndarray` (columns,) float32
            Where in the table each column lies.
        y : `~numpy.ndarray` (rows,) float32
            Where in the table each row lies.
        """
        y, x = (np.arange(nodes) / nodes - 0.5 for nodes in _SKY_NODES)
        allsky = self.conditions.sky[0, k] * (1 + _SKY_SLOPE * (x + np.cos(k) * (y[:, None] + number)))
        rows, columns = FRAME_SHAPE
        x, y = (np.arange(columns) + 0.5) / _SKY_BIN - 0.5, (np.arange(rows) + 0.5) / _SKY_BIN + 0.5
        return allsky.astype(np.float32), x.astype(np.float32), y.astype(np.float32)

    def expose(self, number, k, image):
        """
        Expose the camera, and calibrate what it counts.

        Parameters
        ----------
        number : int
            Of the field, from 0.
        k : int
            Place of the band in *ugriz*.
        image : `~numpy.ndarray` (rows, columns)
            Ideal flux (nanomaggies).

        Returns
        -------
        `~numpy.ndarray` (rows, columns) float32
            Observed flux (nanomaggies).
        """
        calibration = self.calibration(k)
        sky = _interpolate(*self.sky(number, k))
        counts = image / calibration + sky
        noise = np.empty_like(counts)
        for row in range(len(noise)):
            self._rng(2, k, number * _STEP + row).standard_normal(out=noise[row])
        variance = np.clip(counts, 0, None) / self.gain[k] + self.dark_variance[k]
        observed = np.rint(counts + noise * np.sqrt(variance))
        return _truncate(((observed - sky) * calibration).astype(np.float32))


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
    rows, columns = stamp.shape
    with suppress(NoOverlapError):
        add_array(image, stamp, (y + rows // 2, x + columns // 2))


def _interpolate(table, x, y):
    """What a table of nodes gives at columns x and rows y, bilinearly, as users of the frames do it."""
    places = np.meshgrid(y, x, indexing="ij")
    return map_coordinates(table.astype(float), places, order=1, mode="nearest")


def _truncate(image):
    """Round to 10 binary digits, as frames are to make them compress."""
    half = np.uint32(1 << (_DIGITS - 1))
    bits = image.view(np.uint32) + half
    return (bits >> np.uint32(_DIGITS) << np.uint32(_DIGITS)).view(np.float32)
