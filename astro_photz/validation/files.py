# Licensed under a 3-clause BSD style license - see LICENSE
"""
The file of a validation: HDF5 with the numbers as JSON, the galaxies as a table, PDFs, and stamps.
"""

import json
import warnings
from functools import partial

import h5py
import numpy as np
from astropy.io.misc.hdf5 import read_table_hdf5, write_table_hdf5
from astropy.table import QTable

from astro_photz.cutouts.container import read_rows
from astro_photz.cutouts.hdf5.layout import ATTRIBUTES, is_simulated
from astro_photz.pdf import RedshiftPDF
from astro_photz.utils._checks import check_not_there
from astro_photz.utils._files import expanded, save
from astro_photz.utils._hdf5 import check_whole, open_hdf5
from astro_photz.utils._suggestions import first_line, shortened

__all__ = ["is_validation", "read_parts", "write_parts"]

_KIND, _FORM = "validation", 1
_NUMBERS = (
    *("sample", "overall", "errors", "unflagged", "unflagged_errors", "bins", "pit", "pit_ks_by_chance"),
    *("pit_ad_by_chance", "coverage"),
)
_NUMBER = float | int | None
_KINDS = dict.fromkeys(_NUMBERS, dict) | {"pit": list, "pit_ks_by_chance": _NUMBER, "pit_ad_by_chance": _NUMBER}
_COLUMNS = ("row", "redshift", "z_phot", "deviation", "used", "outlier")


def write_parts(validation, path, *, overwrite):
    """
    Write a validation.

    Parameters
    ----------
    validation : `~astro_photz.validation.Validation`
    path : str or path-like
    overwrite : bool

    Raises
    ------
    FileExistsError
        If there is such a file and ``overwrite`` is not set.
    FileNotFoundError
        If there is no such folder.
    """
    path = expanded(path)
    check_not_there(path, overwrite=overwrite)
    if not path.parent.is_dir():
        raise FileNotFoundError(f"no folder {path.parent}: make it first, or choose another path than {path}")
    save(path, partial(_write, validation), overwrite=overwrite)


def _write(validation, part):
    with h5py.File(part, "w") as file:
        file.attrs.update(kind=_KIND, form=_FORM)
        file["numbers"] = json.dumps({name: getattr(validation, name) for name in _NUMBERS})
        if validation.pdf is not None:
            _write_pdf(file.create_group("pdf"), validation.pdf)
        if validation.stamps is not None:
            _write_stamps(file.create_group("stamps"), validation.stamps)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of attributes that are kept by serialize_meta
            write_table_hdf5(validation.galaxies, file, "galaxies", serialize_meta=True)


def _write_pdf(group, pdf):
    group.create_dataset("p", data=pdf.p.astype(np.float32), compression="gzip", compression_opts=1)
    group["edges"] = pdf.edges


def _write_stamps(group, stamps):
    group["images"] = stamps.flux
    for name, values in stamps.datasets().items():
        group[name] = values
    group.attrs.update(ATTRIBUTES | {"simulated": stamps.simulated})


def is_validation(path):
    """
    Tell whether a path is the file of a validation.

    Parameters
    ----------
    path : `~pathlib.Path`

    Returns
    -------
    bool
    """
    if not path.is_file() or not h5py.is_hdf5(path):
        return False
    try:
        with open_hdf5(path) as file:
            return _is_of_kind(file)
    except (OSError, RuntimeError, KeyError):  # h5py's, of broken files
        return False


def read_parts(path):
    """
    Read the parts of a validation.

    Parameters
    ----------
    path : str or path-like

    Returns
    -------
    dict
        By the names of its fields.

    Raises
    ------
    OSError
        If there is no such file, or it is not HDF5.
    ValueError
        If it is not a validation, is broken, or of a later form.
    """
    path = expanded(path)
    if not path.is_file():
        raise FileNotFoundError(f"no file {path}")
    if not h5py.is_hdf5(path):
        raise OSError(f"{path} is not an HDF5 file")
    try:
        with open_hdf5(path) as file:
            _check_kind(path, file)
            check_whole(file)
            return _parts(file)
    except _Unfit as error:
        raise ValueError(str(error)) from None
    except MemoryError:
        raise
    except Exception as error:  # h5py, json and astropy have errors of their own for broken files
        raise ValueError(f"{path} is a broken validation, or cut short: {first_line(error)}") from error


class _Unfit(Exception):
    """A file of another kind."""


def _check_kind(path, file):
    if not _is_of_kind(file):
        raise _Unfit(f"{path} is not a validation, as Validation.write makes it")
    form = file.attrs["form"]
    if not isinstance(form, np.integer) or form < 1:
        raise _Unfit(f"{path} is a broken validation: its form is {shortened(form)}")
    if form > _FORM:
        raise _Unfit(f"{path} was written by a later version of astro-photz: update it")


def _is_of_kind(file):
    return isinstance(kind := file.attrs.get("kind"), str) and kind == _KIND


def _parts(file):
    parts = json.loads(file["numbers"][()])
    for name, kinds in _KINDS.items():
        if name not in parts or not isinstance(parts[name], kinds):
            raise ValueError(f"its {name} is {shortened(parts.get(name))}")
    parts = {name: parts[name] for name in _NUMBERS}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of a broken description of the columns
        parts["galaxies"] = QTable(read_table_hdf5(file, "galaxies"))
    if missing := [name for name in _COLUMNS if name not in parts["galaxies"].colnames]:
        raise ValueError(f"its galaxies lack {', '.join(missing)}")
    if "pdf" in file:
        parts["pdf"] = RedshiftPDF(file["pdf/p"][()], file["pdf/edges"][()])
    if "stamps" in file:
        group = file["stamps"]
        parts["stamps"] = read_rows(group, np.arange(len(group["images"])))
        parts["stamps"].simulated = is_simulated(group)
    return parts
