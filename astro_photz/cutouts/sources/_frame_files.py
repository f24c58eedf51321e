# Licensed under a 3-clause BSD style license - see LICENSE
"""
Find the frames in a folder by their names.
"""

import os
import re
import warnings
from pathlib import Path

from astropy.utils.exceptions import AstropyUserWarning

__all__ = ["find_frames"]

_NAME = re.compile(
    r"frame-(?P<band>[ugriz])-(?P<run>\d{6})-(?P<camcol>[1-6])-(?P<field>\d{4})\.fits(\.bz2|\.gz)?$", re.IGNORECASE
)


def find_frames(folder):
    """
    Find the frames in a folder and its subfolders, and follow links.

    Paths come by band, run, camcol and field. Of several copies, a file is preferred to a broken link, and an
    uncompressed file to a compressed one. A folder that cannot be read gives a warning.
    """
    found = {}
    for path in sorted(_files(folder), key=_last_best):
        match = _NAME.match(path.name)
        found[match["band"].lower(), int(match["run"]), int(match["camcol"]), int(match["field"])] = path
    return found


def _last_best(path):
    return os.path.isfile(path), -len(path.name), path  # pathlib raises of a folder that may not be entered


def _files(folder):
    """Yield all files with a frame's name; each folder is searched once, however many links lead to it."""
    seen = set()
    for root, folders, names in os.walk(folder, followlinks=True, onerror=_warn):
        folders[:] = [name for name in sorted(folders) if _is_new(os.path.join(root, name), seen)]
        for path in (Path(root, name) for name in names if _NAME.match(name)):
            if os.path.isfile(path) or _leads_nowhere(path):  # a pipe or a device is no frame
                yield path


def _leads_nowhere(path):
    """Check whether a name is a link to a file that is gone: a frame that was there, and is missed."""
    return os.path.islink(path) and not os.path.exists(path)


def _is_new(folder, seen):
    try:
        status = os.stat(folder)
    except OSError as error:
        _warn(error)
        return False
    known = len(seen)
    seen.add((status.st_dev, status.st_ino))
    return len(seen) > known


def _warn(error):
    message = f"{error.filename} cannot be read, and frames in it are not found: {error.strerror}"
    warnings.warn(message, AstropyUserWarning, stacklevel=6)
