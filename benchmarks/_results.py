# Licensed under a 3-clause BSD style license - see LICENSE
"""Results that are kept for the model card, with the command that makes them."""

import shlex
import sys
from pathlib import Path

from astro_photz.utils._files import write_json

__all__ = ["write_result"]

_ROOT = Path(__file__).parents[1]


def write_result(path, result, *, model=None, without=()):
    """
    Write a result as JSON, and with it this command, as one would give it in the root of the repository.

    Parameters
    ----------
    path : `~pathlib.Path`
    result : dict
    model : `~astro_photz.models.PhotozModel`, optional
        What the result is of.
    without : sequence of str, optional
        Options, without values, that the result does not depend on.
    """
    script, *options = sys.argv
    command = ["python", Path(script).resolve().relative_to(_ROOT).as_posix()]
    command += [option for option in options if option not in without]
    of = {"model": {"name": model.name, "version": model.version, "sha256": model.sha256}} if model else {}
    write_json(path, result | of | {"command": shlex.join(command)})
