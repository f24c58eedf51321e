# Licensed under a 3-clause BSD style license - see LICENSE
"""
Lines of light that cross a stamp: satellites, meteors and aircraft.

A line is looked for in the outer part of a stamp, at both of its ends, so that the galaxy in the middle does not count
and a star at one end does not suffice. Pixels are cut off at a few times the noise, so that many count, not a bright
one. A satellite moves while the camera takes one band after the other, and its line lies elsewhere in each; that of a
galaxy seen from its edge does not.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from .measurements import Measurements

__all__ = ["trails"]

_LEAST_SHARE = 0.01  # of the sky's pixels that are bright, where a line may be; and more than in most bands
_STEPS = 32  # angles of lines
_BIN = 2  # pixels: a side of those that lines are summed over
_CLEAR_OF_CENTRE = 20.0  # pixels
_SHORTEST = 5  # binned pixels at either end
_CUT = 4.0  # times the noise of a binned pixel
_MEAN = 3.0  # of the cut pixels along a line, at both of its ends
_DARK = 1.0  # their mean in most bands
_AT_ONCE = 512  # images


def trails(flux: np.ndarray, measurements: Measurements) -> np.ndarray:
    """
    Tell whether a line of light crosses stamps, in one or two bands.

    Parameters
    ----------
    flux : `~numpy.ndarray` (N, 5, S, S) of float32
        Nanomaggies; NaN where there is no data.
    measurements : `~astro_photz.quality.measurements.Measurements` (N,)

    Returns
    -------
    `~numpy.ndarray` (N,) of bool
        Whether there is a line that most bands do not have.
    """
    found = np.zeros(len(flux), dtype=bool)
    bright = measurements.bright
    more = bright > np.maximum(_LEAST_SHARE, 1.3 * np.median(bright, axis=1, keepdims=True))
    rows, bands = np.nonzero(more & (measurements.noise > 0))
    for start in range(0, len(rows), _AT_ONCE):
        some = slice(start, start + _AT_ONCE)
        brightness = _along_lines(flux, measurements, rows[some], bands[some])
        line = brightness.argmax(axis=1)
        lined = np.flatnonzero(brightness[np.arange(len(line)), line] > _MEAN)
        found[rows[some][lined]] |= _is_in_few_bands(flux, measurements, rows[some][lined], line[lined])
    return found


def _is_in_few_bands(flux, measurements, rows, line):
    """Tell whether most bands are dark along a line of each galaxy."""
    n = len(rows)
    every = np.repeat(rows, 5), np.tile(np.arange(5), n)
    brightness = _along_lines(flux, measurements, *every, lines=np.repeat(line, 5)).reshape(n, 5)
    return np.median(brightness, axis=1) < _DARK


def _along_lines(flux, measurements, rows, bands, *, lines=None):
    """Mean of the cut pixels along each line, or one line, of stamps: the lower one of its two ends, over the noise."""
    sky, noise = measurements.sky[rows, bands], measurements.noise[rows, bands]
    with np.errstate(divide="ignore", invalid="ignore"):
        images = _binned(flux[rows, bands] - sky[:, None, None]) * (_BIN / noise[:, None, None])
    pixels = np.clip(np.nan_to_num(images), -_CUT, _CUT).reshape(len(rows), images.shape[-1] ** 2)
    first, second = _lines(images.shape[-1])
    if lines is None:
        return np.minimum(first @ pixels.T, second @ pixels.T).T
    return np.minimum(*(end[lines].multiply(pixels).sum(axis=1) for end in (first, second)))


def _binned(images):
    """Mean of squares of pixels; an odd row or column at the end is left out."""
    side = images.shape[-1] // _BIN
    images = images[:, : side * _BIN, : side * _BIN]
    return images.reshape(len(images), side, _BIN, side, _BIN).mean(axis=(2, 4))


@lru_cache(maxsize=4)
def _lines(side):
    """Weights (lines, pixels) of the mean over the outer part of a line, at one of its ends and at the other."""
    from scipy.sparse import csr_array

    axis = np.arange(side) - (side - 1) / 2
    x, y = (values.ravel() for values in np.meshgrid(axis, axis))
    outer = np.hypot(x, y) > _CLEAR_OF_CENTRE / _BIN
    ends = ([], [])
    for angle in np.arange(_STEPS) * np.pi / _STEPS:
        along, across = x * np.cos(angle) + y * np.sin(angle), y * np.cos(angle) - x * np.sin(angle)
        for offset in np.arange(-side // 2, side // 2 + 1):
            on_line = outer & (np.abs(across - offset) <= 0.5)
            first, second = on_line & (along < 0), on_line & (along >= 0)
            if min(np.count_nonzero(first), np.count_nonzero(second)) >= _SHORTEST:
                ends[0].append(first / np.count_nonzero(first))
                ends[1].append(second / np.count_nonzero(second))
    return tuple(csr_array(np.array(end, dtype=np.float32)) for end in ends)
