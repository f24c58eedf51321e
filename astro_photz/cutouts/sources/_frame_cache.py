# Licensed under a 3-clause BSD style license - see LICENSE
"""
Frames of the archive on the disk, in astropy's cache.
"""

import os
import threading
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory

from astropy.utils.data import cache_contents, clear_download_cache, download_file, import_file_to_cache

__all__ = ["FrameCache", "kept_file"]

_STEP = 0.05  # of the limit: what comes in before the next look, which takes time


class FrameCache:
    """
    Frames in astropy's cache, whose longest unused are removed beyond ``most`` bytes, if that is not 0.

    All processes that share the cache count together. Only files whose address begins with ``address`` are counted and
    removed.
    """

    def __init__(self, address, most):
        self._address = address
        self._most = most
        self._new = most  # bytes since the last look
        self._lock = threading.Lock()

    def find(self, url):
        """Find the path of a frame; None if it is not there."""
        path = kept_file(url)
        if path and self._most:
            with suppress(OSError):  # somebody else's, or gone by now
                os.utime(path)  # the time of its last use, for other processes too
        return path

    def keep(self, url, content):
        """Write the bytes of a frame into the cache."""
        with TemporaryDirectory(prefix="astro-photz-") as folder:
            path = Path(folder) / "frame"
            path.write_bytes(content)
            import_file_to_cache(url, str(path), remove_original=True)
        if self._most:
            with self._lock:
                self._new += len(content)
                if self._new > _STEP * self._most:
                    with suppress(FileNotFoundError):  # another process removes frames: it is looked again next time
                        self._make_room(url)
                        self._new = 0

    def forget(self, url):
        """Remove a frame."""
        clear_download_cache(url)

    def _make_room(self, new):
        files = self._files()
        used = sum(size for _, size, _ in files)
        for _, size, url in files:
            if used <= (1 - 2 * _STEP) * self._most:
                break
            if url != new:
                self.forget(url)
                used -= size

    def _files(self):
        """Times of the last use, sizes and addresses of the frames, the longest unused first."""
        files = []
        for url, path in cache_contents().items():
            try:
                told = Path(path).stat() if url.startswith(self._address) else None
            except OSError:  # another process removed it meanwhile
                continue
            if told:
                files.append((told.st_mtime_ns, told.st_size, url))
        return sorted(files)


def kept_file(url):
    """Find the path of a file in astropy's cache; None if it is not there."""
    try:
        return download_file(url, cache=True, sources=[])
    except KeyError:  # not in the cache
        return None
