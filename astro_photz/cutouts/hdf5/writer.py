# Licensed under a 3-clause BSD style license - see LICENSE
"""
HDF5 files of cutouts that one process writes, batch by batch, in the layout of `astro_photz.cutouts.hdf5.layout`.
"""

from contextlib import contextmanager
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import ArrayLike

from astro_photz.utils._checks import check_not_there
from astro_photz.utils._claims import claimed
from astro_photz.utils._files import aside, full_disk_told, take_room
from astro_photz.utils._types import PathLike

from .layout import ATTRIBUTES, MINIMUM_SIZE, in_place, open_cutouts, pixels, plain_columns

__all__ = ["CutoutWriter", "check_form", "keep_rows"]

_BLOCK = 1000  # stamps that are converted at once


class CutoutWriter:
    """
    Write cutouts to an HDF5 file batch by batch.

    The file takes its name when all N stamps are in it. Its room on the disk is reserved at the start.

    Parameters
    ----------
    path : str or path-like
    n : int
        Number of stamps that will be written.
    size : int, optional
        Side of a stamp (pixels).
    dtype : {'float16', 'float32'}, optional
        Type of the pixels.
    overwrite : bool, optional
        Replace a file that is there.
    attributes : dict, optional
        More attributes of the file.

    Raises
    ------
    FileExistsError
        If there is such a file and ``overwrite`` is not set. If it appears meanwhile, the stamps are in a file beside
        it, which the message names.
    BlockingIOError
        If another process is writing it.
    OSError
        If there is no room for it.
    ValueError
        On leaving, if fewer than ``n`` stamps were written.

    Examples
    --------
    >>> import numpy as np, tempfile, pathlib
    >>> from astro_photz import Cutouts
    >>> from astro_photz.cutouts import CutoutWriter
    >>> batch = Cutouts(np.zeros((2, 5, 64, 64)), ebv=0.02)
    >>> path = pathlib.Path(tempfile.mkdtemp()) / "stamps.h5"
    >>> with CutoutWriter(path, 4) as writer:
    ...     for _ in range(2):
    ...         writer.append(batch, specz_redshift=[0.1, 0.2])
    >>> len(Cutouts.read(path))
    4
    """

    def __init__(
        self,
        path: PathLike,
        n: int,
        *,
        size: int = MINIMUM_SIZE,
        dtype: str = "float16",
        overwrite: bool = False,
        attributes: dict[str, Any] | None = None,
    ):
        self.path = Path(path)
        self.n = n
        self.size = size
        self.dtype = np.dtype(dtype)
        self.attributes = attributes or {}
        check_form(size, dtype)
        self.overwrite = overwrite
        check_not_there(self.path, overwrite=overwrite)

    def __enter__(self):
        self._whole = self._laid_out()
        self._file = self._whole.__enter__()
        self._written = np.zeros(self.n, dtype=bool)
        self._columns = None
        return self

    @contextmanager
    def _laid_out(self):
        """Yield the file, laid out, under a name that it has until it is whole."""
        with full_disk_told(self.path), claimed(self.path), aside(self.path, overwrite=self.overwrite) as part:
            with h5py.File(part, "w") as file:
                shape = (self.n, 5, self.size, self.size)
                # A chunk a row, since training and prediction read whole stamps in any order.
                chunks = (1, *shape[1:]) if self.n else None
                file.create_dataset("images", shape, self.dtype, chunks=chunks, dcpl=in_place())
                file.attrs.update(ATTRIBUTES | self.attributes)
            take_room(part)
            with h5py.File(part, "r+") as file:
                yield file

    def append(self, cutouts: Any, **columns: ArrayLike) -> None:
        """
        Write the next stamps.

        Parameters
        ----------
        cutouts : `~astro_photz.Cutouts` (M,)
        **columns : array_like (M, ...), optional
            More data sets; the same ones in each call.
        """
        done = np.count_nonzero(self._written)
        self.write(np.arange(done, done + len(cutouts)), cutouts, **columns)

    def write(self, rows: np.ndarray, cutouts: Any, **columns: ArrayLike) -> None:
        """
        Write stamps to their places.

        Parameters
        ----------
        rows : `~numpy.ndarray` (M,) of int
            Rows of the file, in any order; each is written once.
        cutouts : `~astro_photz.Cutouts` (M,)
        **columns : array_like (M, ...), optional
            More data sets; the same ones in each call.

        Raises
        ------
        ValueError
            If the stamps do not fit into the file, or the calls are not alike.
        """
        rows = np.asarray(rows)
        if len(rows) and max(rows) >= self.n:
            raise ValueError(f"{self.path} was opened for {self.n} stamps; {max(rows) + 1} do not fit")
        if len(rows) != len(cutouts) or len(np.unique(rows)) < len(rows) or self._written[rows].any():
            raise ValueError(f"rows must be others than those written, one for each of the {len(cutouts)} stamps")
        if cutouts.size != self.size:
            raise ValueError(f"{self.path} was opened for stamps of {self.size} pixels, got {cutouts.size}")
        columns = cutouts.datasets() | plain_columns(columns)
        self._check(columns, len(cutouts))
        for start in range(0, len(rows), _BLOCK):  # converting takes memory of its own
            block = slice(start, start + _BLOCK)
            _put(self._file["images"], rows[block], pixels(cutouts.flux[block], self.dtype))
        for name, values in columns.items():
            _put(self._column(name, values), rows, values)
        if cutouts.simulated:
            self._file.attrs["simulated"] = True
        self._written[rows] = True

    def _check(self, columns, n):
        for name, values in columns.items():
            if values.shape[:1] != (n,):
                raise ValueError(f"{name} must have a row for each of the {n} stamps, got the shape {values.shape}")
        self._columns = columns.keys() if self._columns is None else self._columns
        if columns.keys() != self._columns:
            differing = ", ".join(sorted(columns.keys() ^ self._columns))
            raise ValueError(f"each call must give the same columns; in some but not in all of them: {differing}")

    def _column(self, name, values):
        if name not in self._file:
            dtype = h5py.string_dtype() if values.dtype.kind in "SUO" else values.dtype
            self._file.create_dataset(name, (self.n, *values.shape[1:]), dtype)
        dataset = self._file[name]
        if not np.can_cast(values.dtype, dataset.dtype, "same_kind"):
            raise ValueError(
                f"{name} was {dataset.dtype} in the first call and is {values.dtype}: give one type in all"
            )
        return dataset

    def __exit__(self, kind, error, traceback):
        done = np.count_nonzero(self._written)
        if kind is None and done != self.n:
            error = ValueError(f"{self.path} was opened for {self.n} stamps, but {done} were written")
            self._whole.__exit__(type(error), error, None)
            raise error
        return self._whole.__exit__(kind, error, traceback)


def check_form(size, dtype):
    """
    Refuse stamps that no file holds.

    Parameters
    ----------
    size : int
    dtype : str

    Raises
    ------
    ValueError
        If the stamps are too small, or their pixels have another type than float16 or float32.
    """
    if size < MINIMUM_SIZE:
        raise ValueError(f"size must be at least {MINIMUM_SIZE} pixels, what the models look at; got {size}")
    if dtype not in ("float16", "float32"):
        raise ValueError(f"dtype must be 'float16' or 'float32', got {dtype!r}")


def _put(dataset, rows, values):
    """Write values to rows of a data set; HDF5 wants them in order."""
    if not len(rows):
        return
    order = np.argsort(rows)
    first, last = rows[order[0]], rows[order[-1]]
    if last - first == len(rows) - 1:
        dataset[first : last + 1] = values[order]
    elif dataset.chunks is None:
        dataset[rows[order]] = values[order]
    else:
        for row, value in zip(rows[order], values[order], strict=True):  # 14 times faster, of images
            dataset[row] = value


def keep_rows(path, rows, source, *, overwrite=True):
    """
    Write a file with some of the rows of another.

    Parameters
    ----------
    path : path-like
        Replaced if it is there, unless ``overwrite`` is not set.
    rows : `~numpy.ndarray` (M,) of int
        Rows that stay.
    source : path-like
        The other file.
    overwrite : bool, optional
    """
    with aside(path, overwrite=overwrite) as part, open_cutouts(source) as file, h5py.File(part, "w") as kept:
        for name, values in file.items():
            shape = (len(rows), *values.shape[1:])
            dataset = kept.create_dataset(name, shape, values.dtype, chunks=values.chunks)
            if values.chunks is None:
                dataset[...] = values[()][rows]
            else:  # images, which need not fit into memory
                for place, row in enumerate(rows):
                    dataset[place] = values[row]
        kept.attrs.update(file.attrs)
