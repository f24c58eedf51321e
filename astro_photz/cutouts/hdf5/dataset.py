# Licensed under a 3-clause BSD style license - see LICENSE
"""
A file of cutouts as a data set to train on or to judge by: which of its galaxies belong together, and its hash.
"""

import contextlib
import os
import re
from pathlib import Path

import numpy as np

from astro_photz.utils._arrays import integers
from astro_photz.utils._files import sha256

__all__ = ["data_hash", "read_groups"]


def read_groups(file):
    """
    Which galaxies of a file are not independent: those that were drawn from the same real one.

    Parameters
    ----------
    file : `h5py.File`
        With ``seed_index`` (N,) if its galaxies are simulated: the real galaxy's number, or -1 for none.

    Returns
    -------
    `~numpy.ndarray` (N,) of int or None
        The same number for those that belong together; None if nothing is known.

    Examples
    --------
    >>> import numpy as np
    >>> from astro_photz.cutouts.hdf5.dataset import read_groups
    >>> read_groups({"seed_index": np.array([5, -1, 5, -1])})
    array([ 5, -2,  5, -4])
    """
    if "seed_index" not in file:
        return None
    seeds = integers(file["seed_index"][()])
    alone = -1 - np.arange(len(seeds))
    return np.where(seeds < 0, alone, seeds)


def data_hash(path):
    """
    SHA-256 of a file, kept beside it, in a file of its name and ``.photz-sha256``, where that can be written.

    It holds as long as the file has the size and the time of its last change that are kept with it.

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
    holds = f" {state.st_size} {state.st_mtime_ns}\n"
    told = kept.read_text(encoding="utf-8") if kept.exists() else ""
    if re.fullmatch(r"[0-9a-f]{64}" + re.escape(holds), told):
        return told[:64]
    digest = sha256(path)
    part = kept.with_name(f"{kept.name}.{os.getpid()}.part")
    try:
        part.write_text(digest + holds, encoding="utf-8")
        os.replace(part, kept)
    except OSError:  # a folder that is not ours, or a full disk
        with contextlib.suppress(OSError):
            part.unlink(missing_ok=True)
    return digest
