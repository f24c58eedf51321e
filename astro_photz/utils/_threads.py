# Licensed under a 3-clause BSD style license - see LICENSE
"""
Threads that share the work of a model, one for each processor that the process may use.
"""

import threading
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing

from astro_photz.config import conf

from ._blas import one_blas_thread
from ._processors import usable_processors

__all__ = ["in_threads", "made_ahead", "number_of_threads"]

_INSIDE = threading.local()
_END = object()


def number_of_threads():
    """
    Number of threads that a model takes.

    It is ``conf.inference_threads``; where that is 0, the number of processors that the process may use. In a thread of
    `in_threads` it is 1: the others are at work already.
    """
    if getattr(_INSIDE, "worker", False):
        return 1
    return conf.inference_threads or usable_processors()


def in_threads(function, items):
    """
    Yield a function of each item, in order, from threads that are ahead of the caller by an item each.

    An interrupt does not wait for calls that have begun. Of one thread, the caller's is taken.
    """
    with one_blas_thread():
        yield from _mapped(function, items, number_of_threads())


def _mapped(function, items, threads):
    if threads == 1:
        yield from map(function, items)
        return
    pool, ahead = ThreadPoolExecutor(threads, initializer=_enter), deque()
    try:
        for item in items:
            ahead.append(pool.submit(function, item))
            while len(ahead) > threads or (ahead and ahead[0].done()):
                yield ahead.popleft().result()
        while ahead:
            yield ahead.popleft().result()
    finally:
        pool.shutdown(wait=False, cancel_futures=True)


def made_ahead(items):
    """
    Yield the items of a generator while a thread makes the next one, and close it.

    Where a model takes one thread, so does this.
    """
    with closing(items):
        yield from items if number_of_threads() == 1 else _ahead(items)


def _ahead(items):
    with ThreadPoolExecutor(1) as pool:
        following = pool.submit(next, items, _END)
        while (item := following.result()) is not _END:
            following = pool.submit(next, items, _END)
            yield item


def _enter():
    _INSIDE.worker = True
