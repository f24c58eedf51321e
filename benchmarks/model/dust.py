# Licensed under a 3-clause BSD style license - see LICENSE
"""
How the redshifts of galaxies change with the dust of our Galaxy before them, told of rightly or wrongly.

    python benchmarks/model/dust.py [--model bundled] [--n 5000]

The same simulated galaxies are rendered behind each amount of dust, under the same sky and with the same noise; what
light the dust takes is lost, unlike where stamps are dimmed afterwards (``benchmarks/invariances.py``). The model is
told the true E(B-V), or one that is 10 per cent off. "Change" is the mean over galaxies of the change of
(z_phot - z) / (1 + z) since there was no dust, "slope" that of its slope with E(B-V) (per mag), by a line fitted to
each galaxy.
"""

from dataclasses import replace

import numpy as np
from _report import arguments_of, deviations, judged, measured, report
from _stamps import drawn, estimates, observed, recipe_of

from astro_photz import load_model

EBV = (0.0, 0.1, 0.2, 0.3)
TOLD = {"told right": 1.0, "told 10 % too much": 1.1, "told 10 % too little": 0.9}
TEXT = (
    "The same simulated galaxies, rendered behind different amounts of dust. Change: mean change of Δz since there was "
    "none; slope: its mean slope with E(B−V), per mag. Errors: paired, by bootstrap over the real galaxies."
)


def main():
    arguments = arguments_of(__doc__, n=5000)
    model = load_model(arguments.model)
    recipe = recipe_of(model, seed=arguments.seed)
    galaxies = drawn(recipe, arguments.n)
    deviation = np.stack([behind(ebv, recipe, *galaxies, model) for ebv in EBV], axis=1)
    told = zip(TOLD, np.moveaxis(deviation, 2, 0), strict=True)
    rows = [row for name, one in told for row in rows_of(name, one, groups=galaxies[0].seed_index)]
    report("Dust of our Galaxy", rows, arguments, text=TEXT, columns={"change": "change of Δz", "slope": "slope"})


def behind(ebv, recipe, population, shape, model):
    """Deviations (N, len(TOLD)) of the galaxies' redshifts, behind so much dust."""
    population = replace(population, ebv=np.full(len(population), ebv))
    deviation = np.empty((len(population), len(TOLD)))
    for rows, cutouts in observed(recipe, population, shape):
        for column, factor in enumerate(TOLD.values()):
            estimate = estimates(model, cutouts.flux, factor * cutouts.ebv).mean()
            deviation[rows, column] = deviations(estimate, population.redshift[rows])
    return deviation


def rows_of(name, deviation, *, groups):
    """Rows of a table, one for each amount of dust; the slope stands with the last."""
    rows = []
    for ebv, one in zip(EBV, deviation.T, strict=True):
        change = measured("change", np.mean, one - deviation[:, 0], groups=groups)
        rows.append(judged(f"E(B−V) = {ebv:g}, {name}", one, groups=groups, **change))
    rows[-1] |= measured("slope", np.mean, slopes(deviation), groups=groups)
    return rows


def slopes(deviation):
    """Slope (N,) with E(B-V) of the deviations (N, len(EBV)) of each galaxy, by least squares."""
    return np.polyfit(EBV, deviation.T, 1)[0]


if __name__ == "__main__":
    main()
