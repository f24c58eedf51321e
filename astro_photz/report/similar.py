# Licensed under a 3-clause BSD style license - see LICENSE
"""
A page of similar galaxies, whole in one HTML file: a click on a galaxy searches from it.
"""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from astropy.table import Table

from astro_photz import flags as flag_names
from astro_photz.cutouts import Cutouts
from astro_photz.plots.neighbours import flags_in, redshift_column
from astro_photz.similarity.stamps import at_hand, shows_simulated, stamps_of, stamps_of_queries
from astro_photz.utils._arrays import numbers
from astro_photz.utils._checks import check_count, check_not_there
from astro_photz.utils._column_names import GALAXY_NAMES, bare
from astro_photz.utils._files import aside, expanded
from astro_photz.utils._types import PathLike
from astro_photz.validation.quantities import quantities_in

from ._template import rendered, require_plots
from ._text import counted
from .linked import link
from .pictures import png_uri
from .rows import EXPLORE

if TYPE_CHECKING:
    from astro_photz.cutouts import CutoutSource
    from astro_photz.similarity import SimilarityIndex

__all__ = ["write_similar"]

_FURTHER = 120
_BACKGROUND = 2500  # galaxies of the index that the map shows besides those of the page
_WIDTH, _HEIGHT, _EDGE = 600, 400, 14  # of the map
_COLUMNS = 24  # that the map can be coloured by


def write_similar(
    index: SimilarityIndex,
    answer: Table,
    path: PathLike,
    *,
    source: CutoutSource | Cutouts | PathLike | None = None,
    queries: Cutouts | None = None,
    where: Any = None,
    further: int | None = None,
    method: str = "pca",
    overwrite: bool = False,
    command: str | None = None,
) -> Path:
    """
    Write a page about galaxies that a search has found: a click on one shows the galaxies that are most similar to it.

    Parameters
    ----------
    index : `~astro_photz.SimilarityIndex`
    answer : `~astropy.table.Table` (L,)
        Of its ``query``, ``outliers`` or ``suggest``.
    path : str or path-like
        The page, ``.html``: one file that needs no other and no network.
    source : `~astro_photz.Cutouts`, `~astro_photz.cutouts.CutoutSource`, str or path-like, optional
        Images, which are found by id or position, or where to fetch them from, as in `~astro_photz.fetch`; without one,
        the page has none.
    queries : `~astro_photz.Cutouts` (M,), optional
        The cutouts that were searched for, if they are not in the source.
    where : optional
        The galaxies that may be on the page, as in `~astro_photz.SimilarityIndex.query`.
    further : int, optional
        Galaxies besides those of the answer, at most: neighbours of its galaxies, so that there are some to see from
        each. By default 120 if their images are at hand, and none if they would be fetched.
    method : str, optional
        Of the map, see `SimilarityIndex.project <astro_photz.similarity.Exploration.project>`.
    overwrite : bool, optional
        Replace a file that is there.
    command : str, optional
        The command that makes the page, to be told on it.

    Returns
    -------
    `~pathlib.Path`
        Of the page.

    Raises
    ------
    ImportError
        If matplotlib is not installed.
    FileExistsError
        If there is such a file and ``overwrite`` is not set.
    KeyError
        If the answer is one of another index.
    ValueError
        If the answer is empty, or no position is known to fetch images at.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> import astro_photz
    >>> from astro_photz.report import write_similar
    >>> from astro_photz.similarity import SimilarityIndex
    >>> cutouts = astro_photz.Cutouts.read(astro_photz.demo_path())
    >>> index = SimilarityIndex.build(cutouts)
    >>> page = write_similar(index, index.query(7), pathlib.Path(tempfile.mkdtemp()) / "similar.html", source=cutouts)
    >>> page.name
    'similar.html'
    """
    require_plots()
    path = expanded(path)
    check_not_there(path, overwrite=overwrite)
    if "id" not in getattr(answer, "colnames", ()) or "rank" not in answer.colnames:
        raise TypeError("answer must be a table of SimilarityIndex.query, outliers or suggest")
    if not len(answer):
        raise ValueError("there is no galaxy for a page: the answer is empty")
    if further is None:
        further = _FURTHER if source is None or at_hand(source) else 0
    linked = link(index, answer, further=check_count("further", further, least=0), where=where)
    simulated = shows_simulated(source)
    galaxies = _galaxies(index, linked, images=_images(linked, source, queries), simulated=simulated)
    content = _headline(index, answer, linked) | {
        "galaxies": galaxies,
        "map": _map(index, linked, method),
        "data": _data(index, answer, linked, galaxies),
        "with_images": source is not None or queries is not None,
        "simulated": simulated,
        "command": command,
    }
    page = rendered("similar.html.j2", content, scripts=("sort.js", "similar.js"), styles=("style.css", "similar.css"))
    with aside(path, overwrite=overwrite) as part:
        part.write_text(page, encoding="utf-8")
    return path


def _headline(index, answer, linked):
    """Tell what the page is about."""
    if "query" in answer.colnames:
        n = len(linked.begin)
        of_whom = linked.names[linked.begin[0]] if n == 1 else counted(n, "galaxy", "galaxies")
        title = f"Galaxies similar to {of_whom}"
    else:
        title = "Galaxies to look at next" if "probability" in answer.colnames else "The oddest galaxies"
    where = "in memory" if index.path is None else index.path.name
    return {
        "title": title,
        "index": f"{where}, {counted(len(index), 'galaxy', 'galaxies')}",
        "model": index.model.get("name", "not recorded"),
        "made": date.today().isoformat(),
        "n": len(linked),
        "whole": len(linked.known) == len(index),
    }


def _images(linked, source, queries):
    """Addresses that hold the images, by galaxy; those without one are left out."""
    images = {}
    if source is not None:
        for place, flux in enumerate(stamps_of(source, linked.places)):
            if np.isfinite(flux).any():
                images[place] = png_uri(flux)
    if queries is not None:
        for place, flux in zip(linked.begin, stamps_of_queries(queries, linked.labels), strict=True):
            if np.isfinite(flux).any():
                images[place] = png_uri(flux)
    return images


def _galaxies(index, linked, *, images, simulated):
    """Describe each galaxy of the page, as dicts for the template."""
    facts = _facts(index, linked)
    coord = linked.places.coord
    galaxies = []
    for place, name in enumerate(linked.names):
        link_to = ""
        if coord is not None and not simulated and np.isfinite(coord.ra.deg[place]):
            link_to = EXPLORE.format(coord.ra.deg[place], coord.dec.deg[place])
        galaxies.append(
            {
                "name": name,
                "image": images.get(place, ""),
                "link": link_to,
                "z": facts["z"][place],
                "mag": facts["mag"][place],
                "flags": flag_names.names(int(facts["flags"][place])),
                "score": linked.scores.get(place, ""),
            }
        )
    return galaxies


def _facts(index, linked):
    """Redshifts, magnitudes in r and flags (P,) of the galaxies, out of the catalogue."""
    known, rows = linked.known, linked.rows[linked.known]
    catalogue = Table(index.catalogue[rows])
    facts = {"z": np.full(len(linked), np.nan), "mag": np.full(len(linked), np.nan)}
    name = redshift_column(catalogue)
    if name is not None:
        facts["z"][known] = numbers(catalogue[name])
    facts["mag"][known] = quantities_in(catalogue, None)[0].get("r_mag", np.nan)
    facts["flags"] = np.zeros(len(linked), dtype=int)
    facts["flags"][known] = flags_in(catalogue) if catalogue.colnames else 0
    return facts


def _map(index, linked, method):
    """Places of the galaxies on the map, and those of others of the index as the path of a line."""
    places = index.project(method)
    valid = np.isfinite(places).all(axis=1)
    if valid.sum() < 3:
        return None
    rng = np.random.default_rng(0)
    others = np.setdiff1d(np.flatnonzero(valid), linked.rows)
    some = np.sort(rng.choice(others, size=min(len(others), _BACKGROUND), replace=False))
    own = linked.rows[linked.known]
    shown = np.concatenate([places[some], places[own]])
    low, high = np.nanpercentile(shown, [0.5, 99.5], axis=0)  # what lies beyond is drawn at the edge
    low, high = np.minimum(low, np.nanmin(places[own], axis=0)), np.maximum(high, np.nanmax(places[own], axis=0))
    span = np.where(high > low, high - low, 1)

    def on_page(points):
        share = np.clip((points - low) / span, 0, 1)
        share[:, 1] = 1 - share[:, 1]
        return np.round(_EDGE + share * [_WIDTH - 2 * _EDGE, _HEIGHT - 2 * _EDGE], 1)

    points = [None] * len(linked)
    for place, (x, y) in zip(linked.known.tolist(), on_page(places[own]).tolist(), strict=True):
        points[place] = (x, y) if np.isfinite(x + y) else None
    dots = "".join(f"M{x:g} {y:g}h0" for x, y in on_page(places[some]))
    return {"points": points, "dots": dots, "width": _WIDTH, "height": _HEIGHT, "method": method, "n": len(some)}


def _data(index, answer, linked, galaxies):
    """Collect what the script needs."""
    shown = int(np.max(answer["rank"])) if "query" in answer.colnames else 10
    near = [[[place, float(f"{distance:.4g}")] for place, distance in ones] for ones in linked.near]
    known, rows = linked.known, linked.rows[linked.known]
    columns, catalogue = {}, index.catalogue
    preferred = _preferred(catalogue)
    for name in preferred + [name for name in catalogue.colnames if name not in preferred]:
        if not _is_number(catalogue, name):
            continue
        values = np.full(len(linked), np.nan)
        values[known] = numbers(catalogue[name][rows])
        if np.isfinite(values).any() and len(columns) < _COLUMNS:
            columns[name] = [_plain(value) for value in values]
    return {
        "begin": linked.begin,
        "listed": "query" not in answer.colnames,
        "shown": max(shown, 4),
        "near": near,
        "z": [_plain(one["z"]) for one in galaxies],
        "mag": [_plain(one["mag"]) for one in galaxies],
        "flagged": [bool(one["flags"]) for one in galaxies],
        "columns": columns,
        "colour": next(iter(columns), None),
    }


def _preferred(catalogue):
    """Columns that say most: redshifts and magnitudes; a catalogue begins with positions, which say least."""
    names = [redshift_column(catalogue), quantities_in(catalogue, None)[1].get("r_mag")]
    return [name for name in names if name is not None] + [
        name for name in catalogue.colnames if name not in (*names, "ra", "dec")
    ]


def _is_number(catalogue, name):
    """Tell whether a column is one that colours say something of."""
    column = catalogue[name]
    kind = getattr(getattr(column, "dtype", None), "kind", "O")
    return column.ndim == 1 and kind in "iuf" and bare(name) not in GALAXY_NAMES and not name.endswith("flags")


def _plain(value):
    """A number that JSON has, or None."""
    return float(f"{value:.6g}") if np.isfinite(value) else None
