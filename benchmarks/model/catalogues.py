# Licensed under a 3-clause BSD style license - see LICENSE
"""
A model on stamps drawn with the light of real galaxies, beside gradient boosting that learnt from real galaxies.

    python -m benchmarks.model.catalogues [--model bundled] [--adapt]

The galaxies are real, with the magnitudes of their catalogues and spectroscopic redshifts: kcorrect's test progenitors,
which no training stamp was drawn from, and the odd rows of the main sample in ``../shared``, if that is there. Only
their shapes, sky and noise are simulated. Boosting learns from the other half of the same catalogue, for the main
sample from kcorrect's training progenitors besides, each with several draws of the noise, and is judged by the
magnitudes of the same galaxies; these get noise besides that of the catalogue, as much as SDSS lists for galaxies as
bright in images as deep, which is about the least that there can be.

Galaxies are taken twice: as measured, and in the light of their template fits with a scatter about them, as simulated
galaxies are drawn. In the first, a catalogue's noise is drawn as if it were light, which boosting has learnt to allow
for and a model has not. With ``--adapt``, the model learns to allow for it too: all of it is adapted, by the recipe
``gentle``, to stamps of the galaxies that boosting learns from, as many of each as that has draws of the noise.

Ratios are σ_MAD and η over those of boosting with noise, with errors by a paired bootstrap; each galaxy is seen
``--views`` times, and all views of a galaxy are drawn together. Boosting on magnitudes as they are listed, without
noise besides, is told too: its galaxies are seen better than the stamps show them.
"""

import tempfile
from pathlib import Path

import numpy as np

from astro_photz import load_model, metrics, train
from astro_photz.cutouts.hdf5.writer import CutoutWriter
from astro_photz.simulate.population.draw import catalogue_population
from astro_photz.simulate.population.morphology import draw_morphology
from astro_photz.simulate.population.progenitors import load_progenitors
from benchmarks.common.data import SHARED

from ._boosting import Boosting
from ._catalogues import CatalogueNoise, main_sample_halves, progenitor_halves
from ._photometry import magnitude_features, magnitudes
from ._report import arguments_of, judged, measured, report
from ._stamps import estimates, generator, observed, simulation_of

TEXT = (
    "Simulated stamps with the magnitudes and spectroscopic redshifts of real galaxies that no training stamp was "
    "drawn from (among the odd rows of the main sample may be a few of kcorrect's); boosting on the magnitudes of the "
    "same galaxies, trained on the other half of their catalogue, as listed, or with the stamps' noise besides: that "
    "which SDSS lists for galaxies as bright, {least} times the least that there can be, of a fit that knows profile "
    "and blur. As fitted: in the light of their template fits, with a scatter about them, as simulated galaxies are "
    "drawn; as measured, a catalogue's noise is drawn as if it were light, which boosting has learnt to allow for. "
    "Each galaxy that boosting learns from is given {draws} draws of the noise; for the main sample, kcorrect's "
    "training progenitors are among them, from which the model has learnt too. Shapes are drawn, by the relations of "
    "the training, of the luminosity that a galaxy has at its redshift: what they tell of it is in the stamps, and not "
    "in the magnitudes. Adapted: all of the network, with as many stamps of the galaxies that boosting learnt from. "
    "The rows of the main sample, 5,000 of SDSS's, do not come with the source tree, without which this command leaves "
    "them out."
)
DRAWS = 4
AS_IT_IS, ADAPTED = "the model", "the model, adapted"
BOOSTING, AS_LISTED = "boosting, a catalogue's noise", "boosting, as listed"
RATIOS = {
    "sigma_ratio": ("σ_MAD over boosting's", metrics.sigma_mad),
    "eta_ratio": ("η over boosting's", metrics.eta),
}
"""Headings and metrics; of `BOOSTING`, which gets what the survey's catalogue would have of such images."""


def main():
    arguments = arguments_of(
        __doc__,
        views={"type": int, "default": 4, "help": "stamps of a galaxy (default: %(default)s)"},
        adapt={"action": "store_true", "help": "adapt the model to each catalogue, too"},
    )
    model = load_model(arguments.model)
    noise = CatalogueNoise(model, arguments.seed)
    rows = []
    for name, halves in catalogues():
        deviation = compare(*halves, model, noise, arguments)
        rows += [row(name, method, deviation) for method in deviation]
    columns = {name: heading for name, (heading, *_) in RATIOS.items()}
    text = TEXT.format(draws=DRAWS, least=noise.range)
    report("Real catalogues", rows, arguments, text=text, columns=columns)


def catalogues():
    """Names and halves of what is at hand."""
    yield "kcorrect's test progenitors, as measured", progenitor_halves()
    yield "kcorrect's test progenitors, as fitted", progenitor_halves(fitted=True)
    if SHARED.is_dir():
        yield "odd rows of the main sample, as measured", main_sample_halves()
        yield "odd rows of the main sample, as fitted", main_sample_halves(fitted=True)
    else:
        print(f"Without the main sample: there is no folder {SHARED}.\n")


def compare(learning, judging, model, noise, arguments):
    """Deviations (N, views) of the model and of boosting on one catalogue, by the name of the method."""
    learning, judging = (half.of(slice(arguments.n)) for half in (learning, judging))
    rows = np.tile(np.arange(len(learning.redshift)), DRAWS)
    simulation = simulation_of(model, seed=arguments.seed, split="train")
    galaxies = as_galaxies(learning.of(rows), simulation)
    listed = listed_of(simulation, *galaxies, noise)
    boosting = {name: Boosting(one, learning.redshift[rows], groups=rows) for name, one in listed.items()}
    models = {AS_IT_IS: model}
    if arguments.adapt:
        models[ADAPTED] = adapted(arguments.model, simulation, *galaxies, groups=rows)
    deviations = []
    for view in range(arguments.views):
        simulation = simulation_of(model, seed=arguments.seed + 1 + view)
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
        for name, (_, metric) in RATIOS.items():
            ratios |= measured(name, ratio_of(metric), deviation[method], deviation[BOOSTING])
    return judged(f"{catalogue}: {method}", deviation[method], **ratios)


def as_galaxies(catalogue, simulation):
    """A catalogue's galaxies, behind the dust of some place in the survey, and shapes for them."""
    ebv = generator(simulation, "population").choice(load_progenitors().ebv, len(catalogue.redshift))
    population = catalogue_population(catalogue.flux, catalogue.redshift, ebv=ebv)
    return population, draw_morphology(population, generator(simulation, "shape"))


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
