# Licensed under a 3-clause BSD style license - see LICENSE
"""
From the light that catalogues list to the light in an image.

Catalogues list model magnitudes, whose colours are those of a galaxy's brighter part: one profile weighs all bands. The
light in an image is the total light, whose colours Petrosian magnitudes have. Kcorrect's galaxies have both: the mean
difference among galaxies alike moves magnitudes from the one system to the other.
"""

from functools import cache

import numpy as np

from astro_photz.sdss import R_UGRIZ, ZERO_POINT

from ._robust import robust_fit
from .progenitors import load_progenitors

__all__ = ["model_from_total", "total_from_model"]

_BLUEST, _REDDEST = 0.1, 1.8  # g - r between which differences are known
_ITERATIONS = 20  # each is ten times nearer than the one before


def total_from_model(magnitude, redshift):
    """
    Estimate total magnitudes of galaxies by their model magnitudes.

    Parameters
    ----------
    magnitude : `~numpy.ndarray` (N, 5)
        Model magnitudes in *ugriz*, free of our Galaxy's extinction.
    redshift : `~numpy.ndarray` (N,)

    Returns
    -------
    `~numpy.ndarray` (N, 5)

    Examples
    --------
    A late galaxy is bluer as a whole:

    >>> import numpy as np
    >>> from astro_photz.simulate.population.total_light import total_from_model
    >>> model = np.array([[18.6, 17.4, 16.9, 16.6, 16.4]])
    >>> total = total_from_model(model, np.array([0.08]))
    >>> bool(total[0, 0] - total[0, 1] < model[0, 0] - model[0, 1])
    True
    """
    return magnitude + _terms(magnitude, redshift) @ _difference()


def model_from_total(magnitude, redshift):
    """
    Estimate model magnitudes of galaxies by their total magnitudes: the inverse of `total_from_model`.

    Parameters
    ----------
    magnitude : `~numpy.ndarray` (N, 5)
        Total magnitudes in *ugriz*, free of our Galaxy's extinction.
    redshift : `~numpy.ndarray` (N,)

    Returns
    -------
    `~numpy.ndarray` (N, 5)
    """
    model = magnitude
    for _ in range(_ITERATIONS):
        model = magnitude - _terms(model, redshift) @ _difference()
    return model


@cache
def _difference():
    """
    Coefficients (5, 5) of the mean difference of total and model magnitudes, by terms and bands.

    Progenitors of all splits are used: five numbers for a band hold no single galaxy.
    """
    progenitors = load_progenitors()
    model = ZERO_POINT - 2.5 * np.log10(np.asarray(progenitors.table["MODELFLUX"], dtype=float).clip(1e-3))
    model -= R_UGRIZ * progenitors.ebv[:, None]
    total = ZERO_POINT - 2.5 * np.log10(progenitors.measured_flux.clip(1e-3))
    rows = progenitors.usable
    terms = _terms(model, progenitors.redshift)[rows]
    no_error = np.zeros(rows.sum())
    return np.stack([robust_fit(terms, (total - model)[rows, band], no_error) for band in range(5)], axis=1)


def _terms(magnitude, redshift):
    colour = np.clip(magnitude[:, 1] - magnitude[:, 2], _BLUEST, _REDDEST)
    faintness = np.clip(magnitude[:, 2], 13, 18) - 17
    return np.stack([np.ones_like(colour), colour, colour**2, faintness, np.clip(redshift, 0, 0.25)], axis=1)
