# Licensed under a 3-clause BSD style license - see LICENSE
"""
Progenitors of simulated galaxies: 10,000 real ones, with a template fit for each.

They are the galaxies of the SDSS Main Galaxy Sample that come with the ``kcorrect`` package. A fit of its templates
(Blanton & Roweis 2007, AJ 133, 734) gives the colours that a progenitor would have at another distance.

The light in an image is the total light, so the colours are those of the Petrosian fluxes, not of the model fluxes,
which are redder where a galaxy's outskirts are bluer than its middle. But a catalogue's colours carry its noise, and an
image adds its own: noise in a progenitor's colours must not be drawn as if it were light. So a galaxy has the colours
of its template fit, corrected by the mean residual of such fits among galaxies as red and luminous. The residuals of
single fits are no larger than the catalogue's errors: nothing real is lost with them.

Every progenitor belongs to one of three splits for good, so that no galaxy is both trained and tested on.
"""

import gc
import warnings
from functools import cache, cached_property
from importlib.util import find_spec
from pathlib import Path

import numpy as np

from astro_photz.photometry import r_magnitude
from astro_photz.sdss import EXTINCTION_COEFFICIENTS, R_UGRIZ
from astro_photz.utils._optional import optional

from ._cosmology import distance_modulus
from ._robust import robust_fit
from ._type_weight import type_weight

__all__ = ["COMPLETE_TO", "INTRINSIC_SCATTER", "SPLITS", "SPLIT_SEED", "Progenitors", "load_progenitors"]

SPLITS = {"train": 0.7, "validation": 0.15, "test": 0.15}
"""Fraction of the progenitors in each split."""

SPLIT_SEED = 20210110
"""Seed of the permutation that assigns galaxies to splits. Part of every data set's identity: never change it."""

INTRINSIC_SCATTER = 0.012
"""Scatter (mag) in each band about the template fits, which makes simulated catalogues as hard as real ones."""

COMPLETE_TO = 17.1
"""Magnitude *r* to which the progenitors are taken as complete."""

_SHIFT_RANGE = 0.4  # mag: how differently far the progenitors of one sample are moved
_FURTHEST = 0.4  # the Main Galaxy Sample ends before
_CORRECTED = 0.02, 0.2  # redshifts between which there are enough progenitors of all colours to correct the templates
_LUMINOSITIES = -24.0, -18.0  # the same, of absolute magnitudes in r


def _kcorrect(module):
    return optional(f"kcorrect{module}", extra="simulate", doing="simulating")


def _total_flux(table):
    """
    Petrosian flux (N, 5), free of extinction.

    Its colours are those of the better model fluxes, times the mean ratio of Petrosian to model flux of galaxies alike.
    """
    extinction = np.asarray(table["EXTINCTION"], dtype=float)
    ebv = np.mean(extinction / EXTINCTION_COEFFICIENTS["DR12"], axis=1)
    model = np.asarray(table["MODELFLUX"], dtype=float)
    petrosian = np.asarray(table["PETROFLUX"], dtype=float)
    ivar = np.asarray(table["PETROFLUX_IVAR"], dtype=float)
    model[:, 0] = np.clip(model[:, 0], 0.02 * model[:, 2], None)  # some are not detected in u
    colour = -2.5 * np.log10(model[:, 1] / model[:, 2])
    terms = np.stack([np.ones_like(colour), colour, np.log10(model[:, 2]), np.asarray(table["Z"])], axis=1)

    scaled = model * (petrosian[:, 2] / model[:, 2])[:, None]
    ratio = petrosian / scaled
    error = 1 / (np.sqrt(np.clip(ivar, 1e-12, None)) * scaled)
    mean = np.stack([terms @ robust_fit(terms, ratio[:, band], error[:, band]) for band in range(5)], axis=1)
    mean[:, 2] = 1
    return mean * scaled * 10 ** (0.4 * R_UGRIZ * ebv[:, None]), ebv


def _colour(flux):
    """g - r (mag) of fluxes (N, 5)."""
    return -2.5 * np.log10(flux[:, 1] / flux[:, 2])


def _correction_terms(colour, magnitude, redshift):
    """
    Terms (N, 10) that errors of the templates depend on.

    A quartic of the redshift, as lines and breaks pass from band to band, and the luminosity, which the templates' mix
    does not know.
    """
    z, luminosity = np.clip(redshift, *_CORRECTED), np.clip(magnitude, *_LUMINOSITIES)
    others = [colour, colour**2, colour * z, luminosity, luminosity * colour]
    return np.column_stack([np.vander(z, 5), *others])


class Progenitors:
    """
    Real galaxies behind the simulated ones, with a template fit for each.

    Use `load_progenitors`: it makes them once.

    Attributes
    ----------
    table : `~astropy.table.Table` (N,)
        kcorrect's, as it comes.
    measured_flux : `~numpy.ndarray` (N, 5)
        Total flux in *ugriz* (nanomaggies), free of extinction, with the catalogue's noise.
    ebv : `~numpy.ndarray` (N,)
        E(B-V) (mag, SFD98 scale).
    ra, dec : `~numpy.ndarray` (N,)
        Position (deg).
    redshift : `~numpy.ndarray` (N,)
    split : `~numpy.ndarray` (N,) of str
    usable : `~numpy.ndarray` (N,) of bool
        Whether it has a flux in all bands, and a redshift below 0.4.
    """

    def __init__(self):
        from astropy.table import Table

        # found without importing kcorrect, which takes seconds and which only template fits need
        spec = find_spec("kcorrect") or _kcorrect("").__spec__
        self.table = Table.read(Path(spec.origin).parent / "data" / "test" / "gst_tests_small.fits")
        self.measured_flux, self.ebv = _total_flux(self.table)
        self.ra, self.dec = np.asarray(self.table["RA"]), np.asarray(self.table["DEC"])
        self.redshift = np.asarray(self.table["Z"], dtype=float)
        self.split = _assign_splits(len(self.table))
        self.usable = (self.measured_flux > 0).all(axis=1) & (self.redshift < _FURTHEST)

    @cached_property
    def _templates(self):
        names = [f"sdss_{band}0" for band in "ugriz"]
        with warnings.catch_warnings():
            # kcorrect leaves its files open, for the garbage collector to close
            warnings.simplefilter("ignore", ResourceWarning)
            templates = _kcorrect(".kcorrect").Kcorrect(responses=names, redshift_range=[0.0, 1.0], nredshift=1000)
            gc.collect()
        return templates

    def fit(self, flux, redshift):
        """
        Fit the templates to galaxies.

        Parameters
        ----------
        flux : array_like (N, 5)
            In *ugriz* (nanomaggies), free of extinction.
        redshift : array_like (N,)

        Returns
        -------
        coefficients : `~numpy.ndarray` (N, 5)
        """
        maggies = np.asarray(flux) * 1e-9
        error = maggies * np.array([0.05, 0.02, 0.02, 0.02, 0.03])
        return self._templates.fit_coeffs(redshift=np.asarray(redshift), maggies=maggies, ivar=error**-2)

    def reconstruct(self, coefficients, redshift, *, band_shift=0.0):
        """
        Fluxes of template fits seen at a redshift, at the distance that the fits were made at.

        Parameters
        ----------
        coefficients : `~numpy.ndarray` (N, 5)
        redshift : array_like (N,)
        band_shift : float, optional
            Redshift that the bands are shifted by: 0.1 for the rest-frame quantities of this package.

        Returns
        -------
        flux : `~numpy.ndarray` (N, 5)
            In nanomaggies.
        """
        return 1e9 * self._templates.reconstruct(redshift=redshift, coeffs=coefficients, band_shift=band_shift)

    @cached_property
    def _coefficients(self):
        return self.fit(self.measured_flux, self.redshift)

    @cached_property
    def _missed(self):
        """Measured fluxes over those of the fits (N, 5)."""
        return self.measured_flux / self.reconstruct(self._coefficients, self.redshift)

    @cached_property
    def _mean_missed(self):
        """
        Mean residual of the fits in colours relative to r (mag): coefficients (10, 5) of `_correction_terms`.

        Progenitors of all splits are used: ten numbers for a band are the nature of the simulated sky, and hold no
        single galaxy.
        """
        magnitudes = np.full_like(self._missed, np.nan)
        magnitudes[self.usable] = 2.5 * np.log10(self._missed / self._missed[:, [2]])[self.usable]
        terms = _correction_terms(self.rest_colour, self.absolute_magnitude, self.redshift)
        zero = np.zeros_like(self.redshift)
        return np.stack([robust_fit(terms, magnitudes[:, band], zero) for band in range(5)], axis=1)

    complete_to = COMPLETE_TO
    spread_of_shifts = _SHIFT_RANGE

    @cached_property
    def complete(self):
        """Mask (N,) of the galaxies that are drawn: all that there are, to a magnitude."""
        return self.usable & (r_magnitude(self.flux[:, 2]) <= COMPLETE_TO)

    @cached_property
    def weight(self):
        """Frequency (N,) of galaxies of a colour in the main sample, relative to that among the progenitors."""
        return type_weight(self.rest_colour)

    @cached_property
    def flux(self):
        """Total fluxes (N, 5) in *ugriz* (nanomaggies), free of extinction and of most of the catalogue's noise."""
        return self.moved(np.arange(len(self.redshift)), self.redshift)

    @cached_property
    def rest(self):
        """Fluxes (N, 5) of the template fits in the bands shifted to z = 0.1, at 10 pc."""
        return self._at_rest(self._coefficients, self._missed[:, 2], self.redshift)

    def fitted_flux(self, flux, redshift):
        """
        Fluxes of other galaxies by template fits, free of most of their noise, made as `flux` is.

        Parameters
        ----------
        flux : `~numpy.ndarray` (N, 5)
            In *ugriz* (nanomaggies), free of extinction.
        redshift : `~numpy.ndarray` (N,)

        Returns
        -------
        `~numpy.ndarray` (N, 5)
            In *r*, the measured one.
        """
        coefficients, missed = self._fit_scaled(flux, redshift)
        rest = self._at_rest(coefficients, missed, redshift)
        return self._corrected(
            coefficients, missed, redshift, rest_colour=_colour(rest), magnitude=r_magnitude(rest[:, 2])
        )

    def rest_flux(self, flux, redshift):
        """
        Fluxes of other galaxies in the bands shifted to z = 0.1, at 10 pc, by template fits.

        Parameters
        ----------
        flux : `~numpy.ndarray` (N, 5)
            In *ugriz* (nanomaggies), free of extinction.
        redshift : `~numpy.ndarray` (N,)

        Returns
        -------
        `~numpy.ndarray` (N, 5)
        """
        return self._at_rest(*self._fit_scaled(flux, redshift), redshift)

    def _fit_scaled(self, flux, redshift):
        """Template fits to other galaxies, and their measured light in r over that of the fits."""
        coefficients = self.fit(flux, redshift)
        return coefficients, flux[:, 2] / self.reconstruct(coefficients, redshift)[:, 2]

    def _at_rest(self, coefficients, missed, redshift):
        distance = 10 ** (0.4 * distance_modulus(redshift))
        at_rest = self.reconstruct(coefficients, np.zeros_like(redshift), band_shift=0.1)
        return at_rest * (missed * distance)[:, None]

    @cached_property
    def absolute_magnitude(self):
        """Absolute magnitude (N,) in the *r* band shifted to z = 0.1, h = 0.7."""
        return r_magnitude(self.rest[:, 2])

    @cached_property
    def rest_colour(self):
        """g - r (N,) in the bands shifted to z = 0.1 (mag)."""
        return _colour(self.rest)

    def moved(self, rows, redshift):
        """
        Fluxes of progenitors seen from another distance.

        Parameters
        ----------
        rows : `~numpy.ndarray` (M,) of int
            Which progenitors.
        redshift : `~numpy.ndarray` (M,)
            Where they are seen.

        Returns
        -------
        flux : `~numpy.ndarray` (M, 5)
            Total flux (nanomaggies), free of extinction: in *r*, from a progenitor's own distance, the measured one.
        """
        dimming = distance_modulus(self.redshift[rows]) - distance_modulus(redshift)
        return self._corrected(
            self._coefficients[rows],
            self._missed[rows, 2],
            redshift,  # templates err where a band sees them, so the correction is that of the redshift moved to
            rest_colour=self.rest_colour[rows],
            magnitude=self.absolute_magnitude[rows],
            dimming=dimming[:, None],
        )

    def magnitude_at(self, rows, redshift):
        """
        Total magnitudes *r* of progenitors that are seen at a redshift.

        Parameters
        ----------
        rows : `~numpy.ndarray` (M,) of int
        redshift : `~numpy.ndarray` (M,)

        Returns
        -------
        `~numpy.ndarray` (M,)
        """
        return r_magnitude(self.moved(rows, redshift)[:, 2])

    def draw_light(self, rows, redshift, rng):
        """
        Draw total fluxes of progenitors that are seen at a redshift: the template fit, and a scatter about it.

        Parameters
        ----------
        rows : `~numpy.ndarray` (M,) of int
        redshift : `~numpy.ndarray` (M,)
        rng : `~numpy.random.Generator`

        Returns
        -------
        `~numpy.ndarray` (M, 5)
            In nanomaggies, free of extinction.
        """
        scatter = INTRINSIC_SCATTER * rng.standard_normal((len(rows), 5))
        return self.moved(rows, redshift) * 10 ** (0.4 * scatter)

    def change_of_light(self, coefficients, near, far, *, rest_colour, magnitude):
        """
        Factors by which the light of galaxies changes when they are seen from another distance.

        Parameters
        ----------
        coefficients : `~numpy.ndarray` (M, 5)
            Of their template fits.
        near, far : `~numpy.ndarray` (M,)
            Redshift before and after.
        rest_colour, magnitude : `~numpy.ndarray` (M,)
            g - r in the bands shifted to z = 0.1, and absolute magnitude in that *r* (mag).

        Returns
        -------
        `~numpy.ndarray` (M, 5)
        """
        before, after = (
            self._corrected(coefficients, np.ones(len(z)), z, rest_colour=rest_colour, magnitude=magnitude)
            for z in (near, far)
        )
        dimming = distance_modulus(near) - distance_modulus(far)
        return after / before * 10 ** (0.4 * dimming[:, None])

    def _corrected(self, coefficients, missed, redshift, *, rest_colour, magnitude, dimming=0.0):
        """Fluxes (N, 5) of template fits, corrected by the residual of each in r and by the mean one in colours."""
        terms = _correction_terms(rest_colour, magnitude, redshift)
        fitted = self.reconstruct(coefficients, redshift)
        return fitted * missed[:, None] * 10 ** (0.4 * (terms @ self._mean_missed + dimming))


@cache
def load_progenitors():
    """
    Read the progenitors, once.

    Returns
    -------
    `Progenitors`

    Raises
    ------
    ImportError
        Without kcorrect.
    """
    return Progenitors()


def _assign_splits(n):
    order = np.random.default_rng(SPLIT_SEED).permutation(n)
    bounds = np.round(np.cumsum(list(SPLITS.values())) * n).astype(int)
    split = np.empty(n, dtype="U10")
    for name, rows in zip(SPLITS, np.split(order, bounds[:-1]), strict=True):
        split[rows] = name
    return split
