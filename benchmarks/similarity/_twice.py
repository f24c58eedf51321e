# Licensed under a 3-clause BSD style license - see LICENSE
"""Simulated galaxies that are observed twice: other noise, seeing, places in the stamp and neighbours."""

from dataclasses import dataclass

import numpy as np

from astro_photz.cutouts import Cutouts
from astro_photz.simulate.population.draw import draw_population
from astro_photz.simulate.population.families import draw_shapes
from astro_photz.simulate.population.shapes import Shapes
from astro_photz.simulate.settings import Settings
from astro_photz.simulate.simulation import Simulation

__all__ = ["SETTINGS", "Twice", "observed_twice"]

BLOCK = 250
SETTINGS = {"sample": {"colours": "measured"}, "shapes": {"sersic": 0.5}}
"""Sections of the settings: real galaxies' colours, both families of shapes, the main sample's limits."""


@dataclass(frozen=True)
class Twice:
    """Two observations of galaxies (N,), the truth about the first, and their shapes."""

    first: Cutouts
    second: Cutouts
    truth: object
    shape: Shapes


def observed_twice(n, *, seed, split, settings=SETTINGS, again=None):
    """
    Yield blocks of n galaxies of a split as `Twice`; the same seed gives the same galaxies.

    Only the first ``again`` galaxies are observed a second time, if that is given; ``second`` is empty for the others.
    """
    simulation = Simulation(seed=seed, split=split, settings=Settings.of(settings))
    sample, sersic = simulation.settings.sample, simulation.settings.shapes["sersic"]
    for start in range(0, n, BLOCK):
        rng = np.random.default_rng([seed, start])
        population = draw_population(BLOCK, rng, split=split, sample=sample)
        shape = draw_shapes(population, rng, sersic=sersic)
        first, truth = simulation.observe(population, np.random.default_rng([seed, start, 1]), shape=shape)
        second = first[:0]
        if again is None or start < again:
            second, _ = simulation.observe(population, np.random.default_rng([seed, start, 2]), shape=shape)
        wanted = slice(min(BLOCK, n - start))
        yield Twice(first[wanted], second[wanted], truth[wanted], shape[np.arange(BLOCK)[wanted]])
