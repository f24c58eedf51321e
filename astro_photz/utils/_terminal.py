# Licensed under a 3-clause BSD style license - see LICENSE
"""
The width of a terminal.
"""

import os

__all__ = ["USUAL_WIDTH", "terminal_width"]

USUAL_WIDTH = 80
"""Columns of a terminal that does not report its width."""


def terminal_width(stream):
    """
    Width of the terminal behind a stream (columns).

    Return None if there is no terminal.
    """
    if stream is None or not stream.isatty():
        return None
    columns = os.environ.get("COLUMNS", "")
    if columns.isdecimal() and int(columns):
        return int(columns)
    try:
        return os.get_terminal_size(stream.fileno()).columns or USUAL_WIDTH
    except OSError:
        return USUAL_WIDTH
