# Licensed under a 3-clause BSD style license - see LICENSE
"""
The galaxies that a run learns from and is calibrated on, and those that it must not be judged by.
"""

import warnings
from pathlib import Path

from astro_photz.cutouts.hdf5.dataset import read_groups
from astro_photz.cutouts.hdf5.layout import open_cutouts
from astro_photz.models._galaxy_keys import Galaxies
from astro_photz.models.card import CARD, LINEAGE, ModelCard
from astro_photz.models.lineage import Lineage, TrainedOnWarning
from astro_photz.models.training_sets import TrainingSet
from astro_photz.train.data.splits import split_rows
from astro_photz.train.networks.weights import weights_file
from astro_photz.utils._files import sha256

from .record import RECORD, RunRecord

__all__ = ["check_validation", "lineage_of", "run_lineage"]


def run_lineage(record, *, data=None, validation=None):
    """
    Collect the galaxies of a run, and those of what it began with.

    Parameters
    ----------
    record : `~astro_photz.train.runs.record.RunRecord`
    data, validation : str or path-like, optional
        Its files, if they have moved.

    Returns
    -------
    `~astro_photz.models.lineage.Lineage`
    """
    data, validation = data or record.files["data"], validation or record.files.get("validation")
    lineage = Lineage(sets=_own_sets(record, data, validation))
    if record.init is None:
        return lineage
    begun = Path(record.files["init"])
    same = begun.is_file() and sha256(begun) == record.init
    name = record.origin.name if record.origin else begun.name
    return lineage.joined(lineage_of(begun) if same else None, model=name)


def lineage_of(source):
    """
    Find the galaxies that weights were learnt from, by what is beside them.

    Parameters
    ----------
    source : str or path-like
        As in `~astro_photz.train.networks.weights.read_weights`.

    Returns
    -------
    `~astro_photz.models.lineage.Lineage` or None
        Without keys of galaxies, if there is a card or a record only; None without either.
    """
    folder = weights_file(source).resolve().parent
    for place in (folder, folder.parent) if folder.name == "checkpoints" else (folder,):
        if (place / LINEAGE).is_file():
            return Lineage.read(place)
        if (place / CARD).is_file():
            return Lineage.of_card(ModelCard.read(place))
        if (place / RECORD).is_file():
            return _told(RunRecord.read(place))
    return None


def check_validation(record, *, tell=True):
    """
    Refuse to validate a run by galaxies that it learns from; warn if there are some among others.

    Parameters
    ----------
    record : `~astro_photz.train.runs.record.RunRecord`
    tell : bool, optional
        Whether to warn: of several processes, one does.

    Raises
    ------
    ValueError
        If the file for validation is the very file that the run learns from, or that it begins with was trained on.
    """
    begun = lineage_of(record.files["init"]) if record.init else None
    if record.validation:
        _refuse_learnt(record, begun)
    if not tell:
        return
    learnt, _ = _own_sets(record, record.files["data"], record.files["validation"])
    path = record.files["data" if record.held_out else "validation"]
    rows = _rows(record, path, held_out=record.held_out, learn=False) if record.held_out else None
    with open_cutouts(path) as file:
        galaxies = Galaxies.of_file(file, rows)
    own = Lineage(sets=[learnt]).overlap(galaxies)
    told = [f"this run is {own.told(galaxies.simulated).removeprefix('was ')}"] if own.n else []
    before = begun.overlap(galaxies, roles=("trained",)) if begun else None
    if before and before.n:
        told.append(f"{_name(record)}, which it begins with, {before.told(galaxies.simulated)}")
    if told:
        held = " (held out)" if record.held_out else ""
        warnings.warn(
            f"{Path(path).name}{held}: {'; '.join(told)}. A validation by these is too good, and a calibration makes "
            "PDFs too narrow: give a validation file without them",
            TrainedOnWarning,
            stacklevel=3,
        )


def _refuse_learnt(record, begun):
    path, digest = record.files["validation"], record.validation.sha256
    learnt = "by this run" if digest == record.data.sha256 else None
    if begun and begun.files.get(digest) == "trained":
        learnt = learnt or f"by {_name(record)}, which this run begins with"
    if learnt:
        raise ValueError(
            f"validation: {path} is the very file that is learnt from ({learnt}): give one of other galaxies, or "
            "leave it away, so that some are held out"
        )


def _name(record):
    return record.origin.name if record.origin else Path(record.files["init"]).name


def _own_sets(record, data, validation):
    if record.kind == "pretrain":
        return [TrainingSet.of_file("pretrained", data, _rows(record, data, n=record.n_images))]
    learnt = TrainingSet.of_file("trained", data, _rows(record, data, n=record.n_labels, held_out=record.held_out))
    if record.held_out:
        rows = _rows(record, data, held_out=record.held_out, learn=False)
        return [learnt, TrainingSet.of_file("calibrated", data, rows)]
    return [learnt, *([TrainingSet.of_file("calibrated", validation)] if record.validation else [])]


def _rows(record, path, **choice):
    with open_cutouts(path) as file:
        return split_rows(len(file["images"]), groups=read_groups(file), seed=record.seed, path=path, **choice)


def _told(record):
    """The hashes of files that the record of a run of an earlier version tells."""
    labelled = record.kind != "pretrain"
    files = {"trained" if labelled else "pretrained": record.data}
    if labelled and record.validation:
        files["calibrated"] = record.validation
    sets = [
        TrainingSet(role=role, n=file.n, sha256=file.sha256, simulated=file.simulated) for role, file in files.items()
    ]
    lineage = Lineage(sets=sets)
    return lineage.joined(None, model=record.origin.name if record.origin else "") if record.init else lineage
