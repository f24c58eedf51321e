# Licensed under a 3-clause BSD style license - see LICENSE
"""
Real catalogues of the Main Galaxy Sample, and how simulated galaxies would stand in them.

The catalogue in ``../shared`` lists model magnitudes, freed of extinction with the coefficients of DR12; a simulated
galaxy has total fluxes, freed of it with those of Schlafly & Finkbeiner (2011). `ModelMagnitudes` carries the one into
the other, by the mean difference of the two among kcorrect's galaxies, which have both.

Its even rows may set what is to be set; the odd rows are for tests alone.
"""

import numpy as np
from astropy.table import Table
from scipy.spatial import KDTree

from astro_photz.sdss import BANDS, EXTINCTION_COEFFICIENTS, R_UGRIZ, ZERO_POINT
from astro_photz.simulate.population.progenitors import load_progenitors
from astro_photz.simulate.population.sample import Sample
from benchmarks.common.data import SHARED, require

__all__ = ["SELECTED", "ModelMagnitudes", "add_errors", "features", "magnitudes", "main_sample", "seed_catalogue"]

SELECTED = Sample(faintest=17.77)
"""The main sample's limit to the digit: Petrosian r, free of extinction (Strauss et al. 2002, AJ 124, 1810)."""

_CATALOGUE = SHARED / "catalogues" / "mgs_ugriz_specz_5000.ecsv"
_COEFFICIENT_CHANGE = EXTINCTION_COEFFICIENTS["DR12"] - R_UGRIZ


def main_sample(rows):
    """
    Half of the catalogue in ``../shared``, its 'even' or 'odd' rows.

    Model magnitudes (N, 5) in *ugriz*, free of extinction, their errors (N, 5), and redshifts (N,).
    """
    table = Table.read(require(_CATALOGUE))[{"even": 0, "odd": 1}[rows] :: 2]
    columns = [
        [np.asarray(table[prefix + band], dtype=float) for band in BANDS] for prefix in ("dered_mag_", "mag_err_")
    ]
    return *(np.stack(column, axis=1) for column in columns), np.asarray(table["z_spec"], dtype=float)


def seed_catalogue():
    """
    kcorrect's galaxies, as the catalogue in ``../shared`` would list them: magnitudes and redshifts (N,).

    Model magnitudes (N, 5) in *ugriz*, free of extinction with the coefficients of DR12; not finite where not detected.
    """
    table = load_progenitors().table
    return magnitudes(np.asarray(table["MODELFLUX"], dtype=float)) - np.asarray(
        table["EXTINCTION"]
    ), load_progenitors().redshift


def magnitudes(flux):
    """Magnitudes of fluxes in nanomaggies, NaN where they are not positive."""
    return ZERO_POINT - 2.5 * np.log10(np.where(flux > 0, flux, np.nan))


def features(magnitude, redshift=None):
    """r, u - g, g - r, r - i, i - z, and the redshift if it is given (N, 5 or 6)."""
    columns = [magnitude[:, 2:3], -np.diff(magnitude, axis=1)]
    return np.hstack(columns if redshift is None else [*columns, redshift[:, None]])


class ModelMagnitudes:
    """
    Differences between total magnitudes and the catalogue's model magnitudes: their mean in each band, linear in r and
    redshift and quadratic in g - r, among kcorrect's galaxies, outliers left out.
    """

    def __init__(self):
        progenitors = load_progenitors()
        model, redshift = seed_catalogue()
        total = magnitudes(progenitors.measured_flux)
        difference = model - (total - _COEFFICIENT_CHANGE * progenitors.ebv[:, None])
        self._to_model = _clipped_fit(_terms(total, redshift), difference)
        self._to_total = _clipped_fit(_terms(model, redshift), total - model)

    def from_total(self, total, redshift, ebv):
        """Model magnitudes (N, 5) of galaxies with total magnitudes (N, 5), as the catalogue would list them."""
        return total - _COEFFICIENT_CHANGE * ebv[:, None] + _terms(total, redshift) @ self._to_model

    def to_total(self, model, redshift):
        """Total magnitudes (N, 5) of the catalogue's galaxies, for the mean E(B-V)."""
        return model + _terms(model, redshift) @ self._to_total


def _terms(magnitude, redshift):
    colour = magnitude[:, 1] - magnitude[:, 2]
    return np.stack([np.ones_like(colour), colour, colour**2, magnitude[:, 2] - 17, redshift], axis=1)


def _clipped_fit(terms, values):
    used = np.isfinite(values).all(axis=1) & np.isfinite(terms).all(axis=1)
    for _ in range(5):
        coefficients = np.linalg.lstsq(terms[used], values[used], rcond=None)[0]
        deviation = np.abs(values - terms @ coefficients)
        used = (deviation < 3 * 1.4826 * np.nanmedian(deviation, axis=0)).all(axis=1)
    return coefficients


def add_errors(magnitude, rng, *, like):
    """
    Catalogue magnitudes (N, 5) with the errors of a real galaxy as bright in r and u.

    ``like`` holds magnitudes and errors (M, 5) of real galaxies.
    """
    real, errors = like
    _, nearest = KDTree(real[:, [0, 2]]).query(magnitude[:, [0, 2]])
    return magnitude + errors[nearest] * rng.standard_normal(magnitude.shape)
