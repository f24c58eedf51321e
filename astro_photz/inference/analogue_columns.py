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
from astro_photz.reference.neighbours import Neighbours

__all__ = ["ANALOGUE_COLUMNS", "AnalogueValues", "analogues_of"]

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


class AnalogueValues:
    """
    Values of the columns of N galaxies, filled batch by batch in any order.

    Parameters
    ----------
    n : int
        Number of galaxies.
    analogues : `~astro_photz.reference.analogues.Analogues`
    number : int
        How many are named for each galaxy.
    """

    def __init__(self, n, analogues, number):
        self._analogues, self._number = analogues, number
        self._found = Neighbours.unknown(n, number, analogues.ids.dtype)

    def put(self, part):
        """
        Fill in the analogues of a batch.

        Parameters
        ----------
        part : `~astro_photz.inference.engine.EstimatedBatch` (M,)

        Returns
        -------
        `~numpy.ndarray` (M,) int32
            The flag of the galaxies whose analogues disagree with the PDF.
        """
        found = self._analogues.search(part.embedding, self._number)
        for all_rows, values in zip(self._found, found, strict=True):
            all_rows[part.estimated] = values
        return np.where(self._analogues.disagree(found, part.pdf), PhotozFlag.ANALOGUES_DISAGREE, 0).astype(np.int32)

    def columns(self, missing):
        """
        Make the columns of the table.

        Parameters
        ----------
        missing : `~numpy.ndarray` (N,) bool
            Galaxies without an estimate, which are masked.

        Returns
        -------
        dict of `~astropy.table.MaskedColumn`
            By the end of their names: (N,), or (N, M) for M analogues.
        """
        found = self._found
        values = (found.z_knn, found.z_knn_err, found.ids, found.redshift, found.distance)
        masks = [np.broadcast_to(missing if value.ndim == 1 else missing[:, None], value.shape) for value in values]
        return {
            end: MaskedColumn(value, mask=mask, description=description)
            for (end, description), value, mask in zip(ANALOGUE_COLUMNS.items(), values, masks, strict=True)
        }
