# Licensed under a 3-clause BSD style license - see LICENSE
"""
Empty figures, where matplotlib is installed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from astro_photz.utils._optional import optional

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["empty_figure"]


def empty_figure(width: float, height: float) -> Figure:
    """
    Make a figure that no window shows.

    Width and height are in inches. Raise an ImportError if matplotlib is not installed.
    """
    module = optional("matplotlib.figure", extra="plot", doing="a picture")
    return module.Figure(figsize=(width, height), layout="constrained")
