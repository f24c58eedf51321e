# Licensed under a 3-clause BSD style license - see LICENSE
"""
What the pixels themselves say of how far an estimate can be trusted.
"""

import numpy as np
from astropy.stats import mad_std
from scipy import ndimage

from .flags import PhotozFlag
from .sdss import BANDS, R_UGRIZ, ZERO_POINT

__all__ = ["aperture_flux", "flag_images", "r_magnitude", "sky_rms"]

APERTURE_RADIUS = 8.0
_CORE_RADIUS = 4.0
_MINIMUM_SNR = 10.0
_OFF_CENTRE = 3.0
_CROWDED_RADIUS = 20.0
_CROWDED_RATIO = 0.5
_SIGNIFICANT = 5.0
_SMOOTHING = 1.5
_R = BANDS.index("r")


def _disc(size, radius):
    """Share of each pixel of a stamp that lies within ``radius`` of its centre."""
    from photutils.aperture import CircularAperture

    centre = (size - 1) / 2
    return CircularAperture((centre, centre), radius).to_mask(method="exact").to_image((size, size))


def aperture_flux(flux, *, radius=APERTURE_RADIUS):
    """
    Flux in a circle around the centre of each stamp.

    Parameters
    ----------
    flux : `~numpy.ndarray` (..., S, S)
        Nanomaggies; NaN counts as no flux.
    radius : float, optional
        In pixels.

    Returns
    -------
    `~numpy.ndarray` (...)
        Nanomaggies.

    Examples
    --------
    >>> import numpy as np
    >>> from astro_photz.quality import aperture_flux
    >>> aperture_flux(np.ones((1, 5, 64, 64)), radius=1).round(4)
    array([[3.1416, 3.1416, 3.1416, 3.1416, 3.1416]])
    """
    return np.einsum("...yx,yx", np.nan_to_num(flux), _disc(flux.shape[-1], radius).astype(flux.dtype))


def r_magnitude(r_flux, ebv):
    """
    Magnitudes in *r*, free of extinction.

    Parameters
    ----------
    r_flux : array_like (N,)
        Fluxes in *r* (nanomaggies), as observed.
    ebv : array_like (N,)
        E(B-V) (mag), SFD98 scale.

    Returns
    -------
    `~numpy.ndarray` (N,)
        NaN where there is no light.

    Examples
    --------
    >>> from astro_photz.quality import r_magnitude
    >>> r_magnitude([100.0, 100.0, -1.0], [0.0, 0.1, 0.0]).round(2)
    array([17.5 , 17.27,   nan])
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        r_mag = ZERO_POINT - 2.5 * np.log10(r_flux) - R_UGRIZ[_R] * np.asarray(ebv)
    return np.where(np.isfinite(r_mag), r_mag, np.nan)


def sky_rms(flux):
    """
    Noise of a pixel of each stamp, from the scatter of its outer pixels.

    Parameters
    ----------
    flux : `~numpy.ndarray` (..., S, S)
        NaN where there is no data.

    Returns
    -------
    `~numpy.ndarray` (...)
        In the unit of ``flux``: the median absolute deviation, scaled to a normal distribution; NaN without data.
    """
    outer = flux[..., _disc(flux.shape[-1], 0.375 * flux.shape[-1]) == 0]
    if not outer.size:
        return np.zeros(outer.shape[:-1])
    missing = np.isnan(outer)
    blank = missing.all(axis=-1)
    outer = np.where(blank[..., np.newaxis], 0, outer)
    return np.where(blank, np.nan, mad_std(outer, axis=-1, ignore_nan=bool((missing.any(axis=-1) & ~blank).any())))


def flag_images(cutouts, *, training_range=None):
    """
    Look at each stamp for what makes its estimate missing or doubtful.

    Parameters
    ----------
    cutouts : `~astro_photz.Cutouts` (N,)
    training_range : dict, optional
        ``"r_mag"`` and ``"ebv"``: lowest and highest value (mag) that the model was trained on; the magnitude is that
        within 8 pixels, without the dust of the Galaxy.

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
    in_core = _disc(cutouts.size, _CORE_RADIUS) > 0
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
    # Of a stamp without an image nothing else is worth saying, and of a galaxy that is nowhere only that.
    flags[blank] &= PhotozFlag.NO_POSITION | PhotozFlag.NO_MATCH | PhotozFlag.NO_IMAGE | PhotozFlag.NO_EBV
    flags[nowhere] &= ~PhotozFlag.NO_EBV
    return flags


def _outside(values, limits):
    return np.isfinite(values) & ((values < limits[0]) | (values > limits[1]))


def _surroundings(image, noise, target_xy):
    """Whether the light of each galaxy peaks off its place, and whether there is another source near."""
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
