# Licensed under a 3-clause BSD style license - see LICENSE
"""
Maps of galaxies on the sky.
"""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any

import numpy as np
from astropy import units as u
from astropy.coordinates import SkyCoord
from astropy.utils.exceptions import AstropyUserWarning
from numpy.typing import ArrayLike

from astro_photz.positions import read_positions
from astro_photz.tables.inputs import as_table
from astro_photz.utils._arrays import numbers

from ._figure import GALAXY, ink, new_figure, outline
from ._samples import flags_of, is_validation, quantity_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["plot_sky"]

_WHOLE_SKY = ("aitoff", "hammer", "lambert", "mollweide")
_LOCAL = 20 * u.deg  # from the middle of the galaxies to the farthest: a plane map has little distortion
_SMALLEST = 1 * u.arcmin
_SIZES = ((100, 30), (1000, 14), (10_000, 5), (np.inf, 1.5))  # up to how many galaxies, and the area of a point
_MANY = 2000
_FEW = 100
_CROWD = 50_000
_CELLS = 180  # of right ascension
_STRETCH = (0.5, 99.5)  # per cent of many galaxies that the colours tell apart


def plot_sky(
    data: Any,
    column: str | ArrayLike | None = None,
    *,
    prefix: str = "z_phot",
    coord: str | SkyCoord | None = None,
    label: str | None = None,
    cmap: str = "viridis",
    ax: Axes | None = None,
) -> Axes:
    """
    Draw galaxies on the sky, coloured by a number, with east to the left.

    Galaxies within 20 degrees of their middle are drawn in a tangential projection, others in Mollweide's. Flagged ones
    have a ring, those without the number are grey crosses. Of more than 50,000 galaxies, cells of equal area show the
    mean of the number, or how many they are if there is none.

    Parameters
    ----------
    data : table-like, `~astropy.coordinates.SkyCoord`, or the result of a validation
        Galaxies with positions, which are found as `~astro_photz.predict` does.
    column : str or array_like (N,), optional
        The number, or the name of its column; by default ``{prefix}``, if it is there.
    prefix : str, optional
        Of the columns of a table: ``{prefix}_flags``, if it is there.
    coord : str or `~astropy.coordinates.SkyCoord` (N,), optional
        Positions, or the name of their column, if there are several.
    label : str, optional
        Of the colours; by default the name of the column and its unit.
    cmap : str, optional
        Name of a colour map of matplotlib.
    ax : `~matplotlib.axes.Axes`, optional
        Axes of a projection of the whole sky (``projection="mollweide"``), of a WCS (``projection=wcs``), or plain
        ones, for right ascension and declination in degrees. By default those of a new figure of pyplot, of a
        projection that suits the galaxies.

    Returns
    -------
    `~matplotlib.axes.Axes`

    Raises
    ------
    ImportError
        If matplotlib is not installed.
    KeyError
        If there is no such column.
    ValueError
        If there are no positions, or the column holds no numbers.

    Examples
    --------
    .. plot::
        :alt: Positions of five galaxies on the sky, coloured by redshift.

        >>> from astropy.table import Table
        >>> from matplotlib.figure import Figure
        >>> from astro_photz.plots import plot_sky
        >>> ra, dec = [150.1, 150.2, 150.25, 150.4, 150.5], [2.1, 2.3, 2.2, 2.15, 2.4]
        >>> table = Table({"ra": ra, "dec": dec, "z_phot": [0.1, 0.2, 0.15, 0.12, 0.18]})
        >>> figure = Figure(figsize=(4.5, 3.5), layout="constrained")
        >>> plot_sky(table, ax=figure.add_subplot()).get_xlabel()
        'right ascension (deg)'
    """
    places = _places(data, coord)
    known = np.isfinite(places.ra.deg)
    if not known.any():
        raise ValueError(f"there is no position to draw: none of {len(places)} rows has one")
    values, label = _values(data, column, prefix, len(places), label)
    flagged = _flagged(data, prefix, len(places))
    middle = _middle(places[known])
    if ax is None:
        ax = _new_axes(places[known], middle)
    x, y, options = _on_axes(ax, places, middle)
    style = options | {"rasterized": len(places) > _MANY, "s": next(s for n, s in _SIZES if len(places) <= n)}
    if known.sum() > _CROWD:
        coloured = _draw_cells(ax, x, y, known, values, options | {"cmap": cmap})
        label = "galaxies" if values is None else label
    else:
        coloured = _draw_points(ax, x, y, known, values, style | {"cmap": cmap})
        _draw_rings(ax, x, y, known & flagged, style)
    whole = _is_whole_sky(ax)
    if coloured is not None:
        where = {"location": "bottom", "shrink": 0.7, "aspect": 30} if whole else {"pad": 0.03}
        extend = "both" if known.sum() > _FEW else "neither"
        ax.figure.colorbar(coloured, ax=ax, label=label, extend=extend, **where)
    if ax.get_legend_handles_labels()[0]:
        where = {"loc": "upper right", "borderaxespad": 0} if whole or len(places) > _MANY else {"loc": "best"}
        ax.legend(fontsize="small", handletextpad=0.3, **where)
    return ax


def _places(data, coord):
    """Positions of the galaxies, ICRS."""
    if isinstance(coord, SkyCoord):
        return read_positions(coord).coord
    if not is_validation(data):
        table = as_table(data)
    else:
        table = data.galaxies
        if not {"ra", "dec"} <= set(table.colnames):
            raise ValueError("this validation knows no positions: its table had none")
    with warnings.catch_warnings():  # of the reddening, which is not asked for
        warnings.simplefilter("ignore", AstropyUserWarning)
        return read_positions(table, coord=coord).coord


def _values(data, column, prefix, n, label):
    """Numbers that give the colours, or None, and their label."""
    if column is None:
        table = data.galaxies if is_validation(data) else as_table(data)
        column = prefix if prefix in table.colnames else None
        if column is None:
            return None, None
    if isinstance(column, str):
        values, unit = quantity_of(data, column)
        words = r"photometric redshift $z_\mathrm{phot}$" if column == "z_phot" else column
        return values, label or (words if unit in (None, "") else f"{words} ({unit})")
    values = numbers(column)
    if values.shape != (n,):
        raise ValueError(f"column must have the shape ({n},), a number for each galaxy; got {values.shape}")
    return values, label or ""


def _flagged(data, prefix, n):
    flags = flags_of(data, prefix)
    return np.zeros(n, dtype=bool) if flags is None else flags != 0


def _middle(places):
    """Direction of the middle of the galaxies."""
    vector = places.cartesian.xyz.value.mean(axis=1)
    lon, lat = np.arctan2(vector[1], vector[0]), np.arctan2(vector[2], np.hypot(vector[0], vector[1]))
    return SkyCoord(lon % (2 * np.pi), lat, unit="rad")


def _new_axes(places, middle):
    """Axes of a new figure: a tangential map of a field, or the whole sky."""
    reach = places.separation(middle).max()
    if reach > _LOCAL:
        ax = new_figure(6, 3.9).add_subplot(projection="mollweide")
        ax.grid(lw=0.4)
        return ax
    from astropy.wcs import WCS

    wcs = WCS(naxis=2)
    wcs.wcs.ctype = ["RA---TAN", "DEC--TAN"]
    wcs.wcs.crval = [middle.ra.deg, middle.dec.deg]
    wcs.wcs.cdelt = [-1 / 3600, 1 / 3600]
    wcs.wcs.crpix = [1, 1]
    ax = new_figure(5.2, 4.3).add_subplot(projection=wcs)
    half = 1.1 * max(reach, _SMALLEST).to_value(u.arcsec)
    ax.set(xlim=(-half, half), ylim=(-half, half), aspect="equal")
    for axis, name in zip(ax.coords, ("right ascension (ICRS)", "declination (ICRS)"), strict=True):
        axis.set_format_unit("deg", decimal=True, show_decimal_unit=True)
        axis.set_axislabel(name)
        axis.set_ticks(number=4)
        axis.set_ticklabel(exclude_overlapping=True)
    ax.coords.grid(lw=0.4, alpha=0.5)
    return ax


def _on_axes(ax, places, middle):
    """Coordinates of galaxies in axes of any kind, and what is drawn with them."""
    if hasattr(ax, "wcs"):
        return places.ra.deg, places.dec.deg, {"transform": ax.get_transform("icrs")}
    if _is_whole_sky(ax):
        centre = np.round(middle.ra.deg / 30) * 30
        x = -(places.ra - centre * u.deg).wrap_at(180 * u.deg).rad
        ax.set_xticks(np.radians(np.arange(-120, 121, 60)))
        ax.set_xticklabels([f"{(centre - step) % 360:.0f}°" for step in range(-120, 121, 60)])
        ax.tick_params(labelsize="small")
        for label in ax.get_xticklabels():  # they lie on the galaxies
            label.set(path_effects=[outline()], zorder=5)
        ax.set(xlabel="right ascension (ICRS)", ylabel="declination (ICRS)")
        return x, places.dec.rad, {}
    ra = places.ra.wrap_at(middle.ra + 180 * u.deg).deg
    ax.set(xlabel="right ascension (deg)", ylabel="declination (deg)")
    if not ax.xaxis_inverted():
        ax.invert_xaxis()
    ax.set_aspect(1 / max(np.cos(middle.dec.rad), 0.1), adjustable="datalim")
    return ra, places.dec.deg, {}


def _draw_points(ax, x, y, known, values, style):
    """Draw galaxies with their colours, and crosses for those without a number; the coloured points, if any."""
    if values is None:
        style = {name: value for name, value in style.items() if name != "cmap"}
        ax.scatter(x[known], y[known], color=GALAXY, lw=0, **style)
        return None
    valued, without = known & np.isfinite(values), known & ~np.isfinite(values)
    if without.any():
        plain = {name: value for name, value in style.items() if name != "cmap"}
        ax.scatter(
            x[without], y[without], color="0.5", marker="x", lw=0.8, label=f"unknown ({without.sum():,})", **plain
        )
    if not valued.any():
        return None
    if valued.sum() > _FEW:
        style["vmin"], style["vmax"] = np.percentile(values[valued], _STRETCH)
    return ax.scatter(x[valued], y[valued], c=values[valued], lw=0, **style)


def _draw_cells(ax, x, y, known, values, style):
    """Draw the mean of a number in cells of equal area, or the number of galaxies."""
    if values is not None:
        known = known & np.isfinite(values)
    if not known.any():
        return None
    radians = 1 if _is_whole_sky(ax) else np.pi / 180
    x, height = x[known], np.sin(y[known] * radians)
    counts, x_edges, heights = np.histogram2d(x, height, bins=(_CELLS, _CELLS // 2))
    shown = counts
    if values is not None:
        sums, *_ = np.histogram2d(x, height, bins=(x_edges, heights), weights=values[known])
        shown = sums / np.maximum(counts, 1)
    shown = np.ma.array(shown, mask=counts == 0)
    limits = dict(zip(("vmin", "vmax"), np.percentile(shown.compressed(), _STRETCH), strict=True))
    return ax.pcolormesh(x_edges, np.arcsin(heights) / radians, shown.T, rasterized=True, **limits, **style)


def _draw_rings(ax, x, y, flagged, style):
    if flagged.any():
        faint = {"alpha": 0.4, "lw": 0.4} if flagged.sum() > _FEW else {"lw": 0.8}
        style = style | {"s": 3.5 * style["s"], "facecolors": "none", "edgecolors": ink()} | faint
        ax.scatter(x[flagged], y[flagged], label=f"flagged ({flagged.sum():,})", **style)


def _is_whole_sky(ax):
    return getattr(ax, "name", "") in _WHOLE_SKY
