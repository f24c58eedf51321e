# Licensed under a 3-clause BSD style license - see LICENSE
"""
Text and tables that fit the width of the terminal.

Output into a file or a pipe stays as it is: whole lines, tables with all columns side by side.
"""

import sys
import textwrap

from astro_photz.utils._progress import write_line
from astro_photz.utils._terminal import terminal_width

__all__ = ["close_bars", "print_table", "say", "wrapped"]

_NARROWEST = 10  # columns of a table's cell: a narrower one cannot be read


def wrapped(line, width):
    """Break a line at so many columns; words, such as paths, stay whole."""
    if width is None or len(line) <= width:
        return line
    indent = line[: len(line) - len(line.lstrip())]
    kept_whole = {"break_long_words": False, "break_on_hyphens": False}
    return textwrap.fill(line.strip(), width, initial_indent=indent, subsequent_indent=indent + "  ", **kept_whole)


def say(line):
    """Write a line to stderr, above a progress bar; on a terminal it is wrapped."""
    write_line(wrapped(line, terminal_width(sys.stderr)))


def close_bars():
    """
    End the progress bars that an error has left open, otherwise they are drawn again below its message.

    Return True if there were any.
    """
    tqdm = sys.modules.get("tqdm")
    bars = list(getattr(tqdm.tqdm, "_instances", ())) if tqdm else []
    for bar in bars:
        bar.close()
    return bool(bars)


def print_table(table):
    """
    Print a table to stdout.

    On a terminal that is too narrow, the columns come in groups; each begins with the table's first column.
    """
    width = terminal_width(sys.stdout)
    if width is None:
        print("\n".join(table.pformat(max_lines=-1, max_width=-1)))
        return
    first, *others = (_Column(table, name) for name in table.colnames)
    most = max(_NARROWEST, width - first.width - 1)
    groups = [[first]]
    for column in others:
        column.fit(most)
        if sum(one.width + 1 for one in groups[-1]) + column.width > width and len(groups[-1]) > 1:
            groups.append([first])
        groups[-1].append(column)
    print("\n\n".join("\n".join(_lines(group)) for group in groups))


class _Column:
    """The cells of a column as lists of lines: its name, its unit if any column has one, a rule, its values."""

    def __init__(self, table, name):
        units = any(column.info.unit is not None for column in table.itercols())
        text = table[[name]].pformat(max_lines=-1, max_width=-1, show_unit=units)
        self.cells = [[line] for line in text]
        self.width = len(text[0])

    def fit(self, most):
        if self.width <= most:
            return
        self.width = most
        for cell in self.cells:
            lines = textwrap.wrap(cell[0].strip(), most, break_on_hyphens=False) or [""]
            rule = not cell[0].strip("-")
            cell[:] = ["-" * most] if rule else [line.ljust(most) for line in lines]


def _lines(group):
    """Lines of columns side by side: as many for a row as its tallest cell has."""
    for row in zip(*(column.cells for column in group), strict=True):
        if not any(line.strip() for cell in row for line in cell):  # units, of columns that have none
            continue
        for number in range(max(map(len, row))):
            parts = (
                cell[number] if number < len(cell) else " " * column.width
                for cell, column in zip(row, group, strict=True)
            )
            yield " ".join(parts).rstrip()
