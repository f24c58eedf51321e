# Licensed under a 3-clause BSD style license - see LICENSE
"""
All targets, by name.
"""

from . import doors_archive, doors_hdf5, doors_images, doors_models, doors_pdfs, doors_tables, doors_validation

__all__ = ["TARGETS"]

_DOORS = (doors_tables, doors_pdfs, doors_validation, doors_hdf5, doors_images, doors_models, doors_archive)
TARGETS = {target.name: target for doors in _DOORS for target in doors.TARGETS}
"""`~fuzz.judging.Target` by name."""
