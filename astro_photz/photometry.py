# Licensed under a 3-clause BSD style license - see LICENSE
"""
Photometry of stamps: aperture fluxes, magnitudes and the noise of the sky.
"""

import numpy as np
from astropy.stats import mad_std
from numpy.typing import ArrayLike

from .sdss import BANDS, R_UGRIZ, ZERO_POINT

__all__ = ["APERTURE_RADIUS", "aperture_flux", "disc", "r_magnitude", "sky_rms"]

APERTURE_RADIUS = 8.0
"""Radius of the aperture of magnitudes (pixels)."""


def disc(size: int, radius: float) -> np.ndarray:
    """
    Share of each pixel of a stamp that lies within a radius of its centre.

    Parameters
    ----------
    size : int
        Side of the stamp (pixels).
    radius : float
        In pixels.

    Returns
    -------
    `~numpy.ndarray` (size, size)

    Examples
    --------
    >>> from astro_photz.photometry import disc
    >>> disc(5, 1.5).round(2)
    array([[0.  , 0.  , 0.  , 0.  , 0.  ],
           [0.  , 0.55, 0.97, 0.55, 0.  ],
           [0.  , 0.97, 1.  , 0.97, 0.  ],
           [0.  , 0.55, 0.97, 0.55, 0.  ],
           [0.  , 0.  , 0.  , 0.  , 0.  ]])
    >>> disc(64, 8.0).sum().round(1)
    np.float64(201.1)
    """
    from photutils.aperture import CircularAperture

    centre = (size - 1) / 2
    return CircularAperture((centre, centre), radius).to_mask(method="exact").to_image((size, size))


def aperture_flux(flux: np.ndarray, *, radius: float = APERTURE_RADIUS) -> np.ndarray:
    """
    Flux within a circle around the centre of each stamp.

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
    >>> from astro_photz.photometry import aperture_flux
    >>> aperture_flux(np.ones((1, 5, 64, 64)), radius=1).round(4)
    array([[3.1416, 3.1416, 3.1416, 3.1416, 3.1416]])
    """
    return np.einsum("...yx,yx", np.nan_to_num(flux), disc(flux.shape[-1], radius).astype(flux.dtype))


def r_magnitude(r_flux: ArrayLike, ebv: ArrayLike = 0.0) -> np.ndarray:
    """
    Magnitudes in *r*, free of extinction.

    Parameters
    ----------
    r_flux : array_like (N,)
        Fluxes in *r* (nanomaggies), as observed.
    ebv : array_like (N,), optional
        E(B-V) (mag), SFD98 scale; 0 for fluxes that are free of extinction.

    Returns
    -------
    `~numpy.ndarray` (N,)
        NaN where there is no light.

    Examples
    --------
    >>> from astro_photz.photometry import r_magnitude
    >>> r_magnitude([100.0, 100.0, -1.0], [0.0, 0.1, 0.0]).round(2)
    array([17.5 , 17.27,   nan])
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        r_mag = ZERO_POINT - 2.5 * np.log10(r_flux) - R_UGRIZ[BANDS.index("r")] * np.asarray(ebv)
    return np.where(np.isfinite(r_mag), r_mag, np.nan)


def sky_rms(flux: np.ndarray) -> np.ndarray:
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

    Examples
    --------
    >>> import numpy as np
    >>> from astro_photz.photometry import sky_rms
    >>> flux = np.random.default_rng(0).normal(0, 0.02, size=(2, 5, 64, 64))
    >>> sky_rms(flux).round(3)
    array([[0.02 , 0.021, 0.02 , 0.02 , 0.02 ],
           [0.02 , 0.02 , 0.021, 0.02 , 0.02 ]])
    """
    outer = flux[..., disc(flux.shape[-1], 0.375 * flux.shape[-1]) == 0]
    if not outer.size:
        return np.zeros(outer.shape[:-1])
    missing = np.isnan(outer)
    blank = missing.all(axis=-1)
    outer = np.where(blank[..., np.newaxis], 0, outer)
    return np.where(blank, np.nan, mad_std(outer, axis=-1, ignore_nan=bool((missing.any(axis=-1) & ~blank).any())))
