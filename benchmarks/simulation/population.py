# Licensed under a 3-clause BSD style license - see LICENSE
"""
Distributions of simulated and of real galaxies, and how hard their redshifts are: catalogues only, no images.

Three things, from recorded seeds:

- Kolmogorov-Smirnov distances of unweighted draws to held-out progenitors, both with total fluxes that are free of
  noise but for the intrinsic scatter, which the progenitors' are given too. To r = 17.1 the progenitors are complete,
  so moved ones should be like those that were not. To r = 17.8 they should not: progenitors lack faint galaxies, blue
  ones above all. Progenitors are few: how far real ones lie from each other, by the same split or by chance, is printed
  beside.
- Distances of weighted draws, as a catalogue would list them (model magnitudes, with errors), to the main sample.
- Redshifts by gradient boosting on r and four colours: trained on simulated galaxies, or on as many real ones
  (kcorrect's and the even rows of the main sample), and applied to real or to simulated ones (test progenitors).

Of the main sample, the even rows are used, redshifts cross-validated, unless ``--odd`` is given: those rows are for a
last look, and nothing may be chosen by them.
"""

import argparse

import numpy as np
from scipy.stats import ks_2samp
from sklearn.ensemble import HistGradientBoostingRegressor
from sklearn.model_selection import KFold

from astro_photz import metrics
from astro_photz.simulate.population.draw import COMPLETE_TO, INTRINSIC_SCATTER, draw_population
from astro_photz.simulate.population.progenitors import load_progenitors
from astro_photz.simulate.population.sample import MAIN_SAMPLE, Sample

from ._main_sample import SELECTED, ModelMagnitudes, add_errors, features, magnitudes, main_sample, seed_catalogue

SEED = 5
DRAWN = 20_000
TESTED = 5_000
REPEATS = 5
SCATTERED = 8  # times each seed: its scatter is a draw, which shall not count as a distance
SHUFFLES = 200
COLUMNS = ("r", "u-g", "g-r", "r-i", "i-z", "z")
BOOSTING = {"max_iter": 300, "learning_rate": 0.05, "min_samples_leaf": 20, "l2_regularization": 1.0, "random_state": 0}


def distances(one, other):
    """Kolmogorov-Smirnov distance of each column."""
    return [ks_2samp(*pair).statistic for pair in zip(one.T, other.T, strict=True)]


def seed_features(sample, splits, rng):
    """Features (M, 6) of progenitors of some splits within the limits, each with `SCATTERED` draws of the scatter."""
    progenitors = load_progenitors()
    rows = np.repeat(np.flatnonzero(np.isin(progenitors.split, splits) & progenitors.usable), SCATTERED)
    flux = progenitors.flux[rows] * 10 ** (0.4 * INTRINSIC_SCATTER * rng.standard_normal((len(rows), 5)))
    within = sample.contains(flux, progenitors.redshift[rows])
    return features(magnitudes(flux[within]), progenitors.redshift[rows[within]])


def held_out_distances(sample, splits, rng):
    """Distances of unweighted draws to the progenitors of other splits within the limits, and the number of those."""
    drawn = draw_population(DRAWN, rng, sample=sample, weighted=False)
    held_out = seed_features(sample, splits, rng)
    return distances(features(magnitudes(drawn.flux), drawn.redshift), held_out), round(len(held_out) / SCATTERED)


def distances_by_chance(sample, splits, rng):
    """
    Distances of real progenitors: those for training to those held out; and of random parts as large, the median and
    what one of twenty exceeds.
    """
    train, held_out = (seed_features(sample, part, rng) for part in (["train"], splits))
    every, n = np.concatenate([train, held_out])[::SCATTERED], len(held_out) // SCATTERED
    shuffled = (rng.permutation(every) for _ in range(SHUFFLES))
    by_chance = [distances(one[:n], one[n:]) for one in shuffled]
    return distances(train, held_out), *np.percentile(by_chance, [50, 95], axis=0)


def simulated_catalogue(n, rng, *, split, model, like):
    """Features (n, 5) and redshifts (n,) of simulated galaxies, as the main sample's catalogue would list them."""
    drawn = draw_population(n, rng, split=split, sample=SELECTED)
    listed = model.from_total(magnitudes(drawn.flux), drawn.redshift, drawn.ebv)
    return features(add_errors(listed, rng, like=like)), drawn.redshift


def boosted(x, redshift):
    """A regression of the redshift."""
    return HistGradientBoostingRegressor(**BOOSTING).fit(x, redshift)


def quality(estimate, redshift):
    """sigma_MAD and bias (the median's and the mean's) of the deviations in units of 1 + z."""
    deviation = metrics.deviation(estimate, redshift)
    return metrics.sigma_mad(deviation), np.median(deviation), metrics.bias(deviation)


def real_training(which):
    """Features and redshifts of the real galaxies to train on, the even rows last."""
    progenitors, redshift = seed_catalogue()
    usable = np.isfinite(progenitors).all(axis=1) & (progenitors[:, 2] <= SELECTED.faintest) & load_progenitors().usable
    real, _, real_redshift = which
    return np.vstack([features(progenitors[usable]), features(real)]), np.concatenate([redshift[usable], real_redshift])


def cross_validated(x, redshift, tested):
    """Redshifts of the last ``tested`` rows, each trained without its fold of them."""
    estimate, first = np.empty(tested), len(x) - tested
    for _, fold in KFold(5, shuffle=True, random_state=SEED).split(estimate):
        others = np.setdiff1d(np.arange(len(x)), first + fold)
        estimate[fold] = boosted(x[others], redshift[others]).predict(x[first + fold])
    return estimate


def print_row(name, numbers, form="8.3f"):
    """A name and its numbers."""
    print(f"{name:58}", *(f"{number:{form}}" for number in numbers))


def main():
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__.strip().splitlines()[0])
    parser.add_argument("--odd", action="store_true", help="the rows of the main sample that are for tests alone")
    odd = parser.parse_args().odd
    rng = np.random.default_rng(SEED)
    even = main_sample("even")
    real, _, redshift = main_sample("odd") if odd else even
    name = f"{len(real)} {'odd' if odd else 'even'} rows of the main sample"

    print(f"{'KS distances':58}", *(f"{column:>8}" for column in COLUMNS))
    for faintest in (COMPLETE_TO, MAIN_SAMPLE.faintest):
        for splits in (["test"], ["validation", "test"]):
            sample, names = Sample(faintest=faintest), " and ".join(splits)
            found, n = held_out_distances(sample, splits, rng)
            print_row(f"unweighted draws to {n} {names} progenitors, r <= {faintest}", found)
            by_split, median, largest = distances_by_chance(sample, splits, rng)
            print_row("    the train progenitors to the same", by_split)
            print_row("    random parts of all these progenitors, in the median", median)
            print_row("    and what one of twenty exceeds", largest)
    model = ModelMagnitudes()
    x, z = simulated_catalogue(DRAWN, rng, split="train", model=model, like=even[:2])
    print_row(f"weighted draws to {name}", distances(np.c_[x, z], np.c_[features(real), redshift]))

    train_x, train_z = real_training(even)
    by_real = boosted(train_x, train_z)
    found = by_real.predict(features(real)) if odd else cross_validated(train_x, train_z, len(real))
    baseline = quality(found, redshift)
    results = []
    for _ in range(REPEATS):
        by_simulated = boosted(*simulated_catalogue(len(train_x), rng, split="train", model=model, like=even[:2]))
        x, z = simulated_catalogue(TESTED, rng, split="test", model=model, like=even[:2])
        found = by_simulated.predict(features(real)), by_simulated.predict(x), by_real.predict(x)
        results.append([quality(*pair) for pair in zip(found, (redshift, z, z), strict=True)])
    to_real, to_itself, from_real = np.mean(results, axis=0)

    print(f"\nRedshifts by boosting, trained on {len(train_x)} galaxies; means over {REPEATS} simulations")
    print(f"{'trained on -> applied to':58}", *(f"{column:>8}" for column in ("sigma", "median", "mean")))
    print_row(f"real -> {name}", baseline, "8.5f")
    print_row(f"simulated -> {name}", to_real, "8.5f")
    print_row("ratio", [to_real[0] / baseline[0]])
    print_row(f"simulated -> {TESTED} simulated of the test progenitors", to_itself, "8.5f")
    print_row("real -> the same", from_real, "8.5f")
    print_row("ratio", [from_real[0] / to_itself[0]])


if __name__ == "__main__":
    main()
