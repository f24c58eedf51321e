# Licensed under a 3-clause BSD style license - see LICENSE
"""
Pages about tables of photometric redshifts, and about similar galaxies: each is one HTML file that needs no network.
"""

from .page import write_report
from .similar import write_similar

__all__ = ["write_report", "write_similar"]
