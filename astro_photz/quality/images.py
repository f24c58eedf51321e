# Licensed under a 3-clause BSD style license - see LICENSE
"""
Flags from pixels: signs in the images that an estimate is missing or doubtful.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy import ndimage

from astro_photz.flags import PhotozFlag
from astro_photz.photometry import APERTURE_RADIUS, aperture_flux, disc, r_magnitude, sky_rms
from astro_photz.sdss import BANDS

if TYPE_CHECKING:
    from astro_photz.cutouts import Cutouts

__all__ = ["flag_images"]

_CORE_RADIUS = 4.0
_MINIMUM_SNR = 10.0
_OFF_CENTRE = 3.0
_CROWDED_RADIUS = 20.0
_CROWDED_RATIO = 0.5
_SIGNIFICANT = 5.0
_SMOOTHING = 1.5
_R = BANDS.index("r")


def flag_images(cutouts: Cutouts, *, training_range: dict | None = None) -> np.ndarray:
    """
    Flag images whose estimate is missing or doubtful.

    Parameters
    ----------
    cutouts : `~astro_photz.Cutouts` (N,)
    training_range : dict, optional
        ``"r_mag"`` and ``"ebv"``: lowest and highest value (mag) that the model was trained on; the magnitude is that
        within 8 pixels, free of extinction.

    Returns
    -------
    flags : `~numpy.ndarray` (N,) int32
        Bits of `~astro_photz.PhotozFlag`, with ``cutouts.flags`` among them.
    """
    flux = cutouts.flux
    flags = cutouts.flags.copy()

    def raise_flag(name, where):
        flags[where] |= getattr(PhotozFlag, name)

    nowhere = (flags & (PhotozFlag.NO_POSITION | PhotozFlag.NO_MATCH)) != 0
    missing = np.isnan(flux)
    blank = missing.all(axis=(1, 2, 3))
    in_core = disc(cutouts.size, _CORE_RADIUS) > 0
    raise_flag("PARTIAL", missing.any(axis=(1, 2, 3)))
    raise_flag("NO_BAND", missing[:, :, in_core].any(axis=(1, 2)))
    raise_flag("NO_IMAGE", blank & ~nowhere)
    known_ebv = np.isfinite(cutouts.ebv) & (cutouts.ebv >= 0)
    raise_flag("NO_EBV", ~known_ebv)

    r_flux = aperture_flux(flux[:, _R])
    noise = sky_rms(flux[:, _R])
    raise_flag("LOW_SNR", r_flux <= _MINIMUM_SNR * noise * np.sqrt(np.pi) * APERTURE_RADIUS)
    off_centre, crowded = _surroundings(np.nan_to_num(flux[:, _R]), noise, cutouts.target_xy)
    raise_flag("OFF_CENTRE", off_centre)
    raise_flag("CROWDED", crowded)
    if training_range:
        r_mag = r_magnitude(r_flux, cutouts.ebv)
        raise_flag("EXTRAPOLATED", known_ebv & _outside(r_mag, training_range["r_mag"]))
        raise_flag("EXTRAPOLATED", known_ebv & _outside(cutouts.ebv, training_range["ebv"]))
    # Where there is no image, its other flags mean nothing; a galaxy that is nowhere has that flag alone.
    flags[blank] &= PhotozFlag.NO_POSITION | PhotozFlag.NO_MATCH | PhotozFlag.NO_IMAGE | PhotozFlag.NO_EBV
    flags[nowhere] &= ~PhotozFlag.NO_EBV
    return flags


def _outside(values, limits):
    return np.isfinite(values) & ((values < limits[0]) | (values > limits[1]))


def _surroundings(image, noise, target_xy):
    """Tell whether the light of each galaxy peaks off its place, and whether another peak is near."""
    size = image.shape[-1]
    smooth = ndimage.gaussian_filter(image, sigma=(0, _SMOOTHING, _SMOOTHING))
    # White noise of unit rms comes out of the filter with 1 / (2 sigma sqrt(pi)).
    threshold = _SIGNIFICANT * noise / (2 * _SMOOTHING * np.sqrt(np.pi))
    is_peak = (smooth == ndimage.maximum_filter(smooth, size=(1, 5, 5))) & (smooth > threshold[:, None, None])
    y, x = np.mgrid[:size, :size]
    distance = np.hypot(x - target_xy[:, 0, None, None], y - target_xy[:, 1, None, None])
    central = np.where(distance <= _OFF_CENTRE, smooth, 0).max(axis=(1, 2), initial=0)
    other = np.where(is_peak & (distance > _OFF_CENTRE) & (distance <= _CROWDED_RADIUS), smooth, 0)
    has_central_peak = (is_peak & (distance <= _OFF_CENTRE)).any(axis=(1, 2))
    beside = np.where(distance <= 3 * _OFF_CENTRE, other, 0).max(axis=(1, 2), initial=0)
    return ~has_central_peak & (beside > 0), other.max(axis=(1, 2), initial=0) > _CROWDED_RATIO * central
