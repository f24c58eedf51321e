# Licensed under a 3-clause BSD style license - see LICENSE
"""
Warnings, and notices of the package's log, shown as lines of the command.
"""

import logging
import warnings
from contextlib import contextmanager

from astro_photz.utils._suggestions import first_line

from ._terminal import say
from ._wording import in_options

__all__ = ["in_lines"]


@contextmanager
def in_lines(parser, *, quiet=False):
    """
    Show each warning once, in a line, and each notice of the package's log, for instance that a server makes it wait.

    Warnings name the options of ``parser``, the parser of the command that runs; ``quiet`` leaves out the log.
    """
    from astropy.logger import conf

    told = set()

    def show(message, category, filename, lineno, file=None, line=None):
        text = in_options(first_line(str(message)), parser)
        if text not in told:
            told.add(text)
            say(f"astro-photz: warning: {text}")

    logger, handler = logging.getLogger("astro_photz"), _Handler(logging.CRITICAL + 1 if quiet else logging.WARNING)
    logger.addHandler(handler)
    try:
        # Otherwise astropy's logger replaces this way to show warnings when astroquery is first imported.
        with conf.set_temp("log_warnings", False), warnings.catch_warnings():
            warnings.showwarning = show
            yield
    finally:
        logger.removeHandler(handler)


class _Handler(logging.Handler):
    def emit(self, record):
        try:
            say(f"astro-photz: {first_line(record.getMessage())}")
        except Exception:
            self.handleError(record)
