# Licensed under a 3-clause BSD style license - see LICENSE
"""
Queries in any form as vectors: images, positions, identifiers, rows or embeddings.
"""

import re
import warnings
from dataclasses import dataclass

import numpy as np
from astropy import units as u
from astropy.coordinates import SkyCoord
from astropy.utils.exceptions import AstropyUserWarning
from scipy.spatial import cKDTree

from astro_photz.cutouts import Cutouts
from astro_photz.models import ModelError, load_model
from astro_photz.utils._sky import icrs_from_degrees

from ._given import are_places
from ._images import embed_cutouts, embed_positions, galaxies_of
from ._where import coordinates
from .embeddings import Embeddings
from .models import encoder_of

__all__ = ["Queries", "queries_of", "same_galaxies", "usable"]

_SAME_PLACE = 1 * u.arcsec
_MOST_AT_A_PLACE = 8
_ELSEWHERE = 10 * u.arcsec  # from which an equal identifier is that of another survey


@dataclass(frozen=True, eq=False)
class Queries:
    """
    Queries of a search, M of them.

    Parameters
    ----------
    vectors : `~numpy.ndarray` (M, K) float32
        NaN for a query that has none.
    own : `~numpy.ndarray` (M,) of int
        Row of the index that holds the same galaxy, -1 if none does.
    labels : `~numpy.ndarray` (M,)
        Names of the queries in the answer.
    coord : `~astropy.coordinates.SkyCoord` (M,) or None
        Positions, if they are others than those of the galaxies in the index.
    """

    vectors: np.ndarray
    own: np.ndarray
    labels: np.ndarray
    coord: SkyCoord | None = None

    def __getitem__(self, rows):
        coord = None if self.coord is None else self.coord[rows]
        return Queries(self.vectors[rows], self.own[rows], self.labels[rows], coord)


def queries_of(contents, what, rows, *, model, source):
    """Take what a user searches for, as `~astro_photz.SimilarityIndex.query` does."""
    if (what is None) == (rows is None):
        raise TypeError("give either the galaxies to search for, or rows= of the index")
    if rows is not None:
        return of_rows(contents, rows)
    if isinstance(what, Embeddings):
        return of_file(contents, what)
    if isinstance(what, str | int | np.integer) and not isinstance(what, bool):
        return of_ids(contents, what)
    if isinstance(what, list | tuple | np.ndarray) and not getattr(what, "dtype", np.dtype(int)).names:
        array = np.asarray(what) if not _holds_positions(what) else np.zeros(0, dtype=object)
        if array.dtype.kind in "iuUS" and array.ndim == 1:
            return of_ids(contents, array)
        if array.dtype.kind == "f" or (array.dtype.kind in "iu" and array.ndim == 2):
            return of_embeddings(contents, array)
    return of_images(contents, what, model=model, source=source)


def _holds_positions(what):
    return any(hasattr(one, "frame") or isinstance(one, dict) or hasattr(one, "colnames") for one in what[:1])


def same_galaxies(contents, queries):
    """
    Find all rows of the galaxies that are searched for, which do not find themselves.

    Return an array (M, S) of int, -1 where there are not as many: the row of the same identifier, and all within an
    arcsecond. More than a few at one place are no repeated observations: their positions are placeholders.
    """
    own = queries.own[:, None]
    if not contents.has_positions or not len(own):
        return own
    ra, dec = (np.ma.filled(np.ma.asarray(contents.catalogue[name]), np.nan) for name in ("ra", "dec"))
    asked = np.where(own >= 0, np.stack([ra[queries.own], dec[queries.own]], axis=1), np.nan)
    if queries.coord is not None:
        given = np.stack([queries.coord.ra.deg, queries.coord.dec.deg], axis=1)
        asked = np.where(np.isfinite(given), given, asked)
    valid = np.flatnonzero(np.isfinite(asked).all(axis=1))
    margin = 1.1 * _SAME_PLACE.to_value(u.deg)
    lowest, highest = asked[valid, 1].min(initial=90), asked[valid, 1].max(initial=-90)
    rows = np.flatnonzero((dec >= lowest - margin) & (dec <= highest + margin) & np.isfinite(ra))
    if not len(rows):
        return own
    tree = cKDTree(_on_sphere(ra[rows], dec[rows]))
    _, near = tree.query(
        _on_sphere(*asked[valid].T), _MOST_AT_A_PLACE + 1, distance_upper_bound=_SAME_PLACE.to_value(u.rad)
    )
    near = np.append(rows, -1)[near]
    near[near[:, -1] >= 0] = -1
    same = np.full((len(own), 1 + near.shape[1]), -1)
    same[:, :1] = own
    same[valid, 1:] = near
    return same[:, (same >= 0).any(axis=0)] if (same >= 0).any() else own


def _on_sphere(ra, dec):
    """Points (N, 3) on the unit sphere at positions (deg)."""
    ra, dec = np.radians(ra), np.radians(dec)
    return np.stack([np.cos(dec) * np.cos(ra), np.cos(dec) * np.sin(ra), np.sin(dec)], axis=1)


def of_rows(contents, rows):
    """Take galaxies of the index by row. Raise a ValueError if there is no such row."""
    rows = np.atleast_1d(np.asarray(rows))
    if rows.dtype.kind not in "iu" or rows.ndim != 1:
        raise TypeError(f"rows must be whole numbers, got {rows.dtype} of the shape {rows.shape}")
    if len(rows) and (rows.min() < 0 or rows.max() >= len(contents)):
        raise ValueError(f"rows must lie between 0 and {len(contents) - 1}, got {rows.min()} to {rows.max()}")
    return Queries(contents.vectors[rows].astype(np.float32), rows.astype(int), np.asarray(contents.ids)[rows])


def of_ids(contents, ids):
    """Take galaxies of the index by identifier. Raise a KeyError if one is not there."""
    own = np.asarray(contents.ids)
    wanted, possible = _as_those(own, ids)
    rows = np.flatnonzero(np.isin(own, wanted, kind="sort"))
    order = np.argsort(own[rows], kind="stable")
    place = np.searchsorted(own[rows][order], wanted)
    found = possible & (place < len(rows))
    found[found] = own[rows][order][place[found]] == wanted[found]
    if not found.all():
        missing = np.atleast_1d(np.asarray(ids))[~found]
        more = f", nor {len(missing) - 1} more" * (len(missing) > 1)
        like = f" (ids, not rows, are wanted, such as {own[0]!s})" if len(own) else ""
        raise KeyError(f"no galaxy {missing[0]!s} in the index{more}{like}")
    return of_rows(contents, rows[order][place])


def _as_those(own, ids):
    """Convert identifiers to the kind of those of an index, (M,); also return a mask of those that it can hold."""
    ids = np.atleast_1d(np.asarray(ids))
    if own.dtype.kind not in "iu":
        return ids.astype(str) if own.dtype.kind in "US" else ids, np.ones(len(ids), dtype=bool)
    texts = [str(one).strip() for one in ids]
    numbers = [int(one) if re.fullmatch(r"[-+]?[0-9]+", one) else None for one in texts]
    limits = np.iinfo(own.dtype)
    possible = np.array([one is not None and limits.min <= one <= limits.max for one in numbers], dtype=bool)
    kept = [one if fits else 0 for one, fits in zip(numbers, possible, strict=True)]
    return np.array(kept, dtype=own.dtype), possible


def of_embeddings(contents, embedding):
    """Map embeddings (M, D), or one (D,), to queries."""
    embedding = np.atleast_2d(np.asarray(embedding, dtype=np.float32))
    n = len(embedding)
    return Queries(contents.space.map(embedding), np.full(n, -1), np.arange(n))


def of_file(contents, embeddings):
    """Map the embeddings of a file. Raise a ModelError if another model made them."""
    made = embeddings.record.get("encoder_sha256")
    if made and contents.model and made != contents.model["encoder"]:
        raise ModelError(
            f"{embeddings.path} was made by the model {embeddings.record['model']}, and the index by "
            f"{contents.model['name']}: their vectors do not compare"
        )
    empty = np.zeros((0, contents.space.input_dim), dtype=np.float32)
    queries = of_embeddings(contents, np.concatenate([empty, *embeddings.blocks()]))
    coord = None if embeddings.ra is None else icrs_from_degrees(embeddings.ra, embeddings.dec)
    own = _rows_of(contents, embeddings.ids, coord, len(queries.own))
    return Queries(queries.vectors, own, queries.labels if embeddings.ids is None else embeddings.ids, coord)


def of_images(contents, data, *, model, source):
    """
    Embed cutouts, or the galaxies of a table; one with the id or at the place of a galaxy in the index is that galaxy.

    No image is fetched for a galaxy of a table that is in the index.
    """
    galaxies = galaxies_of(data)
    n = len(galaxies)
    own = _rows_of(contents, galaxies.ids, galaxies.coord, n)
    queries = Queries(
        np.full((n, contents.space.dim), np.nan, dtype=np.float32),
        own,
        np.arange(n) if galaxies.ids is None else galaxies.ids,
        galaxies.coord,
    )
    if isinstance(data, Cutouts):
        queries.vectors[:] = contents.space.map(embed_cutouts(data, _checked(contents, model)))
        return queries
    there = np.flatnonzero(own >= 0)
    queries.vectors[there] = contents.vectors[own[there]]
    others = np.flatnonzero(own < 0)
    if len(others):
        positions = galaxies.data if not len(there) else galaxies_of(galaxies.table[others]).data
        embedding = embed_positions(positions, _checked(contents, model), source)
        queries.vectors[others] = contents.space.map(embedding)
    return queries


def usable(queries):
    """
    Leave out queries without a vector, with a warning.

    Raise a ValueError if none has one.
    """
    known = np.isfinite(queries.vectors).all(axis=1)
    if known.all():
        return queries
    names = ", ".join(map(str, queries.labels[~known][:5])) + (", ..." if np.count_nonzero(~known) > 5 else "")
    why = "no image or E(B-V) is known of them, or their vectors are not finite or zero"
    if not known.any():
        raise ValueError(f"no query can be searched for ({names}): {why}")
    warnings.warn(f"queries without an answer ({names}): {why}", AstropyUserWarning, stacklevel=3)
    return queries[known]


def _rows_of(contents, ids, coord, n):
    """Rows (M,) of the same galaxies in the index, by identifier or else by position, -1 where there is none."""
    own = np.full(n, -1)
    if n and coord is not None and contents.has_positions:
        own = _rows_at(contents, coord)
    names = np.asarray(contents.ids)
    if are_places(ids) or are_places(names) or ids.dtype.kind not in "iuU" or not n:
        return own
    wanted, possible = _as_those(names, ids)
    rows = np.flatnonzero(np.isin(names, wanted[possible], kind="sort"))
    rows = rows[np.argsort(names[rows], kind="stable")]
    if not len(rows):
        return own
    place = np.minimum(np.searchsorted(names[rows], wanted), len(rows) - 1)
    equal = np.flatnonzero(possible & (names[rows][place] == wanted))
    if coord is not None and contents.has_positions:
        apart = coord[equal].separation(coordinates(contents)[rows[place[equal]]])
        equal = equal[~(np.ma.filled(apart.to_value(u.arcsec), np.nan) > _ELSEWHERE.value)]
    own[equal] = rows[place[equal]]
    return own


def _rows_at(contents, coord):
    """Rows (M,) of the galaxies of the index within an arcsecond of positions, -1 where there is none."""
    places = coordinates(contents)
    known, valid = np.flatnonzero(np.isfinite(places.ra.deg)), np.flatnonzero(np.isfinite(coord.ra.deg))
    own = np.full(len(coord), -1)
    if len(known) and len(valid):
        nearest, separation, _ = coord[valid].match_to_catalog_sky(places[known])
        near = separation <= _SAME_PLACE
        own[valid[near]] = known[nearest[near]]
    return own


def _checked(contents, model):
    """Load the model whose encoder made the index."""
    if model is None and not contents.model:
        raise ValueError("the index does not tell its model, so images cannot be queries: give embeddings")
    try:
        loaded = load_model(contents.model["name"] if model is None else model)
    except ValueError as error:
        if model is not None or isinstance(error, ModelError):
            raise
        raise ModelError(
            f"the index was made by the model {contents.model['name']}, which is not here: {error}"
        ) from error
    if contents.model and encoder_of(loaded)["encoder"] != contents.model["encoder"]:
        raise ModelError(
            f"the index was made by the encoder of another model than {loaded.name} {loaded.version}, namely of "
            f"{contents.model['name']} with the sha256 {contents.model['encoder'][:12]}: their vectors do not compare"
        )
    return loaded
