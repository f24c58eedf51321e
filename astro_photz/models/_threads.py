# Licensed under a 3-clause BSD style license - see LICENSE
"""
Threads that share the work of a model, one for each processor that the process may use.
"""

from concurrent.futures import ThreadPoolExecutor

from astro_photz.config import conf
from astro_photz.utils._processors import usable_processors

__all__ = ["in_threads", "number_of_threads"]


def number_of_threads():
    """
    Number of threads that a model takes.

    It is ``conf.inference_threads``; where that is 0, the number of processors that the process may use.
    """
    return conf.inference_threads or usable_processors()


def in_threads(function, items):
    """Call a function with each of several items, in threads if there is more than one."""
    threads = min(number_of_threads(), len(items))
    if threads <= 1:
        for item in items:
            function(item)
        return
    pool = ThreadPoolExecutor(threads)
    try:
        for future in [pool.submit(function, item) for item in items]:
            future.result()
    finally:  # an interrupt does not wait for calls that have begun
        pool.shutdown(wait=False, cancel_futures=True)
