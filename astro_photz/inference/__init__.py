# Licensed under a 3-clause BSD style license - see LICENSE
"""
Estimates: from a table of galaxies to its redshift columns.
"""

from .tables import embed, predict

__all__ = ["embed", "predict"]
