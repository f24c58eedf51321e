# Licensed under a 3-clause BSD style license - see LICENSE
"""
Points of light by their width: a star or a quasar is as wide as the point-spread function, a galaxy is wider.

The rule wants the point-spread function's width. Where that is not known, `astro_photz.reference.features` tells points
from galaxies by what a network sees.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from astropy.stats import gaussian_fwhm_to_sigma
from numpy.typing import ArrayLike

from astro_photz.sdss import BANDS, PIXEL_SCALE

from .measurements import WIDTHS

if TYPE_CHECKING:
    from .measurements import Measurements

__all__ = ["WIDEST_POINT", "is_point_source", "width_excess"]

WIDEST_POINT = 0.06
"""
How much wider than expected (natural logarithm) a point may look: noise, wings and unresolved companions make it so.
"""

_BANDS = [BANDS.index(band) for band in "gri"]  # u and z are too noisy
_WEIGHT = WIDTHS.index(2.0)  # the narrow one, about as wide as the seeing
_LEAST_SNR = 20.0  # of the light under the weight: with less, noise makes a galaxy narrow
# Wings of the point-spread function of SDSS: width and central height relative to the core, the medians of those that
# galaxies are simulated with (astro_photz.simulate.camera.conditions).
_WINGS = 2.6, 0.055


def is_point_source(measurements: Measurements, psf_fwhm: ArrayLike) -> np.ndarray:
    """
    Tell points of light by their width.

    Parameters
    ----------
    measurements : `~astro_photz.quality.measurements.Measurements` (N,)
    psf_fwhm : array_like (N, 5)
        Full width at half maximum of the point-spread function (arcsec); NaN where it is not known.

    Returns
    -------
    `~numpy.ndarray` (N,) of bool
        False where the width is not known.

    Examples
    --------
    Gaussians as wide as the seeing, and twice as wide:

    >>> import numpy as np
    >>> from astro_photz import Cutouts
    >>> from astro_photz.quality.measurements import measure
    >>> from astro_photz.quality.point_sources import is_point_source
    >>> square = np.add.outer(*2 * [(np.arange(64) - 31.5) ** 2])
    >>> images = [np.exp(-0.5 * square / (factor * 1.34) ** 2) for factor in (1, 2)]
    >>> flux = np.repeat(images, 5, axis=0).reshape(2, 5, 64, 64)
    >>> flux += np.random.default_rng(0).normal(0, 0.001, flux.shape)
    >>> is_point_source(measure(Cutouts(flux, ebv=0.02)), np.full((2, 5), 1.25))
    array([ True, False])
    """
    excess = width_excess(measurements, psf_fwhm)
    with np.errstate(invalid="ignore"):
        return excess < WIDEST_POINT


def width_excess(measurements: Measurements, psf_fwhm: ArrayLike) -> np.ndarray:
    """
    Width of the light relative to that of a point, in the band of *gri* in which it is least.

    Parameters
    ----------
    measurements : `~astro_photz.quality.measurements.Measurements` (N,)
    psf_fwhm : array_like (N, 5)
        As in `is_point_source`.

    Returns
    -------
    `~numpy.ndarray` (N,)
        Natural logarithm of the ratio of the widths, both under a Gaussian weight of 2 pixels; NaN where no band has
        light, or a known point-spread function.

    Notes
    -----
    Catalogues list the width of the Gaussian with the point-spread function's adaptive moments, which its wings make
    wider than the core by 7 %. A point then looks narrower than expected, which does no harm.
    """
    expected = _width_of_point(np.asarray(psf_fwhm, dtype=float)[:, _BANDS])
    noise = np.nan_to_num(measurements.noise) * np.sqrt(np.pi) * WIDTHS[_WEIGHT]
    seen = measurements.gaussian[..., _WEIGHT] > _LEAST_SNR * noise
    width = np.where(seen, measurements.width[..., _WEIGHT], np.nan)[:, _BANDS]
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.fmin.reduce(np.log(width / expected), axis=1)


def _width_of_point(fwhm):
    """Width (...) (pixels) of a point under the weight: of the mixture of core and wings, each a Gaussian."""
    core = fwhm * gaussian_fwhm_to_sigma / PIXEL_SCALE
    wider, height = _WINGS
    square = WIDTHS[_WEIGHT] ** 2
    variances = [scale**2 * square / (scale**2 + square) for scale in (core, wider * core)]
    core_light, wing_light = variances[0], height * variances[1]  # under the weight, in units of a common factor
    return np.sqrt((core_light * variances[0] + wing_light * variances[1]) / (core_light + wing_light))
