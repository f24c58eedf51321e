# Licensed under a 3-clause BSD style license - see LICENSE
"""
Files that are whole or not there, and how to tell one from another.
"""

import errno
import hashlib
import json
import os
import re
import secrets
from contextlib import contextmanager
from pathlib import Path

__all__ = ["NO_ROOM", "aside", "expanded", "full_disk_told", "sha256", "take_room", "write_json"]

NO_ROOM = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
"""What the system says where a file does not fit."""


def expanded(path):
    """
    Path with the user's home for ``~``; a file whose name begins like that stays itself.

    Parameters
    ----------
    path : str or path-like

    Returns
    -------
    `~pathlib.Path`
    """
    return Path(os.path.expanduser(path))


@contextmanager
def aside(path):
    """
    A name to write a file under, which takes its own when it is whole; after an error, nothing is left of it.

    Parameters
    ----------
    path : path-like
        Of the file; one that is there is replaced.

    Yields
    ------
    `~pathlib.Path`
        In the same folder, hidden, with the same endings.
    """
    path = Path(path)
    part = path.with_name(f".part.{secrets.token_hex(4)}.{path.name}")  # another machine may write the same file
    try:
        yield part
        os.replace(part, path)
    finally:
        part.unlink(missing_ok=True)


@contextmanager
def full_disk_told(path, nbytes=None):
    """
    Say in a line that there is no room for a file, where HDF5 says it in a page.

    Parameters
    ----------
    path : path-like
        The file that is written.
    nbytes : int, optional
        How large it is to be.

    Raises
    ------
    OSError
        With ``errno`` set, if it is the reason of another error.
    """
    try:
        yield
    except (OSError, RuntimeError) as error:
        told = re.search(r"errno = (\d+)", str(error))
        number = getattr(error, "errno", None) or (int(told[1]) if told else None)
        if number in NO_ROOM:
            size = f", of {nbytes / 1e9:.3g} GB" if nbytes else ""
            told = f"no room for {path}{size} ({os.strerror(number)}): make some, or choose another disk"
            raise OSError(number, told) from error
        raise


def take_room(path):
    """
    Have the file system set the room of a file aside now, so that a full disk is told before the work.

    Parameters
    ----------
    path : path-like

    Raises
    ------
    OSError
        If there is no room for it.
    """
    if not hasattr(os, "posix_fallocate"):
        return
    with open(path, "r+b") as file:
        try:
            os.posix_fallocate(file.fileno(), 0, max(1, os.fstat(file.fileno()).st_size))
        except OSError as error:
            if error.errno in NO_ROOM:
                raise
            # some file systems cannot; the work will show


def write_json(path, value):
    """
    Write a value as JSON, aside at first.

    Parameters
    ----------
    path : path-like
        Of the file; one that is there is replaced.
    value : object
        Such as JSON can hold.
    """
    with aside(path) as part:
        part.write_text(json.dumps(value, indent=1) + "\n", encoding="utf-8")


def sha256(path):
    """
    Hash of a file.

    Parameters
    ----------
    path : path-like

    Returns
    -------
    str
        64 hexadecimal digits.
    """
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
