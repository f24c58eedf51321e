# Licensed under a 3-clause BSD style license - see LICENSE
"""Simulated stamps of the kind that a model was trained on, in blocks, so that any number of them can be measured."""

import numpy as np

from astro_photz import metrics
from astro_photz.pdf import RedshiftPDF
from astro_photz.simulate import Settings
from astro_photz.simulate.population.draw import draw_population
from astro_photz.simulate.population.families import draw_shapes
from astro_photz.simulate.simulation import BLOCK, Simulation

__all__ = ["cropped", "drawn", "estimates", "generator", "observed", "scored", "shapes", "simulation_of"]

_PURPOSES = "population", "shape", "observation", "catalogue"


def simulation_of(model, *, seed, split="test", size=64, **sections):
    """
    Simulation of a model's training set, for another seed, and for galaxies that it was not trained on; but for what
    was changed for one of its parts alone, such as more dust to learn from, and for changes in ``sections``.
    """
    # cards of models made before there were recipes for all of it tell it under "recipe"
    told = (model.card.made_by, model.card.recipe)
    made = next((one for one in told if "simulate" in one), None)
    if made is None:
        raise SystemExit(f"the card of {model.name} does not tell how its training set was simulated")
    told = made["simulate"]["settings"]
    settings = Settings.of(told | {name: told.get(name, {}) | changes for name, changes in sections.items()})
    return Simulation(seed=seed, split=split, size=size, settings=settings)


def generator(simulation, purpose, *key):
    """A random generator of its own for each purpose."""
    return np.random.default_rng([simulation.seed, _PURPOSES.index(purpose), *key])


def drawn(simulation, n):
    """Draw n galaxies, and their shapes."""
    rng = generator(simulation, "population")
    population = draw_population(n, rng, split=simulation.split, sample=simulation.settings.sample)
    return population, shapes(population, simulation)


def shapes(population, simulation):
    """Draw shapes of given galaxies, of the families of the simulation."""
    return draw_shapes(population, generator(simulation, "shape"), **simulation.settings.shapes)


def observed(simulation, population, shape):
    """
    See galaxies, a block at a time: neighbours, sky and noise are the same whenever the simulation is.

    Yields the rows of a block, a slice, and its cutouts.
    """
    for number, first in enumerate(range(0, len(population), BLOCK)):
        rows = slice(first, first + BLOCK)
        rng = generator(simulation, "observation", number)
        yield rows, simulation.observe(population[rows], rng, shape=shape[rows])[0]


def cropped(flux, x=0, y=0, *, size=64):
    """Stamps (N, 5, size, size) within the margin of larger ones, so far from their middle: a copy."""
    margin = (flux.shape[-1] - size) // 2
    return flux[..., margin + y : margin + y + size, margin + x : margin + x + size].copy()


def estimates(model, flux, ebv):
    """Redshift PDFs of stamps (N, 5, S, S) seen through dust (N,), by a model."""
    return model.pdf(model.encode(flux, ebv))


def scored(pdfs, redshift):
    """Scores of PDFs that were estimated a block at a time, with the true redshifts (N,) of all."""
    return metrics.score(RedshiftPDF(np.concatenate([pdf.p for pdf in pdfs]), pdfs[0].edges), redshift)
