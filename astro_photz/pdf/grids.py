# Licensed under a 3-clause BSD style license - see LICENSE
"""
Grids of redshift bins, as the meta of a table keeps them.

Bins of one width need three numbers, and not a list: the keywords of `numpy.linspace`.
"""

from collections.abc import Mapping

import numpy as np
from numpy.typing import ArrayLike

__all__ = ["EDGES", "compact_edges", "expand_edges", "same_grid", "shown_grid"]

EDGES = "z_edges"
"""Key under which the meta of a table, or of a column of PDFs, holds the grid."""

_NEGLIGIBLE = 1e-9  # of the range of the grid: rounded edges in a card are the same grid


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
    if edges.ndim == 1 and edges.size > 3 and same_grid(edges, np.linspace(edges[0], edges[-1], edges.size)):
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
    ValueError
        If a dict has other keys, or numbers that make no grid.

    Examples
    --------
    >>> from astro_photz.pdf.grids import expand_edges
    >>> expand_edges({"start": 0.0, "stop": 0.4, "num": 3})
    array([0. , 0.2, 0.4])
    """
    if not isinstance(edges, Mapping):
        return np.asarray(edges, dtype=np.float64)
    if set(edges) != {"start", "stop", "num"} or int(edges["num"]) < 2:
        raise ValueError(f"edges must be an array, or a dict of start, stop and num (at least 2); got {dict(edges)}")
    return np.linspace(float(edges["start"]), float(edges["stop"]), int(edges["num"]))


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
