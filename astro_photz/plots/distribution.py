# Licensed under a 3-clause BSD style license - see LICENSE
"""
Pictures of a whole table: the distribution of its redshifts, and their errors.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike

from astro_photz.utils._arrays import filled

from ._figure import FLAGGED, GALAXY, axes_or_new, counts_colours

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["plot_distribution", "plot_errors"]

_FEW = 2000  # points that are drawn one by one
_BINS = 8, 60


def plot_distribution(
    z: ArrayLike, *, summed: tuple[ArrayLike, ArrayLike] | None = None, ax: Axes | None = None
) -> Axes:
    """
    Draw the distribution of redshifts.

    Parameters
    ----------
    z : array_like (N,)
        Estimates; those that are masked or NaN are left out.
    summed : (array_like (K,), array_like (K + 1,)), optional
        Sum of the PDFs in bins, and the edges of the bins.
    ax : `~matplotlib.axes.Axes`, optional
        To draw on; by default those of a new figure of pyplot, which a notebook shows.

    Returns
    -------
    `~matplotlib.axes.Axes`

    Raises
    ------
    ImportError
        If matplotlib is not installed.
    ValueError
        If no redshift is finite.
    """
    z = _known(filled(z))
    ax = axes_or_new(ax, 5.5, 3.8)
    low, high = min(0.0, z.min()), z.max()
    n_bins = int(np.clip(2 * len(z) ** 0.4, *_BINS))
    step = _round_up((high - low or 0.1) / n_bins)
    edges = np.arange(np.floor(low / step), np.ceil(high / step + 1e-9) + 1) * step
    counts, _ = np.histogram(z, edges)
    ax.stairs(counts, edges, fill=True, color=GALAXY, alpha=0.55, label="estimates")
    last = edges[-1]
    if summed is not None:
        p, grid = (np.asarray(values, dtype=float) for values in summed)
        ax.stairs(p / np.diff(grid) * step, grid, color=FLAGGED, lw=1.2, baseline=None, label="sum of the PDFs")
        reached = grid[np.searchsorted(np.cumsum(p), 0.999 * p.sum(), side="left") + 1]
        last = max(last, min(reached, 1.5 * last))
        ax.legend()
    ax.set(xlabel="photometric redshift", ylabel=f"galaxies per {step:g}", xlim=(edges[0], last), ylim=(0, None))
    return ax


def plot_errors(
    x: ArrayLike,
    error: ArrayLike,
    *,
    flagged: ArrayLike | None = None,
    label: str = "$r$ (mag)",
    ax: Axes | None = None,
) -> Axes:
    """
    Draw the errors of redshifts against magnitude, or another quantity.

    Of many galaxies, counts are drawn, and the median and the central 68 % of the errors as lines.

    Parameters
    ----------
    x : array_like (N,)
        Magnitude (mag) or another quantity.
    error : array_like (N,)
        Errors, such as those of the estimates divided by 1 + z.
    flagged : array_like (N,) of bool, optional
        Galaxies that are drawn apart, where they are few.
    label : str, optional
        Of the axis of ``x``.
    ax : `~matplotlib.axes.Axes`, optional
        To draw on; by default those of a new figure of pyplot, which a notebook shows.

    Returns
    -------
    `~matplotlib.axes.Axes`

    Raises
    ------
    ImportError
        If matplotlib is not installed.
    ValueError
        If no galaxy has both, and an error above 0.
    """
    x, error = filled(x), filled(error)
    known = np.isfinite(x) & (error > 0) & np.isfinite(error)
    if not known.any():
        raise ValueError("no galaxy has an error above 0 and a number to draw it against")
    flagged = np.zeros(len(x), dtype=bool) if flagged is None else np.asarray(flagged, dtype=bool)
    x, error, flagged = x[known], error[known], flagged[known]
    ax = axes_or_new(ax, 5.5, 3.8)
    ax.set_yscale("log")
    if len(x) <= _FEW:
        for mask, marker, colour, name in ((~flagged, "o", GALAXY, "no flag"), (flagged, "^", FLAGGED, "flagged")):
            if mask.any():
                ax.plot(x[mask], error[mask], marker=marker, color=colour, label=name, ms=3, ls="", alpha=0.7)
        if flagged.any():
            ax.legend()
    else:
        low, high = np.percentile(x, [0.05, 99.95])
        bottom, top = np.percentile(error, [0.05, 99.95])
        inside = (x >= low) & (x <= high) & (error >= bottom) & (error <= top)
        counts = ax.hexbin(
            x[inside], error[inside], yscale="log", gridsize=45, bins="log", mincnt=1, cmap=counts_colours(), lw=0.1
        )
        ax.figure.colorbar(counts, ax=ax, label="galaxies")
        _draw_quantiles(ax, x[inside], error[inside])
    _write_plain_numbers(ax.yaxis)
    ax.set(xlabel=label, ylabel=r"error of $z$ / (1 + $z$)")
    return ax


def _write_plain_numbers(axis):
    """Write 1, 2 and 5 times each power of ten on a logarithmic axis."""
    from matplotlib.ticker import LogLocator, NullLocator

    axis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axis.set_minor_locator(NullLocator())
    axis.set_major_formatter("{x:g}")


def _draw_quantiles(ax, x, error):
    """Draw median and central 68 % in bins of equally many galaxies."""
    order = np.argsort(x)
    parts = np.array_split(order, 15)
    middle = [np.median(x[part]) for part in parts]
    for level, style in ((16, ":"), (50, "-"), (84, ":")):
        ax.plot(middle, [np.percentile(error[part], level) for part in parts], color=FLAGGED, ls=style, lw=1.4)


def _known(values):
    values = values[np.isfinite(values)]
    if not values.size:
        raise ValueError("no redshift is finite: there is nothing to draw")
    return values


def _round_up(step):
    """Round a width of bins to 1, 2 or 5 times a power of ten, not below it."""
    power = 10.0 ** np.floor(np.log10(step))
    return power * next(factor for factor in (1, 2, 5, 10) if factor * power >= step * (1 - 1e-9))
