# Licensed under a 3-clause BSD style license - see LICENSE
"""
A drift scan over a simulated sky, field by field.

The sky is drawn in strips (`astro_photz.simulate.fields.strip`) and exposed by a camera
(`astro_photz.simulate.fields.exposure`), each with random generators of its own. So a field does not depend on how many
are made, and where two fields overlap they share their objects and their noise, as real ones do.

Point-spread function, sky brightness, calibration and E(B-V) are one draw for the whole scan. The coordinates are exact
here, as they never are on the real sky.
"""

import json

import numpy as np
from astropy import units as u
from astropy.table import vstack
from astropy.wcs import WCS

from astro_photz import __version__
from astro_photz.cutouts.resampling import AffineMap
from astro_photz.sdss import BANDS, FRAME_SHAPE, PIXEL_SCALE
from astro_photz.simulate.camera.conditions import draw_conditions
from astro_photz.simulate.population.draw import draw_population

from .exposure import OVERLAP, STEP, Camera
from .strip import ROWS, WIDE_STAMP, draw_strip

__all__ = ["Scan"]

_SCAN_ANGLE = 90.0 * u.deg  # the scan goes east at its first field

# Where a point of the r frame lies in the other bands (columns, rows), how much those are turned against r (deg), and
# by which fraction their columns are farther apart: of the size found in real frames.
_OFFSET = {"u": (0.4, 6.7), "g": (-0.9, 9.9), "r": (0.0, 0.0), "i": (1.6, 2.8), "z": (-1.7, 6.5)}
_TURN = {"u": -0.010, "g": 0.013, "r": 0.0, "i": 0.006, "z": -0.012}
_STRETCH = {"u": 4e-4, "g": 3e-4, "r": 0.0, "i": 2e-4, "z": -3e-4}


class Scan:
    """
    The sky along a scan, and the camera under it.

    Rows are counted from the first of the first field.

    Parameters
    ----------
    simulation : `~astro_photz.simulate.simulation.Simulation`
        With the seed, the split and the settings.
    first : `~astro_photz.sdss.FieldID`
        The first field.
    coord : `~astropy.coordinates.SkyCoord`
        Its centre (ICRS).
    """

    def __init__(self, simulation, first, coord):
        self.simulation = simulation
        self.first = first
        self.coord = coord
        rng = self._rng(0)
        self.conditions = draw_conditions(1, rng, **simulation.settings.sky)
        self.ebv = float(draw_population(1, rng, split=simulation.split).ebv[0])
        self.camera = Camera(self.conditions, first, simulation.seed)

    def _rng(self, *key):
        return np.random.default_rng([self.simulation.seed, *self.first[:3], *key])

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
        centre = self.coord.directional_offset_by(_SCAN_ANGLE, number * STEP * PIXEL_SCALE * u.arcsec)
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
            Objects in it, and somewhat beyond.
        """
        rows, _ = FRAME_SHAPE
        native = self.wcs(number, "r")
        maps = [AffineMap.between(native, self.wcs(number, band), shape=FRAME_SHAPE) for band in BANDS]
        first_row = number * STEP
        images = np.zeros((5, *FRAME_SHAPE), dtype=np.float32)
        reach = WIDE_STAMP // 2
        strips = [self.strip(k) for k in range((first_row - reach) // ROWS, (first_row + rows + reach) // ROWS + 1)]
        for strip in strips:
            strip.add_to(images, maps, first_row, self.conditions)
        return images, vstack([strip.objects for strip in strips])

    def strip(self, number):
        """
        Draw the objects in 64 rows of the scan.

        Parameters
        ----------
        number : int
            Of the strip; the first field begins with strip 0.

        Returns
        -------
        `~astro_photz.simulate.fields.strip.Strip`
        """
        rng = self._rng(1, number + WIDE_STAMP)  # strips before the first field have negative numbers
        return draw_strip(number, rng, self.simulation, self.ebv)

    def truth(self, number, objects, n_fields):
        """
        Select the objects that are more central in this field than in the others.

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
        objects["y"] -= number * STEP
        low = OVERLAP / 2 - 0.5 if number else -0.5
        high = (FRAME_SHAPE[0] if number == n_fields - 1 else STEP + OVERLAP / 2) - 0.5
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
        Facts that all objects share.

        Returns
        -------
        dict
        """
        return {
            "simulated": True,
            "astro_photz_version": __version__,
            "seed": self.simulation.seed,
            "split": self.simulation.split,
            "settings": json.dumps(self.simulation.settings.as_dict()),
            "psf_fwhm_arcsec": dict(zip(BANDS, self.conditions.psf_fwhm[0].round(4).tolist(), strict=True)),
        }


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
