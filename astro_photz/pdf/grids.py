# Licensed under a 3-clause BSD style license - see LICENSE
"""
Grids of redshift bins, as the meta of a table keeps them.

Bins of one width need three numbers, and not a list: the keywords of `numpy.linspace`.
"""

from collections.abc import Mapping

import numpy as np
from numpy.typing import ArrayLike

from astro_photz.utils._arrays import filled
from astro_photz.utils._suggestions import shortened

__all__ = ["EDGES", "compact_edges", "expand_edges", "same_grid", "shown_grid"]

EDGES = "z_edges"
"""Key under which the meta of a table, or of a column of PDFs, holds the grid."""

_NEGLIGIBLE = 1e-9  # of the range of the grid: rounded edges in a card are the same grid
_KEYWORDS = ("start", "stop", "num")
_MOST = 1_000_000  # edges: a grid in the meta of a table is no more than three numbers, and could ask for any memory
_HIGHEST = 1e6  # no redshift is as far from 0, and squares of edges stay numbers
_NARROWEST = 1e-9


def compact_edges(edges: ArrayLike) -> dict[str, float | int] | list[float]:
    """
    Describe a grid by as few numbers as hold it.

    Parameters
    ----------
    edges : array_like (K + 1,) or dict
        As `expand_edges` takes them.

    Returns
    -------
    dict or list of float
        ``start``, ``stop`` and ``num`` of `numpy.linspace` for bins of one width (to 1e-9 of the range); otherwise all
        edges.

    Examples
    --------
    >>> from astro_photz.pdf.grids import compact_edges
    >>> compact_edges([0.0, 0.1, 0.2, 0.3, 0.4])
    {'start': 0.0, 'stop': 0.4, 'num': 5}
    >>> compact_edges([0.0, 0.1, 0.4])
    [0.0, 0.1, 0.4]
    """
    edges = expand_edges(edges)
    if edges.size > 3 and same_grid(edges, np.linspace(edges[0], edges[-1], edges.size)):
        return {"start": float(edges[0]), "stop": float(edges[-1]), "num": int(edges.size)}
    return edges.tolist()


def expand_edges(edges: ArrayLike | Mapping[str, float]) -> np.ndarray:
    """
    Make the array of edges of a grid.

    Parameters
    ----------
    edges : array_like (K + 1,), or dict
        All edges, or the keywords of `numpy.linspace`.

    Returns
    -------
    `~numpy.ndarray` (K + 1,)

    Raises
    ------
    TypeError
        If they are no real numbers.
    ValueError
        If a dict has other keys, or numbers that make no grid; or if edges are not one list of finite numbers, that
        increase by 1e-9 or more.

    Examples
    --------
    >>> from astro_photz.pdf.grids import expand_edges
    >>> expand_edges({"start": 0.0, "stop": 0.4, "num": 3})
    array([0. , 0.2, 0.4])
    """
    expanded = _of_keywords(edges) if isinstance(edges, Mapping) else filled(edges, name="edges")
    if expanded.ndim != 1 or expanded.size < 2:
        raise ValueError(f"edges must be one list of two or more, got the shape {expanded.shape}")
    if not (np.abs(expanded) <= _HIGHEST).all() or not (np.diff(expanded) >= _NARROWEST).all():
        raise ValueError(
            f"edges must increase from bin to bin, by {_NARROWEST:g} or more, and be redshifts up to {_HIGHEST:g}; got "
            f"{shortened(expanded.tolist())}"
        )
    return expanded


def _of_keywords(edges):
    message = (
        f"edges must be an array, or a dict of start, stop and num (numbers; num from 2 to {_MOST}); got "
        f"{shortened(dict(edges))}"
    )
    if set(edges) != set(_KEYWORDS):
        raise ValueError(message)
    try:
        start, stop, num = (float(filled(edges[name])) for name in _KEYWORDS)
    except TypeError:  # also of a list of numbers
        raise ValueError(message) from None
    if not (2 <= num <= _MOST and num == int(num) and abs(start) <= _HIGHEST and abs(stop) <= _HIGHEST):
        raise ValueError(message)
    return np.linspace(start, stop, int(num))


def same_grid(edges: np.ndarray, others: np.ndarray) -> bool:
    """
    Check whether two grids are one, but for the rounding of their edges.

    Parameters
    ----------
    edges, others : `~numpy.ndarray` (K + 1,)

    Returns
    -------
    bool
    """
    return edges.shape == others.shape and np.allclose(
        edges, others, rtol=0, atol=_NEGLIGIBLE * abs(edges[-1] - edges[0])
    )


def shown_grid(edges: np.ndarray) -> str:
    """
    Describe a grid in a few words.

    Parameters
    ----------
    edges : `~numpy.ndarray` (K + 1,)

    Returns
    -------
    str

    Examples
    --------
    >>> import numpy as np
    >>> from astro_photz.pdf.grids import shown_grid
    >>> shown_grid(np.linspace(0, 0.4, 181))
    '180 bins on 0 to 0.4'
    """
    return f"{edges.size - 1} bins on {edges[0]:g} to {edges[-1]:g}"
