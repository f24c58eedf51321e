# Licensed under a 3-clause BSD style license - see LICENSE
"""
Change of redshifts with the dust of our Galaxy, where E(B−V) is given rightly or wrongly.

    python -m benchmarks.model.dust [--model bundled] [--n 5000]

The same simulated galaxies are rendered behind each amount of dust, under the same sky and with the same noise; what
light the dust takes is lost, unlike where stamps are dimmed afterwards (``python -m
benchmarks.inference.invariances``). The model is told the true E(B-V), or one that is 10 per cent off. Galaxies are
drawn from progenitors that it was not trained on, and, to tell what is due to these being others, from those that it
was trained on. "Change" is the mean over galaxies of the change of (z_phot - z) / (1 + z) since there was no dust,
"slope" that of its slope with E(B-V) (per mag), by a line fitted to each galaxy.
"""

from dataclasses import replace

import numpy as np

from astro_photz import load_model

from ._report import arguments_of, judged, measured, report
from ._stamps import drawn, estimates, observed, scored, simulation_of

EBV = (0.0, 0.1, 0.2, 0.3)
RIGHT = {"told right": 1.0}
TOLD = RIGHT | {"told 10 % too much": 1.1, "told 10 % too little": 0.9}
OF_TRAINING = "like those of the training, "
TEXT = (
    "The same simulated galaxies, rendered behind different amounts of dust. Change: mean change of Δz since there was "
    "none; slope: its mean slope with E(B−V), per mag. Errors: paired, by bootstrap over the real galaxies. Those like "
    "those of the training are other images, of the same real galaxies."
)


def main():
    arguments = arguments_of(__doc__, n=5000)
    model = load_model(arguments.model)
    rows = judge(model, TOLD, simulation_of(model, seed=arguments.seed), arguments.n)
    of_training = simulation_of(model, seed=arguments.seed, split="train")
    rows += judge(model, RIGHT, of_training, arguments.n, prefix=OF_TRAINING)
    columns = {"change": "change of Δz", "slope": "slope"}
    shown = ("bias", "sigma_mad", "eta", "coverage68")
    report("Dust of our Galaxy", rows, arguments, text=TEXT, columns=columns, shown=shown)


def judge(model, told, simulation, n, *, prefix=""):
    """Rows of a table, of galaxies as the simulation draws them; ``told`` are factors of E(B-V), by name."""
    galaxies = drawn(simulation, n)
    scores = [behind(ebv, simulation, *galaxies, model, told) for ebv in EBV]
    groups = galaxies[0].progenitor
    return [row for name in told for row in rows_of(prefix + name, [one[name] for one in scores], groups)]


def behind(ebv, simulation, population, shape, model, told):
    """Scores of the galaxies behind so much dust, by what the model is told of it."""
    population = replace(population, ebv=np.full(len(population), ebv))
    pdfs = {name: [] for name in told}
    for _, cutouts in observed(simulation, population, shape):
        for name, factor in told.items():
            pdfs[name].append(estimates(model, cutouts.flux, factor * cutouts.ebv))
    return {name: scored(parts, population.redshift) for name, parts in pdfs.items()}


def rows_of(name, scores, groups):
    """Rows of a table, one for each amount of dust; the slope stands with the last."""
    deviation = np.stack([one.deviation for one in scores], axis=1)
    rows = []
    for ebv, one in zip(EBV, scores, strict=True):
        change = measured("change", np.mean, one.deviation - deviation[:, 0], groups=groups)
        rows.append(judged(f"E(B−V) = {ebv:g}, {name}", one, groups=groups, **change))
    rows[-1] |= measured("slope", np.mean, slopes(deviation), groups=groups)
    return rows


def slopes(deviation):
    """Slope (N,) with E(B-V) of the deviations (N, len(EBV)) of each galaxy, by least squares."""
    return np.polyfit(EBV, deviation.T, 1)[0]


if __name__ == "__main__":
    main()
