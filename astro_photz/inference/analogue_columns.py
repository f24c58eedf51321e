# Licensed under a 3-clause BSD style license - see LICENSE
"""
The columns of spectroscopic analogues, and the flag of those that speak for another redshift.
"""

import numpy as np
from astropy.table import MaskedColumn

from astro_photz.flags import PhotozFlag
from astro_photz.models import ModelError
from astro_photz.models.card import ANALOGUES
from astro_photz.reference.analogues import Analogues

__all__ = ["ANALOGUE_COLUMNS", "analogue_columns", "analogue_fields", "analogues_of", "put_analogues", "unknown"]

ANALOGUE_COLUMNS = {
    "_knn": "Mean redshift of the galaxies that the model knows and finds most alike",
    "_knn_err": "Error of it, by the scatter of their redshifts",
    "_analogue_id": "Identifiers of the spectroscopic analogues, the nearest first",
    "_analogue_z": "Spectroscopic redshifts of the analogues",
    "_analogue_distance": "Distances of the analogues in the embedding, in standard deviations of known galaxies",
}
"""Descriptions of the columns by the end of their names; the last three have a number for each analogue."""


def analogues_of(model, number):
    """
    Read the analogues of a model that are to be named.

    Parameters
    ----------
    model : `~astro_photz.models.PhotozModel`
    number : int
        How many of each galaxy; 0 for none.

    Returns
    -------
    `~astro_photz.reference.analogues.Analogues` or None
        None if there are to be none.

    Raises
    ------
    ValueError
        If the number is none that can be.
    `~astro_photz.models.ModelError`
        If the model has no analogues.
    """
    if isinstance(number, bool) or not isinstance(number, int | np.integer) or number < 0:
        raise ValueError(f"analogues must be a number of galaxies, such as 5, or 0 for none; got {number!r}")
    if number == 0:
        return None
    found = Analogues.of_model(model)
    if found is None:
        raise ModelError(
            f"the model {model.name} {model.version} brings no analogues: there is no {ANALOGUES} in its folder. Take "
            "another model, or do without analogues; or add them, in a clone of the source, by python -m "
            "tools.make_analogues MODEL TRAIN.h5 VALIDATION.h5"
        )
    if number > len(found):
        raise ValueError(f"analogues must be at most {len(found)}, the galaxies that the model brings; got {number}")
    return found


def unknown(shape, kind):
    """
    Make an array of a value that stands for none: NaN, False, -1 or an empty text.

    Parameters
    ----------
    shape : tuple of int
    kind : `~numpy.dtype`

    Returns
    -------
    `~numpy.ndarray`
    """
    return np.full(shape, {"f": np.nan, "b": False, "i": -1, "U": ""}[kind.kind], dtype=kind)


def analogue_fields(analogues, number):
    """
    List the numbers that are kept of the analogues of a galaxy.

    Parameters
    ----------
    analogues : `~astro_photz.reference.analogues.Analogues` or None
        None for none.
    number : int
        How many analogues each galaxy gets.

    Returns
    -------
    list of tuple
        Of `~numpy.dtype`, by the names of `ANALOGUE_COLUMNS` after a ``z``.
    """
    if analogues is None:
        return []
    ids = analogues.ids.dtype if analogues.ids.dtype.kind == "U" else np.dtype(np.int64)
    kinds = (np.float32,), (np.float32,), (ids, (number,)), *2 * [(np.float32, (number,))]
    return [(f"z{end}", *kind) for end, kind in zip(ANALOGUE_COLUMNS, kinds, strict=True)]


def put_analogues(rows, there, part, analogues, number):
    """
    Fill in the analogues of a batch.

    Parameters
    ----------
    rows : dict of `~numpy.ndarray` (B, ...)
        Of `~astro_photz.inference.columns.ResultColumns`.
    there : `~numpy.ndarray` (B,) of bool
        Mask of the M galaxies with an estimate.
    part : `~astro_photz.inference.engine.EstimatedBatch` (B,)
    analogues : `~astro_photz.reference.analogues.Analogues`
    number : int

    Returns
    -------
    `~numpy.ndarray` (M,) int32
        The flag of the galaxies whose analogues disagree with the PDF.
    """
    found = analogues.search(part.embedding, number)
    for end, values in zip(ANALOGUE_COLUMNS, _in_order(found), strict=True):
        rows[f"z{end}"][there] = values
    return np.where(analogues.disagree(found, part.pdf), PhotozFlag.ANALOGUES_DISAGREE, 0).astype(np.int32)


def _in_order(found):
    return found.z_knn, found.z_knn_err, found.ids, found.redshift, found.distance


def analogue_columns(rows, missing):
    """
    Make the columns of a table.

    Parameters
    ----------
    rows : mapping of `~numpy.ndarray` (N, ...)
    missing : `~numpy.ndarray` (N,) bool
        Galaxies without an estimate, which are masked.

    Returns
    -------
    dict of `~astropy.table.MaskedColumn`
        By the end of their names: (N,), or (N, M) for M analogues.
    """
    columns = {}
    for end, description in ANALOGUE_COLUMNS.items():
        values = rows[f"z{end}"]
        mask = np.broadcast_to(missing if values.ndim == 1 else missing[:, None], values.shape)
        columns[end] = MaskedColumn(values, mask=mask, description=description)
    return columns
