# Licensed under a 3-clause BSD style license - see LICENSE
"""
Files that are complete or absent, and their hashes.

A file is written as a part beside its place (`astro_photz.utils._parts`), is on the disk before it takes its name, and
has its name on the disk before the work counts as done.
"""

import errno
import hashlib
import json
import os
import re
import shutil
import stat
import tempfile
from contextlib import contextmanager
from pathlib import Path

from ._parts import OLD, file_type, free_name, new_part, settle, sweep, sync

__all__ = [
    "NO_ROOM",
    "KeptElsewhere",
    "aside",
    "check_room",
    "expanded",
    "folder_aside",
    "full_disk_told",
    "lacks_room",
    "save",
    "sha256",
    "take_room",
    "write_json",
]

NO_ROOM = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
"""Errors of the system when a file does not fit."""


class KeptElsewhere(OSError):
    """There is no room for a result, which is now in another ``place``."""

    place = None


def expanded(path):
    """Path with ``~`` replaced by the user's home, unless there is no such user."""
    return Path(os.path.expanduser(path))


@contextmanager
def aside(path, *, overwrite=True):
    """
    Yield a path to write a file to, which takes the name ``path`` when it is complete; after an error, none is left.

    The path is in the same folder, hidden, with the same suffixes. A file that is there is replaced, and its mode kept;
    of a link, the file behind it. Into a device or a pipe, the content goes when it is complete.

    With ``overwrite=False``, a file that appeared meanwhile is not replaced: the result then takes another name, and a
    FileExistsError tells it.
    """
    path = _behind_links(Path(path))
    if file_type(path) not in (0, stat.S_IFREG):
        with _poured(path) as part:
            yield part
        return
    sweep(path.parent)
    part = new_part(path)
    try:
        yield part
        settle(part, path, overwrite=overwrite)
    finally:
        part.unlink(missing_ok=True)


@contextmanager
def folder_aside(path, *, sign, kind, overwrite=True):
    """
    Yield a folder to write into, which takes the name ``path`` when it is complete; after an error, nothing is left.

    A folder of this kind, known by a file called ``sign``, or an empty one is replaced; for anything else of that name,
    raise a FileExistsError that calls such a folder ``kind``, e.g. ``"a model's folder"``. ``overwrite`` is as in
    `aside`. Of a link, the folder behind it is replaced.
    """
    path = _behind_links(Path(path))
    _check_replaceable(path, sign, kind)
    path.parent.mkdir(parents=True, exist_ok=True)
    sweep(path.parent)
    part = new_part(path.with_name(f"{path.name}.part"))
    old = new_part(path.with_name(f"{path.name}{OLD}"))
    part.mkdir()
    try:
        yield part
        if overwrite and path.exists():
            _check_replaceable(path, sign, kind)  # it may be another one by now
            part.chmod(path.stat().st_mode & 0o7777)
            sync(part)
            os.rename(path, old)  # a kill between here and there is made good by `sweep`
        try:
            settle(part, path, overwrite=False)
        except BaseException:
            if old.exists() and not path.exists():
                os.rename(old, path)
            raise
    finally:
        shutil.rmtree(part, ignore_errors=True)
        shutil.rmtree(old, ignore_errors=True)


def _check_replaceable(path, sign, kind):
    if path.exists() and not (path / sign).exists() and not (path.is_dir() and not any(path.iterdir())):
        raise FileExistsError(f"{path} exists and is not {kind}: choose another path")


def _behind_links(path):
    """Path of the file behind a link, which stays a link."""
    return Path(os.path.realpath(path)) if path.is_symlink() else path


@contextmanager
def _poured(path):
    """Yield a path in the temporary folder, from which the content goes into a device or a pipe."""
    if path.is_dir():
        raise IsADirectoryError(f"{path} is a folder: give the name of a file")
    with tempfile.TemporaryDirectory() as folder:
        part = Path(folder) / path.name
        yield part
        with open(part, "rb") as content, open(path, "wb") as file:
            shutil.copyfileobj(content, file)


@contextmanager
def full_disk_told(path, nbytes=None):
    """
    Turn HDF5's page of errors about a full disk into one line.

    If an error comes from a full disk, raise an OSError with ``errno`` that names the file and its size.
    """
    try:
        yield
    except KeptElsewhere:  # which is told already
        raise
    except (OSError, RuntimeError, ValueError) as error:
        number = lacks_room(error)
        if number:
            raise _no_room(path, nbytes, os.strerror(number), number) from error
        raise


def lacks_room(error):
    """Number of an error that comes from a full disk; None for another error."""
    found = re.search(r"errno = (\d+)", str(error))  # HDF5's
    number = getattr(error, "errno", None) or (int(found[1]) if found else None)
    return number if number in NO_ROOM else None


def _no_room(path, nbytes, why, number=errno.ENOSPC):
    size = f", of {_in_words(nbytes)}" if nbytes else ""
    return OSError(number, f"no room for {path}{size} ({why}): make some, or choose another disk")


def _in_words(nbytes):
    return f"{nbytes / 1e9:.3g} GB" if nbytes >= 1e7 else f"{nbytes / 1e6:.3g} MB"


def check_room(path, nbytes):
    """
    Look for the room of a file on the disk before the work.

    Raise an OSError that names the file if less is free. Nothing is reserved: see `take_room`.
    """
    try:
        free = shutil.disk_usage(Path(os.path.realpath(path)).parent).free
    except OSError:  # a file system that does not tell
        return
    if nbytes > free:
        raise _no_room(path, nbytes, f"{_in_words(free)} are free")


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


def save(path, write, *, overwrite=True):
    """
    Write a result that took long to make; if its disk is full, into another folder.

    Parameters
    ----------
    path : str or path-like
    write : callable
        Called with the path of a part, as in `aside`; a second time if the disk was full.
    overwrite : bool, optional
        As in `aside`.

    Raises
    ------
    KeptElsewhere
        If there is no room. The message tells the place where the result is instead: in the temporary folder, the
        user's cache or home, the first that has room.
    OSError
        If there is no room in these either.
    """
    try:
        with full_disk_told(path), aside(path, overwrite=overwrite) as part:
            write(part)
    except OSError as error:
        kept = _kept_elsewhere(Path(path), write) if lacks_room(error) else None
        if kept is None:
            raise
        told = KeptElsewhere(error.errno, f"{error.strerror}. The result is in {kept}")
        told.place = kept
        raise told from error


def _kept_elsewhere(path, write):
    for folder in (Path(tempfile.gettempdir()), expanded("~/.cache"), expanded("~")):
        for place in (folder / path.name, *(free_name(folder / path.name, number) for number in range(2, 100))):
            if os.path.lexists(place):
                continue
            try:
                with aside(place, overwrite=False) as part:
                    write(part)
            except Exception:  # the first error is reported
                break
            return place
    return None


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
