# Licensed under a 3-clause BSD style license - see LICENSE
"""
Redshift PDFs: probabilities in bins of redshift, and point estimates, intervals and scores.
"""

from .histogram import RedshiftPDF

__all__ = ["RedshiftPDF"]
