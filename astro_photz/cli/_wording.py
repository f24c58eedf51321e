# Licensed under a 3-clause BSD style license - see LICENSE
"""
Error messages in one line, with the command's option names for Python's parameters.
"""

import re

from astro_photz.utils._suggestions import first_line

__all__ = ["describe", "in_options"]

# Quoted text is left alone; a parameter, with or without a value, stands apart from other words.
_VALUE = r"True|False|None|'[^']*'|\"[^\"]*\"|[\w.+-]+"
_PARAMETER = re.compile(
    rf"(?<![\w=])(?:'[^']*'|\"[^\"]*\")(?!\w)|(?<![^\s(])(?P<name>[a-z]\w*)=(?P<value>{_VALUE})?(?=[\s,;:.)]|$)"
)
_SUBJECT = re.compile(r"(?P<name>[a-z]\w*)(?= must\b)")
_TWICE = re.compile(r"(--[\w-]+) \(\1\)")


def in_options(message, parser):
    """
    Name options of a command where a message names parameters.

    A parameter is a name with an equals sign behind it (``ra=``, ``overwrite=True``), or the first word where the
    second is "must". ``parser`` is the one of the command that was given.

    Examples
    --------
    >>> from argparse import ArgumentParser
    >>> from astro_photz.cli._wording import in_options
    >>> parser = ArgumentParser()
    >>> for option in ("--size", "--ra"):
    ...     _ = parser.add_argument(option)
    >>> in_options("size must be a number", parser)
    '--size must be a number'
    >>> in_options("say ra='its name'; 'size=1' is no size", parser)
    "say --ra its name; 'size=1' is no size"
    """
    options = _options(parser)

    def option(found):
        if found["name"] not in options:
            return found[0]
        value = found["value"]
        given = "" if value in (None, "True") else f" {value.strip(chr(39) + chr(34))}"
        return options[found["name"]][0] + given

    message = _PARAMETER.sub(option, message)
    subject = _SUBJECT.match(message)
    # an option that takes a column's name is called like the column, and that has limits of its own
    if subject and subject["name"] in options and options[subject["name"]][1] != "COLUMN":
        message = options[subject["name"]][0] + message[subject.end() :]
    return _TWICE.sub(r"\1", message)


def _options(parser):
    """Collect option and metavar by the name of the parameter."""
    found = {}
    for action in parser._actions:
        for option in action.option_strings:
            if option.startswith("--"):
                name = option.removeprefix("--").replace("-", "_")
                for parameter in (name, action.dest, *getattr(action, "parameters", ())):
                    found.setdefault(parameter, (option, action.metavar))
    return found


def describe(error, parser):
    """Describe an error in a line."""
    if isinstance(error, MemoryError):
        return f"not enough memory: {first_line(str(error))}" if str(error).strip() else "not enough memory"
    message = in_options(first_line(_text(error)), parser)
    if isinstance(error, _expected()) and " " in message:  # a word alone, such as a key, is no sentence
        return message
    kind = type(error).__name__
    told = f"{kind}: {message}" if message else f"{kind}, without further words"
    return f"{told} (--traceback shows where)"


def _text(error):
    if isinstance(error, KeyError) and error.args:
        return str(error.args[0])
    told_by_system = isinstance(error, OSError) and error.strerror and str(error).startswith("[Errno")
    if told_by_system:
        return f"{error.filename}: {error.strerror}" if error.filename is not None else error.strerror
    return str(error)


def _expected():
    """Errors of a user's input; any other one may be a bug, and its message names its type."""
    from astropy.io.registry import IORegistryError

    return OSError, ValueError, TypeError, KeyError, ImportError, IORegistryError
