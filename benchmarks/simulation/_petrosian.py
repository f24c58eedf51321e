# Licensed under a 3-clause BSD style license - see LICENSE
"""
Petrosian quantities of an image, with the definitions of the survey, in circular apertures.

The Petrosian ratio at a radius is the mean brightness between 0.8 and 1.25 of it over the mean brightness within; at
the Petrosian radius it falls to 0.2, and the Petrosian flux is that within twice this radius (Blanton et al. 2001, AJ
121, 2358; Strauss et al. 2002, AJ 124, 1810).
"""

from dataclasses import dataclass

import numpy as np
from photutils.profiles import CurveOfGrowth
from scipy.interpolate import PchipInterpolator

__all__ = ["Petrosian", "measure"]

_RATIO = 0.2
_RING = 0.8, 1.25  # inner and outer radius, over the radius
_APERTURE = 2.0  # Petrosian radii
_LEAST = 0.4  # pixels
_STEPS = 60  # radii of the curve of growth
_FINE = 2000  # radii at which it is interpolated


@dataclass(frozen=True)
class Petrosian:
    """Petrosian flux, the Petrosian radius and those of half and of nine tenths of the flux (pixels)."""

    flux: float
    radius: float
    half: float
    ninety: float


def measure(image, xy):
    """
    Petrosian quantities of a galaxy alone in an image without noise; NaN where its aperture is not inside the image.

    ``xy`` is its centre (pixels). Of several radii at which the ratio falls to 0.2, the survey takes the largest.
    """
    largest = len(image) / 2 - 1 - np.abs(np.asarray(xy) - (len(image) - 1) / 2).max()
    radii = np.append(0, np.geomspace(_LEAST, largest, _STEPS))
    within = np.append(0, CurveOfGrowth(image, xy, radii[1:]).profile)
    growth = PchipInterpolator(radii**0.5, within)  # nearly a straight line in the middle of peaked profiles

    def light(radius):
        return growth(radius**0.5)

    inner, outer = _RING
    fine = np.geomspace(_LEAST, largest / outer, _FINE)
    ratio = (light(outer * fine) - light(inner * fine)) / (outer**2 - inner**2) / light(fine)
    falls = np.flatnonzero((ratio[:-1] >= _RATIO) & (ratio[1:] < _RATIO))
    if not len(falls) or _APERTURE * fine[falls[-1] + 1] > largest:
        return Petrosian(np.nan, np.nan, np.nan, np.nan)
    last = falls[-1]
    radius = np.interp(-_RATIO, -ratio[last : last + 2], fine[last : last + 2])
    flux = float(light(_APERTURE * radius))
    grid = np.linspace(0, _APERTURE * radius, _FINE)
    half, ninety = np.interp([0.5, 0.9], np.maximum.accumulate(light(grid)) / flux, grid)
    return Petrosian(flux, float(radius), float(half), float(ninety))
