# Licensed under a 3-clause BSD style license - see LICENSE
"""
Warnings and notices of the package's log, as lines of the command.
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
    Show each warning in a line, and once; and what the package's log says, such as that a server lets it wait.

    Parameters
    ----------
    parser : `argparse.ArgumentParser`
        Of the command that was given, whose options warnings name.
    quiet : bool, optional
        Leave out the log.
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
        # Or astroquery, when it is first imported, puts a way to show warnings of its own in the place of this one.
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
