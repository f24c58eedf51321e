# Licensed under a 3-clause BSD style license - see LICENSE
"""
Convert any container of galaxies to a table, and back to a DataFrame of pandas.
"""

import os
import sys
import warnings

import numpy as np
from astropy import units as u
from astropy.coordinates import BaseCoordinateFrame, SkyCoord
from astropy.io import fits
from astropy.table import Column, MaskedColumn, QTable, Row, Table, vstack
from astropy.utils.exceptions import AstropyUserWarning

from astro_photz.utils._arrays import values_and_mask
from astro_photz.utils._files import expanded
from astro_photz.utils._sky import direction_of

__all__ = ["as_table", "frame_with", "is_frame"]

_KINDS = (
    "an astropy Table, QTable or Row, a SkyCoord or a list of them, a pandas DataFrame, a dict of columns or the path "
    "of a table"
)


def as_table(data):
    """
    Make a table of galaxies.

    Parameters
    ----------
    data : table-like
        A Table, QTable or Row, a SkyCoord (scalar or array) or a list of them, a pandas DataFrame, a dict of columns, a
        list of dicts, a structured array, a FITS table, or the path of a table.

    Returns
    -------
    `~astropy.table.Table` or `~astropy.table.QTable`
        The same object for a Table, a Table for a Row or a DataFrame, a QTable for anything else. A SkyCoord becomes
        the column ``coord``.

    Raises
    ------
    TypeError
        If ``data`` is of another kind; the message lists the possible ones.
    ValueError
        If its columns are not those of a table.

    Warns
    -----
    AstropyUserWarning
        If a DataFrame has several columns of one name.

    Examples
    --------
    >>> from astro_photz.tables.inputs import as_table
    >>> as_table({"ra": [150.1, 150.2], "dec": [2.1, 2.2]}).colnames
    ['ra', 'dec']
    """
    if isinstance(data, Table):
        return data
    if isinstance(data, Row):
        return data.table[data.index : data.index + 1]
    if isinstance(data, BaseCoordinateFrame) and data.has_data:
        data = SkyCoord(data)
    if isinstance(data, SkyCoord):
        return _of_skycoord(data)
    if is_frame(data):
        return _of_frame(data)
    if isinstance(data, str | os.PathLike):
        from . import read_table

        return _with_units(read_table(expanded(data)))
    if isinstance(data, dict):
        return _of_dict(data)
    if isinstance(data, fits.BinTableHDU | fits.TableHDU):
        return QTable(Table.read(data))
    if isinstance(data, fits.FITS_rec):  # it has units and null values
        return QTable(Table.read(fits.BinTableHDU(data)))
    if isinstance(data, np.ndarray | np.void) and data.dtype.names:
        return QTable(np.atleast_1d(data))
    if isinstance(data, list | tuple) and len(data):
        if all(isinstance(one, SkyCoord | BaseCoordinateFrame) for one in data):
            return _of_skycoords(list(map(SkyCoord, data)))
        if all(isinstance(one, dict) for one in data):
            return QTable(rows=list(data))
        if all(isinstance(one, Row) for one in data):
            return vstack([as_table(one) for one in data], metadata_conflicts="silent")
    raise TypeError(f"data must be {_KINDS}; got {type(data).__name__}. {_remedy(data)}")


def is_frame(data):
    """
    Check whether an object is a DataFrame of pandas, without importing pandas.

    Parameters
    ----------
    data : object

    Returns
    -------
    bool
    """
    pandas = sys.modules.get("pandas")
    return pandas is not None and isinstance(data, pandas.DataFrame)


def frame_with(frame, columns, *, prefix, record):
    """
    Add columns to a DataFrame of pandas.

    Parameters
    ----------
    frame : `pandas.DataFrame` (N,)
        It stays as it is.
    columns : dict of `~astropy.table.MaskedColumn` (N, ...)
    prefix : str
        Name of the record in ``attrs``.
    record : dict
        What made the columns.

    Returns
    -------
    `pandas.DataFrame` (N,)
        With the same index and columns, NaN where a number is masked, and an array in each row of a column of arrays,
        or None.
    """
    result = frame.copy()
    for name, column in columns.items():
        values = column.filled(np.nan) if column.dtype.kind == "f" else np.asarray(column)
        if values.ndim > 1:
            arrays = np.empty(len(values), dtype=object)
            gone = np.ma.getmaskarray(column).all(axis=1)
            arrays[:] = [None if none else row for row, none in zip(values, gone, strict=True)]
            values = arrays
        result[name] = values
    result.attrs[prefix] = record
    return result


def _with_units(table):
    """A QTable; text with a unit, such as sexagesimal angles, stays a column."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", AstropyUserWarning)
        return QTable(table)


def _of_skycoord(coord):
    if coord.ndim > 1:
        raise ValueError(
            f"data must be a SkyCoord with one axis, a position for each galaxy; got the shape {coord.shape}: give "
            "data.ravel(), or one column of it"
        )
    return QTable({"coord": coord.reshape(-1)})


def _of_skycoords(coords):
    places = [direction_of(coord) for coord in coords]
    ra, dec = (np.concatenate([getattr(place, name).deg for place in places]) for name in ("ra", "dec"))
    return QTable({"coord": SkyCoord(ra, dec, unit="deg")})


def _of_dict(columns):
    if columns and all(_is_single(values) for values in columns.values()):  # one galaxy
        columns = {
            name: value.reshape(1) if isinstance(value, SkyCoord) else [value] for name, value in columns.items()
        }
    try:
        return QTable({str(name): _column(values) for name, values in columns.items()})
    except (TypeError, ValueError) as error:  # a number for a column is a TypeError
        lengths = ", ".join(f"{name}: {_length(values)}" for name, values in columns.items())
        raise ValueError(f"data must be a dict of columns of one length; got {lengths} ({error})") from error


def _length(values):
    return len(values) if isinstance(values, list | tuple) else np.size(values)


def _is_single(value):
    if isinstance(value, list | tuple):
        return False
    return value.isscalar if isinstance(value, SkyCoord) else np.ndim(value) == 0


def _column(values):
    """A column for astropy; masked if it comes from pandas or has None in it."""
    if hasattr(values, "isna") or (isinstance(values, list) and any(value is None for value in values)):
        return _masked(*values_and_mask(np.array(values, dtype=object) if isinstance(values, list) else values))
    if isinstance(values, list) and any(isinstance(value, u.Quantity) for value in values):
        return u.Quantity(values)
    return values


def _masked(plain, mask):
    if plain.dtype.kind == "O":
        mask = mask | np.array([value is None for value in plain], dtype=bool)
    return MaskedColumn(plain, mask=mask) if mask.any() else Column(plain)


def _of_frame(frame):
    if frame.columns.nlevels > 1:
        raise ValueError(
            "data has columns of several levels: give them one name each, "
            'data.columns = ["_".join(map(str, names)) for names in data.columns]'
        )
    table, twice = Table(), []
    for place, name in enumerate(map(str, frame.columns)):
        if name in table.colnames:
            twice.append(name)
            name = f"{name}_{place + 1}"
        table[name] = _masked(*values_and_mask(frame.iloc[:, place]))
    if twice:
        warnings.warn(
            f"data has several columns of the name {', '.join(map(repr, twice))}: the first is taken",
            AstropyUserWarning,
            stacklevel=3,
        )
    return table


def _remedy(data):
    """Advice on making a table of an object of another kind."""
    module = type(data).__module__.partition(".")[0]
    if module in ("polars", "pyarrow"):
        return "Give data.to_pandas()."
    if module in ("dask", "lsdb", "nested_pandas", "hats"):
        return "Map the call over its partitions: data.map_partitions(astro_photz.predict, ...)."
    if module == "pandas":
        return "Give a frame: data.to_frame().T, for a row."
    if isinstance(data, fits.HDUList):
        return "Give the table in it: Table.read(data)."
    if module == "h5py":
        return "Give its path, or Cutouts.read(path)."
    if data is None:
        return "Nothing came: a method that works in place gives None."
    if isinstance(data, type):
        return "That is the class: make an object of it."
    if _is_pairs(data):
        return 'Numbers become positions by SkyCoord(ra, dec, unit="deg"), with ra = data[:, 0], say.'
    if isinstance(data, list | tuple):
        return 'Positions become one by SkyCoord(ra, dec, unit="deg"), columns by Table({"ra": ..., "dec": ...}).'
    return 'Make a Table({"ra": ..., "dec": ...}) of it.'


def _is_pairs(data):
    try:
        values = np.asarray(data, dtype=float)
    except (TypeError, ValueError):
        return False
    return values.ndim in (1, 2) and values.size > 0
