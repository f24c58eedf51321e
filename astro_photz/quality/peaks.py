# Licensed under a 3-clause BSD style license - see LICENSE
"""
Peaks of the light in *r*: whether the galaxy is at its place, and what else is near.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from scipy import ndimage

__all__ = ["surroundings"]

_SMOOTHING = 2.5  # pixels: about that of a galaxy, so that the knots of a spiral are no peaks
_SIGNIFICANT = 5.0  # times the noise
_CENTRE = 3.0  # pixels
_HIGHER = 1.2  # than the light at the place itself: a flat disc has its highest pixel anywhere
_OFF_REACH = 20.0  # pixels
_BESIDE = 4.0  # pixels
_RATIO = 0.8  # to the galaxy's own peak, up to _NEAR
_NEAR = 8.0  # pixels; farther out, what is as harmful grows with the third power of the distance
_BLOCK = 32  # stamps that fit into the processor's cache


def surroundings(images: np.ndarray, noise: np.ndarray, target_xy: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """
    Tell whether the light of galaxies peaks off their places, and whether another source is near.

    Parameters
    ----------
    images : `~numpy.ndarray` (N, S, S) of float32
        In *r* (nanomaggies), NaN where there is no data.
    noise : `~numpy.ndarray` (N,)
        Of a pixel (nanomaggies).
    target_xy : `~numpy.ndarray` (N, 2)
        Column and row of each galaxy (pixels); NaN for the middle.

    Returns
    -------
    off_centre, crowded : `~numpy.ndarray` (N,) of bool
        Whether there is no peak within 3 pixels of the place, but a higher one within 20; and whether a peak beyond 4
        pixels is at least 0.8 times as high as the galaxy's, times the third power of its distance over 8 pixels if it
        is farther than this. Peaks are those of the images smoothed with a Gaussian of 2.5 pixels.
    """
    size = images.shape[-1]
    # An unknown place is the middle; one far outside the stamp stays outside.
    target_xy = np.clip(np.nan_to_num(target_xy, nan=(size - 1) / 2), -size, 2 * size)
    off_centre, crowded = np.zeros((2, len(images)), dtype=bool)
    for start in range(0, len(images), _BLOCK):
        part = slice(start, start + _BLOCK)
        off_centre[part], crowded[part] = _look_at(images[part], noise[part], target_xy[part])
    return off_centre, crowded


def _look_at(images, noise, target_xy):
    size = images.shape[-1]
    filter_ = _filter(size)
    missing = np.isnan(images)
    smooth = filter_ @ (np.where(missing, 0, images) if missing.any() else images) @ filter_.T
    # White noise of unit rms comes out of the filter with 1 / (2 sigma sqrt(pi)).
    threshold = _SIGNIFICANT * np.nan_to_num(noise) / (2 * _SMOOTHING * np.sqrt(np.pi))
    number, y, x = _peaks(smooth, threshold)
    height = smooth[number, y, x]
    distance = np.hypot(x - target_xy[number, 0], y - target_xy[number, 1])
    own, at_place = _own_light(smooth, target_xy)
    has_own = _any_of(number[distance <= _CENTRE], len(images))
    higher = (distance > _CENTRE) & (distance <= _OFF_REACH) & (height > _HIGHER * at_place[number])
    limit = _RATIO * np.maximum(1, (distance / _NEAR) ** 3) * own[number]
    return (
        ~has_own & _any_of(number[higher], len(images)),
        _any_of(number[(distance > _BESIDE) & (height > limit)], len(images)),
    )


def _own_light(smooth, target_xy):
    """Highest value within 3 pixels of each place, and that at the place itself."""
    reach = int(_CENTRE)
    around = np.arange(-reach, reach + 1)
    last = smooth.shape[-1] - 1
    nearest = np.rint(target_xy).astype(int)
    y, x = nearest[:, 1, None, None] + around[:, None], nearest[:, 0, None, None] + around
    inside = np.hypot(x - target_xy[:, 0, None, None], y - target_xy[:, 1, None, None]) <= _CENTRE
    values = smooth[np.arange(len(smooth))[:, None, None], np.clip(y, 0, last), np.clip(x, 0, last)]
    return np.where(inside, values, 0).max(axis=(1, 2), initial=0), values[:, reach, reach]


def _any_of(numbers, n):
    """Mask (n,) that is true at the numbers."""
    result = np.zeros(n, dtype=bool)
    result[numbers] = True
    return result


@lru_cache(maxsize=4)
def _filter(size):
    """Matrix of a Gaussian filter along an axis."""
    return ndimage.gaussian_filter1d(np.eye(size, dtype=np.float32), _SMOOTHING, axis=0)


def _peaks(images, threshold):
    """Numbers of the images, rows and columns of pixels that no other one of the square of five about them exceeds."""
    candidate = images > threshold[:, None, None]
    for axis in (1, 2):
        these, there = images.swapaxes(1, axis), candidate.swapaxes(1, axis)
        there[:, 1:] &= these[:, 1:] >= these[:, :-1]
        there[:, :-1] &= these[:, :-1] >= these[:, 1:]
    number, y, x = np.unravel_index(np.flatnonzero(candidate), candidate.shape)  # a tenth of the time of nonzero
    around, last = np.arange(-2, 3), images.shape[-1] - 1
    rows = np.clip(y[:, None, None] + around[:, None], 0, last)
    columns = np.clip(x[:, None, None] + around, 0, last)
    highest = images[number[:, None, None], rows, columns].max(axis=(1, 2), initial=-np.inf)
    peak = images[number, y, x] >= highest
    return number[peak], y[peak], x[peak]
