# Licensed under a 3-clause BSD style license - see LICENSE
"""Folders: the repository's root, and real data."""

import os
from pathlib import Path

__all__ = ["ROOT", "SHARED", "require"]

ROOT = Path(__file__).parents[2]
"""The root of the repository."""

SHARED = Path(os.environ.get("ASTRO_PHOTZ_SHARED") or ROOT.parent / "shared" / "data")
"""Folder of real SDSS data, which are never part of the repository: ``$ASTRO_PHOTZ_SHARED``, or ``../shared/data``."""


def require(path=SHARED):
    """End the command if real data, a file or folder, are not at hand; otherwise return the path."""
    if not path.exists():
        raise SystemExit(f"this needs real SDSS data: {path} is missing (set ASTRO_PHOTZ_SHARED to another folder)")
    return path
