# Licensed under a 3-clause BSD style license - see LICENSE
"""Real catalogues with spectroscopic redshifts, in halves: one for boosting to learn from, one to judge by."""

import sys
from pathlib import Path
from typing import NamedTuple

import numpy as np

from astro_photz.sdss import ZERO_POINT
from astro_photz.simulate.seeds import load_seeds

sys.path.append(str(Path(__file__).parents[1] / "simulation"))

from _main_sample import SELECTED, ModelMagnitudes, main_sample

__all__ = ["Catalogue", "main_sample_halves", "seed_halves"]


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
        With the light of their template fits, which is free of most of the catalogue's noise and what simulations are
        drawn from, instead of what was measured.

    Returns
    -------
    learning, judging : `Catalogue`
    """
    seeds = load_seeds()
    every = Catalogue(seeds.flux if fitted else seeds.measured_flux, seeds.redshift)
    selected = seeds.usable & (seeds.redshift > 0) & SELECTED.contains(every.flux, every.redshift)
    return every.of(selected & (seeds.split == "train")), every.of(selected & (seeds.split == "test"))


def main_sample_halves():
    """
    The catalogue in ``../shared``: its even rows, and its odd ones, which nothing was chosen by.

    Returns
    -------
    learning, judging : `Catalogue`
    """
    carry = ModelMagnitudes()
    return tuple(_total(carry, *main_sample(rows)) for rows in ("even", "odd"))


def _total(carry, magnitude, _, redshift):
    flux = 10 ** (0.4 * (ZERO_POINT - carry.to_total(magnitude, redshift)))
    good = np.isfinite(flux).all(axis=1) & (redshift > 0) & SELECTED.contains(flux, redshift)
    return Catalogue(flux[good], redshift[good])
