# Licensed under a 3-clause BSD style license - see LICENSE
"""Trainings of seconds, for the tests of runs."""

import contextlib
from dataclasses import replace

import numpy as np
import torch

from astro_photz.testing.factories import gaussian_cutouts
from astro_photz.train import Machine, Recipe, finetune, pretrain
from astro_photz.train.runs.callbacks import StepSeed
from astro_photz.train.tasks.redshift import RedshiftModel

MACHINE = Machine(accelerator="cpu", devices=1, progress=False)
SMALL = (
    "pretrain.epochs = 3",
    "pretrain.batch_size = 16",
    "pretrain.queue_length = 16",
    "finetune.batch_size = 16",
    "encoder.width = 4",
)


def small_recipe(*changes):
    return Recipe.read("smoke", changes=[*SMALL, *changes])


def write_stamps(path, n=160, *, size=68, seed=0, labels=True):
    cutouts = gaussian_cutouts(n, size=size, seed=seed)
    g_r = -2.5 * np.log10(cutouts.flux[:, 1].sum(axis=(1, 2)) / cutouts.flux[:, 2].sum(axis=(1, 2)))
    columns = {"specz_redshift": np.clip(0.1 + 0.2 * (g_r - 0.8), 0, 0.39)} if labels else {}
    cutouts.write(path, **columns)
    return path


VALIDATION_LOSSES = 5.0, 3.0, 4.0, 4.5  # the second epoch's is the least


class Killed(Exception):
    """What ends a training in the midst of it."""


def finetuned(
    data, folder, monkeypatch, *, killed_at=None, within_step=False, during_validation=False, changes=(), **options
):
    """Metrics of a fine-tuning with given validation losses, or None if it was killed."""
    seed_step, log = StepSeed.on_train_batch_start, RedshiftModel.log

    def begin_step(self, trainer, module, batch, batch_idx):
        has_gradients = batch_idx % trainer.accumulate_grad_batches > 0
        if trainer.global_step == killed_at and has_gradients == within_step and not during_validation:
            raise Killed
        seed_step(self, trainer, module, batch, batch_idx)

    def log_given_loss(self, name, value, **options):
        if name == "val_loss":
            if self.trainer.global_step == killed_at and during_validation:
                raise Killed
            value = torch.tensor(VALIDATION_LOSSES[self.trainer.current_epoch])
        log(self, name, value, **options)

    machine = replace(MACHINE, checkpoint_every=1)
    recipe = small_recipe("finetune.epochs = 4", "finetune.batch_size = 32", *changes)  # of five steps
    with monkeypatch.context() as patch, contextlib.suppress(Killed):
        patch.setattr(StepSeed, "on_train_batch_start", begin_step)
        patch.setattr(RedshiftModel, "log", log_given_loss)
        options = {"validation": data / "validation.h5", "machine": machine} | options
        return finetune(recipe, data / "train.h5", folder, **options)


def weights_of(folder, name="last"):
    return weights_of_file(folder / "checkpoints" / f"{name}.ckpt")


def weights_of_file(path):
    return torch.load(path, weights_only=True)


def refused(data, folder, *, kind="finetune", recipe=None, **options):
    run = {"finetune": finetune, "pretrain": pretrain}[kind]
    stamps = data / options.pop("stamps", "train.h5")
    options = {"validation": data / "validation.h5", "machine": MACHINE} | options
    try:
        run(recipe or small_recipe(), stamps, folder, **options)
    finally:
        assert not (folder / "log").exists()  # nothing has been trained
