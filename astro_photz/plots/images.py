# Licensed under a 3-clause BSD style license - see LICENSE
"""
Pictures of galaxies: colour images, and stamps with their redshifts.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike

from astro_photz.cutouts import Cutouts
from astro_photz.sdss import BANDS
from astro_photz.utils._types import PathLike

from ._figure import empty_figure, new_figure
from ._samples import chosen_rows, is_validation, read_sample

if TYPE_CHECKING:
    from astropy.table import Table
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["colour_image", "panels_for", "plot_galaxies", "plot_gallery", "shortened"]

_COLUMNS = 6
_MOST = 60
_LONGEST_ID = 20


def colour_image(flux: np.ndarray, *, stretch: float = 0.3, softening: float = 8) -> np.ndarray:
    """
    Colour image of a galaxy: *i*, *r*, *g* as red, green, blue, after Lupton et al. (2004).

    Parameters
    ----------
    flux : `~numpy.ndarray` (5, S, S)
        Nanomaggies, in *ugriz*.
    stretch, softening : float, optional
        Of `astropy.visualization.make_lupton_rgb`: the flux of the linear part (nanomaggies), and Q.

    Returns
    -------
    `~numpy.ndarray` (S, S, 3) uint8

    Examples
    --------
    .. plot::
        :alt: Colour image of a simulated galaxy.

        >>> import astro_photz
        >>> from matplotlib.figure import Figure
        >>> from astro_photz.plots import colour_image
        >>> cutouts = astro_photz.Cutouts.read(astro_photz.demo_path())
        >>> image = colour_image(cutouts.flux[4])
        >>> image.shape, image.dtype
        ((64, 64, 3), dtype('uint8'))
        >>> figure = Figure(figsize=(2.5, 2.5))
        >>> _ = figure.add_axes([0, 0, 1, 1]).imshow(image, origin="lower")
    """
    from astropy.visualization import make_lupton_rgb

    # The weights make a galaxy of ordinary colours neither blue nor red: they even out g - r and r - i of about 0.7
    # and 0.35.
    red, green, blue = (
        weight * np.nan_to_num(flux[BANDS.index(band)]) for band, weight in (("i", 0.75), ("r", 1.0), ("g", 1.7))
    )
    with np.errstate(invalid="ignore", divide="ignore"):  # of a pixel without light in any band
        return make_lupton_rgb(red, green, blue, stretch=stretch, Q=softening)


def plot_gallery(
    data: Any,
    cutouts: Cutouts | PathLike | None = None,
    *,
    rows: int | slice | ArrayLike | None = None,
    redshift: str | ArrayLike | None = None,
    prefix: str = "z_phot",
    columns: int = 4,
    ax: Axes | Sequence[Axes] | None = None,
) -> np.ndarray:
    """
    Draw the colour images of galaxies, with their redshifts, errors and the names of their flags.

    Parameters
    ----------
    data : table-like, or the result of a validation
        N galaxies with their estimates, as `~astro_photz.predict` gives them. A validation has the stamps of its worst
        outliers, and needs no cutouts.
    cutouts : `~astro_photz.Cutouts` (N,), str or path-like, optional
        Of the same galaxies, in the same order.
    rows : int, slice, or array_like of int or bool, optional
        Which of them to draw, at most 60; by default all.
    redshift : str or array_like (N,), optional
        True redshifts, or the name of their column; by default those of a validation, or of a column with a usual
        name, such as ``z_spec`` or ``redshift``.
    prefix : str, optional
        Of the columns of a table.
    columns : int, optional
        Galaxies beside each other.
    ax : `~matplotlib.axes.Axes` or sequence of them, optional
        Axes for each galaxy, or a subplot whose place the galaxies take; by default those of a new figure of pyplot.

    Returns
    -------
    `~numpy.ndarray` (M,) of `~matplotlib.axes.Axes`
        Of each galaxy.

    Raises
    ------
    ImportError
        If matplotlib is not installed.
    IndexError, KeyError
        If there is no such row or column.
    ValueError
        If there are no stamps, no galaxy or more than 60, or lengths differ.

    Examples
    --------
    .. plot::
        :alt: Colour images of three simulated galaxies, with their redshifts and flags.

        >>> import astro_photz
        >>> from matplotlib.figure import Figure
        >>> from astro_photz.plots import plot_gallery
        >>> cutouts = astro_photz.Cutouts.read(astro_photz.demo_path())[:3]
        >>> figure = Figure(figsize=(6, 2.6), layout="constrained")
        >>> axes = plot_gallery(astro_photz.predict(cutouts), cutouts, columns=3, ax=figure.add_subplot())
        >>> len(axes)
        3
    """
    sample = read_sample(data, redshift, prefix=prefix)
    cutouts, places = _stamps(data, cutouts, len(sample))
    chosen = chosen_rows(rows, len(cutouts), most=_MOST, noun="stamp")
    axes = panels_for(ax, len(chosen), columns)
    for panel, index in zip(axes, chosen, strict=True):
        _draw_galaxy(panel, cutouts.flux[index], sample, places[index], name=True)
    return axes


def plot_galaxies(
    cutouts: Cutouts,
    table: Table,
    *,
    prefix: str = "z_phot",
    true_redshift: Sequence[float] | None = None,
    title: str | None = None,
) -> Figure:
    """
    Draw all galaxies of some cutouts with their redshifts and the names of their flags, as a figure of its own.

    Parameters
    ----------
    cutouts : `~astro_photz.Cutouts` (N,)
    table : `~astropy.table.Table` (N,)
        As `~astro_photz.predict` returns it for them.
    prefix : str, optional
        Of its columns.
    true_redshift : array_like (N,), optional
        To be written beside the estimates.
    title : str, optional

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
        :alt: Colour images of six simulated galaxies, with their redshifts.

        >>> import astro_photz
        >>> from astro_photz.plots import plot_galaxies
        >>> cutouts = astro_photz.Cutouts.read(astro_photz.demo_path())[:6]
        >>> figure = plot_galaxies(cutouts, astro_photz.predict(cutouts), title="Six simulated galaxies")
        >>> len(figure.axes)
        6
    """
    rows = -(-len(cutouts) // _COLUMNS)
    figure = empty_figure(2 * _COLUMNS, 2.35 * rows + 0.5)
    axes = figure.subplots(rows, _COLUMNS, squeeze=False).ravel()
    unknown = np.full(len(cutouts), np.nan)
    sample = read_sample(table, unknown if true_redshift is None else true_redshift, prefix=prefix)
    for ax in axes:
        ax.set_axis_off()
    for index, (ax, flux) in enumerate(zip(axes, cutouts.flux, strict=False)):
        _draw_galaxy(ax, flux, sample, index, name=False)
    if title:
        figure.suptitle(title, fontsize=11)
    return figure


def panels_for(ax, n, columns):
    """
    Make axes for n galaxies.

    ``ax`` is as in `plot_gallery`. Return an array (n,) of `~matplotlib.axes.Axes`.
    """
    if ax is not None and np.ndim(ax) > 0:
        axes = np.ravel(ax)
        if len(axes) < n:
            raise ValueError(f"ax must be axes for each of {n} galaxies; got {len(axes)}")
        return axes[:n]
    columns = min(columns, n)
    rows = -(-n // columns)
    if ax is None:
        ax = new_figure(1.45 * columns, 1.85 * rows).add_subplot()
    spec = ax.get_subplotspec()
    if spec is None:
        raise ValueError("ax must be a subplot, whose place the galaxies take, or axes for each of them")
    figure = ax.figure
    ax.remove()
    grid = spec.subgridspec(rows, columns)
    return np.array([figure.add_subplot(grid[place // columns, place % columns]) for place in range(n)])


def shortened(name):
    """Cut a name that is too long to stand inside an image."""
    return name if len(name) <= _LONGEST_ID else f"{name[: _LONGEST_ID - 1]}…"


def _stamps(data, cutouts, n):
    """Cutouts, and the row of each in the data."""
    if cutouts is None and is_validation(data):
        cutouts = data.stamps
        if cutouts is None:
            raise ValueError(
                "this validation has no stamps: give the cutouts of its galaxies, or validate with source="
            )
        return cutouts, np.asarray(cutouts.ids, dtype=int)  # the stamps of a validation are named by their rows
    if cutouts is None:
        raise ValueError("a table has no stamps: give the cutouts of its galaxies, astro_photz.fetch(table) for one")
    if isinstance(cutouts, str | os.PathLike):
        cutouts = Cutouts.read(cutouts)
    if not isinstance(cutouts, Cutouts):
        raise TypeError(
            f"cutouts must be Cutouts or the path of a file of them, got {type(cutouts).__name__}; "
            "astro_photz.fetch(table, source=...) takes them from a source"
        )
    if len(cutouts) != n:
        raise ValueError(f"cutouts must be those of the {n} rows of data, in their order; got {len(cutouts)}")
    return cutouts, np.arange(n)


def _draw_galaxy(ax, flux, sample, row, *, name):
    """Draw the stamp of a galaxy, its redshifts above, its flags and perhaps its name inside."""
    ax.imshow(colour_image(flux), origin="lower", interpolation="nearest")
    ax.set_axis_off()
    estimate = sample.label(row)
    lines = [estimate if estimate == "no estimate" else f"z = {estimate}"]
    if np.isfinite(sample.redshift[row]):
        lines.append(f"true {sample.redshift[row]:.3f}")
    ax.set_title("\n".join(lines), fontsize=9)
    inside = {"transform": ax.transAxes, "color": "white", "fontsize": 7}
    inside["bbox"] = {"facecolor": "black", "edgecolor": "none", "alpha": 0.55, "pad": 1}
    flags = sample.names_of_flags(row)
    if flags:
        ax.text(0.03, 0.03, "\n".join(flags), va="bottom", **inside)
    if name:
        ax.text(0.03, 0.97, shortened(sample.ids[row]), va="top", **inside)
