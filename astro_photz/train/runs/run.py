# Licensed under a 3-clause BSD style license - see LICENSE
"""
A whole training, from a recipe and a data set to a folder.

Lightning runs the loop: on processors or GPUs, on one machine or, under ``torchrun`` or SLURM, on several. Everything
that could go wrong after an hour is looked at before the first step.
"""

import contextlib
import copy
import logging
import math
import warnings
from dataclasses import dataclass, replace
from multiprocessing.util import get_temp_dir
from pathlib import Path

from lightning.fabric.utilities.exceptions import MisconfigurationException
from lightning.pytorch.callbacks import LearningRateMonitor
from lightning.pytorch.loggers import CSVLogger, TensorBoardLogger
from lightning.pytorch.strategies import DDPStrategy

from astro_photz.cutouts.hdf5.layout import open_cutouts
from astro_photz.train._lightning import lightning
from astro_photz.train._torch import torch
from astro_photz.train.data.loader import StampData
from astro_photz.train.data.stamps import Stamps
from astro_photz.train.networks.weights import (
    WEIGHTS,
    check_checkpoint,
    load_weights,
    origin,
    read_head,
    read_weights,
    weights_file,
    write_weights,
)
from astro_photz.train.recipe import Recipe
from astro_photz.train.tasks.calibration import FEWEST, linear_layer
from astro_photz.train.tasks.contrastive import ContrastiveModel, queue_length
from astro_photz.train.tasks.optimizer import total_steps
from astro_photz.train.tasks.probe import RedshiftProbe
from astro_photz.train.tasks.redshift import RedshiftModel
from astro_photz.utils._files import sha256
from astro_photz.utils._progress import can_draw

from .adaptation import held_out
from .callbacks import BestCheckpoint, LastCheckpoint, Patience, ProgressBar, SafeCheckpoints, StepSeed, check_disk
from .folder import RunFolder, contents
from .interrupts import StopAfterStep

__all__ = ["Machine", "finetune", "pretrain"]


@dataclass(frozen=True, kw_only=True)
class Machine:
    """
    Where a training runs.

    It changes what is learnt by rounding alone; but several processes draw random numbers of their own, and batch
    normalisation sees each one's share of a batch.

    Parameters
    ----------
    accelerator : str, optional
        ``"cpu"``, ``"gpu"`` or what else Lightning knows.
    devices : int or str, optional
        How many of them on each machine.
    num_nodes : int, optional
        How many machines.
    threads : int, optional
        Of each process; as torch chooses by default.
    workers : int, optional
        Processes that read ahead, for each device.
    in_memory : bool, optional
        Whether to hold all stamps in memory.
    checkpoint_every : int, optional
        Steps from one checkpoint to the next.
    progress : bool, optional
        Whether to draw a progress bar, on a terminal or in a notebook.
    """

    accelerator: str = "auto"
    devices: int | str = "auto"
    num_nodes: int = 1
    threads: int | None = None
    workers: int = 0
    in_memory: bool = False
    checkpoint_every: int = 500
    progress: bool = True


def pretrain(
    recipe, data, folder, *, validation=None, n_images=None, seed=0, resume=None, overwrite=False, machine=None
):
    """
    Train an encoder without labels.

    Parameters
    ----------
    recipe : str, path-like or `~astro_photz.train.recipe.Recipe`
    data : str or path-like
        HDF5 file of stamps.
    folder : str or path-like
        Where everything goes: see `astro_photz.train.runs.folder`. An unfinished run there is resumed.
    validation : str or path-like, optional
        HDF5 file of labelled stamps, for the redshift probe alone: nothing is learnt from it.
    n_images : int, optional
        How many of the stamps to use, drawn by the seed; all by default.
    seed : int, optional
        Of weights, order and augmentations, and of those stamps.
    resume : str or path-like, optional
        Checkpoint to go on from; by default the folder's last.
    overwrite : bool, optional
        Remove a training that is in the folder.
    machine : `Machine`, optional

    Returns
    -------
    dict
        Metrics, as in ``metrics.json``.

    Raises
    ------
    OSError
        If a file is not there or cannot be read, or the folder holds something else, or there is no room in it.
    ValueError
        If recipe, data and machine do not go together, the data are not such as can be trained on, or the training
        diverges.
    """
    recipe, machine, folder = _recipe(recipe), machine or Machine(), RunFolder(folder)
    if not recipe.encoder:
        raise ValueError(f"recipe {recipe.name!r} must have a table [encoder]")
    settings = recipe.pretrain
    with _quietly():
        lightning.seed_everything(seed, verbose=False)
        if settings.patience and validation is None:
            raise ValueError("patience needs validation=, labelled stamps for the probe to judge the encoder by")
        callbacks = [RedshiftProbe(validation, seed=seed), *_stopping(settings, "probe_sigma_mad", train_epoch=True)]
        callbacks.append(LastCheckpoint(folder.checkpoints, machine.checkpoint_every))
        trainer = _trainer(folder, settings, machine, callbacks, seed)
        reading = _reading(machine) | {"n_labels": n_images, "batch_size": _share(settings, trainer)}
        reading["n_processes"] = trainer.world_size
        reading["photometry"] = _of_catalogue(settings, data)
        stamps = StampData(data, labelled=False, seed=seed, **reading)
        recipe = _with_fitting_queue(recipe, len(stamps.train_stamps))
        options = recipe.pretrain.model_options() | {"groups": _groups(settings, trainer)}
        model = ContrastiveModel(encoder=recipe.encoder, **options)
        files = {"data": data, "validation": validation}
        what = {"kind": "pretrain", "seed": seed, "n_images": n_images} | contents(files)
        outcome = {"keep": "last", "curves": ("probe_sigma_mad", "uniformity", "alignment")}
        start = {"resume": resume, "overwrite": overwrite}
        return _run(trainer, model, stamps, folder, what=what, files=files, recipe=recipe, **start, **outcome)


def finetune(
    recipe,
    data,
    folder,
    *,
    validation=None,
    init=None,
    n_labels=None,
    seed=0,
    resume=None,
    overwrite=False,
    machine=None,
):
    """
    Train redshifts, from a pretrained encoder, from a model that is there, or from scratch.

    Parameters
    ----------
    recipe : str, path-like or `~astro_photz.train.recipe.Recipe`
    data : str or path-like
        HDF5 file of labelled stamps.
    folder : str or path-like
        Where everything goes: see `astro_photz.train.runs.folder`. An unfinished run there is resumed.
    validation : str or path-like, optional
        HDF5 file of labelled stamps, by which the best epoch is chosen, if the recipe keeps that. Without it, the
        larger of 100 galaxies and a fifth of ``data``, drawn by the seed, are held out for that.
    init : str or path-like, optional
        What the training begins with: see `~astro_photz.train.networks.weights.read_weights`. Where that has a redshift
        head, the head begins there too, and what it began with counts when the best is chosen. Random weights by
        default.
    n_labels : int, optional
        How many of the stamps to use, drawn by the seed; all by default.
    seed : int, optional
        Of weights, order and augmentations, and of those stamps.
    resume : str or path-like, optional
        Checkpoint to go on from; by default the folder's last.
    overwrite : bool, optional
        Remove a training that is in the folder.
    machine : `Machine`, optional

    Returns
    -------
    dict
        Metrics, as in ``metrics.json``.

    Raises
    ------
    OSError
        If a file is not there or cannot be read, or the folder holds something else, or there is no room in it.
    ValueError
        If recipe, data, weights and machine do not go together, the data are not such as can be trained on, or the
        training diverges.
    """
    recipe, machine, folder = _recipe(recipe), machine or Machine(), RunFolder(folder)
    settings = recipe.finetune
    if settings.frozen and init is None:
        raise ValueError("frozen must be false, or init be given (init=): random weights would stay what they are")
    if not recipe.encoder:
        if init is None:
            raise ValueError(f"recipe {recipe.name!r} has no table [encoder]: give it one, or init=")
        recipe = replace(recipe, encoder=read_weights(init)[0])
    with _quietly():
        lightning.seed_everything(seed, verbose=False)
        model = RedshiftModel(encoder=recipe.encoder, **settings.model_options())
        head = None if init is None else _begin(model, init, recipe)
        last = LastCheckpoint(folder.checkpoints, machine.checkpoint_every)
        callbacks = [*_stopping(settings, "val_loss"), BestCheckpoint(folder.checkpoints), last]
        trainer = _trainer(folder, settings, machine, callbacks, seed)
        n_held = 0 if validation else held_out(len(Stamps(data)))
        n_own = max(1, n_labels // trainer.world_size) if n_labels else settings.batch_size
        batch_size = min(_share(settings, trainer), n_own)
        reading = _reading(machine) | {"validation": validation, "n_labels": n_labels, "batch_size": batch_size}
        reading["n_processes"] = trainer.world_size
        if n_held:
            reading["held_out"] = n_held
        stamps = StampData(data, labelled=True, seed=seed, **reading)
        n_validation = len(stamps.validation_stamps)
        if n_validation < FEWEST:
            raise ValueError(f"validation must have the {FEWEST} galaxies that calibration takes, got {n_validation}")
        files = {"data": data, "validation": validation}
        begun = None if init is None else weights_file(init)
        what = {"kind": "finetune", "seed": seed, "n_labels": n_labels, "init": begun and sha256(begun)}
        what, files = what | contents(files), files | {"init": begun}
        known = {"held_out": n_held and n_validation, "origin": None if init is None else origin(init)}
        what |= {name: fact for name, fact in known.items() if fact}
        curves = ("val_loss", "val_sigma_mad", "val_bias")
        outcome = {"keep": settings.keep, "curves": curves, "start_counts": head is not None}
        start = {"resume": resume, "overwrite": overwrite}
        return _run(trainer, model, stamps, folder, what=what, files=files, recipe=recipe, **start, **outcome)


def _stopping(settings, judged_by, *, train_epoch=False):
    """What ends a training that does not get better any more, if that is wanted."""
    options = {"patience": settings.patience, "check_on_train_epoch_end": train_epoch}
    return [Patience(judged_by, **options)] if settings.patience else []


def _of_catalogue(settings, data):
    """Whether a catalogue's photometry is to be predicted, which the file must then have."""
    if settings.photometry_weight == 0 or settings.photometry != "catalog":
        return False
    with open_cutouts(data) as file:
        if not {"catalog_flux", "catalog_radius"} <= set(file):
            raise ValueError(
                f"{data} has no catalog_flux (N, 5) and catalog_radius (N,), the survey's photometry, which the recipe "
                "has the network predict: add them to the file, or let the stamps' own do "
                "(--set pretrain.photometry=apertures --set encoder.bottleneck=0, the latter for finetune too)"
            )
    return True


def _begin(model, init, recipe):
    """Let a model begin where another training ended; its head too, if that had one, which is returned."""
    load_weights(model.encoder, init, settings=recipe.encoder)
    head = read_head(init)
    if head is not None:
        model.head.load_state_dict(linear_layer(head).state_dict())
    return head


def _recipe(recipe):
    return recipe if isinstance(recipe, Recipe) else Recipe.read(recipe)


def _reading(machine):
    return {"workers": machine.workers, "in_memory": machine.in_memory}


def _with_fitting_queue(recipe, n_images):
    """The recipe with a queue in which hardly an image meets keys of its own."""
    settings = recipe.pretrain
    length = queue_length(settings.queue_length, n_images=n_images, batch_size=settings.batch_size)
    if length < settings.queue_length:
        warnings.warn(
            f"queue_length is {length} instead of {settings.queue_length}: whole batches of {settings.batch_size}, and "
            f"no more than a tenth of the {n_images} images",
            UserWarning,
            stacklevel=4,
        )
    return replace(recipe, pretrain=replace(settings, queue_length=length))


def _share(settings, trainer):
    """Stamps of a batch on each process."""
    n, groups = trainer.world_size, _groups(settings, trainer)
    if settings.batch_size % (n * groups):
        within = f" and {groups} groups" if groups > 1 else ""
        raise ValueError(f"batch_size {settings.batch_size} cannot be shared by {n} processes{within}")
    return settings.batch_size // n


def _groups(settings, trainer):
    """Groups of a batch on each process: the recipe's over all of them, but two at least, or keys would be betrayed."""
    groups = getattr(settings, "groups", 1)
    return max(2, groups // trainer.world_size) if groups > 1 else 1


def _trainer(folder, settings, machine, callbacks, seed):
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


def _run(trainer, model, stamps, folder, *, what, files, recipe, resume, overwrite, keep, curves, start_counts=False):
    """Train, unless that has been done, and write down what came of it."""
    stop = StopAfterStep(folder.last_path)
    trainer.callbacks.insert(0, stop)
    if resume and folder.last and not overwrite:
        done = (folder.resumed, str(folder.last.resolve()))  # and gone on with: what is here is further
        resume = None if str(Path(resume).resolve()) in done else resume
    if resume:
        constant = getattr(recipe, what["kind"]).optimizer.schedule == "constant"
        check_checkpoint(resume, model, steps=None if constant else total_steps(trainer, stamps))
    if trainer.is_global_zero:
        if overwrite:
            folder.clear(resume, *files.values())
        folder.begin(what, recipe, files=files)
        check_disk(folder.path, model)
    goes_on = not (overwrite or resume)
    if goes_on and folder.metrics:
        return folder.metrics
    if resume and trainer.is_global_zero:
        folder.take_along(resume)
    with stop.armed():
        start = _start(trainer, model, stamps) if start_counts and keep == "best" else None
        trainer.fit(model, stamps, ckpt_path=folder.last if goes_on else resume, weights_only=True)
    trainer.save_checkpoint(folder.last_path)
    if not trainer.is_global_zero:
        return {}
    best = folder.checkpoints / f"{keep}.ckpt"  # not there if a finished training was gone on with, without its best
    kept = torch.load(best if best.exists() else folder.last_path, map_location="cpu", weights_only=True)["state_dict"]
    measured = {name: folder.curve(name) for name in curves}
    if start and start["val_loss"] <= min((loss for _, loss in measured["val_loss"]), default=math.inf):
        kept = start["state_dict"]
    _check_finite(kept, folder.path)
    model.load_state_dict(kept)
    write_weights(folder.path / WEIGHTS, model.encoder, recipe.encoder, head=getattr(model, "head", None))
    if not folder.draw():
        warnings.warn('there is no learning_curve.png: pip install "astro-photz[plot]"', UserWarning, stacklevel=4)
    if start:
        measured = {name: [[0, start[name]], *curve] for name, curve in measured.items()}
    return folder.finish({"epochs": trainer.current_epoch, "steps": trainer.global_step} | measured)


def _check_finite(weights, path):
    if not all(value.isfinite().all() for value in weights.values()):
        raise ValueError(
            f"{path}: the training has diverged, weights are NaN: choose a lower learning_rate, and another folder"
        )


def _start(trainer, model, stamps):
    """What a training begins with, and how good that is already: not in its log, where the first step may be judged."""
    loggers, trainer.loggers = trainer.loggers, []
    (judged,) = trainer.validate(model, stamps, verbose=False)
    trainer.loggers = loggers
    return judged | {"state_dict": copy.deepcopy(model.state_dict())}


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
def _quietly():
    """Without Lightning's advice, of which each piece either was taken or does not hold here."""
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
