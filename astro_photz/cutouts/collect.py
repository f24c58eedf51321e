# Licensed under a 3-clause BSD style license - see LICENSE
"""
All stamps of a table at once, in its order.
"""

import sys
from contextlib import contextmanager

import numpy as np
from astropy.utils.console import ProgressBar

from ..catalog import read_positions
from .container import MINIMUM_SIZE, Cutouts

__all__ = ["collect_batches", "fetch", "progress_bar"]

# Rows from which the work is long enough for a progress bar.
_LONG = 100


def fetch(data, *, source=None, size=MINIMUM_SIZE, progress=None, coord=None, ra=None, dec=None, ebv=None):
    """
    Get the images of all galaxies of a table.

    Parameters
    ----------
    data : `~astropy.table.Table` or `~astropy.coordinates.SkyCoord`
        N galaxies, as in `~astro_photz.predict`.
    source : `~astro_photz.cutouts.CutoutSource`, optional
        Where the images come from; ``SDSSArchive()`` by default.
    size : int, optional
        Side of a stamp (pixels), at least 64.
    progress : bool, optional
        Whether to draw a progress bar; by default for more than 100 galaxies on a terminal.
    coord, ra, dec, ebv : str, optional
        Names of columns, where they are not the usual ones: see `~astro_photz.catalog.read_positions`.

    Returns
    -------
    `~astro_photz.Cutouts` (N,)
        In the order of ``data``. A galaxy without an image has NaN, and a bit of `~astro_photz.PhotozFlag` in
        ``flags`` that says why.

    Raises
    ------
    ValueError
        If the table's positions cannot be found, or there is no way to know E(B-V).

    Examples
    --------
    >>> import astro_photz
    >>> cutouts = astro_photz.fetch(table, source=astro_photz.FrameDirectory("frames/"))  # doctest: +SKIP
    >>> cutouts.write("stamps.h5")  # doctest: +SKIP
    """
    if source is None:
        from .archive import SDSSArchive

        source = SDSSArchive()
    positions = read_positions(data, coord=coord, ra=ra, dec=dec, ebv=ebv)
    cutouts = Cutouts.blank(len(positions), size=size, coord=positions.coord, ids=positions.ids)
    for batch in collect_batches(positions, source=source, size=size, progress=progress):
        cutouts[batch.rows] = batch.cutouts
        cutouts.flags[batch.rows] = batch.reasons
    return cutouts


def collect_batches(positions, *, source, size=MINIMUM_SIZE, progress=None):
    """
    The batches of a source, under a progress bar, with a check that none of the rows is lost.

    Parameters
    ----------
    positions : `~astro_photz.catalog.Positions` (N,)
    source, size, progress
        As in `fetch`.

    Yields
    ------
    `~astro_photz.cutouts.Batch`

    Raises
    ------
    RuntimeError
        If the source leaves out a row, or yields it twice.
    """
    times = np.zeros(len(positions), dtype=int)
    with progress_bar(len(positions), progress) as advance:
        for batch in source.batches(positions, size=size):
            np.add.at(times, batch.rows, 1)
            yield batch
            advance(len(batch.rows))
    if (times != 1).any():
        raise RuntimeError(
            f"the source {source!r} must yield every row once: it left out {np.sum(times == 0)} and repeated "
            f"{np.sum(times > 1)}"
        )


@contextmanager
def progress_bar(total, progress=None):
    """
    A progress bar for long work on a terminal, and nothing elsewhere.

    Parameters
    ----------
    total : int
        Number of steps.
    progress : bool, optional
        Whether to draw it; by default for more than 100 steps.

    Yields
    ------
    callable
        Takes a number of steps that were done.
    """
    wanted = total > _LONG if progress is None else progress
    if not (wanted and total and sys.stderr.isatty()):
        yield lambda steps: None
        return
    with ProgressBar(total, file=sys.stderr) as bar:
        yield lambda steps: bar.update(bar.current_value + steps)
