# Licensed under a 3-clause BSD style license - see LICENSE
"""
The command ``astro-photz``.

Each module of this package adds commands, and imports what a command needs only when it runs.
"""

import os
import signal
import sys
from contextlib import ExitStack

from ._interrupts import Interrupts, leave, name_of

__all__ = ["entry", "main"]

_ERROR, _CLOSED_PIPE = 1, 141  # the latter is what a shell makes of SIGPIPE


def entry():
    """
    Run the command line of a process.

    Returns
    -------
    int
        Exit code; after an interrupt it does not return, but ends the process.
    """
    try:
        code = _ended(main)
    except KeyboardInterrupt:  # before or after the command could handle it
        code = _signalled(signal.SIGINT)
    except BrokenPipeError:
        code = _CLOSED_PIPE
    if _cut_short(code):
        leave(code)
    if signal.getsignal(signal.SIGINT) is not signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.SIG_DFL)  # the work is done: a signal now needs no message
    return code


def _ended(run):
    """Exit code of a function that may leave by itself, as ``--help`` does; its output is flushed."""
    try:
        code = run()
    except SystemExit as leaving:
        code = leaving.code or 0
    _flush()
    return code


def _flush():
    if sys.stdout is not None:  # as in >&-
        sys.stdout.flush()


def _cut_short(code):
    """Tell an exit code of a command that was cut short."""
    return code in (_CLOSED_PIPE, _signalled(signal.SIGINT), _signalled(signal.SIGTERM))


def main(argv=None):
    """
    Run the command line.

    Parameters
    ----------
    argv : list of str, optional
        Arguments; those of the process by default.

    Returns
    -------
    int
        Exit code: 0 for success, 1 for an error, 3 if no galaxy has a redshift, or an image; 130 after Ctrl-C, 143
        after SIGTERM, 141 for a closed pipe. Wrong usage leaves with 2.
    """
    arguments = None
    with Interrupts() as interrupts:
        try:
            arguments = _command_line().parse_args(argv)
            return _run(arguments)
        except BaseException as error:
            stopped = interrupts.received or (signal.SIGINT if isinstance(error, KeyboardInterrupt) else None)
            if stopped:
                interrupts.unwound()
                return _tell_stop(stopped, arguments)
            if isinstance(error, BrokenPipeError) and _nobody_reads():
                return _CLOSED_PIPE
            if not isinstance(error, Exception) or arguments is None or _wants_traceback(arguments):
                raise
            return _tell_error(error, arguments)


def _run(arguments):
    from ._notices import in_lines

    with in_lines(arguments.parser, quiet=getattr(arguments, "quiet", False)), ExitStack() as arguments.claims:
        code = arguments.run(arguments)
        _flush()  # here, or a closed pipe is noticed too late
    return code or 0


def _tell_error(error, arguments):
    from ._terminal import close_bars, say
    from ._wording import describe

    close_bars()
    say(f"astro-photz: error: {describe(error, arguments.parser)}")
    return _ERROR


def _tell_stop(signum, arguments):
    from astro_photz.utils._terminal import terminal_width

    from ._terminal import close_bars, say

    resume_hint = getattr(arguments, "resume_hint", None)
    hint = resume_hint(arguments) if callable(resume_hint) else resume_hint
    if not close_bars() and signum == signal.SIGINT and terminal_width(sys.stderr):
        say("")  # the terminal has written ^C
    say(f"astro-photz: {name_of(signum)}" + (f": {hint}" if hint else ""))
    return _signalled(signum)


def _signalled(signum):
    return 128 + signum


def _wants_traceback(arguments):
    return getattr(arguments, "traceback", False) or os.environ.get("ASTRO_PHOTZ_TRACEBACK", "") not in ("", "0")


def _nobody_reads():
    """Find out if the reader of the output has gone, as ``head`` does; the rest of the output is then dropped."""
    gone = [stream for stream in (sys.stdout, sys.stderr) if stream is not None and _is_broken(stream)]
    for stream in gone:
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
    return bool(gone)


def _is_broken(stream):
    import select

    if not hasattr(select, "poll"):
        return True  # only a pipe breaks in this way
    try:
        poll = select.poll()
        poll.register(stream.fileno(), select.POLLOUT)
        return any(event & select.POLLERR for _, event in poll.poll(0))
    except (OSError, ValueError):  # no file behind it
        return False


def _command_line():
    from astro_photz import __version__

    from . import _evaluate, _models, _predict, _report, _similarity, _simulate, _train, _validate
    from ._completion import PrintCompletion
    from ._help import CODES, EXAMPLES
    from ._parser import CommandParser

    parser = CommandParser(
        prog="astro-photz",
        description="Photometric redshifts of galaxies from their SDSS images.",
        examples=EXAMPLES,
        notes=CODES,
    )
    parser.add_argument("--version", action="version", version=f"astro-photz {__version__}")
    parser.add_argument("--traceback", action="store_true", help="show where in the code an error arose")
    parser.add_argument(
        "--print-completion", action=PrintCompletion, metavar="SHELL", help="script for the Tab key: bash, zsh or tcsh"
    )
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    for module in (_predict, _validate, _report, _similarity, _simulate, _train, _evaluate, _models):
        module.add_commands(commands)
    return parser
