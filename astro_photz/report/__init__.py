# Licensed under a 3-clause BSD style license - see LICENSE
"""
A page about a table of photometric redshifts: one HTML file that needs no network.
"""

from .page import write_report

__all__ = ["write_report"]
