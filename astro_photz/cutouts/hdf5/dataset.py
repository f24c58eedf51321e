# Licensed under a 3-clause BSD style license - see LICENSE
"""
A file of cutouts as a data set for training or testing: groups of galaxies that belong together, and its hash.
"""

import contextlib
import re
from pathlib import Path

import numpy as np

from astro_photz.utils._arrays import integers
from astro_photz.utils._files import aside, sha256

__all__ = ["data_hash", "read_groups"]

_KEPT_FROM = 10**8
"""Size of a file (bytes) from which on its hash is kept: those of smaller ones are worked out in no time."""


def read_groups(file):
    """
    Read the groups of galaxies that are not independent, as they have the same progenitor.

    Parameters
    ----------
    file : `h5py.File`
        With ``seed_index`` (N,) if its galaxies are simulated: the number of the progenitor, or -1 for none.

    Returns
    -------
    `~numpy.ndarray` (N,) of int or None
        The same number for galaxies that belong together; None if the file does not say.

    Examples
    --------
    >>> import numpy as np
    >>> from astro_photz.cutouts.hdf5.dataset import read_groups
    >>> read_groups({"seed_index": np.array([5, -1, 5, -1])})
    array([ 5, -2,  5, -4])
    """
    if "seed_index" not in file:
        return None
    progenitors = integers(file["seed_index"][()])
    alone = -1 - np.arange(len(progenitors))
    return np.where(progenitors < 0, alone, progenitors)


def data_hash(path):
    """
    Compute the SHA-256 of a file; keep that of a large one in a file beside it, whose name ends in ``.photz-sha256``.

    Nothing is left beside files smaller than 100 MB, which are quickly read again. The kept hash is used as long as the
    size of the file and the time of its last change stay the same.

    Parameters
    ----------
    path : str or path-like

    Returns
    -------
    str
        64 hexadecimal digits.
    """
    path = Path(path)
    kept = path.with_name(path.name + ".photz-sha256")
    state = path.stat()
    if state.st_size < _KEPT_FROM:
        return sha256(path)
    holds = f" {state.st_size} {state.st_mtime_ns}\n"
    text = kept.read_text(encoding="utf-8") if kept.exists() else ""
    if re.fullmatch(r"[0-9a-f]{64}" + re.escape(holds), text):
        return text[:64]
    digest = sha256(path)
    with contextlib.suppress(OSError), aside(kept) as part:  # of a folder that is not ours, or a full disk
        part.write_text(digest + holds, encoding="utf-8")
    return digest
