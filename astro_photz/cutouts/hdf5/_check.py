# Licensed under a 3-clause BSD style license - see LICENSE
"""
The check of a file of cutouts when it is opened: behind it, every data set of the layout has the shape, the kind of
values and the unit that readers count on.
"""

import h5py
from astropy import units as u
from h5py import h5t

from astro_photz.sdss import BANDS
from astro_photz.utils._hdf5 import attribute, check_dataset, find, first_names, row_cost
from astro_photz.utils._units import parse_unit

__all__ = ["check_layout", "slow_chunks"]

_LARGEST = 2048  # pixels along a side of a stamp: a frame has no more
_FAST = 2**20  # bytes of a chunk that HDF5 keeps by itself


def check_layout(file, needs, *, rows, units, smallest):
    """
    Check a file of cutouts, by its description alone.

    Parameters
    ----------
    file : `h5py.File` or `h5py.Group`
    needs : sequence of str
        Data sets that must be there.
    rows : dict of tuple of int
        Shape of a row of each data set of the layout but ``images``.
    units : dict of `~astropy.units.Unit`
        Unit of each data set that has one.
    smallest : int
        Side of the smallest stamps (pixels).

    Raises
    ------
    ValueError
        If a data set is missing, or is not as the layout has it.
    """
    found = {name: find(file, name) for name in dict.fromkeys((*needs, "images", *rows))}
    missing = [name for name in needs if found[name] is None]
    if missing:
        raise ValueError(
            f"lacks the data set {', '.join(missing)}; it needs {', '.join(needs)} and has {first_names(file)}"
        )
    found = {name: item for name, item in found.items() if item is not None}
    for name, dataset in found.items():
        if name == "images":
            check_dataset(dataset, name, classes=(h5t.INTEGER, h5t.FLOAT))
        else:
            check_dataset(dataset, name)
        _check_unit(dataset, name, units.get(name))
    attribute(file, "simulated")  # raises, if it is neither true nor false
    if "images" in found:
        n = _check_images(found["images"], smallest)
        for name, row in rows.items():
            if name in found and found[name].shape != (n, *row):
                raise ValueError(
                    f"{name} must have the shape {(n, *row)}, a row for each of the images; got {found[name].shape}"
                )


def _check_images(images, smallest):
    shape = images.shape
    if len(shape) != 4 or shape[1] != len(BANDS) or shape[2] != shape[3] or not smallest <= shape[2] <= _LARGEST:
        raise ValueError(
            f"images must have the shape (N, 5, S, S) with S of {smallest} or more, {_LARGEST} at most: galaxies, the "
            f"bands ugriz, rows, columns; got {shape}{_remedy(shape)}"
        )
    return shape[0]


def _remedy(shape):
    channels_last = len(shape) == 4 and shape[3] == len(BANDS) and shape[1] == shape[2]
    return ". The bands come last: transpose the axes to (0, 3, 1, 2)" if channels_last else ""


def _check_unit(dataset, name, wanted):
    """Make sure that the unit of a data set, if it has one, converts; pixels must have the layout's itself."""
    try:
        said = attribute(dataset, "unit")
    except ValueError as error:
        raise ValueError(f"{name}: {error}") from error
    if said is None or wanted is None:
        return
    try:
        unit = parse_unit(said)
        fits = unit is None or (unit == wanted if name == "images" else unit.is_equivalent(wanted))
    except (ValueError, TypeError):
        fits = False
    if fits:
        return
    if name == "images":
        raise ValueError(
            f"images have the unit {said}: convert them to nanomaggies (a magnitude is 22.5 - 2.5 log10 of the flux)"
        )
    raise ValueError(f"{name} has the unit {said}, which does not convert to {wanted if wanted != u.one else 1}")


def slow_chunks(images):
    """
    Find the memory that HDF5 needs to unpack each chunk of the images once when rows are read one after the other.

    Parameters
    ----------
    images : `h5py.Dataset` (N, 5, S, S)

    Returns
    -------
    int or None
        Bytes; None if a chunk holds one row, or if chunks are small.
    """
    if not isinstance(images, h5py.Dataset) or images.chunks is None or images.chunks[0] == 1:
        return None
    cost = row_cost(images)
    return cost if cost > _FAST else None
