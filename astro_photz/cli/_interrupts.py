# Licensed under a 3-clause BSD style license - see LICENSE
"""
Ctrl-C and SIGTERM: both end a command at once and remove its temporary files.

This module is imported before all others, and so imports little itself.
"""

import os
import signal
import sys
import threading
import time

__all__ = ["Interrupts", "Stopped", "leave", "name_of"]

_NAMES = {signal.SIGINT: "interrupted", signal.SIGTERM: "terminated"}
_AT_ONCE = 1.0  # second within which further signals mean the same: Ctrl-C twice, a signal to process and group
_CLEARING = 3.0  # seconds that the last tidying up may take
_SWALLOWED = 0.05  # seconds until a signal is sent again whose exception was lost


class Stopped(KeyboardInterrupt):
    """A signal ended the command."""

    def __init__(self, signum):
        super().__init__(_NAMES[signum])
        self.signum = signum


class Interrupts:
    """
    A context in which SIGINT and SIGTERM raise `Stopped` in the main thread.

    A library may catch the exception: ``received`` still holds the first signal (None before one). A signal that is
    ignored, as under ``nohup``, stays ignored.
    """

    def __init__(self):
        self.received = None
        self._last = -_AT_ONCE
        self._before = {}
        self._unraisable = None

    def __enter__(self):
        self._unraisable, sys.unraisablehook = sys.unraisablehook, self._swallowed
        if threading.current_thread() is threading.main_thread():
            for signum in _NAMES:
                if signal.getsignal(signum) not in (signal.SIG_IGN, None):
                    self._before[signum] = signal.signal(signum, self._stop)
        return self

    def __exit__(self, *_):
        sys.unraisablehook = self._unraisable
        for signum, handler in self._before.items():
            signal.signal(signum, handler)

    def unwound(self):
        """Ignore further signals: everything is tidied up."""
        self._last = float("inf")

    def _stop(self, signum, frame):
        now = time.monotonic()
        if now - self._last < _AT_ONCE:
            return
        self._last = now
        self.received = self.received or signum
        raise Stopped(signum)

    def _swallowed(self, unraisable):
        """Send a signal again that interrupted a callback or a destructor: no exception leaves those."""
        if not isinstance(unraisable.exc_value, Stopped):
            self._unraisable(unraisable)
            return
        self._last = -_AT_ONCE
        again = threading.Timer(_SWALLOWED, _send, [unraisable.exc_value.signum])
        again.daemon = True
        again.start()


def _send(signum):
    if hasattr(signal, "pthread_kill"):
        signal.pthread_kill(threading.main_thread().ident, signum)
    else:
        signal.raise_signal(signum)


def name_of(signum):
    """Name the effect of a signal on the command."""
    return _NAMES[signum]


def leave(code):
    """End the process without waiting for its threads, which may be downloading."""
    import atexit

    guard = threading.Timer(_CLEARING, os._exit, [code])
    guard.daemon = True
    guard.start()
    try:
        atexit._run_exitfuncs()  # libraries end their processes there and remove their files
        for stream in (sys.stdout, sys.stderr):
            stream.flush()
    except BaseException:  # it ends in any case: a closed pipe, a signal
        pass
    os._exit(code)
