# Licensed under a 3-clause BSD style license - see LICENSE
"""What a model does not know, simulated or cut from real frames: galaxies beyond its redshifts, and points of light."""

import numpy as np
from astropy.table import Table

from astro_photz import FrameDirectory
from astro_photz.photometry import aperture_flux, r_magnitude
from astro_photz.sdss import BANDS, ZERO_POINT
from astro_photz.simulate.points import point_sources
from astro_photz.simulate.population.draw import catalogue_population, draw_population
from astro_photz.simulate.population.progenitors import load_progenitors
from astro_photz.simulate.population.sample import Sample
from astro_photz.simulate.population.total_light import total_from_model
from benchmarks.common.data import SHARED

from ._doubt_judging import judge
from ._real_point_sources import FRAMES, GALAXIES, real_point_sources
from ._stamps import generator, observed, shapes, simulation_of

__all__ = ["beyond_the_grid", "points", "real_galaxies", "without_psf"]

_BEYOND = 0.42, 0.6
_BRIGHTENED = 17.8, 19.2  # r, mag: within what models are trained on
_DEEP = 20.5  # r of drawn galaxies, mag
_REAL = 19.0  # r of real galaxies, mag


def beyond_the_grid(model, n, seed):
    """
    Galaxies of z 0.42 to 0.6.

    Yields a name, cutouts in blocks, and whether only those are there whose magnitudes the model was trained on.
    """
    simulation = simulation_of(model, seed=seed)
    for name, population, within in _distant(simulation, n):
        seen = [cutouts for _, cutouts in observed(simulation, population, shapes(population, simulation))]
        parts = [without_psf(one[_in_range(model, one)] if within else one) for one in seen]
        yield name, parts, within


def _distant(simulation, n):
    told = f"z of {_BEYOND[0]} to {_BEYOND[1]}"
    catalogue = SHARED / "catalogues" / "boss_dr10_ugriz_specz.fits"
    if catalogue.exists():
        boss = _boss(catalogue, simulation, n)
        yield f"{told}, of BOSS", boss, False
        yield f"{told}, of BOSS, made brighter", _brightened(boss, simulation), True
    for colours in ("fitted", "measured"):
        sample = Sample(faintest=_DEEP, redshift=_BEYOND, colours=colours)
        drawn = draw_population(n, generator(simulation, "population"), split=simulation.split, sample=sample)
        yield f"{told}, {colours} colours", drawn, False
        yield f"{told}, {colours} colours, made brighter", _brightened(drawn, simulation), True


def _boss(catalogue, simulation, n):
    """Galaxies with the magnitudes and redshifts of BOSS's."""
    table, rng = Table.read(catalogue), generator(simulation, "catalogue")
    redshift = np.asarray(table["redshift"], dtype=float)
    magnitude = np.stack([np.asarray(table[band], dtype=float) for band in BANDS], axis=1)
    chosen = (redshift > _BEYOND[0]) & (redshift < _BEYOND[1]) & (np.abs(magnitude - 20) < 8).all(axis=1)
    rows = rng.choice(np.flatnonzero(chosen), n, replace=False)
    total = total_from_model(magnitude[rows], redshift[rows])
    ebv = rng.choice(load_progenitors().ebv, n)
    return catalogue_population(10 ** (0.4 * (ZERO_POINT - total)), redshift[rows], ebv=ebv)


def _brightened(population, simulation):
    """Galaxies of the same colours and redshifts, r being evenly spread over what models are trained on."""
    return population.at_magnitude(generator(simulation, "catalogue", 1).uniform(*_BRIGHTENED, len(population)))


def _in_range(model, cutouts):
    r_mag = r_magnitude(aperture_flux(cutouts.flux[:, BANDS.index("r")]), cutouts.ebv)
    lowest, highest = model.card.training_range["r_mag"]
    return (r_mag >= lowest) & (r_mag <= highest)


def without_psf(cutouts):
    """The same cutouts, of whose point-spread functions nothing is known."""
    other = cutouts[:]
    other.psf_fwhm = np.full_like(cutouts.psf_fwhm, np.nan)
    return other


def points(model, n, seed):
    """Points of light of r 15.5 to 19.5, simulated, and cut from real frames if there are any: a name, and cutouts."""
    settings = simulation_of(model, seed=seed).settings
    for kind, told in (("star", "simulated stars"), ("quasar", "simulated quasars")):
        yield told, point_sources(n, seed=seed, kind=kind, split="test", config=settings)[0]
    if FRAMES.exists():
        cutouts, stars = real_point_sources()
        cutouts.psf_fwhm = np.asarray(stars["psf_fwhm"], dtype=np.float32)
        yield "stars of real frames", cutouts


def real_galaxies(model):
    """Real galaxies to r = 19, a table, and what is said of them, `Judged`."""
    galaxies = Table.read(GALAXIES)
    galaxies = galaxies[np.asarray(galaxies["r_aper"]) < _REAL]
    return galaxies, judge(model, galaxies, source=FrameDirectory(FRAMES, data_release=17))
