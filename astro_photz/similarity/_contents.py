# Licensed under a 3-clause BSD style license - see LICENSE
"""
The contents of an index: vectors, identifiers and the catalogue of N galaxies, in memory or mapped from files.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np
from astropy.table import Column, MaskedColumn, Table, vstack

from astro_photz.utils._arrays import identifiers, values_and_mask

from ._approximate import ApproximateSearch
from .space import SearchSpace

__all__ = ["Contents", "as_vectors", "catalogue_of", "checked_ids", "sorted_pair_distances"]

_PAIRS = 100_000
_LARGEST = np.finfo(np.float16).max


@dataclass(frozen=True, eq=False)
class Contents:
    """
    All that an index knows of N galaxies.

    Parameters
    ----------
    vectors : `~numpy.ndarray` (N, K) float16
        NaN for a galaxy without one.
    ids : `~numpy.ndarray` (N,)
        No two are the same.
    catalogue : `~astropy.table.Table` (N,)
        ``ra`` and ``dec`` (deg, ICRS) if they are known, and other columns.
    space : `~astro_photz.similarity.SearchSpace`
        From embeddings to vectors.
    pairs : `~numpy.ndarray` (P,) float32
        Distances of random pairs of galaxies, in increasing order.
    model : dict
        ``name`` and the hash of the ``encoder`` of the model that made the embeddings; empty if that is not known.
    approximate : `~astro_photz.similarity._approximate.ApproximateSearch`, optional
    recall : float, optional
        Share of the ten nearest neighbours that it finds.
    """

    vectors: np.ndarray
    ids: np.ndarray
    catalogue: Table
    space: SearchSpace
    pairs: np.ndarray
    model: dict = field(default_factory=dict)
    approximate: ApproximateSearch | None = None
    recall: float = 1.0

    def __len__(self):
        return len(self.ids)

    @property
    def has_positions(self):
        """True if the catalogue has positions, bool."""
        return {"ra", "dec"} <= set(self.catalogue.colnames)

    def joined(self, other, vectors):
        """
        Append other galaxies.

        Parameters
        ----------
        other : `Contents` (M,)
            Of the same space and columns.
        vectors : `~numpy.ndarray` (N + M, K) float16
            Those of all.

        Returns
        -------
        `Contents` (N + M,)
            Without pairs and an approximate search, which change.
        """
        if self.catalogue.colnames != other.catalogue.colnames:
            raise ValueError(
                f"table must have the columns of the index, {', '.join(self.catalogue.colnames) or 'none'}; got "
                f"{', '.join(other.catalogue.colnames) or 'none'}"
            )
        if (self.ids.dtype.kind in "iu") != (other.ids.dtype.kind in "iu"):
            raise ValueError("ids must be of the kind of those of the index: numbers or texts")
        return replace(
            self,
            vectors=vectors,
            ids=checked_ids(_together(self.ids, other.ids), len(vectors)),
            catalogue=_stacked(self.catalogue, other.catalogue),
            pairs=self.pairs[:0],
            approximate=None,
            recall=1.0,
        )


def as_vectors(embedding, space):
    """
    Map embeddings (N, D) to vectors (N, K) in float16.

    Raise a ValueError if a number is too large for it.
    """
    vectors = space.map(embedding)
    if np.nanmax(np.abs(vectors), initial=0) > _LARGEST:
        raise ValueError(f"vectors must not hold numbers beyond {_LARGEST:.0f}, which an index cannot keep")
    return vectors.astype(np.float16)


def checked_ids(ids, n):
    """
    Identifiers of n galaxies as an array; their places for None.

    Raise a ValueError if there are not n of them, or two are the same.
    """
    if ids is None:
        return np.arange(n)
    ids = identifiers(ids)
    if ids.shape != (n,):
        raise ValueError(f"ids must have the shape ({n},), one a galaxy; got {ids.shape}")
    in_order = np.sort(ids)
    twice = in_order[1:][in_order[1:] == in_order[:-1]]
    if len(twice):
        raise ValueError(f"ids must differ: {len(twice)} are there already or unknown, such as {twice[0]!s}")
    return ids


def catalogue_of(table, coord):
    """
    Take the columns of a table that an index can keep.

    Parameters
    ----------
    table : `~astropy.table.Table` (N,) or None
    coord : `~astropy.coordinates.SkyCoord` (N,) or None
        Positions in ICRS, which become the columns ``ra`` and ``dec`` (deg).

    Returns
    -------
    `~astropy.table.Table` (N,)
        Numbers, texts and truth values, with their units, masks and descriptions; columns of other kinds are left out.
    """
    kept = Table()
    if coord is not None:
        kept["ra"], kept["dec"] = coord.ra.to("deg"), coord.dec.to("deg")
    for name in table.colnames if table is not None else ():
        column = table[name]
        if getattr(getattr(column, "dtype", None), "kind", "") == "O":
            column = _texts(column)
        kind = getattr(getattr(column, "dtype", None), "kind", "O")
        if name in kept.colnames or kind not in "biufUS" or not isinstance(getattr(column, "shape", None), tuple):
            continue
        plain = Table({name: column})[name]
        kept[name] = plain if isinstance(plain, MaskedColumn) and np.any(plain.mask) else np.asarray(plain)
        kept[name].unit, kept[name].description = getattr(column, "unit", None), column.info.description
    return kept


def _together(one, other):
    """Concatenate identifiers; whole numbers stay exact. Raise a ValueError if no kind of them holds all."""
    if one.dtype.kind + other.dtype.kind not in ("iu", "ui"):
        return np.concatenate([one, other])
    lowest = min((int(ids.min()) for ids in (one, other) if len(ids)), default=0)
    highest = max((int(ids.max()) for ids in (one, other) if len(ids)), default=0)
    for kind in (np.int64, np.uint64):
        if np.iinfo(kind).min <= lowest and highest <= np.iinfo(kind).max:
            return np.concatenate([one.astype(kind), other.astype(kind)])
    raise ValueError(f"ids must fit into 64 bits together, got {lowest} to {highest}: give them as texts")


def _stacked(before, after):
    """Append rows to a catalogue, in its units. Raise a ValueError if a unit or the kind of a column is another."""
    converted = Table()
    for name in before.colnames:
        old, new = before[name], after[name]
        if (old.dtype.kind in "US") != (new.dtype.kind in "US"):
            raise ValueError(f"column {name!r} holds {old.dtype} in the index, and {new.dtype} in the table")
        if new.unit is not None and new.unit != old.unit:
            try:
                factor = new.unit.to(old.unit)
            except (TypeError, ValueError):
                raise ValueError(
                    f"column {name!r} has the unit {new.unit} in the table and {old.unit or 'none'} in the index: "
                    "convert it"
                ) from None
            new = new * factor
            new.unit = old.unit
        converted[name] = new
    return vstack([before, converted]) if before.colnames else before


def _texts(column):
    """Convert Python's own objects to a column of texts, masked where there is none; None if they are no texts."""
    values, mask = values_and_mask(column)
    is_text = np.array([isinstance(one, str) for one in values.ravel()], dtype=bool).reshape(values.shape)
    nothing = np.array([one is None or one != one for one in np.where(is_text, "", values).ravel()], dtype=bool)
    unknown = mask | nothing.reshape(values.shape)
    if not (is_text & ~unknown).any() or not (is_text | unknown).all():
        return None
    texts = np.where(is_text, values, "").astype(str)
    return MaskedColumn(texts, mask=unknown) if unknown.any() else Column(texts)


def sorted_pair_distances(vectors, rng):
    """
    Distances (P,) float32 of random pairs of different galaxies with vectors, in increasing order.

    By them, a distance becomes a similarity: the fraction of pairs that are farther apart.
    """
    if len(vectors) < 2:
        return np.zeros(0, dtype=np.float32)
    count = min(_PAIRS, len(vectors) * (len(vectors) - 1))
    first = np.sort(rng.integers(len(vectors), size=count))
    second = (first + rng.integers(1, len(vectors), size=count)) % len(vectors)
    order = np.argsort(second, kind="stable")  # of a file, rows are read in its order
    there = np.empty((count, vectors.shape[1]), dtype=np.float16)
    there[order] = vectors[second[order]]
    squared = np.zeros(count, dtype=np.float32)
    for start in range(0, count, 4096):
        part = slice(start, start + 4096)
        squared[part] = np.square(vectors[first[part]].astype(np.float32) - there[part]).sum(axis=1)
    return np.sort(np.sqrt(squared[np.isfinite(squared)]))
