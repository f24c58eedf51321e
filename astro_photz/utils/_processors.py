# Licensed under a 3-clause BSD style license - see LICENSE
"""
Processors that this process may use: on a cluster or in a container, not all.
"""

import os
from pathlib import Path

__all__ = ["usable_processors"]

_QUOTA = Path("/sys/fs/cgroup/cpu.max")  # of a container: microseconds of processors in a period, and the period


def usable_processors():
    """
    Count the processors that this process may use.

    They are those it is bound to (``taskset``, a batch system), and no more than the quota of its container.
    """
    bound = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    try:
        quota, period = map(int, _QUOTA.read_text(encoding="ascii").split())
    except (OSError, ValueError):  # no container, or "max"
        return bound
    return max(1, min(bound, quota // period))
