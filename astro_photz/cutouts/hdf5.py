# Licensed under a 3-clause BSD style license - see LICENSE
"""
The HDF5 layout in which cutouts are exchanged: that of the data sets published with Hayat et al. (2021).

``images`` (N, 5, S, S) holds the fluxes (nanomaggies); ``e_bv`` (N, 5) is, against its name, the extinction A_ugriz
(mag) of SDSS DR12; ``ra``, ``dec`` (deg) and ``ObjID`` tell the galaxies. Data sets of our own follow, which readers
of the published layout pass over: ``target_xy``, ``psf_fwhm`` and the provenance of the frames. The attribute
``simulated`` says that images are.
"""

from contextlib import contextmanager
from pathlib import Path

import h5py
import numpy as np
from astropy import units as u
from astropy.coordinates import SkyCoord
from astropy.table import Table

from .._files import aside, full_disk_told, take_room
from ..dust import ebv_from_extinction, extinction_from_ebv
from ..sdss import BANDS, PIXEL_SCALE
from .container import MINIMUM_SIZE, PROVENANCE, Cutouts

__all__ = [
    "ATTRIBUTES",
    "CutoutWriter",
    "columns_of",
    "in_place",
    "is_simulated",
    "keep_rows",
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
_BLOCK = 1000  # stamps that are converted at once


class CutoutWriter:
    """
    Write cutouts to an HDF5 file batch by batch.

    The file is written aside, and takes its name when all N stamps are in it. Its room on the disk is taken at the
    start.

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
    OSError
        If there is no room for it.
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
        self._whole = self._laid_out()
        self._file = self._whole.__enter__()
        self._written = np.zeros(self.n, dtype=bool)
        self._columns = None
        return self

    @contextmanager
    def _laid_out(self):
        """The file, until it is whole or given up."""
        with full_disk_told(self.path), aside(self.path) as part:
            with h5py.File(part, "w") as file:
                shape = (self.n, 5, self.size, self.size)
                # A chunk a row, since training and prediction read whole stamps in any order.
                chunks = (1, *shape[1:]) if self.n else None
                file.create_dataset("images", shape, self.dtype, chunks=chunks, dcpl=in_place())
                file.attrs.update(ATTRIBUTES | self.attributes)
            take_room(part)
            with h5py.File(part, "r+") as file:
                yield file

    def append(self, cutouts, **columns):
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

    def write(self, rows, cutouts, **columns):
        """
        Write stamps to their places.

        Parameters
        ----------
        rows : `~numpy.ndarray` (M,) of int
            Of the file, in any order; each is to be written once.
        cutouts : `~astro_photz.Cutouts` (M,)
        **columns : array_like (M, ...), optional
            More data sets; the same ones in each call.

        Raises
        ------
        ValueError
            If they do not fit into the file, or are not alike in all calls.
        """
        rows = np.asarray(rows)
        if len(rows) and max(rows) >= self.n:
            raise ValueError(f"{self.path} was opened for {self.n} stamps; {max(rows) + 1} do not fit")
        if len(rows) != len(cutouts) or len(np.unique(rows)) < len(rows) or self._written[rows].any():
            raise ValueError(f"rows must be others than those written, one for each of the {len(cutouts)} stamps")
        if cutouts.size != self.size:
            raise ValueError(f"{self.path} was opened for stamps of {self.size} pixels, got {cutouts.size}")
        columns = columns_of(cutouts) | plain_columns(columns)
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


def _put(dataset, rows, values):
    """Values to rows of a data set, which HDF5 takes in order."""
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
        provenance=None if provenance["run"] is None else Table(provenance),
        flags=column("flags"),
        simulated=is_simulated(file),
    )


def keep_rows(path, rows):
    """
    Leave rows out of a file, which is written anew.

    Parameters
    ----------
    path : path-like
    rows : `~numpy.ndarray` (M,) of int
        Those that stay.
    """
    with aside(path) as part, open_cutouts(path) as file, h5py.File(part, "w") as kept:
        for name, values in file.items():
            shape = (len(rows), *values.shape[1:])
            dataset = kept.create_dataset(name, shape, values.dtype, chunks=values.chunks)
            if values.chunks is None:
                dataset[...] = values[()][rows]
            else:  # images, which need not fit into memory
                for place, row in enumerate(rows):
                    dataset[place] = values[row]
        kept.attrs.update(file.attrs)


def _as_text(ids):
    """Names come out of HDF5 as bytes."""
    return np.char.decode(ids.astype(bytes), "utf-8") if ids is not None and ids.dtype.kind in "OS" else ids
