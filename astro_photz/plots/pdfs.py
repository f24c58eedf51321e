# Licensed under a 3-clause BSD style license - see LICENSE
"""
Pictures of redshift PDFs.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike

from astro_photz.pdf import RedshiftPDF

from ._figure import axes_or_new, ink
from ._samples import chosen_rows, read_pdfs

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["plot_pdf"]

_MOST = 8
_STYLES = ("-", "--", "-.", ":")  # apart in print without colours
_MOST_OF_HEIGHT = 0.6  # that a legend may take
_LONG, _SHORT_WORDS = 5, 24  # a legend with more, short entries has two columns
_TAILS = (0.001, 0.999)
_WIDE, _NARROW = (0.025, 0.975), (0.16, 0.84)


def plot_pdf(
    data: Any,
    rows: int | slice | ArrayLike | None = None,
    *,
    redshift: str | ArrayLike | None = None,
    prefix: str = "z_phot",
    labels: Sequence[str] | None = None,
    ax: Axes | None = None,
) -> Axes:
    """
    Draw the redshift PDFs of one or several galaxies.

    Of one galaxy the central 68 % and 95 % are shaded, of several the central 68 %. The legend tells the estimates and
    the names of flags.

    Parameters
    ----------
    data : `~astro_photz.RedshiftPDF` (N,), table-like, or the result of a validation
        A table needs the column of PDFs that ``predict(..., pdf=True)`` adds.
    rows : int, slice, or array_like of int or bool, optional
        Which of them to draw, at most 8; by default all.
    redshift : str, float or array_like (N,), optional
        True redshifts of all N, or the name of their column: vertical lines. By default those of a validation, or of a
        column with a usual name, such as ``z_spec`` or ``redshift``.
    prefix : str, optional
        Of the columns of a table.
    labels : sequence of str, optional
        Names of the galaxies that are drawn; by default their identifiers, or the numbers of their rows.
    ax : `~matplotlib.axes.Axes`, optional
        By default those of a new figure of pyplot.

    Returns
    -------
    `~matplotlib.axes.Axes`

    Raises
    ------
    ImportError
        If matplotlib is not installed.
    IndexError, KeyError
        If there is no such row or column.
    ValueError
        If there are no PDFs, more than 8, or none of them has an estimate.

    Examples
    --------
    .. plot::
        :alt: A redshift PDF with its central intervals, and the true redshift.

        >>> import astro_photz
        >>> from matplotlib.figure import Figure
        >>> from astro_photz.plots import plot_pdf
        >>> source = astro_photz.CutoutFile(astro_photz.demo_path())
        >>> table = astro_photz.predict(source.catalog(), source=source, pdf=True)
        >>> figure = Figure(figsize=(4.5, 3), layout="constrained")
        >>> plot_pdf(table, 3, redshift="redshift", ax=figure.add_subplot()).get_xlabel()
        'redshift $z$'
    """
    pdf, sample = read_pdfs(data, redshift, prefix=prefix)
    chosen = chosen_rows(rows, len(pdf), most=_MOST, noun="PDF")
    known = [row for row in chosen if np.isfinite(pdf.p[row]).all()]
    if not known:
        raise ValueError(f"no estimate to draw: {_why_none(sample, chosen)}")
    if labels is not None and len(labels) != len(chosen):
        raise ValueError(f"labels must be {len(chosen)}, one for each PDF that is drawn; got {len(labels)}")
    names = dict(zip(chosen.tolist(), labels or [sample.ids[row] for row in chosen], strict=True))
    ax = axes_or_new(ax, 5, 3.4)
    for number, row in enumerate(chosen):
        one = RedshiftPDF(pdf.p[row], pdf.edges)
        words = _words(sample, row, None if len(chosen) == 1 and labels is None else names[row])
        if row in known:
            _draw_one(ax, one, f"C{number % 10}", words, style=_STYLES[number % len(_STYLES)], alone=len(chosen) == 1)
        else:
            ax.plot([], [], ls="none", label=words)
    _draw_truths(ax, sample.redshift, chosen)
    ax.set(xlim=_span(pdf, known, sample.redshift[chosen]), xlabel="redshift $z$", ylabel="probability density $p(z)$")
    _draw_legend(ax)
    return ax


def _why_none(sample, chosen):
    """Flags of galaxies without an estimate."""
    names = {name for row in chosen for name in sample.names_of_flags(row)}
    flags = f", with the flags {', '.join(sorted(names))}" if names else ""
    return f"the PDF of {'the galaxy is' if len(chosen) == 1 else 'all galaxies is'} missing{flags}"


def _words(sample, row, name):
    """Name, estimate and flags of a galaxy, for the legend."""
    estimate = sample.label(row)
    if estimate != "no estimate":
        estimate = rf"$z_\mathrm{{phot}}$ = {estimate}" if name is None else estimate
    lines = [estimate if name is None else f"{name}: {estimate}", *sample.names_of_flags(row)]
    return "\n".join(lines)


def _draw_one(ax, pdf, colour, words, *, style, alone):
    density = (pdf.p / pdf.widths)[0]
    ax.stairs(density, pdf.edges, color=colour, lw=1.4, ls=style, baseline=None, label=words)
    for levels, alpha, name in ((_WIDE, 0.2, "95 %"), (_NARROW, 0.4 if alone else 0.2, "68 %")):
        if alone or levels is _NARROW:
            steps, edges = _between(density, pdf.edges, pdf.quantile(levels)[0])
            label = f"central {name}" if alone else None
            ax.stairs(steps, edges, fill=True, color=colour, alpha=alpha, lw=0, label=label)


def _between(density, edges, ends):
    """The part of a density between two redshifts: its steps, and their edges."""
    inside = edges[(edges > ends[0]) & (edges < ends[1])]
    cut = np.concatenate([ends[:1], inside, ends[1:]])
    bins = np.clip(np.searchsorted(edges, (cut[1:] + cut[:-1]) / 2, side="right") - 1, 0, len(density) - 1)
    return density[bins], cut


def _draw_truths(ax, redshift, chosen):
    """Draw true redshifts as vertical lines, which look like their PDF if there are several."""
    known = [(number, row) for number, row in enumerate(chosen) if np.isfinite(redshift[row])]
    if len(chosen) == 1 and known:
        ax.axvline(redshift[chosen[0]], color=ink(), lw=1.2, ls="--", label=f"true $z$ = {redshift[chosen[0]]:.3f}")
        return
    for number, row in known:
        ax.axvline(redshift[row], color=f"C{number % 10}", lw=1, ls=_STYLES[number % len(_STYLES)])
    if known:
        ax.plot([], [], ls="none", marker="|", ms=11, color=ink(), label="true $z$")


def _draw_legend(ax):
    """Draw the legend above what is drawn, and reserve its height."""
    words = ax.get_legend_handles_labels()[1]
    columns = 2 if len(words) > _LONG and max(map(len, words)) < _SHORT_WORDS else 1
    legend = ax.legend(fontsize="small", loc="upper right", ncols=columns)
    size = legend.get_texts()[0].get_fontsize()
    n_lines = sum(word.count("\n") + 1 for word in words) / columns
    height = size * (1.25 * n_lines + 0.5 * len(words) / columns + 2.5)
    available = ax.get_window_extent().height * 72 / ax.figure.dpi
    ax.set_ylim(0, ax.dataLim.y1 / (1 - min(height / available, _MOST_OF_HEIGHT)))


def _span(pdf, known, truths):
    """Range of redshift that holds nearly all probability, and the true redshifts."""
    ends = RedshiftPDF(pdf.p[known], pdf.edges).quantile(_TAILS)
    low, high = np.nanmin([ends.min(), *truths]), np.nanmax([ends.max(), *truths])
    margin = 0.08 * (high - low) or 0.01
    first, last = min(pdf.edges[0], low - margin / 2), max(pdf.edges[-1], high + margin / 2)
    return max(low - margin, first), min(high + margin, last)
