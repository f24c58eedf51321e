# Licensed under a 3-clause BSD style license - see LICENSE
"""
Strangers: galaxies, or other things, that are unlike those that a model was trained on.

A stamp is strange by the numbers that the network makes of it, its features, or by plain photometry of its pixels. Both
are measured by the distance of Mahalanobis from the galaxies of the training (for features of a network: Lee et al.
2018, arXiv 1807.03888). The larger of the two counts, each taken as a rank among galaxies that were not trained on, so
that neither needs a model of its distribution.
"""

from __future__ import annotations

import io
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import ArrayLike

from astro_photz.models import ModelError
from astro_photz.models.card import REFERENCE, ModelCard
from astro_photz.utils._files import aside, sha256
from astro_photz.utils._npy import read_arrays, real_numbers
from astro_photz.utils._types import PathLike

from .mahalanobis import Mahalanobis
from .regression import Regression

if TYPE_CHECKING:
    from astro_photz.models import PhotozModel

__all__ = ["KINDS", "Reference", "Survival"]

KINDS = "point_sources", "distant"
"""Names of the kinds of stamps that regressions tell from galaxies."""

_KNOTS = 128  # of a survival function: as many in its tail, and as many in all of it


@dataclass(frozen=True, eq=False)
class Survival:
    """
    The share of a sample that lies farther out, as a function of the distance.

    Parameters
    ----------
    distance, share : `~numpy.ndarray` (K,) float32
        Distances, increasing, and the share of the sample beyond each; in between it is interpolated.

    Examples
    --------
    >>> import numpy as np
    >>> from astro_photz.reference.strangers import Survival
    >>> survival = Survival.of(np.arange(1, 101))
    >>> survival([1, 50, 100, 200]).round(4)
    array([0.995 , 0.505 , 0.005 , 0.0025])
    """

    distance: np.ndarray
    share: np.ndarray

    def __post_init__(self):
        if self.distance.ndim != 1 or self.share.shape != self.distance.shape or not self.distance.size:
            raise ValueError(
                f"distance and share must have the same length, got {self.distance.shape} and {self.share.shape}"
            )

    @classmethod
    def of(cls, distances: ArrayLike) -> Self:
        """
        Take the distances of a sample.

        Parameters
        ----------
        distances : array_like (N,)

        Returns
        -------
        `Survival`
            With the farthest distances as they are, and fewer of the others.
        """
        distances = np.sort(np.asarray(distances, dtype=np.float32))
        n = len(distances)
        kept = np.concatenate([np.linspace(0, n - 1, _KNOTS).round(), np.arange(max(0, n - _KNOTS), n)])
        kept = np.unique(kept).astype(int)
        return cls(distances[kept], ((n - kept - 0.5) / n).astype(np.float32))

    def __call__(self, distances: ArrayLike) -> np.ndarray:
        """
        Share of the sample beyond distances.

        Parameters
        ----------
        distances : array_like (M,)

        Returns
        -------
        `~numpy.ndarray` (M,) float64
            Beyond the farthest galaxy of the sample nothing is known but the order: the share falls, from half a
            galaxy, as the inverse of the distance.
        """
        distances = np.asarray(distances, dtype=np.float64)
        inside = np.interp(distances, self.distance, self.share, left=1.0)
        last = float(self.distance[-1])
        with np.errstate(invalid="ignore"):
            beyond = self.share[-1] * last / np.maximum(distances, last)
        return np.where(distances > last, beyond, inside)


@dataclass(frozen=True, eq=False)
class Reference:
    """
    The galaxies that a model knows, as far as strangers are told from them.

    Use `fit`, `read` or `of_model`.

    Parameters
    ----------
    features, photometry : Mahalanobis
        Distances of the features (N, F), and of the vectors (N, M) of ``quality.measurements``, from those of the
        galaxies of the training.
    survival : dict of Survival
        Of galaxies that were not trained on: of both distances, by the names ``features`` and ``photometry``, and
        under ``both`` of the inverse of the smaller share.
    point_sources, distant : `~astro_photz.reference.regression.Regression`, optional
        By which stars and quasars, and galaxies beyond the redshifts of the training, are told from its galaxies.

    Examples
    --------
    >>> import numpy as np
    >>> from astro_photz.reference import Reference
    >>> rng = np.random.default_rng(0)
    >>> features, vector = rng.normal(size=(2000, 8)), rng.normal(size=(2000, 3))
    >>> reference = Reference.fit((features[:1000], vector[:1000]), (features[1000:], vector[1000:]))
    >>> bool(reference.ood(np.full((1, 8), 9.0), np.zeros((1, 3)))[0] < 0.001)
    True
    """

    features: Mahalanobis
    photometry: Mahalanobis
    survival: dict[str, Survival]
    point_sources: Regression | None = None
    distant: Regression | None = None

    @classmethod
    def fit(
        cls,
        training: tuple[np.ndarray, np.ndarray],
        validation: tuple[np.ndarray, np.ndarray],
        *,
        point_sources: Regression | None = None,
        distant: Regression | None = None,
    ) -> Self:
        """
        Measure galaxies that a model was trained on, and rank others by them.

        Parameters
        ----------
        training, validation : tuple of array_like (N, F) and (N, M)
            Features, and vectors of photometry, of galaxies that the model was trained on, and of others.
        point_sources, distant : `~astro_photz.reference.regression.Regression`, optional

        Returns
        -------
        `Reference`

        Raises
        ------
        ValueError
            If there are too few galaxies.
        """
        features, photometry = map(Mahalanobis.fit, training)
        return cls(features, photometry, {}, point_sources, distant).ranked_by(validation)

    def ranked_by(self, validation: tuple[np.ndarray, np.ndarray]) -> Self:
        """
        Rank by other galaxies, whose features are those of the same network.

        Parameters
        ----------
        validation : tuple of array_like (N, F) and (N, M)

        Returns
        -------
        `Reference`
        """
        if not len(validation[0]):
            raise ValueError("strangers are told by galaxies that were not trained on: there is none")
        features, vectors = validation
        distances = {"features": self.features.distance(features), "photometry": self.photometry.distance(vectors)}
        survival = {name: Survival.of(values) for name, values in distances.items()}
        least = np.minimum(*(survival[name](values) for name, values in distances.items()))
        return replace(self, survival=survival | {"both": Survival.of(1 / least)})

    @staticmethod
    def of_model(model: PhotozModel) -> Reference | None:
        """
        Read the reference of a model.

        Parameters
        ----------
        model : `~astro_photz.models.PhotozModel`

        Returns
        -------
        `Reference` or None
            None for a model that has none, as one of an earlier version of the package.

        Raises
        ------
        `~astro_photz.models.ModelError`
            If it is for other features, or cannot be read.
        """
        if REFERENCE not in model.card.files:
            return None
        path = model.path / REFERENCE
        try:
            reference = _of_content(model.content(REFERENCE), path)
        except ModelError:
            raise
        except ValueError as error:
            raise ModelError(str(error)) from error
        if reference.features.dim != model.feature_dim:
            dim = reference.features.dim
            raise ModelError(f"{path} is for {dim} features, while the model gives {model.feature_dim}")
        return reference

    @classmethod
    def read(cls, path: PathLike) -> Self:
        """
        Read a reference from a file.

        Parameters
        ----------
        path : str or path-like

        Returns
        -------
        `Reference`

        Raises
        ------
        FileNotFoundError
            If there is no such file.
        ValueError
            If it holds something else.
        """
        return cls._of_bytes(Path(path).read_bytes(), path)

    @classmethod
    def _of_bytes(cls, content, path):
        try:
            arrays = read_arrays(io.BytesIO(content))
            parts = {name: Mahalanobis.of(_part(arrays, name)) for name in ("features", "photometry")}
            numbers = {name: values for name, values in arrays.items() if name.startswith("survival.")}
            numbers = {name: real_numbers(values) for name, values in numbers.items()}
            survival = {name: Survival(**_part(numbers, f"survival.{name}")) for name in (*parts, "both")}
            told = {name: Regression.of(part) for name in KINDS if (part := _part(arrays, name))}
            for name, one in told.items():
                if len(one.weights) != parts["features"].dim:
                    raise ValueError(f"{len(one.weights)} weights of {name} for {parts['features'].dim} features")
            return cls(**parts, survival=survival, **told)
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise ValueError(f"{path} holds no reference of a model: it may be cut short or broken") from error

    @property
    def regressions(self) -> dict[str, Regression]:
        """Regressions that are there, by the names of their parameters, dict of `Regression`."""
        return {name: one for name in KINDS if (one := getattr(self, name)) is not None}

    def write(self, path: PathLike) -> None:
        """
        Write the reference to a file.

        Parameters
        ----------
        path : str or path-like
            Replaced if it is there.
        """
        arrays: dict[str, Any] = {}
        for name in ("features", "photometry"):
            arrays |= _named(name, getattr(self, name).arrays())
        for name, survival in self.survival.items():
            arrays |= _named(f"survival.{name}", vars(survival))
        for name, regression in self.regressions.items():
            arrays |= _named(name, regression.arrays())
        content = io.BytesIO()
        np.savez(content, **arrays)
        with aside(path) as part:
            part.write_bytes(content.getvalue())

    def install(self, folder: PathLike, **report: object) -> ModelCard:
        """
        Put the reference into the folder of a model, and its hash into the card.

        Parameters
        ----------
        folder : str or path-like
            Of the model.
        **report : object
            More for the card's entry ``reference``: the galaxies that it is made of.

        Returns
        -------
        `~astro_photz.models.ModelCard`
            As written.
        """
        path = Path(folder) / REFERENCE
        card = ModelCard.read(folder)
        self.write(path)
        return card.updated(reference=report | {"sha256": sha256(path)}).write(folder)

    def ood(self, features: ArrayLike, vector: ArrayLike) -> np.ndarray:
        """
        Share of the galaxies of the reference that lie farther out.

        Parameters
        ----------
        features : array_like (N, F)
            Of `~astro_photz.models.PhotozModel.encoding`.
        vector : array_like (N, M)
            Of ``quality.measurements``.

        Returns
        -------
        `~numpy.ndarray` (N,) float32
            From 1, in the midst of them, to 0: of galaxies like those of the reference, all shares come equally often.
            Below half of one galaxy (see ``Survival``) the order alone means something.

        Raises
        ------
        ValueError
            If features or vectors have another length.
        """
        shares = []
        for name, values in (("features", features), ("photometry", vector)):
            whitening, values = getattr(self, name), np.asarray(values, dtype=np.float32)
            if values.ndim != 2 or values.shape[1] != whitening.dim:
                raise ValueError(f"{name} must have the shape (N, {whitening.dim}), got {values.shape}")
            shares.append(self.survival[name](whitening.distance(values)))
        with np.errstate(divide="ignore"):
            return self.survival["both"](1 / np.minimum(*shares)).astype(np.float32)


@lru_cache(maxsize=4)
def _of_content(content, path):
    """Read a reference once, as long as its content stays the same."""
    return Reference._of_bytes(content, path)


def _named(prefix, arrays):
    return {f"{prefix}.{name}": values for name, values in arrays.items()}


def _part(arrays, prefix):
    return {name.removeprefix(f"{prefix}."): value for name, value in arrays.items() if name.startswith(f"{prefix}.")}
