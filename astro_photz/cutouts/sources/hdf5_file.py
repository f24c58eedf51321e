# Licensed under a 3-clause BSD style license - see LICENSE
"""
Cutouts from an HDF5 file.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np
from astropy import units as u
from astropy.table import Table

from astro_photz.cutouts.container import read_rows
from astro_photz.cutouts.hdf5.layout import MINIMUM_SIZE, is_simulated, open_cutouts, read_column, read_coord
from astro_photz.flags import PhotozFlag
from astro_photz.utils._files import expanded
from astro_photz.utils._types import PathLike

from .protocol import BATCH_SIZE, Batch, without_image

if TYPE_CHECKING:
    from astro_photz.positions import Positions

__all__ = ["CutoutFile", "read_catalog"]

_NEEDS = ("images", "e_bv", "ra", "dec")
_LARGEST_BATCH = 128 * 2**20  # bytes of pixels


class CutoutFile:
    """
    Cutouts from an HDF5 file in the layout of the published data sets, as `~astro_photz.Cutouts.write` writes it.

    Galaxies are found by position, and read in the order of the file. A simulated galaxy has the position of its
    progenitor. If several have the same, they are told apart in the whole ``catalog()`` alone, row by row; use
    `astro_photz.Cutouts.read` for a part of them.

    Parameters
    ----------
    path : str or path-like
        File with the data sets ``images`` (N, 5, S, S), ``e_bv`` (N, 5), ``ra`` and ``dec``.
    match_radius : `~astropy.units.Quantity` or float, optional
        Largest distance of a stamp's position from the galaxy's (arcsec).

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    OSError
        If it is not HDF5, or damaged.
    ValueError
        If it lacks a data set, or one is not as the layout has it.

    Examples
    --------
    >>> import astro_photz
    >>> source = astro_photz.CutoutFile(astro_photz.demo_path())
    >>> table = astro_photz.predict(source.catalog(), source=source)
    >>> for z in table["z_phot"][:3]:
    ...     print(f"{z:.2f}")
    0.05
    0.04
    0.07
    """

    def __init__(self, path: PathLike, *, match_radius: u.Quantity = 1 * u.arcsec):
        self.path = expanded(path)
        self.name = self.path.name
        self.match_radius = u.Quantity(match_radius, u.arcsec)
        with self._open():
            pass

    def __repr__(self):
        return f"<CutoutFile {self.path}>"

    def __getstate__(self):  # a worker may run in another folder
        return vars(self) | {"path": self.path.absolute()}

    def _open(self):
        return open_cutouts(self.path, needs=_NEEDS)

    def catalog(self) -> Table:
        """
        List the galaxies in the file.

        Returns
        -------
        `~astropy.table.Table` (N,)
            ``objid``, ``ra``, ``dec`` (deg), and ``redshift`` if the file has spectroscopic redshifts.
        """
        with self._open() as file:
            return read_catalog(file)

    def batches(self, positions: Positions, *, size: int = MINIMUM_SIZE) -> Iterator[Batch]:
        """
        Read the stamps of all galaxies: see `~astro_photz.cutouts.CutoutSource`.

        Parameters
        ----------
        positions : `~astro_photz.positions.Positions` (N,)
        size : int, optional
            Side of a stamp (pixels); those of the file are cropped to it.

        Yields
        ------
        `~astro_photz.cutouts.Batch`

        Raises
        ------
        ValueError
            If the stamps of the file are smaller, or simulated and several have the same position, and the positions
            are not those of the file in its order.
        """
        rows = np.arange(len(positions))
        yield from without_image(rows[~positions.valid], PhotozFlag.NO_POSITION, size=size, ebv=positions.ebv)
        with self._open() as file:
            coord = read_coord(file)
            if _are_those(positions, coord):
                stored = np.where(positions.valid, rows, -1)
            else:
                if is_simulated(file):
                    self._check_distinct(coord)
                stored = self._find(coord, positions)
            unmatched = rows[positions.valid & (stored < 0)]
            yield from without_image(unmatched, PhotozFlag.NO_MATCH, size=size, ebv=positions.ebv)
            found = rows[stored >= 0]
            found = found[np.argsort(stored[found], kind="stable")]
            step = _batch_rows(file["images"])
            for start in range(0, len(found), step):
                part = found[start : start + step]
                cutouts = self._read(file, stored[part]).crop(size)
                if positions.ebv is not None:  # the user's value is preferred to that of the file
                    known = np.isfinite(positions.ebv[part])
                    cutouts.ebv = np.where(known, positions.ebv[part], cutouts.ebv)
                    cutouts.flags[known] &= ~PhotozFlag.APPROXIMATE_EBV
                yield Batch(part, cutouts)

    def _check_distinct(self, coord):
        places = np.stack([coord.ra.deg, coord.dec.deg], axis=1)
        places = places[np.isfinite(places).all(axis=1)]
        shared = len(places) - len(np.unique(places, axis=0))
        if shared:
            raise ValueError(
                f"{self.path} holds simulated galaxies, {shared} at the position of another one, so they cannot be "
                f"found by position. Take them by row: give {self.path} itself in place of the table, without a source"
            )

    def _find(self, stored, positions):
        """Find the row of the file that holds each galaxy, -1 for none."""
        row_of = np.full(len(positions), -1)
        valid = np.flatnonzero(positions.valid)
        usable = np.flatnonzero(np.isfinite(stored.ra.deg) & np.isfinite(stored.dec.deg))
        if len(valid) and len(usable):
            nearest, separation, _ = positions.coord[valid].match_to_catalog_sky(stored[usable])
            near = separation <= self.match_radius
            row_of[valid[near]] = usable[nearest[near]]
        return row_of

    def _read(self, file, stored):
        """Read rows of the file, which come in increasing order and may come twice."""
        unique, back = np.unique(stored, return_inverse=True)
        return read_rows(file, unique)[back]


def read_catalog(file, rows=slice(None)):
    """
    List galaxies of an open file.

    Parameters
    ----------
    file : `h5py.File`
        Of `~astro_photz.cutouts.hdf5.layout.open_cutouts`.
    rows : slice, optional

    Returns
    -------
    `~astropy.table.Table`
        As `CutoutFile.catalog`; without positions if the file has none.
    """
    ids = read_column(file, "ObjID", rows)
    table = Table({"objid": np.arange(len(file["images"]))[rows] if ids is None else ids})
    if "ra" in file and "dec" in file:
        coord = read_coord(file, rows)
        table["ra"], table["dec"] = coord.ra, coord.dec
    if "specz_redshift" in file:
        table["redshift"] = read_column(file, "specz_redshift", rows)
    return table


def _are_those(positions, stored):
    """Tell whether positions are the file's own, row by row: then no search is needed, and each stands for its row."""
    if len(positions) != len(stored):
        return False
    return all(
        np.array_equal(one.deg, other.deg, equal_nan=True)
        for one, other in ((positions.coord.ra, stored.ra), (positions.coord.dec, stored.dec))
    )


def _batch_rows(images):
    """Rows that are read at once: fewer of stamps so large that a batch would take all memory."""
    row = np.dtype(np.float32).itemsize * int(np.prod(images.shape[1:]))
    return max(1, min(BATCH_SIZE, _LARGEST_BATCH // row))
