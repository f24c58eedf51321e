# Licensed under a 3-clause BSD style license - see LICENSE
"""
Pictures of galaxies: colour images, and stamps with their redshifts.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from astro_photz.sdss import BANDS

from ._figure import empty_figure

if TYPE_CHECKING:
    from astropy.table import Table
    from matplotlib.figure import Figure

    from astro_photz.cutouts import Cutouts

__all__ = ["colour_image", "plot_galaxies"]

_COLUMNS = 6


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
    >>> import numpy as np
    >>> from astro_photz.plots.images import colour_image
    >>> colour_image(np.ones((5, 64, 64))).shape
    (64, 64, 3)
    """
    from astropy.visualization import make_lupton_rgb

    # The weights make a galaxy of ordinary colours neither blue nor red: they even out g - r and r - i of about 0.7
    # and 0.35.
    red, green, blue = (
        weight * np.nan_to_num(flux[BANDS.index(band)]) for band, weight in (("i", 0.75), ("r", 1.0), ("g", 1.7))
    )
    with np.errstate(invalid="ignore", divide="ignore"):  # of a pixel without light in any band
        return make_lupton_rgb(red, green, blue, stretch=stretch, Q=softening)


def plot_galaxies(
    cutouts: Cutouts,
    table: Table,
    *,
    prefix: str = "z_phot",
    true_redshift: Sequence[float] | None = None,
    title: str | None = None,
) -> Figure:
    """
    Draw galaxies with their redshifts.

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
    """
    rows = -(-len(cutouts) // _COLUMNS)
    figure = empty_figure(2 * _COLUMNS, 2.35 * rows + 0.5)
    axes = figure.subplots(rows, _COLUMNS, squeeze=False).ravel()
    for axis in axes:
        axis.set_axis_off()
    for index, (axis, flux) in enumerate(zip(axes, cutouts.flux, strict=False)):
        axis.imshow(colour_image(flux), origin="lower", interpolation="nearest")
        label = _label(table[index], prefix)
        if true_redshift is not None:
            label += f"\ntrue {true_redshift[index]:.3f}"
        axis.set_title(label, fontsize=9)
    if title:
        figure.suptitle(title, fontsize=11)
    return figure


def _label(row, prefix):
    if np.ma.is_masked(row[prefix]):
        return "no estimate"
    return f"z = {row[prefix]:.3f} ± {row[prefix + '_err']:.3f}"
