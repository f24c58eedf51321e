# Licensed under a 3-clause BSD style license - see LICENSE
"""Ctrl-C works in the tests, and in the commands that they start, although a shell has begun them in its background."""

import signal

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)
