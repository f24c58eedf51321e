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

__all__ = ["is_cut_off", "is_distant", "is_point"]

_NEAR = 16.0  # pixels, within which whole galaxies have their light


def is_cut_off(cutouts: Cutouts, measurements: Measurements) -> np.ndarray:
    """
    Tell stamps that lack pixels near the middle, so that their features tell nothing.

    Parameters
    ----------
    cutouts : `~astro_photz.Cutouts` (N,)
    measurements : `~astro_photz.quality.measurements.Measurements` (N,)
        Of these cutouts.

    Returns
    -------
    `~numpy.ndarray` (N,) of bool
    """
    near, lacking = disc(cutouts.size, _NEAR) > 0, np.flatnonzero(~measurements.whole.all(axis=1))
    found = np.zeros(len(cutouts), dtype=bool)
    found[lacking] = np.isnan(cutouts.flux[lacking][:, :, near]).any(axis=(1, 2))
    return found


def is_point(
    cutouts: Cutouts,
    measurements: Measurements,
    regression: Regression | None,
    *,
    features: np.ndarray,
    cut_off: np.ndarray,
    seeing: tuple[float, float] | None = None,
) -> np.ndarray:
    """
    Tell points of light: by their width where the point-spread function is known, by the network's features elsewhere.

    Parameters
    ----------
    cutouts : `~astro_photz.Cutouts` (N,)
    measurements : `~astro_photz.quality.measurements.Measurements` (N,)
        Of these cutouts.
    regression : `Regression` or None
        Of the model; without it, only the width tells.
    features : `~numpy.ndarray` (N, F)
        Of `~astro_photz.models.PhotozModel.encoding`.
    cut_off : `~numpy.ndarray` (N,) of bool
        Stamps whose features tell nothing (`is_cut_off`).
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
    return np.where(np.isnan(excess), regression.found(features) & ~cut_off, by_width)


def is_distant(
    regression: Regression | None, *, by_pdf: np.ndarray, features: np.ndarray, cut_off: np.ndarray
) -> np.ndarray:
    """
    Tell galaxies beyond the redshifts that a model knows: by its features, or where these tell nothing, by its PDFs.

    A PDF cannot say so: it can only lean on the end of the redshifts that it knows. That is true of some galaxies that
    are near to it as well.

    Parameters
    ----------
    regression : `Regression` or None
        Of the model; without it, only the PDFs tell.
    by_pdf : `~numpy.ndarray` (N,) of bool
        Galaxies that are distant by their PDFs.
    features, cut_off
        As in `is_point`.

    Returns
    -------
    `~numpy.ndarray` (N,) of bool
    """
    return by_pdf if regression is None else np.where(cut_off, by_pdf, regression.found(features))
