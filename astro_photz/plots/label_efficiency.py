# Licensed under a 3-clause BSD style license - see LICENSE
"""
The picture of scatter against the number of labels.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ._figure import empty_figure
from .bins import METRIC_LABELS

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["plot_label_efficiency"]


def plot_label_efficiency(result: dict) -> Figure:
    """
    Draw the scatter of models against the number of labels that they were trained with.

    Parameters
    ----------
    result : dict
        ``curves``, for each way of training a list of dicts with ``n_labels``, ``sigma_mad`` and ``sigma_mad_err``.

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
        :alt: Scatter against the number of labels, of a training from scratch and of a pretrained one.

        >>> from astro_photz.plots import plot_label_efficiency
        >>> curves = {"from scratch": [(300, 0.030), (3000, 0.018)], "pretrained": [(300, 0.021), (3000, 0.016)]}
        >>> result = {
        ...     "curves": {
        ...         name: [{"n_labels": n, "sigma_mad": value, "sigma_mad_err": 0.001} for n, value in points]
        ...         for name, points in curves.items()
        ...     }
        ... }  # made-up numbers
        >>> figure = plot_label_efficiency(result)
        >>> figure.axes[0].get_xlabel()
        'labels'
    """
    figure = empty_figure(5.5, 3.8)
    axis = figure.subplots()
    for name, points in result["curves"].items():
        n, value, error = (np.array([one[key] for one in points]) for key in ("n_labels", "sigma_mad", "sigma_mad_err"))
        (line,) = axis.plot(n, value, "o-", ms=4, label=name)
        axis.fill_between(n, value - error, value + error, color=line.get_color(), alpha=0.25, lw=0)
    axis.set(xscale="log", xlabel="labels", ylabel=METRIC_LABELS["sigma_mad"])
    axis.legend()
    return figure
