# Licensed under a 3-clause BSD style license - see LICENSE
"""
Completion of the command line by the Tab key: the script for a shell.
"""

import argparse
from pathlib import Path

__all__ = ["PrintCompletion"]

_SHELLS = ("bash", "zsh", "tcsh")
_FOLDERS = {"DIR", "RUN", "MODEL"}  # metavars


class PrintCompletion(argparse.Action):
    """An option that prints the script for a shell, and ends the command."""

    def __init__(self, option_strings, dest=argparse.SUPPRESS, **options):
        super().__init__(option_strings, dest=argparse.SUPPRESS, choices=_SHELLS, **options)

    def __call__(self, parser, namespace, values, option_string=None):
        """Print the script and leave."""
        import shtab

        _mark_files(parser, {True: shtab.DIRECTORY, False: shtab.FILE})
        print(shtab.complete(parser, values))
        parser.exit()


def _mark_files(parser, kinds):
    """Mark the arguments of a parser, and of those below it, that are files or folders."""
    for action in parser._actions:
        if action.nargs == argparse.PARSER:
            for below in action.choices.values():
                _mark_files(below, kinds)
        elif action.type is Path or action.dest in ("source", "init", "model", "resume"):
            action.complete = kinds[action.metavar in _FOLDERS]
