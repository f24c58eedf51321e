# Licensed under a 3-clause BSD style license - see LICENSE
"""
Defects: pixels that are sharper than the light of any source, such as cosmic rays and hot pixels or columns.

The atmosphere spreads all light over some pixels. What stands out from its neighbours in a row, or in a column, more
than a point source in the best seeing does not come from the sky.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from .measurements import Measurements

__all__ = ["has_defect"]

_LEAST = 30.0  # times the noise: a fainter pixel tells no ratio
_SIGNIFICANT = 5.0  # times the noise of a difference
# Light of a point over that 1 and 2 pixels aside, in a seeing of 0.7 arcsec: 2.4 and 35 for a Gaussian in the middle
# of a pixel. A defect that was resampled has the rows beside it, too, but not those 2 pixels aside.
_RATIOS = {1: 4.0, 2: 40.0}


def has_defect(flux: np.ndarray, measurements: Measurements) -> np.ndarray:
    """
    Tell whether any pixel of a stamp is sharper than a point source.

    Parameters
    ----------
    flux : `~numpy.ndarray` (N, 5, S, S) of float32
        Nanomaggies; NaN where there is no data.
    measurements : `~astro_photz.quality.measurements.Measurements` (N,)

    Returns
    -------
    `~numpy.ndarray` (N,) of bool
        Whether a pixel is more than 4 times as bright as both of its neighbours in a row or in a column, or 40 times as
        bright as both pixels beyond these, by five times the noise.
    """
    side = flux.shape[-1]
    noise = np.where(measurements.noise > 0, measurements.noise, np.nan)
    with np.errstate(invalid="ignore", over="ignore"):
        bright = np.flatnonzero(flux > (measurements.sky + _LEAST * noise)[..., None, None])
    image, place = np.divmod(bright, side * side)
    level, rms = measurements.sky.ravel()[image], noise.ravel()[image]
    pixels = flux.ravel()
    value = pixels[bright] - level
    found = np.zeros(len(flux), dtype=bool)
    for step, ratio in _RATIOS.items():
        least = _SIGNIFICANT * rms * np.hypot(1, ratio)
        enough = value > least  # even in the dark
        image, place, bright, level, value, least = (
            values[enough] for values in (image, place, bright, level, value, least)
        )
        rms = rms[enough]
        for axis, stride in ((place % side, 1), (place // side, side)):
            inside = (axis >= step) & (axis < side - step)  # beyond the edge, light is unknown
            aside = step * stride * inside
            beside = np.maximum(pixels[bright - aside], pixels[bright + aside]) - level
            with np.errstate(invalid="ignore", over="ignore"):
                sharp = value - ratio * np.maximum(beside, 0) > least
            found[image[sharp] // flux.shape[1]] = True
    return found
