# Licensed under a 3-clause BSD style license - see LICENSE
"""
Stamps of an HDF5 file, in the layout of the published data sets, as torch tensors.

Where the images lie in the file as they are, uncompressed, `Stamps` maps the file into memory and reads past HDF5;
float16 pixels stay so until they are on the device that trains.

`check_stamps` finds what could not be trained on, before the training begins.
"""

import os
from pathlib import Path

import numpy as np

from astro_photz.cutouts.hdf5.dataset import read_groups
from astro_photz.cutouts.hdf5.layout import open_cutouts, read_column, read_ebv
from astro_photz.cutouts.missing import impossible, missing_pixels
from astro_photz.sdss import BANDS
from astro_photz.train._torch import torch

__all__ = ["Stamps", "check_pixels", "check_stamps"]

_R = BANDS.index("r")
_CATALOG = ("catalog_flux", "catalog_radius")


class Stamps(torch.utils.data.Dataset):
    """
    Stamps of a file, with or without their redshifts.

    Parameters
    ----------
    path : str or path-like
        HDF5 file in the layout of the published data sets, with ``images``, ``e_bv`` and, if labelled,
        ``specz_redshift``.
    labelled : bool, optional
        Whether the redshifts are wanted.
    photometry : bool, optional
        Whether a catalogue's photometry is wanted, the file's ``catalog_flux`` (N, 5), total flux in *ugriz*
        (nanomaggies, as observed), and ``catalog_radius`` (N,), that holds half of the light in *r* (arcsec).
    n : int, optional
        How many of the file's rows to use: the first of an order that the seed draws, so that fewer are part of more.
        All, in their order, by default.
    held_out : int, optional
        How many rows are held out from learning, the first of that order; of galaxies that were drawn from the same
        real one all or none are, and so it may be some more.
    learn : bool, optional
        Whether the rows that are left to learn from are wanted, or else those that are held out.
    seed : int, optional
        Of that order.
    size : int, optional
        Side (pixels) that the stamps must have at least.
    z_max : float, optional
        Largest redshift that can be learnt.
    in_memory : bool, optional
        Whether to read all images at once, as they are stored: for files on a slow or distant disk.

    Attributes
    ----------
    rows : `~numpy.ndarray` (N,) of int
        Of the file.
    ebv, redshift : `~numpy.ndarray` (N,) float32
        ``redshift`` is None if not labelled.
    groups : `~numpy.ndarray` (N,) of int
        See `read_groups`; None if nothing is known.
    catalog_flux, catalog_radius : `~numpy.ndarray` (N, 5) and (N,) float32
        None if no photometry is wanted.

    Raises
    ------
    OSError
        If there is no such file, or it is not HDF5.
    ValueError
        If a data set is missing, stamps are of another shape, an E(B-V) or a redshift is none, or there are fewer than
        ``n``.
    """

    def __init__(
        self,
        path,
        *,
        labelled=True,
        photometry=False,
        n=None,
        held_out=0,
        learn=True,
        seed=0,
        size=64,
        z_max=None,
        in_memory=False,
    ):
        self.path = Path(path)
        columns = ["e_bv", *["specz_redshift"] * labelled, *(_CATALOG if photometry else ())]
        with open_cutouts(path, needs=("images", *columns)) as file:
            self.shape = _checked_shape(path, file["images"].shape, size)
            groups = read_groups(file)
            self.rows = _rows(path, self.shape[0], n, held_out, learn, groups, seed)
            self.ebv = _ebv(path, file)[self.rows]
            self.redshift = _redshift(path, file, z_max)[self.rows] if labelled else None
            self.groups = None if groups is None else groups[self.rows]
            self.catalog_flux, self.catalog_radius = (
                _measured(path, file, name)[self.rows] if photometry else None for name in _CATALOG
            )
            self._images = _Images(path, file["images"])
        self._in_memory = self._images.read(self.rows) if in_memory else None

    def __len__(self):
        return len(self.rows)

    def __getitem__(self, index):
        return {name: value[0] for name, value in self.__getitems__([index]).items()}

    def __getitems__(self, indices):
        """
        Read a batch, in any order.

        Parameters
        ----------
        indices : sequence of int
            Places among ``rows``.

        Returns
        -------
        dict of `torch.Tensor`
            ``flux`` (B, 5, S, S), of the type it is stored as; ``ebv`` (B,); ``redshift`` (B,) if labelled;
            ``catalog_flux`` (B, 5) and ``catalog_radius`` (B,) if photometry is wanted; ``row`` (B,), in the file.
        """
        flux = self._images.read(self.rows[indices]) if self._in_memory is None else self._in_memory[indices]
        batch = {"flux": flux, "ebv": self.ebv[indices], "row": self.rows[indices]}
        for name in ("redshift", *_CATALOG):
            if (values := getattr(self, name)) is not None:
                batch[name] = values[indices]
        return {name: torch.from_numpy(value) for name, value in batch.items()}

    def centres(self):
        """
        Read the central pixels of all stamps.

        Returns
        -------
        `~numpy.ndarray` (N, 5, 4, 4) float32
        """
        return self._images.centres(self.rows).astype(np.float32)

    def without_image(self, *, block=1024):
        """
        Rows whose stamp holds no data: NaN or a constant as a whole.

        Parameters
        ----------
        block : int, optional
            Rows to look at together.

        Returns
        -------
        `~numpy.ndarray` of int
        """
        # A few pixels first: to read all of them would take as long as an epoch.
        centre = self.centres()[:, _R]
        suspects = self.rows[np.isnan(centre).any(axis=(1, 2)) | (np.ptp(centre, axis=(1, 2)) == 0)]
        blocks = np.split(suspects, np.arange(block, len(suspects), block))
        return np.concatenate([rows[_is_empty(self._images.read(rows))] for rows in blocks])


def _is_empty(images):
    images = images.astype(np.float32)
    return (np.isnan(images) | missing_pixels(images)).all(axis=(1, 2, 3))


def _checked_shape(path, shape, size):
    if shape[2] < size:
        raise ValueError(f"{path}: images must have the shape (N, 5, S, S) with S of {size} or more, got {shape}")
    if shape[0] == 0:
        raise ValueError(f"{path}: there is no stamp in it")
    return shape


def _rows(path, n_rows, n, held_out, learn, groups, seed):
    if n is None and not held_out:
        return np.arange(n_rows)
    order = np.random.default_rng(seed).permutation(n_rows)
    aside = _set_aside(order if groups is None else groups[order], held_out)
    order = order[~aside] if learn else order[aside]
    n = len(order) if n is None else n
    if not 1 <= n <= len(order):
        besides = f", besides {aside.sum()} that are held out" if held_out and learn else ""
        raise ValueError(f"n must be from 1 to the {len(order)} galaxies of {path}{besides}, got {n}")
    return order[:n]


def _set_aside(groups, at_least):
    """Whether each of the rows is of the groups that come first, which are as many as have so many rows."""
    _, first, inverse, counts = np.unique(groups, return_index=True, return_inverse=True, return_counts=True)
    by_place = np.argsort(first)
    before = np.empty_like(counts)
    before[by_place] = np.cumsum(counts[by_place]) - counts[by_place]
    return before[inverse] < at_least


def _ebv(path, file):
    ebv = read_ebv(file)
    _refuse(path, "e_bv", ~np.isfinite(ebv), "must be known", file)
    return ebv


def _redshift(path, file, z_max):
    redshift = read_column(file, "specz_redshift").astype(np.float32)
    _refuse(path, "specz_redshift", ~(redshift >= 0), "must be a number of 0 or more", file)
    if z_max is not None:
        too_large = redshift > np.float32(z_max)
        _refuse(path, "specz_redshift", too_large, f"must be within the redshift bins, up to {z_max}", file)
    return redshift


def _measured(path, file, name):
    """What a catalogue tells; what it does not know is NaN."""
    values = read_column(file, name).astype(np.float32)
    if not (values > 0).any():
        raise ValueError(f"{path}: {name} has no positive number: nanomaggies and arcseconds are wanted")
    return values


def _refuse(path, name, wrong, rule, file):
    if wrong.any():
        row = int(np.argmax(wrong))
        raise ValueError(
            f"{path}: {name} {rule} in every row; in {wrong.sum()} it is not, the first {file[name][row]} in row {row}"
            ": leave them out of the file"
        )


class _Images:
    """The images of a file, read by any process."""

    def __init__(self, path, dataset):
        self.path = path
        self.shape = dataset.shape[1:]
        self.dtype = dataset.dtype
        self._offsets = _offsets(dataset)
        self._process = self._opened = None

    def read(self, rows):
        """Rows in any order, read in the file's."""
        images = np.empty((len(rows), *self.shape), dtype=self.dtype.newbyteorder("="))
        source = self._source()
        for place in np.argsort(rows):
            if self._offsets is None:
                source.read_direct(images[place : place + 1], np.s_[rows[place] : rows[place] + 1])
            else:
                images[place] = self._mapped(source, rows[place])
        return images

    def centres(self, rows):
        """The central pixels of each row (N, 5, 4, 4)."""
        source, middle = self._source(), self.shape[-1] // 2
        part = np.s_[..., middle - 2 : middle + 2, middle - 2 : middle + 2]
        if self._offsets is None:
            return source[part][rows]
        return np.array([self._mapped(source, row)[part] for row in rows])

    def _mapped(self, source, row):
        return np.ndarray(self.shape, self.dtype, source, self._offsets[row])

    def _source(self):
        """The map of the file, or the open data set: each process has its own."""
        if self._process != os.getpid():
            mapped = self._offsets is not None
            self._opened = np.memmap(self.path, np.uint8, "r") if mapped else open_cutouts(self.path)["images"]
            self._process = os.getpid()
        return self._opened

    def __getstate__(self):
        return self.__dict__ | {"_process": None, "_opened": None}


def _offsets(dataset):
    """Where in its file each row of a data set begins (N,), or None if rows do not lie there as they are."""
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


def check_stamps(path, *, labelled=True, size=64, z_max=0.4):
    """
    Find what a training would stumble over.

    Parameters
    ----------
    path : str or path-like
        HDF5 file of stamps; see `Stamps`.
    labelled : bool, optional
        Whether redshifts are needed.
    size : int, optional
        Side (pixels) that the stamps must have at least.
    z_max : float, optional
        End of the redshift bins.

    Raises
    ------
    OSError
        If there is no such file, or it is not HDF5.
    ValueError
        If a data set is missing; a redshift is NaN, negative or beyond the bins; an E(B-V) is not finite; stamps are
        smaller than needed or not square; or a stamp has no pixel with data, or a value that no sky
        has at its centre.
    """
    check_pixels(Stamps(path, labelled=labelled, size=size, z_max=z_max))


def check_pixels(stamps):
    """
    Refuse stamps without an image.

    Parameters
    ----------
    stamps : `Stamps`

    Raises
    ------
    ValueError
        If one has no pixel with data, or at its centre a value that no sky has.
    """
    wrong = impossible(stamps.centres()).any(axis=(1, 2, 3))
    if wrong.any():
        raise ValueError(
            f"{stamps.path}: {wrong.sum()} stamps have values that no sky has, such as -9999, the first in row "
            f"{stamps.rows[np.argmax(wrong)]}: put NaN where there is no data"
        )
    empty = stamps.without_image()
    if len(empty):
        raise ValueError(
            f"{stamps.path}: {len(empty)} stamps have no image, only NaN or a constant, the first in row {empty[0]}: "
            "leave them out of the file (missing pixels, or a missing band, are no harm)"
        )
