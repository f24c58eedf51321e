# Licensed under a 3-clause BSD style license - see LICENSE
"""Redshifts of catalogues by gradient boosting, what the network is compared with."""

import numpy as np
from _photometry import magnitude_features, magnitudes
from sklearn.ensemble import HistGradientBoostingRegressor

__all__ = ["Boosting", "listed_features"]

# As many trees as a tenth of the galaxies, held out, find useful.
_SETTINGS = {
    "learning_rate": 0.05,
    "max_iter": 2000,
    "min_samples_leaf": 20,
    "l2_regularization": 1.0,
    "early_stopping": True,
    "n_iter_no_change": 20,
    "random_state": 0,
}


class Boosting:
    """
    A regression of log(1 + z), in which errors in units of 1 + z weigh the same everywhere.

    Parameters
    ----------
    features : dict of `~numpy.ndarray` (N,)
    redshift : `~numpy.ndarray` (N,)
    names : sequence of str, optional
        Which of the features to use; all by default.
    """

    def __init__(self, features, redshift, *, names=None):
        self._names = list(features) if names is None else list(names)
        self._trees = HistGradientBoostingRegressor(**_SETTINGS).fit(self._columns(features), np.log1p(redshift))

    def predict(self, features):
        """Redshifts (M,) of other galaxies, by features with the same names."""
        return np.expm1(self._trees.predict(self._columns(features)))

    def _columns(self, features):
        return np.stack([features[name] for name in self._names], axis=1)


def _listed(flux, error, rng, *, zero_point):
    """
    Fluxes as a catalogue would list them.

    Parameters
    ----------
    flux : `~numpy.ndarray` (N, 5)
        True fluxes (nanomaggies).
    error : `~numpy.ndarray` (N, 5)
        Noise of the sky in them.
    rng : `~numpy.random.Generator`
    zero_point : float
        Error of the calibration of each band (mag).

    Returns
    -------
    `~numpy.ndarray` (N, 5)
    """
    calibration = 10 ** (0.4 * zero_point * rng.standard_normal(flux.shape))
    return flux * calibration + error * rng.standard_normal(flux.shape)


def listed_features(flux, errors, rng, *, zero_point):
    """Magnitude and colours of a catalogue, by the names of the noise (N, 5) that its fluxes have; see `_listed`."""
    noisy = {name: _listed(flux, error, rng, zero_point=zero_point) for name, error in errors.items()}
    return {name: magnitude_features(magnitudes(one)) for name, one in noisy.items()}
