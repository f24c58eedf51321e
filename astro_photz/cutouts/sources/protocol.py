# Licensed under a 3-clause BSD style license - see LICENSE
"""
What a source of cutouts is: anything that yields batches of stamps for the galaxies it is asked for.
"""

from collections.abc import Iterator
from typing import NamedTuple, Protocol, runtime_checkable

import numpy as np

from astro_photz.cutouts.container import MINIMUM_SIZE, Cutouts

__all__ = ["Batch", "CutoutSource", "without_image"]

BATCH_SIZE = 256


class Batch(NamedTuple):
    """
    Some of the stamps that a source was asked for.

    Parameters
    ----------
    rows : `~numpy.ndarray` (M,) of int
        Which of the positions these are.
    cutouts : `~astro_photz.Cutouts` (M,)
        NaN where there is no image.
    reasons : `~numpy.ndarray` (M,) of int
        Bits of `~astro_photz.PhotozFlag` that say what went wrong; 0 for nothing.
    """

    rows: np.ndarray
    cutouts: Cutouts
    reasons: np.ndarray


@runtime_checkable
class CutoutSource(Protocol):
    """
    Where cutouts come from.

    A source holds no more than a batch's images at a time, and yields every row once, in the order that suits it.

    Attributes
    ----------
    name : str
        For the user, in the meta of the table: what the images were taken from.
    """

    name: str

    def batches(self, positions, *, size=MINIMUM_SIZE) -> Iterator[Batch]:
        """
        Cut the stamps of all galaxies.

        Parameters
        ----------
        positions : `~astro_photz.positions.Positions` (N,)
        size : int, optional
            Side of a stamp (pixels).

        Yields
        ------
        `Batch`
        """
        ...


def without_image(rows, reason, *, size, ebv=None):
    """
    Batches of rows that have no image.

    Parameters
    ----------
    rows : `~numpy.ndarray` (M,) of int
    reason : int
        Bits of `~astro_photz.PhotozFlag`.
    size : int
        Side of a stamp (pixels).
    ebv : `~numpy.ndarray` (N,), optional
        E(B-V) of all galaxies (mag), which is known all the same.

    Yields
    ------
    `Batch`
    """
    for start in range(0, len(rows), BATCH_SIZE):
        part = rows[start : start + BATCH_SIZE]
        cutouts = Cutouts.blank(len(part), size=size)
        if ebv is not None:
            cutouts.ebv[:] = ebv[part]
        yield Batch(part, cutouts, np.full(len(part), reason))
