# Licensed under a 3-clause BSD style license - see LICENSE
"""
Gain of a model by a few hundred labels, on samples that it was not trained on, and on one that it was.

    python -m benchmarks.model.adapt [--model bundled] [--n-labels 300] [--n 4000]

For each sample, labelled galaxies are simulated, which no model has seen, and many more to judge by, of other seeds.
From the file of labels alone, `astro_photz.train.adapt` learns a shift of the embedding and calibrates; with
``--whole``, the recipe ``gentle`` trains the whole network too, with as many labels again to validate by. Each becomes
a model as a user would make it, and is judged by its graphs. A row for each seed: the labels are others, the galaxies
that judge are the same. "Change" is the change of the mean CRPS, paired, "time" that from labels to model (s).
"""

import tempfile
import time
from pathlib import Path

import numpy as np

from astro_photz import load_model, metrics, simulate, train
from astro_photz.sdss import BANDS

from ._report import arguments_of, judged, measured, report
from ._stamps import estimates, simulation_of

SAMPLES = {
    "as trained on": {},
    "g too bright by 0.05 mag": {"band": "g", "error": 0.05},
    "fainter: r from 18.5 to 20": {"brightest": 18.5, "faintest": 20.0},
}
"""Peculiarity of each sample: an error of a band's zero-point, or limits of magnitude."""

LABELS, VALIDATION = "labels.h5", "validation.h5"
SEEDS = (1000, 1001, 1002)  # of the labels; the model's own sets have others
TEXT = (
    "Samples like that of the training, or not, before and after {n} labels, in three draws of them. Change: of the "
    "CRPS, paired. Errors: by bootstrap over the real galaxies that those that judge were drawn from."
)


def main():
    options = {
        "n_labels": {"type": int, "default": 300, "help": "galaxies to learn from (default: %(default)s)"},
        "whole": {"action": "store_true", "help": "train the whole network too"},
    }
    arguments = arguments_of(__doc__, n=4000, **options)
    methods = {"a shift": adapted} | ({"whole network": trained} if arguments.whole else {})
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        for name, sample in SAMPLES.items():
            rows += rows_of(name, sample, methods, arguments, Path(folder))
    columns = {"change": "change of CRPS", "time": "time (s)"}
    text = TEXT.format(n=arguments.n_labels)
    shown = ("bias", "sigma_mad", "crps", "coverage68")
    report("Labels of another sample", rows, arguments, text=text, columns=columns, shown=shown)


def rows_of(name, sample, methods, arguments, folder):
    """Rows of a table: the model as it was, and what each method makes of it with the labels of each seed."""
    model = load_model(arguments.model)
    cutouts, truth = galaxies(model, sample, arguments.n, seed=arguments.seed, split="test")
    groups = truth["seed_index"]

    def scores(model):
        return metrics.score(estimates(model, cutouts.flux, cutouts.ebv), truth["redshift"])

    before = scores(model)
    rows = [judged(name, before, groups=groups)]
    for method, make in methods.items():
        for draw, seed in enumerate(SEEDS, 1):
            for place, file in enumerate((LABELS, VALIDATION)):
                write_labels(folder / file, model, sample, arguments.n_labels, seed=seed + 100 * place)
            begun = time.monotonic()
            make(arguments.model, folder, seed)
            train.export_run(folder / "run", folder / "model", overwrite=True)
            seconds = time.monotonic() - begun
            after = scores(load_model(folder / "model"))
            change = measured("change", np.mean, after.crps - before.crps, groups=groups)
            rows.append(judged(f"{name}: {method}, draw {draw}", after, groups=groups, **change, time=seconds))
    return rows


def galaxies(model, sample, n, *, seed, split):
    """Stamps and what is true of them, in the depth that the model was trained to unless the sample has its own."""
    simulation = simulation_of(model, seed=seed, split=split)
    limits = {name: sample[name] for name in ("brightest", "faintest") if name in sample}
    config = simulation.settings.as_dict()
    config["sample"] |= limits
    cutouts, truth = simulate.galaxies(n, seed=seed, split=split, size=simulation.size, config=config)
    if "band" in sample:
        cutouts.flux[:, BANDS.index(sample["band"])] *= 10 ** (0.4 * sample["error"])
    return cutouts, {name: np.asarray(truth[name]) for name in ("redshift", "seed_index")}


def write_labels(path, model, sample, n, *, seed):
    """A file as a user has it."""
    cutouts, truth = galaxies(model, sample, n, seed=seed, split="validation")
    path.unlink(missing_ok=True)
    cutouts.write(path, specz_redshift=truth["redshift"])


def adapted(model, folder, seed):
    train.adapt(folder / LABELS, folder / "run", init=model, seed=seed, overwrite=True)


def trained(model, folder, seed):
    machine = train.Machine(accelerator="cpu", devices=1, threads=1, progress=False)
    options = {"init": model, "validation": folder / VALIDATION, "seed": seed, "machine": machine, "overwrite": True}
    train.finetune("gentle", folder / LABELS, folder / "run", **options)


if __name__ == "__main__":
    main()
