# Licensed under a 3-clause BSD style license - see LICENSE
"""
The HDF5 layout in which cutouts are exchanged: that of the data sets published with Hayat et al. (2021).

``images`` (N, 5, S, S) holds the fluxes (nanomaggies); ``e_bv`` (N, 5) is, against its name, the extinction A_ugriz
(mag) of SDSS DR12; ``ra``, ``dec`` (deg) and ``ObjID`` tell the galaxies. Data sets of our own follow, which readers
of the published layout pass over: ``target_xy``, ``psf_fwhm`` and the provenance of the frames. The attribute
``simulated`` says that images are.
"""

import errno
import os
from io import FileIO
from pathlib import Path

import h5py
import numpy as np
from astropy import units as u
from astropy.coordinates import SkyCoord
from astropy.table import Table

from ..dust import ebv_from_extinction, extinction_from_ebv
from ..sdss import BANDS, PIXEL_SCALE
from .container import MINIMUM_SIZE, PROVENANCE, Cutouts

__all__ = ["BlockWriter", "CutoutWriter", "open_cutouts", "plain_columns", "read_coord", "read_ids", "read_rows"]

_UNITS = {"specz_redshift": u.dimensionless_unscaled, "catalog_flux": u.nmgy, "catalog_radius": u.arcsec}
_SPELLINGS = dict.fromkeys(("nanomaggies", "nMgy"), u.nmgy)  # those of SDSS's files, which astropy does not know
_ATTRIBUTES = {"bands": "".join(BANDS), "unit": "nanomaggy", "pixel_scale_arcsec": PIXEL_SCALE}


class CutoutWriter:
    """
    Write cutouts to an HDF5 file batch by batch.

    The file is written aside, as ``path`` with ``.part`` behind, and takes its name when all N stamps are in it.

    Parameters
    ----------
    path : str or path-like
    n : int
        Number of stamps that will be written.
    size : int, optional
        Side of a stamp (pixels).
    dtype : {'float16', 'float32'}, optional
        Of the pixels.
    overwrite : bool, optional
        Replace a file that is there.
    attributes : dict, optional
        What else to note in the file.

    Raises
    ------
    FileExistsError
        If there is such a file and ``overwrite`` is not set.
    ValueError
        On leaving, if fewer stamps were written than said.

    Examples
    --------
    >>> import numpy as np, tempfile, pathlib
    >>> from astro_photz import Cutouts
    >>> from astro_photz.cutouts.hdf5 import CutoutWriter
    >>> batch = Cutouts(np.zeros((2, 5, 64, 64)), ebv=0.02)
    >>> path = pathlib.Path(tempfile.mkdtemp()) / "stamps.h5"
    >>> with CutoutWriter(path, 4) as writer:
    ...     for _ in range(2):
    ...         writer.append(batch, specz_redshift=[0.1, 0.2])
    >>> len(Cutouts.read(path))
    4
    """

    def __init__(self, path, n, *, size=MINIMUM_SIZE, dtype="float16", overwrite=False, attributes=None):
        self.path = Path(path)
        self.n = n
        self.size = size
        self.dtype = np.dtype(dtype)
        self.attributes = attributes or {}
        if self.dtype not in (np.float16, np.float32):
            raise ValueError(f"dtype must be 'float16' or 'float32', got {dtype!r}")
        if self.path.exists() and not overwrite:
            raise FileExistsError(f"{self.path} exists: choose another path, or set overwrite=True")

    def __enter__(self):
        self._part = self.path.with_name(self.path.name + ".part")
        self._file = h5py.File(self._part, "w")
        shape = (self.n, 5, self.size, self.size)
        # A chunk a row, since training and prediction read whole stamps in any order.
        self._file.create_dataset("images", shape, self.dtype, chunks=(1, *shape[1:]) if self.n else None)
        self._file.attrs.update(_ATTRIBUTES | self.attributes)
        self._done = 0
        return self

    def append(self, cutouts, **columns):
        """
        Write the next stamps.

        Parameters
        ----------
        cutouts : `~astro_photz.Cutouts` (M,)
        **columns : array_like (M, ...), optional
            More data sets; the same ones in each call.
        """
        rows = slice(self._done, self._done + len(cutouts))
        if rows.stop > self.n:
            raise ValueError(f"{self.path} was opened for {self.n} stamps; {rows.stop} do not fit")
        if cutouts.size != self.size:
            raise ValueError(f"{self.path} was opened for stamps of {self.size} pixels, got {cutouts.size}")
        columns = _columns(cutouts) | plain_columns(columns)
        self._check(columns, len(cutouts))
        self._file["images"][rows] = _pixels(cutouts.flux, self.dtype)
        for name, values in columns.items():
            self._column(name, values)[rows] = values
        if cutouts.simulated:
            self._file.attrs["simulated"] = True
        self._done = rows.stop

    def _check(self, columns, n):
        for name, values in columns.items():
            if values.shape[:1] != (n,):
                raise ValueError(f"{name} must have a row for each of the {n} stamps, got the shape {values.shape}")
        if self._done and columns.keys() != self._file.keys() - {"images"}:
            differing = ", ".join(sorted(columns.keys() ^ (self._file.keys() - {"images"})))
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
        self._file.close()
        if kind is not None or self._done != self.n:
            self._part.unlink()
        if kind is None:
            if self._done != self.n:
                raise ValueError(f"{self.path} was opened for {self.n} stamps, but {self._done} were written")
            os.replace(self._part, self.path)


class BlockWriter:
    """
    Write blocks of cutouts into an HDF5 file, in any order, from several processes at once.

    `create` lays the file out whole: every data set has its place from the start, and HDF5 has nothing left to write.
    Blocks then go to their places past HDF5. So a process that is killed leaves a file that is sound up to the blocks
    it was writing, and the bytes of a finished file do not depend on who wrote them, in what order or how often.

    Parameters
    ----------
    path : str or path-like
        A file made by `create`.

    Examples
    --------
    >>> import numpy as np, tempfile, pathlib
    >>> from astro_photz import Cutouts
    >>> from astro_photz.cutouts.hdf5 import BlockWriter
    >>> batch = Cutouts(np.zeros((2, 5, 64, 64)), ebv=0.02)
    >>> path = pathlib.Path(tempfile.mkdtemp()) / "stamps.h5"
    >>> BlockWriter.create(path, 4, like=batch, specz_redshift=np.zeros(2))
    >>> with BlockWriter(path) as writer:
    ...     for start in (2, 0):
    ...         writer.write(start, batch, specz_redshift=[0.1, 0.2])
    >>> len(Cutouts.read(path))
    4
    """

    def __init__(self, path):
        with open_cutouts(path) as file:
            self._places = {name: (_offset(dataset), dataset.dtype, dataset.shape) for name, dataset in file.items()}
        self._file = FileIO(path, "r+")

    @classmethod
    def create(cls, path, n, *, like, dtype="float16", attributes=None, **columns):
        """
        Lay out a file, and take its room on the disk.

        Parameters
        ----------
        path : str or path-like
            Where; a file that is there is replaced.
        n : int
            Number of stamps that will be written, at least 1.
        like : `~astro_photz.Cutouts` (M,)
            Stamps of the size and with the columns of those that will be written; nothing of them is.
        dtype : {'float16', 'float32'}, optional
            Of the pixels.
        attributes : dict, optional
            What else to note in the file.
        **columns : array_like (M, ...), optional
            More data sets.

        Raises
        ------
        OSError
            If it cannot be written, or there is no room for it. Nothing stays then.
        """
        path = Path(path)
        path.unlink(missing_ok=True)  # who still writes to the file that was there shall not write to this one
        images = np.empty((0, 5, like.size, like.size), dtype=dtype)
        data = {"images": images} | _columns(like) | plain_columns(columns)
        nbytes = n * sum(values.dtype.itemsize * int(np.prod(values.shape[1:])) for values in data.values())
        try:
            # Chunks of one size that are there from the start need no index since HDF5 1.10: they lie in a row.
            with h5py.File(path, "w", libver=("v110", "v110")) as file:
                for name, values in data.items():
                    shape = values.shape[1:]
                    chunks = (1, *shape) if name == "images" else None
                    file.create_dataset(name, (n, *shape), values.dtype, chunks=chunks, dcpl=_in_place())
                file.attrs.update(_ATTRIBUTES | (attributes or {}))
                if like.simulated:
                    file.attrs["simulated"] = True
            _take_room(path)
        except (OSError, RuntimeError) as error:
            path.unlink(missing_ok=True)
            reason = os.strerror(error.errno) if getattr(error, "errno", None) else error  # HDF5 says a page of it
            raise OSError(f"cannot lay out {path}, of {nbytes / 1e9:.3g} GB: {reason}") from error

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
            If the stamps are not such as the file was made for.
        """
        data = {"images": cutouts.flux} | _columns(cutouts) | plain_columns(columns)
        if data.keys() != self._places.keys():
            raise ValueError(f"the file has the columns {', '.join(self._places)}; got {', '.join(data)}")
        for name, values in data.items():
            offset, dtype, shape = self._places[name]
            values = _pixels(values, dtype) if name == "images" else values.astype(dtype)
            if values.shape != (len(cutouts), *shape[1:]) or start + len(values) > shape[0]:
                raise ValueError(f"{name} of the shape {values.shape} from row {start} on does not fit into {shape}")
            self._file.seek(offset + start * dtype.itemsize * int(np.prod(shape[1:])))
            _write_all(self._file, values)

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        self._file.close()


def _in_place():
    """Creation properties of a data set that has its place in the file from the start, and is not filled."""
    properties = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    properties.set_alloc_time(h5py.h5d.ALLOC_TIME_EARLY)
    properties.set_fill_time(h5py.h5d.FILL_TIME_NEVER)
    return properties


def _offset(dataset):
    """Where in its file the rows of a data set lie, one behind the other."""
    if dataset.chunks is None:
        return dataset.id.get_offset()
    row = dataset.dtype.itemsize * int(np.prod(dataset.chunks))
    first, last = (dataset.id.get_chunk_info(index).byte_offset for index in (0, len(dataset) - 1))
    if last - first != (len(dataset) - 1) * row:
        raise ValueError(f"the rows of {dataset.name} do not lie in a row: the file was not made by BlockWriter.create")
    return first


def _take_room(path):
    """Have the file system set the room aside now, so that a full disk is told before the work."""
    if not hasattr(os, "posix_fallocate"):
        return
    with open(path, "r+b") as file:
        try:
            os.posix_fallocate(file.fileno(), 0, os.fstat(file.fileno()).st_size)
        except OSError as error:
            if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
                raise
            # some file systems cannot; the work will show


def _write_all(file, values):
    left = memoryview(np.ascontiguousarray(values).reshape(-1).view(np.uint8))
    while left:
        left = left[file.write(left) :]


def _pixels(flux, dtype):
    # Of all that is in the sky, only a star of magnitude 10.5 in one pixel is too bright for float16.
    limit = np.finfo(dtype).max
    return np.clip(flux, -limit, limit).astype(dtype)


def _columns(cutouts):
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
        provenance=None if provenance["run"] is None else Table(provenance),
        flags=column("flags"),
        simulated=file.attrs.get("simulated", False),
    )


def _as_text(ids):
    """Names come out of HDF5 as bytes."""
    return np.char.decode(ids.astype(bytes), "utf-8") if ids is not None and ids.dtype.kind in "OS" else ids
