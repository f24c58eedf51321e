# Licensed under a 3-clause BSD style license - see LICENSE
"""
A model on stamps drawn with the light of real galaxies, beside gradient boosting that learnt from real galaxies.

    python benchmarks/model/catalogues.py [--model bundled] [--adapt]

The galaxies are real, with the magnitudes of their catalogues and spectroscopic redshifts: kcorrect's test seeds, which
no training stamp was drawn from, and the odd rows of the main sample in ``../shared``, if that is there. Only their
shapes, sky and noise are simulated. Boosting learns from the other half of the same catalogue, for the main sample from
kcorrect's training seeds besides, each with several draws of the noise, and is judged by the magnitudes of the same
galaxies; these get noise besides what the catalogue has: that which SDSS lists for galaxies as bright in images as
deep, which is about the least that there can be.

Galaxies are taken twice: as measured, and in the light of their template fits with a scatter about them, as
simulated galaxies are drawn. In the first, a catalogue's noise is drawn as if it were light, which boosting has learnt
to allow for and a model has not. With ``--adapt``, the model learns to allow for it too: all of it is adapted, by the
recipe ``whole``, to stamps of the galaxies that boosting learns from.

Ratios are σ_MAD and η over those of boosting with noise, with errors by a paired bootstrap; each galaxy is seen
``--views`` times, and all views of a galaxy are drawn together. Boosting on magnitudes as they are listed, without
noise besides, is told too: its galaxies are seen better than the stamps show them.
"""

import tempfile
from contextlib import nullcontext
from pathlib import Path
from typing import NamedTuple

import numpy as np
from _boosting import Boosting, listed_features
from _catalogues import CatalogueNoise, main_sample_halves, seed_halves
from _photometry import magnitude_features, magnitudes
from _report import arguments_of, judged, measured, report
from _stamps import estimates, generator, observed, recipe_of

from astro_photz import load_model, metrics, train
from astro_photz.cutouts.writer import CutoutWriter
from astro_photz.simulate.morphology import draw_morphology
from astro_photz.simulate.population import catalogue_population
from astro_photz.simulate.seeds import load_seeds
from helpers import SHARED

TEXT = (
    "Simulated stamps with the magnitudes and spectroscopic redshifts of real galaxies that no training stamp was "
    "drawn from (among the odd rows of the main sample may be a few of kcorrect's); boosting on the magnitudes of the "
    "same galaxies, trained on the other half of their catalogue, as listed, or with the stamps' noise besides: that "
    "which SDSS lists for galaxies as bright, {least} times the least that there can be, of a fit that knows profile "
    "and blur. As fitted: in the light of their template fits, with a scatter about them, as simulated galaxies are "
    "drawn; as measured, a catalogue's noise is drawn as if it were light, which boosting has learnt to allow for. "
    "Each galaxy that boosting learns from is given {draws} draws of the noise; for the main sample, kcorrect's "
    "training seeds are among them, from which the model has learnt too. Shapes are drawn, by the relations of the "
    "training, of the luminosity that a galaxy has at its redshift: what they tell of it is in the stamps, and not in "
    "the magnitudes. Adapted: with stamps of the galaxies that boosting learnt from, all of the network. The rows of "
    "the main sample, 5,000 of SDSS's, do not come with the source tree, without which this command leaves them out."
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
    yield "kcorrect's test seeds, as measured", seed_halves()
    yield "kcorrect's test seeds, as fitted", seed_halves(fitted=True)
    if SHARED.is_dir():
        yield "odd rows of the main sample, as measured", main_sample_halves()
        yield "odd rows of the main sample, as fitted", main_sample_halves(fitted=True)
    else:
        print(f"Without the main sample: there is no folder {SHARED}.\n")


def compare(learning, judging, model, noise, arguments):
    """Deviations (N, views) of the model and of boosting on one catalogue, by the name of the method."""
    models = {AS_IT_IS: model}
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "labels.h5" if arguments.adapt else None
        learning = learning.of(slice(arguments.n))
        learnt = see(learning, arguments.seed, models, noise, split="train", draws=DRAWS, file=file)
        if arguments.adapt:
            models[ADAPTED] = adapted(arguments.model, file)
    redshift, groups = (np.tile(one, DRAWS) for one in (learnt.redshift, np.arange(len(learnt.redshift))))
    boosting = {name: Boosting(features, redshift, groups=groups) for name, features in learnt.listed.items()}
    judging = judging.of(slice(arguments.n))
    views = [see(judging, arguments.seed + 1 + view, models, noise, split="test") for view in range(arguments.views)]
    estimate = {name: [view.estimate[name] for view in views] for name in models}
    estimate |= {name: [one.predict(view.listed[name]) for view in views] for name, one in boosting.items()}
    return {
        name: metrics.deviation(np.stack(each, axis=1), judging.redshift[:, None]) for name, each in estimate.items()
    }


def row(catalogue, method, deviation):
    """Of a method, with a model's ratios to boosting; deviations of all methods by name."""
    ratios = {}
    if method in (AS_IT_IS, ADAPTED):
        for name, (_, metric) in RATIOS.items():
            ratios |= measured(name, ratio_of(metric), deviation[method], deviation[BOOSTING])
    return judged(f"{catalogue}: {method}", deviation[method], **ratios)


def adapted(model, file):
    """The model that a model becomes with the labelled stamps of a file, a fifth of which it is validated by."""
    folder, machine = file.parent, train.Machine(accelerator="cpu", devices=1, progress=False)
    train.finetune("whole", file, folder / "run", init=model, machine=machine)
    train.export_run(folder / "run", folder / "model")
    return load_model(folder / "model")


class Seen(NamedTuple):
    """
    Galaxies as seen in stamps.

    Parameters
    ----------
    redshift : `~numpy.ndarray` (N,)
    listed : dict of dict of `~numpy.ndarray` (draws * N,)
        Magnitude and colours of their catalogue, with noise, by the name of what takes them.
    estimate : dict of `~numpy.ndarray` (N,)
        Redshifts, by the name of the model.
    """

    redshift: np.ndarray
    listed: dict
    estimate: dict


def see(catalogue, seed, models, noise, *, split, draws=1, file=None):
    """Stamps of a catalogue's galaxies, of the kind that the models were trained on, which estimate; kept in a file."""
    recipe = recipe_of(models[AS_IT_IS], seed=seed, split=split)
    rng = generator(recipe, "catalogue")
    ebv = rng.choice(load_seeds().ebv, len(catalogue.redshift))
    population = catalogue_population(catalogue.flux, catalogue.redshift, ebv=ebv)
    estimate = {name: [] for name in models}
    shape = draw_morphology(population, generator(recipe, "shape"))
    with CutoutWriter(file, len(population)) if file else nullcontext() as writer:
        for rows, cutouts in observed(recipe, population, shape):
            for name, model in models.items():
                estimate[name].append(estimates(model, cutouts.flux, cutouts.ebv).mean())
            if writer:
                writer.append(cutouts, specz_redshift=catalogue.redshift[rows])
    zero_point = recipe.settings.sky["zero_point_scatter"]
    flux, error = (np.tile(one, (draws, 1)) for one in (catalogue.flux, noise(recipe, population, shape, rng)))
    features = {
        BOOSTING: listed_features(flux, error, rng, zero_point=zero_point),
        AS_LISTED: magnitude_features(magnitudes(flux)),
    }
    return Seen(catalogue.redshift, features, {name: np.concatenate(parts) for name, parts in estimate.items()})


def ratio_of(metric):
    """How many times as large a metric of one sample is as that of another: a function of their deviations."""
    return lambda one, other: metric(one) / (metric(other) or np.nan)


if __name__ == "__main__":
    main()
