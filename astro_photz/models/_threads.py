# Licensed under a 3-clause BSD style license - see LICENSE
"""
Threads that share the work of a model: as many as this process may use processors.
"""

from concurrent.futures import ThreadPoolExecutor

from astro_photz.config import conf
from astro_photz.utils._processors import usable_processors

__all__ = ["in_threads", "number_of_threads"]


def number_of_threads():
    """
    How many threads a model takes.

    Returns
    -------
    int
        ``conf.inference_threads``; where that is 0, as many as the processors that the process may use.
    """
    return conf.inference_threads or usable_processors()


def in_threads(function, items):
    """
    Call a function with each of some items, in threads if there is more than one.

    Parameters
    ----------
    function : callable
        Returns nothing.
    items : sequence
    """
    threads = min(number_of_threads(), len(items))
    if threads <= 1:
        for item in items:
            function(item)
        return
    pool = ThreadPoolExecutor(threads)
    try:
        for future in [pool.submit(function, item) for item in items]:
            future.result()
    finally:  # an interrupt does not wait for what is under way
        pool.shutdown(wait=False, cancel_futures=True)
