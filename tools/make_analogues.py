# Licensed under a 3-clause BSD style license - see LICENSE
"""
Give a model that exists spectroscopic analogues: galaxies of its training, to compare others with.

    python -m tools.make_analogues MODEL TRAIN.h5 VALIDATION.h5 [--n 20000] [--components 8] [--seed 0]

writes ``analogues.npz`` into the folder of the model, and its hash into the card. The galaxies are drawn from the file
that the model was trained on; those of the other file, which it was calibrated on, decide how many neighbours make a
redshift, and how large its error is.

    python -m tools.make_analogues MODEL --test TEST.h5 [--output FILE.json]

judges the analogues that a model has by galaxies of a third file, beside the PDF.
"""

import argparse
import json
import time
from pathlib import Path

import numpy as np

from astro_photz import load_model, metrics
from astro_photz.inference.analogue_columns import analogues_of
from astro_photz.models.card import ANALOGUES
from astro_photz.reference._stamps import labelled_galaxies
from astro_photz.reference.analogues import Analogues


def make(folder, train, validation, *, n, n_components, seed):
    """Make the analogues of the model in a folder, and write them there."""
    analogues = Analogues.of_training(load_model(folder), train, validation, n=n, n_components=n_components, seed=seed)
    analogues.install(folder)
    size = (folder / ANALOGUES).stat().st_size
    print(
        f"wrote {folder / ANALOGUES}: {len(analogues)} galaxies, {size / 1e6:.2f} MB; k {analogues.k}, error scale "
        f"{analogues.error_scale:.3f}, limit {analogues.limit:.3f}"
    )


def judged(folder, path):
    """Figures of the analogues of a model on the galaxies of a file, and of its PDFs: dict."""
    model = load_model(folder)
    analogues = analogues_of(model, 1)  # raises an error if there are none
    galaxies = labelled_galaxies(model, path)
    known = np.isfinite(galaxies.embedding).all(axis=1) & np.isfinite(galaxies.redshift)
    z, embedding = galaxies.redshift[known], galaxies.embedding[known]
    analogues.search(embedding[:1])  # which grows the tree
    start = time.perf_counter()
    found = analogues.search(embedding)
    seconds = time.perf_counter() - start
    pdf = model.pdf(embedding)
    pull = np.abs(found.z_knn - z) / found.z_knn_err
    disagree, outlier = analogues.disagree(found, pdf), np.abs(metrics.deviation(pdf.mean(), z)) > metrics.OUTLIER
    return {
        "n": len(z),
        "pdf": figures(pdf.mean(), z),
        "knn": figures(found.z_knn, z),
        "within one error": float(np.mean(pull < 1)),
        "within two errors": float(np.mean(pull < 2)),
        "disagree": float(disagree.mean()),
        "outliers of all": float(outlier.mean()),
        "outliers of those that disagree": float(outlier[disagree].mean()) if disagree.any() else None,
        "redshift of the nearest, scatter": float(metrics.sigma_mad(metrics.deviation(found.redshift[:, 0], z))),
        "milliseconds a galaxy": 1e3 * seconds / len(z),
    }


def figures(estimate, z):
    """Scatter, outliers and bias of redshifts: dict."""
    deviation = metrics.deviation(estimate, z)
    return {name: float(getattr(metrics, name)(deviation)) for name in ("sigma_mad", "eta", "bias")}


def main():
    """Read the arguments of the command."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[1])
    parser.add_argument("model", type=Path, metavar="MODEL", help="folder of a model")
    parser.add_argument("train", type=Path, nargs="?", metavar="TRAIN.h5", help="file that it was trained on")
    parser.add_argument("validation", type=Path, nargs="?", metavar="VALIDATION.h5", help="file that it has not seen")
    parser.add_argument("--n", type=int, default=20_000, help="number of galaxies (default: %(default)s)")
    parser.add_argument("--components", type=int, default=8, help="numbers kept of each (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=0, help="of the draw (default: %(default)s)")
    parser.add_argument("--test", type=Path, metavar="TEST.h5", help="judge the analogues by these galaxies")
    parser.add_argument("--output", type=Path, metavar="FILE.json", help="file for the figures of --test")
    args = parser.parse_args()
    if (args.validation is None) == (args.test is None):
        parser.error("give TRAIN.h5 and VALIDATION.h5 to make analogues, or --test TEST.h5 to judge them")
    if args.validation:
        make(args.model, args.train, args.validation, n=args.n, n_components=args.components, seed=args.seed)
        return
    found = json.dumps(judged(args.model, args.test), indent=2)
    print(found)
    if args.output:
        args.output.write_text(found + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
