# Licensed under a 3-clause BSD style license - see LICENSE
"""
Processes that share work, end with it, and leave Ctrl-C to their parent.
"""

import os
import signal
import threading
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from multiprocessing import get_context, parent_process

__all__ = ["each"]


def each(function, items, workers):
    """
    Compute a function of each item, in as many processes.

    Yield the results in the order of the items. ``function`` can be pickled; with up to 1 worker, this process does the
    work. Raise a ChildProcessError if a process was killed.
    """
    if workers <= 1:
        yield from map(function, items)
        return
    # A process of its own kind: torch does not survive a fork.
    pool = ProcessPoolExecutor(workers, mp_context=get_context("spawn"), initializer=_begin_work)
    try:
        with _ctrl_c_later(), _termination_later():
            results = pool.map(function, items)
        yield from results
    except BrokenProcessPool as error:
        raise ChildProcessError(
            "a worker died before its work was done: was it killed, or short of memory? The same command resumes the "
            "work. (A script that calls this must keep its own work under if __name__ == '__main__')"
        ) from error
    except BaseException:  # an interrupt does not wait for the items at work
        _end_workers(pool)
        raise
    finally:
        pool.shutdown(cancel_futures=True)


@contextmanager
def _ctrl_c_later():
    """Block Ctrl-C: in this process for now; in those that begin meanwhile, which inherit it, for good."""
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


@contextmanager
def _termination_later():
    """
    Hold SIGTERM back in this process alone.

    Workers end by it, so that they must not inherit the delay. Without one, a worker whose parent ends before it has
    sent the work prints a traceback.
    """
    before = signal.getsignal(signal.SIGTERM)
    if before in (None, signal.SIG_IGN) or threading.current_thread() is not threading.main_thread():
        yield
        return
    held = []
    signal.signal(signal.SIGTERM, lambda signum, frame: held.append(signum))
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
        if held:
            signal.raise_signal(signal.SIGTERM)


def _end_workers(pool):
    if hasattr(pool, "terminate_workers"):  # from Python 3.14 on
        pool.terminate_workers()
        return
    for process in list((pool._processes or {}).values()):
        process.terminate()


def _begin_work():
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # where signals cannot be blocked
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent():
    """End a worker whose parent was killed, and which would wait for ever."""
    parent_process().join()
    os._exit(1)
