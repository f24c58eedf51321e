# Licensed under a 3-clause BSD style license - see LICENSE
"""
Pages about tables of photometric redshifts, and about similar galaxies: each is one HTML file that needs no network.

`write_regions` shows the galaxies of such a table in DS9 and Aladin.
"""

from .page import write_report
from .regions import write_regions
from .similar import write_similar

__all__ = ["write_regions", "write_report", "write_similar"]
