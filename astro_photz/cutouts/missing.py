# Licensed under a 3-clause BSD style license - see LICENSE
"""
Pixels without data that are not NaN.

Programs fill pixels without data with zeros, with -9999 or with another constant. A real sky has noise, so a region
of one value holds no data, and no pixel of a sky-subtracted image lies far below zero.
"""

import numpy as np

__all__ = ["impossible", "missing_pixels"]

# Neighbours in a real frame, which counts in whole DN, are equal in 3 to 7 % of cases, and the longest line of equal
# pixels in 30 frames has 9: neither a square nor a line as large as these comes about by chance.
_SQUARE = 4
_LINE = 16
_LOWEST = -5.0  # nanomaggies in a pixel: 28 times the noise of the sky in z, the largest; frames reach -1.3
_HIGHEST = 1e7  # of magnitude 5 in one pixel; the detectors saturate at 2,600
_FILLED = (9999.0, 99999.0)  # which are no cores of stars either
_BLOCK = 64  # images looked at together
_STRIP = 64  # rows looked at together


def missing_pixels(flux):
    """
    Find pixels that hold no data but are not NaN.

    Parameters
    ----------
    flux : `~numpy.ndarray` (..., rows, columns) float32
        Sky-subtracted images (nanomaggies).

    Returns
    -------
    `~numpy.ndarray` (..., rows, columns) of bool
        True in a square of 4 pixels or a line of 16 that have one value, and for values that no sky has: below -5 or
        above 10 million nanomaggies, 9999 and 99999.

    Examples
    --------
    >>> import numpy as np
    >>> from astro_photz.cutouts.missing import missing_pixels
    >>> flux = np.random.default_rng(0).normal(0, 0.03, (1, 5, 64, 64)).astype(np.float32)
    >>> flux[0, 3, :, :32] = 0
    >>> missing_pixels(flux).sum(axis=(0, 2, 3))
    array([   0,    0,    0, 2048,    0])
    """
    images = flux.reshape(-1, *flux.shape[-2:])
    missing = np.empty(images.shape, dtype=bool)
    for start in range(0, len(images), _BLOCK):
        part = images[start : start + _BLOCK]
        found = missing[start : start + _BLOCK]
        found[:] = impossible(part) if _has_impossible(part) else False
        for strip in _strips(part.shape[1]):
            for row in np.flatnonzero(_may_be_constant(part[:, strip])):
                found[row, strip] |= _constant(part[row, strip])
    return missing.reshape(flux.shape)


def _strips(rows):
    """Slices of rows; any square or line lies within one. Chance makes few strips of a frame suspect."""
    step = _STRIP - _LINE + 1
    return [slice(start, start + _STRIP) for start in range(0, max(rows - _LINE + 1, 1), step)]


def impossible(flux):
    """
    Find values that no sky has.

    Parameters
    ----------
    flux : `~numpy.ndarray` (...) float32
        Sky-subtracted (nanomaggies).

    Returns
    -------
    `~numpy.ndarray` (...) of bool
    """
    return (flux < _LOWEST) | (flux > _HIGHEST) | (flux == _FILLED[0]) | (flux == _FILLED[1])


def _has_impossible(images):
    """Check quickly whether there may be a value that no sky has."""
    with np.errstate(invalid="ignore"):
        lowest, highest = np.fmin.reduce(images, axis=None), np.fmax.reduce(images, axis=None)
    return lowest < _LOWEST or highest >= _FILLED[0]


def _may_be_constant(images):
    """Mask of the images (N,) in which a quick look finds equal neighbours; it may be wrong where a row goes over."""
    n, rows, side = images.shape
    pixels = images.reshape(n, rows * side)
    same = pixels[:, 1:] == pixels[:, :-1]
    four = same[:, :-2] & same[:, 1:-1] & same[:, 2:]
    square = (four[:, : -2 * side] & four[:, 2 * side :]).any(axis=1)  # which has such pixels two rows below, too
    row = (four[:, :-2] & four[:, 2:]).any(axis=1)
    # In any line of 16, six pixels from some eighth one on are equal.
    first, *others = (images[:, start : max(rows - 5, 0) + start : 8] for start in range(6))
    column = first == others[0]
    for other in others[1:]:
        column &= first == other
    return square | row | column.any(axis=(1, 2))


def _runs(images, length):
    """Mask of the pixels that begin a run of ``length`` equal ones along a row; the last of each row are left out."""
    return _all_along(images[..., 1:] == images[..., :-1], length - 1)


def _constant(image):
    """Mask of the pixels of an image in squares or lines of one value."""
    found = np.zeros(image.shape, dtype=bool)
    squares = _all_along(_runs(image, _SQUARE).T, _SQUARE).T
    squares &= _all_along(_runs(image.T, _SQUARE).T, _SQUARE)
    _mark(found, squares, (_SQUARE, _SQUARE))
    _mark(found, _runs(image, _LINE), (1, _LINE))
    _mark(found, _runs(image.T, _LINE).T, (_LINE, 1))
    return found


def _all_along(values, length):
    """Mask of the places from which ``length`` values along a row are all true."""
    reach = 1
    while 2 * reach <= length:
        values, reach = values[..., : max(values.shape[-1] - reach, 0)] & values[..., reach:], 2 * reach
    rest = length - reach
    return values[..., : max(values.shape[-1] - rest, 0)] & values[..., rest:]


def _mark(found, corners, shape):
    """Set the pixels of all rectangles of a shape that begin at the corners; mostly there are none."""
    if not corners.any():
        return
    for y in range(shape[0]):
        for x in range(shape[1]):
            found[y : y + corners.shape[0], x : x + corners.shape[1]] |= corners
