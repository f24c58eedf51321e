# Licensed under a 3-clause BSD style license - see LICENSE
"""
Pictures of answers of a similarity search: the query first, and its neighbours after it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from astro_photz import flags as flag_names
from astro_photz.cutouts import Cutouts
from astro_photz.similarity.stamps import Places, stamps_of, stamps_of_queries
from astro_photz.utils._arrays import numbers
from astro_photz.utils._checks import check_count
from astro_photz.utils._column_names import bare
from astro_photz.utils._suggestions import advice
from astro_photz.utils._types import PathLike

from ._figure import empty_figure, ink
from .images import colour_image, panels_for, shortened

if TYPE_CHECKING:
    from astropy.table import Table
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from astro_photz.cutouts import CutoutSource

__all__ = ["flags_in", "neighbours_figure", "plot_neighbours", "redshift_column"]

_MOST = 120
_REDSHIFTS = (
    "zphot",
    "redshift",
    "zspec",
    "specz",
    "spectroscopicredshift",
    "zbest",
    "photoz",
    "zphotometric",
)  # best first


def plot_neighbours(
    answer: Table,
    source: CutoutSource | Cutouts | PathLike | None = None,
    *,
    queries: Cutouts | None = None,
    redshift: str | None = None,
    columns: int | None = None,
    ax: Axes | Sequence[Axes] | None = None,
) -> np.ndarray:
    """
    Draw galaxies that a search has found, as colour images with their distances, redshifts and flags.

    Each query comes first, with a frame, and its neighbours after it, the nearest first. A list of outliers or of
    suggestions has no query.

    Parameters
    ----------
    answer : `~astropy.table.Table` (L,)
        Of `~astro_photz.SimilarityIndex.query`, ``outliers`` or ``suggest``.
    source : `~astro_photz.Cutouts`, `~astro_photz.cutouts.CutoutSource`, str or path-like, optional
        Images, which are found by id or position; or where to fetch them from, as in `~astro_photz.fetch`: a file of
        cutouts, a folder of frames, or the archive of SDSS, by default.
    queries : `~astro_photz.Cutouts` (M,), optional
        The cutouts that were searched for, if they are not in the source.
    redshift : str, optional
        Column of redshifts; by default ``z_phot``, or one with a usual name, such as ``redshift``.
    columns : int, optional
        Galaxies beside each other; by default a query with all of its neighbours, up to 6.
    ax : `~matplotlib.axes.Axes` or sequence of them, optional
        Axes for each galaxy, or a subplot whose place the galaxies take; by default those of a new figure of pyplot.

    Returns
    -------
    `~numpy.ndarray` of `~matplotlib.axes.Axes`
        Of each galaxy.

    Raises
    ------
    ImportError
        If matplotlib is not installed.
    KeyError
        If there is no such column.
    ValueError
        If the answer is empty or has more than 120 galaxies, or no position is known to fetch images at.

    Examples
    --------
    .. plot::
        :alt: A simulated galaxy, and the three that are most similar to it.

        >>> import astro_photz
        >>> from matplotlib.figure import Figure
        >>> from astro_photz.plots import plot_neighbours
        >>> from astro_photz.similarity import SimilarityIndex
        >>> cutouts = astro_photz.Cutouts.read(astro_photz.demo_path())
        >>> answer = SimilarityIndex.build(cutouts).query(cutouts[:1], k=3)
        >>> figure = Figure(figsize=(8, 2.6), layout="constrained")
        >>> len(plot_neighbours(answer, cutouts, ax=figure.add_subplot()))
        4
    """
    given: Any = ax
    layout = _layout(answer, 1 if np.ndim(given) else columns)  # axes that are given leave no gaps
    panels = panels_for(ax, layout.slots, layout.columns)
    return _draw_all(panels, layout, _words(answer, redshift), _images(answer, layout.groups, source, queries))


def neighbours_figure(
    answer: Table,
    source: CutoutSource | Cutouts | PathLike | None = None,
    *,
    queries: Cutouts | None = None,
) -> Figure:
    """
    Draw galaxies that a search has found, as a figure of its own that no window shows.

    Parameters are those of `plot_neighbours`, and so are the errors.

    Returns
    -------
    `~matplotlib.figure.Figure`
    """
    layout = _layout(answer, None)
    figure = empty_figure(1.5 * layout.columns, 1.95 * layout.slots / layout.columns)
    plot_neighbours(answer, source, queries=queries, ax=figure.add_subplot())
    return figure


def redshift_column(table: Table) -> str | None:
    """
    Find a column of redshifts by its name.

    Parameters
    ----------
    table : `~astropy.table.Table`

    Returns
    -------
    str or None

    Examples
    --------
    >>> from astropy.table import Table
    >>> from astro_photz.plots.neighbours import redshift_column
    >>> redshift_column(Table({"ra": [150.1], "redshift": [0.1]}))
    'redshift'
    """
    names = {bare(name): name for name in reversed(table.colnames)}
    return next((names[usual] for usual in _REDSHIFTS if usual in names), None)


def flags_in(table: Table) -> np.ndarray:
    """
    Read the flags of galaxies, whatever column they are in.

    Parameters
    ----------
    table : `~astropy.table.Table` (N,)

    Returns
    -------
    `~numpy.ndarray` (N,) of int
        Bits of `~astro_photz.PhotozFlag` in columns ``flags`` and those that end in ``_flags``; 0 without any.
    """
    flags = np.zeros(len(table), dtype=int)
    for column in table.colnames:
        if column == "flags" or column.endswith("_flags"):
            try:
                flags |= flag_names.parse(table[column])
            except ValueError:  # flags of another kind, such as those of a survey
                continue
    return flags


@dataclass(frozen=True)
class _Tile:
    """Words about a galaxy: above its image, and inside it, its name and its flags."""

    title: str
    name: str = ""
    flags: list = field(default_factory=list)
    framed: bool = False


@dataclass(frozen=True)
class _Layout:
    """Rows of an answer by query, and the panels that they need, so many beside each other."""

    groups: list
    with_query: bool
    columns: int

    @property
    def slots(self):
        lengths = [len(rows) + self.with_query for _, rows in self.groups]
        return sum(-(-length // self.columns) * self.columns for length in lengths)


def _layout(answer, columns):
    if "id" not in getattr(answer, "colnames", ()) or "rank" not in answer.colnames:
        raise TypeError("answer must be a table of SimilarityIndex.query, outliers or suggest")
    if not len(answer):
        raise ValueError("there is no galaxy to draw: the answer is empty")
    groups, with_query = list(_groups(answer)), "query" in answer.colnames
    shown = len(answer) + len(groups) * with_query
    if shown > _MOST:
        raise ValueError(f"{shown} galaxies are too many for one picture: ask for at most {_MOST}, queries included")
    widest = max(len(rows) for _, rows in groups) + with_query
    return _Layout(groups, with_query, check_count("columns", min(widest, 6) if columns is None else columns))


def _draw_all(panels, layout, words, images):
    """Draw each galaxy in a panel, each query in a line of its own; return the axes of galaxies."""
    axes, places, images = [], iter(panels), iter(images)
    for label, rows in layout.groups:
        tiles = [_Tile(f"query {label}", framed=True)] if layout.with_query else []
        tiles += [words[row] for row in rows]
        for tile in tiles:
            axes.append(next(places))
            _draw(axes[-1], tile, next(images))
        for _ in range(-len(tiles) % layout.columns):
            next(places).set_axis_off()
    return np.array(axes)


def _groups(answer):
    """Yield each query and the rows of its neighbours; all rows without a query."""
    if "query" not in answer.colnames:
        yield None, np.arange(len(answer))
        return
    labels = np.asarray(answer["query"])
    for label in dict.fromkeys(labels.tolist()):
        yield label, np.flatnonzero(labels == label)


def _images(answer, groups, source, queries):
    """Yield the image of each panel, NaN where there is none."""
    neighbours = Places.of(answer)
    if "query" not in answer.colnames:
        return stamps_of(source, neighbours)
    told = answer.meta.get("queries", {"query": [label for label, _ in groups]})
    place = {label: row for row, label in enumerate(told["query"])}
    if queries is None:
        stamps = stamps_of(source, neighbours.joined(Places.of(told, "query")))
        asked = stamps[len(answer) :]
    else:
        stamps, asked = stamps_of(source, neighbours), stamps_of_queries(queries, told["query"])
    result = []
    for label, rows in groups:
        result += [asked[place[label]], *stamps[rows]]
    return result


def _words(answer, redshift):
    """Words about each row of an answer."""
    name = redshift_column(answer) if redshift is None else redshift
    if name is not None and name not in answer.colnames:
        raise KeyError(f"redshift={name!r}: the answer has no such column; {advice(name, answer.colnames)}")
    z = np.full(len(answer), np.nan) if name is None else numbers(answer[name])
    score = "probability" if "probability" in answer.colnames else "distance"
    sign = {"probability": "p", "distance": "d"}[score]
    values = numbers(answer[score]) if score in answer.colnames else np.full(len(answer), np.nan)
    flags = flags_in(answer)
    tiles = []
    for row in range(len(answer)):
        title = f"{sign} = {values[row]:.3g}" + (f"\nz = {z[row]:.3f}" if np.isfinite(z[row]) else "")
        tiles.append(_Tile(title, shortened(str(answer["id"][row])), flag_names.names(int(flags[row]))))
    return tiles


def _draw(ax, tile, flux):
    ax.set_axis_off()
    if np.isfinite(flux).any():
        ax.imshow(colour_image(flux), origin="lower", interpolation="nearest")
    else:
        ax.set(xlim=(0, 1), ylim=(0, 1), aspect="equal")
        ax.text(0.5, 0.5, "no image", ha="center", va="center", fontsize=8, color=ink())
    ax.set_title(tile.title, fontsize=9)
    if tile.framed:
        from matplotlib.patches import Rectangle

        ax.add_patch(Rectangle((0, 0), 1, 1, transform=ax.transAxes, fill=False, lw=3, edgecolor="C1", clip_on=False))
    inside = {"transform": ax.transAxes, "color": "white", "fontsize": 7}
    inside["bbox"] = {"facecolor": "black", "edgecolor": "none", "alpha": 0.55, "pad": 1}
    if tile.name:
        ax.text(0.03, 0.97, tile.name, va="top", **inside)
    if tile.flags:
        ax.text(0.03, 0.03, "\n".join(tile.flags), va="bottom", **inside)
