# Licensed under a 3-clause BSD style license - see LICENSE
"""
Pictures: galaxies, redshift PDFs, and the quality of a model. They need the extra ``[plot]``: matplotlib.
"""

from .evaluation import plot_bins, plot_calibration, plot_label_efficiency
from .images import colour_image, plot_galaxies
from .training import plot_learning_curve

__all__ = [
    "colour_image",
    "plot_bins",
    "plot_calibration",
    "plot_galaxies",
    "plot_label_efficiency",
    "plot_learning_curve",
]
