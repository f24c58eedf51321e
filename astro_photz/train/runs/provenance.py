# Licensed under a 3-clause BSD style license - see LICENSE
"""
The origin of the data and weights of a run.
"""

from pathlib import Path

from astro_photz.models.card import CARD, ModelCard
from astro_photz.train.networks.weights import weights_file
from astro_photz.utils._files import sha256

from .record import RECORD, DataFile, Origin, RunRecord

__all__ = ["new_record", "origin"]


def origin(source):
    """
    Find where weights come from, by the card or the record beside them.

    Parameters
    ----------
    source : str or path-like
        As in `~astro_photz.train.networks.weights.read_weights`.

    Returns
    -------
    `~astro_photz.train.runs.record.Origin` or None
        None for a file that has no model or run beside it.
    """
    folder = weights_file(source).resolve().parent
    if (folder / CARD).is_file():
        card = ModelCard.read(folder)
        simulated = card.simulated or bool(card.origin.get("simulated"))
        return Origin(name=card.name, training_range=card.training_range or None, simulated=simulated)
    for run in (folder, folder.parent):  # of a checkpoint
        if (run / RECORD).is_file():
            record = RunRecord.read(run)
            simulated = record.data.simulated or bool(record.origin and record.origin.simulated)
            return Origin(name=run.name, simulated=simulated)
    return None


def new_record(kind, data, *, validation=None, init=None, **facts):
    """
    Make the record of a run that is about to begin.

    Parameters
    ----------
    kind : {"pretrain", "finetune", "adapt"}
    data : str or path-like
    validation : str or path-like, optional
    init : str or path-like, optional
        As in `~astro_photz.train.networks.weights.read_weights`.
    **facts
        Other fields of `~astro_photz.train.runs.record.RunRecord`.

    Returns
    -------
    `~astro_photz.train.runs.record.RunRecord`
    """
    begun = None if init is None else weights_file(init)
    paths = {"data": data, "validation": validation, "init": begun}
    return RunRecord(
        kind=kind,
        data=DataFile.of(data),
        validation=None if validation is None else DataFile.of(validation),
        init=begun and sha256(begun),
        origin=None if init is None else origin(init),
        files={name: path and str(Path(path).resolve()) for name, path in paths.items()},
        **facts,
    )
