# Licensed under a 3-clause BSD style license - see LICENSE
"""
The judgement of one input: what a door may do with it, within limits of time and memory.
"""

import linecache
import resource
import signal
import traceback
import warnings
from collections.abc import Callable
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from astropy.utils.exceptions import AstropyUserWarning
from hypothesis import strategies as st

import astro_photz

__all__ = ["Fault", "Target", "judge", "memory"]

SECONDS = 20
"""Longest time that an input may take."""

MEMORY = 10**9
"""Largest memory (bytes) that an input may take, above that at its beginning."""

_PACKAGE = str(Path(astro_photz.__file__).parent)
_PAGE = resource.getpagesize()


class Fault(AssertionError):
    """A door did with an input what it must not do."""


class _Hang(BaseException):
    """An input took too long."""


@dataclass(frozen=True)
class Target:
    """
    A door, and what goes in.

    ``run`` takes an input and an empty folder; it raises what the door raises, and a `Fault` if an answer breaks a
    contract. ``refuses`` are the classes of errors that the door's docstring names. ``share`` is that of the inputs of
    a long run. ``prepare`` imports and makes what all inputs need, without limits.
    """

    name: str
    inputs: st.SearchStrategy
    run: Callable[[Any, Path], None]
    refuses: tuple[type[Exception], ...]
    share: float = 1.0
    prepare: Callable[[], Any] = tuple


def judge(target, given, *, seconds=SECONDS, memory_limit=MEMORY):
    """
    Put an input through a door.

    Return "answered" or "refused"; raise a `Fault` that tells what was wrong.
    """
    _prepared(target)
    folder = TemporaryDirectory(prefix="fuzz-", ignore_cleanup_errors=True)
    with folder as path, _within(seconds, memory_limit):
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            try:
                target.run(given, Path(path))
                verdict = "answered"
            except Fault:
                raise
            except _Hang:
                raise Fault(f"it took more than {seconds} s") from None
            except target.refuses as error:
                _check_worded(error, target)
                verdict = "refused"
            except (Exception, RecursionError, MemoryError) as error:
                raise Fault(f"undocumented {_told(error)}") from error
        _check_warnings(caught)
    return verdict


@cache
def _prepared(target):
    target.prepare()


def _told(error):
    frames = traceback.extract_tb(error.__traceback__)
    ours = [frame for frame in frames if frame.filename.startswith(_PACKAGE)]
    last = (ours or frames)[-1]
    return f"{type(error).__name__}: {str(error)[:200]!r} in {Path(last.filename).name}:{last.lineno} {last.name}"


def _check_worded(error, target):
    """Refuse errors that have a documented class by chance: those that the package does not raise itself."""
    if not str(error).strip():
        raise Fault(f"an error without words, {_told(error)}") from error
    last = error.__traceback__
    while last.tb_next:
        last = last.tb_next
    file = last.tb_frame.f_code.co_filename
    line = linecache.getline(file, last.tb_lineno).strip()
    documented = type(error) in target.refuses or isinstance(error, OSError)
    ours = type(error).__module__.startswith("astro_photz")
    if not (file.startswith(_PACKAGE) and line.startswith("raise")) or not (documented or ours):
        raise Fault(f"an error that the package has no words for, {_told(error)}") from error


def _check_warnings(caught):
    for warning in caught:
        spoken = issubclass(warning.category, AstropyUserWarning) or warning.category is UserWarning
        if not spoken or not str(warning.message).strip():
            place = f"{Path(warning.filename).name}:{warning.lineno}"
            raise Fault(f"a warning of another package, {warning.category.__name__}: {warning.message} in {place}")


# Limits


def memory():
    """Memory of the process now (bytes), which it holds in RAM."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * _PAGE


def _told_by_system(name):
    text = Path("/proc/self/status").read_text()
    return 1024 * int(text.split(f"{name}:")[1].split()[0])


@contextmanager
def _within(seconds, limit):
    """Limit time by a signal, and memory by what the system lets the process take; tell of both."""
    if not Path("/proc/self/status").is_file():  # not Linux
        yield
        return
    with suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")  # the highest so far is forgotten
    began = memory()
    soft, hard = resource.getrlimit(resource.RLIMIT_DATA)
    before = signal.signal(signal.SIGALRM, _stop)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    resource.setrlimit(resource.RLIMIT_DATA, (_told_by_system("VmData") + limit + 2**28, hard))
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
        resource.setrlimit(resource.RLIMIT_DATA, (soft, hard))
    taken = _told_by_system("VmHWM") - began
    if taken > limit:
        raise Fault(f"it took {taken / 1e6:.0f} MB")


def _stop(signum, frame):
    raise _Hang
