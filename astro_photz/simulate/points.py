# Licensed under a 3-clause BSD style license - see LICENSE
"""
Simulated stars and quasars, each in the middle of a stamp: `~astro_photz.simulate.point_sources`.

They are seen as simulated galaxies are: through the same dust, by the same camera, among the same neighbours. A model
is never trained on them; they teach it to tell points from galaxies, and measure how well it does.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from astropy import units as u
from astropy.table import vstack

from astro_photz.cutouts import Cutouts
from astro_photz.sdss import PIXEL_SCALE, ZERO_POINT
from astro_photz.utils._checks import check_count
from astro_photz.utils._settings import check_between, check_one_of
from astro_photz.utils._types import PathLike

from .population.draw import Population, draw_population
from .population.points import draw_quasars, draw_stars
from .population.shapes import Shapes
from .render.components import Components
from .settings import Settings
from .simulation import BLOCK, Simulation, concatenated

if TYPE_CHECKING:
    from astropy.table import Table

__all__ = ["KINDS", "R_LIMITS", "point_block", "point_sources"]

KINDS = "star", "quasar", "double", "unresolved"
"""Stars; quasars; pairs of stars closer than the seeing; points with the colours of galaxies."""

R_LIMITS = 13.0, 22.0
"""Range of the *r* magnitudes that points can have (mag)."""

_WIDEST_DOUBLE = 0.6  # arcsec, half of the usual seeing: wider pairs look like two stars, or like a galaxy
_FAINTEST_COMPANION = 3.0  # mag fainter than the primary, in r


def point_sources(
    n: int,
    *,
    seed: int,
    kind: str = "star",
    split: str = "train",
    r_mag: tuple[float, float] = (15.5, 19.5),
    size: int = 64,
    config: Settings | dict | PathLike | None = None,
) -> tuple[Cutouts, Table]:
    """
    Simulate stars or quasars as SDSS would have seen them, each in a stamp of its own.

    Parameters
    ----------
    n : int
        How many.
    seed : int
        The same seed gives the same ones; more of them begin with the same ones.
    kind : {'star', 'quasar', 'double', 'unresolved'}, optional
        Single stars with the colours of a field's; quasars; unresolved pairs of stars, up to 0.6 arcsec apart; points
        with the colours of galaxies, which real galaxies can hardly be: a classifier that is to look at shapes, not at
        colours, wants them.
    split : {'train', 'validation', 'test'}, optional
        Which of the real quasars, odd stars and galaxies are drawn from.
    r_mag : (float, float), optional
        Range of the *r* magnitude (mag), free of our Galaxy's extinction; all within are equally frequent.
    size : int, optional
        Side of a stamp (pixels), 64 to 107.
    config : `Settings`, dict, str or path-like, optional
        Settings that differ from the defaults: sections of them, or a TOML file. ``[sample]`` decides only about dust
        (``dusty``), and ``[shapes]`` about neighbours.

    Returns
    -------
    cutouts : `~astro_photz.Cutouts` (n,)
        Flux in nanomaggies, with the extinction of our Galaxy.
    truth : `~astropy.table.QTable` (n,)
        Kind; redshift, NaN but for quasars; total flux (n, 5), free of extinction; distance of the companion, 0 without
        one; number and flux (n, 5), as observed, of the neighbours in the stamp.

    Raises
    ------
    ValueError, TypeError
        If a parameter or a setting is out of its range.
    ImportError
        Without the extra ``[simulate]``.

    Examples
    --------
    >>> from astro_photz.simulate import point_sources
    >>> cutouts, truth = point_sources(4, seed=1, kind="quasar")
    >>> cutouts
    <Cutouts of 4 galaxies, 5 x 64 x 64 pixels>
    >>> bool((truth["redshift"] > 0).all())
    True
    """
    n = check_count("n", n)
    check_one_of("kind", kind, KINDS)
    _check_range(r_mag)
    simulation = Simulation(seed=seed, split=split, size=size, settings=Settings.of(config))
    blocks = (point_block(number, n, kind, r_mag, simulation) for number in range(-(-n // BLOCK)))
    cutouts, truth = zip(*blocks, strict=True)
    return concatenated(cutouts), vstack(truth)


def _check_range(r_mag):
    try:
        brightest, faintest = map(float, r_mag)
    except (TypeError, ValueError):
        raise TypeError(f"r_mag must be two magnitudes, the brightest and the faintest, got {r_mag!r}") from None
    for limit in (brightest, faintest):
        check_between("r_mag", limit, *R_LIMITS, unit="mag")
    if brightest > faintest:
        raise ValueError(f"r_mag must be the brightest and the faintest magnitude, got {brightest} and {faintest}")


def point_block(
    number: int, n: int, kind: str, r_mag: tuple[float, float], simulation: Simulation
) -> tuple[Cutouts, Table]:
    """
    Simulate a block of points of one kind: 256 of them, less in the last.

    Parameters
    ----------
    number : int
        Of the block, from 0.
    n : int
        How many points there are in all blocks.
    kind, r_mag
        As in `~astro_photz.simulate.point_sources`.
    simulation : `~astro_photz.simulate.simulation.Simulation`

    Returns
    -------
    cutouts : `~astro_photz.Cutouts` (M,)
    truth : `~astropy.table.QTable` (M,)
    """
    rng = np.random.default_rng([simulation.seed, number, 1 + KINDS.index(kind)])
    galaxies = draw_population(BLOCK, rng, split=simulation.split, sample=simulation.settings.sample)
    r = rng.uniform(*r_mag, BLOCK)
    colours, redshift = _light(kind, r, galaxies, rng, simulation.split)
    flux = _flux(r, colours)
    light, separation = _points(flux), np.zeros(BLOCK)
    if kind == "double":
        light, flux, separation = _paired(flux, r, rng, simulation.split)
    unknown = np.full(BLOCK, np.nan)
    population = Population(
        progenitor=np.full(BLOCK, -1),
        ra=galaxies.ra,
        dec=galaxies.dec,
        ebv=galaxies.ebv,
        redshift=redshift,
        flux=flux,
        absolute_magnitude=unknown,
        rest_colour=unknown,
    )
    shape = Shapes(np.zeros(BLOCK, dtype=bool), unknown, np.zeros(BLOCK), unknown, unknown, light)
    cutouts, truth = simulation.observe(population, rng, shape=shape)
    cutouts.ids = number * BLOCK + np.arange(BLOCK)
    truth = truth["redshift", "flux", "neighbours", "neighbour_flux"]
    truth["kind"], truth["separation"] = np.full(BLOCK, kind), separation * u.arcsec
    wanted = slice(min(BLOCK, n - number * BLOCK))
    return cutouts[wanted], truth[wanted]


def _light(kind, r, galaxies, rng, split):
    """Colours (N, 4) and redshifts (N,) of points of a kind."""
    unknown = np.full(len(r), np.nan)
    if kind == "quasar":
        return draw_quasars(len(r), rng, split=split)
    if kind == "unresolved":
        return -np.diff(-2.5 * np.log10(galaxies.flux), axis=1), unknown
    return draw_stars(r, rng, split=split), unknown


def _flux(r, colours):
    """Flux (N, 5) (nanomaggies) of r magnitudes (N,) and colours (N, 4)."""
    u_g, g_r, r_i, i_z = colours.T
    magnitudes = np.stack([r + g_r + u_g, r + g_r, r, r - r_i, r - r_i - i_z], axis=1)
    return 10 ** (0.4 * (ZERO_POINT - magnitudes))


def _points(flux, x=0.0, y=0.0):
    """Components of single points (N,), at places relative to the middle (pixels)."""
    n = len(flux)
    x, y = np.broadcast_to(x, n).copy(), np.broadcast_to(y, n).copy()
    return Components.round("point", scene=np.arange(n), x=x, y=y, flux=flux, radius=np.zeros(n))


def _paired(flux, r, rng, split):
    """Components of pairs of stars about their centre of light in r, their total flux, and their distance (arcsec)."""
    n = len(flux)
    fainter = rng.uniform(0, _FAINTEST_COMPANION, n)
    companion = _flux(r + fainter, draw_stars(r + fainter, rng, split=split))
    dimmed = (flux[:, 2] / (flux + companion)[:, 2])[:, None]  # so that the pair is of the magnitude wanted
    primary, companion = flux * dimmed, companion * dimmed
    total = primary + companion
    separation, angle = rng.uniform(0, _WIDEST_DOUBLE, n), rng.uniform(0, 2 * np.pi, n)
    x, y = separation / PIXEL_SCALE * np.stack([np.cos(angle), np.sin(angle)])
    share = companion[:, 2] / total[:, 2]
    pair = _points(primary, -share * x, -share * y), _points(companion, (1 - share) * x, (1 - share) * y)
    return Components.concatenate(pair), total, separation
