# Licensed under a 3-clause BSD style license - see LICENSE
"""
Figures and axes to draw on, and the colours that suit them, where matplotlib is installed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from astro_photz.utils._optional import optional

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.colors import Colormap
    from matplotlib.figure import Figure
    from matplotlib.patheffects import AbstractPathEffect

__all__ = [
    "FLAGGED",
    "GALAXY",
    "axes_or_new",
    "counts_colours",
    "empty_figure",
    "ink",
    "new_figure",
    "note",
    "outline",
    "panel_at",
]

GALAXY = "C0"
"""Colour of galaxies: the first one of the style in use. Flagged galaxies differ from them in shape as well."""

FLAGGED = "C1"
"""Colour of flagged galaxies."""


def empty_figure(width: float, height: float) -> Figure:
    """
    Make a figure that no window shows.

    Width and height are in inches. Raise an ImportError if matplotlib is not installed.
    """
    module = optional("matplotlib.figure", extra="plot", doing="a picture")
    return module.Figure(figsize=(width, height), layout="constrained")


def new_figure(width: float, height: float) -> Figure:
    """
    Make a figure of pyplot: a notebook shows it, and ``pyplot.show()`` opens its window.

    Width and height are in inches. Raise an ImportError if matplotlib is not installed.
    """
    pyplot = optional("matplotlib.pyplot", extra="plot", doing="a picture")
    return pyplot.figure(figsize=(width, height), layout="constrained")


def axes_or_new(ax: Axes | None, width: float, height: float) -> Axes:
    """Axes to draw on: those that are given, or those of a new figure of some width and height (inches)."""
    return new_figure(width, height).add_subplot() if ax is None else ax


def panel_at(ax: Axes, side: str, *, share: float) -> Axes:
    """
    Make a second panel of a share of the space of some axes, and leave them the rest.

    ``side`` is ``"bottom"``, where the panel shares the horizontal axis, or ``"right"``.
    """
    below = side == "bottom"
    spec = ax.get_subplotspec()
    if spec is None:  # axes at a place of their own
        x, y, width, height = ax.get_position(original=True).bounds
        gap = 0.03 if below else 0.15
        kept = 1 - share - gap
        if below:
            ax.set_position((x, y + (1 - kept) * height, width, kept * height))
            return ax.figure.add_axes((x, y, width, share * height), sharex=ax)
        ax.set_position((x, y, kept * width, height))
        return ax.figure.add_axes((x + (1 - share) * width, y, share * width, height))
    ratios = [1 - share, share]
    grid = spec.subgridspec(2, 1, height_ratios=ratios) if below else spec.subgridspec(1, 2, width_ratios=ratios)
    ax.set_subplotspec(grid[0])
    return ax.figure.add_subplot(grid[1], sharex=ax if below else None)


def ink() -> str:
    """Colour of lines and words that stand out from the background, dark or light, of the style in use."""
    return optional("matplotlib", extra="plot", doing="a picture").rcParams["text.color"]


def counts_colours() -> Colormap:
    """Colour map of counts: the more, the farther from the background; the fewest are still seen on it."""
    matplotlib = optional("matplotlib", extra="plot", doing="a picture")
    colours = optional("matplotlib.colors", extra="plot", doing="a picture")
    light_ink = np.dot(colours.to_rgb(ink()), (0.299, 0.587, 0.114)) > 0.5
    shades = np.linspace(0.3, 1, 256) if light_ink else np.linspace(0.78, 0, 256)
    return colours.ListedColormap(matplotlib.colormaps["viridis"](shades))


def note(ax: Axes, text: str, *, place: str = "upper left", size: float = 9) -> None:
    """Write lines into a corner of axes, named as those of a legend are, on a background that keeps them legible."""
    from matplotlib.offsetbox import AnchoredText

    box = AnchoredText(text, loc=place, frameon=True, pad=0.2, borderpad=0.3, prop={"size": size, "color": ink()})
    facecolor = optional("matplotlib", extra="plot", doing="a picture").rcParams["axes.facecolor"]
    box.patch.set(facecolor=facecolor, edgecolor="none", alpha=0.75)
    box.set_zorder(5)
    ax.add_artist(box)


def outline() -> AbstractPathEffect:
    """Outline of words in the colour of the background, for those that lie on a picture."""
    effects = optional("matplotlib.patheffects", extra="plot", doing="a picture")
    facecolor = optional("matplotlib", extra="plot", doing="a picture").rcParams["axes.facecolor"]
    return effects.withStroke(linewidth=2.5, foreground=facecolor)
