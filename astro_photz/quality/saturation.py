# Licensed under a 3-clause BSD style license - see LICENSE
"""
Saturated pixels: a detector that was full.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from .measurements import Measurements

__all__ = ["FULL", "is_saturated"]

FULL = np.array([430.0, 185.0, 240.0, 330.0, 1470.0], dtype=np.float32)
"""
Flux of a pixel in *ugriz* (nanomaggies) at three quarters of what the detectors count to, 65,535 DN, with the typical
calibration of a frame. Stars of real frames are whole up to about this level, which they reach at magnitude 13.5.
"""

# Pixels of one value, the highest one. Values of r, which is not resampled, are whole numbers of DN, and the middle of
# a faint disc is flat: one in two hundred has three such pixels in r, none in two bands.
_PLATEAU = 3
_LARGE_PLATEAU = 7


def is_saturated(measurements: Measurements) -> np.ndarray:
    """
    Tell whether the brightest pixels in the middle of stamps are cut off.

    Parameters
    ----------
    measurements : `~astro_photz.quality.measurements.Measurements` (N,)

    Returns
    -------
    `~numpy.ndarray` (N,) of bool
        Whether three pixels share the highest value in two bands, or seven in one, or the highest value of a band is
        above `FULL`.

    Notes
    -----
    SDSS's own frames have no plateaus: the pipeline interpolates over saturated cores, which are then lower than they
    were, and of any shape. Of such stars only the brightest are told by this rule.
    """
    plateau = measurements.plateau
    cut_off = (np.count_nonzero(plateau >= _PLATEAU, axis=1) >= 2) | (plateau >= _LARGE_PLATEAU).any(axis=1)
    return cut_off | (measurements.highest > FULL).any(axis=1)
