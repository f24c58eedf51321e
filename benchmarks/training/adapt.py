# Licensed under a 3-clause BSD style license - see LICENSE
"""
What a few hundred labels do for the bundled model, on samples that it was not trained on, and on one that it was.

    python benchmarks/training/adapt.py

simulates, for each sample, 300 galaxies to learn from and 300 to calibrate with, which no model has seen, and many more
to judge by. `astro_photz.train.adapt` learns from them, a shift of the embedding; with ``--whole``, the recipe
``whole`` trains the whole network too. Each becomes a model as a user would make it, and is judged by its graphs. A row
for each seed: the labels are others, the galaxies that judge are the same. Errors are by bootstrap; that of the change
is the paired difference's. The last column is the time (s) from labels to model. All images are simulated.
"""

import argparse
import tempfile
import time
from pathlib import Path

import numpy as np

from astro_photz import load_model, metrics, simulate, train
from astro_photz.cutouts import Cutouts
from astro_photz.sdss import BANDS

SAMPLES = {
    "as trained on": {},
    "g too bright by 0.05 mag": {"band": "g", "error": 0.05},
    "fainter: r from 18.5 to 20": {"brightest": 18.5, "faintest": 20.0},
}
"""What each sample has of its own: an error of a band's zero-point, or limits of magnitude."""

SHOWN = ("bias", "sigma_mad", "crps", "coverage68")


def main():
    arguments = _arguments()
    print(f"{'sample':28s}{'model':16s}{'seed':>4s}", *(f"{name:>19s}" for name in SHOWN), "   change of crps      s")
    with tempfile.TemporaryDirectory() as folder:
        for name, sample in SAMPLES.items():
            _judge_sample(name, sample, Path(folder), arguments)


def _arguments():
    parser = argparse.ArgumentParser(description=__doc__.strip().splitlines()[0])
    parser.add_argument("--n", type=int, default=300, help="galaxies to learn from, and to calibrate with")
    parser.add_argument("--n-test", type=int, default=4000)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--whole", action="store_true", help="train the whole network too")
    return parser.parse_args()


def _judge_sample(name, sample, folder, arguments):
    test, redshift = _galaxies(sample, arguments.n_test, seed=1000, split="test")
    bundled = load_model("bundled")
    before = _scores(bundled, test, redshift)
    _print_row(name, "as it was", "", before)
    for seed in arguments.seeds:
        files = {}
        for place, use in enumerate(("learn", "calibrate")):
            files[use] = folder / f"{use}.h5"
            files[use].unlink(missing_ok=True)
            cutouts, labels = _galaxies(sample, arguments.n, seed=2 * seed + place, split="validation")
            cutouts.write(files[use], specz_redshift=labels)
        for method in ("shift", "whole network")[: 2 if arguments.whole else 1]:
            start = time.monotonic()
            model = _adapted(method, files, folder, seed)
            _print_row(name, method, seed, _scores(model, test, redshift), before, time.monotonic() - start)


def _galaxies(sample, n, *, seed, split):
    """Stamps and redshifts, in the depth that the bundled model was trained to unless the sample has its own."""
    card = load_model("bundled").card
    trained = card["made_by"]["simulate"]["settings"]
    limits = {name: sample[name] for name in ("brightest", "faintest") if name in sample}
    cutouts, truth = simulate.galaxies(
        n, seed=seed, split=split, size=64, config=trained | {"sample": trained["sample"] | limits}
    )
    if "band" in sample:
        cutouts.flux[:, BANDS.index(sample["band"])] *= 10 ** (0.4 * sample["error"])
    return Cutouts(cutouts.flux, ebv=cutouts.ebv, coord=cutouts.coord), np.asarray(truth["redshift"])


def _adapted(method, files, folder, seed):
    """The model that a user would get."""
    run, made = folder / "run", folder / f"adapted-{method}-{seed}"
    options = {"init": "bundled", "validation": files["calibrate"], "seed": seed, "overwrite": True}
    if method == "shift":
        train.adapt(files["learn"], run, **options)
    else:
        machine = train.Machine(accelerator="cpu", devices=1, threads=1, progress=False)
        train.finetune("whole", files["learn"], run, machine=machine, **options)
    train.export_run(run, made, overwrite=True)
    return load_model(made)


def _scores(model, cutouts, redshift):
    return metrics.score(model.pdf(model.encode(cutouts.flux, cutouts.ebv)), redshift)


def _print_row(name, method, seed, scores, before=None, seconds=None):
    values, errors = metrics.summary(scores), metrics.bootstrap(scores)
    numbers = [f"{values[metric]:+9.5f} ±{errors[metric]:8.5f}" for metric in SHOWN]
    change = ""
    if before is not None:
        difference = scores.crps - before.crps
        change = f"{difference.mean():+9.5f} ±{difference.std() / len(difference) ** 0.5:8.5f} {seconds:6.0f}"
    print(f"{name:28s}{method:16s}{seed!s:>4s}", *numbers, change, flush=True)


if __name__ == "__main__":
    main()
