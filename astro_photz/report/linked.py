# Licensed under a 3-clause BSD style license - see LICENSE
"""
The galaxies of a page about a similarity search: those that were found, and further ones, each with its own neighbours.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from astropy.table import Table
from astropy.utils.exceptions import AstropyUserWarning

from astro_photz.similarity.stamps import Places

if TYPE_CHECKING:
    from astro_photz.similarity import SimilarityIndex

__all__ = ["Linked", "link"]

_FEW = 10  # neighbours of a galaxy that come along
_NEAREST = 60  # neighbours of each galaxy that the page can choose among


@dataclass(frozen=True, eq=False)
class Linked:
    """
    Galaxies of a page, P of them: queries that are not in the index come first.

    Parameters
    ----------
    names : list of str (P,)
    rows : `~numpy.ndarray` (P,) of int
        In the index; -1 for a query that is not in it.
    places : `~astro_photz.similarity.stamps.Places` (P,)
        By which images are found.
    begin : list of int
        Galaxies that the page begins with: the queries, or all that are listed.
    labels : list
        Names of the queries in the answer.
    near : list (P,) of lists of (int, float)
        Neighbours of each, and their distances.
    scores : dict of float
        Scores of listed galaxies, by galaxy.
    """

    names: list
    rows: np.ndarray
    places: Places
    begin: list
    labels: list
    near: list
    scores: dict = field(default_factory=dict)

    def __len__(self):
        return len(self.names)

    @property
    def known(self):
        """Galaxies that are in the index, `~numpy.ndarray` of int."""
        return np.flatnonzero(self.rows >= 0)


def link(index: SimilarityIndex, answer: Table, *, further: int, where: Any = None) -> Linked:
    """
    Choose the galaxies of a page, and find the neighbours of each among them.

    Parameters
    ----------
    index : `~astro_photz.SimilarityIndex`
    answer : `~astropy.table.Table`
        Of a query, of outliers or suggestions.
    further : int
        Galaxies beyond those of the answer, at most: neighbours of its galaxies.
    where : optional
        Galaxies to take these from, as in `~astro_photz.SimilarityIndex.query`.

    Returns
    -------
    `Linked`
        Queries have the neighbours of the answer; other galaxies those that the page has.
    """
    told = _queries(answer)
    asked, own = told["query"], np.array(told["row"], dtype=int)
    found = index.rows_of(answer["id"]) if len(answer) else np.zeros(0, dtype=int)
    rows = _distinct(np.concatenate([own[own >= 0], found]))
    rows = np.concatenate([rows, _further(index, rows, answer, further, where)])
    outside = np.flatnonzero(own < 0)
    every = np.concatenate([np.full(len(outside), -1), rows])
    place = {int(row): len(outside) + number for number, row in enumerate(rows)}
    queries = [place[row] if row >= 0 else int(np.searchsorted(outside, number)) for number, row in enumerate(own)]
    near = [[] for _ in outside] + _near(index, rows, len(outside))
    labels = np.asarray(answer["query"]).tolist() if asked else []
    for label, query in zip(asked, queries, strict=True):
        mine = [number for number, one in enumerate(labels) if one == label]
        ones = {place[int(found[number])]: float(answer["distance"][number]) for number in mine}
        near[query] = list(ones.items())
    places = _places(index, rows)
    if len(outside):
        some = {name: np.asarray(values)[outside] for name, values in told.items()}
        places = Places.of(some, "query").joined(places)
    names = [f"query {asked[number]}" for number in outside] + [str(one) for one in index.ids[rows]]
    begin = queries if asked else [place[int(row)] for row in found]
    return Linked(names, every, places, begin, list(asked), near, _scores(answer, begin, listed=not asked))


def _queries(answer):
    """Names, rows in the index and positions of the queries, as lists; empty ones for a list without a query."""
    if "query" not in answer.colnames:
        return {"query": [], "row": []}
    names = list(dict.fromkeys(np.asarray(answer["query"]).tolist()))
    return answer.meta.get("queries", {"query": names, "row": [-1] * len(names)})


def _distinct(rows):
    return np.array(list(dict.fromkeys(rows.tolist())), dtype=int)


def _further(index, rows, answer, further, where):
    """Rows of neighbours of galaxies that are not among them yet, the nearest first."""
    room = min(further, len(index) - len(rows))
    if room <= 0 or not len(rows):
        return np.zeros(0, dtype=int)
    most = int(np.max(answer["rank"], initial=_FEW)) if "query" in answer.colnames else _FEW
    found = _silently(index, rows, min(most, len(index)), where)
    candidates = _distinct(index.rows_of(found["id"][np.argsort(found["rank"], kind="stable")]))
    return candidates[~np.isin(candidates, rows)][:room]


def _near(index, rows, first):
    """Neighbours of galaxies (P,) among each other; the first one has the number ``first``."""
    near = [[] for _ in rows]
    if len(rows) < 2:
        return near
    mask = np.zeros(len(index), dtype=bool)
    mask[rows] = True
    found = _silently(index, rows, min(_NEAREST, len(rows)), mask, exact=True)
    place = {int(row): number for number, row in enumerate(rows)}
    queries, others = index.rows_of(found["query"]), index.rows_of(found["id"])
    for query, other, distance in zip(queries.tolist(), others.tolist(), found["distance"].tolist(), strict=True):
        near[place[query]].append((first + place[other], distance))
    return near


def _silently(index, rows, k, where, **options):
    """Search without a word about galaxies without neighbours enough: a page shows as many as there are."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", AstropyUserWarning)
        return index.query(rows=rows, k=k, where=where, **options)


def _places(index, rows):
    table = Table(index.catalogue[rows])
    known = {name: table[name] for name in ("ra", "dec") if name in table.colnames}
    return Places.of({"id": index.ids[rows]} | known)


def _scores(answer, begin, *, listed):
    name = next((name for name in ("probability", "distance") if name in answer.colnames), None)
    if not listed or name is None:
        return {}
    sign = {"probability": "probability", "distance": "mean distance"}[name]
    return {place: f"{sign} {value:.3g}" for place, value in zip(begin, answer[name].tolist(), strict=True)}
