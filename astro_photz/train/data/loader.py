# Licensed under a 3-clause BSD style license - see LICENSE
"""
Batches of stamps, read before the network needs them.

`StampData` gives a trainer the batches of a training and a validation file. The galaxies of a batch depend on the seed,
the epoch and the batch's place in it, and on nothing else: a training that was interrupted resumes with the very next
batch.
"""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any

import lightning
import torch

from astro_photz.utils._types import PathLike

from .checks import check_pixels
from .stamps import Stamps

if TYPE_CHECKING:
    from torch.utils.data import DataLoader

__all__ = ["StampData", "loader"]


class _Order(torch.utils.data.DistributedSampler):
    """The order of an epoch, from a place on."""

    skip = 0

    def __iter__(self):
        return itertools.islice(super().__iter__(), self.skip, None)


class _Loader(torch.utils.data.DataLoader):
    """
    A loader that counts the batches of the epoch and can resume there: Lightning's checkpoints keep its state.
    """

    _first = _given = 0

    def __iter__(self):
        self._given, self._first = self._first, 0
        self.sampler.skip = self._given * self.batch_size
        for batch in super().__iter__():
            self._given += 1
            yield batch

    def state_dict(self):
        return {"batches": self._given % len(self)}

    def load_state_dict(self, state):
        self._first = state["batches"]


def loader(
    stamps: Stamps,
    *,
    batch_size: int = 128,
    shuffle: bool = False,
    seed: int = 0,
    workers: int = 0,
    rank: int = 0,
    n_processes: int = 1,
) -> DataLoader:
    """
    Make batches of stamps.

    Parameters
    ----------
    stamps : `Stamps`
    batch_size : int, optional
        Of each process.
    shuffle : bool, optional
        Whether to draw in random order, another in each epoch, in whole batches only.
    seed : int, optional
        Of the order.
    workers : int, optional
        Processes that read ahead; with 0, a batch is read when it is asked for.
    rank, n_processes : int, optional
        Number of this process, and of all, where several train together and share the stamps.

    Returns
    -------
    `torch.utils.data.DataLoader`
        Of dicts of `torch.Tensor`; see `Stamps`.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> from astro_photz import testing, train
    >>> folder = pathlib.Path(tempfile.mkdtemp())
    >>> testing.gaussian_cutouts(20, size=68).write(folder / "stamps.h5")
    >>> batches = train.loader(train.Stamps(folder / "stamps.h5", labelled=False), batch_size=8)
    >>> [tuple(batch["flux"].shape) for batch in batches]
    [(8, 5, 68, 68), (8, 5, 68, 68), (4, 5, 68, 68)]
    """
    share = {"num_replicas": n_processes, "rank": rank, "drop_last": shuffle}
    return _Loader(
        stamps,
        batch_size=batch_size,
        sampler=_Order(stamps, shuffle=shuffle, seed=seed, **share),
        drop_last=shuffle,
        collate_fn=_as_it_is,
        num_workers=workers,
        persistent_workers=workers > 0,
        pin_memory=torch.cuda.is_available(),
    )


def _as_it_is(batch):
    """Leave a batch as it is: the data set gives whole ones."""
    return batch


class StampData(lightning.LightningDataModule):
    """
    Batches for a Lightning trainer.

    Their ``flux`` is float32, and is made so on the device that trains. Where several processes train, each has its
    share of every epoch.

    Parameters
    ----------
    train : str or path-like
        HDF5 file to train on; see `Stamps`.
    validation : str or path-like, optional
        HDF5 file to validate on.
    held_out : int, optional
        Number of galaxies of the training file to validate on instead: the first of the order that the seed draws.
    labelled : bool, optional
        Whether to read the redshifts.
    photometry : bool, optional
        Whether to read a catalogue's photometry, of the training file alone; see `Stamps`.
    batch_size : int, optional
        Of each process.
    n_labels : int, optional
        Number of galaxies of the training file to use: the first of an order that the seed draws, so that fewer are
        part of more. All by default.
    seed : int, optional
        Of that order, and of the order in the epochs.
    size : int, optional
        Side (pixels) that the stamps must have at least.
    z_max : float, optional
        End of the redshift bins.
    n_processes : int, optional
        That share the galaxies; ``batch_size`` is that of each.
    workers : int, optional
        Processes that read ahead.
    in_memory : bool, optional
        See `Stamps`.

    Raises
    ------
    OSError, ValueError
        If one of the files is not there, or not such as can be trained on. If there are fewer galaxies than
        ``n_labels``, or than make one batch.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> import numpy as np
    >>> from astro_photz import testing, train
    >>> folder = pathlib.Path(tempfile.mkdtemp())
    >>> cutouts = testing.gaussian_cutouts(20, size=68)
    >>> cutouts.write(folder / "stamps.h5", specz_redshift=np.linspace(0.02, 0.2, 20))  # made up
    >>> data = train.StampData(folder / "stamps.h5", held_out=4, batch_size=8)
    >>> len(data.train_dataloader())
    2
    """

    def __init__(
        self,
        train: Stamps | PathLike,
        *,
        validation: PathLike | None = None,
        held_out: int = 0,
        labelled: bool = True,
        photometry: bool = False,
        batch_size: int = 128,
        n_labels: int | None = None,
        n_processes: int = 1,
        seed: int = 0,
        size: int = 64,
        z_max: float = 0.4,
        workers: int = 0,
        in_memory: bool = False,
    ):
        super().__init__()
        self.batch_size = batch_size
        self.seed = seed
        self.workers = workers
        self.validation_stamps: Stamps | None = None
        needs: dict[str, Any] = {"labelled": labelled, "size": size, "z_max": z_max, "in_memory": in_memory}
        self.train_stamps = Stamps(train, photometry=photometry, n=n_labels, held_out=held_out, seed=seed, **needs)
        if held_out:
            self.validation_stamps = Stamps(train, held_out=held_out, learn=False, seed=seed, **needs)
        elif validation is not None:
            self.validation_stamps = Stamps(validation, **needs)
        for stamps in filter(None, (self.train_stamps, self.validation_stamps)):
            check_pixels(stamps)
        own = len(self.train_stamps) // n_processes
        if own < batch_size:
            of_each = f" of each of {n_processes} processes" if n_processes > 1 else ""
            raise ValueError(f"batch_size must be at most the {own} galaxies{of_each}, got {batch_size}")
        self.n_batches = own // batch_size  # of an epoch, on each process

    def train_dataloader(self) -> DataLoader:
        """Make the batches of an epoch, in random order."""
        return self._loader(self.train_stamps, shuffle=True, seed=self.seed)

    def val_dataloader(self) -> DataLoader:
        """Make the batches of the whole validation file, in order; none without such a file."""
        return [] if self.validation_stamps is None else self._loader(self.validation_stamps)

    def _loader(self, stamps, **order):
        place = {"rank": self.trainer.global_rank, "n_processes": self.trainer.world_size} if self.trainer else {}
        return loader(stamps, batch_size=self.batch_size, workers=self.workers, **place, **order)

    def on_after_batch_transfer(self, batch: dict[str, torch.Tensor], _: int) -> dict[str, torch.Tensor]:
        """Make the fluxes float32."""
        return batch | {"flux": batch["flux"].float()}
