# Licensed under a 3-clause BSD style license - see LICENSE
"""
From stamps to the reference of a model.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from astro_photz.cutouts.container import read_rows
from astro_photz.cutouts.hdf5.layout import open_cutouts
from astro_photz.flags import MISSING
from astro_photz.models.model import IMAGE_SIZE
from astro_photz.quality import flag_images
from astro_photz.quality.measurements import measure

from .regression import Regression
from .strangers import KINDS, Reference

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from astro_photz.cutouts import Cutouts
    from astro_photz.models import PhotozModel
    from astro_photz.utils._types import PathLike

__all__ = ["DISTANT", "describe", "make_reference", "stamps_of"]

DISTANT = "distant"
"""Name, in the data set ``kind`` of a file, of galaxies beyond the redshifts of a training."""

# Of the galaxies of the validation: all flags together are to hit few of them. The features tell points better.
_FALSE_ALARMS = dict(zip(KINDS, (0.005, 0.01), strict=True))
_BLOCK = 256  # stamps in memory


def describe(model: PhotozModel, batches: Iterable[Cutouts]) -> tuple[np.ndarray, np.ndarray]:
    """
    Measure stamps as the model and plain photometry see them, but for those that get no estimate.

    Parameters
    ----------
    model : `~astro_photz.models.PhotozModel`
    batches : iterable of `~astro_photz.Cutouts`

    Returns
    -------
    features : `~numpy.ndarray` (N, F) float32
        Of `~astro_photz.models.PhotozModel.encoding`.
    vector : `~numpy.ndarray` (N, M) float32
        Of `~astro_photz.quality.measurements.Measurements`.

    Raises
    ------
    ValueError
        If no stamp gets an estimate.
    """
    features, vectors = [], []
    for batch in batches:
        cutouts = batch.crop(IMAGE_SIZE)
        measured = measure(cutouts)
        usable = (flag_images(cutouts, measurements=measured) & MISSING) == 0
        features.append(model.encoding(cutouts[usable]).features)
        vectors.append(measured.vector[usable])
    if not sum(map(len, features)):
        raise ValueError("none of the stamps can be described: without an image or E(B-V), there is no estimate")
    return np.concatenate(features), np.concatenate(vectors)


def stamps_of(path: PathLike, rows: np.ndarray | None = None) -> Iterator[Cutouts]:
    """
    Read the stamps of a file, a few hundred at a time.

    Parameters
    ----------
    path : str or path-like
        HDF5 file.
    rows : `~numpy.ndarray` (N,) of int, optional
        All by default.

    Yields
    ------
    `~astro_photz.Cutouts`
    """
    with open_cutouts(path) as file:
        rows = np.arange(len(file["images"])) if rows is None else np.sort(rows)
        for start in range(0, len(rows), _BLOCK):
            yield read_rows(file, rows[start : start + _BLOCK])


def make_reference(
    model: PhotozModel,
    *,
    training: Iterable[Cutouts],
    validation: Iterable[Cutouts],
    point_sources: Iterable[Cutouts] | None = None,
    distant: Iterable[Cutouts] | None = None,
    faint: Iterable[Cutouts] | None = None,
) -> tuple[Reference, dict[str, int]]:
    """
    Make the reference of a model.

    Parameters
    ----------
    model : `~astro_photz.models.PhotozModel`
    training : iterable of `~astro_photz.Cutouts`
        Galaxies that it was trained on, without augmentation: 20,000 or more tell strangers best.
    validation : iterable of `~astro_photz.Cutouts`
        Others, that it was not trained on, to rank by.
    point_sources : iterable of `~astro_photz.Cutouts`, optional
        Stars and quasars, which the reference learns to tell.
    distant : iterable of `~astro_photz.Cutouts`, optional
        Galaxies beyond the redshifts of the training, which it learns to tell.
    faint : iterable of `~astro_photz.Cutouts`, optional
        Galaxies fainter than those of the training, which it learns not to take for either.

    Returns
    -------
    reference : `Reference`
    numbers : dict of int
        How many of each kind there were: ``n``, ``n_validation`` and perhaps ``n_point_sources``, ``n_distant`` and
        ``n_faint``.

    Raises
    ------
    ValueError
        If there are too few stamps.
    """
    known, others = describe(model, training), describe(model, validation)
    numbers = {"n": len(known[0]), "n_validation": len(others[0])}
    given = {"point_sources": point_sources, "distant": distant, "faint": faint}
    told = {name: describe(model, stamps)[0] for name, stamps in given.items() if stamps is not None}
    numbers |= {f"n_{name}": len(features) for name, features in told.items()}
    options = {"more": told.get("faint"), "validation": others[0]}
    regressions = {
        name: Regression.fit(known[0], told[name], false_alarms=_FALSE_ALARMS[name], **options)
        for name in KINDS
        if name in told
    }
    return Reference.fit(known, others, **regressions), numbers
