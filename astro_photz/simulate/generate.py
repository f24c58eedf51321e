# Licensed under a 3-clause BSD style license - see LICENSE
"""
Simulated galaxies, start to end: `galaxies` into memory, `write` into a file of any length.

Galaxies are made in blocks of 256, each from a random generator of its own that the seed and the block's number make.
So a galaxy depends on the seed and its own number alone, not on how many are made or in what batches.
"""

import numpy as np
from astropy import units as u
from astropy.coordinates import SkyCoord
from astropy.table import QTable, vstack

from astro_photz.cutouts import Cutouts
from astro_photz.cutouts.hdf5 import CutoutWriter
from astro_photz.sdss import R_UGRIZ

from .morphology import draw_morphology
from .neighbours import draw_neighbours
from .population import DISTANCE_SHIFT, SPLIT_SEED, draw_population
from .rendering import PROFILES, Sources, render
from .sky import FILTER_MARGIN, add_noise, draw_conditions

__all__ = ["galaxies", "write"]

BLOCK = 256
_LARGEST = 107


def galaxies(n, *, seed, split="train", size=64, distance_shift=DISTANCE_SHIFT):
    """
    Simulate galaxies as SDSS would have seen them, each in a stamp of its own.

    Parameters
    ----------
    n : int
        How many.
    seed : int
        The same seed gives the same galaxies; more of them begin with the same ones.
    split : {'train', 'validation', 'test'}, optional
        Whose seeds, among the real galaxies, they are drawn from.
    size : int, optional
        Side of a stamp (pixels), 64 to 107.
    distance_shift : (float, float), optional
        How much further than in the sample galaxies are seen (mag in distance modulus).

    Returns
    -------
    cutouts : `~astro_photz.Cutouts` (n,)
        Flux in nanomaggies, with the extinction of our Galaxy.
    truth : `~astropy.table.QTable` (n,)
        Redshift, total flux free of extinction, type, bulge fraction, half-light radius, and the seed.

    Raises
    ------
    ValueError
        If a parameter is out of its range.
    ImportError
        Without the extra ``[simulate]``.
    """
    blocks = list(_blocks(n, seed=seed, split=split, size=size, distance_shift=distance_shift))
    cutouts = _concatenate([cutouts for cutouts, _ in blocks])
    return cutouts, vstack([truth for _, truth in blocks])


def write(path, n, *, seed, split="train", size=64, distance_shift=DISTANCE_SHIFT, overwrite=False, attributes=None):
    """
    Simulate galaxies into an HDF5 file, block by block.

    Parameters
    ----------
    path : str or path-like
    n, seed, split, size, distance_shift
        As in `galaxies`.
    overwrite : bool, optional
        Replace a file that is there.
    attributes : dict, optional
        What else to note in the file, besides that it is simulated, from which seed and split.

    Raises
    ------
    FileExistsError
        If there is such a file and ``overwrite`` is not set.
    """
    noted = {"simulated": True, "seed": seed, "split": split, "split_seed": SPLIT_SEED} | (attributes or {})
    blocks = _blocks(n, seed=seed, split=split, size=size, distance_shift=distance_shift)
    with CutoutWriter(path, n, size=size, overwrite=overwrite, attributes=noted) as writer:
        for cutouts, truth in blocks:
            writer.append(cutouts, **truth_columns(truth))


def truth_columns(truth):
    """
    A truth table as data sets of the HDF5 layout.

    Parameters
    ----------
    truth : `~astropy.table.QTable` (n,)

    Returns
    -------
    dict of `~numpy.ndarray`
    """
    return {
        "specz_redshift": np.asarray(truth["redshift"], dtype=np.float32),
        "true_flux": np.asarray(truth["flux"].value, dtype=np.float32),
        "early": np.asarray(truth["early"]),
        "bulge_fraction": np.asarray(truth["bulge_fraction"], dtype=np.float32),
        "half_light_radius": np.asarray(truth["half_light_radius"].value, dtype=np.float32),
        "seed_index": np.asarray(truth["seed_index"], dtype=np.int32),
    }


def _blocks(n, *, seed, split, size, distance_shift):
    if n < 1:
        raise ValueError(f"n must be at least 1, got {n}")
    if not 64 <= size <= _LARGEST:
        raise ValueError(f"size must lie between 64 and {_LARGEST} pixels, got {size}")
    if not distance_shift[0] < distance_shift[1]:
        raise ValueError(f"distance_shift must be a pair (lowest, highest), got {distance_shift}")
    for first in range(0, n, BLOCK):
        rng = np.random.default_rng([seed, first // BLOCK])
        cutouts, truth = _block(rng, first, split=split, size=size, distance_shift=distance_shift)
        wanted = slice(0, min(BLOCK, n - first))
        yield cutouts[wanted], truth[wanted]


def _block(rng, first, *, split, size, distance_shift):
    population = draw_population(BLOCK, rng, split=split, distance_shift=distance_shift)
    shape = draw_morphology(population, rng)
    conditions = draw_conditions(BLOCK, rng)
    target_xy = (size - 1) / 2 + rng.uniform(-0.5, 0.5, size=(BLOCK, 2))
    sources = Sources.concatenate(
        [
            _targets(population, shape, target_xy),
            draw_neighbours(population.ebv, rng, size=size, split=split),
        ]
    )
    sources.x, sources.y = sources.x + FILTER_MARGIN, sources.y + FILTER_MARGIN
    ideal = render(sources, conditions.transfer, size=size + 2 * FILTER_MARGIN, shift=conditions.shift)
    cutouts = Cutouts(
        add_noise(ideal, conditions, rng).numpy(),
        ebv=population.ebv,
        coord=SkyCoord(population.ra, population.dec, unit=u.deg),
        ids=first + np.arange(BLOCK),
        target_xy=target_xy,
        psf_fwhm=conditions.psf_fwhm,
    )
    return cutouts, _truth(population, shape)


def _targets(population, shape, target_xy):
    """Bulge and disc of the galaxies in the middle, dimmed and reddened by our Galaxy."""
    n = len(population)
    extinction = 10 ** (-0.4 * R_UGRIZ * population.ebv[:, None])
    profile = [PROFILES.index("devaucouleurs"), PROFILES.index("exponential")]
    return Sources(
        scene=np.repeat(np.arange(n), 2),
        profile=np.tile(profile, n),
        x=np.repeat(target_xy[:, 0], 2),
        y=np.repeat(target_xy[:, 1], 2),
        flux=(shape.component_flux * extinction[:, None]).reshape(-1, 5),
        radius=shape.component_radius.ravel(),
        axis_ratio=shape.axis_ratio.ravel(),
        angle=shape.angle.ravel(),
    )


def _truth(population, shape):
    return QTable(
        {
            "redshift": population.redshift,
            "flux": population.flux * u.nmgy,
            "early": shape.early,
            "bulge_fraction": shape.bulge_fraction,
            "half_light_radius": shape.radius * u.arcsec,
            "seed_index": population.seed_index,
        }
    )


def _concatenate(parts):
    """Several `Cutouts` as one."""
    return Cutouts(
        np.concatenate([part.flux for part in parts]),
        ebv=np.concatenate([part.ebv for part in parts]),
        coord=SkyCoord(np.concatenate([part.coord for part in parts])),
        ids=np.concatenate([part.ids for part in parts]),
        target_xy=np.concatenate([part.target_xy for part in parts]),
        psf_fwhm=np.concatenate([part.psf_fwhm for part in parts]),
    )
