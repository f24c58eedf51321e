# Licensed under a 3-clause BSD style license - see LICENSE
"""
From one family of shapes to the other: models on galaxies of each, those that they were trained on and those not.

    python -m benchmarks.model.families MODEL [MODEL ...]

Simulated galaxies of the split, of shapes of the first family alone, and of the second alone; all else is as in the
training of each model. A model that was trained on one family shows, on the other, what it has learnt of galaxies, and
what of a generator. Ratios are σ_MAD over that on the family of its own training, or, of a model that has learnt from
both, over that on the first; late galaxies are apart. The two sets have galaxies of the same light.
"""

import argparse
from pathlib import Path

import numpy as np

from astro_photz import load_model, metrics
from benchmarks.common.results import write_result
from benchmarks.common.timing import print_table

from ._report import judged, measured
from ._stamps import drawn, estimates, observed, scored, simulation_of

FAMILIES = {"first family": 0.0, "second family": 1.0}
COLUMNS = {"sigma_ratio": "σ_MAD over its own family's", "pit_ks": "KS"}
HEADINGS = {
    "sigma_mad": "σ_MAD",
    "eta": "η",
    "bias": "bias",
    "coverage68": "in 68 %",
    "coverage95": "in 95 %",
    **COLUMNS,
}


def main():
    arguments = _arguments()
    rows = []
    for name in arguments.models:
        rows += rows_of(load_model(name), arguments)
    cells = [[row["method"], str(row["n"]), *(_cell(row, name) for name in HEADINGS)] for row in rows]
    print_table(("", "galaxies", *HEADINGS.values()), cells)
    if arguments.output:
        text = "Simulated galaxies with shapes of either family; a model's own is the one that it was trained on."
        result = {"kind": "table", "simulated": True, "title": "From one family of shapes to the other", "text": text}
        write_result(arguments.output, result | {"columns": COLUMNS, "rows": rows})


def _arguments():
    parser = argparse.ArgumentParser(description=__doc__.strip().splitlines()[0])
    parser.add_argument("models", nargs="+", metavar="MODEL", help="names or folders of models")
    parser.add_argument("--n", type=int, default=10_000, help="galaxies of each family (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=300, help="of the simulation (default: %(default)s)")
    parser.add_argument("--split", choices=("validation", "test"), default="validation")
    parser.add_argument("--output", type=Path, metavar="FILE.json", help="write the result for the model card")
    return parser.parse_args()


def rows_of(model, arguments):
    """Rows of a model: each family, and its late galaxies."""
    scores, late = {}, {}
    for family, share in FAMILIES.items():
        simulation = simulation_of(model, seed=arguments.seed, split=arguments.split, shapes={"sersic": share})
        population, shape = drawn(simulation, arguments.n)
        pdfs = [estimates(model, cut.flux, cut.ebv) for _, cut in observed(simulation, population, shape)]
        scores[family], late[family] = scored(pdfs, population.redshift), ~shape.early
    trained = simulation_of(model, seed=0).settings.shapes["sersic"]
    own = "second family" if trained == 1 else "first family"
    rows = []
    for family, score in scores.items():
        for kind, chosen, usual in (
            ("all", score, scores[own]),
            ("late", score.of(late[family]), scores[own].of(late[own])),
        ):
            told = f"{model.name} {model.version} (of the second family: {trained:g}), {family}, {kind}"
            rows.append(judged(told, chosen, **({} if family == own else ratio(chosen, usual))))
    return rows


def ratio(scores, usual):
    """Ratio of the scatters of two samples of galaxies, which are not the same ones, and its error: dict."""
    values, errors = zip(
        *(
            (one["sigma_mad"], one["sigma_mad_err"])
            for one in (measured("sigma_mad", metrics.sigma_mad, part.deviation) for part in (scores, usual))
        ),
        strict=True,
    )
    value = values[0] / values[1]
    return {"sigma_ratio": value, "sigma_ratio_err": value * float(np.hypot(*np.divide(errors, values)))}


def _cell(row, name):
    if name not in row:
        return ""
    return f"{row[name]:.4f}" + (f" ± {row[f'{name}_err']:.4f}" if f"{name}_err" in row else "")


if __name__ == "__main__":
    main()
