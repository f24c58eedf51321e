# Licensed under a 3-clause BSD style license - see LICENSE
"""
A model on stamps drawn with the light of real galaxies, beside gradient boosting that learnt from real galaxies.

    python -m benchmarks.model.catalogues [--model bundled] [--test] [--sersic SHARE] [--true] [--adapt]

The galaxies are real, of four catalogues, with their magnitudes and spectroscopic redshifts to r = 17.77
(`astro_photz.simulate.population.measured`); only their shapes, sky and noise are simulated. They are those of the
validation split, or, with ``--test``, those for a last look: kcorrect's test progenitors, the odd rows of the main
sample, a tenth of the others. No training stamp was drawn from either. Boosting learns from the same catalogue's
training galaxies, with several draws of the noise, and is judged by the magnitudes of the same galaxies; these get
noise besides that of the catalogue, as much as SDSS lists for galaxies as bright in images as deep, which is about the
least that there can be. A catalogue's own noise is drawn as if it were light, which boosting has learnt to allow for
and a model has not; with ``--true``, galaxies have the light that they may truly have, as simulated galaxies do.

``--sersic`` sets the share of the second family of shapes, by default that of the training. With ``--adapt``, the
model learns to allow for a catalogue's noise too: all of it is adapted, by the recipe ``gentle``, to stamps of the
galaxies that boosting learns from.

Ratios are σ_MAD and η over those of boosting, with errors by a paired bootstrap; each galaxy is seen ``--views`` times,
and all views of a galaxy are drawn together. Boosting on magnitudes as they are listed, without noise besides, is told
too: its galaxies are seen better than the stamps show them.
"""

import tempfile
from pathlib import Path

import numpy as np

from astro_photz import load_model, metrics, train
from astro_photz.cutouts.hdf5.writer import CutoutWriter
from astro_photz.simulate.population.draw import catalogue_population
from astro_photz.simulate.population.measured import ORIGINS
from astro_photz.simulate.population.progenitors import load_progenitors

from ._boosting import Boosting
from ._catalogues import CatalogueNoise, halves
from ._photometry import magnitude_features, magnitudes
from ._report import arguments_of, judged, measured, report
from ._stamps import estimates, generator, observed, shapes, simulation_of

TEXT = (
    "Simulated stamps with the magnitudes and spectroscopic redshifts of real galaxies that no training stamp was "
    "drawn from; boosting on the magnitudes of the same galaxies, trained on other galaxies of their catalogue, as "
    "listed, or with the stamps' noise besides: that which SDSS lists for galaxies as bright, {least} times the least "
    "that there can be, of a fit that knows profile and blur. Each galaxy that boosting learns from is given {draws} "
    "draws of the noise. {light}. Shapes are drawn, by the relations of the training, of the luminosity that a galaxy "
    "has at its redshift: what they tell of it is in the stamps, and not in the magnitudes. Luminous late galaxies are "
    "those of absolute magnitude r below -21.5. Adapted: all of the network, with as many stamps of the galaxies that "
    "boosting learnt from."
)
LIGHT = {
    False: "A catalogue's own noise is drawn as if it were light, which boosting has learnt to allow for",
    True: "The light is a draw of what the galaxies may truly have, without their catalogue's noise",
}
DRAWS = 4
FEWEST = 30  # galaxies of a type
AS_IT_IS, ADAPTED = "the model", "the model, adapted"
BOOSTING, AS_LISTED = "boosting, a catalogue's noise", "boosting, as listed"
RATIOS = {
    "sigma_ratio": ("σ_MAD over boosting's", metrics.sigma_mad, BOOSTING),
    "eta_ratio": ("η over boosting's", metrics.eta, BOOSTING),
    "sigma_listed": ("σ_MAD over boosting's as listed", metrics.sigma_mad, AS_LISTED),
}
"""Headings, metrics, and what they are compared with."""


def main():
    arguments = arguments_of(
        __doc__,
        views={"type": int, "default": 4, "help": "stamps of a galaxy (default: %(default)s)"},
        adapt={"action": "store_true", "help": "adapt the model to each catalogue, too"},
        test={"action": "store_true", "help": "judge by the galaxies that are for tests alone"},
        true={"action": "store_true", "help": "draw the light without the catalogue's noise"},
        sersic={"type": float, "help": "share of the second family of shapes (default: that of the training)"},
        catalogues={"nargs": "+", "choices": ORIGINS, "default": ORIGINS, "help": "default: all"},
    )
    model = load_model(arguments.model)
    noise = CatalogueNoise(model, arguments.seed)
    rows = []
    for origin in arguments.catalogues:
        rng = np.random.default_rng([arguments.seed, ORIGINS.index(origin)])
        learning, judging = halves(origin, test=arguments.test, true=arguments.true, rng=rng)
        judging = judging.of(slice(arguments.n))
        deviation = compare(learning, judging, model, noise, arguments)
        for kind, mask in judging.types().items():
            if mask.sum() >= FEWEST:
                of_kind = {method: one[mask] for method, one in deviation.items()}
                rows += [row(f"{origin}, {kind}", method, of_kind) for method in of_kind]
    columns = {name: heading for name, (heading, *_) in RATIOS.items()}
    text = TEXT.format(draws=DRAWS, least=noise.range, light=LIGHT[arguments.true])
    report("Real catalogues", rows, arguments, text=text, columns=columns)


def compare(learning, judging, model, noise, arguments):
    """Deviations (N, views) of the model and of boosting on one catalogue, by the name of the method."""
    rows = np.tile(np.arange(len(learning.redshift)), DRAWS)
    changes = {} if arguments.sersic is None else {"shapes": {"sersic": arguments.sersic}}
    simulation = simulation_of(model, seed=arguments.seed, split="train", **changes)
    galaxies = as_galaxies(learning.of(rows), simulation)
    listed = listed_of(simulation, *galaxies, noise)
    boosting = {name: Boosting(one, learning.redshift[rows], groups=rows) for name, one in listed.items()}
    models = {AS_IT_IS: model}
    if arguments.adapt:
        models[ADAPTED] = adapted(arguments.model, simulation, *galaxies, groups=rows)
    deviations = []
    for view in range(arguments.views):
        simulation = simulation_of(model, seed=arguments.seed + 1 + view, **changes)
        galaxies = as_galaxies(judging, simulation)
        listed = listed_of(simulation, *galaxies, noise)
        redshift = estimated(models, simulation, *galaxies)
        redshift |= {name: one.predict(listed[name]) for name, one in boosting.items()}
        deviations.append({name: metrics.deviation(one, judging.redshift) for name, one in redshift.items()})
    return {name: np.stack([view[name] for view in deviations], axis=1) for name in deviations[0]}


def row(catalogue, method, deviation):
    """Make the row of a method, with a model's ratios to boosting, from deviations of all methods by name."""
    ratios = {}
    if method in (AS_IT_IS, ADAPTED):
        for name, (_, metric, other) in RATIOS.items():
            ratios |= measured(name, ratio_of(metric), deviation[method], deviation[other])
    return judged(f"{catalogue}: {method}", deviation[method], **ratios)


def as_galaxies(catalogue, simulation):
    """A catalogue's galaxies, behind the dust of some place in the survey, and shapes for them."""
    ebv = generator(simulation, "population").choice(load_progenitors().ebv, len(catalogue.redshift))
    population = catalogue_population(catalogue.flux, catalogue.redshift, ebv=ebv)
    return population, shapes(population, simulation)


def listed_of(simulation, population, shape, noise):
    """Magnitude and colours of the galaxies, as a catalogue of such stamps lists them and as theirs does, by method."""
    return {
        BOOSTING: noise.listed(simulation, population, shape),
        AS_LISTED: magnitude_features(magnitudes(population.flux)),
    }


def estimated(models, simulation, population, shape):
    """Redshifts of the galaxies (N,) by their stamps, by the name of the model."""
    stamps = [(cutouts.flux, cutouts.ebv) for _, cutouts in observed(simulation, population, shape)]
    return {
        name: np.concatenate([estimates(model, *block).mean() for block in stamps]) for name, model in models.items()
    }


def adapted(model, simulation, population, shape, *, groups):
    """Adapt a model to stamps of galaxies; a fifth of them validate it."""
    machine = train.Machine(accelerator="cpu", devices=1, progress=False)
    with tempfile.TemporaryDirectory() as folder:
        file, run, exported = (Path(folder) / name for name in ("labels.h5", "run", "model"))
        with CutoutWriter(file, len(population)) as writer:
            for rows, cutouts in observed(simulation, population, shape):
                writer.append(cutouts, specz_redshift=population.redshift[rows], seed_index=groups[rows])
        train.finetune("gentle", file, run, init=model, machine=machine)
        train.export_run(run, exported)
        return load_model(exported)


def ratio_of(metric):
    """Make a function of two samples' deviations: the ratio of a metric of one to that of the other."""
    return lambda one, other: metric(one) / (metric(other) or np.nan)


if __name__ == "__main__":
    main()
