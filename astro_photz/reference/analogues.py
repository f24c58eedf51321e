# Licensed under a 3-clause BSD style license - see LICENSE
"""
Galaxies of known redshift to compare others with: spectroscopic analogues.

A model comes with some of the galaxies that it was trained on: their identifiers, redshifts, and places among the
embeddings. Those next to a galaxy are its analogues. Their redshifts give a second estimate by the k nearest neighbours
(Csabai et al. 2007, Astronomische Nachrichten 328, 852), which needs no head of the network and no bins.

Both estimates see the galaxy through the same encoder. What the encoder does not see, neither of them does.
"""

from __future__ import annotations

import io
from dataclasses import dataclass, fields, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import ArrayLike

from astro_photz.metrics import sigma_mad
from astro_photz.models import ModelCard, ModelError
from astro_photz.models.card import ANALOGUES
from astro_photz.utils._files import aside
from astro_photz.utils._npy import read_arrays, real_numbers
from astro_photz.utils._products import row_products
from astro_photz.utils._types import PathLike

from ._stamps import labelled_galaxies
from .neighbours import Neighbours

if TYPE_CHECKING:
    from astro_photz.models import PhotozModel
    from astro_photz.pdf import RedshiftPDF

__all__ = ["Analogues"]

_K = (10, 20, 50, 100)  # numbers of neighbours that are tried
_ONE_SIGMA = 0.6827
_CLEAN = 0.99  # share of good galaxies whose two redshifts agree
_LEAST_SCATTER = 1e-4  # of redshifts: that of one galaxy which is measured twice


@dataclass(frozen=True, eq=False, kw_only=True)
class Analogues:
    """
    Galaxies of known redshift, by their places among the embeddings of a model.

    Use `fit`, `of_training` or `of_model`.

    Parameters
    ----------
    ids : `~numpy.ndarray` (G,) of int or str
        Names or numbers of the galaxies; of simulated ones, those of their progenitors.
    redshift : `~numpy.ndarray` (G,) float32
    vectors : `~numpy.ndarray` (G, K) float16
        Principal components of the embeddings, each with a standard deviation of 1.
    mean, matrix : `~numpy.ndarray` (D,), (D, K) float32
        What is subtracted from an embedding, and what the difference is multiplied by, to make such a vector.
    k : int, optional
        Number of neighbours whose mean redshift is the estimate.
    error_scale : float, optional
        Error of the estimate, in units of the standard deviation of their redshifts.
    limit : float, optional
        Largest difference of two redshifts that agree, in units of the error of both. None has been found yet where it
        is infinite: then all agree.

    Examples
    --------
    >>> import numpy as np
    >>> from astro_photz.reference import Analogues
    >>> redshift = np.linspace(0.1, 0.2, 51)
    >>> analogues = Analogues.fit(redshift[:, None], redshift)
    >>> found = analogues.search([[0.1499]], 2)
    >>> found.ids, found.redshift
    (array([[25, 24]]), array([[0.15 , 0.148]], dtype=float32))
    """

    ids: np.ndarray
    redshift: np.ndarray
    vectors: np.ndarray
    mean: np.ndarray
    matrix: np.ndarray
    k: int = 50
    error_scale: float = 1.0
    limit: float = np.inf

    @classmethod
    def fit(
        cls, embedding: ArrayLike, redshift: ArrayLike, ids: ArrayLike | None = None, *, n_components: int = 8
    ) -> Self:
        """
        Take galaxies of known redshift as analogues.

        Parameters
        ----------
        embedding : array_like (G, D)
        redshift : array_like (G,)
        ids : array_like (G,) of int or str, optional
            The numbers of the rows by default.
        n_components : int, optional
            Number K of principal components that are kept.

        Returns
        -------
        `Analogues`
            Of the galaxies whose embedding and redshift are known.

        Raises
        ------
        ValueError
            If the shapes do not fit together, or there are fewer than two galaxies.
        """
        embedding, redshift = np.asarray(embedding, dtype=float), np.asarray(redshift, dtype=float)
        ids = np.arange(len(redshift)) if ids is None else np.asarray(ids)
        if embedding.ndim != 2 or not len(embedding) == len(redshift) == len(ids):
            raise ValueError(
                f"embedding, redshift and ids must have a row for each galaxy, got {embedding.shape}, "
                f"{redshift.shape} and {ids.shape}"
            )
        known = np.isfinite(embedding).all(axis=1) & np.isfinite(redshift) & (redshift >= 0)
        if known.sum() < 2:
            raise ValueError("analogues need at least two galaxies with an embedding and a redshift")
        order = np.flatnonzero(known)[np.argsort(ids[known], kind="stable")]  # in which identifiers pack well
        mean = embedding[order].mean(axis=0)
        variance, axes = np.linalg.eigh(np.cov(embedding[order].T).reshape(2 * embedding.shape[1:]))
        best = np.argsort(variance)[::-1][: min(n_components, int((variance > variance.max() * 1e-9).sum()))]
        matrix = axes[:, best] / np.sqrt(variance[best])
        matrix *= np.where(matrix[np.abs(matrix).argmax(axis=0), np.arange(matrix.shape[1])] < 0, -1, 1)  # one sign
        vectors = ((embedding[order] - mean) @ matrix).astype(np.float16)
        kept = {"ids": _small(ids[order]), "redshift": redshift[order].astype(np.float32), "vectors": vectors}
        return cls(**kept, mean=mean.astype(np.float32), matrix=matrix.astype(np.float32), k=min(cls.k, len(order)))

    @classmethod
    def of_training(
        cls,
        model: PhotozModel,
        path: PathLike,
        validation: PathLike | None = None,
        *,
        rows: ArrayLike | None = None,
        validation_rows: ArrayLike | None = None,
        n: int = 20_000,
        seed: int = 0,
        n_components: int = 8,
    ) -> Self:
        """
        Take galaxies that a model was trained on as its analogues.

        Parameters
        ----------
        model : `~astro_photz.models.PhotozModel`
        path : str or path-like
            HDF5 file of stamps with redshifts, which the model was trained on.
        validation : str or path-like, optional
            The same of other galaxies, to calibrate by, as in `calibrated`.
        rows, validation_rows : array_like (M,) of int, optional
            Galaxies of the two files that it was trained on, and that it was not; all by default.
        n : int, optional
            Number of galaxies at most, which are drawn at random.
        seed : int, optional
        n_components : int, optional
            As in `fit`.

        Returns
        -------
        `Analogues`

        Raises
        ------
        OSError, ValueError
            If a file cannot be read, or has no galaxies with redshifts.
        """

        def drawn(ids):
            return np.random.default_rng(seed).permutation(len(ids))[:n]

        known = labelled_galaxies(model, path, rows, choose=drawn)
        found = cls.fit(known.embedding, known.redshift, known.ids, n_components=n_components)
        if validation is None:
            return found
        unseen = labelled_galaxies(model, validation, validation_rows)
        return found.calibrated(unseen.embedding, unseen.redshift, model.pdf(np.nan_to_num(unseen.embedding)))

    def calibrated(self, embedding: ArrayLike, redshift: ArrayLike, pdf: RedshiftPDF) -> Self:
        """
        Choose the number of neighbours, and the scales of the errors, by galaxies that the model has not learnt from.

        Parameters
        ----------
        embedding : array_like (N, D)
            Of galaxies that are not among the analogues.
        redshift : array_like (N,)
        pdf : `~astro_photz.RedshiftPDF` (N,)
            What the model says of them.

        Returns
        -------
        `Analogues`
            With the ``k`` of the least scatter, an ``error_scale`` such that 68.27 % of the true redshifts lie within
            the error, and a ``limit`` beyond which 1 % of the galaxies are.

        Raises
        ------
        ValueError
            If there is no galaxy with a redshift.
        """
        embedding, redshift = np.asarray(embedding, dtype=np.float32), np.asarray(redshift, dtype=float)
        known = np.isfinite(embedding).all(axis=1) & np.isfinite(redshift) & (redshift >= 0)
        if not known.any():
            raise ValueError("analogues are calibrated with galaxies of known redshift: there is none")
        redshift, estimate, error = redshift[known], pdf.mean()[known], pdf.std()[known]
        tried = [replace(self, k=k, error_scale=1.0) for k in sorted({min(k, len(self.ids)) for k in _K})]
        found = [one.search(embedding[known], 1) for one in tried]
        scatter = [sigma_mad((each.z_knn - redshift) / (1 + redshift)) for each in found]
        least = int(np.argmin(scatter))
        best, own = tried[least], found[least]
        pull = np.abs(own.z_knn - redshift) / own.z_knn_err
        scale = float(np.quantile(pull, _ONE_SIGMA))
        apart = np.abs(own.z_knn - estimate) / np.hypot(scale * own.z_knn_err, error)
        return replace(best, error_scale=scale, limit=float(np.quantile(apart, _CLEAN)))

    @classmethod
    def of_model(cls, model: PhotozModel) -> Self | None:
        """
        Read the analogues of a model.

        Parameters
        ----------
        model : `~astro_photz.models.PhotozModel`

        Returns
        -------
        `Analogues` or None
            None if its card lists none.

        Raises
        ------
        `~astro_photz.models.ModelError`
            If the file is damaged, or for other embeddings.
        """
        if ANALOGUES not in model.card.files:
            return None
        path = model.path / ANALOGUES
        found = cls._of_bytes(model.content(ANALOGUES), path)
        if len(found.mean) != model.card.embedding_dim:
            raise ModelError(f"{path} is for embeddings of {len(found.mean)} numbers, not {model.card.embedding_dim}")
        return found

    @classmethod
    def read(cls, path: PathLike) -> Self:
        """
        Read analogues from a file.

        Parameters
        ----------
        path : str or path-like

        Returns
        -------
        `Analogues`

        Raises
        ------
        FileNotFoundError
            If there is no such file.
        `~astro_photz.models.ModelError`
            If the file holds something else.
        """
        return cls._of_bytes(Path(path).read_bytes(), path)

    @classmethod
    def _of_bytes(cls, content, path):
        try:
            arrays = read_arrays(io.BytesIO(content))
            numbers = {"k": int, "error_scale": float, "limit": float}
            found = cls(**arrays | {name: kind(arrays[name]) for name, kind in numbers.items()})
            found._check()
        except (AttributeError, KeyError, OverflowError, TypeError, ValueError) as error:
            raise ModelError(f"{path} holds no analogues: it may be cut short or broken") from error
        return found

    def _check(self):
        """Raise a ValueError unless the arrays fit together, and are numbers where they must be."""
        n, dim, depth = self.ids.size, self.mean.size, self.vectors.shape[-1] if self.vectors.ndim else 0
        shapes = [one.shape for one in (self.ids, self.redshift, self.vectors, self.mean, self.matrix)]
        if shapes != [(n,), (n,), (n, depth), (dim,), (dim, depth)]:
            raise ValueError(f"arrays of the shapes {shapes} do not fit together")
        for one in (self.redshift, self.vectors, self.mean, self.matrix):
            real_numbers(one)
        if self.ids.dtype.kind not in "iuUS":
            raise ValueError(f"ids must be whole numbers or text, got {self.ids.dtype}")
        if not (1 <= self.k <= n and self.error_scale > 0 and self.limit >= 0):
            raise ValueError(f"k {self.k}, error_scale {self.error_scale} and limit {self.limit} cannot be")

    def write(self, path: PathLike) -> None:
        """
        Write the analogues to a file.

        Parameters
        ----------
        path : str or path-like
            Replaced if it is there.
        """
        file = io.BytesIO()
        np.savez_compressed(file, **{field.name: getattr(self, field.name) for field in fields(self)})
        with aside(path) as part:
            part.write_bytes(file.getvalue())

    def install(self, folder: PathLike) -> None:
        """
        Put the analogues into the folder of a model, and their hash into its card.

        Parameters
        ----------
        folder : str or path-like
            Of the model.
        """
        card = ModelCard.read(folder)
        self.write(Path(folder) / ANALOGUES)
        card.write(folder)

    def __len__(self) -> int:
        return len(self.ids)

    @cached_property
    def _tree(self) -> Any:
        from scipy.spatial import cKDTree

        return cKDTree(self.vectors.astype(np.float32))

    def search(self, embedding: ArrayLike, n: int = 5) -> Neighbours:
        """
        Find the analogues of galaxies, and the redshift that they speak for.

        Parameters
        ----------
        embedding : array_like (N, D)
        n : int, optional
            Number M of analogues of each.

        Returns
        -------
        `Neighbours` (N,)

        Raises
        ------
        ValueError
            If ``n`` is less than 1, or more than there are, or the embeddings have another length.

        Notes
        -----
        The error is the standard deviation of the redshifts of the k nearest, times ``error_scale``.
        """
        embedding = np.asarray(embedding, dtype=np.float32)
        if embedding.ndim != 2 or embedding.shape[1] != len(self.mean):
            raise ValueError(f"embedding must have the shape (N, {len(self.mean)}), got {embedding.shape}")
        if not 1 <= n <= len(self):
            raise ValueError(f"the number of analogues must be from 1 to the {len(self)} that the model has, got {n}")
        known = np.isfinite(embedding).all(axis=1)
        found = Neighbours.unknown(len(embedding), n, self.ids.dtype)
        if known.any():
            vectors = row_products(embedding[known] - self.mean, self.matrix)
            distance, rows = self._tree.query(vectors, np.arange(max(n, self.k)) + 1)
            redshift = self.redshift[rows]
            found.ids[known] = self.ids[rows[:, :n]]
            found.redshift[known] = redshift[:, :n]
            found.distance[known] = distance[:, :n]
            found.z_knn[known] = redshift[:, : self.k].mean(axis=1)
            scatter = np.maximum(redshift[:, : self.k].std(axis=1), _LEAST_SCATTER)
            found.z_knn_err[known] = self.error_scale * scatter
        return found

    def disagree(self, found: Neighbours, pdf: RedshiftPDF) -> np.ndarray:
        """
        Tell where the analogues speak for another redshift than the PDF.

        Parameters
        ----------
        found : `Neighbours` (N,)
        pdf : `~astro_photz.RedshiftPDF` (N,)

        Returns
        -------
        `~numpy.ndarray` (N,) bool
            True where ``z_knn`` and the PDF's mean differ by more than ``limit`` times their common error.
        """
        return np.abs(found.z_knn - pdf.mean()) > self.limit * np.hypot(found.z_knn_err, pdf.std())


def _small(ids):
    """Identifiers in little room: text, or integers of 4 bytes where they suffice."""
    if ids.dtype.kind not in "iu":
        return ids.astype(str)
    narrow = ids.astype(np.int32)
    return narrow if (narrow == ids).all() else ids.astype(np.int64)
