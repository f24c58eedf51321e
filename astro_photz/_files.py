# Licensed under a 3-clause BSD style license - see LICENSE
"""
Files that are whole or not there, and how to tell one from another.
"""

import hashlib
import json
import os
import secrets
from contextlib import contextmanager
from pathlib import Path

__all__ = ["aside", "sha256", "write_json"]


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
