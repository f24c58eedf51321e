# Licensed under a 3-clause BSD style license - see LICENSE
"""
Simulated galaxies, start to end: a `Recipe` makes them in blocks, `galaxies` puts the blocks into memory.

A block has 256 galaxies, and a random generator of its own that the seed and the block's number make. So a galaxy
depends on the seed and its own number alone, not on how many are made, in what batches or by how many processes.
"""

from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from operator import index

import numpy as np
from astropy import units as u
from astropy.coordinates import SkyCoord
from astropy.table import QTable, vstack

from astro_photz.cutouts import Cutouts
from astro_photz.sdss import R_UGRIZ, ZERO_POINT

from ._torch import torch
from .camera.blank_sky import check_patches, draw_patches
from .camera.catalogue import measure
from .camera.conditions import FILTER_MARGIN, add_light, add_noise, draw_conditions
from .population.draw import draw_population
from .population.morphology import disc_inclination, draw_morphology
from .population.progenitors import SPLITS
from .render.components import PROFILES, Sources
from .render.fourier import render
from .scene.neighbours import FAINTEST_SINGLE, draw_neighbours
from .settings import Settings

__all__ = ["BLOCK", "Recipe", "check_count", "draw_targets", "galaxies", "truth_columns"]

BLOCK = 256
"""Galaxies in a block."""

_SIZES = 64, 107


def galaxies(n, *, seed, split="train", size=64, config=None, device="cpu"):
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
    config : `Settings`, dict, str or path-like, optional
        What is simulated, where it is not the default: sections with settings, or a TOML file of them.
    device : str, optional
        Where images are drawn, as torch calls it: 'cpu', 'cuda'. Another one, or another kind of processor, gives the
        same galaxies to its arithmetic's precision, not to the bit.

    Returns
    -------
    cutouts : `~astro_photz.Cutouts` (n,)
        Flux in nanomaggies, with the extinction of our Galaxy.
    truth : `~astropy.table.QTable` (n,)
        Redshift; total flux (n, 5), free of extinction; type, bulge fraction, half-light radius and inclination (NaN
        for early types); number and flux (n, 5), as observed, of the neighbours in the stamp; the seed; total flux
        (n, 5), as observed, and radius as a catalogue would give them.

    Raises
    ------
    ValueError, TypeError
        If a parameter or a setting is out of its range.
    ImportError
        Without the extra ``[simulate]``.

    Examples
    --------
    >>> from astro_photz import simulate
    >>> cutouts, truth = simulate.galaxies(4, seed=1, config={"sample": {"faintest": 16.5}})
    >>> cutouts
    <Cutouts of 4 galaxies, 5 x 64 x 64 pixels>
    >>> bool((truth["flux"][:, 2].to_value("nmgy") > 10 ** (0.4 * (22.5 - 16.5))).all())
    True
    """
    n = check_count("n", n)
    recipe = Recipe(seed=seed, split=split, size=size, settings=Settings.of(config), device=device)
    cutouts, truth = zip(*(recipe.block(number, n) for number in range(-(-n // BLOCK))), strict=True)
    return _concatenate(cutouts), vstack(truth)


def check_count(name, value, *, least=1):
    """
    A number of things, if it is one.

    Parameters
    ----------
    name : str
        Of the parameter.
    value : int
    least : int, optional

    Returns
    -------
    int

    Raises
    ------
    TypeError
        If it is no whole number.
    ValueError
        If it is less than ``least``.
    """
    if isinstance(value, bool) or not hasattr(value, "__index__"):
        raise TypeError(f"{name} must be a whole number, got {value!r}")
    if value < least:
        raise ValueError(f"{name} must be at least {least}, got {value}")
    return index(value)


@dataclass(frozen=True)
class Recipe:
    """
    All that decides what galaxies are simulated and how they look.

    Parameters
    ----------
    seed : int
    split : {'train', 'validation', 'test'}, optional
    size : int, optional
        Side of a stamp (pixels), 64 to 107.
    settings : `Settings`, optional
    device : str, optional
        Where images are drawn.

    Raises
    ------
    ValueError, TypeError
        If a parameter is out of its range.
    """

    seed: int
    split: str = "train"
    size: int = 64
    settings: Settings = field(default_factory=Settings)
    device: str = "cpu"

    def __post_init__(self):
        check_count("seed", self.seed, least=0)
        if self.split not in SPLITS:
            raise ValueError(f"split must be one of {', '.join(SPLITS)}, got {self.split!r}")
        if not _SIZES[0] <= check_count("size", self.size) <= _SIZES[1]:
            raise ValueError(f"size must lie between {_SIZES[0]} and {_SIZES[1]} pixels, got {self.size}")
        _check_device(self.device)
        if self._on_patches:
            check_patches(self.settings.background["patches"], size=self.size)

    @property
    def _on_patches(self):
        return bool(self.settings.background["patches"])

    def block(self, number, n):
        """
        Simulate a block of galaxies: 256 of them, less in the last.

        Parameters
        ----------
        number : int
            Of the block, from 0.
        n : int
            How many galaxies there are in all blocks.

        Returns
        -------
        cutouts : `~astro_photz.Cutouts` (M,)
        truth : `~astropy.table.QTable` (M,)
        """
        rng = np.random.default_rng([self.seed, number])
        population = draw_population(BLOCK, rng, split=self.split, sample=self.settings.sample)
        cutouts, truth = self.observe(population, rng)
        cutouts.ids = number * BLOCK + np.arange(BLOCK)
        wanted = slice(min(BLOCK, n - number * BLOCK))
        return cutouts[wanted], truth[wanted]

    def observe(self, population, rng, *, shape=None):
        """
        Images of given galaxies, whichever they are: as drawn, changed since, or those of a catalogue.

        A generator in the same state gives the same places, neighbours, sky and noise, whatever the galaxies' E(B-V) or
        flux; to compare shapes as well, give them all.

        Parameters
        ----------
        population : `~astro_photz.simulate.population.draw.Population` (N,)
        rng : `~numpy.random.Generator`
        shape : `~astro_photz.simulate.population.morphology.Morphology` (N,), optional
            Of these galaxies, with their fluxes; drawn if it is not given.

        Returns
        -------
        cutouts : `~astro_photz.Cutouts` (N,)
        truth : `~astropy.table.QTable` (N,)

        Raises
        ------
        ValueError
            If there are not as many shapes as galaxies.

        Examples
        --------
        The same galaxies behind more dust:

        >>> from dataclasses import replace
        >>> import numpy as np
        >>> from astro_photz.simulate.simulation import Recipe
        >>> from astro_photz.simulate.population.draw import draw_population
        >>> from astro_photz.simulate.population.sample import Sample
        >>> recipe = Recipe(seed=0)
        >>> clear = draw_population(4, np.random.default_rng(0), sample=Sample(faintest=16.0))
        >>> dusty = replace(clear, ebv=clear.ebv + 0.3)
        >>> pair = [recipe.observe(one, np.random.default_rng(1))[0] for one in (clear, dusty)]
        >>> light = [cutouts.flux[:, 1, 28:36, 28:36].sum(axis=(1, 2)) for cutouts in pair]
        >>> bool((light[1] < light[0]).all())
        True
        """
        n = len(population)
        if shape is not None and len(shape) != n:
            raise ValueError(f"shape must have one for each of the {n} galaxies, got {len(shape)}")
        target_xy = (self.size - 1) / 2 + rng.uniform(-0.5, 0.5, size=(n, 2))
        targets, truth = draw_targets(population, rng, target_xy, shape=shape)
        neighbours = draw_neighbours(population.ebv, rng, size=self.size, split=self.split, **self.settings.neighbours)
        if self._on_patches:  # real sky has its own faint ones
            neighbours = neighbours[neighbours.flux[:, 2] > 10 ** (0.4 * (ZERO_POINT - FAINTEST_SINGLE))]
        truth["neighbours"], truth["neighbour_flux"] = _count(neighbours, self.size, n)
        conditions = draw_conditions(n, rng, **self.settings.sky)
        cutouts = Cutouts(
            self._observe(Sources.concatenate([targets, neighbours]), conditions, rng),
            ebv=population.ebv,
            coord=SkyCoord(population.ra, population.dec, unit=u.deg),
            target_xy=target_xy,
            psf_fwhm=conditions.psf_fwhm,
            simulated=True,
        )
        radius = truth["half_light_radius"].to_value("arcsec")
        flux, radius = measure(population.flux, population.ebv, radius, conditions, rng)
        truth["catalog_flux"], truth["catalog_radius"] = flux * u.nmgy, radius * u.arcsec
        return cutouts, truth

    def _observe(self, sources, conditions, rng):
        sources.x, sources.y = sources.x + FILTER_MARGIN, sources.y + FILTER_MARGIN
        with _one_thread():
            ideal = render(
                sources,
                conditions.transfer,
                size=self.size + 2 * FILTER_MARGIN,
                shift=conditions.shift,
                device=self.device,
            )
            return self._add_sky(ideal, conditions, rng).cpu().numpy()

    def _add_sky(self, ideal, conditions, rng):
        if not self._on_patches:
            return add_noise(ideal, conditions, rng)
        flux, camera = draw_patches(len(ideal), rng, size=self.size, **self.settings.background)
        return add_light(torch.as_tensor(flux, device=self.device), ideal, replace(conditions, **camera), rng)


def _check_device(device):
    try:
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError) as error:  # torch's ways to say that there is none
        reason = str(error).strip().splitlines()[0]
        raise ValueError(f"device must be one that torch has here, like 'cpu', got {device!r}: {reason}") from error


@contextmanager
def _one_thread():
    """The bits of a sum depend on how many threads share it: they shall not differ between machines."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


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
        "catalog_flux": np.asarray(truth["catalog_flux"].value, dtype=np.float32),
        "catalog_radius": np.asarray(truth["catalog_radius"].value, dtype=np.float32),
        "early": np.asarray(truth["early"]),
        "bulge_fraction": np.asarray(truth["bulge_fraction"], dtype=np.float32),
        "half_light_radius": np.asarray(truth["half_light_radius"].value, dtype=np.float32),
        "inclination": np.asarray(truth["inclination"].value, dtype=np.float32),
        "neighbours": np.asarray(truth["neighbours"], dtype=np.int32),
        "neighbour_flux": np.asarray(truth["neighbour_flux"].value, dtype=np.float32),
        "seed_index": np.asarray(truth["seed_index"], dtype=np.int32),
    }


def draw_targets(population, rng, xy, *, shape=None):
    """
    Give galaxies shapes and places.

    Parameters
    ----------
    population : `~astro_photz.simulate.population.draw.Population` (N,)
    rng : `~numpy.random.Generator`
    xy : `~numpy.ndarray` (N, 2)
        Column and row of each (pixels).
    shape : `~astro_photz.simulate.population.morphology.Morphology` (N,), optional
        Drawn if it is not given.

    Returns
    -------
    sources : `~astro_photz.simulate.render.components.Sources`
        Bulges, discs and clumps, dimmed and reddened by our Galaxy; the scene is the galaxy's number.
    truth : `~astropy.table.QTable` (N,)
        What they are.
    """
    shape = draw_morphology(population, rng) if shape is None else shape
    return _targets(population, shape, xy), _truth(population, shape)


def _targets(population, shape, xy):
    extinction = 10 ** (-0.4 * R_UGRIZ * population.ebv[:, None])
    n, clumps = len(population), shape.clumps
    x, y = (xy[:, None] + shape.component_offset).reshape(-1, 2).T
    smooth = Sources(
        scene=np.repeat(np.arange(n), 2),
        profile=shape.component_profile.ravel(),
        x=x,
        y=y,
        flux=(shape.component_flux * extinction[:, None]).reshape(-1, 5),
        radius=shape.component_radius.ravel(),
        axis_ratio=shape.axis_ratio.ravel(),
        angle=shape.angle.ravel(),
    )
    x, y = (xy[clumps.galaxy] + clumps.offset).T
    knots = Sources(
        scene=clumps.galaxy,
        profile=np.full(len(x), PROFILES.index("gaussian")),
        x=x,
        y=y,
        flux=clumps.flux * extinction[clumps.galaxy],
        radius=clumps.radius,
        axis_ratio=np.ones(len(x)),
        angle=np.zeros(len(x)),
    )
    return Sources.concatenate([smooth, knots])


def _truth(population, shape):
    return QTable(
        {
            "redshift": population.redshift,
            "flux": population.flux * u.nmgy,
            "early": shape.early,
            "bulge_fraction": shape.bulge_fraction,
            "half_light_radius": shape.radius * u.arcsec,
            "inclination": np.where(shape.early, np.nan, disc_inclination(shape.axis_ratio[:, 1])) * u.deg,
            "seed_index": population.seed_index,
        }
    )


def _count(neighbours, size, n):
    """Number and flux (n, 5) of the neighbours whose centres lie in the stamp."""
    place = np.stack([neighbours.x, neighbours.y]) - (size - 1) / 2
    inside = neighbours[(np.abs(place) < size / 2).all(axis=0)]
    flux = np.zeros((n, 5))
    np.add.at(flux, inside.scene, inside.flux)
    return np.bincount(inside.scene, minlength=n), flux * u.nmgy


def _concatenate(parts):
    """Several `Cutouts` as one."""
    places = [(part.coord.ra.deg, part.coord.dec.deg) for part in parts]
    return Cutouts(
        np.concatenate([part.flux for part in parts]),
        ebv=np.concatenate([part.ebv for part in parts]),
        # not of the coordinates themselves: astropy would wrap the angles of an array that is not filled yet
        coord=SkyCoord(*(np.concatenate(angles) for angles in zip(*places, strict=True)), unit=u.deg),
        ids=np.concatenate([part.ids for part in parts]),
        target_xy=np.concatenate([part.target_xy for part in parts]),
        psf_fwhm=np.concatenate([part.psf_fwhm for part in parts]),
        simulated=True,
    )
