# Licensed under a 3-clause BSD style license - see LICENSE
"""
Simulated galaxies, start to end: a `Simulation` makes them in blocks, and `~astro_photz.simulate.galaxies` joins them
in memory.

A block has 256 galaxies, and a random generator of its own that the seed and the block's number make. So a galaxy
depends on the seed and its own number alone, not on how many are made, in what batches or by how many processes.
"""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np
import torch
from astropy import units as u
from astropy.coordinates import SkyCoord
from astropy.table import vstack

from astro_photz.cutouts import Cutouts
from astro_photz.sdss import ZERO_POINT
from astro_photz.utils._checks import check_count
from astro_photz.utils._settings import check_one_of
from astro_photz.utils._types import PathLike

from .camera.blank_sky import check_patches, draw_patches
from .camera.catalogue import measure
from .camera.conditions import draw_conditions
from .camera.noise import FILTER_MARGIN, add_light, add_noise
from .population.draw import draw_population
from .population.progenitors import SPLITS
from .render.components import Components
from .render.fourier import render
from .scene.neighbours import FAINTEST_SINGLE, draw_neighbours
from .scene.targets import draw_targets
from .settings import Settings
from .truth import count_neighbours

if TYPE_CHECKING:
    from astropy.table import Table

__all__ = ["BLOCK", "Simulation", "concatenated", "galaxies"]

BLOCK = 256
"""Galaxies in a block."""

_SIZES = 64, 107


def galaxies(
    n: int,
    *,
    seed: int,
    split: str = "train",
    size: int = 64,
    config: Settings | dict | PathLike | None = None,
    device: str = "cpu",
) -> tuple[Cutouts, Table]:
    """
    Simulate galaxies as SDSS would have seen them, each in a stamp of its own.

    Parameters
    ----------
    n : int
        How many.
    seed : int
        The same seed gives the same galaxies; more of them begin with the same ones.
    split : {'train', 'validation', 'test'}, optional
        Which of the real galaxies are their progenitors.
    size : int, optional
        Side of a stamp (pixels), 64 to 107.
    config : `Settings`, dict, str or path-like, optional
        Settings that differ from the defaults: sections of them, or a TOML file.
    device : str, optional
        Where images are drawn, as torch calls it: 'cpu', 'cuda'. Another one, or another kind of processor, gives the
        same galaxies to its arithmetic's precision, not to the bit.

    Returns
    -------
    cutouts : `~astro_photz.Cutouts` (n,)
        Flux in nanomaggies, with the extinction of our Galaxy.
    truth : `~astropy.table.QTable` (n,)
        Redshift; total flux (n, 5), free of extinction; type, bulge fraction, half-light radius, inclination (NaN for
        early types) and Sersic index (NaN for bulges with discs, as all are by default); number and flux (n, 5), as
        observed, of the neighbours in the stamp; the progenitor's row in its table (``seed_index``); total flux
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
    simulation = Simulation(seed=seed, split=split, size=size, settings=Settings.of(config), device=device)
    cutouts, truth = zip(*(simulation.block(number, n) for number in range(-(-n // BLOCK))), strict=True)
    return concatenated(cutouts), vstack(truth)


@dataclass(frozen=True)
class Simulation:
    """
    Seed, split, size and settings that decide which galaxies are simulated and how they look.

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
        check_one_of("split", self.split, SPLITS)
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
        Draw images of given galaxies: as drawn, changed since, or those of a catalogue.

        A generator in the same state gives the same places, neighbours, sky and noise, whatever the galaxies' E(B-V) or
        flux; to compare shapes as well, give them all.

        Parameters
        ----------
        population : `~astro_photz.simulate.population.draw.Population` (N,)
        rng : `~numpy.random.Generator`
        shape : `~astro_photz.simulate.population.shapes.Shapes` (N,), optional
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
        >>> from astro_photz.simulate.simulation import Simulation
        >>> from astro_photz.simulate.population.draw import draw_population
        >>> from astro_photz.simulate.population.sample import Sample
        >>> simulation = Simulation(seed=0)
        >>> clear = draw_population(4, np.random.default_rng(0), sample=Sample(faintest=16.0))
        >>> dusty = replace(clear, ebv=clear.ebv + 0.3)
        >>> pair = [simulation.observe(one, np.random.default_rng(1))[0] for one in (clear, dusty)]
        >>> light = [cutouts.flux[:, 1, 28:36, 28:36].sum(axis=(1, 2)) for cutouts in pair]
        >>> bool((light[1] < light[0]).all())
        True
        """
        n = len(population)
        if shape is not None and len(shape) != n:
            raise ValueError(f"shape must have one for each of the {n} galaxies, got {len(shape)}")
        target_xy = (self.size - 1) / 2 + rng.uniform(-0.5, 0.5, size=(n, 2))
        targets, truth = draw_targets(population, rng, target_xy, shape=shape, **self.settings.shapes)
        neighbours = self._draw_neighbours(population.ebv, rng)
        if self._on_patches:  # real sky has its own faint ones
            neighbours = neighbours[neighbours.flux[:, 2] > 10 ** (0.4 * (ZERO_POINT - FAINTEST_SINGLE))]
        truth["neighbours"], truth["neighbour_flux"] = count_neighbours(neighbours, self.size, n)
        conditions = draw_conditions(n, rng, **self.settings.sky)
        cutouts = Cutouts(
            self._observe(Components.concatenate([targets, neighbours]), conditions, rng),
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

    def _draw_neighbours(self, ebv, rng):
        settings = self.settings
        return draw_neighbours(
            ebv, rng, size=self.size, split=self.split, shapes=settings.shapes, **settings.neighbours
        )

    def _observe(self, components, conditions, rng):
        components.x, components.y = components.x + FILTER_MARGIN, components.y + FILTER_MARGIN
        with _one_thread():
            ideal = render(
                components,
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
    """Compute on one thread: the bits of a sum depend on how many share it, and must not differ between machines."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def concatenated(parts):
    """
    Join simulated stamps.

    Parameters
    ----------
    parts : sequence of `~astro_photz.Cutouts`
        With positions.

    Returns
    -------
    `~astro_photz.Cutouts`
    """
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
