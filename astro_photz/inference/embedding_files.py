# Licensed under a 3-clause BSD style license - see LICENSE
"""
From a table of galaxies to a file of embeddings, with one batch in memory at a time, and resumable.
"""

from __future__ import annotations

import hashlib
from contextlib import closing
from typing import TYPE_CHECKING

import numpy as np
from astropy.coordinates import SkyCoord

from astro_photz.cutouts import Cutouts
from astro_photz.similarity.embeddings import SUFFIXES, fields, write_embeddings
from astro_photz.similarity.models import encoder_of, search_model
from astro_photz.utils._checks import check_not_there
from astro_photz.utils._claims import claimed
from astro_photz.utils._files import expanded, full_disk_told
from astro_photz.utils._journal import Journal
from astro_photz.utils._progress import progress_bar
from astro_photz.utils._types import PathLike, TableLike, UnitLike

from .engine import estimate_batches
from .galaxies import open_galaxies

if TYPE_CHECKING:
    from astro_photz.cutouts import CutoutSource
    from astro_photz.models import PhotozModel

__all__ = ["embed_to_file"]


def embed_to_file(
    data: TableLike | Cutouts,
    path: PathLike,
    *,
    source: CutoutSource | PathLike | None = None,
    model: PathLike | PhotozModel | None = None,
    overwrite: bool = False,
    progress: bool | None = None,
    coord: str | SkyCoord | None = None,
    ra: str | None = None,
    dec: str | None = None,
    ra_unit: UnitLike = None,
    ebv: str | None = None,
    extinction_release: int | None = None,
) -> np.ndarray:
    """
    Embed galaxies into a file, to search for similar ones.

    The file takes its name when it is complete. Until then, the same call resumes the work where it was stopped.

    Parameters
    ----------
    data : table-like or `~astro_photz.Cutouts`
        N galaxies, as in `~astro_photz.predict`. An HDF5 file of cutouts is read batch by batch.
    path : str or path-like
        The file, ``.npy``, ``.h5`` or ``.parquet``: see `~astro_photz.similarity.read_embeddings`.
    model : str, path-like or `~astro_photz.models.PhotozModel`, optional
        By default the default model as it was before it learnt redshifts, whose embedding is the better one to search
        by.
    overwrite : bool, optional
        Replace a file that is there, or one that was begun with other settings.
    source, progress, coord, ra, dec, ra_unit, ebv, extinction_release
        As in `~astro_photz.predict`.

    Returns
    -------
    `~numpy.ndarray` (N,) of int32
        Bits of `~astro_photz.PhotozFlag`; a galaxy without an image has NaN in the file.

    Raises
    ------
    FileExistsError
        If there is such a file, or an unfinished one of other settings, and ``overwrite`` is not set.
    ValueError
        If the ending of the file is another one.
    TypeError, KeyError, OSError
        As in `~astro_photz.predict`.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> import astro_photz
    >>> from astro_photz.inference.embedding_files import embed_to_file
    >>> from astro_photz.similarity import read_embeddings
    >>> path = pathlib.Path(tempfile.mkdtemp()) / "demo.h5"
    >>> flags = embed_to_file(astro_photz.demo_path(), path)
    >>> read_embeddings(path).shape
    (24, 512)
    """
    path = expanded(path)
    _check_output(path, overwrite)
    model = search_model(model)
    named = {"coord": coord, "ra": ra, "dec": dec, "ra_unit": ra_unit, "ebv": ebv}
    with open_galaxies(data, source=source, extinction_release=extinction_release, **named) as galaxies:
        return _embedded(galaxies, path, model, overwrite, progress)


def _embedded(galaxies, path, model, overwrite, progress):
    ids, unfinished = galaxies.ids, path.with_name(path.name + ".part")
    kind = fields(model.card.embedding_dim, ids)

    def lay_out():
        with open(unfinished, "wb") as file:
            file.truncate(max(1, len(galaxies) * kind.itemsize))
        rows = _mapped(unfinished, kind, len(galaxies))
        rows["id"] = ids
        rows["ra"], rows["dec"] = _places(galaxies)
        rows["embedding"] = np.nan
        return ()

    task = {"n": len(galaxies), "ids": hashlib.sha256(np.ascontiguousarray(ids).tobytes()).hexdigest()}
    task |= encoder_of(model) | galaxies.facts()
    with claimed(path), full_disk_told(path, len(galaxies) * kind.itemsize):
        _check_output(path, overwrite)
        with closing(Journal.open(unfinished, task, start=lay_out, overwrite=overwrite)) as journal:
            rows = _mapped(unfinished, kind, len(galaxies))
            _fill(rows, galaxies, model, journal, progress)
            flags = np.array(rows["flags"])
            journal.complete()
            write_embeddings(path, rows, _record(model, galaxies.source), overwrite=overwrite)
            del rows
        Journal.tidy(unfinished, path)
    return flags


def _places(galaxies):
    """Right ascensions and declinations (deg) (N,), NaN where unknown."""
    coord = galaxies.coord
    return np.full((2, len(galaxies)), np.nan) if coord is None else (coord.icrs.ra.deg, coord.icrs.dec.deg)


def _check_output(path, overwrite):
    if path.suffix.lower() not in SUFFIXES:
        raise ValueError(f"{path}: the name must end in one of {', '.join(SUFFIXES)}")
    if path.is_dir():
        raise IsADirectoryError(f"{path} is a folder: give the name of a file")
    Journal.tidy(path.with_name(path.name + ".part"), path)
    check_not_there(path, overwrite=overwrite)
    if not path.parent.is_dir():
        raise FileNotFoundError(f"{path}: there is no folder {path.parent}")


def _mapped(path, kind, n):
    return np.memmap(path, dtype=kind, mode="r+", shape=(n,)) if n else np.zeros(0, dtype=kind)


def _fill(rows, galaxies, model, journal, progress):
    """Embed the galaxies whose rows the journal has not."""
    todo = journal.todo(len(rows))
    with progress_bar(len(rows), progress) as advance:
        advance(len(rows) - len(todo))
        if not len(todo):
            return
        with closing(estimate_batches(galaxies.batches(todo), model, redshifts=False)) as parts:
            for part in parts:
                rows["flags"][todo[part.rows]] = part.flags
                rows["embedding"][todo[part.estimated]] = part.embedding
                journal.add(todo[part.rows].tolist())
                advance(len(part.rows))


def _record(model, source):
    made = encoder_of(model)
    return {
        "model": made["name"],
        "model_version": model.version,
        "encoder_sha256": made["encoder"],
        "trained_on": model.trained_on,
        "source": getattr(source, "name", "cutouts"),
    }
