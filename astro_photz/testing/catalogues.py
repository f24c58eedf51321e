# Licensed under a 3-clause BSD style license - see LICENSE
"""Tables of objects and fields, as SkyServer has them."""

from __future__ import annotations

import io
import re
import warnings
from bz2 import BZ2File
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from astropy.io import fits
from astropy.table import Table
from astropy.wcs import WCS, FITSFixedWarning
from numpy.typing import ArrayLike

from astro_photz.sdss import BANDS, EXTINCTION_COEFFICIENTS, FieldID

if TYPE_CHECKING:
    from astropy.coordinates import SkyCoord

__all__ = ["detections", "field_table", "frame_wcs", "photo_catalogue"]

PSF_FWHM = (1.5, 1.4, 1.3, 1.25, 1.25)
"""Seeing of the catalogues in *ugriz* (arcsec)."""


def photo_catalogue(
    coords: SkyCoord,
    field_ids: Sequence[FieldID],
    rowc: ArrayLike,
    colc: ArrayLike,
    ebv: ArrayLike,
    *,
    mode: ArrayLike = 1,
    coefficients: str = "DR13",
    petro_radius: ArrayLike = 3.0,
) -> Table:
    """
    Make a catalogue of galaxies with the columns of PhotoObj that the package asks for.

    Parameters
    ----------
    coords : `~astropy.coordinates.SkyCoord` (N,)
    field_ids : list of `~astro_photz.sdss.FieldID`
    rowc, colc : array_like (N,)
        Row and column in the *r* frame as SDSS counts: 0.5 is the centre of the first pixel.
    ebv : array_like (N,)
        E(B-V) (mag).
    mode : array_like (N,) of int, optional
        1 for primary objects, 2 for further detections of the same ones.
    coefficients : {'DR12', 'DR13'}, optional
        Coefficients that the extinctions are made with.
    petro_radius : array_like (N,), optional
        Petrosian radius (arcsec).

    Returns
    -------
    `~astropy.table.Table`
    """
    n = len(coords)
    table = Table({"ra": coords.icrs.ra.deg, "dec": coords.icrs.dec.deg})
    ids = np.array(field_ids, dtype=np.int64).reshape(n, 4)
    for name, values in zip(FieldID._fields, ids.T, strict=True):
        table[name] = values
    table["objID"] = [_object_id(field_id, k) for k, field_id in enumerate(field_ids, start=11)]
    table["type"] = np.full(n, 3)
    table["mode"] = np.broadcast_to(mode, n)
    table["clean"] = np.full(n, 1)
    table["score"] = np.full(n, 0.85)
    table["rowc_r"], table["colc_r"] = rowc, colc
    table["petroRad_r"] = np.broadcast_to(petro_radius, n)
    for k, band in enumerate(BANDS):
        table[f"extinction_{band}"] = np.asarray(ebv) * float(EXTINCTION_COEFFICIENTS[coefficients][k])
        table[f"psffwhm_{band}"] = np.full(n, PSF_FWHM[k])
    return table


def _object_id(field_id, number):
    run, rerun, camcol, field = field_id
    return (2 << 59) | (rerun << 48) | (run << 32) | (camcol << 29) | (field << 16) | number


def detections(fields, galaxy):
    """
    Find a galaxy in fields: it is primary in the one that holds it most centrally.

    Parameters
    ----------
    fields : list of `~astro_photz.testing.synthetic_frames.Field`
    galaxy : `~astro_photz.testing.synthetic_sky.Galaxy`

    Returns
    -------
    list of tuple
        Galaxy, field identifier, column, row (from 0) and mode of each detection.
    """
    seen = []
    for field in fields:
        x, y = field.geometry.pixel(galaxy.ra, galaxy.dec)
        rows, columns = field.geometry.shape
        depth = min(x, y, columns - 1 - x, rows - 1 - y)
        if depth > 0:
            seen.append((depth, (galaxy, field.field_id, x, y)))
    seen.sort(key=lambda item: item[0], reverse=True)
    return [(*detection, 1 if k == 0 else 2) for k, (_, detection) in enumerate(seen)]


def field_table(frames):
    """
    Make SkyServer's table of fields, from the headers of the r frames.

    Parameters
    ----------
    frames : dict
        bytes or `~pathlib.Path` of each frame, by its path below the archive's root.

    Returns
    -------
    `~astropy.table.Table`
        Numbers and extent of each field.
    """
    rows = []
    for path, frame in frames.items():
        match = re.search(r"frames/(\d+)/.*frame-r-(\d+)-(\d)-(\d+)\.fits\.bz2$", path)
        if match:
            rerun, run, camcol, field = map(int, match.groups())
            corners = frame_wcs(frame).calc_footprint()
            extent = (*corners.min(axis=0), *corners.max(axis=0))
            rows.append((run, rerun, camcol, field, *map(float, extent)))
    return Table(
        rows=rows or None,
        names=(*FieldID._fields, "raMin", "decMin", "raMax", "decMax"),
        dtype=[int] * 4 + [float] * 4,
    )


def frame_wcs(frame):
    """
    Read the world coordinate system of a compressed frame.

    Parameters
    ----------
    frame : bytes or `~pathlib.Path`

    Returns
    -------
    `~astropy.wcs.WCS`
    """
    with BZ2File(io.BytesIO(frame) if isinstance(frame, bytes) else frame) as file:
        text = file.read(36 * 2880).split(b"END" + b" " * 77)[0].decode("ascii", "ignore")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FITSFixedWarning)
        return WCS(fits.Header.fromstring(text))
