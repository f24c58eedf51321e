# Licensed under a 3-clause BSD style license - see LICENSE
"""
A journal beside an unfinished file: the task in its first line, then the number of each part that is finished.
"""

import json
from io import FileIO

from ._files import aside

__all__ = ["Journal"]


class Journal:
    """
    Parts of an unfinished file that are finished.

    Use `open`. ``done`` holds the numbers of the finished parts.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> from astro_photz.utils._journal import Journal
    >>> part = pathlib.Path(tempfile.mkdtemp()) / "sky.h5.part"
    >>> part.touch()
    >>> journal = Journal.open(part, {"n": 512}, start=lambda: part.touch() or set(), overwrite=False)
    >>> journal.add(1)
    >>> journal.close()
    >>> resumed = Journal.open(part, {"n": 512}, start=None, overwrite=False)
    >>> resumed.done
    {1}
    >>> resumed.close()
    >>> Journal.open(part, {"n": 1024}, start=None, overwrite=False)
    Traceback (most recent call last):
        ...
    FileExistsError: ...sky.h5.part was begun with other settings (n 512, not 1024): give the same ones to ...
    """

    def __init__(self, path, task, done):
        self.path = path
        self.done = done
        with aside(path) as part:  # one that is lost would take the work with it
            part.write_text("".join([task + "\n", *(f"{number}\n" for number in sorted(done))]))
        self._file = FileIO(path, "a")

    @classmethod
    def open(cls, part, task, *, start, overwrite):
        """
        Resume the journal of a file that was begun, or start a new one.

        ``part`` is the unfinished file, and ``task`` all that decides its content. ``start()`` lays a new file out, and
        gives the numbers of the parts that it has finished. Raise a FileExistsError if the file was begun with another
        task, unless ``overwrite`` is set, which starts anew.
        """
        path = part.with_name(part.name + ".journal")
        task = json.dumps(task, sort_keys=True, default=str)
        lines = path.read_text().splitlines(keepends=True) if path.exists() and part.exists() else []
        begun, *done = lines or [""]
        if begun == task + "\n":
            return cls(path, task, {int(line) for line in done if line.endswith("\n")})  # a kill may cut a line short
        if begun.endswith("\n") and not overwrite:
            difference = _difference(json.loads(begun), json.loads(task))
            raise FileExistsError(
                f"{part} was begun with other settings ({difference}): give the same ones to resume it, or set "
                "overwrite=True to start anew"
            )
        path.unlink(missing_ok=True)
        part.unlink(missing_ok=True)  # its room is for the new one
        try:
            return cls(path, task, start())
        except BaseException:  # without a journal, the file is of no use
            if not path.exists():
                part.unlink(missing_ok=True)
            raise

    def add(self, number):
        """Note that a part is finished."""
        self._file.write(f"{number}\n".encode())

    def close(self):
        """Close the journal, which stays."""
        self._file.close()


def _difference(begun, task):
    """Settings that differ from those that a file was begun with."""
    names = [name for name in begun | task if begun.get(name) != task.get(name)]
    return ", ".join(f"{name} {begun.get(name)!r}, not {task.get(name)!r}" for name in names)
