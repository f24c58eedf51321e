# Licensed under a 3-clause BSD style license - see LICENSE
"""
The images of an HDF5 file, read row by row in any order.

Where the rows lie in the file as they are, uncompressed, the file is mapped into memory and HDF5 is passed by.
"""

import os

import numpy as np

from astro_photz.cutouts.hdf5.layout import open_cutouts

__all__ = ["StoredImages"]


class StoredImages:
    """
    The images of a file, which any process can read.

    Parameters
    ----------
    path : path-like
    dataset : `h5py.Dataset` (N, 5, S, S)
        The images of that file.
    """

    def __init__(self, path, dataset):
        self.path = path
        self.shape = dataset.shape[1:]
        self.dtype = dataset.dtype
        self._offsets = _offsets(dataset)
        self._process = self._opened = None

    @property
    def mapped(self):
        """True if the file is mapped into memory, bool."""
        return self._offsets is not None

    def read(self, rows):
        """Read rows, given in any order, in the order of the file."""
        images = np.empty((len(rows), *self.shape), dtype=self.dtype.newbyteorder("="))
        source = self._source()
        for place in np.argsort(rows):
            if self.mapped:
                images[place] = self._row(source, rows[place])
            else:
                source.read_direct(images[place : place + 1], np.s_[rows[place] : rows[place] + 1])
        return images

    def centres(self, rows):
        """Read the central pixels of each row (N, 5, 4, 4)."""
        source, middle = self._source(), self.shape[-1] // 2
        part = np.s_[..., middle - 2 : middle + 2, middle - 2 : middle + 2]
        if not self.mapped:
            return source[part][rows]
        return np.array([self._row(source, row)[part] for row in rows])

    def _row(self, source, row):
        return np.ndarray(self.shape, self.dtype, source, self._offsets[row])

    def _source(self):
        """The map of the file, or the open data set: each process has its own."""
        if self._process != os.getpid():
            self._opened = np.memmap(self.path, np.uint8, "r") if self.mapped else open_cutouts(self.path)["images"]
            self._process = os.getpid()
        return self._opened

    def __getstate__(self):
        return self.__dict__ | {"_process": None, "_opened": None}


def _offsets(dataset):
    """Places in the file where the rows of a data set begin (N,), or None if rows are not stored as they are."""
    row = dataset.dtype.itemsize * int(np.prod(dataset.shape[1:]))
    if dataset.chunks is None:
        start = dataset.id.get_offset()
        return None if start is None else start + row * np.arange(len(dataset))
    whole_rows = dataset.chunks == (1, *dataset.shape[1:])
    if not whole_rows or dataset.id.get_create_plist().get_nfilters():
        return None
    places = {}
    dataset.id.chunk_iter(lambda chunk: places.__setitem__(chunk.chunk_offset[0], chunk.byte_offset))
    if len(places) < len(dataset):  # some were never written
        return None
    return np.array([places[row] for row in range(len(dataset))])
