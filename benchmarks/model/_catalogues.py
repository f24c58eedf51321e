# Licensed under a 3-clause BSD style license - see LICENSE
"""
Real catalogues with spectroscopic redshifts, in halves, one for boosting to learn from, one to judge by; and the noise
that such catalogues have.
"""

from typing import NamedTuple

import numpy as np

from astro_photz.sdss import BANDS, R_UGRIZ, ZERO_POINT
from astro_photz.simulate.population.draw import catalogue_population
from astro_photz.simulate.population.morphology import draw_morphology
from astro_photz.simulate.population.progenitors import INTRINSIC_SCATTER, load_progenitors
from benchmarks.simulation._main_sample import SELECTED, ModelMagnitudes, main_sample

from ._photometry import least_error, magnitude_features, magnitudes
from ._stamps import generator, simulation_of

__all__ = ["Catalogue", "CatalogueNoise", "main_sample_halves", "progenitor_halves"]

_R = BANDS.index("r")
_SCATTER_SEED = 0
_BRIGHTNESS = np.array([14.0, 16.0, 16.5, 17.0, 17.4, 17.77])  # edges of bins in r


class Catalogue(NamedTuple):
    """Real galaxies: total flux (N, 5) in *ugriz* (nanomaggies, free of extinction) and redshift (N,)."""

    flux: np.ndarray
    redshift: np.ndarray

    def of(self, rows):
        """Some of the galaxies: `Catalogue`."""
        return Catalogue(self.flux[rows], self.redshift[rows])


def progenitor_halves(*, fitted=False):
    """
    kcorrect's galaxies: training progenitors and test progenitors to the main sample's limit.

    If ``fitted``, they have the light of their template fits, free of most of the catalogue's noise, and galaxies'
    scatter about them, as simulations are drawn, instead of the measured light.
    """
    progenitors = load_progenitors()
    measured = Catalogue(progenitors.measured_flux, progenitors.redshift)
    return tuple(
        _selected(
            measured.of(progenitors.usable & (progenitors.redshift > 0) & (progenitors.split == split)), fitted=fitted
        )
        for split in ("train", "test")
    )


def main_sample_halves(*, fitted=False):
    """
    The catalogue in ``../shared``: its even rows, with kcorrect's training progenitors, which the model has learnt from
    too, and its odd ones, which nothing was chosen by; ``fitted`` as in `progenitor_halves`.
    """
    carry = ModelMagnitudes()
    even, odd = (_selected(_total(carry, *main_sample(rows)), fitted=fitted) for rows in ("even", "odd"))
    progenitors, _ = progenitor_halves(fitted=fitted)
    return Catalogue(*(np.concatenate(both) for both in zip(even, progenitors, strict=True))), odd


def _total(carry, magnitude, _, redshift):
    flux = 10 ** (0.4 * (ZERO_POINT - carry.to_total(magnitude, redshift)))
    return Catalogue(flux, redshift).of(np.isfinite(flux).all(axis=1) & (redshift > 0))


def _selected(catalogue, *, fitted):
    """Those of the main sample."""
    if fitted:
        fits = load_progenitors().fitted_flux(*catalogue)
        scatter = np.random.default_rng(_SCATTER_SEED).standard_normal(fits.shape)
        catalogue = catalogue._replace(flux=fits * 10 ** (0.4 * INTRINSIC_SCATTER * scatter))
    return catalogue.of(SELECTED.contains(*catalogue))


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
        shape = draw_morphology(population, generator(simulation, "shape"))
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
