# Licensed under a 3-clause BSD style license - see LICENSE
"""
A training that is ready to run: carry it out, or resume it, and write its results.

Lightning runs the loop: on processors or GPUs, on one machine or, under ``torchrun`` or SLURM, on several.
"""

import copy
import math
import warnings
from dataclasses import dataclass

import lightning
import torch

from astro_photz.train.networks.weights import WEIGHTS, write_weights
from astro_photz.train.recipe import Recipe
from astro_photz.train.tasks.optimizer import total_steps
from astro_photz.utils._claims import claimed

from .callbacks import check_disk
from .folder import RunFolder
from .interrupts import StopAfterStep
from .record import RunRecord
from .resume import check_checkpoint

__all__ = ["Training"]


@dataclass(frozen=True, kw_only=True)
class Training:
    """
    A training that is ready to run.

    Parameters
    ----------
    trainer : `lightning.Trainer`
    model : `lightning.LightningModule`
        With an ``encoder``, and perhaps a ``head``.
    stamps : `lightning.LightningDataModule`
    folder : `~astro_photz.train.runs.folder.RunFolder`
    record : `~astro_photz.train.runs.record.RunRecord`
    recipe : `~astro_photz.train.recipe.Recipe`
    keep : {"best", "last"}
        The checkpoint whose weights are the result.
    curves : tuple of str
        Names of the quantities that go into the metrics.
    start_counts : bool, optional
        Whether the weights at the start are a result too, if no epoch is better.
    """

    trainer: lightning.Trainer
    model: lightning.LightningModule
    stamps: lightning.LightningDataModule
    folder: RunFolder
    record: RunRecord
    recipe: Recipe
    keep: str
    curves: tuple[str, ...]
    start_counts: bool = False

    def run(self, *, resume=None, overwrite=False):
        """
        Train, unless that has been done, and write the results.

        Parameters
        ----------
        resume : str or path-like, optional
            Checkpoint to resume from; by default the folder's last.
        overwrite : bool, optional
            Remove a run that is in the folder.

        Returns
        -------
        dict
            Metrics, as in ``metrics.json``; nothing on all processes but the first.

        Raises
        ------
        BlockingIOError
            If another process trains in the folder.
        """
        folder = self.folder.path
        if not self.trainer.is_global_zero:  # the first process claims the folder for all
            return self._run(resume, overwrite)
        folder.parent.mkdir(parents=True, exist_ok=True)
        with claimed(folder):
            return self._run(resume, overwrite)

    def _run(self, resume, overwrite):
        folder, trainer = self.folder, self.trainer
        stop = StopAfterStep(folder.last_path)
        trainer.callbacks.insert(0, stop)
        resume = resume if overwrite else folder.left_to_resume(resume)
        if resume:
            constant = getattr(self.recipe, self.record.kind).optimizer.schedule == "constant"
            check_checkpoint(resume, self.model, steps=None if constant else total_steps(trainer, self.stamps))
        if trainer.is_global_zero:
            if overwrite:
                folder.clear(resume, *self.record.files.values())
            folder.begin(self.record, self.recipe)
            check_disk(folder.path, self.model)
        own = not (overwrite or resume)  # the folder's own last checkpoint, or its results
        if own and folder.metrics:
            return folder.metrics
        if resume and trainer.is_global_zero:
            folder.take_along(resume)
        with stop.armed():
            start = self._start() if self.start_counts and self.keep == "best" else None
            trainer.fit(self.model, self.stamps, ckpt_path=folder.last if own else resume, weights_only=True)
        trainer.save_checkpoint(folder.last_path)
        return self._finish(start) if trainer.is_global_zero else {}

    def _start(self):
        """The weights at the start, and their metrics: not in the log, where the first step may be judged."""
        loggers, self.trainer.loggers = self.trainer.loggers, []
        (judged,) = self.trainer.validate(self.model, self.stamps, verbose=False)
        self.trainer.loggers = loggers
        return judged | {"state_dict": copy.deepcopy(self.model.state_dict())}

    def _finish(self, start):
        """Write weights, learning curve and metrics."""
        folder, trainer = self.folder, self.trainer
        measured = {name: folder.curve(name) for name in self.curves}
        weights = self._kept(start, measured)
        if not all(value.isfinite().all() for value in weights.values()):
            raise ValueError(
                f"{folder.path}: the training has diverged, weights are NaN: choose a lower learning_rate, and another "
                "folder"
            )
        self.model.load_state_dict(weights)
        head = getattr(self.model, "head", None)
        write_weights(folder.path / WEIGHTS, self.model.encoder, self.recipe.encoder, head=head)
        if not folder.draw():
            warnings.warn('there is no learning_curve.png: pip install "astro-photz[plot]"', UserWarning, stacklevel=4)
        if start:
            measured = {name: [[0, start[name]], *curve] for name, curve in measured.items()}
        return folder.finish({"epochs": trainer.current_epoch, "steps": trainer.global_step} | measured)

    def _kept(self, start, measured):
        """The weights that are the result: those at the start if no epoch was better."""
        if start and start["val_loss"] <= min((loss for _, loss in measured["val_loss"]), default=math.inf):
            return start["state_dict"]
        best = self.folder.checkpoints / f"{self.keep}.ckpt"
        path = best if best.exists() else self.folder.last_path  # a finished training was resumed without its best
        return torch.load(path, map_location="cpu", weights_only=True)["state_dict"]
