# Licensed under a 3-clause BSD style license - see LICENSE
"""
The HDF5 layout in which cutouts are exchanged: that of the data sets published with Hayat et al. (2021).

``images`` (N, 5, S, S) holds the fluxes (nanomaggies). ``e_bv`` (N, 5) is, against its name, the extinction A_ugriz
(mag) of SDSS DR12. ``ra``, ``dec`` (deg) and ``ObjID`` identify the galaxies. Our own data sets, which readers of the
published layout ignore, are ``target_xy``, ``psf_fwhm``, ``flags`` and the provenance of the frames. The attribute
``simulated`` marks files with images that are not real.
"""

import warnings

import h5py
import numpy as np
from astropy import units as u
from astropy.table import Column
from astropy.utils.exceptions import AstropyUserWarning

from astro_photz.dust import ebv_from_extinction
from astro_photz.sdss import BANDS, PIXEL_SCALE
from astro_photz.utils._arrays import POSITIVE_SENTINELS, SENTINELS, identifiers, integers, numbers, values_and_mask
from astro_photz.utils._hdf5 import OpenFile, attribute, find, open_hdf5, unwritten_rows
from astro_photz.utils._sky import icrs_from_degrees
from astro_photz.utils._suggestions import first_line

from ._check import check_layout, slow_chunks

__all__ = [
    "ATTRIBUTES",
    "MINIMUM_SIZE",
    "PROVENANCE",
    "holds",
    "in_place",
    "is_simulated",
    "open_cutouts",
    "pixels",
    "plain_columns",
    "read_column",
    "read_coord",
    "read_ebv",
    "read_images",
]

ATTRIBUTES = {"bands": "".join(BANDS), "unit": "nanomaggy", "pixel_scale_arcsec": PIXEL_SCALE}
"""Attributes of every file."""

MINIMUM_SIZE = 64
"""Side of the smallest stamps (pixels)."""

PROVENANCE = ("data_release", "run", "rerun", "camcol", "field")
"""Data sets that identify the frames of the stamps."""

_BANDS = (len(BANDS),)
# Shape of a row, and unit, of each data set of numbers.
_NUMBERS = {
    "e_bv": (_BANDS, u.mag),
    "ra": ((), u.deg),
    "dec": ((), u.deg),
    "target_xy": ((2,), None),
    "psf_fwhm": (_BANDS, u.arcsec),
    "specz_redshift": ((), u.one),
    "specz_redshift_err": ((), u.one),
    "catalog_flux": (_BANDS, u.nmgy),
    "catalog_radius": ((), u.arcsec),
}
_WHOLE_NUMBERS = (*PROVENANCE, "flags", "seed_index")
_NAMES = ("ObjID", "specObjID")
_ROWS = dict.fromkeys((*_WHOLE_NUMBERS, *_NAMES), ()) | {name: shape for name, (shape, _) in _NUMBERS.items()}
_UNITS = {"images": u.nmgy} | {name: unit for name, (_, unit) in _NUMBERS.items()}
_SLOTS = 100_003  # places for chunks that HDF5 keeps: a prime, some times their number
# Sentinels that can be meant: a declination of -9, fluxes and radii of 99; a redshift of 99 cannot.
_SENTINELS = {"dec": (), "e_bv": SENTINELS + POSITIVE_SENTINELS, "specz_redshift": SENTINELS + POSITIVE_SENTINELS}


def in_place():
    """
    Make the properties of a data set that has its place in the file from the start, and is not filled.

    Returns
    -------
    `h5py.h5p.PropDCID`
    """
    properties = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    properties.set_alloc_time(h5py.h5d.ALLOC_TIME_EARLY)
    properties.set_fill_time(h5py.h5d.FILL_TIME_NEVER)
    return properties


def pixels(flux, dtype):
    """
    Convert fluxes to the pixels of a file.

    Parameters
    ----------
    flux : `~numpy.ndarray`
        Flux (nanomaggies).
    dtype : `~numpy.dtype`
        Type of the pixels in the file.

    Returns
    -------
    `~numpy.ndarray`
    """
    # Of all that is in the sky, only a star of magnitude 10.5 in one pixel is too bright for float16.
    limit = np.finfo(dtype).max
    return np.clip(flux, -limit, limit).astype(dtype)


def plain_columns(columns):
    """
    Convert columns to the data sets of a file: in the units of the layout, with NaN where they are masked.

    Parameters
    ----------
    columns : dict of array_like (N, ...)
        By the names of the data sets.

    Returns
    -------
    dict of `~numpy.ndarray` (N, ...)

    Raises
    ------
    ValueError
        If a unit does not convert to the layout's, or no number can stand for a masked value.
    """
    return {name: _plain(name, values) for name, values in columns.items()}


def _plain(name, values):
    if name == "images":
        raise ValueError("columns must have other names than images, which are there already")
    if name in _NAMES:
        return identifiers(values)
    if name in _NUMBERS:
        kind = getattr(values, "dtype", None)
        found = _numbers(name, values)
        if found.shape[1:] != _NUMBERS[name][0] or not found.ndim:
            wanted = ", ".join(["N", *map(str, _NUMBERS[name][0])])
            raise ValueError(f"{name} must have the shape ({wanted}), a row for each galaxy; got {found.shape}")
        return found.astype(kind) if isinstance(kind, np.dtype) and kind.kind == "f" else found
    plain, mask = values_and_mask(values)
    if plain.dtype.kind == "O":
        return identifiers(values)
    if not np.any(mask):
        return plain
    if plain.dtype.kind != "f":
        raise ValueError(f"{name} has masked values, for which {plain.dtype} has no number: fill them")
    return np.where(mask, np.nan, plain).astype(plain.dtype)


def _numbers(name, values):
    """Numbers in the unit of the layout, NaN where unknown."""
    _, unit = _NUMBERS[name]
    try:
        return numbers(values, unit=unit, sentinels=_SENTINELS.get(name, SENTINELS))
    except ValueError:  # of a unit that is none, too
        own = getattr(values, "unit", None)
        raise ValueError(f"{name} has the unit {own}, which does not convert to {unit or 1}") from None


def holds(path, name="images"):
    """
    Tell whether a file is HDF5 with a data set of a name: by default, of cutouts and not of a table.

    Parameters
    ----------
    path : `~pathlib.Path`
    name : str, optional

    Returns
    -------
    bool
    """
    if not (path.is_file() and h5py.is_hdf5(path)):
        return False
    with open_hdf5(path) as file:
        try:
            return find(file, name) is not None
        except Exception:  # the name leads astray, or the file is damaged: who opens it is told
            return True


def open_cutouts(path, *, needs=("images", "e_bv")):
    """
    Open an HDF5 file of cutouts for reading.

    Nothing but the file's description is read. Its values lie in the file itself: links to other files, external
    storage and virtual data sets are refused, as is what takes more memory or time than the file explains.

    Parameters
    ----------
    path : str or path-like
    needs : sequence of str, optional
        Data sets that must be there.

    Returns
    -------
    `h5py.File`

    Raises
    ------
    OSError
        If there is no such file, or it is not HDF5.
    ValueError
        If a data set is missing, or one of the layout has another shape, kind of values or unit.
    """
    file = open_hdf5(path)
    try:
        check_layout(file, needs, rows=_ROWS, units=_UNITS, smallest=MINIMUM_SIZE)
        cache = slow_chunks(file.get("images"))
    except Exception as error:  # a damaged file raises errors of many classes
        file.close()
        if isinstance(error, ValueError):
            raise ValueError(f"{path}{'' if str(error).startswith('lacks') else ':'} {first_line(error)}") from error
        raise OSError(f"{path} is broken: {first_line(error)}") from error
    if cache is None:
        return file
    file.close()
    return open_hdf5(path, rdcc_nbytes=cache, rdcc_nslots=_SLOTS)


def read_column(file, name, rows=slice(None)):
    """
    Read a data set of the layout, or some of its rows.

    Parameters
    ----------
    file : `h5py.File`
        Of `open_cutouts`.
    name : str
    rows : slice, optional

    Returns
    -------
    `~numpy.ndarray` (N, ...) or None
        Converted to the layout's unit, if an attribute ``unit`` names another; NaN, -1 or an empty text where unknown.
        None if there is no such data set.
    """
    if name not in file:
        return None
    dataset = file[name]
    try:
        values = dataset[rows]
        missing = _unwritten(file, name)
    except Exception as error:  # a damaged file raises errors of many classes
        raise OSError(
            f"{file.file.filename}: {name} cannot be read, the file is broken: {first_line(error)}"
        ) from error
    missing = None if missing is None else missing[rows]
    if name in _NAMES:
        return identifiers(_masked(values, missing))
    if name in _WHOLE_NUMBERS:
        return integers(_masked(values, missing))
    return _numbers(name, Column(_blanked(values, missing), unit=attribute(dataset, "unit")))


def _unwritten(file, name, *, wholly=False):
    """Rows that were never written: HDF5 looks at all of a data set, so this is asked once and not for each batch."""
    known = file.unwritten if isinstance(file, OpenFile) else {}
    if (name, wholly) not in known:
        known[name, wholly] = unwritten_rows(file[name], wholly=wholly)
    return known[name, wholly]


def _masked(values, missing):
    return values if missing is None else np.ma.MaskedArray(values, mask=missing)


def _blanked(values, missing):
    """Put NaN into the rows that were never written."""
    if missing is None or values.dtype.kind not in "fiub":
        return values
    blanked = values.astype(float)
    blanked[missing] = np.nan
    return blanked


def read_images(file, rows):
    """
    Read stamps of an open file.

    Parameters
    ----------
    file : `h5py.File`
        Of `open_cutouts`.
    rows : `~numpy.ndarray` (M,) of int
        In increasing order, for speed.

    Returns
    -------
    flux : `~numpy.ndarray` (M, 5, S, S) float32
        NaN in stamps that were never written, or cannot be read.
    absent : `~numpy.ndarray` (M,) of bool
        Whether a stamp is such a one.

    Warns
    -----
    AstropyUserWarning
        If stamps cannot be read, because the file is damaged.
    """
    images = file["images"]
    flux = np.empty((len(rows), *images.shape[1:]), dtype=np.float32)
    unwritten = _unwritten(file, "images", wholly=True)
    absent = np.zeros(len(rows), dtype=bool) if unwritten is None else unwritten[rows]
    half = np.empty(images.shape[1:], dtype=images.dtype) if images.dtype.itemsize == 2 else None
    broken = []
    for place, row in enumerate(rows):  # 7 times faster than h5py's fancy indexing
        if absent[place]:
            continue
        try:
            images.read_direct(flux[place] if half is None else half, np.s_[row])
            if half is not None:  # numpy converts it in a fraction of the time that HDF5 takes
                flux[place] = half
        except (OSError, RuntimeError) as error:
            broken.append((place, error))
    if broken:
        absent[[place for place, _ in broken]] = True
        told = f"{file.file.filename}: {len(broken)} of its images cannot be read, and count as missing"
        warnings.warn(f"{told}: {first_line(broken[0][1])}", AstropyUserWarning, stacklevel=3)
    flux[absent] = np.nan
    return flux, absent


def read_ebv(file):
    """
    Read E(B-V) of an open file, from the extinctions in ``e_bv``.

    Parameters
    ----------
    file : `h5py.File`

    Returns
    -------
    `~numpy.ndarray` (N,) float32
        NaN where unknown, or where the extinctions belong to no release of SDSS.
    """
    return ebv_from_extinction(read_column(file, "e_bv"), strict=False)


def is_simulated(file):
    """
    Read whether any stamp in an open file is simulated.

    Parameters
    ----------
    file : `h5py.File`

    Returns
    -------
    bool
    """
    simulated = attribute(file, "simulated")
    return str(simulated).lower() not in ("none", "false", "0", "0.0", "no", "")


def read_coord(file, rows=slice(None)):
    """
    Read the positions of the stamps in an open file, or of some.

    Parameters
    ----------
    file : `h5py.File`
    rows : slice, optional

    Returns
    -------
    `~astropy.coordinates.SkyCoord` (N,)
    """
    return icrs_from_degrees(read_column(file, "ra", rows), read_column(file, "dec", rows))
