# Licensed under a 3-clause BSD style license - see LICENSE
"""
Pictures of an evaluation: calibration, figures of merit in bins, and scatter against the number of labels.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

import numpy as np

from ._figure import empty_figure

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["plot_bins", "plot_calibration", "plot_label_efficiency"]

_BINNED = {
    "r_mag": "dereddened $r$ (mag)",
    "z_phot": "estimated redshift",
    "redshift": "true redshift",
    "ebv": "$E(B-V)$ (mag)",
    "seeing": "seeing (arcsec)",
    "early": "type",
}
_IN_BINS = {"bias": "bias", "sigma_mad": r"$\sigma_\mathrm{MAD}$", "coverage68": "in 68 % interval"}


class Measured(Protocol):
    """The parts of an `~astro_photz.evaluation.Evaluation` that are drawn."""

    @property
    def overall(self) -> dict: ...
    @property
    def bins(self) -> dict: ...
    @property
    def pit(self) -> list: ...
    @property
    def coverage(self) -> dict: ...


def plot_calibration(evaluation: Measured) -> Figure:
    """
    Draw the calibration of the PDFs of a model: the PIT, and the coverage of their central intervals.

    Parameters
    ----------
    evaluation : `~astro_photz.evaluation.Evaluation`

    Returns
    -------
    `~matplotlib.figure.Figure`

    Raises
    ------
    ImportError
        If matplotlib is not installed.
    """
    figure = empty_figure(8, 3.4)
    left, right = figure.subplots(1, 2)
    counts = np.array(evaluation.pit)
    expected, edges = counts.mean(), np.linspace(0, 1, len(counts) + 1)
    left.stairs(counts / expected, edges, fill=True, color="C0", alpha=0.6)
    scatter = 2 / np.sqrt(expected)
    left.axhspan(1 - scatter, 1 + scatter, color="black", alpha=0.15, lw=0, label="2σ of chance")
    left.axhline(1, color="black", lw=1)
    left.set(xlabel="PIT", ylabel="galaxies / even share", xlim=(0, 1), ylim=(0, None))
    left.legend(loc="lower right")
    levels = [float(level) for level in evaluation.coverage]
    shares = list(evaluation.coverage.values())
    right.plot([0, 1], [0, 1], color="black", lw=1)
    right.plot(levels, shares, "o-", color="C0", ms=4)
    right.set(xlabel="probability in the central interval", ylabel="true redshifts in it", xlim=(0, 1), ylim=(0, 1))
    return figure


def plot_bins(evaluation: Measured) -> Figure:
    """
    Draw bias, scatter and coverage of a model in bins of magnitude, redshifts, E(B-V) and other quantities.

    Parameters
    ----------
    evaluation : `~astro_photz.evaluation.Evaluation`

    Returns
    -------
    `~matplotlib.figure.Figure`

    Raises
    ------
    ImportError
        If matplotlib is not installed.
    """
    names = [name for name in _BINNED if evaluation.bins.get(name)]
    figure = empty_figure(2.3 * len(names) + 0.7, 6)
    grid = figure.subplots(len(_IN_BINS), len(names), sharex="col", sharey="row", squeeze=False)
    usual = {"bias": 0.0, "sigma_mad": evaluation.overall["sigma_mad"], "coverage68": 0.68}
    for row, (metric, label) in zip(grid, _IN_BINS.items(), strict=True):
        row[0].set_ylabel(label)
        for axis, name in zip(row, names, strict=True):
            bins = evaluation.bins[name]
            middle = np.array([(one["low"] + one["high"]) / 2 for one in bins])
            width = [(one["high"] - one["low"]) / 2 for one in bins]
            values, errors = [one[metric] for one in bins], [one["errors"][metric] for one in bins]
            axis.errorbar(middle, values, yerr=errors, xerr=width, fmt="o", ms=4, color="C0")
            axis.axhline(usual[metric], color="black", lw=1)
    for axis, name in zip(grid[-1], names, strict=True):
        axis.set_xlabel(_BINNED[name])
        if name == "early":
            axis.set_xticks([0.5, 1.5], ["late", "early"])
    return figure


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
    """
    figure = empty_figure(5.5, 3.8)
    axis = figure.subplots()
    for name, points in result["curves"].items():
        n, value, error = (np.array([one[key] for one in points]) for key in ("n_labels", "sigma_mad", "sigma_mad_err"))
        (line,) = axis.plot(n, value, "o-", ms=4, label=name)
        axis.fill_between(n, value - error, value + error, color=line.get_color(), alpha=0.25, lw=0)
    axis.set(xscale="log", xlabel="labels", ylabel=_IN_BINS["sigma_mad"])
    axis.legend()
    return figure
