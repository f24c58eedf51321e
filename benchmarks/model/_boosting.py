# Licensed under a 3-clause BSD style license - see LICENSE
"""Redshifts of catalogues by gradient boosting (scikit-learn 1.7), what the network is compared with."""

import numpy as np
from sklearn.ensemble import HistGradientBoostingRegressor
from sklearn.model_selection import GroupShuffleSplit

__all__ = ["Boosting"]

_HELD_OUT = 0.1  # of the galaxies, which tell how many trees are useful
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

    It learns from the features (N,) in ``names``, by default from all. Galaxies of equal ``groups`` (N,) are not
    independent: none is learnt from if another of its group is held out.
    """

    def __init__(self, features, redshift, *, names=None, groups=None):
        self._names = list(features) if names is None else list(names)
        columns, target = self._columns(features), np.log1p(redshift)
        split = GroupShuffleSplit(1, test_size=_HELD_OUT, random_state=0)
        ((learn, held),) = split.split(columns, groups=np.arange(len(target)) if groups is None else groups)
        trees = HistGradientBoostingRegressor(**_SETTINGS)
        self._trees = trees.fit(columns[learn], target[learn], X_val=columns[held], y_val=target[held])

    def predict(self, features):
        """Redshifts (M,) of other galaxies, by features with the same names."""
        return np.expm1(self._trees.predict(self._columns(features)))

    def _columns(self, features):
        return np.stack([features[name] for name in self._names], axis=1)
