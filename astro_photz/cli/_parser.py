# Licensed under a 3-clause BSD style license - see LICENSE
"""
A parser of arguments that shows examples, fits its help to the terminal, and suggests the nearest valid name.
"""

import argparse
import re
import shutil
import textwrap

from astro_photz.utils._suggestions import advice, nearest

__all__ = ["CommandParser"]

_WIDEST = 100  # columns: longer lines are hard to read


class CommandParser(argparse.ArgumentParser):
    """
    Parser of a command.

    ``examples`` pairs commands with the purpose of each; ``notes`` are paragraphs at the end of the help.
    """

    def __init__(self, *args, examples=None, notes=(), **options):
        super().__init__(*args, allow_abbrev=False, **options)  # --device of one command is --devices of another
        self.color = False  # Python 3.14 would colour it, which is not for counting characters
        self.examples, self.notes = examples or (), notes

    def format_help(self):
        """Format the help for the width of the terminal."""
        width = min(shutil.get_terminal_size().columns, _WIDEST)
        usage = self.format_usage()
        parts = [_fitting(usage, width) + super().format_help().removeprefix(usage).rstrip("\n")]
        if self.examples:
            parts.append("examples:\n" + "\n".join(_example(*one, width) for one in self.examples))
        parts += [textwrap.fill(note, width, break_on_hyphens=False) for note in self.notes]
        return "\n\n".join(parts) + "\n"

    def parse_args(self, args=None, namespace=None):
        """Parse arguments; the error for an unknown option suggests the nearest one of the same command."""
        arguments, unknown = self.parse_known_args(args, namespace)
        if unknown:
            getattr(arguments, "parser", self)._refuse(unknown)
        return arguments

    def _refuse(self, unknown):
        option = next((one.partition("=")[0] for one in unknown if one.startswith("-")), None)
        if option is None:
            self.error(f"more arguments than the command takes: {' '.join(unknown)}")
        close = nearest(option, [name for action in self._actions for name in action.option_strings])
        self.error(f"no option {option}" + (f": did you mean {close}?" if close else ""))

    def _check_value(self, action, value):
        if action.choices is None or value in action.choices:
            return
        if action.nargs == argparse.PARSER:
            raise argparse.ArgumentError(None, f"no command {value!r}: {_after_colon(value, action.choices)}")
        raise argparse.ArgumentError(action, f"not {value!r}: {_after_colon(value, map(str, action.choices))}")

    def error(self, message):
        """Leave with exit code 2 and one line: the error, and the command for help."""
        from ._terminal import say

        say(f"astro-photz: error: {message} (help: {self.prog} --help)")
        self.exit(2)


def _after_colon(value, choices):
    told = advice(value, choices)
    return told[0].lower() + told[1:]


def _fitting(usage, width):
    """Break a usage that argparse has made too wide, with a smaller indent."""
    if all(len(line) <= width for line in usage.splitlines()):
        return usage
    parts = re.findall(r"\[[^\]]*\]|\S+", " ".join(usage.split()))
    lines = [" ".join(parts[:2])]
    for part in parts[2:]:
        if len(lines[-1]) + 1 + len(part) > width:
            lines.append("   ")
        lines[-1] += f" {part}"
    return "\n".join(lines) + "\n"


def _example(command, comment, width):
    """Format an example for pasting into a shell: its purpose as a comment, a long command on several lines."""
    lines = textwrap.wrap(comment, width, initial_indent="  # ", subsequent_indent="  # ") if comment else []
    line = "  "
    for part in _parts(command, width - 9):
        if line.strip() and len(line) + len(part) + 2 > width:  # room for the backslash
            lines.append(f"{line}\\")
            line = " " * 6
        line += part + " "
    return "\n".join([*lines, line.rstrip()])


def _parts(command, most):
    """Split a command at its spaces, but keep an option with its value where there is room for both."""
    for part in re.findall(r"--?[a-z][\w-]*(?: +(?!-)\S+)?|\S+", command):
        yield from [part] if len(part) <= most else part.split()
