# Licensed under a 3-clause BSD style license - see LICENSE
"""
The space of a search: the numbers by whose Euclidean distance galaxies are compared.

An encoder's numbers also tell how a galaxy was observed: its noise, seeing and neighbours. A space of observations
divides by that: a linear map makes the scatter between two observations of one galaxy the same in all directions, and
keeps the directions in which galaxies differ most. That is a linear discriminant analysis with each galaxy a class of
its own (Fisher 1936, Annals of Eugenics 7, 179), or the normalisation of the covariance within classes (Hatch,
Kajarekar & Stolcke 2006, Interspeech 1471), followed by principal components.

Traits of galaxies that few numbers tell, such as a bar, count little among so many directions. Where they are known of
some galaxies, the directions that tell them best, by a ridge regression (Hoerl & Kennard 1970, Technometrics 12, 55),
are further numbers of the space.
"""

from __future__ import annotations

import hashlib
import io
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Self

import numpy as np
from numpy.typing import ArrayLike

from astro_photz.models import ModelCard, ModelError
from astro_photz.models.card import SPACE as SPACE_FILE
from astro_photz.utils._files import aside, sha256
from astro_photz.utils._npy import read_arrays, real_numbers
from astro_photz.utils._types import PathLike

if TYPE_CHECKING:
    from astro_photz.models import PhotozModel

__all__ = ["SPACE_FILE", "SearchSpace"]

_ENTRY = "similarity"  # of the card
# Variance added in all directions, over the mean one: otherwise a few pairs decide on those where observations hardly
# differ. Galaxies observed anew, and noisier copies, are found best with it (simulated ones of the validation split).
_LOADING = 0.03
# Of the ridge regressions, over the variance of an observation's noise in each direction.
_RIDGE = 0.3
# With more, the same galaxy observed anew is found less often (simulated ones of the validation split).
_WEIGHT = 2.0


@dataclass(frozen=True, eq=False)
class SearchSpace:
    """
    A map from embeddings (N, D) to the vectors (N, K) that are searched.

    Use `cosine`, `fit` or `of_model`.

    Parameters
    ----------
    mean : `~numpy.ndarray` (D,) float32
        What is subtracted.
    matrix : `~numpy.ndarray` (D, K) float32, optional
        What the difference is multiplied by. None leaves the embedding as it is, but for its length, which becomes 1:
        the distance then is that of cosine similarity.

    Examples
    --------
    >>> import numpy as np
    >>> from astro_photz.similarity import SearchSpace
    >>> SearchSpace.cosine(2).map([[3.0, 4.0]])
    array([[0.6, 0.8]], dtype=float32)
    """

    mean: np.ndarray
    matrix: np.ndarray | None = None

    @classmethod
    def cosine(cls, dim: int) -> Self:
        """
        Make the space in which the angle between embeddings counts.

        Parameters
        ----------
        dim : int
            Length D of an embedding.

        Returns
        -------
        `SearchSpace`
        """
        return cls(np.zeros(dim, dtype=np.float32))

    @classmethod
    def fit(
        cls,
        first: ArrayLike,
        second: ArrayLike,
        *,
        n_components: int = 64,
        loading: float = _LOADING,
        traits: tuple[ArrayLike, ArrayLike] | None = None,
        weight: float = _WEIGHT,
    ) -> Self:
        """
        Learn a space from galaxies that were observed twice.

        Parameters
        ----------
        first, second : array_like (N, D)
            Embeddings of two observations of the same N galaxies. Rows with NaN are left out.
        n_components : int, optional
            Length K of a vector, without traits.
        loading : float, optional
            Variance of the differences that is added in all directions, in units of the mean one.
        traits : tuple of array_like (M, D) and (M, T), optional
            Embeddings of galaxies, and T traits of them: numbers such as an inclination, or whether there is a bar; NaN
            where unknown. A vector then has K + T numbers.
        weight : float, optional
            That of the number of a trait, over that of any other.

        Returns
        -------
        `SearchSpace`
            In which the two observations of a galaxy differ by 1, and a little less for the loading, in each of the K
            numbers, and by ``weight`` in those of traits.

        Raises
        ------
        ValueError
            If the two have different shapes, there are fewer galaxies than numbers in an embedding, or traits are of
            other embeddings, or have one value.

        Examples
        --------
        >>> import numpy as np
        >>> from astro_photz.similarity import SearchSpace
        >>> rng = np.random.default_rng(0)
        >>> galaxy = rng.normal(size=(1000, 3)) * [5, 1, 1]
        >>> first, second = (galaxy + rng.normal(size=(1000, 3)) * [10, 0.1, 0.1] for _ in range(2))
        >>> space = SearchSpace.fit(first, second, n_components=2, loading=1e-6)
        >>> difference = space.map(first) - space.map(second)
        >>> difference.std(axis=0).round(1)
        array([1., 1.], dtype=float32)
        """
        first, second = np.asarray(first, dtype=float), np.asarray(second, dtype=float)
        if first.shape != second.shape or first.ndim != 2:
            raise ValueError(f"both observations must have the same shape (N, D), got {first.shape}, {second.shape}")
        known = np.isfinite(first).all(axis=1) & np.isfinite(second).all(axis=1)
        first, second = first[known], second[known]
        n, dim = first.shape
        if n < dim:
            raise ValueError(f"a space of {dim} numbers needs at least as many pairs of observations, got {n}")
        difference = first - second
        within = difference.T @ difference / n
        within += loading * np.trace(within) / dim * np.eye(dim)
        variance, axes = np.linalg.eigh(within)
        whitening = axes / np.sqrt(variance)
        both = np.concatenate([first, second])
        mean = both.mean(axis=0)
        whitened = (both - mean) @ whitening
        _, rotation = np.linalg.eigh(whitened.T @ whitened)  # the directions in which most galaxies differ come last
        matrix = whitening @ rotation[:, ::-1][:, :n_components]
        matrix *= np.where(matrix[np.abs(matrix).argmax(axis=0), np.arange(matrix.shape[1])] < 0, -1, 1)  # one sign
        if traits is not None:
            embedding, values = _checked_traits(*traits, dim=dim)
            told = _directions_of(values, (embedding - mean) @ whitening)
            matrix = np.concatenate([matrix, weight * whitening @ told], axis=1)
        return cls(mean.astype(np.float32), matrix.astype(np.float32))

    @classmethod
    def of_model(cls, model: PhotozModel) -> Self:
        """
        Read the space of a model.

        Parameters
        ----------
        model : `~astro_photz.models.PhotozModel`

        Returns
        -------
        `SearchSpace`
            That of cosine similarity for a model that has none of its own.

        Raises
        ------
        `~astro_photz.models.ModelError`
            If the file is not the one that the model's card describes.
        """
        if SPACE_FILE not in model.card.hashes:
            return cls.cosine(model.card.embedding_dim)
        path = model.path / SPACE_FILE
        try:
            space = cls._of_file(io.BytesIO(model.content(SPACE_FILE)), path)
        except ModelError:
            raise
        except ValueError as error:
            raise ModelError(str(error)) from error
        if space.input_dim != model.card.embedding_dim:
            raise ModelError(f"{path} is for embeddings of {space.input_dim} numbers, not {model.card.embedding_dim}")
        return space

    @classmethod
    def read(cls, path: PathLike) -> Self:
        """
        Read a space from a file.

        Parameters
        ----------
        path : str or path-like

        Returns
        -------
        `SearchSpace`

        Raises
        ------
        FileNotFoundError
            If there is no such file.
        ValueError
            If the file holds something else.
        """
        return cls._of_file(path, path)

    @classmethod
    def _of_file(cls, file, path):
        try:
            arrays = read_arrays(file)
            mean = real_numbers(arrays["mean"])
            matrix = real_numbers(arrays["matrix"]) if "matrix" in arrays else None
            if mean.ndim != 1 or (matrix is not None and (matrix.ndim != 2 or len(matrix) != len(mean))):
                raise ValueError("its arrays do not fit together")
            return cls(mean, matrix)
        except (KeyError, TypeError, ValueError) as error:
            raise ValueError(f"{path} holds no space of a search: it may be cut short or broken") from error

    def write(self, path: PathLike) -> None:
        """
        Write the space to a file.

        Parameters
        ----------
        path : str or path-like
            Replaced if it is there.
        """
        with aside(path) as part, open(part, "wb") as file:
            file.write(self._bytes())

    def install(self, folder: PathLike, **report: object) -> None:
        """
        Put the space into the folder of a model, and its hash into the card.

        Parameters
        ----------
        folder : str or path-like
            Of the model.
        **report : object
            More for the card's entry ``similarity``: how the space was made, and what it is worth.
        """
        path = Path(folder) / SPACE_FILE
        card = ModelCard.read(folder)
        self.write(path)
        entry = {"file": SPACE_FILE, "sha256": sha256(path), "n_components": self.dim} | report
        card.updated(**{_ENTRY: entry}).write(folder)

    @property
    def input_dim(self) -> int:
        """Length D of an embedding, int."""
        return len(self.mean)

    @property
    def dim(self) -> int:
        """Length K of a vector, int."""
        return self.input_dim if self.matrix is None else self.matrix.shape[1]

    @property
    def sha256(self) -> str:
        """Hash of the space, by which it is known, str."""
        return hashlib.sha256(self._bytes()).hexdigest()

    def map(self, embedding: ArrayLike) -> np.ndarray:
        """
        Map embeddings to vectors.

        Parameters
        ----------
        embedding : array_like (N, D)

        Returns
        -------
        `~numpy.ndarray` (N, K) float32
            NaN for an embedding with NaN or infinity in it, and for one of zeros, which no image gives.

        Raises
        ------
        ValueError
            If the embeddings have another length.
        """
        embedding = np.asarray(embedding, dtype=np.float32)
        if embedding.ndim != 2 or embedding.shape[1] != self.input_dim:
            raise ValueError(f"vectors must have the shape (N, {self.input_dim}), got {embedding.shape}")
        usable = np.isfinite(embedding).all(axis=1) & embedding.any(axis=1)
        known = np.where(usable[:, None], embedding, 1)
        if self.matrix is None:
            scale = np.abs(known).max(axis=1, keepdims=True)  # so that no square is too large or small
            vectors = known / scale
            vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
        else:
            vectors = (known - self.mean) @ self.matrix
        vectors[~usable] = np.nan
        return vectors

    def _bytes(self):
        file = io.BytesIO()
        arrays = {"mean": self.mean} | ({} if self.matrix is None else {"matrix": self.matrix})
        np.savez(file, **arrays)
        return file.getvalue()


def _checked_traits(embedding, values, *, dim):
    """Embeddings (M, D) and traits (M, T), float, of the galaxies whose embedding is known."""
    embedding, values = np.asarray(embedding, dtype=float), np.asarray(values, dtype=float)
    if embedding.ndim != 2 or embedding.shape[1] != dim or values.ndim != 2 or len(values) != len(embedding):
        raise ValueError(
            f"traits must be embeddings (M, {dim}) and numbers (M, T) of the same galaxies, got {embedding.shape}, "
            f"{values.shape}"
        )
    known = np.isfinite(embedding).all(axis=1)
    return embedding[known], values[known]


def _directions_of(traits, whitened):
    """Directions (D, T), of length 1, along which embeddings (M, D) tell traits (M, T) best."""
    found = np.empty((whitened.shape[1], traits.shape[1]))
    for number, values in enumerate(traits.T):
        known = np.isfinite(values)
        if len(np.unique(values[known])) < 2:
            raise ValueError(f"trait {number} must be known of galaxies that differ in it")
        some, values = whitened[known] - whitened[known].mean(axis=0), values[known] - values[known].mean()
        slope = np.linalg.solve(some.T @ some + _RIDGE * len(some) * np.eye(some.shape[1]), some.T @ values)
        found[:, number] = slope / np.linalg.norm(slope)
    return found
