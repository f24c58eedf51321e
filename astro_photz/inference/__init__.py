# Licensed under a 3-clause BSD style license - see LICENSE
"""
Estimates: from a table of galaxies to its redshift columns, in memory or in a file.
"""

from .prediction_files import predict_to_file
from .tables import embed, predict

__all__ = ["embed", "predict", "predict_to_file"]
