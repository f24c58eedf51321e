# Licensed under a 3-clause BSD style license - see LICENSE
"""
Pictures of a training: losses and scatters over its steps.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from ._figure import empty_figure

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["LOSSES", "SCATTERS", "plot_learning_curve"]

LOSSES = ("train_loss", "contrastive_loss", "photometry_loss", "val_loss")
"""Losses that are drawn, in the order of their colours."""

SCATTERS = ("probe_sigma_mad", "val_sigma_mad")
"""Scatters of redshifts that are drawn."""


def plot_learning_curve(curves: dict[str, Sequence[tuple[float, float]]]) -> Figure:
    """
    Draw losses and scatters over the steps of a training.

    Parameters
    ----------
    curves : dict of list of (int, float)
        Steps and values, by the name of the quantity; those of ``LOSSES`` and ``SCATTERS`` are drawn.

    Returns
    -------
    `~matplotlib.figure.Figure`

    Raises
    ------
    ImportError
        If matplotlib is not installed.

    Examples
    --------
    .. plot::
        :alt: Losses and scatter of a training, over its steps.

        >>> from astro_photz.plots import plot_learning_curve
        >>> steps = range(0, 500, 50)
        >>> curves = {
        ...     "train_loss": [(step, 3 + 2 / (1 + step / 100)) for step in steps],
        ...     "val_loss": [(step, 3.2 + 2 / (1 + step / 100)) for step in steps],
        ...     "val_sigma_mad": [(step, 0.02 + 0.02 / (1 + step / 100)) for step in steps],
        ... }  # made-up numbers
        >>> figure = plot_learning_curve(curves)
        >>> len(figure.axes)
        2
    """
    figure = empty_figure(7, 6)
    above, below = figure.subplots(2, sharex=True)
    for axes, names in ((above, LOSSES), (below, SCATTERS)):
        for name in names:
            curve = curves.get(name)
            if curve:
                axes.plot(*zip(*curve, strict=True), label=name, marker="." if len(curve) < 100 else "")
        if axes.lines:
            axes.legend()
    above.set_ylabel("loss")
    below.set_ylabel(r"$\sigma_\mathrm{MAD}$")
    below.set_xlabel("step")
    return figure
