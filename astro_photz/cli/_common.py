# Licensed under a 3-clause BSD style license - see LICENSE
"""
Shared parts of the commands.
"""

import argparse
import os

from astro_photz.utils._claims import claimed
from astro_photz.utils._files import expanded
from astro_photz.utils._journal import Journal

from ._terminal import print_table, say

__all__ = ["ANEW", "FROM_DOWNLOADS", "add_command", "check_output", "print_table", "say"]

ANEW = "give the same command again"
"""Advice after an interrupt of a command that begins anew."""

FROM_DOWNLOADS = "give the same command again, which takes what was downloaded from the cache"
"""Advice after an interrupt of a command that keeps its downloads."""


def add_command(commands, name, run, summary, examples=None, *, notes=(), resume_hint=FROM_DOWNLOADS):
    """
    Add a command.

    ``run`` takes the arguments and returns the exit code, None for 0. ``examples`` and ``notes`` are as in
    `~astro_photz.cli._parser.CommandParser`; ``resume_hint`` is the advice after an interrupt, or makes it from the
    arguments.
    """
    made = commands.add_parser(
        name,
        help=summary,
        description=summary[0].upper() + summary[1:] + ".",
        examples=examples,
        notes=notes,
    )
    made.add_argument(
        "--traceback", action="store_true", default=argparse.SUPPRESS, help="show where in the code an error arose"
    )
    made.set_defaults(run=run, parser=made, resume_hint=resume_hint)
    return made


def check_output(arguments, output, *, overwrite=None, inputs=()):
    """
    Refuse an output that cannot be written, or is one of the ``inputs``, before the work and not after it.

    Until the command ends, no other process may write it. ``overwrite`` is that of the arguments by default.
    """
    overwrite = arguments.overwrite if overwrite is None else overwrite
    output = expanded(output)
    for path in filter(None, inputs):
        if _same_file(output, expanded(path)):
            raise ValueError(f"{output} is read by this command: choose another name for what it writes")
    if output.is_dir():
        raise IsADirectoryError(f"{output} is a folder: give the name of a file")
    if output.exists() and not output.is_file():  # a device or a pipe
        return
    arguments.claims.enter_context(claimed(output))  # deletes what a kill has left, also where the rest was complete
    Journal.tidy(output.with_name(output.name + ".part"), output)
    if output.exists() and not overwrite:
        raise FileExistsError(f"{output} exists: choose another name, or say --overwrite")
    folder = output.resolve().parent if output.is_symlink() else output.parent
    if not folder.is_dir():
        raise FileNotFoundError(f"{output}: there is no folder {folder}")
    if not os.access(folder, os.W_OK):
        raise PermissionError(f"{output}: no permission to write in {folder}")


def _same_file(one, other):
    return one.resolve() == other.resolve() or (one.is_file() and other.is_file() and one.samefile(other))
