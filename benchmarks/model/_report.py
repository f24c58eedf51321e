# Licensed under a 3-clause BSD style license - see LICENSE
"""
Shared parts of the comparisons in this folder: options, errors by bootstrap, a table, a result as JSON.

A result is of the kind "table" of the model card (`astro_photz.evaluation.card_page`). Rows are made by `judged`, of
PDFs or, for a method that gives numbers only, of their deviations.
"""

import argparse
from pathlib import Path

import numpy as np

from astro_photz import load_model, metrics
from astro_photz.metrics import METRICS
from benchmarks.common.results import write_result
from benchmarks.common.timing import print_table

__all__ = ["arguments_of", "bootstrap_error", "judged", "measured", "report"]

_OF_NUMBERS = ("bias", "sigma_mad", "eta")  # metrics that need no PDF
_HEADINGS = {"sigma_mad": "σ_MAD", "eta": "η", "crps": "CRPS", "coverage68": "in 68 %", "coverage95": "in 95 %"}


def arguments_of(doc, *, n=None, **options):
    """
    Arguments of a script: the model, how many galaxies, the seed, where the result goes.

    The first line of the script's ``doc`` describes it; None for ``n`` means all galaxies. Each further option is a
    dict for `argparse.ArgumentParser.add_argument`.
    """
    parser = argparse.ArgumentParser(description=doc.strip().splitlines()[0])
    parser.add_argument("--model", default="bundled", help="name or folder of a model (default: %(default)s)")
    parser.add_argument("--n", type=int, default=n, help=f"galaxies to judge by (default: {n or 'all'})")
    parser.add_argument("--seed", type=int, default=100, help="of the simulation (default: %(default)s)")
    parser.add_argument("--output", type=Path, metavar="FILE.json", help="write the result for the model card")
    for name, option in options.items():
        parser.add_argument(f"--{name.replace('_', '-')}", **option)
    return parser.parse_args()


def bootstrap_error(statistic, *samples, groups=None):
    """
    Error of a number that is computed of galaxies, the same ones in all samples.

    It is the standard deviation over samples drawn with replacement; for ``groups`` (N,), see
    `astro_photz.metrics.resampled`.
    """
    drawn = metrics.resampled(len(samples[0]), groups=groups)
    return float(np.std([_of_all(statistic, [sample[rows] for sample in samples]) for rows in drawn]))


def _of_all(statistic, samples):
    """A number of samples; several values of a galaxy (N, M), of views say, count alike."""
    return float(statistic(*map(np.ravel, samples)))


def measured(name, statistic, *samples, groups=None):
    """A number of a row, and its error by bootstrap, where that tells one: dict."""
    error = bootstrap_error(statistic, *samples, groups=groups)
    told = {f"{name}_err": error} if error > 0 else {}  # not if all cases were alike, or one had no such number
    return {name: _of_all(statistic, samples)} | told


def judged(method, scores, *, groups=None, **others):
    """A row of a table, of the scores of PDFs, or of deviations (N,) where there are no PDFs, and of ``others``."""
    if isinstance(scores, metrics.Scores):
        values, errors = metrics.summary(scores), metrics.bootstrap(scores, groups=groups)
        numbers = {name: values[name] for name in METRICS} | {f"{name}_err": errors[name] for name in METRICS}
        return {"method": method, "n": values["n"], **numbers, **others}
    numbers = {}
    for name in _OF_NUMBERS:
        numbers |= measured(name, getattr(metrics, name), scores, groups=groups)
    return {"method": method, "n": len(scores), **numbers, **others}


def report(title, rows, arguments, *, text="", columns=None, simulated=True, shown=_OF_NUMBERS):
    """
    Print rows as a table, and write them as a result if that is wanted.

    ``text`` says what is compared, ``columns`` gives headings of numbers that are no metrics, ``shown`` the metrics to
    print; ``simulated`` says whether all images are.
    """
    columns = columns or {}
    headings = {name: _HEADINGS.get(name, name) for name in shown} | columns
    print(f"{title}. {text}\n" if text else f"{title}\n")
    cells = [(row["method"], str(row.get("n", "")), *(_cell(row, name) for name in headings)) for row in rows]
    print_table(("", "galaxies", *headings.values()), cells)
    if arguments.output:
        result = {"kind": "table", "simulated": simulated, "title": title, "text": text, "columns": columns}
        write_result(arguments.output, result | {"rows": rows}, model=load_model(arguments.model))


def _cell(row, name):
    if name not in row:
        return ""
    digits = 1 if abs(row[name]) >= 10 else 5
    error = f" ± {row[f'{name}_err']:.{digits}f}" if f"{name}_err" in row else ""
    return f"{row[name]:.{digits}f}{error}"
