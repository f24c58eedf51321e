# Licensed under a 3-clause BSD style license - see LICENSE
"""
A whole pretraining, from a recipe and a file of stamps to a folder.

Everything that could fail after an hour is checked before the first step.
"""

import warnings
from dataclasses import replace
from typing import Any

import lightning

from astro_photz.cutouts.hdf5.layout import open_cutouts
from astro_photz.train.data.loader import StampData
from astro_photz.train.recipe import Recipe
from astro_photz.train.tasks.contrastive import queue_length
from astro_photz.train.tasks.moco import ContrastiveModel
from astro_photz.train.tasks.probe import RedshiftProbe
from astro_photz.utils._types import PathLike

from ._trainer import groups, make_trainer, quietly, share, stopping
from .callbacks import LastCheckpoint
from .folder import RunFolder
from .machine import Machine
from .provenance import new_record
from .training import Training

__all__ = ["pretrain"]

_CURVES = ("probe_sigma_mad", "uniformity", "alignment")


def pretrain(
    recipe: Recipe | PathLike,
    data: PathLike,
    folder: PathLike,
    *,
    validation: PathLike | None = None,
    n_images: int | None = None,
    seed: int = 0,
    resume: PathLike | None = None,
    overwrite: bool = False,
    machine: Machine | None = None,
) -> dict[str, Any]:
    """
    Train an encoder without labels.

    Parameters
    ----------
    recipe : str, path-like or `~astro_photz.train.recipe.Recipe`
    data : str or path-like
        HDF5 file of stamps.
    folder : str or path-like
        Folder of the run: see :doc:`/training/runs`. An unfinished run is resumed.
    validation : str or path-like, optional
        HDF5 file of labelled stamps, for the redshift probe alone: nothing is learnt from it.
    n_images : int, optional
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
        If recipe, data and machine do not go together, the data cannot be trained on, or the training
        diverges.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> from astro_photz import testing, train
    >>> folder = pathlib.Path(tempfile.mkdtemp())
    >>> testing.gaussian_cutouts(160, size=68).write(folder / "stamps.h5")
    >>> changes = ["encoder.width = 4", "pretrain.epochs = 1", "pretrain.batch_size = 16", "pretrain.queue_length = 16"]
    >>> recipe = train.Recipe.read("smoke", changes=changes)
    >>> machine = train.Machine(accelerator="cpu", devices=1, progress=False)
    >>> metrics = train.pretrain(recipe, folder / "stamps.h5", folder / "run", machine=machine)
    >>> sorted(metrics)
    ['alignment', 'epochs', 'probe_sigma_mad', 'steps', 'uniformity']
    """

    recipe, machine, folder = Recipe.of(recipe), machine or Machine(), RunFolder(folder)
    if not recipe.encoder:
        raise ValueError(f"recipe {recipe.name!r} must have a table [encoder]")
    settings = recipe.pretrain
    with quietly():
        lightning.seed_everything(seed, verbose=False)
        if settings.patience and validation is None:
            raise ValueError("patience needs validation=, labelled stamps for the probe to judge the encoder by")
        callbacks = [RedshiftProbe(validation, seed=seed), *stopping(settings, "probe_sigma_mad", train_epoch=True)]
        callbacks.append(LastCheckpoint(folder.checkpoints, machine.checkpoint_every))
        trainer = make_trainer(folder, settings, machine, callbacks, seed)
        stamps = StampData(
            data,
            labelled=False,
            photometry=_needs_catalogue(settings, data),
            batch_size=share(settings, trainer),
            n_labels=n_images,
            n_processes=trainer.world_size,
            seed=seed,
            workers=machine.workers,
            in_memory=machine.in_memory,
        )
        recipe = _with_fitting_queue(recipe, len(stamps.train_stamps))
        options = recipe.pretrain.model_options() | {"groups": groups(settings, trainer)}
        training = Training(
            trainer=trainer,
            model=ContrastiveModel(encoder=recipe.encoder, **options),
            stamps=stamps,
            folder=folder,
            record=new_record("pretrain", data, validation=validation, seed=seed, n_images=n_images),
            recipe=recipe,
            keep="last",
            curves=_CURVES,
        )
        return training.run(resume=resume, overwrite=overwrite)


def _needs_catalogue(settings, data):
    """Tell whether a task takes a catalogue's photometry; refuse a file that lacks it."""
    if settings.photometry != "catalog" or not (settings.photometry_weight or settings.similar_negatives):
        return False
    with open_cutouts(data) as file:
        if not {"catalog_flux", "catalog_radius"} <= set(file):
            raise ValueError(
                f"{data} has no catalog_flux (N, 5) and catalog_radius (N,), the survey's photometry, which the recipe "
                "has the network predict or know similar galaxies by: add them to the file, or let the stamps' own do "
                "(--set pretrain.photometry=apertures --set encoder.bottleneck=0, the latter for finetune too)"
            )
    return True


def _with_fitting_queue(recipe, n_images):
    """Shorten the queue of a recipe, so that hardly an image meets keys of its own."""
    settings = recipe.pretrain
    length = queue_length(settings.queue_length, n_images=n_images, batch_size=settings.batch_size)
    if length < settings.queue_length:
        warnings.warn(
            f"queue_length is {length} instead of {settings.queue_length}: whole batches of {settings.batch_size}, and "
            f"no more than a tenth of the {n_images} images",
            UserWarning,
            stacklevel=3,
        )
    return replace(recipe, pretrain=replace(settings, queue_length=length))
