# Licensed under a 3-clause BSD style license - see LICENSE
"""
Pictures: galaxies, redshift PDFs, and how good a model is. They need the extra ``[plot]``: matplotlib.
"""

from .images import colour_image, plot_bins, plot_calibration, plot_galaxies, plot_label_efficiency

__all__ = ["colour_image", "plot_bins", "plot_calibration", "plot_galaxies", "plot_label_efficiency"]
