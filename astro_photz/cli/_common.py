# Licensed under a 3-clause BSD style license - see LICENSE
"""
Shared parts of the commands.
"""

import argparse
import os

from astro_photz.utils._files import expanded

from ._terminal import print_table, say

__all__ = ["FROM_DOWNLOADS", "add_command", "check_output", "print_table", "say"]

FROM_DOWNLOADS = "give the same command again, which takes what was downloaded from the cache"
"""How to go on with a command that keeps what it downloads."""


def add_command(commands, name, run, summary, examples=None, *, notes=(), go_on=FROM_DOWNLOADS):
    """
    Add a command.

    Parameters
    ----------
    commands
        Of `argparse.ArgumentParser.add_subparsers`.
    name : str
    run : callable or None
        Takes the arguments and returns the exit code, None for 0.
    summary : str
        What it does, in a line.
    examples : list of (str, str), optional
    notes : list of str, optional
        As in `~astro_photz.cli._parser.CommandParser`.
    go_on : str or callable, optional
        How to go on after an interrupt; a function makes it of the arguments.

    Returns
    -------
    `~astro_photz.cli._parser.CommandParser`
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
    made.set_defaults(run=run, parser=made, go_on=go_on)
    return made


def check_output(output, *, overwrite):
    """Tell before the work, not after it, that its result cannot be written."""
    output = expanded(output)
    if output.is_dir():
        raise IsADirectoryError(f"{output} is a folder: give the name of a file")
    if output.exists() and not output.is_file():  # a device or a pipe
        return
    if output.exists() and not overwrite:
        raise FileExistsError(f"{output} exists: choose another name, or say --overwrite")
    folder = output.resolve().parent if output.is_symlink() else output.parent
    if not folder.is_dir():
        raise FileNotFoundError(f"{output}: there is no folder {folder}")
    if not os.access(folder, os.W_OK):
        raise PermissionError(f"{output}: no permission to write in {folder}")
