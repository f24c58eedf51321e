# Licensed under a 3-clause BSD style license - see LICENSE
"""
The scale of pixels and their values, told by the noise of the sky.

The exposures of SDSS are all of one length, so that the noise of a pixel varies by a factor of three at most. Other
units, an image that was stretched for display, or one of more exposures have another noise.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from .measurements import Measurements

__all__ = ["HIGHEST_NOISE", "LOWEST_NOISE", "has_wrong_scale"]

LOWEST_NOISE = np.array([0.016, 0.0085, 0.0155, 0.023, 0.069], dtype=np.float32)
HIGHEST_NOISE = np.array([0.105, 0.0375, 0.0480, 0.077, 0.375], dtype=np.float32)
"""
Noise of a pixel in *ugriz* (nanomaggies): the range of all but one in a thousand of the galaxies that validate the
bundled model, and a fifth more to either side.
"""

_LEAST_GRAIN = 0.68  # in the band that has most: bands resampled with a spline have 0.85 or more, enlarged ones 0.64
_MOST_SKY = 5.0  # times the noise, which no galaxy reaches in all bands, and a sky that was not subtracted exceeds


def has_wrong_scale(measurements: Measurements) -> np.ndarray:
    """
    Tell whether noise or sky are not those of nanomaggies in pixels of 0.396 arcsec.

    Parameters
    ----------
    measurements : `~astro_photz.quality.measurements.Measurements` (N,)

    Returns
    -------
    `~numpy.ndarray` (N,) of bool
        Whether the noise of one band is out of the range of ``LOWEST_NOISE`` and ``HIGHEST_NOISE``, neighbouring pixels
        are alike in all bands, as where an image was enlarged, or the sky was not subtracted. A factor in all bands is
        seen if it is larger than about 2, and pixels of another size if they are much smaller.

    Notes
    -----
    The noise is that of the differences of neighbouring pixels, to which the light of a large galaxy adds little.
    """
    noise = measurements.noise * measurements.grain
    known = np.isfinite(noise)
    out_of_range = known & ((noise < LOWEST_NOISE) | (noise > HIGHEST_NOISE))
    smooth = known.any(axis=1) & (np.where(known, measurements.grain, 0).max(axis=1) < _LEAST_GRAIN)
    with np.errstate(divide="ignore", invalid="ignore"):
        sky = np.where(measurements.noise > 0, measurements.sky / measurements.noise, np.nan)
    present = ~np.isnan(sky)
    unsubtracted = present.any(axis=1) & (np.where(present, sky, np.inf) > _MOST_SKY).all(axis=1)
    return out_of_range.any(axis=1) | smooth | unsubtracted
