# Licensed under a 3-clause BSD style license - see LICENSE
"""Where the real data lie."""

import os
from pathlib import Path

import pytest

__all__ = ["SHARED", "needs_shared"]

SHARED = Path(os.environ.get("ASTRO_PHOTZ_SHARED") or Path(__file__).parents[2] / "shared" / "data")
"""Folder of real SDSS data: beside the repository, or where the environment says. They are never part of it."""

needs_shared = pytest.mark.skipif(not SHARED.is_dir(), reason="needs the real SDSS data of ../shared, absent here")
"""Marks a test that needs the real data."""
