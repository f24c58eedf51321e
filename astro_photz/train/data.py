# Licensed under a 3-clause BSD style license - see LICENSE
"""
Labelled stamps from an HDF5 data set, in batches.
"""

import numpy as np

from astro_photz.cutouts.hdf5 import open_cutouts
from astro_photz.dust import ebv_from_extinction

from ._torch import torch

__all__ = ["LabelledStamps", "loader"]


class LabelledStamps(torch.utils.data.Dataset):
    """
    Stamps with a spectroscopic redshift each.

    Parameters
    ----------
    path : str or path-like
        HDF5 file in the layout of the published data sets, with ``images``, ``e_bv`` and ``specz_redshift``.
    in_memory : bool, optional
        Whether to read all images at once, as they are stored.

    Raises
    ------
    OSError
        If there is no such file, or it is not HDF5.
    ValueError
        If a data set is missing, or a redshift is NaN or negative.
    """

    def __init__(self, path, *, in_memory=False):
        self.path = path
        with open_cutouts(path, needs=("images", "e_bv", "specz_redshift")) as file:
            self.shape = file["images"].shape
            self.ebv = np.asarray(ebv_from_extinction(file["e_bv"][()]), dtype=np.float32)
            self.redshift = file["specz_redshift"][()].astype(np.float32)
            self._images = file["images"][()] if in_memory else None
        wrong = ~(self.redshift >= 0)
        if wrong.any():
            row = int(np.argmax(wrong))
            raise ValueError(
                f"{path}: specz_redshift must be a number of 0 or more in every row; {wrong.sum()} are not, the first "
                f"{self.redshift[row]} in row {row}"
            )
        self._file = None

    def __len__(self):
        return len(self.redshift)

    def __getitem__(self, row):
        return {name: value[0] for name, value in self.__getitems__([row]).items()}

    def __getitems__(self, rows):
        """
        Read a batch, in any order.

        Parameters
        ----------
        rows : sequence of int

        Returns
        -------
        dict of `torch.Tensor`
            ``flux`` (B, 5, S, S) float32, ``ebv`` (B,), ``redshift`` (B,).
        """
        return {
            "flux": torch.from_numpy(self._read(rows)).float(),
            "ebv": torch.from_numpy(self.ebv[rows]),
            "redshift": torch.from_numpy(self.redshift[rows]),
        }

    def _read(self, rows):
        if self._images is not None:
            return self._images[rows]
        if self._file is None:  # opened by the process that reads
            self._file = open_cutouts(self.path)
        images = self._file["images"]
        flux = np.empty((len(rows), *self.shape[1:]), dtype=images.dtype)
        for place in np.argsort(rows):  # in the file's order; 7 times faster than h5py's fancy indexing
            images.read_direct(flux[place : place + 1], np.s_[rows[place] : rows[place] + 1])
        return flux


def loader(path, *, batch_size=128, shuffle=False, seed=0, in_memory=False):
    """
    Batches of a data set.

    Parameters
    ----------
    path : str or path-like
        See `LabelledStamps`.
    batch_size : int, optional
    shuffle : bool, optional
        Whether to draw in random order, in whole batches only.
    seed : int, optional
        Of the order.
    in_memory : bool, optional
        See `LabelledStamps`.

    Returns
    -------
    `torch.utils.data.DataLoader`
    """
    return torch.utils.data.DataLoader(
        LabelledStamps(path, in_memory=in_memory),
        batch_size=batch_size,
        shuffle=shuffle,
        drop_last=shuffle,
        generator=torch.Generator().manual_seed(seed),
        collate_fn=_as_it_is,
    )


def _as_it_is(batch):
    """The data set gives whole batches."""
    return batch
