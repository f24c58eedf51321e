# Licensed under a 3-clause BSD style license - see LICENSE
"""
Images of galaxies: the `Cutouts` container, and the sources that fill it.

A *source* is any object with a ``name`` and a method ``batches(positions, size=...)``, which yields the cutouts of the
galaxies it is asked for, in any order. `SDSSArchive` asks the survey's servers, `FrameDirectory` reads a folder of
frames, `CutoutFile` reads an HDF5 file. `fetch` collects the batches of a source in memory, `fetch_to_file` in a file.
`CutoutWriter` writes a file of your own, batch by batch.
"""

from .container import Cutouts
from .fetching import Fetched, fetch, fetch_to_file
from .sources.protocol import Batch, CutoutSource

__all__ = [
    "Batch",
    "CutoutFile",
    "CutoutSource",
    "CutoutWriter",
    "Cutouts",
    "Fetched",
    "FrameDirectory",
    "SDSSArchive",
    "fetch",
    "fetch_to_file",
]

_HOMES = {
    "CutoutFile": "sources.hdf5_file",
    "CutoutWriter": "hdf5.writer",
    "FrameDirectory": "sources.directory",
    "SDSSArchive": "sources.archive",
}


def __getattr__(name):  # astroquery takes a second to import, and a user of one source needs not the others
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(f".{_HOMES[name]}", __name__), name)
