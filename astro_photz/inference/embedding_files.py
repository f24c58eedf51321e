# Licensed under a 3-clause BSD style license - see LICENSE
"""
From a table of galaxies to a file of embeddings, with one batch in memory at a time, and resumable.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from astropy.coordinates import SkyCoord

from astro_photz.cutouts import Batch, Cutouts
from astro_photz.cutouts.collect import collect_batches, completed
from astro_photz.cutouts.container import read_rows
from astro_photz.cutouts.hdf5.layout import holds, open_cutouts, read_column, read_coord
from astro_photz.cutouts.sources.named import source_or_archive
from astro_photz.models.model import IMAGE_SIZE
from astro_photz.positions import Positions, read_positions
from astro_photz.similarity._given import ids_of_table
from astro_photz.similarity.embeddings import SUFFIXES, fields, write_embeddings
from astro_photz.similarity.models import encoder_of, search_model
from astro_photz.tables.inputs import as_table
from astro_photz.utils._arrays import identifiers
from astro_photz.utils._checks import check_not_there
from astro_photz.utils._files import expanded, full_disk_told
from astro_photz.utils._journal import Journal
from astro_photz.utils._progress import progress_bar
from astro_photz.utils._types import PathLike, TableLike, UnitLike

from .engine import BATCH, batches_of, estimate_batches

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
    galaxies = _galaxies(data, source, named | {"extinction_release": extinction_release})
    kind = fields(model.card.embedding_dim, galaxies.ids)
    unfinished = path.with_name(path.name + ".part")

    def lay_out():
        with open(unfinished, "wb") as file:
            file.truncate(max(1, len(galaxies) * kind.itemsize))
        rows = _mapped(unfinished, kind, len(galaxies))
        rows["id"] = galaxies.ids
        rows["ra"], rows["dec"] = galaxies.places()
        rows["embedding"] = np.nan
        return set()

    task = {"n": len(galaxies), "galaxies": galaxies.sha256(), "source": galaxies.source_name} | encoder_of(model)
    task["images"] = galaxies.state()
    anew = overwrite or not _has_rows(unfinished)
    with full_disk_told(path, len(galaxies) * kind.itemsize):
        with closing(Journal.open(unfinished, task, start=lay_out, overwrite=anew)) as journal:
            rows = _mapped(unfinished, kind, len(galaxies))
            _fill(rows, galaxies, model, journal, progress)
        flags = np.array(rows["flags"])
        write_embeddings(path, rows, _record(model, galaxies))
    del rows
    unfinished.unlink()
    journal.path.unlink()
    return flags


def _has_rows(unfinished):
    """Return True if a file that was begun has galaxies that are embedded: lines after the first of its journal."""
    journal = unfinished.with_name(unfinished.name + ".journal")
    return journal.exists() and len(journal.read_text(encoding="utf-8").splitlines()) > 1


def _check_output(path, overwrite):
    if path.suffix.lower() not in SUFFIXES:
        raise ValueError(f"{path}: the name must end in one of {', '.join(SUFFIXES)}")
    if path.is_dir():
        raise IsADirectoryError(f"{path} is a folder: give the name of a file")
    check_not_there(path, overwrite=overwrite)
    if not path.parent.is_dir():
        raise FileNotFoundError(f"{path}: there is no folder {path.parent}")


def _mapped(path, kind, n):
    return np.memmap(path, dtype=kind, mode="r+", shape=(n,)) if n else np.zeros(0, dtype=kind)


def _fill(rows, galaxies, model, journal, progress):
    """Embed the galaxies whose rows the journal has not."""
    todo = np.setdiff1d(np.arange(len(rows)), np.fromiter(journal.done, dtype=int, count=len(journal.done)))
    with progress_bar(len(rows), progress) as advance:
        advance(len(rows) - len(todo))
        if not len(todo):
            return
        with closing(estimate_batches(galaxies.batches(todo), model, redshifts=False)) as parts:
            for part in parts:
                rows["flags"][todo[part.rows]] = part.flags
                rows["embedding"][todo[part.estimated]] = part.embedding
                for row in todo[part.rows]:
                    journal.add(row)
                advance(len(part.rows))


def _record(model, galaxies):
    made = encoder_of(model)
    return {
        "model": made["name"],
        "model_version": model.version,
        "encoder_sha256": made["encoder"],
        "trained_on": model.trained_on,
        "source": galaxies.source_name,
    }


@dataclass(frozen=True, eq=False)
class _Galaxies:
    """
    Galaxies to embed: cutouts in memory, cutouts in a file, or positions with a source of images.
    """

    data: Cutouts | Path | Positions
    ids: np.ndarray
    coord: SkyCoord | None
    source: object = None

    def __len__(self):
        return len(self.ids)

    @property
    def source_name(self):
        return self.data.name if isinstance(self.data, Path) else getattr(self.source, "name", "cutouts")

    def places(self):
        """Right ascensions and declinations (deg) (N,), NaN where unknown."""
        if self.coord is None:
            return np.full((2, len(self)), np.nan)
        return self.coord.icrs.ra.deg, self.coord.icrs.dec.deg

    def sha256(self):
        """Hash of the identifiers and positions, by which the same galaxies are known."""
        found = hashlib.sha256(np.ascontiguousarray(self.ids).tobytes())
        found.update(np.ascontiguousarray(self.places()).tobytes())
        return found.hexdigest()

    def state(self):
        """State of the images, which changes with them: the size and time of a file, or a hash; None if unknown."""
        if isinstance(self.data, Cutouts):
            return hashlib.sha256(np.ascontiguousarray(self.data.flux)).hexdigest()
        path = self.data if isinstance(self.data, Path) else getattr(self.source, "path", None)
        if path is None or not Path(path).is_file():
            return None
        found = os.stat(path)
        return [found.st_size, found.st_mtime_ns]

    def batches(self, rows: np.ndarray) -> Iterator[Batch]:
        """Yield batches of some galaxies; their rows count these."""
        if isinstance(self.data, Positions):
            return collect_batches(_some(self.data, rows), source=self.source, size=IMAGE_SIZE, progress=False)
        if isinstance(self.data, Path):
            return _of_file(self.data, rows, self.coord)
        return batches_of(self.data[rows], progress=False)


def _galaxies(data, source, named):
    if isinstance(data, str | os.PathLike) and holds(expanded(data)):
        path = expanded(data)
        with open_cutouts(path) as file:
            ids, n = read_column(file, "ObjID"), len(file["images"])
            coord = read_coord(file) if "ra" in file and "dec" in file else None
        return _Galaxies(path, np.arange(n) if ids is None else identifiers(ids), coord)
    if isinstance(data, Cutouts):
        return _Galaxies(data, data.ids, data.coord)
    table = as_table(data)
    positions, ids = read_positions(table, **named), ids_of_table(table)
    ids = np.arange(len(positions)) if ids is None else ids
    return _Galaxies(positions, ids, positions.coord, source_or_archive(source))


def _of_file(path, rows, coord):
    places = None if coord is None else coord[rows]
    with open_cutouts(path) as file:
        for start in range(0, len(rows), BATCH):
            part = rows[start : start + BATCH]
            batch = Batch(np.arange(start, start + len(part)), read_rows(file, part).crop(IMAGE_SIZE))
            yield completed(batch, places)


def _some(positions, rows):
    own = {name: getattr(positions, name) for name in ("ids", "ebv", "field_ids")}
    own = {name: None if values is None else values[rows] for name, values in own.items()}
    return replace(positions, coord=positions.coord[rows], **own)
