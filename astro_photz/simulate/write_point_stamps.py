# Licensed under a 3-clause BSD style license - see LICENSE
"""
Simulated stars and quasars into a file, with faint and distant galaxies beside them: what a model learns to tell from
its galaxies.

`~astro_photz.train.export_run` takes such a file. Faint galaxies are beyond the magnitudes of the model's training: a
network that was never shown any takes many of them for points, unless it is told. Distant ones are beyond its
redshifts, and it takes them for nearer ones.
"""

from __future__ import annotations

import json
from dataclasses import replace
from itertools import chain
from typing import TYPE_CHECKING

import numpy as np

from astro_photz import __version__
from astro_photz.cutouts.hdf5.writer import CutoutWriter
from astro_photz.reference.making import DISTANT
from astro_photz.utils._checks import check_count
from astro_photz.utils._progress import progress_bar
from astro_photz.utils._types import PathLike

from .points import KINDS, R_LIMITS, point_block
from .population.draw import draw_population
from .population.progenitors import SPLIT_SEED
from .population.sample import FURTHEST, Sample
from .settings import Settings
from .simulation import BLOCK, Simulation

if TYPE_CHECKING:
    from collections.abc import Iterator

    from astro_photz.cutouts import Cutouts

__all__ = ["DEEPER", "SHARES", "distant_blocks", "faint_blocks", "point_blocks", "write_points"]

SHARES = {"star": 5 / 13, "quasar": 3 / 13, "unresolved": 3 / 13, "double": 2 / 13}
"""Shares of the kinds of points."""

DEEPER = 1.5
"""Range of the faint galaxies in *r*, below the faintest of the sample (mag)."""

_R_MAG = 15.5, 19.5  # of points
_CLEAR = 0.02  # in redshift, of distant galaxies from the sample's end
_REACH = 0.4  # in redshift, of distant galaxies
_FEW = 16  # that are drawn to see whether there are any
_VISIBLE = 20.5  # r of the faintest distant galaxies that colours are taken from
_BRIGHTENED = -2.3, 0.4  # range of their r about the faintest of the sample: to where a model is asked most


def write_points(
    path: PathLike,
    n: int = 13_000,
    *,
    n_faint: int = 5_000,
    n_distant: int = 6_000,
    seed: int,
    split: str = "train",
    config: Settings | dict | PathLike | None = None,
    overwrite: bool = False,
    progress: bool | None = None,
) -> None:
    """
    Simulate stars and quasars, and faint and distant galaxies beside them, into an HDF5 file.

    The file is written aside, and takes its name when it is whole. `~astro_photz.train.export_run` takes it as
    ``point_sources``.

    Parameters
    ----------
    path : str or path-like
        Its layout is that of other cutouts. The data set ``point`` is 1 for points and 0 for galaxies; ``kind`` names
        their kinds, as `point_sources` does, or is ``galaxy`` for faint ones and ``distant``.
    n : int, optional
        Number of points, of all kinds: five in thirteen are stars, three quasars, three points with the colours of
        galaxies, and two pairs of stars. Their *r* magnitudes are from 15.5 to 19.5, or to the faintest of the sample,
        if that is fainter.
    n_faint : int, optional
        Number of faint galaxies. They are up to 1.5 mag fainter in *r* than the faintest of the sample.
    n_distant : int, optional
        Number of distant galaxies: beyond the sample in redshift by 0.02 to 0.42, at most to 1. Nature has few that are
        as bright as the sample, so they have the colours of fainter ones. None or 100 at least are learnt from.
    seed, split
        As in `galaxies`.
    config : `Settings`, dict, str or path-like, optional
        Settings with which the galaxies of the training were simulated; or which describe real ones.
    overwrite : bool, optional
        Replace a file that is there.
    progress : bool, optional
        Whether to draw a progress bar, on a terminal or in a notebook; by default for more than 100 stamps.

    Raises
    ------
    FileExistsError
        If there is such a file and ``overwrite`` is not set.
    OSError
        If the file cannot be written.
    ValueError, TypeError
        If a parameter or a setting is out of its range.

    Examples
    --------
    >>> import tempfile, pathlib
    >>> from astro_photz import Cutouts, simulate
    >>> path = pathlib.Path(tempfile.mkdtemp()) / "points.h5"
    >>> simulate.write_points(path, 3, n_faint=1, n_distant=1, seed=1)
    >>> Cutouts.read(path)
    <Cutouts of 5 galaxies, 5 x 64 x 64 pixels>
    """
    simulation = Simulation(seed=seed, split=split, settings=Settings.of(config))
    galaxies = check_count("n_faint", n_faint, least=0) + check_count("n_distant", n_distant, least=0)
    total = check_count("n", n) + galaxies
    faint = (("galaxy", block) for block in faint_blocks(n_faint, simulation))
    distant = ((DISTANT, block) for block in distant_blocks(n_distant, simulation))
    done = 0
    with (
        CutoutWriter(path, total, overwrite=overwrite, attributes=_notes(simulation)) as writer,
        progress_bar(total, progress, unit="stamps") as advance,
    ):
        for kind, block in chain(faint, distant, point_blocks(n, simulation)):
            block.ids = done + np.arange(len(block))
            point = np.full(len(block), kind in SHARES, dtype=np.int8)
            writer.append(block, point=point, kind=np.full(len(block), kind))
            done += len(block)
            advance(len(block))


def point_blocks(n: int, simulation: Simulation) -> Iterator[tuple[str, Cutouts]]:
    """
    Simulate points of all kinds, each kind by its share.

    Parameters
    ----------
    n : int
        How many.
    simulation : `~astro_photz.simulate.simulation.Simulation`

    Yields
    ------
    kind : str
    cutouts : `~astro_photz.Cutouts` (M,)
        At most 256 of that kind.
    """
    r_mag = _R_MAG[0], min(max(_R_MAG[1], simulation.settings.sample.faintest), R_LIMITS[1])
    ends = np.rint(np.cumsum(list(SHARES.values())) * n).astype(int)
    for kind, number in zip(SHARES, np.diff(ends, prepend=0), strict=True):
        for block in range(-(-number // BLOCK)):
            yield kind, point_block(block, number, kind, r_mag, simulation)[0]


def faint_blocks(n: int, simulation: Simulation) -> Iterator[Cutouts]:
    """
    Simulate galaxies that are fainter than those of a sample, by up to 1.5 mag in *r*.

    Parameters
    ----------
    n : int
        How many.
    simulation : `~astro_photz.simulate.simulation.Simulation`
        Of the sample.

    Returns
    -------
    iterator of `~astro_photz.Cutouts` (M,)
        At most 256 at once.

    Raises
    ------
    ValueError
        If the sample is so deep that there are none.
    """
    settings, deepest = simulation.settings, R_LIMITS[1]
    limit = settings.sample.faintest
    if not n:
        return iter(())
    if limit >= deepest:
        raise ValueError(f"n_faint must be 0 where the sample reaches r = {limit:g}: the limit is {deepest:g}")
    sample = replace(settings.sample, brightest=limit, faintest=min(limit + DEEPER, deepest))
    fainter = replace(simulation, settings=replace(settings, sample=sample))
    return (_faint_block(number, n, fainter) for number in range(-(-n // BLOCK)))


def _faint_block(number, n, simulation):
    """Simulate a block of galaxies, by other random numbers than those of the training."""
    rng = np.random.default_rng([simulation.seed, number, 1 + len(KINDS)])
    population = draw_population(BLOCK, rng, split=simulation.split, sample=simulation.settings.sample)
    return simulation.observe(population, rng)[0][: n - number * BLOCK]


def distant_blocks(n: int, simulation: Simulation) -> Iterator[Cutouts]:
    """
    Simulate galaxies that are beyond a sample in redshift, and as bright as most of it.

    Parameters
    ----------
    n : int
        How many.
    simulation : `~astro_photz.simulate.simulation.Simulation`
        Of the sample.

    Returns
    -------
    iterator of `~astro_photz.Cutouts` (M,)
        At most 256 at once, with colours of template fits and of catalogues in turn.

    Raises
    ------
    ValueError
        If galaxies cannot be simulated at such redshifts.
    """
    if not n:
        return iter(())
    samples = _beyond(simulation)
    return (_distant_block(number, n, samples[number % 2], simulation) for number in range(-(-n // BLOCK)))


def _beyond(simulation):
    """Samples of galaxies beyond that of a simulation, of fitted and of measured colours."""
    sample = simulation.settings.sample
    nearest, end = sample.redshift[1] + _CLEAR, sample.redshift[1]
    try:
        redshift = nearest, min(nearest + _REACH, FURTHEST)
        deep = {"faintest": max(_VISIBLE, sample.faintest), "redshift": redshift, "dusty": sample.dusty}
        samples = [Sample(colours=colours, **deep) for colours in ("fitted", "measured")]
        for one in samples:
            draw_population(_FEW, np.random.default_rng(0), split=simulation.split, sample=one)
    except ValueError as error:
        raise ValueError(
            f"n_distant must be 0 where the sample reaches z = {end:g}: no galaxies beyond can be simulated"
        ) from error
    return samples


def _distant_block(number, n, sample, simulation):
    """Simulate a block of galaxies of another sample, as bright as that of the simulation."""
    rng = np.random.default_rng([simulation.seed, number, 2 + len(KINDS)])
    population = draw_population(BLOCK, rng, split=simulation.split, sample=sample)
    brightest, faintest = (simulation.settings.sample.faintest + shift for shift in _BRIGHTENED)
    brighter = population.at_magnitude(rng.uniform(brightest, faintest, BLOCK))
    return simulation.observe(brighter, rng)[0][: n - number * BLOCK]


def _notes(simulation):
    """Attributes of a file, by which it can be made again."""
    return {
        "seed": simulation.seed,
        "split": simulation.split,
        "split_seed": SPLIT_SEED,
        "settings": json.dumps(simulation.settings.as_dict()),
        "astro_photz_version": __version__,
    }
