# Licensed under a 3-clause BSD style license - see LICENSE
"""
The sky on which sources of cutouts are tested, and the checks that each of them must pass.

Three consecutive fields of a run, and two fields of neighbouring strips with a galaxy whose stamp crosses the edge.
Sources are asked for the galaxies in an order of no meaning, with rows among them that no source can serve.
"""

import functools
from collections import Counter

import numpy as np
from astropy.table import Table

from astro_photz.cutouts import Cutouts
from astro_photz.cutouts.sources.protocol import CutoutSource
from astro_photz.sdss import FieldID
from astro_photz.testing.loopback import LoopbackArchive
from astro_photz.testing.synthetic_frames import OVERLAP, SHAPE, Geometry, make_edge, make_run, make_sky, write_field

__all__ = ["archive_of_scene", "catalogue", "gather", "scene", "write_scene"]

FIELD = FieldID(4207, 301, 3, 110)
GEOMETRY = Geometry(ra=150.1, dec=2.2)


@functools.cache
def scene():
    """Fields and galaxies; the last galaxy is the one at the edge."""
    step = SHAPE[0] - OVERLAP
    galaxies = [galaxy for k in range(3) for galaxy in make_sky(GEOMETRY.window(0, step * k, SHAPE), 3, seed=k)]
    edge = make_edge(noise=True, near_id=FIELD._replace(field=350))
    return [*make_run(FIELD, GEOMETRY, galaxies, n_fields=3), edge.near, edge.far], [*galaxies, edge.target]


def catalogue(*, seed=5):
    """A user's table: all galaxies in any order, one of them twice, a row without a position, one off the footprint."""
    _, galaxies = scene()
    rows = [(galaxy.ra, galaxy.dec, galaxy.ebv) for galaxy in (*galaxies, galaxies[2])]
    rows += [(np.nan, 2.0, 0.05), (230.0, -50.0, 0.05)]
    order = np.random.default_rng(seed).permutation(len(rows))
    return Table(rows=[rows[i] for i in order], names=("ra", "dec", "ebv"))


def archive_of_scene(*, n_fields=None, **options):
    """The scene, or its first ``n_fields`` fields, in a `~astro_photz.testing.loopback.LoopbackArchive`."""
    fields, galaxies = scene()
    return LoopbackArchive.of(fields[:n_fields], galaxies, **options)


def write_scene(directory, **options):
    """The scene's frames below a directory, which is returned; options are those of `write_field`."""
    for field in scene()[0]:
        write_field(directory, field, **options)
    return directory


def gather(source, positions, *, size=64):
    """
    All stamps of a source in the order of the positions, checked against the protocol on the way.

    Parameters
    ----------
    source : `~astro_photz.cutouts.sources.protocol.CutoutSource`
    positions : `~astro_photz.positions.Positions` (N,)
    size : int, optional

    Returns
    -------
    cutouts : `~astro_photz.Cutouts` (N,)
    reasons : `~numpy.ndarray` (N,)
    """
    assert isinstance(source, CutoutSource)
    assert isinstance(source.name, str)
    assert source.name
    cutouts = Cutouts.blank(len(positions), size=size, coord=positions.coord)
    reasons = np.zeros(len(positions), dtype=int)
    served = Counter()
    for batch in source.batches(positions, size=size):
        m = len(batch.rows)
        assert 0 < m <= 256
        assert batch.rows.dtype.kind == "i"
        assert batch.reasons.shape == (m,)
        assert batch.reasons.dtype.kind == "i"
        assert batch.cutouts.flux.shape == (m, 5, size, size)
        assert batch.cutouts.flux.dtype == np.float32
        assert batch.cutouts.ebv.shape == (m,)
        assert batch.cutouts.ebv.dtype == np.float32
        assert not np.isinf(batch.cutouts.flux).any()
        served.update(batch.rows.tolist())
        cutouts[batch.rows] = batch.cutouts
        reasons[batch.rows] = batch.reasons
    cutouts.flags[:] = reasons
    assert served == Counter(range(len(positions)))  # every row, and every row once
    return cutouts, reasons
