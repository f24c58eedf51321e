# Licensed under a 3-clause BSD style license - see LICENSE
"""
Catalogue measurements of simulated galaxies: total flux and radius, with the errors that a survey makes.

A catalogue's model magnitudes come from a fit of the galaxy's profile to its image. The errors here are those of the
best such fit: the sky's noise over the area that the profile covers, the galaxy's own photons, and the error of the
calibration, which image and catalogue have in common. The radius has the flux's relative error, and besides an error
that is assumed: real galaxies are not of the shape that is fitted.
"""

import numpy as np
from astropy.stats import gaussian_fwhm_to_sigma

from astro_photz.dust import redden
from astro_photz.sdss import PIXEL_SCALE

from .conditions import NATIVE_BAND

__all__ = ["measure"]

_RADIUS_SCATTER = 0.05  # of its logarithm


def measure(flux, ebv, radius, conditions, rng):
    """
    Measure total flux and radius, as a survey's catalogue does.

    Galaxy and point-spread function are taken for Gaussians, of whose image the best fit has the sky's noise over an
    area of 4 pi sigma^2 (King 1983, PASP 95, 163).

    Parameters
    ----------
    flux : `~numpy.ndarray` (N, 5)
        True total flux (nanomaggies), free of our Galaxy's extinction.
    ebv : `~numpy.ndarray` (N,)
        E(B-V) (mag) in front of it.
    radius : `~numpy.ndarray` (N,)
        Half-light radius (arcsec).
    conditions : `~astro_photz.simulate.camera.conditions.Conditions` (N,)
    rng : `~numpy.random.Generator`

    Returns
    -------
    flux : `~numpy.ndarray` (N, 5)
        Nanomaggies, as observed: with the extinction.
    radius : `~numpy.ndarray` (N,)
        Half-light radius (arcsec), freed of the seeing.
    """
    observed = redden(flux, ebv=ebv)
    # of a Gaussian, half of the light lies within half of the full width at half maximum
    fwhm = np.hypot(2 * radius[:, None], conditions.psf_fwhm)
    area = 4 * np.pi * (fwhm * gaussian_fwhm_to_sigma / PIXEL_SCALE) ** 2
    sky = conditions.sky / conditions.gain + conditions.dark_variance  # variance of a pixel, in DN squared
    counts = observed / conditions.calibration
    variance = area * sky + counts / conditions.gain
    error = np.sqrt(variance) * conditions.calibration
    # the radius is that in r
    scatter = np.hypot(_RADIUS_SCATTER, (error / observed)[:, NATIVE_BAND])
    measured = observed * conditions.zero_point + error * rng.standard_normal(flux.shape)
    return measured, radius * np.exp(scatter * rng.standard_normal(len(radius)))
