# Licensed under a 3-clause BSD style license - see LICENSE
"""
Kinds of stamps that are told from galaxies by what a network sees: points of light, galaxies beyond its redshifts.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Self

import numpy as np
from numpy.typing import ArrayLike

from astro_photz.utils._npy import real_numbers
from astro_photz.utils._products import row_products

__all__ = ["FEWEST", "Regression"]

FEWEST = 100
"""Number of galaxies, and of stamps of the other kind, that a regression wants at least."""

_HELD_OUT = 4  # of so many galaxies one sets the threshold
_PENALTY = 3e-3  # of the squared weights of standardised features
_STEPS = 300
_NARROW = 1e-6  # features that vary less tell nothing


@dataclass(frozen=True, eq=False)
class Regression:
    """
    A logistic regression that tells stamps of one kind from galaxies by the features of a network.

    Parameters
    ----------
    weights : `~numpy.ndarray` (F,) float32
    intercept : float
    threshold : float
        Of the probability, beyond which a stamp is taken for one of that kind.

    Examples
    --------
    >>> import numpy as np
    >>> from astro_photz.reference import Regression
    >>> rng = np.random.default_rng(0)
    >>> galaxies, stars = rng.normal(0, 1, (500, 8)), rng.normal(2, 1, (500, 8))
    >>> points = Regression.fit(galaxies, stars)
    >>> bool(points.found(stars).mean() > 0.95), bool(points.found(galaxies).mean() < 0.05)
    (True, True)
    """

    weights: np.ndarray
    intercept: float
    threshold: float

    @classmethod
    def fit(
        cls,
        galaxies: ArrayLike,
        kind: ArrayLike,
        *,
        more: ArrayLike | None = None,
        validation: ArrayLike | None = None,
        false_alarms: float = 0.01,
    ) -> Self:
        """
        Fit the regression to simulated galaxies and stamps of a kind.

        Parameters
        ----------
        galaxies, kind : array_like (N, F)
            Features of galaxies that the model is made for, and of stamps of the kind.
        more : array_like (N, F), optional
            Those of galaxies that the model is not made for, but are not of the kind either, such as fainter ones. A
            network that was never shown any takes many of them for others, unless the regression learns them.
        validation : array_like (N, F), optional
            Those of other galaxies, by which the threshold is set. By default a quarter of the galaxies, which the
            regression then does without.
        false_alarms : float, optional
            Share of these that are beyond the threshold: one in a hundred by default.

        Returns
        -------
        `Regression`

        Raises
        ------
        ValueError
            If there are fewer than 100 galaxies or stamps of the kind with finite features, or no galaxy to validate
            by.

        References
        ----------
        Logistic regression with a penalty on the squared weights: Hastie, Tibshirani & Friedman 2009, The Elements of
        Statistical Learning, section 4.4. Both classes weigh the same.
        """
        known, told, *others = (_finite(one) for one in (galaxies, kind, more) if one is not None)
        if min(len(known), len(told)) < FEWEST:
            raise ValueError(
                f"{FEWEST} galaxies and as many stamps of the other kind at least are needed to tell them apart, got "
                f"{len(known)} and {len(told)}"
            )
        if validation is None:
            held_out = np.arange(len(known)) % _HELD_OUT == 0
            known, clean = known[~held_out], known[held_out]
        else:
            clean = _finite(validation)
        if not len(clean):
            raise ValueError("validation has no galaxy with finite features")
        weights, intercept = _regression(np.concatenate([known, *others]), told)
        fitted = cls(weights.astype(np.float32), float(intercept), 0.5)
        threshold = np.quantile(fitted.probability(clean), 1 - false_alarms)
        return replace(fitted, threshold=float(threshold))

    def probability(self, features: ArrayLike) -> np.ndarray:
        """
        Probability of the kind, if it and galaxies were equally frequent.

        Parameters
        ----------
        features : array_like (N, F)

        Returns
        -------
        `~numpy.ndarray` (N,)
            NaN where a feature is.

        Raises
        ------
        ValueError
            If the features are not those of the fit.
        """
        features = np.asarray(features)
        if features.ndim != 2 or features.shape[1] != len(self.weights):
            raise ValueError(f"features must have the shape (N, {len(self.weights)}), got {features.shape}")
        from scipy.special import expit

        return expit(row_products(features, self.weights.astype(features.dtype)) + self.intercept)

    def found(self, features: ArrayLike) -> np.ndarray:
        """
        Tell stamps of the kind.

        Parameters
        ----------
        features : array_like (N, F)

        Returns
        -------
        `~numpy.ndarray` (N,) of bool
            False where a feature is NaN.
        """
        with np.errstate(invalid="ignore"):
            return self.probability(features) > self.threshold

    def arrays(self) -> dict[str, np.ndarray]:
        """
        List the numbers, to be stored.

        Returns
        -------
        dict of `~numpy.ndarray`
        """
        return {"weights": self.weights, "levels": np.array([self.intercept, self.threshold])}

    @classmethod
    def of(cls, arrays: dict[str, np.ndarray]) -> Self:
        """
        Restore it from `arrays`.

        Parameters
        ----------
        arrays : dict of `~numpy.ndarray`

        Returns
        -------
        `Regression`

        Raises
        ------
        KeyError, TypeError, ValueError
            If an array is missing, or is not one of `arrays`.
        """
        weights = real_numbers(arrays["weights"])
        intercept, threshold = map(float, real_numbers(arrays["levels"]))
        if weights.ndim != 1:
            raise ValueError(f"weights must have the shape (F,), got {weights.shape}")
        return cls(weights, intercept, threshold)


def _finite(features):
    features = np.asarray(features, dtype=float)
    return features[np.isfinite(features).all(axis=1)]


def _regression(galaxies, others):
    """Weights (F,) and intercept of the features as they are, from a fit to standardised ones."""
    from scipy.optimize import minimize

    features = np.concatenate([galaxies, others])
    centre, scale = features.mean(axis=0), features.std(axis=0)
    inverse = np.where(scale > _NARROW, 1 / np.maximum(scale, _NARROW), 0)
    features = ((features - centre) * inverse).astype(np.float32)
    sign = np.repeat([-1.0, 1.0], [len(galaxies), len(others)])
    share = np.repeat([0.5 / len(galaxies), 0.5 / len(others)], [len(galaxies), len(others)])

    def loss(parameters):
        weights, intercept = parameters[:-1], parameters[-1]
        margin = sign * (features @ weights.astype(np.float32) + intercept)
        pull = -sign * share / (1 + np.exp(np.minimum(margin, 500)))
        gradient = features.T @ pull.astype(np.float32) + _PENALTY * weights
        value = (share * np.logaddexp(0, -margin)).sum() + _PENALTY / 2 * weights @ weights
        return value, np.append(gradient, pull.sum())

    found = minimize(loss, np.zeros(features.shape[1] + 1), jac=True, method="L-BFGS-B", options={"maxiter": _STEPS})
    weights = found.x[:-1] * inverse
    return weights, found.x[-1] - weights @ centre
