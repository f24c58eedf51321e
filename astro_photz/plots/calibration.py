# Licensed under a 3-clause BSD style license - see LICENSE
"""
Pictures of the calibration of PDFs: the PIT, and the coverage of central intervals.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike

from astro_photz import metrics
from astro_photz.utils._arrays import numbers

from ._figure import GALAXY, axes_or_new, empty_figure, ink, note, panel_at
from ._samples import Judged, read_pdfs

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["plot_calibration", "plot_pit"]

_LEVELS = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.68, 0.8, 0.9, 0.95, 0.99)
_BINS = 20
_KS_95 = 1.3581  # 95 % quantile of Kolmogorov's distribution


@dataclass(frozen=True, kw_only=True)
class _Calibration:
    """
    The PIT of a sample in equal bins, and the share of true redshifts in central intervals by the level of these.

    ``chance`` is the KS distance that chance exceeds once in twenty samples; ``ks`` and ``chance`` may be None.
    """

    counts: np.ndarray
    coverage: dict
    ks: float | None = None
    chance: float | None = None

    @property
    def n(self):
        return self.counts.sum()

    @property
    def spread(self):
        """Scatter by chance in that of as many independent galaxies; 1 if they are."""
        return 1.0 if self.chance is None else max(1.0, self.chance * np.sqrt(self.n) / _KS_95)


def plot_pit(
    data: Any,
    redshift: str | ArrayLike | None = None,
    *,
    prefix: str = "z_phot",
    coverage: bool | Axes = False,
    ax: Axes | None = None,
) -> Axes:
    """
    Draw the histogram of the PIT, and what chance gives for calibrated PDFs.

    The PIT is the probability below the true redshift (see `astro_photz.RedshiftPDF.pit`). It is flat if the PDFs are
    calibrated, has a hump if they are too wide, horns at both ends if they are too narrow, and a slope if they lie too
    high or too low. The band is twice the scatter of an even share; it is wider where the galaxies are not
    independent, by the ratio of ``pit_ks_by_chance`` to that of independent ones.

    Parameters
    ----------
    data : `~astro_photz.RedshiftPDF` (N,), table-like, array_like (N,), or the result of a validation or evaluation
        PDFs, or a table with a column of PDFs; or values of the PIT, from 0 to 1.
    redshift : str or array_like (N,), optional
        True redshifts, or the name of their column; by default a column with a usual name, such as ``z_spec``.
    prefix : str, optional
        Of the columns of a table.
    coverage : bool or `~matplotlib.axes.Axes`, optional
        Whether to draw the share of true redshifts in central intervals too, against the probability in these: in a
        panel that takes half of the place of ``ax``, or in axes of yours.
    ax : `~matplotlib.axes.Axes`, optional
        By default those of a new figure of pyplot.

    Returns
    -------
    `~matplotlib.axes.Axes`
        Of the histogram; the panel of the coverage is the last one of its figure.

    Raises
    ------
    ImportError
        If matplotlib is not installed.
    KeyError
        If there is no such column.
    ValueError
        If there are no PDFs, or none with a true redshift, or values are not between 0 and 1.

    Examples
    --------
    .. plot::
        :alt: Histogram of the PIT of PDFs that are too narrow: high at both ends.

        >>> import numpy as np
        >>> from matplotlib.figure import Figure
        >>> from scipy.stats import norm
        >>> from astro_photz.plots import plot_pit
        >>> errors = np.random.default_rng(1).normal(0, 1.5, 1000)  # half as large again as the PDFs say
        >>> figure = Figure(figsize=(4.5, 3), layout="constrained")
        >>> plot_pit(norm.cdf(errors), ax=figure.add_subplot()).get_xlabel()
        'PIT'
    """
    found = _calibration_of(data, redshift, prefix)
    ax = axes_or_new(ax, 7.2 if coverage is True else 4.2, 3.4)
    beside = panel_at(ax, "right", share=0.5) if coverage is True else coverage or None
    _draw_pit(ax, found)
    if beside is not None:
        _draw_coverage(beside, found)
    return ax


def plot_calibration(evaluation: Judged) -> Figure:
    """
    Draw the calibration of the PDFs of a model: the PIT, and the coverage of their central intervals.

    Parameters
    ----------
    evaluation : `~astro_photz.evaluation.Evaluation`, or the result of a validation

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
        :alt: Histogram of the PIT, and coverage of the central intervals.

        >>> import numpy as np
        >>> from astropy.table import Table
        >>> from astro_photz import validate
        >>> from astro_photz.plots import plot_calibration
        >>> rng = np.random.default_rng(1)
        >>> z = rng.uniform(0.05, 0.25, 400)
        >>> table = Table({"z_spec": z, "z_phot": z + rng.normal(0, 0.01, 400), "z_phot_err": np.full(400, 0.01)})
        >>> figure = plot_calibration(validate(table))
        >>> [ax.get_xlabel() for ax in figure.axes]
        ['PIT', 'probability in the central interval']
    """
    figure = empty_figure(8, 3.4)
    left, right = figure.subplots(1, 2)
    plot_pit(evaluation, coverage=right, ax=left)
    return figure


def _calibration_of(data, redshift, prefix):
    if hasattr(data, "bins") and hasattr(data, "coverage"):
        if redshift is not None:
            raise ValueError("redshift: a validation or evaluation has its own true redshifts")
        counts = np.array(data.pit if data.pit is not None else [], dtype=float)
        if not counts.sum():
            raise ValueError("there is no PIT: the estimates came without PDFs")
        shares = {float(level): share for level, share in data.coverage.items()}
        ks, chance = data.overall.get("pit_ks"), getattr(data, "pit_ks_by_chance", None)
        return _Calibration(counts=counts, coverage=shares, ks=ks, chance=chance)
    pit = _pit_of(data, redshift, prefix)
    counts = np.histogram(pit, bins=int(np.clip(len(pit) // 10, 5, _BINS)), range=(0, 1))[0]
    return _Calibration(
        counts=counts,
        coverage={level: metrics.coverage(pit, level=level) for level in _LEVELS},
        ks=metrics.pit_ks(pit),
        chance=metrics.pit_ks_by_chance(pit),
    )


def _pit_of(data, redshift, prefix):
    """PIT of the galaxies that have one."""
    if redshift is None and isinstance(data, np.ndarray | list | tuple) and np.ndim(data) == 1:
        pit = numbers(data)
        pit = pit[np.isfinite(pit)]
        if not len(pit):
            raise ValueError("there is no PIT to draw: no value is a number")
        if pit.min() < 0 or pit.max() > 1:
            raise ValueError(f"data must be values of the PIT, from 0 to 1; got {pit.min():.4g} to {pit.max():.4g}")
        return pit
    pdf, sample = read_pdfs(data, redshift, prefix=prefix)
    pit = pdf.pit(sample.redshift)
    if not np.isfinite(pit).any():
        sample.require_compared()
        raise ValueError("no galaxy has both a PDF and a true redshift")
    return pit[np.isfinite(pit)]


def _draw_pit(ax, found):
    expected, edges = found.counts.mean(), np.linspace(0, 1, len(found.counts) + 1)
    ax.stairs(found.counts / expected, edges, fill=True, color=GALAXY, alpha=0.6)
    scatter = 2 * found.spread / np.sqrt(expected)
    ax.axhspan(1 - scatter, 1 + scatter, color=ink(), alpha=0.15, lw=0, label="2σ of chance")
    ax.axhline(1, color=ink(), lw=1)
    highest = max(found.counts.max() / expected, 1 + scatter)
    ax.set(xlabel="PIT", ylabel="galaxies / even share", xlim=(0, 1), ylim=(0, 1.35 * highest))
    ax.legend(loc="upper right", fontsize="small")
    words = [f"{int(found.n):,} galaxies"]
    if found.ks is not None:
        words.append(f"KS distance {found.ks:.3f}")
    if found.chance is not None:
        words.append(f"by chance < {found.chance:.3f}")
    note(ax, "\n".join(words), size=8)


def _draw_coverage(ax, found):
    levels, shares = list(found.coverage), list(found.coverage.values())
    line = np.linspace(0, 1, 101)
    scatter = 2 * found.spread * np.sqrt(line * (1 - line) / found.n)
    ax.fill_between(line, line - scatter, line + scatter, color=ink(), alpha=0.15, lw=0)
    ax.plot([0, 1], [0, 1], color=ink(), lw=1)
    ax.plot(levels, shares, "o-", color=GALAXY, ms=4)
    ax.set(xlabel="probability in the central interval", ylabel="true redshifts in it", xlim=(0, 1), ylim=(0, 1))
