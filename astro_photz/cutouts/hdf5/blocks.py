# Licensed under a 3-clause BSD style license - see LICENSE
"""
HDF5 files of cutouts that several processes write at once, in blocks, or that a kill may not damage.

The layout is that of `astro_photz.cutouts.hdf5.layout`. This module puts the bytes in their places.
"""

import os
from io import FileIO
from pathlib import Path

import h5py
import numpy as np

from astro_photz.utils._files import aside, full_disk_told, take_room

from .layout import ATTRIBUTES, in_place, open_cutouts, pixels, plain_columns

__all__ = ["BlockWriter", "mark_simulated"]


class BlockWriter:
    """
    Write blocks of cutouts into an HDF5 file, in any order, from several processes at once.

    `create` lays out the whole file: every data set has its place from the start. Blocks are then written past HDF5. So
    a killed process damages no more than the blocks it was writing, and the bytes of a finished file do not depend on
    which process wrote them, in which order or how often.

    Parameters
    ----------
    path : str or path-like
        A file made by `create`.
    known : iterable of str, optional
        Names of the data sets that were written from the start.

    Examples
    --------
    >>> import numpy as np, tempfile, pathlib
    >>> from astro_photz import Cutouts
    >>> from astro_photz.cutouts.hdf5.blocks import BlockWriter
    >>> batch = Cutouts(np.zeros((2, 5, 64, 64)), ebv=0.02)
    >>> path = pathlib.Path(tempfile.mkdtemp()) / "stamps.h5"
    >>> BlockWriter.create(path, 4, like=batch, specz_redshift=np.zeros(2))
    >>> with BlockWriter(path) as writer:
    ...     for start in (2, 0):
    ...         writer.write(start, batch, specz_redshift=[0.1, 0.2])
    >>> len(Cutouts.read(path))
    4
    """

    def __init__(self, path, *, known=()):
        with open_cutouts(path) as file:
            self._places = {
                name: (_offset(dataset), dataset.dtype, dataset.shape)
                for name, dataset in file.items()
                if dataset.dtype.kind != "O"  # texts, which are written from the start
            }
        self._known = frozenset(known)
        self._file = FileIO(path, "r+")

    @classmethod
    def create(cls, path, n, *, like, dtype="float16", attributes=None, known=None, **columns):
        """
        Lay out a file, and reserve its room on the disk.

        Parameters
        ----------
        path : str or path-like
            A file that is there is replaced.
        n : int
            Number of stamps that will be written, at least 1.
        like : `~astro_photz.Cutouts` (M,)
            Cutouts of the size and with the columns of those that will be written.
        dtype : {'float16', 'float32'}, optional
            Of the pixels.
        attributes : dict, optional
            More attributes of the file.
        known : dict of `~numpy.ndarray` (N, ...), optional
            Data sets that are written from the start, in the place of those of ``like``; these may be texts.
        **columns : array_like (M, ...), optional
            More data sets.

        Raises
        ------
        OSError
            If it cannot be written, or there is no room for it. A file that was there stays then.
        ValueError
            If a column is not of numbers.
        """
        path, known = Path(path), known or {}
        images = np.empty((0, 5, like.size, like.size), dtype=dtype)
        data = {"images": images} | like.datasets() | plain_columns(columns)
        data = {name: values for name, values in data.items() if name not in known}
        for name, values in data.items():
            if values.dtype.kind in "SUO":
                raise ValueError(f"{name} must be numbers, got {values.dtype}: CutoutWriter writes texts")
        nbytes = n * sum(values.dtype.itemsize * int(np.prod(values.shape[1:])) for values in data.values())
        # A process that still writes to a file that was there does not write to this one.
        with full_disk_told(path, nbytes), aside(path) as part:
            with _new_file(part) as file:
                for name, values in known.items():
                    kind = h5py.string_dtype() if values.dtype.kind in "SUO" else values.dtype
                    file.create_dataset(name, values.shape, kind)[...] = values
                for name, values in data.items():
                    shape = values.shape[1:]
                    chunks = (1, *shape) if name == "images" else None
                    file.create_dataset(name, (n, *shape), values.dtype, chunks=chunks, dcpl=in_place())
                file.attrs.update(ATTRIBUTES | (attributes or {}))
                if like.simulated:
                    file.attrs["simulated"] = True
            take_room(part)

    def write(self, start, cutouts, **columns):
        """
        Write stamps to their places.

        Parameters
        ----------
        start : int
            Row of the first.
        cutouts : `~astro_photz.Cutouts` (M,)
        **columns : array_like (M, ...)
            The data sets that the file was made with.

        Raises
        ------
        ValueError
            If the stamps do not fit the file.
        """
        data = {"images": cutouts.flux} | cutouts.datasets() | plain_columns(columns)
        if data.keys() != self._places.keys():
            raise ValueError(f"the file has the columns {', '.join(self._places)}; got {', '.join(data)}")
        for name, values in data.items():
            offset, dtype, shape = self._places[name]
            values = pixels(values, dtype) if name == "images" else values.astype(dtype)
            if values.shape != (len(cutouts), *shape[1:]) or start + len(values) > shape[0]:
                raise ValueError(f"{name} of the shape {values.shape} from row {start} on does not fit into {shape}")
            self._file.seek(offset + start * dtype.itemsize * int(np.prod(shape[1:])))
            _write_all(self._file, values)

    def put(self, rows, cutouts):
        """
        Write stamps to any rows, but for what was known from the start.

        Parameters
        ----------
        rows : `~numpy.ndarray` (M,) of int
        cutouts : `~astro_photz.Cutouts` (M,)
        """
        data = {"images": cutouts.flux} | cutouts.datasets()
        order = np.argsort(rows)
        runs = np.split(order, 1 + np.flatnonzero(np.diff(rows[order]) != 1))
        for name in data.keys() & self._places.keys() - self._known:
            offset, dtype, shape = self._places[name]
            size = dtype.itemsize * int(np.prod(shape[1:]))
            for run in runs if len(rows) else ():
                values = pixels(data[name][run], dtype) if name == "images" else data[name][run].astype(dtype)
                self._file.seek(offset + int(rows[run[0]]) * size)
                _write_all(self._file, values)

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        self._file.close()


def mark_simulated(path):
    """
    Note in a file that some of its images are simulated.

    Parameters
    ----------
    path : path-like
    """
    with h5py.File(path, "r+", libver=("v110", "v110")) as file:
        if "simulated" not in file.attrs:
            file.attrs["simulated"] = True


def _new_file(path):
    """Make an HDF5 file whose bytes do not tell when that was, as they do with h5py before 3.16."""
    creation, access = (h5py.h5p.create(kind) for kind in (h5py.h5p.FILE_CREATE, h5py.h5p.FILE_ACCESS))
    creation.set_obj_track_times(False)
    # Chunks of one size that are there from the start need no index since HDF5 1.10: they lie in a row.
    access.set_libver_bounds(h5py.h5f.LIBVER_V110, h5py.h5f.LIBVER_V110)
    access.set_fclose_degree(h5py.h5f.CLOSE_STRONG)
    return h5py.File(h5py.h5f.create(os.fsencode(path), h5py.h5f.ACC_TRUNC, fcpl=creation, fapl=access))


def _offset(dataset):
    """Place in the file at which the rows of a data set begin, one behind the other."""
    if dataset.chunks is None:
        return dataset.id.get_offset()
    row = dataset.dtype.itemsize * int(np.prod(dataset.chunks))
    first, last = (dataset.id.get_chunk_info(index).byte_offset for index in (0, len(dataset) - 1))
    if last - first != (len(dataset) - 1) * row:
        raise ValueError(f"the rows of {dataset.name} do not lie in a row: the file was not made by BlockWriter.create")
    return first


def _write_all(file, values):
    left = memoryview(np.ascontiguousarray(values).reshape(-1).view(np.uint8))
    while left:
        left = left[file.write(left) :]
