# Licensed under a 3-clause BSD style license - see LICENSE
"""
Measurements of time and memory: runs alternate, so that other work on the machine hits all alike.
"""

import os
import re
import resource
import sys
import time
from operator import truediv
from pathlib import Path
from statistics import median
from typing import NamedTuple

__all__ = ["Cost", "alternate", "measure", "medians", "peak_memory", "print_table", "ratios", "use_one_thread"]

_THREAD_LIMITS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


class Cost(NamedTuple):
    """Seconds that something took, on the clock and of the processors."""

    wall: float
    cpu: float


def measure(function):
    """The `Cost` of a call."""
    wall, cpu = time.perf_counter(), time.process_time()
    function()
    return Cost(time.perf_counter() - wall, time.process_time() - cpu)


def alternate(functions, *, repeats, warm_up=True):
    """Call functions in turn, several times; list by name the tuples of numbers that they return."""
    if warm_up:
        for function in functions.values():
            function()
    rounds = [[function() for function in functions.values()] for _ in range(repeats)]
    return dict(zip(functions, map(list, zip(*rounds, strict=True)), strict=True))


def medians(results):
    """Median over the rounds of each number that was measured."""
    return tuple(map(median, zip(*results, strict=True)))


def ratios(results, baseline):
    """Median over the rounds of each number's ratio to the baseline's of the same round."""
    return medians([tuple(map(truediv, *pair)) for pair in zip(results, baseline, strict=True)])


def peak_memory():
    """The most memory that this process has held (MB)."""
    status = Path("/proc/self/status")
    if status.exists():  # Linux, where the other way counts the parent's memory too
        return int(re.search(r"VmHWM:\s*(\d+) kB", status.read_text())[1]) / 2**10
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20


def use_one_thread():
    """Start this script anew with numpy's libraries kept to one thread: they look only while they are loaded."""
    if any(os.environ.get(name) != "1" for name in _THREAD_LIMITS):
        os.environ.update(dict.fromkeys(_THREAD_LIMITS, "1"))
        os.execv(sys.executable, [sys.executable, *sys.orig_argv[1:]])


def print_table(header, rows):
    """Print rows of text under a header, the first column flush left."""
    lines = [header, *rows]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    for line in lines:
        numbers = (cell.rjust(width) for cell, width in zip(line[1:], widths[1:], strict=True))
        print("  ".join([line[0].ljust(widths[0]), *numbers]))
    print()
