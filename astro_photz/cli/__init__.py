# Licensed under a 3-clause BSD style license - see LICENSE
"""
The command ``astro-photz``.

Each module of this package adds commands to it, and loads what a command needs when it is given.
"""

import argparse
import sys
import warnings
from contextlib import contextmanager

from . import _models, _predict, _simulate, _train

__all__ = ["main"]

_EXAMPLES = """\
examples:
  astro-photz demo                                         what it does, offline, in a few seconds
  astro-photz predict hosts.csv hosts_z.ecsv               images from the SDSS archive
  astro-photz predict hosts.fits z.fits --source frames/   images from a folder of frames
  astro-photz fetch hosts.csv stamps.h5                    keep the images ...
  astro-photz predict hosts.csv z.csv --source stamps.h5   ... and use them again
  astro-photz simulate galaxies sky.h5 --n 1000 --seed 1   a simulated sky, with known redshifts
  astro-photz pretrain --help                              how a model of your own is made, in four commands
"""


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
        Exit code: 0 for success, 1 for an error, 130 after an interrupt; wrong usage leaves with 2.
    """
    from astropy.io.registry import IORegistryError

    arguments = _parser().parse_args(argv)
    try:
        with _warnings_in_a_line():
            arguments.run(arguments)
    except (OSError, ValueError, TypeError, KeyError, ImportError, IORegistryError) as error:
        message = error.args[0] if isinstance(error, KeyError) else error
        print(f"astro-photz: error: {str(message).strip().splitlines()[0]}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("astro-photz: interrupted", file=sys.stderr)
        return 130
    return 0


def _parser():
    from .. import __version__

    parser = argparse.ArgumentParser(
        prog="astro-photz",
        description="Photometric redshifts of galaxies from their SDSS images.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"astro-photz {__version__}")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    for module in (_predict, _simulate, _train, _models):
        module.add_commands(commands)
    return parser


@contextmanager
def _warnings_in_a_line():
    def show(message, category, filename, lineno, file=None, line=None):
        print(f"astro-photz: warning: {str(message).strip().splitlines()[0]}", file=sys.stderr)

    with warnings.catch_warnings():
        warnings.showwarning = show
        yield
