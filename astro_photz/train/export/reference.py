# Licensed under a 3-clause BSD style license - see LICENSE
"""
The galaxies that a run was trained on become the reference of its model, by which strangers are told; and its
analogues, by which redshifts are.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch

from astro_photz.cutouts.hdf5.layout import open_cutouts
from astro_photz.models import PhotozModel
from astro_photz.models.card import CARD
from astro_photz.reference.analogues import Analogues
from astro_photz.reference.making import DISTANT, describe, make_reference, stamps_of
from astro_photz.reference.regression import FEWEST
from astro_photz.reference.strangers import KINDS, Reference
from astro_photz.train.networks.weights import read_weights
from astro_photz.utils._arrays import identifiers
from astro_photz.utils._files import sha256

if TYPE_CHECKING:
    from astro_photz.train.data.stamps import Stamps
    from astro_photz.train.runs.folder import RunFolder
    from astro_photz.utils._types import PathLike

__all__ = ["ENOUGH", "MOST", "add_analogues", "add_reference", "check_point_sources"]

ENOUGH = 5_000
"""Number of galaxies that tell how some hundred features vary together."""

MOST = 24_000
"""Number of galaxies that a reference is made of, if there are as many."""


def add_reference(
    folder: PathLike, run: RunFolder, *, learnt: Stamps, others: Stamps, point_sources: PathLike | None = None
) -> None:
    """
    Add the reference to the folder of a model that was made of a run.

    After an adaptation, the features are still those of the model that it began with. Then the reference of that model
    is kept where the run has learnt from fewer than `ENOUGH` galaxies, and its way to tell point sources and distant
    galaxies wherever ``point_sources`` has none, with the same thresholds; but not the latter if the new model knows
    galaxies further away. Strangers are always ranked among the galaxies that validate the run.

    Parameters
    ----------
    folder : path-like
        Of the model, with its graphs and card.
    run : `~astro_photz.train.runs.folder.RunFolder`
    learnt, others : `~astro_photz.train.data.stamps.Stamps`
        The galaxies that the run has learnt from, and those that validate it.
    point_sources : path-like, optional
        HDF5 file of stars and quasars; and of galaxies, where its data set ``point`` is 0: distant ones, where
        ``kind`` says so, and faint ones.
    """
    model = PhotozModel(folder)
    before, told = _reference_before(run, model)
    of = f"galaxies that {model.name} was trained on"
    if before is not None and len(learnt) < min(ENOUGH, told["n"]):
        ranking = describe(model, stamps_of(others.path, others.rows))
        reference, of = before.ranked_by(ranking), told["of"]
        numbers = {"n": told["n"], "n_validation": len(ranking[0])}
        if point_sources is not None:
            own, counted = _own_reference(model, learnt, others, point_sources)
            reference, numbers = replace(reference, **own.regressions), counted | numbers
    else:
        reference, numbers = _own_reference(model, learnt, others, point_sources)
        if before is not None:
            reference = replace(reference, **before.regressions | reference.regressions)
    reference.install(folder, of=of, **numbers)


def _own_reference(model, learnt, others, point_sources):
    """Reference of the galaxies of a run alone, and how many it is made of."""
    chosen = np.random.default_rng(0).permutation(len(learnt))[:MOST]
    training, validation = stamps_of(learnt.path, learnt.rows[chosen]), stamps_of(others.path, others.rows)
    points = {} if point_sources is None else _points_and_others(point_sources)
    return make_reference(model, training=training, validation=validation, **points)


def add_analogues(folder: PathLike, *, learnt: Stamps, others: Stamps, n: int) -> None:
    """
    Add galaxies that a run has learnt from to its model, as analogues.

    Parameters
    ----------
    folder : path-like
        Of the model, with its graphs and card.
    learnt, others : `~astro_photz.train.data.stamps.Stamps`
        The galaxies that the run has learnt from, and those that validate it.
    n : int
        Number of analogues, if there are as many galaxies.
    """
    rows = {"rows": learnt.rows, "validation_rows": others.rows}
    Analogues.of_training(PhotozModel(folder), learnt.path, others.path, n=n, **rows).install(folder)


def check_point_sources(path: PathLike) -> None:
    """
    Check that a file has point sources that a model can learn to tell.

    Parameters
    ----------
    path : path-like
        HDF5 file, as in `add_reference`.

    Raises
    ------
    OSError
        If there is no such file, or it is not HDF5.
    ValueError
        If it holds something else than stamps, too few point sources, or some distant galaxies, but too few.
    """
    kinds = _kinds(path)
    if not len(kinds["point_sources"]):
        raise ValueError(f"point_sources must be a file of stars or quasars: in {path}, point is 0 for all stamps")
    for name in KINDS:
        if 0 < len(kinds[name]) < FEWEST:
            told = name.replace("_", " ") + ("" if name == "point_sources" else " galaxies")
            raise ValueError(f"point_sources must be a file of {FEWEST} {told} or more: {path} has {len(kinds[name])}")


def _points_and_others(path):
    """Stamps of point sources, and those of distant and of faint galaxies, if there are some in the file."""
    return {name: stamps_of(path, rows) for name, rows in _kinds(path).items() if len(rows)}


def _kinds(path):
    """
    Rows of the point sources in a file, and of distant and of faint galaxies.

    Those are distant whose ``kind`` says so. Of the others ``point`` tells; where it is not there, all are points.
    """
    with open_cutouts(path) as file:
        n = len(file["images"])
        point, kind = (file[name][()] if name in file else None for name in ("point", "kind"))
    for name, values in (("point", point), ("kind", kind)):
        if values is not None and np.shape(values) != (n,):
            raise ValueError(
                f"point_sources must have one {name} for each stamp: {path} has {np.shape(values)} for {n} stamps"
            )
    distant = np.zeros(n, dtype=bool) if kind is None else identifiers(kind) == DISTANT
    is_point = ~distant & (True if point is None else point != 0)
    masks = {"point_sources": is_point, "distant": distant, "faint": ~(distant | is_point)}
    return {name: np.flatnonzero(mask) for name, mask in masks.items()}


def _reference_before(run, model):
    """
    The reference of the model that a run began with, and its card's entry, if the features are still the same.

    Galaxies that were distant then, but are known to the new model, are no longer told to be.
    """
    nothing = None, {}
    if run.record.init is None:
        return nothing
    weights = Path(run.record.files["init"])
    if not (weights.is_file() and sha256(weights) == run.record.init and (weights.parent / CARD).is_file()):
        return nothing
    begun = PhotozModel(weights.parent)
    (settings, state), (settings_before, before) = read_weights(run.path), read_weights(weights)
    if not begun.card.reference or settings != settings_before:
        return nothing
    of_features = [name for name in state if name.startswith("encoder.") or not settings.get("bottleneck")]
    if not all(torch.equal(state[name], before[name]) for name in of_features):
        return nothing
    reference = Reference.of_model(begun)
    if _furthest(model) > _furthest(begun):
        reference = replace(reference, distant=None)
    return reference, begun.card.reference


def _furthest(model):
    return model.card.training_range.get("redshift", [0, 0])[1]
