# Licensed under a 3-clause BSD style license - see LICENSE
"""
Files that are complete or absent, and their hashes.
"""

import errno
import hashlib
import json
import os
import re
import secrets
import shutil
from contextlib import contextmanager
from pathlib import Path

__all__ = ["NO_ROOM", "aside", "expanded", "folder_aside", "full_disk_told", "sha256", "take_room", "write_json"]

NO_ROOM = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
"""Errors of the system when a file does not fit."""


def expanded(path):
    """Path with ``~`` replaced by the user's home, unless there is no such user."""
    return Path(os.path.expanduser(path))


@contextmanager
def aside(path):
    """
    Yield a path to write a file to, which takes the name ``path`` when it is complete; after an error, none is left.

    The path is in the same folder, hidden, with the same suffixes. A file that is there is replaced.
    """
    path = Path(path)
    part = path.with_name(f".part.{secrets.token_hex(4)}.{path.name}")  # another machine may write the same file
    try:
        yield part
        os.replace(part, path)
    finally:
        part.unlink(missing_ok=True)


@contextmanager
def folder_aside(path, *, sign, kind):
    """
    Yield a folder to write into, which takes the name ``path`` when it is complete; after an error, nothing is left.

    A folder of this kind, known by a file called ``sign``, or an empty one is replaced; for anything else of that name,
    raise a FileExistsError that calls such a folder ``kind``, e.g. ``"a model's folder"``.
    """
    if path.exists() and not (path / sign).exists() and not (path.is_dir() and not any(path.iterdir())):
        raise FileExistsError(f"{path} exists and is not {kind}: choose another path")
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    shutil.rmtree(part, ignore_errors=True)
    part.mkdir(parents=True)
    try:
        yield part
        if path.exists():
            shutil.rmtree(path)
        os.replace(part, path)
    finally:
        shutil.rmtree(part, ignore_errors=True)


@contextmanager
def full_disk_told(path, nbytes=None):
    """
    Turn HDF5's page of errors about a full disk into one line.

    If an error comes from a full disk, raise an OSError with ``errno`` that names the file and its size.
    """
    try:
        yield
    except (OSError, RuntimeError) as error:
        found = re.search(r"errno = (\d+)", str(error))
        number = getattr(error, "errno", None) or (int(found[1]) if found else None)
        if number in NO_ROOM:
            size = f", of {nbytes / 1e9:.3g} GB" if nbytes else ""
            message = f"no room for {path}{size} ({os.strerror(number)}): make some, or choose another disk"
            raise OSError(number, message) from error
        raise


def take_room(path):
    """
    Reserve the room of a file on the disk, so that a full disk is noticed before the work.

    Raise an OSError if there is no room for it.
    """
    if not hasattr(os, "posix_fallocate"):
        return
    with open(path, "r+b") as file:
        try:
            os.posix_fallocate(file.fileno(), 0, max(1, os.fstat(file.fileno()).st_size))
        except OSError as error:
            if error.errno in NO_ROOM:
                raise
            # some file systems cannot reserve room: then a full disk shows during the work


def write_json(path, value):
    """
    Write a value as JSON, under another name at first.

    A file that is there is replaced.
    """
    with aside(path) as part:
        part.write_text(json.dumps(value, indent=1) + "\n", encoding="utf-8")


def sha256(path):
    """
    Compute the hash of a file.

    Return 64 hexadecimal digits.
    """
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
