# Licensed under a 3-clause BSD style license - see LICENSE
"""
A model on stamps drawn with the light of real galaxies, beside gradient boosting that learnt from real galaxies.

    python benchmarks/model/catalogues.py [--model bundled]

The galaxies are real, with the magnitudes of their catalogues and spectroscopic redshifts: kcorrect's test seeds, which
no training stamp was drawn from, and the odd rows of the main sample in ``../shared``, if that is there. Only their
shapes, sky and noise are simulated. Boosting learns from the other half of the same catalogue, and is judged by the
magnitudes of the same galaxies; both get the noise of such stamps besides what the catalogue has.

kcorrect's galaxies are taken twice: as measured, and in the light of their template fits, which is what simulated
galaxies are drawn from. In the first, a catalogue's noise is drawn as if it were light, which boosting has learnt to
allow for and a model has not.

The columns "ratio" are σ_MAD and η of the model over those of boosting, with errors by a paired bootstrap; each galaxy
is seen ``--views`` times, and all views of a galaxy are drawn together.
"""

from typing import NamedTuple

import numpy as np
from _boosting import Boosting, listed
from _catalogues import main_sample_halves, seed_halves
from _photometry import magnitude_features, magnitudes, measure
from _report import arguments_of, deviations, judged, measured, report
from _stamps import estimates, generator, observed, recipe_of

from astro_photz import load_model, metrics
from astro_photz.simulate.morphology import draw_morphology
from astro_photz.simulate.population import catalogue_population
from astro_photz.simulate.seeds import load_seeds
from helpers import SHARED

TEXT = (
    "Simulated stamps with the magnitudes and spectroscopic redshifts of real galaxies that no training stamp was "
    "drawn from; boosting on the magnitudes of the same galaxies, trained on the other half of their catalogue, both "
    "with the noise of such stamps. Ratios: of the model over boosting, paired."
)


def main():
    arguments = arguments_of(
        __doc__,
        views={"type": int, "default": 4, "help": "stamps of a galaxy (default: %(default)s)"},
    )
    model = load_model(arguments.model)
    rows = []
    for name, halves in catalogues():
        rows += compare(name, *halves, model, arguments)
    columns = {"sigma_ratio": "ratio of σ_MAD", "eta_ratio": "ratio of η"}
    report("Real catalogues", rows, arguments, text=TEXT, columns=columns)


def catalogues():
    """Names and halves of what is at hand."""
    yield "kcorrect's test seeds, as measured", seed_halves()
    yield "kcorrect's test seeds, as fitted", seed_halves(fitted=True)
    if SHARED.is_dir():
        yield "odd rows of the main sample", main_sample_halves()
    else:
        print(f"Without the main sample: there is no folder {SHARED}.\n")


def compare(name, learning, judging, model, arguments):
    """Rows of the model and of boosting, on one catalogue."""
    learnt = see(learning.of(slice(arguments.n)), arguments.seed, split="train", like=model)
    boosting = Boosting(learnt.listed, learnt.redshift)
    judging = judging.of(slice(arguments.n))
    views = [see(judging, arguments.seed + 1 + view, split="test", like=model) for view in range(arguments.views)]
    by_model = np.stack([deviations(view.estimate, judging.redshift) for view in views], axis=1)
    by_boosting = [deviations(boosting.predict(view.listed), judging.redshift) for view in views]
    by_boosting = np.stack(by_boosting, axis=1)
    ratios = measured("sigma_ratio", ratio_of(metrics.sigma_mad), by_model, by_boosting)
    ratios |= measured("eta_ratio", ratio_of(metrics.eta), by_model, by_boosting)
    return [judged(f"{name}: the model", by_model), judged(f"{name}: boosting", by_boosting, **ratios)]


class Seen(NamedTuple):
    """
    Galaxies as seen in stamps.

    Parameters
    ----------
    redshift : `~numpy.ndarray` (N,)
    listed : dict of `~numpy.ndarray` (N,)
        Magnitude and colours of their catalogue, with the noise of the stamps.
    estimate : `~numpy.ndarray` (N,)
        Redshifts by the model.
    """

    redshift: np.ndarray
    listed: dict
    estimate: np.ndarray


def see(catalogue, seed, *, split, like):
    """Stamps of a catalogue's galaxies, of the kind that the model ``like`` was trained on, which estimates: `Seen`."""
    recipe = recipe_of(like, seed=seed, split=split)
    rng = generator(recipe, "catalogue")
    ebv = rng.choice(load_seeds().ebv, len(catalogue.redshift))
    population = catalogue_population(catalogue.flux, catalogue.redshift, ebv=ebv)
    errors, estimate = [], []
    for _, cutouts in observed(recipe, population, draw_morphology(population, generator(recipe, "shape"))):
        errors.append(measure(cutouts.flux, cutouts.ebv).error)
        estimate.append(estimates(like, cutouts.flux, cutouts.ebv).mean())
    zero_point = recipe.settings.sky["zero_point_scatter"]
    flux = listed(catalogue.flux, np.concatenate(errors), rng, zero_point=zero_point)
    return Seen(catalogue.redshift, magnitude_features(magnitudes(flux)), np.concatenate(estimate))


def ratio_of(metric):
    """How many times as large a metric of one sample is as that of another: a function of their deviations."""
    return lambda one, other: metric(one) / metric(other)


if __name__ == "__main__":
    main()
