# Licensed under a 3-clause BSD style license - see LICENSE
"""
Pictures: galaxies, redshift PDFs, and the quality of estimates. They need the extra ``[plot]``: matplotlib.

Functions with ``ax=`` draw on your axes and return them; without it they make a figure of pyplot, which a notebook
shows. They take what holds the numbers: the table of `~astro_photz.predict`, a table of any other code, PDFs, arrays,
or a validation. Others return a figure that no window shows.
"""

from .bins import plot_all_bins, plot_bins
from .calibration import plot_calibration, plot_pit
from .images import colour_image, plot_galaxies, plot_gallery
from .label_efficiency import plot_label_efficiency
from .maps import plot_map
from .neighbours import plot_neighbours
from .pdfs import plot_pdf
from .redshifts import plot_redshifts
from .sky import plot_sky
from .training import plot_learning_curve

__all__ = [
    "colour_image",
    "plot_all_bins",
    "plot_bins",
    "plot_calibration",
    "plot_galaxies",
    "plot_gallery",
    "plot_label_efficiency",
    "plot_learning_curve",
    "plot_map",
    "plot_neighbours",
    "plot_pdf",
    "plot_pit",
    "plot_redshifts",
    "plot_sky",
]
