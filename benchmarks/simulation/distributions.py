# Licensed under a 3-clause BSD style license - see LICENSE
"""
Distributions of simulated and of real galaxies: catalogues only, no images.

From recorded seeds:

- Kolmogorov-Smirnov distances of unweighted draws of fitted colours to held-out progenitors, both with total fluxes
  that are free of noise but for the intrinsic scatter, which the progenitors' are given too. To r = 17.1 the
  progenitors are complete, so moved ones should be like those that were not. To r = 17.8 they should not: progenitors
  lack faint galaxies, blue ones above all. Progenitors are few: how far real ones lie from each other, by the same
  split or by chance, is printed beside.
- Distances of weighted draws, of fitted and of measured colours, as a catalogue would list them (model magnitudes, with
  errors), to the even rows of the main sample; to the odd ones with ``--odd``, for a last look.
"""

import argparse
from dataclasses import replace

import numpy as np
from scipy.stats import ks_2samp

from astro_photz.simulate.population.draw import draw_population
from astro_photz.simulate.population.progenitors import COMPLETE_TO, INTRINSIC_SCATTER, load_progenitors
from astro_photz.simulate.population.sample import MAIN_SAMPLE, Sample

from ._main_sample import SELECTED, ModelMagnitudes, add_errors, features, magnitudes, main_sample

SEED = 5
DRAWN = 20_000
SCATTERED = 8  # times each seed: its scatter is a draw, which shall not count as a distance
SHUFFLES = 200
COLUMNS = ("r", "u-g", "g-r", "r-i", "i-z", "z")


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


def simulated_catalogue(n, rng, *, colours, model, like):
    """Features and redshifts (n, 6) of simulated galaxies, as the main sample's catalogue would list them."""
    drawn = draw_population(n, rng, sample=replace(SELECTED, colours=colours))
    listed = model.from_total(magnitudes(drawn.flux), drawn.redshift, drawn.ebv)
    return features(add_errors(listed, rng, like=like), drawn.redshift)


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
    for colours in ("fitted", "measured"):
        x = simulated_catalogue(DRAWN, rng, colours=colours, model=model, like=even[:2])
        print_row(f"weighted draws, {colours}, to {name}", distances(x, features(real, redshift)))


if __name__ == "__main__":
    main()
