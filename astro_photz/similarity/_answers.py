# Licensed under a 3-clause BSD style license - see LICENSE
"""
The answer to queries: a table of neighbours.
"""

import numpy as np
from astropy.table import Column, QTable

from ._exact import nearest, within
from ._search import find

__all__ = ["Found", "answer", "listed", "mutual_only", "search_all", "similarities"]

_OWN = ("query", "rank", "distance", "similarity", "probability", "id")
_TOLD = 1000  # queries whose positions come with the answer, for pictures of it


class Found:
    """
    Neighbours of M queries, L in all.

    Parameters
    ----------
    query, row : `~numpy.ndarray` (L,) of int
        Number of the query, and row of its neighbour, the nearest first.
    distance : `~numpy.ndarray` (L,) float32
    """

    def __init__(self, query, row, distance):
        self.query, self.row, self.distance = query, row, distance

    def __getitem__(self, kept):
        return Found(self.query[kept], self.row[kept], self.distance[kept])

    @property
    def rank(self):
        """Place of each neighbour among those of its query, from 1, `~numpy.ndarray` (L,) of int."""
        first = np.searchsorted(self.query, self.query)
        return np.arange(len(self.query)) - first + 1


def search_all(contents, queries, k, *, rows, own, radius, exact):
    """
    Find neighbours: the k nearest, those within a radius, or the k nearest within it.

    Parameters
    ----------
    queries : `~numpy.ndarray` (M, K) float32
    k : int or None
        None for all within ``radius``.
    rows, own, exact
        As in `~astro_photz.similarity._search.find`.
    radius : float or None

    Returns
    -------
    `Found`
    """
    if k is None:
        parts = list(within(contents.vectors, queries, radius, rows=rows, own=own))
        lengths = [len(distance) for distance, _ in parts]
        none = np.zeros(0)
        distance, row = (
            np.concatenate([none, *values]) for values in (zip(*parts, strict=True) if parts else ([], []))
        )
        return Found(np.repeat(np.arange(len(parts)), lengths), row.astype(int), distance.astype(np.float32))
    distance, row = find(contents, queries, k, rows=rows, own=own, exact=exact)
    kept = row >= 0
    if radius is not None:
        kept &= distance <= radius
    query = np.broadcast_to(np.arange(len(queries))[:, None], row.shape)
    return Found(query[kept], row[kept], distance[kept])


def mutual_only(contents, found, k, *, rows):
    """Keep neighbours for which the query, too, is among the k nearest: none of the others is nearer."""
    several = np.unique(found.row)
    vectors = contents.vectors[several].astype(np.float32)
    distance, _ = nearest(contents.vectors, vectors, k, rows=rows, own=several)
    limit = distance[np.searchsorted(several, found.row), -1]
    return found[found.distance <= limit * (1 + 1e-6)]


def similarities(contents, distance):
    """
    Convert distances (L,) to similarities: the fraction of random pairs of galaxies that are farther apart.

    NaN for an index without pairs.
    """
    pairs = contents.pairs
    if not len(pairs):
        return np.full(len(distance), np.nan, dtype=np.float32)
    return (1 - np.searchsorted(pairs, distance, side="right") / len(pairs)).astype(np.float32)


def answer(contents, queries, found):
    """
    Tabulate neighbours, with what the catalogue tells of them.

    Parameters
    ----------
    contents : `~astro_photz.similarity._contents.Contents`
    queries : `~astro_photz.similarity._queries.Queries`
    found : `Found`

    Returns
    -------
    `~astropy.table.QTable` (L,)
        Its meta has the positions of the queries, where they are known and not very many: ``queries``, a dict of
        lists.
    """
    table = QTable()
    table["query"] = Column(queries.labels[found.query], description="Query")
    table["rank"] = Column(found.rank, description="Place among the neighbours of the query")
    _put_distance(table, contents, found.distance, "Distance between the vectors")
    _put_galaxies(table, contents, found.row)
    if 0 < len(queries.labels) <= _TOLD:
        table.meta["queries"] = _told(contents, queries)
    return table


def listed(contents, rows, **scores):
    """
    Tabulate galaxies in an order of their own, with what the catalogue tells of them.

    Parameters
    ----------
    contents : `~astro_photz.similarity._contents.Contents`
    rows : `~numpy.ndarray` (L,) of int
    **scores : (`~numpy.ndarray` (L,), str)
        Columns by which they are in order, and their descriptions; ``distance`` comes with its similarity.

    Returns
    -------
    `~astropy.table.QTable` (L,)
    """
    table = QTable()
    table["rank"] = Column(np.arange(1, len(rows) + 1), description="Place in the list")
    for name, (values, description) in scores.items():
        if name == "distance":
            _put_distance(table, contents, values, description)
        else:
            table[name] = Column(values, description=description)
    _put_galaxies(table, contents, rows)
    return table


def _put_distance(table, contents, distance, description):
    table["distance"] = Column(distance, description=description)
    similarity = similarities(contents, distance)
    table["similarity"] = Column(similarity, description="Fraction of random pairs of galaxies that are farther apart")


def _put_galaxies(table, contents, rows):
    table["id"] = Column(np.asarray(contents.ids)[rows], description="Galaxy of the index")
    for name in contents.catalogue.colnames:
        if name == "id" and np.array_equal(np.asarray(contents.catalogue[name]), np.asarray(contents.ids)):
            continue
        own = f"{name}_catalogue" if name in _OWN else name
        table[own] = contents.catalogue[name][rows]


def _told(contents, queries):
    """Names, rows in the index (-1 for none) and positions (deg) of queries, as lists of plain numbers."""
    ra = np.full(len(queries.labels), np.nan)
    dec = ra.copy()
    there = np.flatnonzero(queries.own >= 0)
    if contents.has_positions:
        for values, name in ((ra, "ra"), (dec, "dec")):
            values[there] = np.ma.filled(np.ma.asarray(contents.catalogue[name][queries.own[there]]), np.nan)
    if queries.coord is not None:
        given = np.isfinite(queries.coord.ra.deg)
        ra[given], dec[given] = queries.coord.ra.deg[given], queries.coord.dec.deg[given]
    plain = {"query": queries.labels, "row": queries.own, "ra": ra, "dec": dec}
    return {name: values.tolist() for name, values in plain.items()}
