# Licensed under a 3-clause BSD style license - see LICENSE
"""
Images resampled onto the pixels of others.

The bands of a field lie some pixels apart, and every frame has its own WCS. A stamp lies on the native pixels of the
*r* band; the other bands are brought onto them by one affine map per pair of frames, fitted to the two WCS (which it
follows to 1e-4 pixels within a field), and a quintic spline, which keeps noise and flux better than the usual cubic.
"""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from scipy import ndimage
from scipy.interpolate import BSpline, PPoly

__all__ = ["MARGIN", "AffineMap", "resample"]

MARGIN = 12
"""Pixels read around a stamp: the taps of the spline and the tail of its prefilter (0.43 ** 12 is 4e-5)."""

_ORDER = 5
# Coefficients that the spline needs beyond the first and the last pixel.
_BEYOND = 3
_FAR = 1e6  # pixels: farther than a frame of the same field can lie
# Displacement (pixels) at the edge of a stamp up to which the cross terms of an affine map count to first order.
# Within a field they reach 0.013 (0.02 for 107 pixels); the separable spline that this allows is several times faster.
_SEPARABLE = 0.03
# The quintic B-spline and its slope: each of the six pixels around a place has a weight that is a polynomial in how far
# the place lies beyond the third of them. One column a pixel, the highest power first.
_PIECES = PPoly.from_spline(BSpline.basis_element(np.arange(_ORDER + 2)))
_TAPS, _SLOPE_TAPS = (pieces.c[:, _ORDER:-_ORDER][:, ::-1] for pieces in (_PIECES, _PIECES.derivative()))


@dataclass(frozen=True)
class AffineMap:
    """
    Pixels of one frame as a linear function of the pixels of another.

    Parameters
    ----------
    matrix : `~numpy.ndarray` (2, 2)
        In the order column, row.
    offset : `~numpy.ndarray` (2,)
        In pixels.

    Examples
    --------
    >>> from astro_photz.cutouts.resampling import AffineMap
    >>> AffineMap([[1.0, 0.0], [0.0, 1.0]], [0.25, -3.0])([10, 20])
    array([10.25, 17.  ])
    """

    matrix: np.ndarray
    offset: np.ndarray

    def __call__(self, xy):
        return np.asarray(xy) @ np.asarray(self.matrix).T + np.asarray(self.offset)

    @classmethod
    def between(cls, wcs, other, *, shape):
        """
        Fit the map from the pixels of one frame to those of another.

        Parameters
        ----------
        wcs, other : `~astropy.wcs.WCS`
            Of the frame whose pixels go in, and of that whose pixels come out.
        shape : tuple of int
            Rows and columns of the first frame, over which the fit is made.

        Returns
        -------
        `AffineMap`
            Of NaN if the other frame lies on another side of the sky.
        """
        if wcs is other:
            return cls(np.eye(2), np.zeros(2))
        rows, columns = shape
        x, y = (axis.ravel() for axis in np.meshgrid(np.linspace(0, columns - 1, 8), np.linspace(0, rows - 1, 8)))
        there = np.stack(other.all_world2pix(*wcs.all_pix2world(x, y, 0), 0), axis=1)
        if not np.isfinite(there).all():  # the frames lie on two sides of the sky
            return cls(np.full((2, 2), np.nan), np.full(2, np.nan))
        solution, *_ = np.linalg.lstsq(np.stack([x, y, np.ones_like(x)], axis=1), there, rcond=None)
        return cls(solution[:2].T, solution[2])

    def is_whole_shift(self):
        """Check whether the map only shifts by whole pixels, bool."""
        return np.asarray(self.matrix).tolist() == [[1, 0], [0, 1]] and all(one % 1 == 0 for one in self.offset)


def resample(image, transform, *, corner, size, trim=0):
    """
    Resample a part of an image onto the pixels of another.

    Parameters
    ----------
    image : `~numpy.ndarray` (rows, columns) float32
        May hold NaN.
    transform : `AffineMap`
        From the pixels wanted to those of ``image``.
    corner : (int, int)
        Column and row of the first pixel wanted.
    size : int
        Number of columns and of rows wanted.
    trim : int, optional
        Pixels along the edges of ``image`` that are not used, unless the map is a shift by whole pixels: at an edge
        the spline knows one side only, and is wrong by some per cent of a gradient there.

    Returns
    -------
    stamp : `~numpy.ndarray` (size, size) float32
        NaN where ``image`` has no data. Flux in a pixel is kept as it is: the maps between frames keep the pixel scale
        to 0.05 %.
    """
    stamp = np.full((size, size), np.nan, dtype=np.float32)
    corner = np.asarray(corner)
    # A wanted pixel's place in the patch, which is read a little larger than the stamp.
    corners = transform(corner + np.array([[0, 0], [0, size - 1], [size - 1, 0], [size - 1, size - 1]]))
    if not (np.abs(corners) < _FAR).all():
        return stamp
    low = np.maximum(np.floor(corners.min(axis=0)).astype(int) - MARGIN, 0)
    high = np.minimum(np.ceil(corners.max(axis=0)).astype(int) + MARGIN + 1, image.shape[::-1])
    if (high - low < 1).any():
        return stamp
    patch = image[low[1] : high[1], low[0] : high[0]]
    in_patch = AffineMap(transform.matrix, transform(corner) - low)
    inside = _covered(in_patch, patch.shape, size, 0 if transform.is_whole_shift() else trim)
    holes = np.isnan(patch)
    if holes.any():
        # A hole must not spread through the spline: it is bridged by zero, and cut out again by its nearest pixels.
        inside &= _sample(holes.astype(np.float32), in_patch, size, order=1) == 0
        patch = np.where(holes, 0, patch)
    np.copyto(stamp, _sample(patch, in_patch, size, order=_ORDER), where=inside, casting="same_kind")
    return stamp


def _covered(transform, shape, size, trim):
    """Mask of the wanted pixels whose centre lies between those of the first and the last pixels of the patch."""
    low = trim - 0.01  # to a hundredth of a pixel, since WCS of one run agree no better at their common pixels
    places = transform([[0, 0], [0, size - 1], [size - 1, 0], [size - 1, size - 1]])  # no others lie farther out
    if (places > low).all() and (places < np.array(shape[::-1]) - 1 - low).all():
        return np.ones((size, size), dtype=bool)
    grid = np.arange(size)
    x = transform.offset[0] + transform.matrix[0, 0] * grid + transform.matrix[0, 1] * grid[:, np.newaxis]
    y = transform.offset[1] + transform.matrix[1, 0] * grid + transform.matrix[1, 1] * grid[:, np.newaxis]
    return (x > low) & (x < shape[1] - 1 - low) & (y > low) & (y < shape[0] - 1 - low)


def _sample(patch, transform, size, *, order):
    if transform.is_whole_shift():
        return _shifted(patch, transform.offset.astype(int), size)
    cross = max(abs(transform.matrix[0, 1]), abs(transform.matrix[1, 0])) * size / 2
    if order == _ORDER and cross < _SEPARABLE and min(patch.shape) > 2 * _ORDER:
        return _sample_separably(patch, transform, size)
    return ndimage.affine_transform(
        patch,
        transform.matrix[::-1, ::-1],
        transform.offset[::-1],
        output_shape=(size, size),
        order=order,
        mode="mirror" if order == _ORDER else "nearest",
    )


def _shifted(patch, offset, size):
    stamp = np.zeros((size, size), dtype=np.float32)
    x, y = offset
    into = np.s_[max(0, -y) : patch.shape[0] - y, max(0, -x) : patch.shape[1] - x]
    part = patch[max(0, y) : y + size, max(0, x) : x + size]
    stamp[into][: part.shape[0], : part.shape[1]] = part
    return stamp


def _sample_separably(patch, transform, size):
    """
    Evaluate the spline of `scipy.ndimage.affine_transform` as a product of rows and columns.

    The cross terms of the map are small: they enter to first order, by the derivatives of the spline.
    """
    (scale_x, shear_x), (shear_y, scale_y) = transform.matrix
    off_centre = np.arange(size) - (size - 1) / 2
    middle = transform([(size - 1) / 2, (size - 1) / 2])
    along_x, slope_x = _weights(middle[0] + scale_x * off_centre, patch.shape[1])
    along_y, slope_y = _weights(middle[1] + scale_y * off_centre, patch.shape[0])
    rows = along_y @ patch
    off_centre = off_centre.astype(np.float32)
    return (
        rows @ along_x.T
        + np.float32(shear_x) * off_centre[:, np.newaxis] * (rows @ slope_x.T)
        + np.float32(shear_y) * off_centre * (slope_y @ patch @ along_x.T)
    )


@lru_cache(maxsize=256)
def _prefilter(n):
    """
    Matrix (n + 6, n) float32 from n values to the coefficients of their spline.

    A place near an end may need three coefficients beyond it. They are the mirror images of those inside.
    """
    coefficients = ndimage.spline_filter1d(np.eye(n), _ORDER, axis=0, mode="mirror")
    return np.pad(coefficients, ((_BEYOND, _BEYOND), (0, 0)), mode="reflect").astype(np.float32)


def _weights(position, n):
    """Weights of n pixels in the spline's value and in its slope at each position, (2, len(position), n) float32."""
    whole = np.floor(position)
    fraction = position - whole
    # Places that lie farther out have no value anyway.
    tap = whole.astype(int)[:, np.newaxis] + np.arange(_ORDER + 1) - _ORDER // 2 + _BEYOND
    tap = np.minimum(np.maximum(tap, 0), n + 2 * _BEYOND - 1)
    basis = np.zeros((2, len(position), n + 2 * _BEYOND), dtype=np.float32)
    row = np.arange(len(position))[:, np.newaxis]
    powers = np.vander(fraction, _ORDER + 1)
    basis[0, row, tap] = powers @ _TAPS
    basis[1, row, tap] = powers[:, 1:] @ _SLOPE_TAPS
    return basis @ _prefilter(n)
