# Licensed under a 3-clause BSD style license - see LICENSE
"""
Flags from pixels: signs in the images that an estimate is missing or doubtful.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from astro_photz.flags import PhotozFlag
from astro_photz.photometry import APERTURE_RADIUS, disc, r_magnitude
from astro_photz.sdss import BANDS

from .defects import has_defect
from .measurements import measure
from .peaks import surroundings
from .registration import is_misaligned
from .saturation import is_saturated
from .scale import has_wrong_scale
from .trails import trails

if TYPE_CHECKING:
    from astro_photz.cutouts import Cutouts

    from .measurements import Measurements

__all__ = ["flag_images", "seeing_range"]

_CORE_RADIUS = 4.0
_SEEING = 1.1
_MINIMUM_SNR = 10.0
_R = BANDS.index("r")
_ONE, _OTHER = np.triu_indices(len(BANDS), k=1)  # all pairs of bands


def flag_images(
    cutouts: Cutouts, *, training_range: dict | None = None, measurements: Measurements | None = None
) -> np.ndarray:
    """
    Flag images whose estimate is missing or doubtful.

    Parameters
    ----------
    cutouts : `~astro_photz.Cutouts` (N,)
    training_range : dict, optional
        ``"r_mag"`` and ``"ebv"``: lowest and highest value (mag) that the model was trained on; the magnitude is that
        within 8 pixels, free of extinction. ``"seeing"``, if it is there: lowest and highest full width at half maximum
        of the point-spread function in *r* (arcsec).
    measurements : ``Measurements`` (N,), optional
        Those of the cutouts, where they are there already.

    Returns
    -------
    flags : `~numpy.ndarray` (N,) int32
        Bits of `~astro_photz.PhotozFlag`, with ``cutouts.flags`` among them.

    Examples
    --------
    >>> from astro_photz import flags, testing
    >>> from astro_photz.quality import flag_images
    >>> cutouts = testing.gaussian_cutouts(2)
    >>> cutouts.flux[1, 2] = float("nan")  # no r image
    >>> [flags.names(bits) for bits in flag_images(cutouts)]
    [[], ['NO_BAND', 'PARTIAL']]
    """
    measured = measure(cutouts) if measurements is None else measurements
    flags = cutouts.flags.copy()
    nowhere = (flags & (PhotozFlag.NO_POSITION | PhotozFlag.NO_MATCH)) != 0
    blank = _flag_missing(flags, cutouts, measured, nowhere)
    flags[_has_copied_band(measured)] |= PhotozFlag.NO_BAND
    with np.errstate(invalid="ignore"):
        faint = measured.flux[:, _R] <= _MINIMUM_SNR * measured.noise[:, _R] * np.sqrt(np.pi) * APERTURE_RADIUS
    off_centre, crowded = surroundings(cutouts.flux[:, _R], measured.noise[:, _R], cutouts.target_xy)
    for flag, where in (
        (PhotozFlag.LOW_SNR, faint),
        (PhotozFlag.OFF_CENTRE, off_centre),
        (PhotozFlag.CROWDED, crowded),
        (PhotozFlag.MISALIGNED, is_misaligned(measured)),
        (PhotozFlag.WRONG_SCALE, has_wrong_scale(measured)),
        (PhotozFlag.SATURATED, is_saturated(measured)),
        (PhotozFlag.TRAIL, trails(cutouts.flux, measured)),
        (PhotozFlag.DEFECT, has_defect(cutouts.flux, measured)),
    ):
        flags[where] |= flag
    if training_range:
        _flag_beyond_training(flags, cutouts, measured, training_range)
    # Where there is no image, its other flags mean nothing; a galaxy that is nowhere has that flag alone.
    flags[blank] &= PhotozFlag.NO_POSITION | PhotozFlag.NO_MATCH | PhotozFlag.NO_IMAGE | PhotozFlag.NO_EBV
    flags[nowhere] &= ~PhotozFlag.NO_EBV
    return flags


def _flag_missing(flags, cutouts, measured, nowhere):
    """Flag what is not there, and give the mask of the stamps that are blank."""
    some = ~measured.whole.all(axis=1)
    blank, without_band = np.zeros((2, len(cutouts)), dtype=bool)
    if some.any():
        missing, in_core = np.isnan(cutouts.flux[some]), disc(cutouts.size, _CORE_RADIUS) > 0
        blank[some] = missing.all(axis=(1, 2, 3))
        without_band[some] = missing[:, :, in_core].any(axis=(1, 2))
    flags[some] |= PhotozFlag.PARTIAL
    flags[without_band] |= PhotozFlag.NO_BAND
    flags[blank & ~nowhere] |= PhotozFlag.NO_IMAGE
    flags[~_known(cutouts.ebv)] |= PhotozFlag.NO_EBV
    return blank


def _has_copied_band(measured):
    """Tell whether two bands have the same pixels: one has none of its own then."""
    numbers = np.concatenate([measured.apertures, measured.noise[..., None]], axis=-1)
    same = (numbers[:, _ONE] == numbers[:, _OTHER]).all(axis=-1)
    return (same & (measured.noise[:, _ONE] > 0)).any(axis=1)


def _flag_beyond_training(flags, cutouts, measured, training_range):
    """Flag what the model was not trained on."""
    r_mag = r_magnitude(measured.flux[:, _R], cutouts.ebv)
    outside = _outside(r_mag, training_range["r_mag"]) | _outside(cutouts.ebv, training_range["ebv"])
    flags[_known(cutouts.ebv) & outside] |= PhotozFlag.EXTRAPOLATED
    if "seeing" in training_range:
        bad = _outside(cutouts.psf_fwhm[:, _R], seeing_range(training_range))
        flags[bad] |= PhotozFlag.BAD_SEEING


def seeing_range(training_range: dict) -> tuple[float, float] | None:
    """
    Range of the seeing that a model knows.

    Parameters
    ----------
    training_range : dict
        As in `flag_images`.

    Returns
    -------
    tuple of float, or None
        Least and largest full width at half maximum in *r* (arcsec); None where the model does not tell. The range of
        the training is that of 99 %, and widths are measured to some per cent: it is wider by a tenth.
    """
    if "seeing" not in training_range:
        return None
    lowest, highest = training_range["seeing"]
    return lowest / _SEEING, highest * _SEEING


def _known(ebv):
    return np.isfinite(ebv) & (ebv >= 0)


def _outside(values, limits):
    return np.isfinite(values) & ((values < limits[0]) | (values > limits[1]))
