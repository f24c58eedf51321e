# Licensed under a 3-clause BSD style license - see LICENSE
"""
Outputs that a process claims for itself as long as it works on them.
"""

import errno
import os
import stat
import threading
import time
from contextlib import contextmanager, suppress
from pathlib import Path

from ._parts import PREFIX, file_type, sweep

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

__all__ = ["claimed"]

_LOCK = f"{PREFIX}lock."
_HELD: set[tuple[Path, int]] = set()  # places that this process has claimed, with the threads
_TRIES, _PAUSE = 4, 0.05  # seconds
_NO_LOCKS = {errno.ENOLCK, errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP, errno.EINVAL}


@contextmanager
def claimed(path):
    """
    Claim an output, file or folder, before the work on it; a second process that wants it is told at once.

    The claim ends with its process, however that ends. It is a lock on a file beside the output, which goes with it.
    Where the file system knows no locks, and of a device or a pipe, nothing is claimed. A thread may claim again what
    it has claimed.

    Parameters
    ----------
    path : str or path-like
        Of a link, the file behind it is claimed.

    Raises
    ------
    BlockingIOError
        If another process, or another thread, works on the output.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> from astro_photz.utils._claims import claimed
    >>> path = pathlib.Path(tempfile.mkdtemp()) / "z.ecsv"
    >>> with claimed(path):
    ...     sorted(file.name for file in path.parent.iterdir())
    ['.part.lock.z.ecsv']
    >>> list(path.parent.iterdir())
    []
    """
    place = Path(os.path.realpath(path))
    key = place, threading.get_ident()
    if file_type(place) not in (0, stat.S_IFREG, stat.S_IFDIR) or key in _HELD:
        yield
        return
    lock = place.with_name(f"{_LOCK}{place.name}")
    descriptor = None if fcntl is None else _locked(lock, path)
    _HELD.add(key)
    try:
        sweep(place.parent)
        if descriptor is not None:
            _sweep_locks(place.parent, lock)
        yield
    finally:
        _HELD.discard(key)
        if descriptor is not None:
            with suppress(OSError):  # while it is locked: whoever opened it before will see that it is gone
                lock.unlink()
            os.close(descriptor)


def _locked(lock, path):
    """Open and lock a file; None where that cannot be done: the work itself will tell why."""
    for tries_left in reversed(range(_TRIES)):
        try:
            descriptor = os.open(lock, os.O_RDWR | os.O_CREAT, 0o666)
        except OSError:  # no such folder, no permission, a full disk
            return None
        if _took(descriptor, lock):
            return descriptor
        os.close(descriptor)
        if tries_left:
            time.sleep(_PAUSE)  # it may be deleted just now
    raise BlockingIOError(f"another process is writing {path}: wait until it has ended, or choose another name")


def _took(descriptor, lock):
    """Lock a file, unless another process has locked it, or deleted it meanwhile."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return os.path.samestat(os.stat(lock), os.fstat(descriptor))
    except (BlockingIOError, FileNotFoundError):
        return False
    except OSError as error:
        return error.errno in _NO_LOCKS


def _sweep_locks(folder, own):
    """Delete the locks of dead processes in a folder."""
    for lock in folder.glob(f"{_LOCK}*"):
        if lock.name == own.name:
            continue
        with suppress(OSError):
            descriptor = os.open(lock, os.O_RDWR)
            try:
                if _took(descriptor, lock):
                    lock.unlink()
            finally:
                os.close(descriptor)
