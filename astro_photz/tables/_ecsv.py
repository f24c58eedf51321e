# Licensed under a 3-clause BSD style license - see LICENSE
"""
ECSV files, as astropy writes them.
"""

import numpy as np

__all__ = ["write_ecsv"]


def write_ecsv(table, path):
    """
    Write a table with its meta.

    Astropy leaves a text such as ``#12`` at the beginning of a row without quotes, and reads the row as a comment.
    """
    table.write(path, format="ascii.ecsv", overwrite=True)
    first = table.columns[0] if table.colnames else None
    if getattr(getattr(first, "dtype", None), "kind", " ") in "USO" and np.any(_like_comments(first)):
        with open(path, encoding="utf-8", newline="") as file:
            lines = file.readlines()
        with open(path, "w", encoding="utf-8", newline="") as file:
            file.writelines(_quoted(lines))


def _like_comments(column):
    return [str(value).startswith("#") for value in column]


def _quoted(lines):
    """Lines with quotes about the first word of a row, if it looks like a comment."""
    inside = named = False
    for line in lines:
        if named and not inside and line.startswith("#"):
            word, blank, rest = line.partition(" ")
            line = f'"{word.rstrip()}"{blank}{rest}' if blank else f'"{word.rstrip()}"\n'
        named = named or not line.startswith("#")  # names follow the header, which is made of comments
        inside ^= line.count('"') % 2 == 1
        yield line
