# Licensed under a 3-clause BSD style license - see LICENSE
"""
Batches of any source, checked and completed.
"""

import warnings
from contextlib import contextmanager

import numpy as np
from astropy.utils.exceptions import AstropyUserWarning

from astro_photz.dust import approximate_ebv, far_from_map
from astro_photz.flags import PhotozFlag
from astro_photz.utils._progress import progress_bar

from .hdf5.layout import MINIMUM_SIZE

__all__ = ["collect_batches", "completed", "with_known_ebv"]

_NOWHERE = PhotozFlag.NO_POSITION | PhotozFlag.NO_MATCH


def collect_batches(positions, *, source, size=MINIMUM_SIZE, progress=None):
    """
    Yield the batches of a source under a progress bar, and check that every row comes once.

    Each batch is `completed`.

    Parameters
    ----------
    positions : `~astro_photz.positions.Positions` (N,)
    source, size, progress
        As in `fetch`.

    Yields
    ------
    `~astro_photz.cutouts.Batch`

    Raises
    ------
    RuntimeError
        If the source leaves out a row, or yields it twice.

    Warns
    -----
    AstropyUserWarning
        If right ascensions look like hours, and most galaxies match nothing.
    """
    times, unmatched = np.zeros(len(positions), dtype=int), 0
    with progress_bar(len(positions), progress) as advance, _ended(source.batches(positions, size=size)) as batches:
        for batch in batches:
            np.add.at(times, batch.rows, 1)
            unmatched += np.count_nonzero(batch.cutouts.flags & PhotozFlag.NO_MATCH)
            yield completed(batch, positions.coord)
            advance(len(batch.rows), int(np.count_nonzero(batch.cutouts.flags & PhotozFlag.NO_IMAGE)))
    n_valid = np.count_nonzero(positions.valid)
    if positions.like_hours and unmatched > n_valid / 2:
        warnings.warn(
            f"all right ascensions lie below 24, and {unmatched} of {n_valid} positions match nothing: if they are "
            "hours and not degrees, say so by ra_unit='hourangle'",
            AstropyUserWarning,
            stacklevel=2,
        )
    if (times != 1).any():
        raise RuntimeError(
            f"the source {source!r} must yield every row once: it left out {np.sum(times == 0)} and repeated "
            f"{np.sum(times > 1)}"
        )


@contextmanager
def _ended(batches):
    """Close a source's generator, whatever ends the work on its batches: its threads may be downloading."""
    try:
        yield batches
    finally:
        close = getattr(batches, "close", None)
        if close is not None:
            close()


def completed(batch, coord):
    """
    Put NaN where a batch has no data, and compare E(B-V) with the map at low resolution.

    An unknown one is filled in from the map and flagged ``APPROXIMATE_EBV``; one that is far from it is flagged
    ``EBV_MISMATCH``, but not that of simulated images, whose places are made up.

    Parameters
    ----------
    batch : `~astro_photz.cutouts.Batch` (M,)
    coord : `~astropy.coordinates.SkyCoord` (N,) or None
        Positions of all galaxies, if known.

    Returns
    -------
    `~astro_photz.cutouts.Batch` (M,)
        A galaxy that is flagged ``NO_POSITION`` or ``NO_MATCH`` stays without an E(B-V).
    """
    return with_known_ebv(batch._replace(cutouts=_without_filling(batch.cutouts)), coord)


def with_known_ebv(batch, coord):
    """Compare E(B-V) with the map, and fill it in, as `completed` does; the images stay as they are."""
    cutouts = batch.cutouts
    if coord is None or not len(batch.rows):
        return batch
    ebv, flags = cutouts.ebv.copy(), cutouts.flags & ~PhotozFlag.EBV_MISMATCH  # of an E(B-V) that may be put right now
    place = coord[batch.rows]
    unknown = ~(np.isfinite(ebv) & (ebv >= 0)) & ((flags & _NOWHERE) == 0)
    if unknown.any():
        ebv[unknown] = approximate_ebv(place[unknown])
        flags[unknown & np.isfinite(ebv)] |= PhotozFlag.APPROXIMATE_EBV
    if not cutouts.simulated:
        flags[far_from_map(ebv, place)] |= PhotozFlag.EBV_MISMATCH
    return batch._replace(cutouts=cutouts._replaced(ebv=ebv, flags=flags))


def _without_filling(cutouts):
    """Put NaN in pixels without data, and set the flags that follow from them."""
    clean = cutouts.without_filling()
    if clean is cutouts:
        return cutouts
    missing = np.isnan(clean.flux)
    flags = np.where(missing.all(axis=(1, 2, 3)), int(PhotozFlag.NO_IMAGE), int(PhotozFlag.PARTIAL))
    explained = (cutouts.flags & (_NOWHERE | PhotozFlag.NO_IMAGE | PhotozFlag.PARTIAL)) != 0
    flags = np.where(missing.any(axis=(1, 2, 3)) & ~explained, cutouts.flags | flags, cutouts.flags)
    return clean._replaced(flags=flags.astype(np.int32))
