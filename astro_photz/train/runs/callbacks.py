# Licensed under a 3-clause BSD style license - see LICENSE
"""
Callbacks that let a killed training resume as if it had not been killed.
"""

import shutil
from functools import partial
from pathlib import Path

import lightning
import numpy as np
import torch
from lightning.pytorch.callbacks import EarlyStopping, ModelCheckpoint, TQDMProgressBar
from lightning.pytorch.plugins.io import TorchCheckpointIO

from astro_photz.train.networks.weights import write_whole
from astro_photz.train.tasks.optimizer import total_steps
from astro_photz.utils._progress import fitted

__all__ = ["BestCheckpoint", "LastCheckpoint", "Patience", "ProgressBar", "SafeCheckpoints", "StepSeed", "check_disk"]


class StepSeed(lightning.Callback):
    """
    Seed each step's random numbers by the seed, the process, the epoch and the batch, and by nothing before it.

    So there is no state of generators to keep, whatever the number of processes: a resumed training draws the numbers
    of an uninterrupted one.

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


class ProgressBar(TQDMProgressBar):
    """Lightning's progress bar, which works on a terminal of unknown size too."""

    def init_train_tqdm(self):
        """Make the bar of the training."""
        return fitted(super().init_train_tqdm())

    def init_validation_tqdm(self):
        """Make the bar of a validation."""
        return fitted(super().init_validation_tqdm())


class LastCheckpoint(ModelCheckpoint):
    """
    Save the checkpoint to resume from: every few steps, and at the end of each epoch.

    On the last batch of an epoch, Lightning counts the epoch as neither done nor undone: a training that
    resumes from there would leave out the validation, and could do steps twice. So the last batch waits for the end of
    the epoch. This callback must stand behind `BestCheckpoint`, to save its state too.

    Parameters
    ----------
    folder : path-like
    every : int
        Steps from one to the next.
    """

    def __init__(self, folder, every):
        options = {"save_on_train_epoch_end": False, "enable_version_counter": False}
        super().__init__(folder, "last", every_n_train_steps=every, **options)

    def on_train_batch_end(self, trainer, module, outputs, batch, batch_idx):
        """Save, if it is time, a step has just been done, and more of the epoch is to come."""
        if (batch_idx + 1) % trainer.accumulate_grad_batches == 0 and not trainer.is_last_batch:
            super().on_train_batch_end(trainer, module, outputs, batch, batch_idx)

    def on_train_epoch_end(self, trainer, module):
        """Save, when the epoch has been validated."""
        trainer.save_checkpoint(Path(self.dirpath) / "last.ckpt")

    def on_save_checkpoint(self, trainer, module, checkpoint):
        """Keep the length of the schedule: torch resumes the checkpoint's, whatever the recipe says."""
        checkpoint["total_steps"] = total_steps(trainer)


class BestCheckpoint(ModelCheckpoint):
    """
    Save the checkpoint of the least validation loss, even if its folder is moved.

    Parameters
    ----------
    folder : path-like
    """

    def __init__(self, folder):
        super().__init__(folder, "best", monitor="val_loss", enable_version_counter=False)

    def load_state_dict(self, state_dict):
        """Remember the best checkpoint, if it is still there."""
        folder = Path(self.dirpath)
        if not (folder / "best.ckpt").exists():
            return

        def here(path):
            return str(folder / Path(path).name) if path else path

        paths = {name: here(state_dict[name]) for name in ("best_model_path", "kth_best_model_path", "last_model_path")}
        scores = {here(path): score for path, score in state_dict["best_k_models"].items()}
        super().load_state_dict(state_dict | paths | {"best_k_models": scores, "dirpath": self.dirpath})


class Patience(EarlyStopping):
    """End a training that does not improve any more, for good: when resumed, it ends at once."""

    def on_fit_start(self, trainer, module):
        """Stop, if that was decided before the checkpoint."""
        trainer.should_stop = self.wait_count >= self.patience


class SafeCheckpoints(TorchCheckpointIO):
    """
    Write checkpoints aside and rename them, so that there is always a complete one.

    Checkpoints that Lightning would write on SLURM's signal are left out: they are of the midst of a step, from which
    no training can resume. The job is sent back to the queue nevertheless, and resumes from `LastCheckpoint`.
    """

    def save_checkpoint(self, checkpoint, path, storage_options=None):
        """
        Write a checkpoint.

        Parameters
        ----------
        checkpoint : dict
        path : path-like
        storage_options : None
        """
        path = Path(path)
        if path.name.startswith("hpc_ckpt_"):
            return
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            write_whole(path, partial(torch.save, checkpoint))
        except OSError as error:
            raise OSError(f"{error}; the last whole checkpoint is still there") from error


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
