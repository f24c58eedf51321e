# Licensed under a 3-clause BSD style license - see LICENSE
"""
One limit of the rate of queries, for all threads and processes of a user.

The server counts the queries of a user together, whichever process sends them. So the times of the latest ones stand
in a file of the cache, which processes lock as they read and write it. A cache that several machines share limits them
together. Where the file system knows no locks, or the cache cannot be written, each process has a limit of its own.
"""

import errno
import os
import threading
import time
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from astropy.config import get_cache_dir

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

__all__ = ["RateLimit", "shared_file"]

_MINUTE = 60
_TRIES, _PAUSE = 100, 0.02  # for a lock that others hold for a millisecond; then this process counts alone
_BUSY = {errno.EAGAIN, errno.EACCES}
_MOST = 2**20  # bytes that are read of the file, which may be anything


def shared_file():
    """
    Path of the file that the processes of a user share.

    Returns
    -------
    `~pathlib.Path` or None
        None where there is no cache.
    """
    try:
        folder = Path(get_cache_dir()) / "astro_photz"
        folder.mkdir(exist_ok=True)
    except OSError:  # a home in which nothing can be written
        return None
    return folder / "queries"


class RateLimit:
    """
    Limit of the number of passes in any minute.

    Parameters
    ----------
    minute : float, optional
        Its length (s): a test may shorten it.
    file : callable, optional
        Gives the path of the file that processes share, or None; by default there is none.
    """

    def __init__(self, *, minute=_MINUTE, file=None):
        self._minute = minute
        self._file = file
        self._own = np.empty(0)  # times of this process's passes
        self._lock = threading.Lock()

    def wait(self, per_minute, *, sleep=time.sleep):
        """Wait until there is room for another pass."""
        with self._lock:
            while (pause := self._pass(per_minute)) > 0:
                sleep(pause)

    def _pass(self, per_minute):
        """Pass, and return 0; or return the seconds until there may be room."""
        with _locked(self._file and self._file()) as descriptor:
            passes = self._own if descriptor is None else _read(descriptor)
            now = time.time()  # not that of this process alone
            # What lies in the future is of a clock that was put back, or of a machine that is a little ahead.
            passes = np.sort(passes[np.abs(passes - now) < self._minute])
            if len(passes) >= per_minute:
                return max(_PAUSE, float(passes[len(passes) - per_minute]) + self._minute - now)
            passes = np.append(passes, now)
            if descriptor is not None:
                _write(descriptor, passes)
            self._own = passes
            return 0


@contextmanager
def _locked(path):
    """Yield the descriptor of a file that is locked; None if it cannot be."""
    descriptor = None
    try:
        descriptor = _open(path) if path is not None and fcntl is not None else None
        yield descriptor
    finally:
        if descriptor is not None:
            os.close(descriptor)


def _open(path):
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | getattr(os, "O_NONBLOCK", 0), 0o600)
    except OSError:
        return None
    for _ in range(_TRIES):
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return descriptor
        except OSError as error:
            if error.errno not in _BUSY:
                break
            time.sleep(_PAUSE)
    os.close(descriptor)
    return None


def _read(descriptor):
    try:
        content = os.pread(descriptor, _MOST, 0)
    except OSError:
        return np.empty(0)
    passes = np.frombuffer(content[: len(content) // 8 * 8])
    return passes[np.isfinite(passes)]


def _write(descriptor, passes):
    try:
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, passes.tobytes(), 0)
    except OSError:  # a full disk: the limit of this process still holds
        return
