# Licensed under a 3-clause BSD style license - see LICENSE
"""
The commands that judge a model: ``evaluate`` and ``card``.
"""

from functools import partial
from pathlib import Path

from ._common import ANEW, add_command, check_output, print_table, say

__all__ = ["add_commands"]

_EXAMPLES = [
    ("astro-photz evaluate mine/ test.h5 --output metrics.json", "measure the quality of a model"),
    ("astro-photz card mine/ metrics.json --output mine_card.rst", "write the page about it"),
]


def add_commands(commands):
    """Add the commands and their arguments."""
    command = partial(add_command, commands, examples=_EXAMPLES, resume_hint=ANEW)
    evaluate = command("evaluate", _evaluate, "measure the quality of a model")
    evaluate.add_argument("model", metavar="MODEL", help="name or folder of a model")
    evaluate.add_argument("data", type=Path, metavar="FILE.h5", help="images with redshifts, not trained on")
    evaluate.add_argument("--output", type=Path, metavar="FILE.json", help="file for all metrics, also in bins")
    evaluate.add_argument("--quiet", action="store_true", help="no progress bar")

    card = command("card", _card, "write the page about a model, from its results")
    card.add_argument("model", metavar="MODEL", help="name or folder of a model")
    card.add_argument("results", type=Path, nargs="+", metavar="FILE.json", help="of evaluate --output, and others")
    card.add_argument("--output", type=Path, required=True, metavar="FILE.rst", help="page, with figures beside it")


def _evaluate(arguments):
    from astro_photz.evaluation import comparison, evaluate_model
    from astro_photz.utils._hdf5 import NotHDF5

    if arguments.output:
        check_output(arguments, arguments.output, overwrite=True, inputs=[arguments.data])
    try:
        evaluation = evaluate_model(arguments.model, arguments.data, progress=False if arguments.quiet else None)
    except NotHDF5 as error:
        raise NotHDF5(f"{error}. astro-photz validate judges the redshifts of a table") from None
    print_table(comparison(evaluation))
    if arguments.output:
        evaluation.write(arguments.output)


def _card(arguments):
    from astro_photz.evaluation import write_model_card

    files = " ".join(map(str, arguments.results))
    command = f"astro-photz card {arguments.model} {files} --output {arguments.output}"
    for path in write_model_card(arguments.output, arguments.model, arguments.results, command=command):
        say(f"wrote {path}")
