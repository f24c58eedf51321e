# Licensed under a 3-clause BSD style license - see LICENSE
"""
What the commands share.
"""

import argparse
import os
import sys

__all__ = ["add_command", "check_output", "say"]


def add_command(commands, name, run, summary, examples=None):
    made = commands.add_parser(
        name,
        help=summary,
        description=summary[0].upper() + summary[1:] + ".",
        epilog=examples,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,  # --device of one command would be the --devices of another
    )
    made.set_defaults(run=run)
    return made


def check_output(output, *, overwrite):
    """Tell before the work, not after it, that its result cannot be written."""
    if output.is_dir():
        raise IsADirectoryError(f"{output} is a folder: give the name of a file")
    if output.exists() and not overwrite:
        raise FileExistsError(f"{output} exists: choose another name, or say --overwrite")
    if not output.parent.is_dir():
        raise FileNotFoundError(f"{output}: there is no folder {output.parent}")
    if not os.access(output.parent, os.W_OK):
        raise PermissionError(f"{output}: no permission to write in {output.parent}")


def say(line):
    print(line, file=sys.stderr)
