# Licensed under a 3-clause BSD style license - see LICENSE
"""
Galaxies of known redshift in files of stamps, as a model sees them.
"""

from typing import NamedTuple

import numpy as np

from astro_photz.cutouts.container import read_rows
from astro_photz.cutouts.hdf5.layout import open_cutouts, read_column

__all__ = ["LabelledGalaxies", "labelled_galaxies"]

_IN_MEMORY = 500  # stamps at once


class LabelledGalaxies(NamedTuple):
    """
    N galaxies: their identifiers (N,), redshifts (N,) and embeddings (N, D), which are NaN where unknown.

    The identifiers of simulated galaxies are those of their progenitors.
    """

    ids: np.ndarray
    redshift: np.ndarray
    embedding: np.ndarray


def labelled_galaxies(model, path, rows=None, *, choose=None):
    """
    Embed galaxies of a file with redshifts.

    Parameters
    ----------
    model : `~astro_photz.models.PhotozModel`
    path : str or path-like
        HDF5 file of stamps.
    rows : `~numpy.ndarray` (M,) of int, optional
        Those that may be taken; all by default.
    choose : callable, optional
        Takes the identifiers (M,) of these, and gives the places among them of those that are wanted.

    Returns
    -------
    `LabelledGalaxies`

    Raises
    ------
    OSError, ValueError
        If the file cannot be read, or has no redshifts.
    """
    with open_cutouts(path, needs=("images", "e_bv", "specz_redshift")) as file:
        ids, redshift = _identifiers(file), read_column(file, "specz_redshift")
        rows = np.arange(len(ids)) if rows is None else np.asarray(rows)
        rows = np.sort(rows if choose is None else rows[choose(ids[rows])])  # in which a file is read fast
        parts = [rows[start : start + _IN_MEMORY] for start in range(0, len(rows), _IN_MEMORY)]
        none = np.empty((0, model.card.embedding_dim), dtype=np.float32)
        embedding = np.concatenate([none, *(model.embed(read_rows(file, part)) for part in parts)])
    return LabelledGalaxies(ids[rows], redshift[rows], embedding)


def _identifiers(file):
    progenitors = read_column(file, "seed_index")
    if progenitors is not None and (progenitors >= 0).any():
        return progenitors
    ids = read_column(file, "ObjID")
    return np.arange(len(file["images"])) if ids is None else ids
