# Licensed under a 3-clause BSD style license - see LICENSE
"""
What makes a training that was killed go on as if it had not been.
"""

import os
import shutil
from pathlib import Path

import numpy as np
from lightning.pytorch.plugins.io import TorchCheckpointIO

from astro_photz._files import aside

from ._lightning import lightning
from ._torch import torch

__all__ = ["SafeCheckpoints", "StepSeed", "check_disk"]


class StepSeed(lightning.Callback):
    """
    Lets a step's random numbers depend on the seed, the process, the epoch and the batch, and on nothing before it.

    So there is no state of generators to keep, whatever the number of processes: a training that goes on from a
    checkpoint draws what the uninterrupted one would have drawn.

    Parameters
    ----------
    seed : int
    """

    def __init__(self, seed):
        self.seed = seed

    def on_train_batch_start(self, trainer, module, batch, batch_idx):
        """Seed torch, on all devices."""
        entropy = (self.seed, trainer.global_rank, trainer.current_epoch, batch_idx)
        torch.manual_seed(int(np.random.SeedSequence(entropy).generate_state(1, np.uint64)[0] >> np.uint64(1)))


class SafeCheckpoints(TorchCheckpointIO):
    """Writes checkpoints aside and renames them, so that there is always a whole one under the name."""

    def save_checkpoint(self, checkpoint, path, storage_options=None):
        """
        Write.

        Parameters
        ----------
        checkpoint : dict
        path : path-like
        storage_options : None
        """
        path = Path(path)
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            with aside(path) as part, open(part, "wb") as file:
                torch.save(checkpoint, file)
                file.flush()
                os.fsync(file.fileno())
        except (OSError, RuntimeError) as error:  # torch says RuntimeError of a disk that is full
            raise OSError(f"{path} could not be written ({error}); the last whole checkpoint is still there") from error


_STATES = (
    4  # times the weights: gradients' two moments, a second copy while it is written; the third checkpoint is aside
)


def check_disk(folder, model):
    """
    Make sure that the checkpoints of a training will fit.

    Parameters
    ----------
    folder : path-like
        Where they go.
    model : `torch.nn.Module`

    Raises
    ------
    OSError
        If there is less room than three checkpoints take.
    """
    weights = sum(value.numel() * value.element_size() for value in model.state_dict().values())
    needed, free = 3 * _STATES * weights, shutil.disk_usage(folder).free
    if free < needed:
        raise OSError(
            f"{folder}: checkpoints take up to {needed / 1e6:.0f} MB and {free / 1e6:.0f} MB are free: "
            "make room, or choose another folder"
        )
