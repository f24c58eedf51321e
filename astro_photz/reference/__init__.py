# Licensed under a 3-clause BSD style license - see LICENSE
"""
The galaxies that a model knows: how far a stamp is from them, and which are most like it.
"""

from .analogues import Analogues
from .neighbours import Neighbours
from .regression import Regression
from .strangers import Reference

__all__ = ["Analogues", "Neighbours", "Reference", "Regression"]
