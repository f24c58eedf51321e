# Licensed under a 3-clause BSD style license - see LICENSE
"""
Maps of the galaxies of an index: those that look alike lie near each other.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike

from astro_photz.utils._arrays import numbers
from astro_photz.utils._suggestions import advice

from ._figure import axes_or_new, ink

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from astro_photz.similarity import SimilarityIndex

__all__ = ["plot_map"]

_MANY = 3000  # points that become pixels in a file of vectors
_SIZES = ((500, 20), (3000, 9), (20_000, 4), (np.inf, 1.5))
_LIMITS = (1, 99)  # percentiles of the colours
_KINDS = 10


def plot_map(
    index: SimilarityIndex,
    colour: str | ArrayLike | None = None,
    *,
    method: str = "pca",
    places: ArrayLike | None = None,
    mark: ArrayLike | None = None,
    cmap: str = "viridis",
    ax: Axes | None = None,
) -> Axes:
    """
    Draw the galaxies of an index in a plane, where those that look alike lie near each other.

    Parameters
    ----------
    index : `~astro_photz.SimilarityIndex`
        Of N galaxies.
    colour : str or array_like (N,), optional
        A column of its catalogue, or values: numbers, or up to ten kinds in words.
    method : str, optional
        ``"pca"`` or ``"umap"``, see `SimilarityIndex.project <astro_photz.similarity.Exploration.project>`.
    places : array_like (N, 2), optional
        What that method gave earlier, or places by any other one.
    mark : array_like of int or str, optional
        Ids of galaxies to mark by a ring.
    cmap : str, optional
        Name of a colour map of matplotlib, for numbers.
    ax : `~matplotlib.axes.Axes`, optional
        By default those of a new figure of pyplot.

    Returns
    -------
    `~matplotlib.axes.Axes`

    Raises
    ------
    ImportError
        If matplotlib is not installed, or umap-learn for UMAP.
    KeyError
        If there is no such column, or galaxy to mark.
    ValueError
        If no galaxy has a vector, or lengths differ.

    Examples
    --------
    .. plot::
        :alt: Galaxies of an index in the plane of their first two principal components, coloured by redshift.

        >>> import astro_photz
        >>> from matplotlib.figure import Figure
        >>> from astro_photz.plots import plot_map
        >>> from astro_photz.similarity import SimilarityIndex
        >>> index = SimilarityIndex.build(astro_photz.Cutouts.read(astro_photz.demo_path()))
        >>> redshift = astro_photz.CutoutFile(astro_photz.demo_path()).catalog()["redshift"]
        >>> figure = Figure(figsize=(4.5, 3.5), layout="constrained")
        >>> plot_map(index, redshift, ax=figure.add_subplot()).get_xlabel()
        'first principal component'
    """
    places, names = _places(index, method, places)
    known = np.isfinite(places).all(axis=1)
    if not known.any():
        raise ValueError(f"there is no galaxy to draw: none of {len(index)} has a vector")
    values, label = _values(index, colour)
    marked = None if mark is None else index.rows_of(np.atleast_1d(np.asarray(mark)))
    ax = axes_or_new(ax, 5.4, 4.4)
    size = next(size for most, size in _SIZES if known.sum() <= most)
    style: dict[str, Any] = {"s": size, "linewidths": 0, "rasterized": bool(known.sum() > _MANY)}
    if values is None:
        ax.scatter(*places[known].T, color="C0", alpha=0.7, **style)
    elif values.dtype.kind == "f":
        _draw_numbers(ax, places, known, values, label, style | {"cmap": cmap})
    else:
        _draw_kinds(ax, places, known, values, label, style)
    if marked is not None:
        ring: dict[str, Any] = {"s": size + 50, "facecolors": "none", "edgecolors": ink(), "linewidths": 1.2}
        ax.scatter(places[marked, 0], places[marked, 1], **ring)
    ax.set(xlabel=names[0], ylabel=names[1])
    if not names[0]:
        ax.set(xticks=[], yticks=[])
    return ax


def _places(index, method, given):
    """Places of the galaxies (N, 2), and names of the axes, which mean something for principal components only."""
    if given is None:
        plain = method == "pca"
        return index.project(method), (
            ("first principal component", "second principal component") if plain else ("", "")
        )
    places = np.asarray(given, dtype=float)
    if places.shape != (len(index), 2):
        raise ValueError(f"places must have the shape ({len(index)}, 2), got {places.shape}")
    return places, ("", "")


def _values(index, colour):
    """Numbers, as floats, or kinds (N,), as texts; and their label."""
    if colour is None:
        return None, ""
    unit, label = None, ""
    if isinstance(colour, str):
        if colour not in index.catalogue.colnames:
            raise KeyError(
                f"colour={colour!r}: the index has no such column; {advice(colour, index.catalogue.colnames)}"
            )
        label, colour = colour, index.catalogue[colour]
        unit = getattr(colour, "unit", None)
    kind = getattr(getattr(colour, "dtype", np.asarray(colour).dtype), "kind", "O")
    if kind in "USb":
        values = np.ma.filled(np.ma.asarray(colour).astype(str), "")
    else:
        values = numbers(colour)
    if values.shape != (len(index),):
        raise ValueError(f"colour must have the shape ({len(index)},), a value for each galaxy; got {values.shape}")
    return values, label if unit in (None, "") else f"{label} ({unit})"


def _draw_numbers(ax, places, known, values, label, style):
    there = known & np.isfinite(values)
    without = {name: value for name, value in style.items() if name != "cmap"}
    ax.scatter(*places[known & ~there].T, color="0.6", **without)
    if not there.any():
        return
    low, high = np.percentile(values[there], _LIMITS)
    drawn = ax.scatter(*places[there].T, c=values[there], vmin=low, vmax=high if high > low else low + 1, **style)
    beyond = values[there].min() < low, values[there].max() > high
    extend = {(True, True): "both", (True, False): "min", (False, True): "max"}.get(beyond, "neither")
    ax.figure.colorbar(drawn, ax=ax, label=label, extend=extend, pad=0.03)


def _draw_kinds(ax, places, known, values, label, style):
    kinds, number = np.unique(values[known & (values != "")], return_counts=True)
    kinds = kinds[np.argsort(-number, kind="stable")]
    for place, kind in enumerate(kinds[:_KINDS]):
        ax.scatter(*places[known & (values == kind)].T, color=f"C{place}", label=kind, **style)
    others = known & ~np.isin(values, kinds[:_KINDS])
    if others.any():
        ax.scatter(*places[others].T, color="0.6", label="others", **style)
    ax.legend(title=label, fontsize="small", title_fontsize="small", markerscale=max(1, 4 / style["s"] ** 0.5))
