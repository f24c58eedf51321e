# Licensed under a 3-clause BSD style license - see LICENSE
"""
A whole fine-tuning, from a recipe, labelled stamps and perhaps weights to a folder.

Everything that could fail after an hour is checked before the first step.
"""

from dataclasses import replace
from typing import Any

import lightning

from astro_photz.train.data.loader import StampData
from astro_photz.train.data.splits import FEWEST, held_out
from astro_photz.train.data.stamps import Stamps
from astro_photz.train.networks.heads import linear_layer
from astro_photz.train.networks.weights import load_weights, read_head, read_weights
from astro_photz.train.recipe import Recipe
from astro_photz.train.tasks.redshift import RedshiftModel
from astro_photz.utils._types import PathLike

from ._trainer import make_trainer, quietly, share, stopping
from .callbacks import BestCheckpoint, LastCheckpoint
from .folder import RunFolder
from .lineage import check_validation
from .machine import Machine
from .provenance import new_record
from .training import Training

__all__ = ["finetune"]

_CURVES = ("val_loss", "val_sigma_mad", "val_bias")


def finetune(
    recipe: Recipe | PathLike,
    data: PathLike,
    folder: PathLike,
    *,
    validation: PathLike | None = None,
    init: PathLike | None = None,
    n_labels: int | None = None,
    seed: int = 0,
    resume: PathLike | None = None,
    overwrite: bool = False,
    machine: Machine | None = None,
) -> dict[str, Any]:
    """
    Train redshifts, from a pretrained encoder, from another model, or from scratch.

    Parameters
    ----------
    recipe : str, path-like or `~astro_photz.train.recipe.Recipe`
    data : str or path-like
        HDF5 file of labelled stamps.
    folder : str or path-like
        Folder of the run: see :doc:`/training/runs`. An unfinished run is resumed.
    validation : str or path-like, optional
        HDF5 file of labelled stamps, to choose the best epoch by, if the recipe keeps that one. Without it, the
        larger of 100 galaxies and a fifth of ``data``, drawn by the seed, are held out for that.
    init : str or path-like, optional
        Weights to begin with: the folder of a run or of a model, the name of a model, ``"bundled"`` for the one that
        comes with the package, a checkpoint, or a file of weights. If they include a redshift head, the head begins
        there too, and the start counts when the best epoch is chosen. Random weights by default.
    n_labels : int, optional
        Number of stamps to use, drawn by the seed; all by default.
    seed : int, optional
        Of weights, order and augmentations, and of those stamps.
    resume : str or path-like, optional
        Checkpoint to resume from; by default the folder's last.
    overwrite : bool, optional
        Remove a run that is in the folder.
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
        If recipe, data, weights and machine do not go together, the data cannot be trained on, or the
        training diverges; or if ``validation`` is the very file that is learnt from, here or by ``init``. Galaxies that
        such files have in common are told in a `~astro_photz.models.TrainedOnWarning`.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> import numpy as np
    >>> from astro_photz import testing, train
    >>> folder = pathlib.Path(tempfile.mkdtemp())
    >>> cutouts = testing.gaussian_cutouts(200, size=68)
    >>> cutouts.write(folder / "stamps.h5", specz_redshift=np.linspace(0.02, 0.2, 200))  # made up
    >>> recipe = train.Recipe.read("smoke", changes=["encoder.width = 4", "finetune.epochs = 1"])
    >>> machine = train.Machine(accelerator="cpu", devices=1, progress=False)
    >>> metrics = train.finetune(recipe, folder / "stamps.h5", folder / "run", machine=machine)
    >>> sorted(metrics)
    ['epochs', 'steps', 'val_bias', 'val_loss', 'val_sigma_mad']
    """

    recipe, machine, folder = _with_encoder(Recipe.of(recipe), init), machine or Machine(), RunFolder(folder)
    settings = recipe.finetune
    with quietly():
        lightning.seed_everything(seed, verbose=False)
        model = RedshiftModel(encoder=recipe.encoder, **settings.model_options())
        begins_with_head = init is not None and _begin(model, init, recipe)
        callbacks = [*stopping(settings, "val_loss"), BestCheckpoint(folder.checkpoints)]
        callbacks.append(LastCheckpoint(folder.checkpoints, machine.checkpoint_every))
        trainer = make_trainer(folder, settings, machine, callbacks, seed)
        own_labels = max(1, n_labels // trainer.world_size) if n_labels else settings.batch_size
        stamps = StampData(
            data,
            validation=validation,
            held_out=0 if validation else held_out(len(Stamps(data))),
            batch_size=min(share(settings, trainer), own_labels),
            n_labels=n_labels,
            n_processes=trainer.world_size,
            seed=seed,
            workers=machine.workers,
            in_memory=machine.in_memory,
        )
        n = len(stamps.validation_stamps or ())
        if n < FEWEST:
            raise ValueError(f"validation must have the {FEWEST} galaxies that calibration takes, got {n}")
        held = 0 if validation else n
        facts = {"init": init, "seed": seed, "n_labels": n_labels, "held_out": held}
        record = new_record("finetune", data, validation=validation, **facts)
        check_validation(record, tell=trainer.is_global_zero)
        training = Training(
            trainer=trainer,
            model=model,
            stamps=stamps,
            folder=folder,
            record=record,
            recipe=recipe,
            keep=settings.keep,
            curves=_CURVES,
            start_counts=begins_with_head,
        )
        return training.run(resume=resume, overwrite=overwrite)


def _with_encoder(recipe, init):
    """The recipe with an encoder: its own, or that of the weights to begin with."""
    if recipe.finetune.frozen and init is None:
        raise ValueError("frozen must be false, or init be given (init=): random weights would stay what they are")
    if recipe.encoder:
        return recipe
    if init is None:
        raise ValueError(f"recipe {recipe.name!r} has no table [encoder]: give it one, or init=")
    return replace(recipe, encoder=read_weights(init)[0])


def _begin(model, init, recipe):
    """Load the weights to begin with; tell whether they include a head."""
    load_weights(model.encoder, init, settings=recipe.encoder)
    head = read_head(init)
    if head is not None:
        model.head.load_state_dict(linear_layer(head).state_dict())
    return head is not None
