# Licensed under a 3-clause BSD style license - see LICENSE
"""
Stamps of an HDF5 file, in the layout of the published data sets, as torch tensors.

float16 pixels stay float16 until they are on the device that trains.
"""

from pathlib import Path

import numpy as np
import torch

from astro_photz.cutouts.hdf5.dataset import read_groups
from astro_photz.cutouts.hdf5.layout import open_cutouts, read_column, read_ebv
from astro_photz.cutouts.missing import missing_pixels
from astro_photz.sdss import BANDS
from astro_photz.utils._hdf5 import unwritten_rows
from astro_photz.utils._types import PathLike

from .images import StoredImages
from .splits import split_rows

__all__ = ["Stamps"]

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
        Whether to read the redshifts.
    photometry : bool, optional
        Whether to read a catalogue's photometry: ``catalog_flux`` (N, 5), total flux in *ugriz* (nanomaggies, as
        observed), and ``catalog_radius`` (N,), which holds half of the light in *r* (arcsec).
    n : int, optional
        Number of rows to use: the first of an order that the seed draws, so that fewer are part of more. All, in their
        order, by default.
    held_out : int, optional
        Number of rows that are held out from learning, the first of that order; perhaps some more, since galaxies that
        were drawn from the same real one are held out together.
    learn : bool, optional
        Whether to read the rows to learn from, or those that are held out.
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
        Numbers of the real galaxies that simulated ones were drawn from; None if they are unknown.
    catalog_flux, catalog_radius : `~numpy.ndarray` (N, 5) and (N,) float32
        None without photometry.

    Raises
    ------
    OSError
        If there is no such file, or it is not HDF5.
    ValueError
        If a data set is missing, stamps are of another shape, an E(B-V) or a redshift is invalid, images were never
        written, or there are fewer than ``n``.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> import numpy as np
    >>> from astro_photz import testing, train
    >>> folder = pathlib.Path(tempfile.mkdtemp())
    >>> cutouts = testing.gaussian_cutouts(20, size=68)
    >>> cutouts.write(folder / "stamps.h5", specz_redshift=np.linspace(0.02, 0.2, 20))  # made up
    >>> stamps = train.Stamps(folder / "stamps.h5", labelled=True)
    >>> len(stamps), stamps.redshift[0]
    (20, np.float32(0.02))
    """

    def __init__(
        self,
        path: PathLike,
        *,
        labelled: bool = True,
        photometry: bool = False,
        n: int | None = None,
        held_out: int = 0,
        learn: bool = True,
        seed: int = 0,
        size: int = 64,
        z_max: float | None = None,
        in_memory: bool = False,
    ):
        self.path = Path(path)
        columns = ["e_bv", *["specz_redshift"] * labelled, *(_CATALOG if photometry else ())]
        with open_cutouts(path, needs=("images", *columns)) as file:
            self.shape = _checked_shape(path, file["images"].shape, size)
            groups = read_groups(file)
            chosen = {"n": n, "held_out": held_out, "learn": learn, "groups": groups, "seed": seed}
            self.rows = split_rows(self.shape[0], path=path, **chosen)
            self.ebv = _ebv(path, file)[self.rows]
            self.redshift = _redshift(path, file, z_max)[self.rows] if labelled else None
            self.groups = None if groups is None else groups[self.rows]
            self.catalog_flux, self.catalog_radius = (
                _measured(path, file, name)[self.rows] if photometry else None for name in _CATALOG
            )
            _check_written(path, file["images"], self.rows)
            self._images = StoredImages(path, file["images"])
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
            ``catalog_flux`` (B, 5) and ``catalog_radius`` (B,) with photometry; ``row`` (B,), in the file.
        """
        flux = self._images.read(self.rows[indices]) if self._in_memory is None else self._in_memory[indices]
        batch = {"flux": flux, "ebv": self.ebv[indices], "row": self.rows[indices]}
        for name in ("redshift", *_CATALOG):
            if (values := getattr(self, name)) is not None:
                batch[name] = values[indices]
        return {name: torch.from_numpy(value) for name, value in batch.items()}

    @property
    def mapped(self):
        """True if the images are mapped into memory, and not read by HDF5, bool."""
        return self._images.mapped

    def centres(self) -> np.ndarray:
        """
        Read the central pixels of all stamps.

        Returns
        -------
        `~numpy.ndarray` (N, 5, 4, 4) float32
        """
        return self._images.centres(self.rows).astype(np.float32)

    def without_image(self, *, block: int = 1024) -> np.ndarray:
        """
        Find the rows whose stamp holds no data, but NaN or a constant.

        Parameters
        ----------
        block : int, optional
            Rows to read together.

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
    """A catalogue's measurements, with NaN for unknown ones."""
    values = read_column(file, name).astype(np.float32)
    if not (values > 0).any():
        raise ValueError(f"{path}: {name} has no positive number: nanomaggies and arcseconds are wanted")
    return values


def _check_written(path, images, rows):
    """Refuse images that HDF5 makes up: those of an unfinished file, which were never written."""
    unwritten = unwritten_rows(images, wholly=True)
    if unwritten is not None and unwritten[rows].any():
        first = int(rows[np.argmax(unwritten[rows])])
        raise ValueError(
            f"{path}: {unwritten[rows].sum()} of the images were never written, the first in row {first}: the file is "
            "unfinished, write it to its end"
        )


def _refuse(path, name, wrong, rule, file):
    if wrong.any():
        row = int(np.argmax(wrong))
        raise ValueError(
            f"{path}: {name} {rule} in every row; in {wrong.sum()} it is not, the first {file[name][row]} in row {row}"
            ": leave them out of the file"
        )
