# Licensed under a 3-clause BSD style license - see LICENSE
"""
Real catalogues with spectroscopic redshifts, in halves, one for boosting to learn from, one to judge by; and the noise
that such catalogues have.
"""

from typing import NamedTuple

import numpy as np

from astro_photz.sdss import BANDS, R_UGRIZ, ZERO_POINT
from astro_photz.simulate.population.draw import catalogue_population
from astro_photz.simulate.population.measured import MEASURED_TO, ORIGINS, load_measured, magnitudes_of
from astro_photz.simulate.population.progenitors import load_progenitors
from astro_photz.simulate.population.total_light import total_from_model
from benchmarks.simulation._main_sample import SELECTED

from ._photometry import least_error, magnitude_features, magnitudes
from ._stamps import generator, shapes, simulation_of

__all__ = ["Catalogue", "CatalogueNoise", "halves"]

_R = BANDS.index("r")
_EARLY, _LUMINOUS = 0.8, -21.5  # g - r and absolute magnitude r, in bands shifted to z = 0.1
_BRIGHTNESS = np.array([14.0, 16.0, 16.5, 17.0, 17.4, 17.77])  # edges of bins in r


class Catalogue(NamedTuple):
    """
    Real galaxies of one catalogue.

    Total flux (N, 5) in *ugriz* (nanomaggies, free of extinction), redshift, g - r and absolute magnitude r (N,) in the
    bands shifted to z = 0.1.
    """

    flux: np.ndarray
    redshift: np.ndarray
    rest_colour: np.ndarray
    absolute_magnitude: np.ndarray

    def of(self, rows):
        """Some of the galaxies: `Catalogue`."""
        return Catalogue(*(values[rows] for values in self))

    def types(self):
        """Masks (N,) of the galaxies, by type."""
        early = self.rest_colour > _EARLY
        luminous = self.absolute_magnitude < _LUMINOUS
        return {"all": np.ones_like(early), "early": early, "late": ~early, "luminous late": ~early & luminous}


def halves(origin, *, test, true, rng):
    """
    Galaxies of a catalogue to the main sample's limit: those to learn from, and those to judge by.

    The latter are of the validation split, or of the test split. Light is moved from the catalogue's system, model
    magnitudes, to the total light of images. It is as measured, or, if ``true``, as the galaxies may truly be: a draw
    without the catalogue's noise, as simulated galaxies have it.
    """
    galaxies = load_measured()
    of_it = (galaxies.origin == ORIGINS.index(origin)) & (galaxies.r < MEASURED_TO) & (galaxies.redshift > 0)
    for split in ("train", "test" if test else "validation"):
        rows = np.flatnonzero(of_it & (galaxies.split == split))
        values = galaxies.draw_true(rows, rng) if true else galaxies.values[rows]
        total = total_from_model(magnitudes_of(values), values[:, 0])
        yield Catalogue(
            10 ** (0.4 * (ZERO_POINT - total)),
            galaxies.redshift[rows],
            galaxies.rest_colour[rows],
            galaxies.absolute_magnitude[rows],
        )


class CatalogueNoise:
    """
    The noise of fluxes that SDSS lists of galaxies like those of stamps of a model's training set.

    It is about the least that there can be (`_photometry.least_error`): how many times as much is told, in each band
    and for galaxies as bright, by ``n`` of kcorrect's training progenitors, whose errors are listed, seen with their
    own magnitudes. Where SDSS lists less, as in u, it is the least. What is fainter than the faintest bin's middle has
    the factor of that. The images are others than those of the stamps, and like them.
    """

    def __init__(self, model, seed, *, n=3000):
        progenitors = load_progenitors()
        model_flux = np.asarray(progenitors.table["MODELFLUX"], dtype=float)
        model_flux = model_flux * 10 ** (0.4 * R_UGRIZ * progenitors.ebv[:, None])
        chosen = progenitors.usable & (progenitors.redshift > 0)
        chosen &= SELECTED.contains(progenitors.measured_flux, progenitors.redshift)
        chosen &= (progenitors.split == "train") & (model_flux > 0).all(axis=1)
        rows = np.flatnonzero(chosen)[:n]
        flux = model_flux[rows]  # the listed errors are of these
        simulation = simulation_of(model, seed=seed, split="train")
        population = catalogue_population(flux, progenitors.redshift[rows], ebv=progenitors.ebv[rows])
        shape = shapes(population, simulation)
        least = least_error(simulation, population, shape, generator(simulation, "catalogue"))
        ratio = flux * _relative_error(progenitors.table[rows]) / least
        bins = np.digitize(magnitudes(progenitors.measured_flux[rows])[:, _R], _BRIGHTNESS[1:-1])
        factor = np.stack([np.nanmedian(ratio[bins == one], axis=0) for one in range(len(_BRIGHTNESS) - 1)])
        self.factor = np.maximum(factor, 1)

    @property
    def range(self):
        """Range of the factors over the least noise, as text."""
        return f"{self.factor.min():.2f} to {self.factor.max():.2f}"

    def __call__(self, simulation, population, shape, rng):
        """Noise (N, 5) of fluxes (nanomaggies, free of extinction), in images like those of a simulation."""
        centres = (_BRIGHTNESS[1:] + _BRIGHTNESS[:-1]) / 2
        r = magnitudes(population.flux)[:, _R]
        factor = np.stack([np.interp(r, centres, factor) for factor in self.factor.T], axis=1)
        return factor * least_error(simulation, population, shape, rng)

    def listed(self, simulation, population, shape):
        """Magnitude and colours as a catalogue lists them, with the noise and the calibration's error, by name."""
        rng, flux = generator(simulation, "catalogue"), population.flux
        error = self(simulation, population, shape, rng)
        calibration = 10 ** (0.4 * simulation.settings.sky["zero_point_scatter"] * rng.standard_normal(flux.shape))
        return magnitude_features(magnitudes(flux * calibration + error * rng.standard_normal(flux.shape)))


def _relative_error(table):
    """Listed errors (N, 5) of model fluxes, over these; NaN where none is listed."""
    flux, ivar = (np.asarray(table[name], dtype=float) for name in ("MODELFLUX", "MODELFLUX_IVAR"))
    good = (ivar > 0) & (flux > 0)
    return np.where(good, 1 / np.sqrt(np.where(good, ivar, 1)) / np.where(good, flux, 1), np.nan)
