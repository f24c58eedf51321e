# Licensed under a 3-clause BSD style license - see LICENSE
"""
Kinds of stamps that a network sees in its features: points of light, and galaxies beyond its redshifts.

The regressions of a model's reference tell them. Where the width of the point-spread function is known, the rule of
`astro_photz.quality.point_sources` decides about points instead: of simulated stars it finds as many as the network
does, of galaxies it takes fewer for points, and it holds for colours and brightnesses that no network was shown.

Features tell nothing where a part of the stamp is missing near the middle: what is cut off looks narrow, and red.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from astro_photz.photometry import disc
from astro_photz.quality.point_sources import WIDEST_POINT, width_excess
from astro_photz.sdss import BANDS

if TYPE_CHECKING:
    from astro_photz.cutouts import Cutouts
    from astro_photz.quality.measurements import Measurements

    from .regression import Regression

__all__ = ["is_distant", "is_point"]

_NEAR = 16.0  # pixels, within which whole galaxies have their light


def is_point(
    cutouts: Cutouts,
    measurements: Measurements,
    features: np.ndarray,
    regression: Regression | None,
    *,
    seeing: tuple[float, float] | None = None,
) -> np.ndarray:
    """
    Tell points of light: by their width where the point-spread function is known, by the network's features elsewhere.

    Parameters
    ----------
    cutouts : `~astro_photz.Cutouts` (N,)
    measurements : `~astro_photz.quality.measurements.Measurements` (N,)
        Of these cutouts.
    features : `~numpy.ndarray` (N, F)
        Of `~astro_photz.models.PhotozModel.encoding`.
    regression : `Regression` or None
        Of the model; without it, only the width tells.
    seeing : tuple of float, optional
        Least and largest full width at half maximum of the point-spread function in *r* (arcsec). One beyond is not
        believed: it may be a width of another kind, or in another unit.

    Returns
    -------
    `~numpy.ndarray` (N,) of bool
    """
    excess = width_excess(measurements, cutouts.psf_fwhm)
    with np.errstate(invalid="ignore"):
        if seeing is not None:
            width = cutouts.psf_fwhm[:, BANDS.index("r")]
            excess[(width < seeing[0]) | (width > seeing[1])] = np.nan
        by_width = excess < WIDEST_POINT
    if regression is None:
        return by_width
    by_features = regression.found(features) & ~_cut_off(cutouts, measurements)
    return np.where(np.isnan(excess), by_features, by_width)


def is_distant(
    cutouts: Cutouts,
    measurements: Measurements,
    features: np.ndarray,
    regression: Regression | None,
    *,
    by_pdf: np.ndarray,
) -> np.ndarray:
    """
    Tell galaxies beyond the redshifts that a model knows: by its features, or where these tell nothing, by its PDFs.

    A PDF cannot say so: it can only lean on the end of the redshifts that it knows. That is true of some galaxies that
    are near to it as well.

    Parameters
    ----------
    cutouts, measurements, features
        As in `is_point`.
    regression : `Regression` or None
        Of the model; without it, only the PDFs tell.
    by_pdf : `~numpy.ndarray` (N,) of bool
        What the PDFs tell.

    Returns
    -------
    `~numpy.ndarray` (N,) of bool
    """
    if regression is None:
        return by_pdf
    return np.where(_cut_off(cutouts, measurements), by_pdf, regression.found(features))


def _cut_off(cutouts, measurements):
    """Tell whether pixels near the middle are missing (N,)."""
    near, cut_off = disc(cutouts.size, _NEAR) > 0, ~measurements.whole.all(axis=1)
    cut_off[cut_off] = np.isnan(cutouts.flux[cut_off][:, :, near]).any(axis=(1, 2))
    return cut_off
