# Licensed under a 3-clause BSD style license - see LICENSE
"""Results that are kept for the model card, with the command that makes them."""

import shlex
import sys
from pathlib import Path

from astro_photz._files import write_json

__all__ = ["write_result"]

_ROOT = Path(__file__).parents[1]


def write_result(path, result, *, without=()):
    """
    Write a result as JSON, and with it this command, as one would give it in the root of the repository.

    Parameters
    ----------
    path : `~pathlib.Path`
    result : dict
    without : sequence of str, optional
        Options, without values, that the result does not depend on.
    """
    script, *options = sys.argv
    command = ["python", Path(script).resolve().relative_to(_ROOT).as_posix()]
    command += [option for option in options if option not in without]
    write_json(path, result | {"command": shlex.join(command)})
