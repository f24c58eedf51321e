# Licensed under a 3-clause BSD style license - see LICENSE
"""Results that are kept for the model card, with the command that makes them."""

import shlex
import sys

from astro_photz.utils._files import write_json

__all__ = ["write_result"]


def write_result(path, result, *, model=None, without=()):
    """
    Write a result as JSON, and with it this command, as one would give it in the root of the repository.

    ``without`` are options, without values, that the result does not depend on.
    """
    command = ["python", "-m", sys.modules["__main__"].__spec__.name]
    command += [option for option in sys.argv[1:] if option not in without]
    of = {"model": {"name": model.name, "version": model.version, "sha256": model.sha256}} if model else {}
    write_json(path, result | of | {"command": shlex.join(command)})
