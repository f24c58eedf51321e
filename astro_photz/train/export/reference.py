# Licensed under a 3-clause BSD style license - see LICENSE
"""
The galaxies that a run was trained on become the reference of its model, by which strangers are told.
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
from astro_photz.reference.making import describe, make_reference, stamps_of
from astro_photz.reference.strangers import Reference
from astro_photz.train.networks.weights import read_weights
from astro_photz.utils._files import sha256

if TYPE_CHECKING:
    from astro_photz.train.data.stamps import Stamps
    from astro_photz.train.runs.folder import RunFolder
    from astro_photz.utils._types import PathLike

__all__ = ["ENOUGH", "MOST", "add_reference"]

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
    is kept where the run has learnt from fewer than `ENOUGH` galaxies, and its way to tell point sources in any case;
    but not where ``point_sources`` are given. Galaxies are always ranked among those that validate the run.

    Parameters
    ----------
    folder : path-like
        Of the model, with its graphs and card.
    run : `~astro_photz.train.runs.folder.RunFolder`
    learnt, others : `~astro_photz.train.data.stamps.Stamps`
        The galaxies that the run has learnt from, and those that validate it.
    point_sources : path-like, optional
        HDF5 file of stars and quasars; and of faint galaxies, for which its data set ``point`` is 0.
    """
    model, validation = PhotozModel(folder), stamps_of(others.path, others.rows)
    before, told = (None, {}) if point_sources else _reference_before(run)
    if before is not None and len(learnt) < min(ENOUGH, told["n"]):
        ranking = describe(model, validation)
        before.ranked_by(ranking).install(folder, of=told["of"], n=told["n"], n_validation=len(ranking[0]))
        return
    chosen = np.random.default_rng(0).permutation(len(learnt))[:MOST]
    training = stamps_of(learnt.path, learnt.rows[chosen])
    points = _points_and_others(point_sources) if point_sources else {}
    reference, numbers = make_reference(model, training=training, validation=validation, **points)
    if before is not None:
        reference = replace(reference, point_sources=before.point_sources)
    reference.install(folder, of=f"galaxies that {model.name} was trained on", **numbers)


def _points_and_others(path):
    """Stamps of point sources, and those of faint galaxies, if there are some in the file."""
    with open_cutouts(path) as file:
        point = file["point"][()] != 0 if "point" in file else np.ones(len(file["images"]), dtype=bool)
    kinds = {"point_sources": np.flatnonzero(point), "faint": np.flatnonzero(~point)}
    return {name: stamps_of(path, rows) for name, rows in kinds.items() if len(rows)}


def _reference_before(run):
    """The reference of the model that a run began with, and its card's entry, if the features are still the same."""
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
    return Reference.of_model(begun), begun.card.reference
