# Licensed under a 3-clause BSD style license - see LICENSE
"""
Answers of the catalogue server that are kept on the disk.

They are text, and what is read of them is data: astroquery's own cache holds pickles, which run whatever somebody has
put into them. A file here is used only if it is exactly what `Answers.keep` would write for that request. Anything else
(cut short, changed, of another version, a link, no file at all) counts as no answer, and is replaced by the next one.
"""

import hashlib
import json
import os
import stat
import time
from contextlib import suppress
from pathlib import Path

from astropy.config import get_cache_dir
from astroquery import cache_conf

from astro_photz.utils._files import aside
from astro_photz.utils._parts import file_type

__all__ = ["LONGEST", "Answers", "folder"]

LONGEST = 16 * 2**20
"""Bytes of the longest answer that is believed; 500 positions make some 100 kB, the list of columns 200 kB."""

_FORMAT = 1
_LARGEST = 2 * LONGEST  # bytes of a file: escapes make the text longer
_CLOCKS = 86_400  # s by which the clock of the machine that wrote a file may be ahead
_FLAGS = os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)


def folder():
    """
    Path of the folder of the answers.

    It is in astropy's cache directory, and need not exist. Raise an OSError where there can be no cache.
    """
    try:
        return Path(get_cache_dir()) / "astro_photz" / "answers"
    except RuntimeError as error:  # no home
        raise OSError(str(error)) from error


class Answers:
    """
    Text of answers by request, a dict that JSON can hold.

    Several processes may share the folder: a file takes its name when it is whole. Answers older than
    ``astroquery.cache_conf.cache_timeout`` are not used.
    """

    def find(self, request):
        """Read the answer to a request, str; None without one that is as it was written."""
        try:
            content, head = _read(_path(request)).decode(), _head(request)
            if not content.startswith(f'{head}"'):
                return None
            text, _ = json.JSONDecoder().raw_decode(content, len(head))  # a text, and nothing that is nested
            return text if content == _content(request, text) else None
        except (OSError, ValueError):  # no file, no UTF-8, no JSON
            return None

    def keep(self, request, text):
        """Write an answer; raise an OSError if that is not possible."""
        path = _path(request)
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.is_symlink() or file_type(path) not in (0, stat.S_IFREG):  # written through, a link would change others
            path.unlink(missing_ok=True)
        with aside(path) as part:
            part.write_bytes(_content(request, text).encode())

    def forget(self, request):
        """Remove an answer, if it can be."""
        with suppress(OSError):  # a folder of that name, or one that is not ours: it is no answer
            _path(request).unlink(missing_ok=True)


def _path(request):
    key = json.dumps([_FORMAT, request], sort_keys=True)
    return folder() / f"{hashlib.sha256(key.encode()).hexdigest()}.json"


def _head(request):
    return json.dumps({"format": _FORMAT, "request": request})[:-1] + ', "answer": '


def _content(request, text):
    digest = hashlib.sha256(text.encode()).hexdigest()
    return f'{_head(request)}{json.dumps(text)}, "sha256": "{digest}"}}'


def _open(path, flags):
    return os.open(path, _FLAGS)


def _read(path):
    """Read a file, bytes; nothing of one that is too large or too old, or no file."""
    with open(path, "rb", opener=_open) as file:
        status = os.fstat(file.fileno())
        age, longest = time.time() - status.st_mtime, cache_conf.cache_timeout
        old = age < -_CLOCKS or (longest is not None and age > longest)
        if not stat.S_ISREG(status.st_mode) or status.st_size > _LARGEST or old:
            return b""
        return file.read(_LARGEST)
