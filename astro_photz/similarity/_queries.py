# Licensed under a 3-clause BSD style license - see LICENSE
"""
Queries in any form as vectors: images, positions, identifiers, rows or embeddings.
"""

import warnings
from dataclasses import dataclass

import numpy as np
from astropy import units as u
from astropy.utils.exceptions import AstropyUserWarning

from astro_photz.cutouts import Cutouts
from astro_photz.models import ModelError, load_model
from astro_photz.utils._sky import icrs_from_degrees

from ._images import embed_cutouts, embed_positions, galaxies_of
from ._where import coordinates
from .models import encoder_of

__all__ = ["Queries", "of_embeddings", "of_file", "of_ids", "of_images", "of_rows", "usable"]

_SAME_PLACE = 1 * u.arcsec


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
    """

    vectors: np.ndarray
    own: np.ndarray
    labels: np.ndarray

    def __getitem__(self, rows):
        return Queries(self.vectors[rows], self.own[rows], self.labels[rows])


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
    wanted = np.atleast_1d(np.asarray(ids))
    own = np.asarray(contents.ids)
    if own.dtype.kind in "iu" and wanted.dtype.kind in "US":
        wanted = np.array([int(one) if str(one).strip().isdigit() else -1 for one in wanted])
    elif own.dtype.kind in "US":
        wanted = wanted.astype(str)
    rows = np.flatnonzero(np.isin(own, wanted))
    order = np.argsort(own[rows], kind="stable")
    place = np.searchsorted(own[rows][order], wanted)
    found = place < len(rows)
    found[found] = own[rows][order][place[found]] == wanted[found]
    if not found.all():
        missing = np.atleast_1d(np.asarray(ids))[~found]
        raise KeyError(
            f"no galaxy {missing[0]!s} in the index" + (f", nor {len(missing) - 1} more" * (len(missing) > 1))
        )
    return of_rows(contents, rows[order][place])


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
    own = queries.own
    if contents.has_positions and embeddings.ra is not None and len(own):
        own = _rows_at(contents, icrs_from_degrees(embeddings.ra, embeddings.dec))
    return Queries(queries.vectors, own, queries.labels if embeddings.ids is None else embeddings.ids)


def of_images(contents, data, *, model, source):
    """
    Embed cutouts, or the galaxies of a table; one at the place of a galaxy in the index is that galaxy.

    No image is fetched for a galaxy of a table that is in the index.
    """
    galaxies = galaxies_of(data)
    n = len(galaxies)
    own = np.full(n, -1)
    if contents.has_positions and galaxies.coord is not None and n:
        own = _rows_at(contents, galaxies.coord)
    queries = Queries(
        np.full((n, contents.space.dim), np.nan, dtype=np.float32),
        own,
        np.arange(n) if galaxies.ids is None else galaxies.ids,
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
