# Licensed under a 3-clause BSD style license - see LICENSE
"""
Frames in memory, shared by the threads that cut stamps out of them.
"""

import threading
from collections import Counter, OrderedDict, defaultdict
from concurrent.futures import CancelledError, Future

__all__ = ["FrameStore"]


class FrameStore:
    """
    Decompressed frames, each loaded once, by one thread, and kept while a task needs it.

    ``load`` takes a field, a band, and the positions of the galaxies to be cut from that frame; it returns a frame or
    raises a `~astro_photz.cutouts.frames.FrameError`. Beyond ``max_bytes`` the least recently used frames are dropped,
    and loaded again if needed.
    """

    def __init__(self, load, *, tasks, coord, max_bytes):
        self._load = load
        self._coord = coord
        self._rows = defaultdict(set)
        for task in tasks:
            for field_id in task.fields:
                self._rows[field_id].update(task.rows_of(field_id))
        self._uses = Counter(field_id for task in tasks for field_id in task.fields)
        self._max_bytes = max_bytes
        self._frames = OrderedDict()
        self._lock = threading.Lock()
        self._closed = threading.Event()

    def get(self, field_id, band):
        """
        Get a frame, from memory if it is there.

        A frame that cannot be loaded raises the same FrameError at each call, without another try. A closed store
        raises CancelledError.
        """
        if self._closed.is_set():
            raise CancelledError
        key = field_id, band
        with self._lock:
            future = self._frames.get(key)
            mine = future is None
            if mine:
                future = self._frames[key] = Future()
            self._frames.move_to_end(key)
        if mine:
            try:
                coord = self._coord[sorted(self._rows[field_id])]
                future.set_result(self._load(field_id, band, coord))
            except BaseException as error:
                future.set_exception(error)
            self._evict()
        return future.result()

    def close(self):
        """Refuse further frames, so that threads that nobody waits for end with the one they are reading."""
        self._closed.set()

    def release(self, task):
        """Drop the frames that no task but this one, which is done, needs."""
        with self._lock:
            self._uses.subtract(task.fields)
            for key in [key for key in self._frames if self._uses[key[0]] <= 0]:
                del self._frames[key]

    def _evict(self):
        with self._lock:
            sizes = {
                key: future.result().nbytes
                for key, future in self._frames.items()
                if future.done() and future.exception() is None
            }
            excess = sum(sizes.values()) - self._max_bytes
            for key, size in sizes.items():  # the longest unused first
                if excess <= 0:
                    break
                del self._frames[key]
                excess -= size
