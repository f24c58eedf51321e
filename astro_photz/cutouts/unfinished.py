# Licensed under a 3-clause BSD style license - see LICENSE
"""
A file of cutouts that is being fetched: what is done of it stays, whatever ends the process.

Every stamp has its place in the file from the start (`astro_photz.cutouts.hdf5.blocks`). Beside the unfinished file,
``PATH.part``, lies a journal of the rows that have their image, ``PATH.part.journal``. Rows without one are asked for
again when the file is resumed.
"""

import hashlib
import os
from contextlib import closing
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import numpy as np

from astro_photz.flags import PhotozFlag
from astro_photz.positions import Positions
from astro_photz.utils._journal import Journal
from astro_photz.utils._sky import direction_of

from .container import Cutouts
from .hdf5.blocks import BlockWriter, mark_simulated
from .hdf5.layout import open_cutouts
from .hdf5.writer import keep_rows

__all__ = ["UnfinishedFile", "facts_of", "hash_of", "some_positions", "state_of"]

_OF_A_SOURCE = ("path", "data_release", "match_radius", "dust_map")  # what its images depend on


def some_positions(positions, rows):
    """
    Select positions.

    Parameters
    ----------
    positions : `~astro_photz.positions.Positions` (N,)
    rows : `~numpy.ndarray` (M,) of int

    Returns
    -------
    `~astro_photz.positions.Positions` (M,)
    """
    own = {name: getattr(positions, name) for name in ("ids", "ebv", "field_ids")}
    own = {name: None if values is None else values[rows] for name, values in own.items()}
    return replace(positions, coord=positions.coord[rows], **own)


def hash_of(positions, columns=None):
    """
    Compute the hash of galaxies, by which an unfinished file knows its own.

    Parameters
    ----------
    positions : `~astro_photz.positions.Positions` (N,)
    columns : dict of `~numpy.ndarray` (N, ...), optional
        What else there is of them.

    Returns
    -------
    str
        64 hexadecimal digits.
    """
    found = hashlib.sha256()
    given = {"ra": positions.coord.ra.deg, "dec": positions.coord.dec.deg, "ids": positions.ids}
    given |= {"ebv": positions.ebv, "field_ids": positions.field_ids} | (columns or {})
    for name, values in given.items():
        if values is not None:
            plain = np.ascontiguousarray(values.astype("U") if values.dtype.kind == "O" else values)
            found.update(f"{name} {plain.dtype} {plain.shape}".encode())
            found.update(plain.tobytes())
    return found.hexdigest()


def facts_of(source):
    """
    List what the images of a source depend on.

    Parameters
    ----------
    source : `~astro_photz.cutouts.CutoutSource`

    Returns
    -------
    dict
        For `~astro_photz.utils._journal.Journal`.
    """
    facts = {name: getattr(source, name, None) for name in _OF_A_SOURCE}
    facts = {name: str(value) for name, value in facts.items() if value is not None and not callable(value)}
    if (path := getattr(source, "path", None)) is not None and Path(path).is_file():
        facts["images"] = state_of(path)
    return facts


def state_of(path):
    """Size (bytes) and time (ns) of a file, which change with it, list of int."""
    return [os.stat(path).st_size, os.stat(path).st_mtime_ns]


@dataclass(frozen=True, eq=False)
class UnfinishedFile:
    """
    A file of cutouts that is being fetched.

    Parameters
    ----------
    path : `~pathlib.Path`
        The file that it will be.
    positions : `~astro_photz.positions.Positions` (N,)
        At least one.
    columns : dict of `~numpy.ndarray` (N, ...)
        More data sets.
    size : int
        Side of a stamp (pixels).
    dtype : str
        Type of the pixels.
    """

    path: Path
    positions: Positions
    columns: dict[str, np.ndarray]
    size: int
    dtype: str

    @property
    def part(self):
        """The unfinished file, `~pathlib.Path`."""
        return self.path.with_name(self.path.name + ".part")

    @property
    def nbytes(self):
        """Size of the images (bytes), int."""
        return len(self.positions) * 5 * self.size**2 * np.dtype(self.dtype).itemsize

    def open(self, source, *, overwrite):
        """
        Resume the file, or lay it out.

        Parameters
        ----------
        source : `~astro_photz.cutouts.CutoutSource`
        overwrite : bool
            Start anew if it was begun with other settings.

        Returns
        -------
        `~astro_photz.utils._journal.Journal`
            Its parts are the rows, finished when they have an image.

        Raises
        ------
        FileExistsError
            If it was begun with other settings, something is done, and ``overwrite`` is not set.
        OSError
            If there is no room for it.
        """
        return Journal.open(self.part, self._task(source), start=self._lay_out, overwrite=overwrite)

    def _task(self, source):
        own = {"n": len(self.positions), "size": self.size, "dtype": str(self.dtype)}
        own["galaxies"] = hash_of(self.positions, self.columns)
        return own | {"source": source.name} | facts_of(source)

    @cached_property
    def _known(self):
        positions = self.positions
        ids = np.arange(len(positions)) if positions.ids is None else positions.ids
        icrs = direction_of(positions.coord)
        return {"ObjID": ids, "ra": icrs.ra.deg, "dec": icrs.dec.deg} | self.columns

    def _lay_out(self):
        like = Cutouts.blank(1, size=self.size, coord=self.positions.coord[:1])
        options = {"like": like, "dtype": self.dtype, "known": self._known}
        BlockWriter.create(self.part, len(self.positions), **options)
        return ()

    def fill(self, journal, batches):
        """
        Write batches of the rows that are not done yet.

        Parameters
        ----------
        journal : `~astro_photz.utils._journal.Journal`
        batches : iterator of `~astro_photz.cutouts.Batch`
            Their rows count those that are not done.
        """
        todo, marked = journal.todo(len(self.positions)), False
        with BlockWriter(self.part, known=self._known) as writer, closing(batches):
            for rows, images, *_ in batches:
                if images.simulated and not marked:
                    mark_simulated(self.part)
                    marked = True
                own = Cutouts.blank(len(rows), size=self.size)
                own[:] = images
                writer.put(todo[rows], own)
                journal.add(todo[rows][np.isfinite(own.flux).any(axis=(1, 2, 3))].tolist())

    def outcome(self, journal):
        """
        Read what became of the galaxies, when all are filled in.

        Parameters
        ----------
        journal : `~astro_photz.utils._journal.Journal`

        Returns
        -------
        flags : `~numpy.ndarray` (N,) of int
        usable : `~numpy.ndarray` (N,) of bool
            Which of them a training takes.
        """
        with open_cutouts(self.part) as file:
            flags, extinction = file["flags"][()], file["e_bv"][()]
        usable = np.isfinite(extinction).all(axis=1) & ((flags & PhotozFlag.APPROXIMATE_EBV) == 0)
        usable[journal.todo(len(self.positions))] = False
        if "specz_redshift" in self.columns:
            usable &= self.columns["specz_redshift"] >= 0
        return flags.astype(np.int32), usable

    def finish(self, journal, rows, *, overwrite):
        """
        Give the file its name, with all rows, or with some.

        Parameters
        ----------
        journal : `~astro_photz.utils._journal.Journal`
        rows : `~numpy.ndarray` of int or None
            None for all.
        overwrite : bool
            Replace a file that is there by now.

        Raises
        ------
        FileExistsError
            If there is one, and ``overwrite`` is not set. The file then lies beside it; the message names it.
        """
        if rows is None:
            journal.finish(self.path, overwrite=overwrite)
            return
        journal.complete()
        keep_rows(self.path, rows, self.part, overwrite=overwrite)
        Journal.tidy(self.part, self.path)

    def forget(self, journal):
        """Delete the file and its journal."""
        self.part.unlink(missing_ok=True)
        journal.path.unlink(missing_ok=True)
