# Licensed under a 3-clause BSD style license - see LICENSE
"""
Points of light among galaxies: stars and quasars, by what a network sees or by their width.

Where the width of the point-spread function is known, the rule of `astro_photz.quality.point_sources` decides: of
simulated stars it finds as many as the network does, of galaxies it takes fewer for points, and it holds for colours
and brightnesses that no network was shown. Otherwise a logistic regression on the network's features does, which has
been shown points in all seeings.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Self

import numpy as np
from numpy.typing import ArrayLike

from astro_photz.photometry import disc
from astro_photz.quality.point_sources import WIDEST_POINT, width_excess
from astro_photz.sdss import BANDS
from astro_photz.utils._npy import real_numbers
from astro_photz.utils._products import row_products

if TYPE_CHECKING:
    from astro_photz.cutouts import Cutouts
    from astro_photz.quality.measurements import Measurements

__all__ = ["PointSources", "point_source"]

_Described = tuple[ArrayLike, ArrayLike | None]  # features, and measurements

_FALSE_ALARMS = 0.01  # of the galaxies
_HELD_OUT = 4  # of so many galaxies one sets the threshold
_PENALTY = 3e-3  # of the squared weights of standardised features
_STEPS = 300
_NARROW = 1e-6  # features that vary less tell nothing
_FEWEST = 100  # galaxies and stars
_NEAR = 16.0  # pixels, within which whole galaxies have their light


def point_source(
    cutouts: Cutouts,
    measurements: Measurements,
    features: np.ndarray,
    point_sources: PointSources | None,
    *,
    seeing: tuple[float, float] | None = None,
) -> np.ndarray:
    """
    Tell points of light: by their width where the point-spread function is known, by the network's features elsewhere.

    The features tell nothing where a part of the stamp is missing near the middle: what is cut off looks narrow.

    Parameters
    ----------
    cutouts : `~astro_photz.Cutouts` (N,)
    measurements : `~astro_photz.quality.measurements.Measurements` (N,)
        Of these cutouts.
    features : `~numpy.ndarray` (N, F)
        Of `~astro_photz.models.PhotozModel.encoding`.
    point_sources : `PointSources` or None
        Of the model; without it, only the width tells.
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
    if point_sources is None:
        return by_width
    by_features = point_sources.found(features) & ~_cut_off(cutouts)
    return np.where(np.isnan(excess), by_features, by_width)


def _cut_off(cutouts):
    """Tell whether pixels near the middle are missing (N,)."""
    near, cut_off = disc(cutouts.size, _NEAR) > 0, np.isnan(cutouts.flux.min(axis=(1, 2, 3)))
    cut_off[cut_off] = np.isnan(cutouts.flux[cut_off][:, :, near]).any(axis=(1, 2))
    return cut_off


@dataclass(frozen=True, eq=False)
class PointSources:
    """
    A logistic regression that tells points from galaxies by the features of a network.

    Parameters
    ----------
    weights : `~numpy.ndarray` (F,) float32
    intercept : float
    threshold : float
        Of the probability, beyond which a stamp is taken for a point.

    Examples
    --------
    >>> import numpy as np
    >>> from astro_photz.reference import PointSources
    >>> rng = np.random.default_rng(0)
    >>> galaxies, stars = rng.normal(0, 1, (500, 8)), rng.normal(2, 1, (500, 8))
    >>> points = PointSources.fit(galaxies=(galaxies, None), stars=(stars, None))
    >>> bool(points.found(stars).mean() > 0.95), bool(points.found(galaxies).mean() < 0.05)
    (True, True)
    """

    weights: np.ndarray
    intercept: float
    threshold: float

    @classmethod
    def fit(
        cls,
        *,
        galaxies: _Described,
        stars: _Described,
        faint: _Described | None = None,
        validation: _Described | None = None,
    ) -> Self:
        """
        Fit the regression to simulated galaxies and points.

        Parameters
        ----------
        galaxies, stars : (array_like (N, F), array_like (N, M) or None)
            Features and measurements. The latter are not used: they add nothing to the features.
        faint : (array_like (N, F), array_like (N, M) or None), optional
            Those of galaxies that are fainter than the model is made for. A network that was never shown any takes many
            of them for points, unless the regression learns them.
        validation : (array_like (N, F), array_like (N, M) or None), optional
            Those of other galaxies, by which the threshold is set: 1 % of them are beyond it. By default a quarter of
            the galaxies, which the regression then does without.

        Returns
        -------
        `PointSources`

        Raises
        ------
        ValueError
            If there are fewer than 100 galaxies or stars with finite features, or none to validate by.

        References
        ----------
        Logistic regression with a penalty on the squared weights: Hastie, Tibshirani & Friedman 2009, The Elements of
        Statistical Learning, section 4.4. Both classes weigh the same.
        """
        galaxy, star, *others = (_finite(one[0]) for one in (galaxies, stars, faint) if one is not None)
        if min(len(galaxy), len(star)) < _FEWEST:
            raise ValueError(
                f"{_FEWEST} galaxies and as many stars at least are needed to tell them apart, got {len(galaxy)} and "
                f"{len(star)}"
            )
        if validation is None:
            held_out = np.arange(len(galaxy)) % _HELD_OUT == 0
            galaxy, clean = galaxy[~held_out], galaxy[held_out]
        else:
            clean = _finite(validation[0])
        if not len(clean):
            raise ValueError("validation has no galaxy with finite features")
        weights, intercept = _regression(np.concatenate([galaxy, *others]), star)
        fitted = cls(weights.astype(np.float32), float(intercept), 0.5)
        threshold = np.quantile(fitted.probability(clean), 1 - _FALSE_ALARMS)
        return replace(fitted, threshold=float(threshold))

    def probability(self, features: ArrayLike) -> np.ndarray:
        """
        Probability of a point, if points and galaxies were equally frequent.

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
        Tell points.

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
        `PointSources`

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


def _regression(galaxies, stars):
    """Weights (F,) and intercept of the features as they are, from a fit to standardised ones."""
    from scipy.optimize import minimize

    features = np.concatenate([galaxies, stars])
    centre, scale = features.mean(axis=0), features.std(axis=0)
    inverse = np.where(scale > _NARROW, 1 / np.maximum(scale, _NARROW), 0)
    features = ((features - centre) * inverse).astype(np.float32)
    sign = np.repeat([-1.0, 1.0], [len(galaxies), len(stars)])
    share = np.repeat([0.5 / len(galaxies), 0.5 / len(stars)], [len(galaxies), len(stars)])

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
