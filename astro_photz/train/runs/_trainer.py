# Licensed under a 3-clause BSD style license - see LICENSE
"""
Lightning's trainer, with the callbacks and loggers of a run, and without its advice.
"""

import contextlib
import logging
import warnings
from multiprocessing.util import get_temp_dir

import lightning
import torch
from lightning.fabric.utilities.exceptions import MisconfigurationException
from lightning.pytorch.callbacks import LearningRateMonitor
from lightning.pytorch.loggers import CSVLogger, TensorBoardLogger
from lightning.pytorch.strategies import DDPStrategy

from astro_photz.utils._progress import can_draw

from .callbacks import Patience, ProgressBar, SafeCheckpoints, StepSeed

__all__ = ["groups", "make_trainer", "quietly", "share", "stopping"]


def make_trainer(folder, settings, machine, callbacks, seed):
    """Make the trainer of a run."""
    if machine.threads:
        torch.set_num_threads(machine.threads)
    if machine.workers:
        get_temp_dir()  # theirs too, then: what a signal kills does not remove its own
    draws = machine.progress and can_draw()
    loggers = [
        CSVLogger(folder.path, name="log", flush_logs_every_n_steps=50),
        TensorBoardLogger(folder.path, name="tensorboard"),
    ]
    options = {
        "default_root_dir": folder.path,
        "accelerator": machine.accelerator,
        "devices": machine.devices,
        "num_nodes": machine.num_nodes,
        "precision": settings.precision,
        "max_epochs": settings.epochs,
        "accumulate_grad_batches": settings.accumulate,
        "gradient_clip_val": settings.gradient_clip or None,
        "callbacks": [StepSeed(seed), LearningRateMonitor("step"), *([ProgressBar()] if draws else []), *callbacks],
        "logger": loggers,
        "plugins": [SafeCheckpoints()],
        "check_val_every_n_epoch": getattr(settings, "validate_every", 1),
        "use_distributed_sampler": False,  # the data give each process its share
        "num_sanity_val_steps": 0,
        "log_every_n_steps": 10,
        "enable_progress_bar": draws,
        "enable_model_summary": False,
    }
    try:
        trainer = lightning.Trainer(**options)
    except MisconfigurationException as error:
        told = f"accelerator {machine.accelerator!r}, devices {machine.devices}, nodes {machine.num_nodes}"
        raise ValueError(f"machine cannot be had ({told}): {error}") from error
    if isinstance(trainer.strategy, DDPStrategy):  # what is no parameter is kept alike, or is each process's own
        trainer.strategy._ddp_kwargs["broadcast_buffers"] = False
    return trainer


def stopping(settings, judged_by, *, train_epoch=False):
    """Make the callback that ends a training without improvement, if the recipe asks for it."""
    options = {"patience": settings.patience, "check_on_train_epoch_end": train_epoch}
    return [Patience(judged_by, **options)] if settings.patience else []


def share(settings, trainer):
    """Number of stamps of a batch on each process."""
    n, n_groups = trainer.world_size, groups(settings, trainer)
    if settings.batch_size % (n * n_groups):
        within = f" and {n_groups} groups" if n_groups > 1 else ""
        raise ValueError(f"batch_size {settings.batch_size} cannot be shared by {n} processes{within}")
    return settings.batch_size // n


def groups(settings, trainer):
    """
    Number of groups of a batch on each process: the recipe's over all processes, and at least two if there are any.

    With one group, batch norm leaks which key matches.
    """
    wanted = getattr(settings, "groups", 1)
    return max(2, wanted // trainer.world_size) if wanted > 1 else 1


_ADVICE = (
    "does not have many workers",
    "smaller than the logging interval",
    "exists and is not empty",
    "You passed in a `val_dataloader` but have no `validation_step`",
    "callbacks used to create the checkpoint need to be provided",  # only the interval has changed
    "The dirpath has changed",  # of the last checkpoint, which has nothing to remember
    r"module\(s\) in eval mode",  # a frozen encoder
    r"isinstance\(treespec, LeafSpec\)",  # between Lightning 2.6 and torch 2.13
)


@contextlib.contextmanager
def quietly():
    """Silence Lightning's advice: each piece either was taken or does not apply."""
    logger = logging.getLogger("lightning.pytorch")
    level = logger.level
    logger.setLevel(logging.WARNING)
    with warnings.catch_warnings():
        for message in _ADVICE:
            warnings.filterwarnings("ignore", f".*{message}")
        try:
            yield
        finally:
            logger.setLevel(level)
