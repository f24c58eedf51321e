# Licensed under a 3-clause BSD style license - see LICENSE
"""
Files of cutouts for astropy's unified I/O: ``Table.read("stamps.h5")`` reads the galaxies of such a file.

The format is ``astro_photz.stamps``; the import of this module registers it. `~astropy.table.Table` finds the format by
itself; for a class derived from it, such as `~astropy.table.QTable`, give ``format="astro_photz.stamps"``.
"""

import os

from astropy.io import registry
from astropy.table import Table

__all__ = ["FORMAT", "is_stamps", "register"]

FORMAT = "astro_photz.stamps"
"""Name of the format in ``Table.read(path, format=...)``."""

_SIGNATURE = b"\x89HDF\r\n\x1a\n"
_NAMES = {"images", "e_bv"}


def register():
    """
    Register the format in astropy's registry; a second time changes nothing.

    Examples
    --------
    >>> import astro_photz
    >>> import astro_photz.adapters.unified_io
    >>> from astropy.table import Table
    >>> table = Table.read(astro_photz.demo_path())
    >>> len(table), table["ebv"].unit, table.meta["stamp_size"]
    (24, Unit("mag"), 64)
    """
    registry.register_identifier(FORMAT, Table, is_stamps, force=True)
    # astropy's own reader takes any file of HDF5: where both could, the higher priority decides
    registry.register_reader(FORMAT, Table, _read, force=True, priority=1)


def is_stamps(origin, path, fileobj, /, *args, **options):
    """
    Tell astropy whether a file is one of cutouts.

    Parameters
    ----------
    origin : {"read", "write"}
    path : str or None
    fileobj : file-like or None
        The open file.
    *args, **options
        Of ``Table.read``. With any beyond the file, the reader of another format is meant.

    Returns
    -------
    bool
        True for an HDF5 file with the data sets ``images`` and ``e_bv`` and no table: astropy's own reader refuses it.
    """
    if origin != "read" or fileobj is None or len(args) > 1 or options:
        return False
    return _begins(fileobj, _SIGNATURE) and _holds_stamps(getattr(fileobj, "name", None))


def _begins(fileobj, signature):
    try:
        place = fileobj.tell()
        try:
            return fileobj.read(len(signature)) == signature
        finally:
            fileobj.seek(place)
    except (OSError, ValueError):  # a pipe
        return False


def _holds_stamps(path):
    """Look for the names of the layout in a file, and for tables, without reading values."""
    if not isinstance(path, str | os.PathLike) or not os.path.isfile(path):
        return False
    from astro_photz.utils._hdf5 import open_hdf5

    tables = []
    try:
        with open_hdf5(path) as file:
            if not set(file) >= _NAMES:
                return False
            file.visititems(lambda name, item: tables.append(name) if _is_table(item) else None)
    except Exception:  # a damaged file raises errors of many classes; astropy's reader tells it
        return False
    return not tables


def _is_table(item):
    return getattr(getattr(item, "dtype", None), "kind", "") == "V"


def _read(file):
    """Read the galaxies of a file of cutouts, given by its path or open."""
    from astro_photz.cutouts.hdf5.catalogue import read_catalogue
    from astro_photz.utils._suggestions import shortened

    path = file if isinstance(file, str | os.PathLike) else getattr(file, "filename", getattr(file, "name", None))
    if not isinstance(path, str | os.PathLike):
        raise TypeError(f"a file of cutouts must be a path, or a file on disk that is open; got {shortened(file)}")
    return read_catalogue(path)


register()
