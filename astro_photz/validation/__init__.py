# Licensed under a 3-clause BSD style license - see LICENSE
"""
Photometric redshifts judged by true ones: those of this package, or of any code.

`validate` takes a table with redshifts that are known, and gives a `Validation`: figures of merit with their errors, in
bins too, the outliers, and a verdict in plain sentences. It needs no torch.
"""

from .judging import validate
from .result import Validation

__all__ = ["Validation", "validate"]
