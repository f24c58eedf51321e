# Licensed under a 3-clause BSD style license - see LICENSE
"""
The HDF5 layout in which cutouts are exchanged: that of the data sets published with Hayat et al. (2021).

``images`` (N, 5, S, S) holds the fluxes (nanomaggies). ``e_bv`` (N, 5) is, against its name, the extinction A_ugriz
(mag) of SDSS DR12. ``ra``, ``dec`` (deg) and ``ObjID`` identify the galaxies. Our own data sets, which readers of the
published layout ignore, are ``target_xy``, ``psf_fwhm``, ``flags`` and the provenance of the frames. The attribute
``simulated`` marks files with images that are not real.
"""

from pathlib import Path

import h5py
import numpy as np
from astropy import units as u
from astropy.table import Column

from astro_photz.dust import ebv_from_extinction
from astro_photz.sdss import BANDS, PIXEL_SCALE
from astro_photz.utils._arrays import POSITIVE_SENTINELS, SENTINELS, identifiers, integers, numbers, values_and_mask
from astro_photz.utils._sky import icrs_from_degrees
from astro_photz.utils._units import parse_unit

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
    with h5py.File(path) as file:
        return name in file


def open_cutouts(path, *, needs=("images", "e_bv")):
    """
    Open an HDF5 file of cutouts for reading.

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
        If a data set is missing, or one of the layout has another shape.
    """
    if not Path(path).is_file():
        raise FileNotFoundError(f"no file {path}")
    try:
        file = h5py.File(path, "r")
    except OSError as error:
        raise OSError(f"{path} is not an HDF5 file: {error}") from error
    missing = [name for name in needs if name not in file]
    if missing:
        found = ", ".join(file) or "none"
        file.close()
        raise ValueError(f"{path} lacks the data set {', '.join(missing)}; it needs {', '.join(needs)} and has {found}")
    try:
        _check_shapes(path, file)
    except ValueError:
        file.close()
        raise
    return file


def _check_shapes(path, file):
    """Make sure that each data set of the layout has a row, of its shape, for each image."""
    for name in ("images", *_ROWS):
        if name in file and (not isinstance(file[name], h5py.Dataset) or file[name].shape is None):
            raise ValueError(f"{path}: {name} must be a data set with values, got {type(file[name]).__name__}")
    if "images" not in file:
        return
    if file["images"].dtype.kind not in "fiu":
        raise ValueError(f"{path}: images must be real numbers, got {file['images'].dtype}")
    _check_unit(path, file["images"])
    shape = file["images"].shape
    if len(shape) != 4 or shape[1] != len(BANDS) or shape[2] != shape[3] or shape[2] < MINIMUM_SIZE:
        raise ValueError(
            f"{path}: images must have the shape (N, 5, S, S) with S of {MINIMUM_SIZE} or more: galaxies, the bands "
            f"ugriz, rows, columns; got {shape}{_remedy(shape)}"
        )
    for name, row in _ROWS.items():
        wanted = (shape[0], *row)
        if name in file and file[name].shape != wanted:
            raise ValueError(
                f"{path}: {name} must have the shape {wanted}, a row for each of the images; got {file[name].shape}"
            )


def _check_unit(path, images):
    try:
        unit = parse_unit(_attribute(images, "unit"))
    except ValueError:
        unit = u.m
    if unit is not None and unit != u.nmgy:
        raise ValueError(
            f"{path}: images have the unit {_attribute(images, 'unit')}: convert them to nanomaggies (a magnitude is "
            "22.5 - 2.5 log10 of the flux)"
        )


def _attribute(item, name):
    """Text of an attribute, None if it is not there."""
    value = item.attrs.get(name)
    value = value.ravel()[0] if isinstance(value, np.ndarray) and value.size else value
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else value


def _remedy(shape):
    channels_last = len(shape) == 4 and shape[3] == len(BANDS) and shape[1] == shape[2]
    return ". The bands come last: transpose the axes to (0, 3, 1, 2)" if channels_last else ""


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
    values = dataset[rows]
    if name in _NAMES:
        return identifiers(values)
    if name in _WHOLE_NUMBERS:
        return integers(values)
    return _numbers(name, Column(values, unit=_attribute(dataset, "unit")))


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
    simulated = file.attrs.get("simulated", False)
    return str(simulated).lower() not in ("false", "0", "no", "")


def read_coord(file):
    """
    Read the positions of the stamps in an open file.

    Parameters
    ----------
    file : `h5py.File`

    Returns
    -------
    `~astropy.coordinates.SkyCoord` (N,)
    """
    return icrs_from_degrees(read_column(file, "ra"), read_column(file, "dec"))
