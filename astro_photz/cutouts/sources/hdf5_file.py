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

__all__ = ["CutoutFile"]

_NEEDS = ("images", "e_bv", "ra", "dec")


class CutoutFile:
    """
    Cutouts from an HDF5 file in the layout of the published data sets, as `~astro_photz.Cutouts.write` writes it.

    Galaxies are found by position, and read in the order of the file. A simulated galaxy has the position of its
    progenitor. If several have the same, use `astro_photz.Cutouts.read`, which takes them by row.

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
        If it is not HDF5.
    ValueError
        If it lacks a data set.

    Examples
    --------
    >>> import astro_photz
    >>> source = astro_photz.CutoutFile("stamps.h5")  # doctest: +SKIP
    >>> table = astro_photz.predict(source.catalog(), source=source)  # doctest: +SKIP
    """

    def __init__(self, path: PathLike, *, match_radius: u.Quantity = 1 * u.arcsec):
        self.path = expanded(path)
        self.name = self.path.name
        self.match_radius = u.Quantity(match_radius, u.arcsec)
        with self._open():
            pass

    def __repr__(self):
        return f"<CutoutFile {self.path}>"

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
            n = len(file["images"])
            ids = read_column(file, "ObjID")
            coord = read_coord(file)
            table = Table({"objid": np.arange(n) if ids is None else ids, "ra": coord.ra, "dec": coord.dec})
            if "specz_redshift" in file:
                table["redshift"] = read_column(file, "specz_redshift")
        return table

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
            If the stamps of the file are smaller, or simulated and several have the same position.
        """
        rows = np.arange(len(positions))
        yield from without_image(rows[~positions.valid], PhotozFlag.NO_POSITION, size=size, ebv=positions.ebv)
        with self._open() as file:
            coord = read_coord(file)
            if is_simulated(file):
                self._check_distinct(coord)
            stored = self._find(coord, positions)
            unmatched = rows[positions.valid & (stored < 0)]
            yield from without_image(unmatched, PhotozFlag.NO_MATCH, size=size, ebv=positions.ebv)
            found = rows[stored >= 0]
            found = found[np.argsort(stored[found], kind="stable")]
            for start in range(0, len(found), BATCH_SIZE):
                part = found[start : start + BATCH_SIZE]
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
                f"found by position: take them by row, predict(Cutouts.read({str(self.path)!r}))"
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
