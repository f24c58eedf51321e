# Licensed under a 3-clause BSD style license - see LICENSE
"""
Pictures of estimated against true redshifts.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike

from astro_photz import metrics

from ._figure import FLAGGED, GALAXY, axes_or_new, counts_colours, ink, note, panel_at
from ._samples import read_sample

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["plot_redshifts"]

_MANY = 2000
_FEW = 300
_BEYOND = 0.05  # outliers in the literature, and those of a validation's errors
_CELLS = 120
_SMOOTHING = 1.5  # of the density of flagged galaxies, in cells
_CELLS_BELOW = 36  # the panel below is flatter
_METRICS = {"bias": ("bias", metrics.bias), "sigma_mad": (r"$\sigma_\mathrm{MAD}$", metrics.sigma_mad)}


def plot_redshifts(
    data: Any,
    redshift: str | ArrayLike | None = None,
    *,
    prefix: str = "z_phot",
    residuals: bool | Axes = True,
    flagged: bool = True,
    beyond: float = _BEYOND,
    limits: tuple[float, float] | None = None,
    ax: Axes | None = None,
) -> Axes:
    """
    Draw estimated against true redshifts, and their deviations below.

    Up to 2,000 galaxies are points, up to 300 of them with their 68 % intervals; more are counted in cells. Flagged
    galaxies are drawn apart: as diamonds, or, if they are more than 2,000, by lines that hold 68 % and 95 % of them. A
    corner tells the number of galaxies, bias, σ_MAD and η (see `astro_photz.metrics`), with errors where the data are a
    validation.

    Parameters
    ----------
    data : table-like, `~astro_photz.RedshiftPDF`, array_like (N,), or the result of a validation
        Estimates: a table, a DataFrame or a file of one, as `~astro_photz.predict` gives it; PDFs, whose mean is
        drawn; or the estimates themselves.
    redshift : str or array_like (N,), optional
        True redshifts, or the name of their column; by default a column with a usual name, such as ``z_spec`` or
        ``redshift``. A validation has its own.
    prefix : str, optional
        Of the columns of a table: ``{prefix}``, and ``_lo68``, ``_hi68`` or ``_err``, and ``_flags``, if there.
    residuals : bool or `~matplotlib.axes.Axes`, optional
        Whether to draw deviations, in a panel that takes a part of the place of ``ax``, or in axes of yours.
    flagged : bool, optional
        Whether to draw flagged galaxies, and to count them in the numbers.
    beyond : float, optional
        Deviation of an outlier: where the dashed lines are.
    limits : tuple of float, optional
        Range of both axes in redshift; by default one that holds the galaxies, or nearly all, and the corner tells how
        many are beyond.
    ax : `~matplotlib.axes.Axes`, optional
        By default those of a new figure of pyplot.

    Returns
    -------
    `~matplotlib.axes.Axes`
        Of redshift against redshift; the panel below is the last one of its figure.

    Raises
    ------
    ImportError
        If matplotlib is not installed.
    KeyError
        If there is no such column.
    ValueError
        If no galaxy has both an estimate and a true redshift, lengths differ, or limits are no range.

    Examples
    --------
    .. plot::
        :alt: Estimated against true redshifts of 24 simulated galaxies, with the deviations below.

        >>> import astro_photz
        >>> from matplotlib.figure import Figure
        >>> from astro_photz.plots import plot_redshifts
        >>> source = astro_photz.CutoutFile(astro_photz.demo_path())
        >>> table = astro_photz.predict(source.catalog(), source=source)
        >>> figure = Figure(figsize=(4.5, 4.5), layout="constrained")
        >>> ax = plot_redshifts(table, "redshift", ax=figure.add_subplot())
        >>> len(figure.axes)  # the deviations have a panel of their own
        2
    """
    sample = read_sample(data, redshift, prefix=prefix)
    sample.require_compared()
    plain, marked = _split(sample, flagged)
    drawn = plain | marked
    limits = _limits(sample, drawn) if limits is None else limits
    if len(limits) != 2 or not limits[0] < limits[1]:
        raise ValueError(f"limits must be two redshifts, the lower one first; got {limits}")
    ax = axes_or_new(ax, 4.8, 6 if residuals is True else 4.8)
    below = panel_at(ax, "bottom", share=0.27) if residuals is True else residuals or None
    counts = _draw_points(ax, sample, plain, marked, (limits, limits))
    line = np.array(limits)
    ax.plot(line, line, color=ink(), lw=1)
    for side in (-beyond, beyond):
        ax.plot(line, line + side * (1 + line), color=ink(), lw=0.8, ls="--")
    ax.set(xlim=limits, ylim=limits, ylabel=r"photometric redshift $z_\mathrm{phot}$")
    note(ax, _numbers(sample, drawn, beyond, limits))
    if marked.any():
        ax.legend(loc="lower right", fontsize="small")
    if below is not None:
        _draw_residuals(below, sample, plain, marked, beyond, limits)
        ax.tick_params(labelbottom=residuals is not True)
    if counts is not None:
        panels = [ax] if below is None else [ax, below]
        ax.figure.colorbar(counts, ax=panels, label="galaxies", pad=0.02, fraction=0.06)
    (ax if below is None else below).set_xlabel("true redshift $z$")
    return ax


def _split(sample, flagged):
    """Masks of the galaxies without a flag, and of those with one."""
    has_flag = sample.flags != 0
    plain, marked = sample.compared & ~has_flag, sample.compared & has_flag & flagged
    if not (plain | marked).any():
        raise ValueError(f"all {sample.compared.sum()} galaxies are flagged: flagged=True draws them")
    return plain, marked


def _limits(sample, drawn):
    """Range that holds the galaxies; if a few lie far beyond all others, nearly all."""
    both = np.concatenate([sample.z_phot[drawn], sample.redshift[drawn]])
    if drawn.sum() <= _FEW:  # with their intervals
        both = np.concatenate([both, *(ends[drawn & np.isfinite(ends)] for ends in (sample.low, sample.high))])
    low, high = both.min(), both.max()
    usual = np.quantile(both, 0.995)
    if len(both) > 200 and high > 2.5 * usual > 0:
        high = 1.5 * usual
    margin = 0.05 * (high - low) or 0.05
    return max(low - margin, min(low, 0.0)), high + margin


def _draw_points(ax, sample, plain, marked, ranges, *, deviations=False):
    """
    Draw estimates, or their deviations, over the true redshifts.

    Galaxies are points, with intervals if they are few, or counts in cells if they are many, which are given back.
    """
    x, y = sample.redshift, sample.deviation if deviations else sample.z_phot
    n, cells, lengths = int((plain | marked).sum()), None, None
    if n <= _FEW:
        sides = np.nan_to_num([sample.z_phot - sample.low, sample.high - sample.z_phot])
        lengths = np.maximum(sides, 0) / (1 + x if deviations else 1)  # a mean may lie outside its interval
    if plain.sum() > _MANY:
        shape = (_CELLS, _CELLS_BELOW if deviations else _CELLS)
        cells = _draw_counts(ax, *np.histogram2d(x[plain], y[plain], bins=shape, range=ranges))
    else:
        style = {"fmt": "o", "ms": 3.5, "color": GALAXY, "mec": "none", "alpha": 0.8}
        _draw_markers(ax, x, y, lengths, plain, style)
    style = {"fmt": "D", "ms": 4.5, "color": FLAGGED, "mfc": "none", "label": f"flagged ({marked.sum():,})"}
    if n > _FEW:
        style |= {"ms": 2.5, "alpha": 0.6, "mew": 0.6}
    if marked.sum() > _MANY:
        _draw_contours(ax, x[marked], y[marked], ranges)
    elif marked.any():
        _draw_markers(ax, x, y, lengths, marked, style)
    return cells


def _draw_counts(ax, counts, *edges):
    from matplotlib.colors import LogNorm

    return ax.pcolormesh(
        *edges,
        np.ma.masked_equal(counts.T, 0),
        norm=LogNorm(1, max(counts.max(), 2)),
        cmap=counts_colours(),
        rasterized=True,
    )


def _draw_contours(ax, x, y, ranges):
    """Draw lines within which 68 % and 95 % of many flagged galaxies lie."""
    from scipy.ndimage import gaussian_filter

    counts, *edges = np.histogram2d(x, y, bins=_CELLS, range=ranges)
    density = gaussian_filter(counts, _SMOOTHING)
    at_galaxies = np.repeat(density, counts.astype(int).ravel())
    levels = np.unique(np.quantile(at_galaxies, [0.05, 0.32]))
    middles = [(edge[1:] + edge[:-1]) / 2 for edge in edges]
    ax.contour(*middles, density.T, levels=levels, colors=FLAGGED, linewidths=1.2)
    ax.plot([], [], color=FLAGGED, label=f"flagged ({len(x):,}): 68 %, 95 %")


def _draw_markers(ax, x, y, lengths, rows, style):
    lengths = None if lengths is None else lengths[:, rows]
    ax.errorbar(x[rows], y[rows], yerr=lengths, elinewidth=0.8, ls="none", rasterized=rows.sum() > _MANY, **style)


def _numbers(sample, drawn, beyond, limits):
    """Lines on the sample, for a corner."""
    deviation = sample.deviation[drawn]
    n = int(drawn.sum())
    known, errors = sample.summary_of(n)
    lines = [f"{n:,} galaxies" if n != 1 else "1 galaxy"]
    for name, (symbol, metric) in _METRICS.items():
        lines.append(f"{symbol} = {_with_error(known.get(name, metric(deviation)), errors.get(name))}")
    share, error = metrics.eta(deviation, beyond=beyond), errors.get("eta") if beyond == _BEYOND else None
    lines.append(rf"$\eta$ = {_with_error(100 * share, error and 100 * error, digits=1)} %")
    outside = [(values[drawn] < limits[0]) | (values[drawn] > limits[1]) for values in (sample.redshift, sample.z_phot)]
    lost = int((outside[0] | outside[1]).sum())
    if lost:
        lines.append(f"{lost:,} beyond the axes")
    return "\n".join(lines)


def _with_error(value, error, *, digits=4):
    """A number with its error, where this is known; a minus sign, and no hyphen, before a negative one."""
    text = f"{value:.{digits}f}" + (f" ± {error:.{digits}f}" if error is not None else "")
    return text.replace("-", "−")


def _draw_residuals(ax, sample, plain, marked, beyond, limits):
    off = np.abs(sample.deviation[plain | marked])
    reach = 1.15 * (np.quantile(off, 0.995) if len(off) > 200 else off.max())
    reach = max(reach, 1.5 * beyond)
    _draw_points(ax, sample, plain, marked, (limits, (-reach, reach)), deviations=True)
    ax.axhline(0, color=ink(), lw=1)
    for side in (-beyond, beyond):
        ax.axhline(side, color=ink(), lw=0.8, ls="--")
    ax.set(xlim=limits, ylim=(-reach, reach), ylabel=r"$(z_\mathrm{phot}-z)/(1+z)$")
    lost = int((off > reach).sum())
    if lost:
        note(ax, f"{lost:,} beyond", size=8)
