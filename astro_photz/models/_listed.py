# Licensed under a 3-clause BSD style license - see LICENSE
"""
The files of a model that its card lists: each is read once, whole, and is what the card describes, or is refused.

What is used later are the bytes whose hash was compared, never the file again, which may change in the meantime.
"""

import hashlib
import os
import stat

__all__ = ["LARGEST_FILE", "listed_bytes"]

LARGEST_FILE = 2**30
"""Largest size (bytes) of a file of a model: 250 million weights."""


def listed_bytes(folder, name, hashes):
    """
    Read a file of a model.

    Parameters
    ----------
    folder : `~pathlib.Path`
    name : str
    hashes : dict of str
        Those of the files by name, as the card tells them.

    Returns
    -------
    bytes

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If the card does not list it, it is another one, or it is too large.
    """
    path = folder / name
    if not path.is_file():
        raise FileNotFoundError(f"{folder} is no folder of a model: it has no {name}")
    content = _content(path)
    found, wanted = hashlib.sha256(content).hexdigest(), hashes.get(name)
    if found != wanted:
        told = f"that in the card is {wanted}" if wanted else "the card does not list it"
        raise ValueError(
            f"{path} is not the file that its card describes: its sha256 is {found}, and {told}. It was changed or "
            "damaged; get the model again."
        )
    return content


def _content(path):
    # a pipe that takes the file's place does not make the process wait
    descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
    with open(descriptor, "rb") as file:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            raise ValueError(f"{path} is no file of a model: it is no regular file")
        if status.st_size > LARGEST_FILE:
            raise ValueError(f"{path} is no file of a model: it has {status.st_size} bytes, more than {LARGEST_FILE}")
        return file.read(LARGEST_FILE)
