# Licensed under a 3-clause BSD style license - see LICENSE
"""
The galaxies of a file of cutouts as a table: all that the file knows of them, but not their images.
"""

import warnings

import h5py
import numpy as np
from astropy import units as u
from astropy.table import Column, Table
from astropy.utils.exceptions import AstropyUserWarning

from astro_photz.flags import PhotozFlag
from astro_photz.utils._arrays import identifiers
from astro_photz.utils._hdf5 import attribute, check_dataset, find, unwritten_rows
from astro_photz.utils._suggestions import first_line
from astro_photz.utils._units import parse_unit

from .layout import is_simulated, open_cutouts, read_column, read_ebv

__all__ = ["read_catalogue"]

# Columns in their order, by the names of the data sets: name, unit, description.
_COLUMNS = {
    "ObjID": ("ObjID", None, "identifier of the galaxy"),
    "ra": ("ra", u.deg, "right ascension (ICRS)"),
    "dec": ("dec", u.deg, "declination (ICRS)"),
    "e_bv": ("ebv", u.mag, "Galactic reddening E(B-V), SFD98 scale"),
    "specz_redshift": ("specz_redshift", None, "spectroscopic redshift"),
    "specz_redshift_err": ("specz_redshift_err", None, "error of the spectroscopic redshift"),
    "specObjID": ("specObjID", None, "identifier of the spectrum"),
    "flags": ("flags", None, "bits of PhotozFlag: what went wrong on the way to the image"),
    "target_xy": ("target_xy", u.pix, "column and row of the galaxy in its stamp, the first pixel's centre at 0"),
    "psf_fwhm": ("psf_fwhm", u.arcsec, "full width at half maximum of the point-spread function, ugriz"),
    "catalog_flux": ("catalog_flux", u.nmgy, "flux of the catalogue, ugriz"),
    "catalog_radius": ("catalog_radius", u.arcsec, "radius of the catalogue"),
    "data_release": ("data_release", None, "data release of SDSS"),
    "run": ("run", None, "run of the frame"),
    "rerun": ("rerun", None, "rerun of the frame"),
    "camcol": ("camcol", None, "camera column of the frame"),
    "field": ("field", None, "field of the frame"),
    "seed_index": ("seed_index", None, "number of the real galaxy behind a simulated one"),
}
_MOST_AXES = 2  # what has more is an image


def read_catalogue(path):
    """
    Read what a file of cutouts knows of its galaxies.

    Parameters
    ----------
    path : str or path-like
        An HDF5 file in the layout of `Cutouts.write <astro_photz.Cutouts.write>`.

    Returns
    -------
    `~astropy.table.Table` (N,)
        A column for each data set that has a number or a text, or a few of them, for each galaxy, under its name; but
        E(B-V) is ``ebv`` (N,), and not the extinctions that the file has as ``e_bv``. What is unknown is NaN, -1 or an
        empty text, a flag 0. Galaxies whose image was never written have the flag ``NO_IMAGE``. The meta tells
        ``simulated``, whether any image is, and ``stamp_size``, the side of a stamp (pixels).

    Raises
    ------
    OSError
        If there is no such file, it is not HDF5, or a column is damaged.
    ValueError
        If it has no images, or a data set of the layout has another shape, kind of values or unit.

    Warns
    -----
    AstropyUserWarning
        If a data set beyond the layout cannot be read, and is left out.

    Examples
    --------
    >>> import astro_photz
    >>> from astro_photz.cutouts.hdf5.catalogue import read_catalogue
    >>> table = read_catalogue(astro_photz.demo_path())
    >>> len(table), table["ebv"].unit, table.meta["simulated"]
    (24, Unit("mag"), True)
    """
    with open_cutouts(path, needs=("images",)) as file:
        images = file["images"]
        table = Table(meta={"simulated": is_simulated(file), "stamp_size": int(images.shape[-1])})
        for dataset, (name, unit, description) in _COLUMNS.items():
            if dataset in file:
                values = read_ebv(file) if dataset == "e_bv" else read_column(file, dataset)
                table[name] = Column(values, unit=unit, description=description)
        _flag_unwritten(table, images)
        for name, values in _others(file, len(images)):
            table[name] = values
    return table


def _flag_unwritten(table, images):
    """Mend flags that are unknown, and flag the rows whose image was never written."""
    absent = unwritten_rows(images, wholly=True)
    if "flags" not in table.colnames and absent is None:
        return
    found = np.maximum(table["flags"], 0) if "flags" in table.colnames else np.zeros(len(images), dtype=int)
    found = np.asarray(found, dtype=np.int32)
    if absent is not None:
        found[absent] |= int(PhotozFlag.NO_IMAGE)
    table["flags"] = Column(found, description=_COLUMNS["flags"][-1])


def _others(file, n):
    """Yield columns beyond the layout: data sets of n rows, by their names."""
    for name in file:
        if name in _COLUMNS or name == "images":
            continue
        try:
            dataset = find(file, name)
            if not isinstance(dataset, h5py.Dataset) or dataset.dtype.kind == "V":
                continue  # a group, or a table of its own
            check_dataset(dataset, name)
            if dataset.shape[:1] == (n,) and dataset.ndim <= _MOST_AXES:
                yield name, _column(dataset)
        except Exception as error:  # a damaged file raises errors of many classes
            told = f"{file.filename}: {name!a} is left out, {first_line(error)}"
            warnings.warn(told, AstropyUserWarning, stacklevel=3)


def _column(dataset):
    values = dataset[()]
    if values.dtype.kind in "OSU":
        return Column(identifiers(values))
    missing = unwritten_rows(dataset)
    if missing is not None and values.dtype.kind == "f":
        values[missing] = np.nan
    try:
        unit = parse_unit(attribute(dataset, "unit"))
    except ValueError:  # a word of the file's own
        unit = None
    return Column(values, unit=unit)
