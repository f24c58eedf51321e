# Licensed under a 3-clause BSD style license - see LICENSE
"""
The protocol of sources: a source yields batches of cutouts for the galaxies that it is asked for.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, NamedTuple, Protocol, runtime_checkable

import numpy as np

from astro_photz.cutouts.container import Cutouts
from astro_photz.cutouts.hdf5.layout import MINIMUM_SIZE

if TYPE_CHECKING:
    from astro_photz.positions import Positions

__all__ = ["Batch", "CutoutSource", "without_image"]

BATCH_SIZE = 256


class Batch(NamedTuple):
    """
    Cutouts of some of the galaxies that a source was asked for.

    Parameters
    ----------
    rows : `~numpy.ndarray` (M,) of int
        Rows of the positions.
    cutouts : `~astro_photz.Cutouts` (M,)
        NaN where there is no image. Their ``flags`` are bits of `~astro_photz.PhotozFlag` that say what went wrong.
    problems : tuple of str, optional
        The same in words, as far as more is known than flags say: a frame that could not be had, and why.

    Examples
    --------
    >>> import numpy as np
    >>> from astro_photz import Cutouts
    >>> from astro_photz.cutouts import Batch
    >>> batch = Batch(np.array([2, 0]), Cutouts.blank(2))
    >>> batch.rows, len(batch.cutouts)
    (array([2, 0]), 2)
    """

    rows: np.ndarray
    cutouts: Cutouts
    problems: tuple[str, ...] = ()


@runtime_checkable
class CutoutSource(Protocol):
    """
    Protocol of a source of cutouts.

    A source holds the images of one batch at a time, of at most 256 galaxies. It yields every row once, in any order; a
    row that it cannot serve comes without an image, with flags that say why. `astro_photz.testing.check_source`
    checks that a source keeps to this.

    Attributes
    ----------
    name : str
        Name of the origin of the images, which goes into the meta of the table.

    Examples
    --------
    >>> import numpy as np
    >>> import astro_photz
    >>> from astro_photz.cutouts import Batch, CutoutSource
    >>> class Blank:  # no image of any galaxy
    ...     name = "blank"
    ...     def batches(self, positions, *, size=64):
    ...         for row in range(len(positions)):
    ...             cutouts = astro_photz.Cutouts.blank(1, size=size)
    ...             cutouts.flags[:] = astro_photz.PhotozFlag.NO_IMAGE
    ...             yield Batch(np.array([row]), cutouts)
    >>> isinstance(Blank(), CutoutSource)
    True
    """

    name: str

    def batches(self, positions: Positions, *, size: int = MINIMUM_SIZE) -> Iterator[Batch]:
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


def without_image(rows, flag, *, size, ebv=None, problems=()):
    """
    Yield batches of rows that have no image.

    Parameters
    ----------
    rows : `~numpy.ndarray` (M,) of int
    flag : int
        Bits of `~astro_photz.PhotozFlag` that say why.
    size : int
        Side of a stamp (pixels).
    ebv : `~numpy.ndarray` (N,), optional
        E(B-V) of all galaxies (mag), if it is known all the same.
    problems : tuple of str, optional
        The same in words.

    Yields
    ------
    `Batch`
    """
    for start in range(0, len(rows), BATCH_SIZE):
        part = rows[start : start + BATCH_SIZE]
        cutouts = Cutouts.blank(len(part), size=size)
        if ebv is not None:
            cutouts.ebv[:] = ebv[part]
        cutouts.flags[:] = flag
        yield Batch(part, cutouts, problems)
