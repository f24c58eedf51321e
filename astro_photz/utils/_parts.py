# Licensed under a 3-clause BSD style license - see LICENSE
"""
Parts: files and folders that are being written, under names that tell whose they are.

A part lies beside the file that it will be, ``.part.OWNER.NAME``. Its owner is a process: a machine, a number, and the
time at which it began. A part whose owner is dead is swept by the next process that writes into the folder.
"""

import errno
import hashlib
import os
import re
import secrets
import shutil
import socket
import stat
import time
from contextlib import suppress
from functools import cache
from pathlib import Path

__all__ = ["OLD", "PREFIX", "file_type", "free_name", "new_part", "settle", "sweep", "sync", "sync_folder"]

PREFIX = ".part."
"""Beginning of the name of every part."""

OLD = ".old.part"
"""Ending of the name of a folder that is being replaced."""

_OWNED = re.compile(rf"{re.escape(PREFIX)}([0-9a-f]{{8}})-(\d+)-([0-9a-f]{{8}})-[0-9a-f]{{8}}\..+")
_OURS = re.compile(rf"{re.escape(PREFIX)}[0-9a-f-]{{8,}}\..+")  # also of earlier versions, which named no owner
_ABANDONED = 24 * 3600.0  # seconds since the last byte, from which a part of an unknown owner is nobody's
_LONGEST = 200  # bytes of a name, most of the 255 that file systems take: the owner needs the rest
_NO_LINKS = {errno.EPERM, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK, errno.EXDEV}
_NO_SYNC = {errno.EINVAL, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS, errno.EBADF}


def file_type(path):
    """
    Type of a file, or of what is behind a link: ``S_IFREG``, ``S_IFDIR`` and the others of `stat`; 0 without one.

    It is one look: of two, a file may be gone at the second, and then count as a device.
    """
    try:
        return stat.S_IFMT(os.stat(path).st_mode)
    except OSError:  # nothing there; where it may not be looked at, the work itself will tell
        return 0


def new_part(path):
    """Name a part for a file or folder, which keeps its suffixes: some writers go by them."""
    name = path.name
    while len(os.fsencode(name)) > _LONGEST:
        name = name[1:]
    return path.with_name(f"{PREFIX}{_machine()}-{os.getpid()}-{_start_of(os.getpid())}-{secrets.token_hex(4)}.{name}")


def sweep(folder):
    """
    Delete the parts of dead processes in a folder.

    A part of this machine is deleted once its process has ended, one of another machine or of an earlier version if
    nothing was written to it for a day. A folder that was about to be replaced takes its name again.
    """
    with suppress(OSError):  # whatever cannot be swept does not hinder the work
        for name in os.listdir(folder):
            if name.startswith(PREFIX) and _is_dead(Path(folder) / name):
                _clear(Path(folder) / name)


def sync(path):
    """Have a file on the disk, or all files of a folder and the folder itself."""
    if path.is_dir():
        for one in path.iterdir():
            sync(one)
        sync_folder(path)
    elif not path.is_symlink():
        _sync(path, os.O_RDWR if os.name == "nt" else os.O_RDONLY)


def sync_folder(path):
    """Have the names in a folder on the disk."""
    if os.name != "nt":
        with suppress(PermissionError):  # one may write into a folder that one may not read
            _sync(path, os.O_RDONLY)


def settle(part, path, *, overwrite=True):
    """
    Give a part that is complete its name, once it is on the disk.

    Parameters
    ----------
    part, path : `~pathlib.Path`
        In the same folder. The file keeps the mode, and if possible the owner, of one that it replaces.
    overwrite : bool, optional
        Replace a file that is there by now.

    Raises
    ------
    FileExistsError
        If there is one by now, and it is not to be replaced. The part then has another name, which the message tells.
    """
    if overwrite:
        _like_the_old(part, path)
    sync(part)
    sync_folder(path.parent)
    try:
        if overwrite:
            os.replace(part, path)
        else:
            _place(part, path)
    except FileExistsError as error:
        if overwrite:
            raise
        kept = _place_beside(part, path)
        sync_folder(path.parent)
        raise FileExistsError(f"{path} appeared meanwhile and was not replaced: the result is in {kept}") from error
    sync_folder(path.parent)


def free_name(path, number):
    """Name of a file beside another one: ``z-2.fits.gz`` for ``z.fits.gz`` and the number 2."""
    stem, dot, suffixes = path.name.lstrip(".").partition(".")
    hidden = "." * (len(path.name) - len(path.name.lstrip(".")))
    return path.with_name(f"{hidden}{stem}-{number}{dot}{suffixes}")


def _place_beside(part, path):
    for number in range(2, 1000):
        with suppress(FileExistsError):
            kept = free_name(path, number)
            _place(part, kept)
            return kept
    raise FileExistsError(f"{path} and a thousand files of such names exist: choose another name")


def _place(part, path):
    """Rename a part unless there is a file of that name, in one step where the file system can."""
    if part.is_dir() or os.name == "nt":
        if os.path.lexists(path) and not (path.is_dir() and not any(path.iterdir())):
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(path))
        os.rename(part, path)  # refuses a folder with something in it
        return
    try:
        os.link(part, path)
    except OSError as error:
        if error.errno not in _NO_LINKS:
            raise
        if os.path.lexists(path):
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(path)) from error
        os.rename(part, path)
    else:
        os.unlink(part)


def _like_the_old(part, path):
    """Give a part the mode of the file that it will replace, and its owner where that is allowed."""
    try:
        old, new = path.stat(), part.stat()
    except OSError:
        return
    if not stat.S_ISREG(old.st_mode):
        return
    if hasattr(os, "chown") and (old.st_uid, old.st_gid) != (new.st_uid, new.st_gid):
        with suppress(OSError):
            os.chown(part, old.st_uid, old.st_gid)
    with suppress(OSError):
        os.chmod(part, stat.S_IMODE(old.st_mode))


def _sync(path, how):
    descriptor = os.open(path, how)
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in _NO_SYNC:  # some file systems know no such thing
            raise
    finally:
        os.close(descriptor)


def _is_dead(path):
    """Return True if nobody will finish a part."""
    if not _OURS.fullmatch(path.name):
        return False
    owner = _OWNED.fullmatch(path.name)
    if owner and owner[1] == _machine():
        return owner[3] != _start_of(int(owner[2]))
    return time.time() - path.lstat().st_mtime > _ABANDONED


def _clear(path):
    if path.name.endswith(OLD):
        place = path.with_name(path.name.removeprefix(PREFIX).partition(".")[2].removesuffix(OLD))
        if not os.path.lexists(place):
            os.rename(path, place)
            return
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        with suppress(OSError):
            path.unlink()


@cache
def _machine():
    """Hash of the machine, or the container, in which numbers of processes are unique."""
    namespace = ""
    with suppress(OSError):
        namespace = os.readlink("/proc/self/ns/pid")
    return _hash(f"{socket.gethostname()} {namespace}")


def _start_of(pid):
    """Hash of the time at which a process began; of nothing but its number, where the system does not tell."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text()
        state, *fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        return "ended" if state in "ZX" else _hash(f"{boot} {fields[18]}")
    except (FileNotFoundError, ProcessLookupError):
        if Path("/proc/self/stat").exists():
            return "ended"
    except (OSError, IndexError):
        pass
    return _hash("unknown") if _runs(pid) else "ended"


def _runs(pid):
    if os.name == "nt":
        return True  # asking would end it
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:
        pass
    return True


def _hash(text):
    return hashlib.sha256(text.encode()).hexdigest()[:8]
