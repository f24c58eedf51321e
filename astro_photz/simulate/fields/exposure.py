# Licensed under a 3-clause BSD style license - see LICENSE
"""
The camera of a drift scan: calibration, sky and noise of its frames.

Calibration and the sky that is subtracted are exact here, as they never are on the real sky, and the noise of
neighbouring pixels is independent. Every row of pixels has a random generator of its own, so that fields share the
noise where they overlap.
"""

import numpy as np
from scipy.ndimage import map_coordinates

from astro_photz.sdss import FRAME_SHAPE, dark_variance, gain

__all__ = ["OVERLAP", "STEP", "Camera"]

OVERLAP = 128
"""Rows that a field shares with the next."""

STEP = FRAME_SHAPE[0] - OVERLAP
"""Rows from the beginning of a field to that of the next."""

_FLAT_FIELD = 0.002  # relative amplitude of the calibration over the columns
_SKY_SLOPE = 0.002  # relative change of the sky over a frame's columns and over a field's rows
_SKY_BIN = 8  # pixels a node of the sky table
_SKY_NODES = 192, 256
_DIGITS = 14  # of the 23 of a float32 that frames leave zero


class Camera:
    """
    A camera column in one run, under the conditions of that run.

    Parameters
    ----------
    conditions : `~astro_photz.simulate.camera.conditions.Conditions` (1,)
        With the sky and the calibration.
    field_id : `~astro_photz.sdss.FieldID`
        A field of the run.
    seed : int
    """

    def __init__(self, conditions, field_id, seed):
        self.conditions = conditions
        self.gain = gain(field_id.camcol, field_id.run)
        self.dark_variance = dark_variance(field_id.camcol, field_id.run)
        self._key = [seed, *field_id[:3], 2]

    def calibration(self, k):
        """
        Compute the calibration of a band, whose flat field differs a little over the columns.

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
        Tabulate the sky of a band in a field.

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
            np.random.default_rng([*self._key, k, number * STEP + row]).standard_normal(out=noise[row])
        variance = np.clip(counts, 0, None) / self.gain[k] + self.dark_variance[k]
        observed = np.rint(counts + noise * np.sqrt(variance))
        return _truncate(((observed - sky) * calibration).astype(np.float32))


def _interpolate(table, x, y):
    """Interpolate a table of nodes at columns x and rows y, bilinearly, as users of the frames do it."""
    places = np.meshgrid(y, x, indexing="ij")
    return map_coordinates(table.astype(float), places, order=1, mode="nearest")


def _truncate(image):
    """Round to 10 binary digits, as frames are to make them compress."""
    half = np.uint32(1 << (_DIGITS - 1))
    bits = image.view(np.uint32) + half
    return (bits >> np.uint32(_DIGITS) << np.uint32(_DIGITS)).view(np.float32)
