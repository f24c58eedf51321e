# Licensed under a 3-clause BSD style license - see LICENSE
"""
Pictures of figures of merit in bins of another quantity.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike

from astro_photz import metrics

from ._figure import GALAXY, axes_or_new, empty_figure, ink
from ._samples import Judged, quantity_of, read_sample

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["METRIC_LABELS", "plot_all_bins", "plot_bins"]

METRIC_LABELS = {
    "bias": "bias",
    "sigma_mad": r"$\sigma_\mathrm{MAD}$",
    "sigma68": r"$\sigma_{68}$",
    "eta": r"share of outliers $\eta$",
    "crps": "CRPS",
    "log_score": "log score",
    "coverage68": "in 68 % interval",
    "coverage95": "in 95 % interval",
    "pit_ks": "KS distance of the PIT",
    "pit_ad": r"$A^2$ of the PIT",
    "cde_loss": "CDE loss",
}
"""Labels of metrics, by the name of the metric."""

_BINNED = {
    "r_mag": "dereddened $r$ (mag)",
    "z_phot": "estimated redshift",
    "redshift": "true redshift",
    "ebv": "$E(B-V)$ (mag)",
    "seeing": "seeing (arcsec)",
    "early": "type",
}
_IN_GRID = ("bias", "sigma_mad", "coverage68")
_IDEAL = {"bias": 0.0, "coverage68": 0.68, "coverage95": 0.95}
_N_BINS = 8
_FEWEST = 10
_WORDS_APART = 0.09  # of the width of the axes
_RESAMPLES = 200
_LARGEST_SAMPLE = 4000
_OF_DEVIATION = {"bias": metrics.bias, "sigma_mad": metrics.sigma_mad, "eta": metrics.eta}


def plot_bins(
    data: Any,
    quantity: str = "r_mag",
    metric: str = "sigma_mad",
    *,
    redshift: str | ArrayLike | None = None,
    prefix: str = "z_phot",
    edges: Sequence[float] | None = None,
    ax: Axes | None = None,
) -> Axes:
    """
    Draw a metric in bins of another quantity, with its bootstrap errors.

    The line is the ideal, if there is one, else the metric of all galaxies; the numbers above are those of galaxies.

    Parameters
    ----------
    data : the result of a validation or evaluation, or table-like
        A validation and an evaluation have their bins. A table is binned here.
    quantity : str, optional
        The quantity: ``"r_mag"``, ``"z_phot"``, ``"ebv"``, ``"seeing"`` or ``"by_flag"`` (of an evaluation,
        ``"redshift"`` and ``"early"`` too), where they are known; or the column of a table.
    metric : str, optional
        Of `astro_photz.metrics.METRICS`; of a table ``"bias"``, ``"sigma_mad"``, ``"eta"`` or ``"coverage68"``.
    redshift : str or array_like (N,), optional
        True redshifts of a table, or the name of their column; by default a column with a usual name, such as
        ``z_spec``.
    prefix : str, optional
        Of the columns of a table.
    edges : sequence of float, optional
        Edges of the bins of a table; by default of up to 8 bins of as many galaxies each.
    ax : `~matplotlib.axes.Axes`, optional
        By default those of a new figure of pyplot.

    Returns
    -------
    `~matplotlib.axes.Axes`

    Raises
    ------
    ImportError
        If matplotlib is not installed.
    KeyError
        If the quantity, the metric or a column is not there.
    ValueError
        If there is no bin with enough galaxies.

    Examples
    --------
    .. plot::
        :alt: Scatter of the redshifts in four bins of magnitude, with errors.

        >>> import numpy as np
        >>> from astropy.table import Table
        >>> from matplotlib.figure import Figure
        >>> from astro_photz.plots import plot_bins
        >>> rng = np.random.default_rng(1)
        >>> z = rng.uniform(0.05, 0.25, 400)
        >>> r = 15 + 10 * z
        >>> table = Table({"z_spec": z, "z_phot": z + rng.normal(0, 0.08 * z), "r": r})
        >>> figure = Figure(figsize=(4.5, 3), layout="constrained")
        >>> plot_bins(table, "r", edges=[15.5, 16, 16.5, 17, 17.5], ax=figure.add_subplot()).get_xlabel()
        'r'
    """
    if hasattr(data, "bins") and hasattr(data, "overall"):
        bins, overall, label = _stored(data, quantity), data.overall, _BINNED.get(quantity, quantity)
    else:
        bins, overall, label = _binned(data, quantity, metric, edges, read_sample(data, redshift, prefix=prefix))
    if not any(metric in one for one in bins):
        known = [name for name in bins[0] if name in METRIC_LABELS]
        raise KeyError(f"metric={metric!r} is not known in bins of {quantity!r}: known are {', '.join(known)}")
    bins = [one for one in bins if metric in one]
    ax = axes_or_new(ax, 5, 3.4)
    places = _draw(ax, bins, metric, _IDEAL.get(metric, overall.get(metric)))
    ax.set_ylabel(METRIC_LABELS.get(metric, metric))
    _name_places(ax, quantity, label, [one.get("flag") for one in bins])
    _write_counts(ax, places, bins)
    return ax


def plot_all_bins(evaluation: Judged, *, metrics: Sequence[str] = _IN_GRID) -> Figure:
    """
    Draw metrics of a model in bins of magnitude, redshifts, E(B-V) and other quantities, a panel for each.

    Parameters
    ----------
    evaluation : `~astro_photz.evaluation.Evaluation`, or the result of a validation
    metrics : sequence of str, optional
        Of `astro_photz.metrics.METRICS`; those that the bins have are drawn.

    Returns
    -------
    `~matplotlib.figure.Figure`

    Raises
    ------
    ImportError
        If matplotlib is not installed.
    ValueError
        If there is no bin with enough galaxies.

    Examples
    --------
    .. plot::
        :alt: Scatter, outliers and bias of a validation in bins of magnitude and of redshift.

        >>> import numpy as np
        >>> from astropy.table import Table
        >>> from astro_photz import validate
        >>> from astro_photz.plots import plot_all_bins
        >>> rng = np.random.default_rng(1)
        >>> z = rng.uniform(0.05, 0.25, 400)
        >>> table = Table({"z_spec": z, "z_phot": z + rng.normal(0, 0.08 * z), "r": 15 + 10 * z})
        >>> figure = plot_all_bins(validate(table))
        >>> len(figure.axes)
        4
    """
    names = [name for name in _BINNED if evaluation.bins.get(name)]
    metrics = [metric for metric in metrics if any(metric in evaluation.bins[name][0] for name in names)]
    if not names or not metrics:
        raise ValueError("there are no bins to draw: none holds enough galaxies")
    figure = empty_figure(2.3 * len(names) + 0.7, 2 * len(metrics))
    grid = figure.subplots(len(metrics), len(names), sharex="col", sharey="row", squeeze=False)
    for row, metric in zip(grid, metrics, strict=True):
        row[0].set_ylabel(METRIC_LABELS[metric])
        for ax, name in zip(row, names, strict=True):
            bins = [one for one in evaluation.bins[name] if metric in one]
            _draw(ax, bins, metric, _IDEAL.get(metric, evaluation.overall.get(metric)))
    for ax, name in zip(grid[-1], names, strict=True):
        _name_places(ax, name, _BINNED[name], [])
    return figure


def _stored(data, quantity):
    """Bins of a validation or evaluation; those of flags have a name each instead of ends."""
    bins = data.bins.get(quantity)
    if isinstance(bins, dict):
        bins = [{"flag": name, **one} for name, one in bins.items()]
    if not bins:
        known = [name for name, found in data.bins.items() if found]
        if quantity in data.bins:
            raise ValueError(
                f"no bin of {quantity!r} holds enough galaxies; bins that do: {', '.join(known) or 'none'}"
            )
        raise KeyError(f"quantity={quantity!r}: there are no such bins; there are {', '.join(known) or 'none'}")
    return bins


def _binned(table, quantity, metric, edges, sample):
    """Bins of a table: their metric and its error; the metric of all galaxies; and a label."""
    if metric not in (*_OF_DEVIATION, "coverage68"):
        known = ", ".join((*_OF_DEVIATION, "coverage68"))
        raise KeyError(f"metric={metric!r} of a table is not known: known are {known}. A validation has more.")
    values, unit = quantity_of(table, quantity)
    sample.require_compared()
    deviation = sample.deviation
    if metric == "coverage68":
        known = sample.compared & np.isfinite(sample.low) & np.isfinite(sample.high)
        scores = ((sample.redshift >= sample.low) & (sample.redshift <= sample.high)).astype(float)
        function = np.mean
    else:
        known, scores, function = sample.compared, deviation, _OF_DEVIATION[metric]
    known = known & np.isfinite(values)
    values, scores = values[known], scores[known]
    if not len(values):
        raise ValueError(f"no galaxy has an estimate, a true redshift and a number in {quantity!r}")
    if edges is None:
        n_bins = int(np.clip(len(values) // (2 * _FEWEST), 1, _N_BINS))
        edges = np.unique(np.quantile(values, np.linspace(0, 1, n_bins + 1)))
        edges[-1] = np.nextafter(edges[-1], np.inf)
    elif len(edges) < 2 or not (np.diff(edges) > 0).all():
        raise ValueError(f"edges must be two or more increasing numbers; got {edges}")
    label = quantity if unit in (None, "") else f"{quantity} ({unit})"
    return _bins_between(values, scores, metric, function, edges), {metric: float(function(scores))}, label


def _bins_between(values, scores, metric, function, edges):
    bins = []
    for low, high in itertools.pairwise(edges):
        inside = scores[(values >= low) & (values < high)]
        if len(inside) >= _FEWEST:
            one = {"low": low, "high": high, "n": len(inside), metric: float(function(inside))}
            bins.append(one | {"errors": {metric: _error(inside, function)}})
    if not bins:
        raise ValueError(f"no bin holds {_FEWEST} galaxies with an estimate and a true redshift: give wider edges")
    return bins


def _error(scores, function):
    """
    Error of a metric by bootstrap.

    Of many galaxies smaller samples are drawn, and their scatter is scaled to all (Bickel, Götze & van Zwet 1997).
    """
    n = min(len(scores), _LARGEST_SAMPLE)
    rng = np.random.default_rng(0)
    drawn = [function(scores[rng.integers(len(scores), size=n)]) for _ in range(_RESAMPLES)]
    return float(np.std(drawn) * np.sqrt(n / len(scores)))


def _draw(ax, bins, metric, level):
    """Draw the metric in each bin, and a level; the places of the bins."""
    values, errors = [one[metric] for one in bins], [one["errors"].get(metric, np.nan) for one in bins]
    if "flag" in bins[0]:
        places, widths = np.arange(len(bins)), None
    else:
        places = np.array([(one["low"] + one["high"]) / 2 for one in bins])
        widths = [(one["high"] - one["low"]) / 2 for one in bins]
    ax.errorbar(places, values, yerr=errors, xerr=widths, fmt="o", ms=4, color=GALAXY)
    if level is not None:
        ax.axhline(level, color=ink(), lw=1)
    return places


def _name_places(ax, quantity, label, flags):
    if quantity == "by_flag":
        ax.set_xticks(range(len(flags)), flags, rotation=30, ha="right", rotation_mode="anchor", size="small")
        ax.set_xlim(-0.6, len(flags) - 0.4)
        return
    ax.set_xlabel(label)
    if quantity == "early":
        ax.set_xticks([0.5, 1.5], ["late", "early"])


def _write_counts(ax, places, bins):
    """Write the number of galaxies over each bin, upright where they lie too near to each other."""
    low, high = ax.get_xlim()
    upright = len(places) > 1 and np.diff(places).min() < _WORDS_APART * (high - low)
    low, high = ax.get_ylim()
    ax.set_ylim(low, high + (0.2 if upright else 0.13) * (high - low))
    for place, one in zip(places, bins, strict=True):
        ax.annotate(
            _short(one["n"]) if "n" in one else "",
            (place, 1),
            xycoords=("data", "axes fraction"),
            xytext=(0, -3),
            textcoords="offset points",
            ha="center",
            va="top",
            size=8,
            color=ink(),
            rotation=90 if upright else 0,
        )


def _short(n):
    return f"{n}" if n < 10_000 else f"{n / 1000:.0f}k"
