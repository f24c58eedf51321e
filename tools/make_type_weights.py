# Licensed under a 3-clause BSD style license - see LICENSE
"""
Make the weights of types of galaxies: their frequency in the Main Galaxy Sample over that among the progenitors.

A logistic regression tells the main sample (the even rows of the catalogue in ``../shared``, as total magnitudes) from
unweighted draws from the progenitors; its odds are the ratio of their densities (Qin 1998, Biometrika 85, 619). They
are a polynomial of the rest-frame colour, and of r and redshift, so that the ratio by colour, which alone is kept, is
that at equal r and redshift. Both sides have their rest-frame colours from the same template fits.
"""

import argparse
from pathlib import Path

import numpy as np
from astropy import units as u
from astropy.table import Table
from sklearn.linear_model import LogisticRegression

import astro_photz
from astro_photz.sdss import ZERO_POINT
from astro_photz.simulate.population.draw import draw_population
from astro_photz.simulate.population.progenitors import load_progenitors
from benchmarks.simulation._main_sample import SELECTED, ModelMagnitudes, magnitudes, main_sample

SEED = 41
DRAWN = 30_000
TABLE = Path(astro_photz.__file__).parent / "data" / "simulation" / "type_weights.ecsv"
GRID = np.round(np.arange(0.30, 1.101, 0.05), 2)
BOUNDS = 0.2, 5.0
COLOUR_TERMS = 4
DESCRIPTION = """\
Ratio of the densities of the SDSS Main Galaxy Sample and of the simulation's progenitors at equal r and redshift, by
g - r in the bands shifted to z = 0.1. Made by tools/make_type_weights.py."""


def rest_colours(magnitude, redshift):
    """g - r (N,) in the bands shifted to z = 0.1 of galaxies with total magnitudes (N, 5)."""
    progenitors = load_progenitors()
    coefficients = progenitors.fit(10 ** (0.4 * (ZERO_POINT - magnitude)), redshift)
    rest = progenitors.reconstruct(coefficients, np.zeros_like(redshift), band_shift=0.1)
    return -2.5 * np.log10(rest[:, 1] / rest[:, 2])


def colour_terms(colour):
    """Powers (N, 4) of the rest-frame colour."""
    return ((np.clip(colour, GRID[0], GRID[-1])[:, None] - 0.75) / 0.2) ** np.arange(1, COLOUR_TERMS + 1)


def terms(colour, r, redshift):
    """Terms (N, 12) of the logarithm of the odds, which is linear in them."""
    faintness = np.clip(r, 14, 18)[:, None] - 17
    distance = (np.clip(redshift, 0, 0.3)[:, None] - 0.1) / 0.05
    powers = np.arange(1, 4)
    return np.hstack([colour_terms(colour), faintness**powers, distance**powers, distance * faintness])


def density_ratio():
    """Ratio of densities (len(GRID),), main sample to progenitors, 1 on average over the progenitors drawn."""
    drawn = draw_population(DRAWN, np.random.default_rng(SEED), sample=SELECTED, weighted=False)
    real, _, redshift = main_sample("even")
    real = ModelMagnitudes().to_total(real, redshift)
    simulated = terms(drawn.rest_colour, magnitudes(drawn.flux)[:, 2], drawn.redshift)
    observed = terms(rest_colours(real, redshift), real[:, 2], redshift)
    regression = LogisticRegression(C=10, max_iter=10_000)
    regression.fit(np.vstack([simulated, observed]), np.repeat([0, 1], [len(simulated), len(observed)]))
    slope = regression.coef_[0, :COLOUR_TERMS]
    mean = np.exp(colour_terms(drawn.rest_colour) @ slope).mean()
    return np.exp(colour_terms(GRID) @ slope) / mean


def main():
    """Print the table, and write it if that is wanted."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[1])
    parser.add_argument("--write", action="store_true", help=f"replace {TABLE.name} in the package")
    args = parser.parse_args()
    weights = Table(
        {"rest_colour": GRID * u.mag, "weight": np.round(np.clip(density_ratio(), *BOUNDS), 3)},
        meta={"description": DESCRIPTION},
    )
    weights.pprint(max_lines=-1)
    if args.write:
        weights.write(TABLE, overwrite=True)
        print(f"wrote {TABLE}")


if __name__ == "__main__":
    main()
