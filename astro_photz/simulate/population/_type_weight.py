# Licensed under a 3-clause BSD style license - see LICENSE
"""
Weights by type, by which kcorrect's galaxies make up the main sample; ``tools/make_type_weights.py`` makes the table.
"""

from functools import cache
from importlib.resources import files

import numpy as np

__all__ = ["type_weight"]


def type_weight(rest_colour):
    """Frequency (N,) of galaxies of a colour (mag) in the main sample, relative to that among the progenitors."""
    return np.interp(rest_colour, *_table())


@cache
def _table():
    from astropy.table import Table

    path = files("astro_photz") / "data" / "simulation" / "type_weights.ecsv"
    table = Table.read(path.read_text(encoding="utf-8"), format="ascii.ecsv")
    return np.asarray(table["rest_colour"]), np.asarray(table["weight"])
