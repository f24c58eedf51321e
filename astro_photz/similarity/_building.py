# Licensed under a 3-clause BSD style license - see LICENSE
"""
The material of an index: a stream of embeddings, and what is known of their galaxies.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
from astropy.coordinates import SkyCoord
from astropy.table import Table

from astro_photz.cutouts import Cutouts
from astro_photz.models import ModelError, load_model
from astro_photz.tables.inputs import as_table
from astro_photz.utils._npy import read_npy
from astro_photz.utils._sky import icrs_from_degrees

from ._contents import Contents, as_vectors, catalogue_of, checked_ids
from ._folder import VectorFile
from ._given import GivenCatalogue, are_places
from ._images import embed_cutouts, embed_positions, galaxies_of
from .embeddings import Embeddings
from .models import encoder_of, search_model
from .space import SearchSpace

__all__ = ["Building"]

_BLOCK = 2**14
_COMPARED = 8  # galaxies that tell whether all of them are in an index
_NONE = np.zeros(0, dtype=np.float32)


@dataclass(frozen=True, eq=False)
class Building:
    """
    Embeddings that come block by block, and the catalogue of their galaxies.

    Use `of`.

    Parameters
    ----------
    blocks : iterator of `~numpy.ndarray` (M, D)
    space : `SearchSpace` or None
        None for that of cosine similarity.
    model : dict
        Its name and the hash of its encoder; empty if it is not known.
    ids : `~numpy.ndarray` (N,) or None
    coord : `~astropy.coordinates.SkyCoord` (N,) or None
    table : `~astropy.table.Table` (N,) or None
    """

    blocks: Iterator[np.ndarray]
    space: SearchSpace | None = None
    model: dict = field(default_factory=dict)
    ids: np.ndarray | None = None
    coord: SkyCoord | None = None
    table: Table | None = None

    @classmethod
    def of(cls, data, *, ids=None, table=None, model=None, source=None, space=None, like=None):
        """
        Prepare what a user gives.

        Parameters are those of `~astro_photz.SimilarityIndex.build`; ``like`` are the contents of the index
        that the galaxies are to be added to, whose space and model hold.
        """
        column = ids if isinstance(ids, str) else None
        alone = isinstance(data, Embeddings | Iterator | Cutouts) or _is_array(data)
        if column is not None and table is None and not alone:
            table = data = as_table(data)
        catalogue = GivenCatalogue.of(table, column)
        if isinstance(data, Embeddings):
            made = cls(data.blocks(), model=_recorded(data, model, like), **_of_file(data))
            catalogue = catalogue.in_order_of(data.ids, made.coord)
        elif isinstance(data, Iterator):
            made = cls(map(np.asarray, data), model=_named(model, like))
        elif _is_array(data):
            made = cls(_in_blocks(np.asarray(data)), model=_named(model, like))
        else:
            made = _embedded(data, search_model(like.model.get("name") if model is None and like else model), source)
        if like is not None:
            space = like.space
            if made.model and like.model and made.model["encoder"] != like.model["encoder"]:
                raise ModelError(f"the index was made by the model {like.model['name']}, and not by the one given")
        elif space is None and made.model:
            space = _space_of(made.model, model)
        given = catalogue.ids if column is not None else ids
        ids = next((one for one in (given, made.ids, catalogue.ids) if one is not None), None)
        coord = made.coord if catalogue.coord is None else catalogue.coord
        return cls(made.blocks, space, made.model, ids, coord, _side_by_side(made.table, catalogue.table))

    def in_memory(self):
        """Collect the contents of an index in memory."""
        parts, space = [], self.space
        for block in self.blocks:
            space = space or SearchSpace.cosine(_dim(block))
            parts.append(as_vectors(block, space))
        space = space or SearchSpace.cosine(1)
        return self._contents(np.concatenate([np.zeros((0, space.dim), dtype=np.float16), *parts]), space)

    def in_folder(self, folder, before=()):
        """Collect the contents of an index, with vectors in the folder of a generation, after those of ``before``."""
        space = self.space
        first = next(self.blocks, None)
        if space is None:
            space = SearchSpace.cosine(1 if first is None else _dim(first))
        with VectorFile(folder, space.dim) as file:
            for start in range(0, len(before), _BLOCK):
                file.append(before[start : start + _BLOCK])
            if first is not None:
                file.append(as_vectors(first, space))
            for block in self.blocks:
                file.append(as_vectors(block, space))
        return self._contents(file.mapped()[len(before) :], space)

    def appended(self, before, folder=None):
        """Append the galaxies to the contents of an index: in memory, or in the folder of a generation."""
        if folder is None:
            own = self.in_memory()
            vectors = np.concatenate([before.vectors, own.vectors])
        else:
            own = self.in_folder(folder, before.vectors)
            vectors = read_npy(folder / "vectors.npy", mapped=True)
        return before.joined(self._renumbered(own, before), vectors)

    def _renumbered(self, own, before):
        """Number galaxies without ids on from those of the index."""
        if self.ids is not None or before.ids.dtype.kind not in "iu" or not len(before):
            return own
        if _are_there(own, before):
            raise ValueError("the galaxies are in the index already, at the same positions: give ids= to add them anew")
        return Contents(
            own.vectors, own.ids + int(before.ids.max()) + 1, own.catalogue, own.space, own.pairs, own.model
        )

    def _contents(self, vectors, space):
        n = len(vectors)
        for name, values in (("table", self.table), ("positions", self.coord)):
            if values is not None and len(values) != n:
                raise ValueError(f"{name} must have a row for each of the {n} galaxies, got {len(values)}")
        return Contents(
            vectors=vectors,
            ids=checked_ids(self.ids, n),
            catalogue=catalogue_of(self.table, self.coord),
            space=space,
            pairs=_NONE,
            model=self.model,
        )


def _are_there(own, before):
    """Return True if galaxies without ids are in an index: a few of them have their positions and vectors in it."""
    if not (own.has_positions and before.has_positions):
        return False
    places, theirs = (
        np.stack([np.ma.filled(np.ma.asarray(one.catalogue[name]), np.nan) for name in ("ra", "dec")])
        for one in (own, before)
    )
    known = np.flatnonzero(np.isfinite(places[0]) & np.isfinite(own.vectors[:, 0]))
    for row in known[:: max(1, len(known) // _COMPARED)]:
        there = np.flatnonzero((theirs == places[:, [row]]).all(axis=0))
        if not (before.vectors[there] == own.vectors[row]).all(axis=1).any():
            return False
    return len(known) > 0


def _is_array(data):
    plain = isinstance(data, np.ndarray) and data.dtype.names is None
    return plain or (isinstance(data, list) and len(data) > 0 and np.ndim(data[0]) == 1 and np.isscalar(data[0][0]))


def _in_blocks(array):
    """Yield an array, which may be mapped from a file, in blocks: one at least, which tells the length of a row."""
    for start in range(0, max(1, len(array)), _BLOCK):
        yield array[start : start + _BLOCK]


def _dim(block):
    if block.ndim != 2 or block.dtype.kind not in "fiu":
        raise ValueError(
            f"embeddings must be numbers of the shape (N, D), got {block.dtype} of the shape {block.shape}"
        )
    return block.shape[1]


def _named(model, like):
    """Name and hash of the model that a user names as the maker of embeddings."""
    if model is None:
        return {} if like is None else like.model
    return encoder_of(load_model(model))


def _recorded(data, model, like):
    """Name and hash of the model that a file of embeddings names."""
    if not data.record.get("encoder_sha256"):
        return _named(model, like)
    recorded = {"name": data.record["model"], "encoder": data.record["encoder_sha256"]}
    if model is not None and encoder_of(load_model(model))["encoder"] != recorded["encoder"]:
        raise ModelError(f"{data.path} was made by the model {recorded['name']}, and not by the one given")
    return recorded


def _space_of(made, model):
    """Space of the model that made the embeddings."""
    try:
        loaded = load_model(made["name"] if model is None else model)
    except ModelError:
        raise
    except ValueError as error:
        raise ValueError(
            f"the embeddings were made by a model that is not here ({error}): give model= or space="
        ) from error
    if encoder_of(loaded)["encoder"] != made["encoder"]:
        raise ModelError(
            f"the embeddings were made by another version of the model {made['name']} than the one here: give the "
            "folder of that model, model=, or embed the galaxies again"
        )
    return SearchSpace.of_model(loaded)


def _of_file(data):
    coord = None if data.ra is None or np.isnan(data.ra).all() else icrs_from_degrees(data.ra, data.dec)
    ids = None if are_places(data.ids) else data.ids
    return {"ids": ids, "coord": coord, "table": None if data.flags is None else Table({"flags": data.flags})}


def _embedded(data, model, source):
    """Galaxies that are embedded now."""
    galaxies = galaxies_of(data)
    if isinstance(galaxies.data, Cutouts):
        embedding = embed_cutouts(galaxies.data, model)
    else:
        embedding = embed_positions(galaxies.data, model, source)
    return Building(iter([embedding]), None, encoder_of(model), galaxies.ids, galaxies.coord, galaxies.table)


def _side_by_side(one, other):
    """Columns of two tables; of a name in both, those of the second."""
    if one is None or other is None:
        return one if other is None else other
    if len(one) != len(other):
        raise ValueError(f"table must have a row for each of the {len(one)} galaxies, got {len(other)}")
    joined = other.copy(copy_data=False)
    for name in one.colnames:
        if name not in joined.colnames:
            joined[name] = one[name]
    return joined
