# Licensed under a 3-clause BSD style license - see LICENSE
"""
Real catalogues with spectroscopic redshifts, in halves, one for boosting to learn from, one to judge by; and the noise
that such catalogues have.
"""

import sys
from pathlib import Path
from typing import NamedTuple

import numpy as np
from _photometry import least_error, magnitude_features, magnitudes
from _stamps import generator, recipe_of

from astro_photz.sdss import BANDS, R_UGRIZ, ZERO_POINT
from astro_photz.simulate.population.draw import INTRINSIC_SCATTER, catalogue_population
from astro_photz.simulate.population.morphology import draw_morphology
from astro_photz.simulate.population.progenitors import load_seeds

sys.path.append(str(Path(__file__).parents[1] / "simulation"))

from _main_sample import SELECTED, ModelMagnitudes, main_sample

__all__ = ["Catalogue", "CatalogueNoise", "main_sample_halves", "seed_halves"]

_R = BANDS.index("r")
_SCATTER_SEED = 0
_BRIGHTNESS = np.array([14.0, 16.0, 16.5, 17.0, 17.4, 17.77])  # edges of bins in r


class Catalogue(NamedTuple):
    """
    Real galaxies.

    Parameters
    ----------
    flux : `~numpy.ndarray` (N, 5)
        Total flux in *ugriz* (nanomaggies), free of extinction.
    redshift : `~numpy.ndarray` (N,)
    """

    flux: np.ndarray
    redshift: np.ndarray

    def of(self, rows):
        """Some of the galaxies: `Catalogue`."""
        return Catalogue(self.flux[rows], self.redshift[rows])


def seed_halves(*, fitted=False):
    """
    kcorrect's galaxies: training seeds and test seeds to the main sample's limit.

    Parameters
    ----------
    fitted : bool, optional
        With the light of their template fits, which is free of most of the catalogue's noise, and galaxies' scatter
        about them, as simulations are drawn, instead of what was measured.

    Returns
    -------
    learning, judging : `Catalogue`
    """
    seeds = load_seeds()
    measured = Catalogue(seeds.measured_flux, seeds.redshift)
    return tuple(
        _selected(measured.of(seeds.usable & (seeds.redshift > 0) & (seeds.split == split)), fitted=fitted)
        for split in ("train", "test")
    )


def main_sample_halves(*, fitted=False):
    """
    The catalogue in ``../shared``: its even rows, with kcorrect's training seeds, which the model has learnt from too,
    and its odd ones, which nothing was chosen by.

    Parameters
    ----------
    fitted : bool, optional
        As in `seed_halves`.

    Returns
    -------
    learning, judging : `Catalogue`
    """
    carry = ModelMagnitudes()
    even, odd = (_selected(_total(carry, *main_sample(rows)), fitted=fitted) for rows in ("even", "odd"))
    seeds, _ = seed_halves(fitted=fitted)
    return Catalogue(*(np.concatenate(both) for both in zip(even, seeds, strict=True))), odd


def _total(carry, magnitude, _, redshift):
    flux = 10 ** (0.4 * (ZERO_POINT - carry.to_total(magnitude, redshift)))
    return Catalogue(flux, redshift).of(np.isfinite(flux).all(axis=1) & (redshift > 0))


def _selected(catalogue, *, fitted):
    """Those of the main sample."""
    if fitted:
        fits = load_seeds().fitted_flux(*catalogue)
        scatter = np.random.default_rng(_SCATTER_SEED).standard_normal(fits.shape)
        catalogue = catalogue._replace(flux=fits * 10 ** (0.4 * INTRINSIC_SCATTER * scatter))
    return catalogue.of(SELECTED.contains(*catalogue))


class CatalogueNoise:
    """
    The noise of fluxes that SDSS lists of galaxies like those of stamps.

    It is about the least that there can be (`_photometry.least_error`): how many times as much is told, in each band
    and for galaxies as bright, by kcorrect's training seeds, whose errors are listed, seen with their own magnitudes.
    Where SDSS lists less, as in u, it is the least. What is fainter than the faintest bin's middle has the
    factor of that. The images are others than those of the stamps, and like them.

    Parameters
    ----------
    model : `~astro_photz.models.PhotozModel`
        Whose training set the stamps are like.
    seed : int
    n : int, optional
        How many seeds tell.
    """

    def __init__(self, model, seed, *, n=3000):
        seeds = load_seeds()
        model_flux = np.asarray(seeds.table["MODELFLUX"], dtype=float) * 10 ** (0.4 * R_UGRIZ * seeds.ebv[:, None])
        chosen = seeds.usable & (seeds.redshift > 0) & SELECTED.contains(seeds.measured_flux, seeds.redshift)
        chosen &= (seeds.split == "train") & (model_flux > 0).all(axis=1)
        rows = np.flatnonzero(chosen)[:n]
        flux = model_flux[rows]  # of which the errors are listed
        recipe = recipe_of(model, seed=seed, split="train")
        population = catalogue_population(flux, seeds.redshift[rows], ebv=seeds.ebv[rows])
        shape = draw_morphology(population, generator(recipe, "shape"))
        least = least_error(recipe, population, shape, generator(recipe, "catalogue"))
        ratio = flux * _relative_error(seeds.table[rows]) / least
        bins = np.digitize(magnitudes(seeds.measured_flux[rows])[:, _R], _BRIGHTNESS[1:-1])
        factor = np.stack([np.nanmedian(ratio[bins == one], axis=0) for one in range(len(_BRIGHTNESS) - 1)])
        self.factor = np.maximum(factor, 1)

    @property
    def range(self):
        """How many times the least noise it is, in words."""
        return f"{self.factor.min():.2f} to {self.factor.max():.2f}"

    def __call__(self, recipe, population, shape, rng):
        """
        Noise (N, 5) of galaxies' fluxes (nanomaggies, free of extinction), in images like those of a recipe.

        Parameters
        ----------
        recipe : `~astro_photz.simulate.simulation.Recipe`
        population : `~astro_photz.simulate.population.draw.Population` (N,)
        shape : `~astro_photz.simulate.population.morphology.Morphology` (N,)
        rng : `~numpy.random.Generator`
        """
        centres = (_BRIGHTNESS[1:] + _BRIGHTNESS[:-1]) / 2
        r = magnitudes(population.flux)[:, _R]
        factor = np.stack([np.interp(r, centres, factor) for factor in self.factor.T], axis=1)
        return factor * least_error(recipe, population, shape, rng)

    def listed(self, recipe, population, shape):
        """
        Magnitude and colours of galaxies as a catalogue lists them, with the noise and the calibration's error.

        Parameters
        ----------
        recipe, population, shape
            As above.

        Returns
        -------
        dict of `~numpy.ndarray` (N,)
        """
        rng, flux = generator(recipe, "catalogue"), population.flux
        error = self(recipe, population, shape, rng)
        calibration = 10 ** (0.4 * recipe.settings.sky["zero_point_scatter"] * rng.standard_normal(flux.shape))
        return magnitude_features(magnitudes(flux * calibration + error * rng.standard_normal(flux.shape)))


def _relative_error(table):
    """Listed errors (N, 5) of model fluxes, over these; NaN where none is listed."""
    flux, ivar = (np.asarray(table[name], dtype=float) for name in ("MODELFLUX", "MODELFLUX_IVAR"))
    good = (ivar > 0) & (flux > 0)
    return np.where(good, 1 / np.sqrt(np.where(good, ivar, 1)) / np.where(good, flux, 1), np.nan)
