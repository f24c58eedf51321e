# Licensed under a 3-clause BSD style license - see LICENSE
"""
Tools for tests: the contract of cutout sources, synthetic galaxies and frames, a server that plays the archive.

They serve the tests of this package, and tests of sources that others write. They do not need pytest.
"""

from .factories import gaussian_cutouts
from .loopback import LoopbackArchive, synthetic_archive
from .source_contract import archive_of_scene, catalogue, check_source, scene, write_scene
from .synthetic_frames import Field, make_edge, make_field, make_run, write_field
from .synthetic_sky import Galaxy, Geometry, make_sky

__all__ = [
    "Field",
    "Galaxy",
    "Geometry",
    "LoopbackArchive",
    "archive_of_scene",
    "catalogue",
    "check_source",
    "gaussian_cutouts",
    "make_edge",
    "make_field",
    "make_run",
    "make_sky",
    "scene",
    "synthetic_archive",
    "write_field",
    "write_scene",
]
