# Licensed under a 3-clause BSD style license - see LICENSE
"""
Scatter of a model beside that of gradient boosting on photometry: does the model see more than colours?

    python -m benchmarks.model.colours [--model bundled] [--n 20000] [--n-train 60000]

All judge the same simulated galaxies, of progenitors that the model was not trained on; boosting learns from simulated
galaxies of the training progenitors. It is given, measured from the stamps, r and four colours by weighted light, or
those and apertures and sizes besides, or all that and the model's own estimate, which tells whether the model has
missed something that is measured (and which is learnt from galaxies of the validation progenitors, since the model has
fitted the others); or true magnitudes with errors of the calibration and the noise that SDSS lists for galaxies as
bright, which is about the least that there can be.

Then the shapes are shuffled: each galaxy gets the shape of one of its type that is like it in r and colours, whatever
its redshift, and is seen under the same conditions as before. What a shape told beyond type, r and colours is lost, and
a method that used it must be no better than boosting on colours. Shapes come from the training progenitors, so
never from the galaxy itself.

The first ratio is the scatter of the model over that of the row, the second that with shuffled shapes over that with
the galaxies' own; errors are by paired bootstrap over the real galaxies that they were drawn from.
"""

import numpy as np
from scipy.spatial import KDTree

from astro_photz import load_model, metrics
from astro_photz.pdf import RedshiftPDF

from ._boosting import Boosting
from ._catalogues import CatalogueNoise
from ._photometry import COLOURS, magnitude_features, magnitudes, measure
from ._report import arguments_of, judged, measured, report
from ._stamps import drawn, estimates, observed, simulation_of

ALIKE = {"r": 0.1, "u-g": 0.06, "g-r": 0.02, "r-i": 0.02, "i-z": 0.02}
"""Scales of r and colours in the search for similar galaxies (mag)."""

CELLS = {"r": 0.5, "u-g": 0.2, "g-r": 0.1}
"""Sides of the cells in which redshifts are compared at like colours (mag)."""

MODEL = "the model"
COLOURS_ONLY = "boosting, r and colours of the stamps"
PHOTOMETRY = "boosting, all photometry of the stamps"
BESIDE = "boosting, all photometry and the model's estimate"
CATALOGUE = "boosting, true magnitudes with a catalogue's noise"

TEXT = (
    "Structure: σ_MAD of the model over that of boosting on true magnitudes with a catalogue's noise is {own} with the "
    "galaxies' own shapes, and {other} with shuffled ones. Photometry of the stamps is not matched for the blur of "
    "each band. A catalogue's noise is {least} times the least that there can be, of a fit that knows profile and blur "
    "(as SDSS lists for galaxies as bright; the factor at r = 17.6 is taken for all fainter ones). Ratios: by paired "
    "bootstrap. Boosting was trained on {n_train} galaxies of the training progenitors; with the model's estimate, on "
    "{n_beside} of the validation progenitors. Shuffled: each galaxy has the shape of another one of equal type, r and "
    "colours; the two differ by {apart} mag in r, u-g, g-r, r-i and i-z (medians), and by {dz} in z / (1 + z) (σ_MAD). "
    "What shapes tell is set by the relations of sizes with luminosity and type (Shen et al. 2003, MNRAS 343, 978), of "
    "bulges with type (Weinzirl et al. 2009, ApJ 696, 411), of axis ratios with luminosity (Vincent & Ryden 2005, ApJ "
    "623, 137) and of colour with inclination (Masters et al. 2010, MNRAS 404, 792). Slope: of Δz with the true "
    "redshift within cells of true r, u-g and g-r ({cells} mag), by which estimates are drawn to what is usual there."
)


def main():
    arguments = arguments_of(
        __doc__,
        n=20_000,
        n_train={"type": int, "default": 60_000, "help": "galaxies that boosting learns from (default: %(default)s)"},
        n_beside={
            "type": int,
            "default": 20_000,
            "help": "those with the model's estimate (default: %(default)s)",
        },
        n_lending={"type": int, "default": 200_000, "help": "galaxies that lend shapes (default: %(default)s)"},
    )
    model = load_model(arguments.model)
    learning = simulation_of(model, seed=arguments.seed + 1, split="train")
    judging = simulation_of(model, seed=arguments.seed)
    noise = CatalogueNoise(model, arguments.seed)
    trained = Sample(learning, *drawn(learning, arguments.n_train), model, noise)
    beside = simulation_of(model, seed=arguments.seed + 3, split="validation")
    validated = Sample(beside, *drawn(beside, arguments.n_beside), model, noise)
    methods = train(trained, validated)

    population, shape = drawn(judging, arguments.n)
    lending = simulation_of(model, seed=arguments.seed + 2, split="train")
    borrowed, apart, dz = shuffled(population, shape, *drawn(lending, arguments.n_lending))
    own = judge(Sample(judging, population, shape, model, noise), methods)
    other = judge(Sample(judging, population, borrowed, model, noise), methods)
    groups, cells = population.progenitor, cells_of(population)
    rows = [
        row(name, scores, own, groups=groups)
        | measured("attenuation", slope_in_cells, deviation_of(scores), population.redshift, cells, groups=groups)
        for name, scores in own.items()
    ]
    rows += [row(name, scores, other, groups=groups, before=own) for name, scores in other.items()]
    structure = {
        "own" if scores is own else "other": ratio_of_scatters(scores[MODEL].deviation, scores[CATALOGUE])
        for scores in (own, other)
    }
    text = TEXT.format(
        **{name: f"{value:.3f}" for name, value in structure.items()},
        least=noise.range,
        n_train=arguments.n_train,
        n_beside=arguments.n_beside,
        apart=", ".join(f"{one:.3f}" for one in apart),
        dz=f"{dz:.4f}",
        cells=", ".join(f"{CELLS[name]:g}" for name in CELLS),
    )
    columns = {
        "ratio": "σ_MAD, model over this",
        "shuffling": "σ_MAD, shuffled over own",
        "attenuation": "slope of Δz with z at a colour",
    }
    report("More than colours", rows, arguments, text=text, columns=columns)


class Sample:
    """Galaxies as measured, and as estimated by a model."""

    def __init__(self, simulation, population, shape, model, noise):
        parts, p = [], []
        for _, cutouts in observed(simulation, population, shape):
            parts.append(measure(cutouts.flux, cutouts.ebv))
            p.append(estimates(model, cutouts.flux, cutouts.ebv).p)
        self.redshift, self.groups = population.redshift, population.progenitor
        self.pdf = RedshiftPDF(np.concatenate(p), model.edges)
        self.features = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
        self.beside = self.features | {"estimate": self.pdf.mean(), "width": self.pdf.std()}
        self.catalogue = noise.listed(simulation, population, shape)


def train(trained, validated):
    """Ways to estimate redshifts of a `Sample`, by name; learnt from others, of the model's training and validation."""

    def boosting(sample, features, **options):
        return Boosting(features, sample.redshift, groups=sample.groups, **options)

    by_colours = boosting(trained, trained.features, names=COLOURS)
    by_photometry = boosting(trained, trained.features)
    by_catalogue = boosting(trained, trained.catalogue)
    beside = boosting(validated, validated.beside)
    return {
        COLOURS_ONLY: lambda sample: by_colours.predict(sample.features),
        PHOTOMETRY: lambda sample: by_photometry.predict(sample.features),
        BESIDE: lambda sample: beside.predict(sample.beside),
        CATALOGUE: lambda sample: by_catalogue.predict(sample.catalogue),
    }


def judge(sample, methods):
    """Scores of the model, and deviations of the other methods, by name."""
    scores = metrics.score(sample.pdf, sample.redshift)
    return {MODEL: scores} | {
        name: metrics.deviation(method(sample), sample.redshift) for name, method in methods.items()
    }


def row(name, scores, beside, *, groups, before=None):
    """A method beside the model; and, if shapes were shuffled, beside itself before."""
    numbers = {}
    if name != MODEL:
        numbers |= measured("ratio", ratio_of_scatters, beside[MODEL].deviation, scores, groups=groups)
    if before:
        numbers |= measured("shuffling", ratio_of_scatters, *map(deviation_of, (scores, before[name])), groups=groups)
    return judged(f"shuffled: {name}" if before else name, scores, groups=groups, **numbers)


def deviation_of(scores):
    return getattr(scores, "deviation", scores)


def cells_of(population):
    """Number (N,) of each galaxy's cell."""
    features = magnitude_features(magnitudes(population.flux))
    places = np.stack([np.floor(features[name] / side) for name, side in CELLS.items()], axis=1)
    return np.unique(places, axis=0, return_inverse=True)[1].ravel()


def slope_in_cells(deviation, redshift, cells):
    """Slope of deviations (N,) with redshifts (N,), both about their means in each cell; 0 without attenuation."""
    n = np.bincount(cells)
    y, x = (values - (np.bincount(cells, values) / np.maximum(n, 1))[cells] for values in (deviation, redshift))
    return float((x * y).sum() / (x * x).sum())


def ratio_of_scatters(one, other):
    return metrics.sigma_mad(one) / metrics.sigma_mad(other)


def shuffled(population, shape, others, other_shape):
    """
    Shapes of others that are like the galaxies in type, r and colours, in the galaxies' own light.

    With them, the median difference of the two in `COLOURS` (5,) in mag, and the scatter of the difference of their
    redshifts, in units of 1 + z.
    """
    own, lent = (magnitude_features(magnitudes(one.flux)) for one in (population, others))
    own, lent = (np.stack([one[name] for name in COLOURS], axis=1) for one in (own, lent))
    scale = np.array([ALIKE[name] for name in COLOURS])
    lender = np.empty(len(population), dtype=int)
    for early in (False, True):
        rows, candidates = np.flatnonzero(shape.early == early), np.flatnonzero(other_shape.early == early)
        lender[rows] = candidates[KDTree(lent[candidates] / scale).query(own[rows] / scale)[1]]
    borrowed = other_shape[lender].dimmed(population.flux / others.flux[lender])
    dz = metrics.sigma_mad(metrics.deviation(others.redshift[lender], population.redshift))
    return borrowed, np.median(np.abs(lent[lender] - own), axis=0), dz


if __name__ == "__main__":
    main()
