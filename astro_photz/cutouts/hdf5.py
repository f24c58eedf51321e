# Licensed under a 3-clause BSD style license - see LICENSE
"""
The HDF5 layout in which cutouts are exchanged: that of the data sets published with Hayat et al. (2021).

``images`` (N, 5, S, S) holds the fluxes (nanomaggies); ``e_bv`` (N, 5) is, against its name, the extinction A_ugriz
(mag) of SDSS DR12; ``ra``, ``dec`` (deg) and ``ObjID`` tell the galaxies. Data sets of our own follow, which readers
of the published layout pass over: ``target_xy``, ``psf_fwhm`` and the provenance of the frames. The attribute
``simulated`` says that images are.
"""

from pathlib import Path

import h5py
import numpy as np
from astropy import units as u
from astropy.coordinates import SkyCoord
from astropy.table import Table

from ..dust import ebv_from_extinction, extinction_from_ebv
from ..sdss import BANDS, PIXEL_SCALE
from .container import PROVENANCE, Cutouts

__all__ = [
    "ATTRIBUTES",
    "columns_of",
    "in_place",
    "is_simulated",
    "open_cutouts",
    "pixels",
    "plain_columns",
    "read_coord",
    "read_ids",
    "read_rows",
]

_UNITS = {"specz_redshift": u.dimensionless_unscaled, "catalog_flux": u.nmgy, "catalog_radius": u.arcsec}
_SPELLINGS = dict.fromkeys(("nanomaggies", "nMgy"), u.nmgy)  # those of SDSS's files, which astropy does not know
ATTRIBUTES = {"bands": "".join(BANDS), "unit": "nanomaggy", "pixel_scale_arcsec": PIXEL_SCALE}
"""What each file says of its images."""


def in_place():
    """
    How a data set is made that has its place in the file from the start, and is not filled.

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
    Fluxes as a file has them.

    Parameters
    ----------
    flux : `~numpy.ndarray`
        Flux (nanomaggies).
    dtype : `~numpy.dtype`
        Of the pixels in the file.

    Returns
    -------
    `~numpy.ndarray`
    """
    # Of all that is in the sky, only a star of magnitude 10.5 in one pixel is too bright for float16.
    limit = np.finfo(dtype).max
    return np.clip(flux, -limit, limit).astype(dtype)


def columns_of(cutouts):
    """
    What a file has of stamps besides their pixels.

    Parameters
    ----------
    cutouts : `~astro_photz.Cutouts` (N,)

    Returns
    -------
    dict of `~numpy.ndarray` (N, ...)
        By the names of the data sets.
    """
    columns = {
        "e_bv": extinction_from_ebv(cutouts.ebv, coefficients="DR12"),
        "ObjID": cutouts.ids,
        "target_xy": cutouts.target_xy,
        "psf_fwhm": cutouts.psf_fwhm,
        "flags": cutouts.flags,
    }
    if cutouts.coord is not None:
        icrs = cutouts.coord.icrs
        columns |= {"ra": icrs.ra.deg, "dec": icrs.dec.deg}
    columns |= {name: cutouts.provenance[name] for name in PROVENANCE}
    return {name: np.asarray(values) for name, values in columns.items()}


def plain_columns(columns):
    """
    Columns as a file has them: in the units of the layout, with NaN where they are masked.

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
        If a unit does not convert to the layout's, or there is no number to stand for a masked value.
    """
    return {name: _plain(name, values) for name, values in columns.items()}


def _plain(name, values):
    values = np.asanyarray(values)  # a column of pandas has a mask too, which is something else
    unit, mask = getattr(values, "unit", None), getattr(values, "mask", False)
    plain = np.asarray(np.ma.getdata(getattr(values, "unmasked", values)))
    if unit and name in _UNITS:
        try:
            with u.add_enabled_aliases(_SPELLINGS):
                plain = u.Quantity(plain, u.Unit(str(unit))).to_value(_UNITS[name])
        except (ValueError, TypeError):  # of astropy's, also where it does not know the unit
            raise ValueError(f"{name} has the unit {unit}, which does not convert to {_UNITS[name] or 1}") from None
    if not np.any(mask):
        return plain
    if plain.dtype.kind != "f":
        raise ValueError(f"{name} has masked values, and {plain.dtype} has nothing to say so with: fill them")
    return np.where(mask, np.nan, plain).astype(plain.dtype)


def open_cutouts(path, *, needs=("images", "e_bv")):
    """
    Open an HDF5 file of cutouts for reading.

    Parameters
    ----------
    path : str or path-like
    needs : sequence of str, optional
        Data sets without which the file is of no use.

    Returns
    -------
    `h5py.File`

    Raises
    ------
    OSError
        If there is no such file, or it is not HDF5.
    ValueError
        If a data set is not there.
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
    return file


def is_simulated(file):
    """
    Whether any stamp in an open file is simulated.

    Parameters
    ----------
    file : `h5py.File`

    Returns
    -------
    bool
    """
    return bool(file.attrs.get("simulated", False))


def read_coord(file):
    """
    Positions of the stamps in an open file.

    Parameters
    ----------
    file : `h5py.File`

    Returns
    -------
    `~astropy.coordinates.SkyCoord` (N,)
    """
    return SkyCoord(file["ra"][()], file["dec"][()], unit=u.deg)


def read_ids(file):
    """
    Names or numbers of the stamps in an open file.

    Parameters
    ----------
    file : `h5py.File`

    Returns
    -------
    `~numpy.ndarray` (N,) or None
    """
    return _as_text(file["ObjID"][()]) if "ObjID" in file else None


def read_rows(file, rows):
    """
    Read some stamps of an open file.

    Parameters
    ----------
    file : `h5py.File`
        Of `open_cutouts`.
    rows : `~numpy.ndarray` (M,) of int
        In increasing order, for speed.

    Returns
    -------
    `~astro_photz.Cutouts` (M,)
    """
    images = file["images"]
    flux = np.empty((len(rows), *images.shape[1:]), dtype=np.float32)
    for stamp, row in zip(flux, rows, strict=True):  # 7 times faster than h5py's fancy indexing
        images.read_direct(stamp, np.s_[row])

    # The columns are read as one slab, around the rows: for a batch of a large file, that is little more than the rows.
    first, last = (rows.min(), rows.max() + 1) if len(rows) else (0, 0)

    def column(name):
        return file[name][first:last][rows - first] if name in file else None

    provenance = {name: column(name) for name in PROVENANCE}
    has_coord = "ra" in file and "dec" in file
    return Cutouts(
        flux,
        ebv=ebv_from_extinction(column("e_bv")),
        coord=SkyCoord(column("ra"), column("dec"), unit=u.deg) if has_coord else None,
        ids=_as_text(column("ObjID")),
        target_xy=column("target_xy"),
        psf_fwhm=column("psf_fwhm"),
        provenance=None if any(values is None for values in provenance.values()) else Table(provenance),
        flags=column("flags"),
        simulated=is_simulated(file),
    )


def _as_text(ids):
    """Names come out of HDF5 as bytes."""
    return np.char.decode(ids.astype(bytes), "utf-8") if ids is not None and ids.dtype.kind in "OS" else ids
