# Licensed under a 3-clause BSD style license - see LICENSE
"""
Progress bars of tqdm for long work, on a terminal or in a notebook only.
"""

import os
import sys
import warnings
from contextlib import contextmanager

from ._terminal import USUAL_WIDTH, terminal_width

__all__ = ["can_draw", "fitted", "progress_bar", "write_line"]

# Steps from which the work is long enough for a progress bar.
_LONG = 100
# A terminal may report no height, or next to none, such as a bare pseudo-terminal: tqdm would find no line to draw on.
_FEWEST_LINES, _LINES = 2, 24


@contextmanager
def progress_bar(total, progress=None, *, unit="galaxies", long=_LONG):
    """
    Draw a progress bar for long work, with its rate and the time left.

    Yield a function that takes the number of steps that were just done, and how many of them failed. The bar is drawn
    on a terminal or in a notebook, by default for more than ``long`` steps; ``unit`` names the steps, in the plural.

    Examples
    --------
    >>> from astro_photz.utils._progress import progress_bar
    >>> with progress_bar(1000, progress=False) as advance:
    ...     advance(1000)
    """
    wanted = total > long if progress is None else progress
    if not (wanted and total and can_draw()):
        yield lambda steps, failed=0: None
        return
    all_failed = 0
    with _tqdm()(total=total, unit=f" {unit}", dynamic_ncols=True) as bar:
        fitted(bar)

        def advance(steps, failed=0):
            nonlocal all_failed
            all_failed += failed
            if all_failed:
                bar.set_postfix_str(f"{all_failed} without an image", refresh=False)
            bar.update(steps)

        yield advance


def fitted(bar):
    """
    Let tqdm draw a bar on a terminal that does not report its size.

    Return the same bar.
    """
    if any(base.__module__ == "tqdm.notebook" for base in type(bar).__mro__):
        return bar
    try:
        columns, lines = os.get_terminal_size(bar.fp.fileno())
    except (AttributeError, OSError, ValueError):  # a notebook without widgets
        columns = lines = 0
    if columns <= 0 or lines <= _FEWEST_LINES:
        bar.dynamic_ncols = False
        bar.ncols, bar.nrows = columns or terminal_width(bar.fp) or USUAL_WIDTH, _LINES
    return bar


def can_draw():
    """Check whether a bar can be drawn: on a terminal behind stderr, or in a notebook."""
    if _in_notebook():
        return True
    try:
        return sys.stderr.isatty()
    except (AttributeError, ValueError):  # stderr is None, another object, or closed
        return False


def write_line(text):
    """Write a line to stderr, above any progress bar."""
    if sys.stderr is None:  # print would take stdout instead
        return
    tqdm = sys.modules.get("tqdm")
    if tqdm is None:
        print(text, file=sys.stderr, flush=True)
    else:
        tqdm.tqdm.write(text, file=sys.stderr)


def _tqdm():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # without ipywidgets, a notebook gets the bar of a terminal
        from tqdm.auto import tqdm
    return tqdm


def _in_notebook():
    """Check whether the code runs in a Jupyter kernel, as tqdm does."""
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython else None
    return shell is not None and "IPKernelApp" in shell.config
