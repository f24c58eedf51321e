# Licensed under a 3-clause BSD style license - see LICENSE
"""
Keys by which galaxies are recognised: numbers of 40 bits, mixed out of their positions and identifiers.

The sphere lies in a grid of cubes with sides of 2 arcsec, and the key of a position is that of its cube. A position
within 1 arcsec of it lies in that cube, or in one that is no further away than that, so that a few keys find it: over
the poles and at right ascension 0 as anywhere. Two positions that match are less than 4.5 arcsec apart.
"""

import json
from dataclasses import dataclass
from itertools import product
from typing import Self

import h5py
import numpy as np
from astropy.coordinates import SkyCoord
from numpy.typing import ArrayLike

from astro_photz.cutouts.hdf5.layout import is_simulated, read_column, read_coord
from astro_photz.utils._arrays import identifiers
from astro_photz.utils._sky import direction_of

__all__ = ["BITS", "NONE", "TOLERANCE", "Galaxies"]

TOLERANCE = 1.0
"""Distance (arcsec) within which two positions are those of one galaxy."""

BITS = 40
"""Length of a key."""

NONE = np.uint64(2**64 - 1)
"""Stands for no key."""

_SIDE = 2 * TOLERANCE  # of a cube
_PER_RADIAN = np.degrees(1) * 3600  # arcsec
_OFFSET, _WIDTH = 1 << 18, np.uint64(20)  # cubes have numbers of 20 bits on each axis
_RUNNING = 10**9  # the numbers of rows end there; those of surveys have more digits
_POSITION, _IDENTIFIER, _PROGENITOR = range(3)


@dataclass(frozen=True, kw_only=True)
class Galaxies:
    """
    Galaxies as they are recognised: by their positions, by numbers, or by both.

    Parameters
    ----------
    positions : `~numpy.ndarray` (N, 3), optional
        Unit vectors, in arcsec; NaN where unknown.
    numbers : `~numpy.ndarray` (N, C) of uint64, optional
        Keys of identifiers; `NONE` where there is none.
    simulated : bool, optional
        Whether they are simulated. Then positions are those of the progenitors, and numbers are their numbers.
    """

    positions: np.ndarray | None = None
    numbers: np.ndarray | None = None
    simulated: bool = False

    @classmethod
    def of(cls, coord: SkyCoord | None = None, ids: ArrayLike | None = None) -> Self:
        """
        Take galaxies by their positions, of any frame, and identifiers.

        Raise a ValueError if there is neither of them, or if they have different lengths.
        """
        if coord is None and ids is None:
            raise ValueError("coord or ids must be given: galaxies are known by their positions or identifiers")
        places = None if coord is None else _vectors(direction_of(coord))
        numbers = None if ids is None else _identifier_keys(np.atleast_1d(identifiers(ids)))[:, None]
        if places is not None and numbers is not None and len(places) != len(numbers):
            raise ValueError(f"coord and ids must have the same length, got {len(places)} and {len(numbers)}")
        return cls(positions=places, numbers=numbers)

    @classmethod
    def of_file(cls, file: h5py.File, rows: np.ndarray | None = None) -> Self:
        """Read galaxies of an open file of cutouts, or some of its rows."""
        rows = slice(None) if rows is None else rows
        known = "ra" in file and "dec" in file
        simulated = is_simulated(file)
        numbers = _progenitor_keys(file) if simulated else _survey_keys(file)
        positions = _vectors(read_coord(file))[rows] if known else None
        if positions is None and numbers is None:  # galaxies that nothing tells from others
            positions = np.full((len(file["images"]), 3), np.nan)[rows]
        return cls(
            positions=positions,
            numbers=None if numbers is None else numbers[rows],
            simulated=simulated,
        )

    def __len__(self):
        return len(self.numbers if self.positions is None else self.positions)

    def position_keys(self) -> np.ndarray | None:
        """Keys (N,) of the cubes that the galaxies lie in."""
        return None if self.positions is None else _cube_keys(np.floor(self.positions / _SIDE))

    def keys_around(self) -> np.ndarray | None:
        """Keys (N, 8) of the cubes that are within the tolerance; `NONE` for those that are not."""
        if self.positions is None:
            return None
        low, own, high = (np.floor((self.positions + step) / _SIDE) for step in (-TOLERANCE, 0, TOLERANCE))
        found = []
        for corner in product((False, True), repeat=3):
            cube = np.where(corner, high, low)
            gap = np.select(
                [cube < own, cube > own],
                [self.positions - (cube + 1) * _SIDE, cube * _SIDE - self.positions],
                default=np.where(np.isfinite(own), 0.0, np.inf),
            )
            near = (gap**2).sum(axis=1) <= TOLERANCE**2 * (1 + 1e-6)
            found.append(np.where(near, _cube_keys(cube), NONE))
        return np.stack(found, axis=1)


def _vectors(coord):
    """Unit vectors (N, 3) in arcsec, NaN where unknown."""
    ra, dec = coord.ra.rad, coord.dec.rad
    return np.stack([np.cos(dec) * np.cos(ra), np.cos(dec) * np.sin(ra), np.sin(dec)], axis=1) * _PER_RADIAN


def _cube_keys(cubes):
    known = np.isfinite(cubes).all(axis=1)
    x, y, z = (np.where(known[:, None], cubes, 0).astype(np.int64) + _OFFSET).astype(np.uint64).T
    return np.where(known, _mixed((x << (_WIDTH + _WIDTH)) | (y << _WIDTH) | z, _POSITION), NONE)


def _survey_keys(file):
    """Keys (N, 2) of the galaxies' numbers in the survey, those of images and of spectra, as far as there are any."""
    found = [_identifier_keys(read_column(file, name)) for name in ("ObjID", "specObjID") if name in file]
    return np.stack(found, axis=1) if found else None


def _progenitor_keys(file):
    """Keys (N, 1) of the real galaxies behind simulated ones; each table of real galaxies has numbers of its own."""
    rows = read_column(file, "seed_index")
    if rows is None:
        return None
    try:
        colours = json.loads(file.attrs.get("settings", "{}"))["sample"]["colours"]
    except (ValueError, TypeError, KeyError):  # of another program, or of an earlier version, which knew one table
        colours = "fitted"
    table = sum(map(ord, str(colours))) << 32
    return np.where(rows < 0, NONE, _mixed((np.maximum(rows, 0) + table).astype(np.uint64), _PROGENITOR))[:, None]


def _identifier_keys(ids):
    """Keys (N,) of identifiers that are long whole numbers, or text of such; running numbers are none."""
    if ids.dtype.kind in "US":
        text = np.char.strip(ids.astype(str))
        text = np.where(np.char.isdecimal(text) & (np.char.str_len(text) <= 20), text, "0")
        values = np.array([min(int(one), 2**64 - 1) for one in text.tolist()], dtype=np.uint64)
    elif ids.dtype.kind in "iu":
        values = np.where(ids > 0, ids, 0).astype(np.uint64)
    else:  # floating-point numbers have lost digits of such identifiers
        values = np.zeros(len(ids), dtype=np.uint64)
    return np.where(values < _RUNNING, NONE, _mixed(values, _IDENTIFIER))


def _mixed(values, kind):
    """Mix numbers by SplitMix64 (Steele, Lea & Flood 2014, OOPSLA, 453), and keep the first bits."""
    with np.errstate(over="ignore"):
        mixed = values + np.uint64((0x9E3779B97F4A7C15 * (kind + 1)) % 2**64)
        mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return (mixed ^ (mixed >> np.uint64(31))) >> np.uint64(64 - BITS)
