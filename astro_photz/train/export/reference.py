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
from astro_photz.reference.making import describe, make_reference, stamps_of
from astro_photz.reference.strangers import Reference
from astro_photz.train.networks.weights import read_weights
from astro_photz.utils._arrays import identifiers
from astro_photz.utils._files import sha256

if TYPE_CHECKING:
    from astro_photz.train.data.stamps import Stamps
    from astro_photz.train.runs.folder import RunFolder
    from astro_photz.utils._types import PathLike

__all__ = ["ENOUGH", "MOST", "add_analogues", "add_reference", "check_point_sources"]

_DISTANT = "distant"  # as simulate.write_points calls them

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
    galaxies wherever ``point_sources`` has none. Galaxies are always ranked among those that validate the run.

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
    model, (before, told) = PhotozModel(folder), _reference_before(run)
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
        If it holds something else than stamps, or no point source.
    """
    if not _is_point(path).any():
        raise ValueError(f"point_sources must be a file of stars or quasars: in {path}, point is 0 for all stamps")


def _points_and_others(path):
    """Stamps of point sources, and those of distant and of faint galaxies, if there are some in the file."""
    point = _is_point(path)
    with open_cutouts(path) as file:
        distant = _is_of_kind(file, _DISTANT, len(point)) & ~point
    kinds = {"point_sources": point, "distant": distant, "faint": ~(point | distant)}
    return {name: stamps_of(path, np.flatnonzero(rows)) for name, rows in kinds.items() if rows.any()}


def _is_of_kind(file, wanted, n):
    """Mask (n,) of the stamps of an open file that it says are of a kind."""
    if "kind" not in file:
        return np.zeros(n, dtype=bool)
    kind = identifiers(file["kind"][()])
    return np.asarray(kind == wanted) if kind.shape == (n,) else np.zeros(n, dtype=bool)


def _is_point(path):
    """Mask (N,) of the stamps of a file that are points: all of them, where it does not say."""
    with open_cutouts(path) as file:
        n = len(file["images"])
        point = file["point"][()] != 0 if "point" in file else np.ones(n, dtype=bool)
    if point.shape != (n,):
        raise ValueError(f"point_sources must have a number for each stamp in point: {path} has {point.shape} for {n}")
    return point


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
