# Licensed under a 3-clause BSD style license - see LICENSE
"""Measurements of the package, each run from the root of the repository: ``python -m benchmarks.ROOM.NAME``."""
