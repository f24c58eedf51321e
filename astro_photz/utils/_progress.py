# Licensed under a 3-clause BSD style license - see LICENSE
"""
Progress of long work, drawn by tqdm on a terminal or in a notebook, and nowhere else.
"""

import os
import shutil
import sys
import warnings
from contextlib import contextmanager

__all__ = ["can_draw", "fitted", "progress_bar", "write_line"]

# Steps from which the work is long enough for a progress bar.
_LONG = 100
# Of a terminal that tells no height, as a bare pseudo-terminal, or next to none: tqdm would find no line to draw on.
_FEWEST_LINES, _LINES = 2, 24


@contextmanager
def progress_bar(total, progress=None, *, unit="galaxies", long=_LONG):
    """
    Draw a progress bar for long work, with its rate and the time left.

    Parameters
    ----------
    total : int
        Number of steps.
    progress : bool, optional
        Whether to draw it, where there is a terminal or a notebook; by default for more than ``long`` steps.
    unit : str, optional
        What a step is, in the plural.
    long : int, optional
        Steps that are short work.

    Yields
    ------
    callable
        Takes a number of steps that were done.

    Examples
    --------
    >>> from astro_photz.utils._progress import progress_bar
    >>> with progress_bar(1000, progress=False) as advance:
    ...     advance(1000)
    """
    wanted = total > long if progress is None else progress
    if not (wanted and total and can_draw()):
        yield lambda steps: None
        return
    with _tqdm()(total=total, unit=f" {unit}", dynamic_ncols=True) as bar:
        yield fitted(bar).update


def fitted(bar):
    """
    Let a bar of tqdm be drawn on a terminal that does not tell its size.

    Parameters
    ----------
    bar : `tqdm.tqdm`

    Returns
    -------
    `tqdm.tqdm`
        The same.
    """
    if any(base.__module__ == "tqdm.notebook" for base in type(bar).__mro__):
        return bar
    try:
        columns, lines = os.get_terminal_size(bar.fp.fileno())
    except (AttributeError, OSError, ValueError):  # a notebook without widgets
        columns = lines = 0
    if columns <= 0 or lines <= _FEWEST_LINES:
        bar.dynamic_ncols = False
        bar.ncols, bar.nrows = columns or shutil.get_terminal_size().columns, _LINES
    return bar


def can_draw():
    """
    Whether there is something to draw a bar on: a terminal behind stderr, or a notebook.

    Returns
    -------
    bool
    """
    if _in_notebook():
        return True
    try:
        return sys.stderr.isatty()
    except (AttributeError, ValueError):  # there is none, or something else in its place, or it is closed
        return False


def write_line(text):
    """
    Write a line to stderr, above a bar that is drawn there.

    Parameters
    ----------
    text : str
    """
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
    """Whether the code runs in a Jupyter kernel, by the sign that tqdm goes by."""
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython else None
    return shell is not None and "IPKernelApp" in shell.config
