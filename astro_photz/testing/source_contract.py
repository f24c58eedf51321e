# Licensed under a 3-clause BSD style license - see LICENSE
"""
A sky on which sources of cutouts are tested, and the checks that every source must pass.

The sky has three consecutive fields of a run, and two fields of neighbouring strips with a galaxy whose stamp crosses
the edge. `catalogue` lists the galaxies in random order, with rows that no source can serve. `check_source`
collects the cutouts of a source and checks that it keeps the contract. A test of a source of your own is::

    def test_my_source():
        positions = read_positions(catalogue())
        cutouts = check_source(MySource(...), positions)
        assert set(cutouts.flags[~positions.valid]) == {PhotozFlag.NO_POSITION}
"""

from __future__ import annotations

import functools
from collections import Counter
from typing import Any

import numpy as np
from astropy.table import Table

from astro_photz.cutouts import Cutouts
from astro_photz.cutouts.sources.protocol import CutoutSource
from astro_photz.flags import MISSING
from astro_photz.positions import Positions
from astro_photz.sdss import FieldID
from astro_photz.utils._types import PathLike

from .loopback import LoopbackArchive
from .synthetic_frames import OVERLAP, Field, make_edge, make_run, write_field
from .synthetic_sky import SHAPE, Galaxy, Geometry, make_sky

__all__ = ["archive_of_scene", "catalogue", "check_source", "scene", "write_scene"]

FIELD = FieldID(4207, 301, 3, 110)
GEOMETRY = Geometry(ra=150.1, dec=2.2)


@functools.cache
def scene() -> tuple[list[Field], list[Galaxy]]:
    """
    Make the fields and galaxies; the last galaxy is the one at the edge.

    Examples
    --------
    >>> from astro_photz import testing
    >>> fields, galaxies = testing.scene()
    >>> len(fields), len(galaxies)
    (5, 10)
    """
    step = SHAPE[0] - OVERLAP
    galaxies = [galaxy for k in range(3) for galaxy in make_sky(GEOMETRY.window(0, step * k, SHAPE), 3, seed=k)]
    edge = make_edge(noise=True, near_id=FIELD._replace(field=350))
    return [*make_run(FIELD, GEOMETRY, galaxies, n_fields=3), edge.near, edge.far], [*galaxies, edge.target]


def catalogue(*, seed: int = 5) -> Table:
    """
    Make a table: all galaxies in random order, one twice, a row without a position, one off the footprint.

    Examples
    --------
    >>> from astro_photz import testing
    >>> table = testing.catalogue()
    >>> len(table), table.colnames
    (13, ['ra', 'dec', 'ebv'])
    """
    _, galaxies = scene()
    rows = [(galaxy.ra, galaxy.dec, galaxy.ebv) for galaxy in (*galaxies, galaxies[2])]
    rows += [(np.nan, 2.0, 0.05), (230.0, -50.0, 0.05)]
    order = np.random.default_rng(seed).permutation(len(rows))
    return Table(rows=[rows[i] for i in order], names=("ra", "dec", "ebv"))


def archive_of_scene(*, n_fields: int | None = None, **options: Any) -> LoopbackArchive:
    """
    Serve the scene, or its first ``n_fields`` fields, by a `~astro_photz.testing.loopback.LoopbackArchive`.

    Examples
    --------
    >>> from astro_photz import testing
    >>> archive = testing.archive_of_scene(n_fields=1)
    >>> len(archive.frames)
    5
    """
    fields, galaxies = scene()
    return LoopbackArchive.of(fields[:n_fields], galaxies, **options)


def write_scene(directory: PathLike, **options: Any) -> PathLike:
    """
    Write the scene's frames below a directory and return it; options are those of `write_field`.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> from astro_photz import testing
    >>> folder = testing.write_scene(pathlib.Path(tempfile.mkdtemp()))
    >>> len(list(folder.glob("frame-r-*.fits.bz2")))
    5
    """
    for field in scene()[0]:
        write_field(directory, field, **options)
    return directory


def check_source(source: CutoutSource, positions: Positions, *, size: int = 64) -> Cutouts:
    """
    Collect all cutouts of a source in the order of the positions, and check that it keeps to the protocol.

    Parameters
    ----------
    source : `~astro_photz.cutouts.sources.protocol.CutoutSource`
    positions : `~astro_photz.positions.Positions` (N,)
    size : int, optional

    Returns
    -------
    `~astro_photz.Cutouts` (N,)
        With the flags of the source.

    Raises
    ------
    AssertionError
        If a batch is empty, larger than 256 or of the wrong shapes or types, a row does not come once, or a galaxy
        without an image has no flag.

    Examples
    --------
    >>> import astro_photz
    >>> from astro_photz import testing
    >>> from astro_photz.positions import read_positions
    >>> source = astro_photz.CutoutFile(astro_photz.demo_path())
    >>> testing.check_source(source, read_positions(source.catalog()))
    <Cutouts of 24 galaxies, 5 x 64 x 64 pixels>
    """
    assert isinstance(source, CutoutSource)
    assert isinstance(source.name, str)
    assert source.name
    cutouts = Cutouts.blank(len(positions), size=size, coord=positions.coord)
    served: Counter[int] = Counter()
    for batch in source.batches(positions, size=size):
        m = len(batch.rows)
        assert 0 < m <= 256
        assert batch.rows.dtype.kind == "i"
        assert batch.cutouts.flags.shape == (m,)
        assert batch.cutouts.flags.dtype.kind == "i"
        assert batch.cutouts.flux.shape == (m, 5, size, size)
        assert batch.cutouts.flux.dtype == np.float32
        assert batch.cutouts.ebv.shape == (m,)
        assert batch.cutouts.ebv.dtype == np.float32
        assert not np.isinf(batch.cutouts.flux).any()
        served.update(batch.rows.tolist())
        cutouts[batch.rows] = batch.cutouts
    assert served == Counter(range(len(positions)))
    without_image = np.isnan(cutouts.flux).all(axis=(1, 2, 3))
    assert (cutouts.flags[without_image] & MISSING).all()
    return cutouts
