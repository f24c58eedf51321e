# Licensed under a 3-clause BSD style license - see LICENSE
"""
Types of arguments that many functions share.
"""

import os
from typing import Any

__all__ = ["PathLike", "TableLike", "UnitLike"]

PathLike = str | os.PathLike[str]
TableLike = Any  # a Table, a DataFrame, a SkyCoord, a mapping of columns, a path: see tables.inputs
UnitLike = Any  # a unit of astropy, or its name
