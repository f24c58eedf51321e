# Licensed under a 3-clause BSD style license - see LICENSE
"""
Answers of the catalogue server as arrays. Values that are missing for one object do not affect the others.
"""

from dataclasses import dataclass

import numpy as np
from astropy import units as u
from astropy.coordinates import SkyCoord
from astroquery.exceptions import RemoteServiceError

from astro_photz import sdss
from astro_photz.utils._arrays import integers, numbers

__all__ = ["DETAILS", "PLACE", "Objects", "check_answer", "is_field"]

_FIELD = ("run", "rerun", "camcol", "field")
PLACE = ("ra", "dec", *_FIELD, "rowc_r", "colc_r")
"""Columns that say where an object was seen."""

_EXTINCTION = tuple(f"extinction_{band}" for band in sdss.BANDS)
_PSF = tuple(f"psffwhm_{band}" for band in sdss.BANDS)
DETAILS = _EXTINCTION + _PSF
"""Columns with the extinction and the width of the point-spread function."""

_END = sdss.FieldID(run=10**6, rerun=10**3, camcol=7, field=10**4)  # beyond what the names of frames can hold


def is_field(field_ids):
    """Mask (M,) of the numbers (M, 4) of run, rerun, camcol and field that identify a field."""
    return ((field_ids >= (0, 0, 1, 0)) & (field_ids < _END)).all(axis=1)


def check_answer(table, columns):
    """Refuse an error page that was read as a table, and a table that breaks off, by a RemoteServiceError."""
    missing = [name for name in columns if name not in table.colnames]
    if missing:
        raise RemoteServiceError(f"it lacks {', '.join(missing)}")
    if np.ma.is_masked(table[table.colnames[-1]][-1]):  # the server writes null for what it does not know
        raise RemoteServiceError("it breaks off in the middle of a row")


@dataclass
class Objects:
    """
    Objects of the catalogue that have a position.

    Unknown fields are None. ``depth`` (M,) is the distance to the nearest edge of the *r* frame (pixels); extinction
    (mag) and PSF width (arcsec) are (M, 5). NaN where unknown or not asked for.
    """

    coord: SkyCoord
    field_ids: list
    depth: np.ndarray
    extinction: np.ndarray
    psf_fwhm: np.ndarray

    @classmethod
    def of(cls, table):
        """Read an answer with the columns `PLACE`, and `DETAILS` or not; None stands for no objects."""
        if table is None:
            return cls(SkyCoord([], [], unit=u.deg), [], np.empty(0), np.empty((0, 5)), np.empty((0, 5)))
        ra, dec = numbers(table["ra"]), numbers(table["dec"])
        placed = np.isfinite(ra) & (np.abs(dec) <= 90)
        table = table[placed]
        psf_fwhm = _side_by_side(table, _PSF)
        psf_fwhm[~(psf_fwhm > 0)] = np.nan
        return cls(
            SkyCoord(ra[placed], dec[placed], unit=u.deg),
            _field_ids(table),
            _depth(numbers(table["rowc_r"]), numbers(table["colc_r"])),
            _side_by_side(table, _EXTINCTION),
            psf_fwhm,
        )


def _side_by_side(table, columns):
    if columns[0] not in table.colnames:
        return np.full((len(table), len(columns)), np.nan)
    return np.stack([numbers(table[name]) for name in columns], axis=1)


def _field_ids(table):
    ids = np.stack([integers(table[name]) for name in _FIELD], axis=1)
    rerun = ids[:, 1]
    rerun[rerun < 0] = sdss.RERUN
    return [sdss.FieldID(*row) if known else None for row, known in zip(ids.tolist(), is_field(ids), strict=True)]


def _depth(row, column):
    rows, columns = sdss.FRAME_SHAPE
    return np.min([column, columns - column, row, rows - row], axis=0)
