# Licensed under a 3-clause BSD style license - see LICENSE
"""
A journal beside an unfinished file: the task in its first line, then the numbers of the parts that are finished.

A number is noted when its part is on the disk, so that a journal is right also after the machine went down. A line
holds one number or, as ``12-267``, the first and last of several.
"""

import json
import os
import re
import time
from contextlib import suppress
from io import FileIO

import numpy as np

from ._files import aside
from ._parts import settle, sync

__all__ = ["Journal"]

_COMPLETE = "complete"
_EVERY = 1.0  # second between two waits for the disk
_HASH = re.compile(r"[0-9a-f]{32,}")
_WHOLE = re.compile(r"([0-9]{1,9})(?:-([0-9]{1,9}))?\n")  # a kill may cut a line short


class Journal:
    """
    Parts of an unfinished file that are finished.

    Use `open`. It takes a byte for each part.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> from astro_photz.utils._journal import Journal
    >>> part = pathlib.Path(tempfile.mkdtemp()) / "sky.h5.part"
    >>> part.touch()
    >>> journal = Journal.open(part, {"n": 512}, start=lambda: part.touch() or (), overwrite=False)
    >>> journal.add([1])
    >>> journal.close()
    >>> resumed = Journal.open(part, {"n": 512}, start=None, overwrite=False)
    >>> resumed.todo(4)
    array([0, 2, 3])
    >>> resumed.close()
    >>> Journal.open(part, {"n": 1024}, start=None, overwrite=False)
    Traceback (most recent call last):
        ...
    FileExistsError: ...sky.h5.part was begun with other settings (n 512, not 1024): give the same ones to ...
    """

    def __init__(self, part, task, done):
        self.part = part
        self.path = _beside(part)
        self._done = done
        sync(part)
        with aside(self.path) as new:  # one that is lost would take the work with it
            new.write_text(f"{task}\n{_lines_of(np.flatnonzero(done))}")
        self._data, self._file = FileIO(part, "r+"), FileIO(self.path, "a")
        self._pending, self._noted = [], -_EVERY

    @classmethod
    def open(cls, part, task, *, start, overwrite):
        """
        Resume the journal of a file that was begun, or start a new one.

        ``part`` is the unfinished file, and ``task`` all that decides its content. ``start()`` lays a new file out, and
        gives the numbers of the parts that it has finished. Raise a FileExistsError if a part is finished of a file of
        another task, unless ``overwrite`` is set, which starts anew.
        """
        path = _beside(part)
        task = json.dumps(task, sort_keys=True, default=str)
        lines = _lines(path) if part.exists() else []
        begun, *done = lines or [""]
        if begun == task + "\n":
            return cls(part, task, _mask(done))
        settings = _settings(begun)
        if settings is not None and not overwrite and any(map(_WHOLE.fullmatch, done)):
            raise FileExistsError(
                f"{part} was begun with other settings ({_difference(settings, json.loads(task))}): give the same ones "
                "to resume it, or set overwrite=True to start anew"
            )
        path.unlink(missing_ok=True)
        part.unlink(missing_ok=True)  # its room is for the new one
        try:
            return cls(part, task, _with(np.zeros(0, dtype=bool), start()))
        except BaseException:  # without a journal, the file is of no use
            if not path.exists():
                part.unlink(missing_ok=True)
            raise

    def todo(self, n):
        """Numbers below ``n`` of the parts that are not finished, `~numpy.ndarray` of int."""
        done = np.zeros(n, dtype=bool)
        done[: len(self._done)] = self._done[:n]
        return np.flatnonzero(~done)

    def __bool__(self):
        return bool(self._done.any())

    def add(self, numbers):
        """
        Note that parts are finished, once they are on the disk; within a second or so.

        Whatever processes wrote them into the file: one wait for the disk is for all of them.
        """
        self._done = _with(self._done, numbers)
        self._pending.extend(numbers)
        if time.monotonic() - self._noted > _EVERY:
            self._note()

    def _note(self):
        if self._pending:
            os.fsync(self._data.fileno())
            self._file.write(_lines_of(np.unique(self._pending)).encode())
            self._pending.clear()
        self._noted = time.monotonic()

    def close(self):
        """Close the journal, which stays."""
        if self._file.closed:
            return
        try:
            with suppress(OSError):  # then a few parts are made once more
                self._note()
        finally:
            self._data.close()
            self._file.close()

    def finish(self, path, *, overwrite):
        """
        Give the file its name, and delete the journal; both are closed.

        If there is a file of that name by now and ``overwrite`` is not set, raise a FileExistsError that tells the name
        that the file has instead.
        """
        self.close()
        try:
            settle(self.part, path, overwrite=overwrite)
        finally:
            self.tidy(self.part, path)

    def complete(self):
        """Note that another file is being made of this one, which is then of no more use."""
        self._note()
        self._file.write(f"{_COMPLETE}\n".encode())

    @staticmethod
    def tidy(part, path):
        """Delete what a kill has left of a finished file at ``path``: a journal without its file, or both."""
        lines = _lines(_beside(part))
        if path.exists() and f"{_COMPLETE}\n" in lines:
            part.unlink(missing_ok=True)
        if lines and not part.exists():
            _beside(part).unlink(missing_ok=True)


def _beside(part):
    return part.with_name(part.name + ".journal")


def _lines(path):
    try:
        return path.read_text(encoding="utf-8", errors="replace").splitlines(keepends=True)
    except FileNotFoundError:
        return []


def _mask(lines):
    """Mask of the numbers in lines of a journal."""
    found = [found for line in lines if (found := _WHOLE.fullmatch(line))]
    ranges = [(int(one[1]), int(one[2] or one[1]) + 1) for one in found]
    done = np.zeros(max((stop for _, stop in ranges), default=0), dtype=bool)
    for first, stop in ranges:
        done[first:stop] = True
    return done


def _with(done, numbers):
    """Mask with some numbers more."""
    numbers = np.fromiter(numbers, dtype=int)
    if len(numbers) and numbers.max() >= len(done):
        done = np.concatenate([done, np.zeros(numbers.max() + 1, dtype=bool)])  # room for as many again
    done[numbers] = True
    return done


def _lines_of(numbers):
    """Lines of a journal for numbers in increasing order."""
    breaks = np.flatnonzero(np.diff(numbers) != 1) + 1
    runs = [(run[0], run[-1]) for run in np.split(numbers, breaks) if len(run)]
    return "".join(f"{first}\n" if first == last else f"{first}-{last}\n" for first, last in runs)


def _settings(line):
    """Task in the first line of a journal; None if it was damaged."""
    try:
        task = json.loads(line) if line.endswith("\n") else None
    except ValueError:
        return None
    return task if isinstance(task, dict) else None


def _difference(begun, task):
    """Settings that differ from those that a file was begun with."""
    pairs = {name: (begun.get(name), task.get(name)) for name in begun | task}
    return ", ".join(
        f"{name} {old!r}, not {new!r}" if _is_short(old) and _is_short(new) else f"other {name}"
        for name, (old, new) in pairs.items()
        if old != new
    )


def _is_short(value):
    """Tell whether a value says something to people; hashes and the states of files do not."""
    return not isinstance(value, list | dict) and not (isinstance(value, str) and _HASH.fullmatch(value))
