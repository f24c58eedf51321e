# Licensed under a 3-clause BSD style license - see LICENSE
"""
Who is in the sky: galaxies with the colours, magnitudes and redshifts of real ones.

The seeds are the 10,000 galaxies of the SDSS Main Galaxy Sample that come with the ``kcorrect`` package. A simulated
galaxy is one of them, seen from another distance: its template fit moves its colours with the redshift, its luminosity
stays. That keeps the joint distribution of colours, luminosity and redshift real, gives any number of different
galaxies, and reaches fainter magnitudes than the spectroscopic survey without inventing any.

The light in an image is the total light, so the colours are those of the Petrosian fluxes, not of the model fluxes,
which are redder where a galaxy's outskirts are bluer than its middle. But a catalogue's colours carry its noise, and an
image adds its own: what a seed's colours owe to noise must not be drawn as if it were its light. So a galaxy has the
colours of its template fit, corrected by what such fits miss on average among galaxies alike, and an intrinsic scatter.
The fits leave residuals no larger than the catalogue's errors: nothing real is lost with them.

Every seed belongs to one of three splits for good, so that what is tested was never trained on.
"""

import gc
import warnings
from dataclasses import dataclass, fields
from functools import cache, cached_property

import numpy as np

from astro_photz.sdss import EXTINCTION_COEFFICIENTS, R_UGRIZ, ZERO_POINT

__all__ = ["DISTANCE_SHIFT", "SPLITS", "SPLIT_SEED", "Population", "Seeds", "draw_population", "load_seeds"]

SPLITS = {"train": 0.7, "validation": 0.15, "test": 0.15}
"""Fraction of the seed galaxies in each split."""

SPLIT_SEED = 20210110
"""Seed of the permutation that assigns galaxies to splits. Part of every data set's identity: never change it."""

INTRINSIC_SCATTER = 0.012
"""Scatter (mag) in each band about the template fits, which makes simulated catalogues as hard as real ones."""

MAX_REDSHIFT = 0.4

# kcorrect's galaxies were also detected by 2MASS, which favours red ones. Each is drawn with a weight
# exp(slope (g - r)), in the bands shifted to z = 0.1: the ratio of the numbers of Main Galaxy Sample to kcorrect's
# galaxies at equal r and z.
_SELECTION_SLOPE = -1.5

_SIGMA_OF_MAD = 1.4826

DISTANCE_SHIFT = (-0.3, 1.3)
"""Default range of the change in distance modulus (mag) from a seed to a galaxy drawn from it."""


def _import_kcorrect():
    try:
        from kcorrect.kcorrect import Kcorrect
    except ImportError as error:
        raise ImportError('simulating needs kcorrect: pip install "astro-photz[simulate]"') from error
    return Kcorrect


@dataclass(frozen=True)
class Population:
    """
    Galaxies as they would be without dust of ours, noise or blur.

    Attributes
    ----------
    seed_index : `~numpy.ndarray` (N,)
        Row of the seed in kcorrect's table.
    ra, dec : `~numpy.ndarray` (N,)
        Position of the seed (deg).
    ebv : `~numpy.ndarray` (N,)
        E(B-V) of our Galaxy towards it (mag, SFD98 scale).
    redshift : `~numpy.ndarray` (N,)
    flux : `~numpy.ndarray` (N, 5)
        Total flux in *ugriz* (nanomaggies), free of our Galaxy's extinction.
    absolute_magnitude : `~numpy.ndarray` (N,)
        In the *r* band shifted to z = 0.1, h = 0.7.
    rest_colour : `~numpy.ndarray` (N,)
        g - r in the bands shifted to z = 0.1 (mag).
    """

    seed_index: np.ndarray
    ra: np.ndarray
    dec: np.ndarray
    ebv: np.ndarray
    redshift: np.ndarray
    flux: np.ndarray
    absolute_magnitude: np.ndarray
    rest_colour: np.ndarray

    def __len__(self):
        return len(self.redshift)

    def __getitem__(self, rows):
        return Population(*(getattr(self, field.name)[rows] for field in fields(self)))


def _total_flux(table):
    """Petrosian flux (N, 5), free of extinction; its colours from the better model fluxes, times the mean ratio of
    Petrosian to model flux of galaxies alike."""
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
    mean = np.stack([_robust_fit(terms, ratio[:, band], error[:, band]) for band in range(5)], axis=1)
    mean[:, 2] = 1
    return mean * scaled * 10 ** (0.4 * R_UGRIZ * ebv[:, None]), ebv


def _robust_fit(terms, values, error):
    """What a linear fit gives for ``values`` (N,), outliers left out: measurements gone wrong, or galaxies unlike any
    other."""
    inlier = np.isfinite(values)
    weight = 1 / np.hypot(error, 0.01)
    for _ in range(4):
        root = weight[inlier]
        coefficients = np.linalg.lstsq(terms[inlier] * root[:, None], values[inlier] * root, rcond=None)[0]
        deviation = (values - terms @ coefficients) * weight
        inlier = np.abs(deviation) < 3 * _SIGMA_OF_MAD * np.nanmedian(np.abs(deviation))
    return terms @ coefficients


class Seeds:
    """
    The seed galaxies, with a template fit for each.

    Use `load_seeds`: it makes them once.
    """

    def __init__(self):
        from importlib.util import find_spec
        from pathlib import Path

        from astropy.table import Table

        # found without importing kcorrect, which takes seconds and which only template fits need
        spec = find_spec("kcorrect")
        if spec is None:
            _import_kcorrect()
        table = Table.read(Path(spec.origin).parent / "data" / "test" / "gst_tests_small.fits")
        self.measured_flux, self.ebv = _total_flux(table)
        self.ra, self.dec = np.asarray(table["RA"]), np.asarray(table["DEC"])
        self.redshift = np.asarray(table["Z"], dtype=float)
        self.split = _assign_splits(len(table))
        self.usable = (self.measured_flux > 0).all(axis=1) & (self.redshift < MAX_REDSHIFT)

    @cached_property
    def _templates(self):
        names = [f"sdss_{band}0" for band in "ugriz"]
        with warnings.catch_warnings():
            # kcorrect leaves its files open, for the garbage collector to close
            warnings.simplefilter("ignore", ResourceWarning)
            templates = _import_kcorrect()(responses=names, redshift_range=[0.0, 1.0], nredshift=1000)
            gc.collect()
        return templates

    @cached_property
    def _coefficients(self):
        maggies = self.measured_flux * 1e-9
        error = maggies * np.array([0.05, 0.02, 0.02, 0.02, 0.03])
        return self._templates.fit_coeffs(redshift=self.redshift, maggies=maggies, ivar=error**-2)

    def _fitted(self, rows, redshift, *, band_shift=0.0):
        """Fluxes (N, 5) of the template fits at a redshift, at the distance that the fit was made at."""
        coefficients = self._coefficients[rows]
        return 1e9 * self._templates.reconstruct(redshift=redshift, coeffs=coefficients, band_shift=band_shift)

    @cached_property
    def _correction(self):
        """What the template fits miss (N, 5), as a factor: in r that of the galaxy itself, so that its flux there is
        its own; in the colours that of galaxies of its rest colour and redshift."""
        missed = self.measured_flux / self._fitted(slice(None), self.redshift)
        magnitudes = np.full_like(missed, np.nan)
        magnitudes[self.usable] = 2.5 * np.log10(missed / missed[:, [2]])[self.usable]
        colour, z = self.rest_colour, self.redshift
        terms = np.stack([np.ones_like(z), colour, colour**2, z, z**2, z * colour], axis=1)
        mean = [_robust_fit(terms, magnitudes[:, band], np.zeros_like(z)) for band in range(5)]
        return 10 ** (0.4 * np.stack(mean, axis=1)) * missed[:, [2]]

    @cached_property
    def flux(self):
        """Total fluxes (N, 5) in *ugriz* (nanomaggies), free of extinction and of most of the catalogue's noise."""
        return self._fitted(slice(None), self.redshift) * self._correction

    @cached_property
    def rest(self):
        """Fluxes (N, 5) of the template fits in the bands shifted to z = 0.1, at 10 pc."""
        distance = 10 ** (0.4 * _distance_modulus(self.redshift))
        fitted = self._fitted(slice(None), self.redshift)
        scale = self.measured_flux[:, 2] / fitted[:, 2]
        return self._fitted(slice(None), np.zeros_like(self.redshift), band_shift=0.1) * (scale * distance)[:, None]

    @cached_property
    def rest_colour(self):
        """g - r (N,) in the bands shifted to z = 0.1 (mag)."""
        return -2.5 * np.log10(self.rest[:, 1] / self.rest[:, 2])

    def moved(self, rows, redshift):
        """Fluxes (N, 5) of seeds seen from another redshift."""
        dimming = 10 ** (0.4 * (_distance_modulus(self.redshift[rows]) - _distance_modulus(redshift)))
        return self._fitted(rows, redshift) * self._correction[rows] * dimming[:, None]


@cache
def load_seeds():
    """
    The seed galaxies, read and fitted once.

    Returns
    -------
    `Seeds`

    Raises
    ------
    ImportError
        Without kcorrect.
    """
    return Seeds()


def _assign_splits(n):
    order = np.random.default_rng(SPLIT_SEED).permutation(n)
    bounds = np.round(np.cumsum(list(SPLITS.values())) * n).astype(int)
    split = np.empty(n, dtype="U10")
    for name, rows in zip(SPLITS, np.split(order, bounds[:-1]), strict=True):
        split[rows] = name
    return split


@cache
def _distance_table():
    from astropy.cosmology import FlatLambdaCDM

    redshift = np.geomspace(1e-3, 1.0, 2000)
    return redshift, FlatLambdaCDM(H0=70, Om0=0.3).distmod(redshift).value


def _distance_modulus(redshift):
    return np.interp(redshift, *_distance_table())


def draw_population(n, rng, *, split="train", distance_shift=DISTANCE_SHIFT):
    """
    Draw galaxies from the seeds of one split, each seen from a distance of its own.

    Parameters
    ----------
    n : int
        How many.
    rng : `~numpy.random.Generator`
    split : {'train', 'validation', 'test'}, optional
    distance_shift : (float, float), optional
        Range of the change in distance modulus (mag), drawn uniformly. A shift that would bring a galaxy to z = 0.4 or
        beyond, where the redshift grid ends, is drawn again.

    Returns
    -------
    `Population`

    Raises
    ------
    ValueError
        If there is no such split.

    Notes
    -----
    In Euclidean space, galaxies of a flux-limited sample moved by one distance factor are a fair sample to a fainter
    limit: the range of shifts reaches from the survey's own limit, r = 17.8, to that plus its upper end.
    """
    if split not in SPLITS:
        raise ValueError(f"split must be one of {', '.join(SPLITS)}, got {split!r}")
    seeds = load_seeds()
    candidates = np.flatnonzero((seeds.split == split) & seeds.usable)
    weight = np.exp(_SELECTION_SLOPE * seeds.rest_colour[candidates])
    rows = rng.choice(candidates, size=n, p=weight / weight.sum())
    modulus = _distance_modulus(seeds.redshift[rows])
    shift = rng.uniform(*distance_shift, size=n)
    furthest = _distance_modulus(MAX_REDSHIFT) - modulus
    beyond = shift >= furthest
    shift[beyond] = rng.uniform(min(distance_shift[0], 0), np.clip(furthest[beyond], None, distance_shift[1]))
    grid, moduli = _distance_table()
    redshift = np.interp(modulus + shift, moduli, grid)

    flux = seeds.moved(rows, redshift) * 10 ** (0.4 * INTRINSIC_SCATTER * rng.standard_normal((n, 5)))
    return Population(
        seed_index=rows,
        ra=seeds.ra[rows],
        dec=seeds.dec[rows],
        ebv=seeds.ebv[rows],
        redshift=redshift,
        flux=flux,
        absolute_magnitude=ZERO_POINT - 2.5 * np.log10(seeds.rest[rows, 2]),
        rest_colour=seeds.rest_colour[rows],
    )
