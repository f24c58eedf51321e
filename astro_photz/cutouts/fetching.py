# Licensed under a 3-clause BSD style license - see LICENSE
"""
Cutouts of all galaxies of a table, in its order: in memory, or in a file that may be larger.
"""

from __future__ import annotations

from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from astro_photz.positions import read_positions
from astro_photz.tables.inputs import as_table
from astro_photz.utils._checks import check_not_there
from astro_photz.utils._claims import claimed
from astro_photz.utils._files import full_disk_told
from astro_photz.utils._journal import Journal
from astro_photz.utils._types import PathLike, TableLike, UnitLike

from .collect import collect_batches
from .container import Cutouts
from .failures import Failures
from .hdf5.layout import MINIMUM_SIZE, plain_columns
from .hdf5.writer import check_form
from .sources.named import source_or_archive
from .unfinished import UnfinishedFile, some_positions

if TYPE_CHECKING:
    from astropy.coordinates import SkyCoord

    from astro_photz.cutouts.sources.protocol import CutoutSource

__all__ = ["Fetched", "fetch", "fetch_to_file"]


def fetch(
    data: TableLike,
    *,
    source: CutoutSource | PathLike | None = None,
    size: int = MINIMUM_SIZE,
    progress: bool | None = None,
    coord: str | SkyCoord | None = None,
    ra: str | None = None,
    dec: str | None = None,
    ra_unit: UnitLike = None,
    ebv: str | None = None,
    extinction_release: int | None = None,
) -> Cutouts:
    """
    Get the images of all galaxies of a table.

    Parameters
    ----------
    data : table-like
        N galaxies, as in `~astro_photz.predict`.
    source : `~astro_photz.cutouts.CutoutSource`, str or path-like, optional
        Where the images come from, as in `~astro_photz.predict`; ``SDSSArchive()`` by default.
    size : int, optional
        Side of a stamp (pixels), at least 64.
    progress : bool, optional
        Whether to draw a progress bar, on a terminal or in a notebook; by default for more than 100 galaxies.
    coord, ra, dec, ra_unit, ebv, extinction_release : optional
        Names of columns that are not the usual ones, and facts that the values do not show: see
        `~astro_photz.positions.read_positions`.

    Returns
    -------
    `~astro_photz.Cutouts` (N,)
        In the order of ``data``. A galaxy without an image has NaN, and a bit of `~astro_photz.PhotozFlag` in
        ``flags`` that says why.

    Raises
    ------
    TypeError
        If ``data`` or ``source`` is of another kind.
    ValueError
        If the table's positions cannot be found.
    KeyError
        If a named column is not there.
    FileNotFoundError
        If there is no such file or folder.
    ConnectionError
        If the archive cannot be reached, and nothing is in the cache.

    Warns
    -----
    AstropyUserWarning
        About problems of several rows, as in `~astro_photz.predict`.

    Examples
    --------
    >>> import astro_photz
    >>> source = astro_photz.CutoutFile(astro_photz.demo_path())  # or a FrameDirectory; by default, the archive of SDSS
    >>> table = source.catalog()[:3]
    >>> astro_photz.fetch(table, source=source)
    <Cutouts of 3 galaxies, 5 x 64 x 64 pixels>
    """
    positions = read_positions(
        as_table(data), coord=coord, ra=ra, dec=dec, ra_unit=ra_unit, ebv=ebv, extinction_release=extinction_release
    )
    cutouts = Cutouts.blank(len(positions), size=size, coord=positions.coord, ids=positions.ids)
    with closing(collect_batches(positions, source=source_or_archive(source), size=size, progress=progress)) as batches:
        for batch in batches:
            cutouts[batch.rows] = batch.cutouts
    return cutouts


class Fetched(NamedTuple):
    """
    Flags and kept rows of a fetch to a file.

    Parameters
    ----------
    flags : `~numpy.ndarray` (N,) of int
        Bits of `~astro_photz.PhotozFlag` that say what went wrong; 0 for nothing.
    kept : `~numpy.ndarray` (N,) of bool
        Which of them are in the file.

    Examples
    --------
    >>> import tempfile
    >>> import astro_photz
    >>> from astro_photz.cutouts import fetch_to_file
    >>> source = astro_photz.CutoutFile(astro_photz.demo_path())
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     fetched = fetch_to_file(source.catalog(), f"{folder}/stamps.h5", source=source)
    >>> fetched.kept.all(), fetched.flags.any()
    (np.True_, np.False_)
    """

    flags: np.ndarray
    kept: np.ndarray


def fetch_to_file(
    data: TableLike,
    path: PathLike,
    *,
    source: CutoutSource | PathLike | None = None,
    size: int = MINIMUM_SIZE,
    dtype: str = "float32",
    columns: dict[str, ArrayLike] | None = None,
    drop_incomplete: bool = False,
    failures: PathLike | None = None,
    overwrite: bool = False,
    progress: bool | None = None,
    coord: str | SkyCoord | None = None,
    ra: str | None = None,
    dec: str | None = None,
    ra_unit: UnitLike = None,
    ebv: str | None = None,
    extinction_release: int | None = None,
) -> Fetched:
    """
    Get the images of all galaxies of a table into an HDF5 file, with one batch in memory at a time.

    The file holds the same as that of ``fetch(data).write(path)``. It takes its name when it is complete. If the
    process ends before, for whatever cause, the same call resumes it.

    Parameters
    ----------
    data : table-like
        N galaxies, as in `~astro_photz.predict`.
    path : str or path-like
        The file.
    dtype : {'float32', 'float16'}, optional
        Type of the pixels.
    columns : dict of array_like (N, ...), optional
        More data sets, e.g. ``{"specz_redshift": table["z"]}``.
    drop_incomplete : bool, optional
        Leave out the galaxies that no training takes: those without an image, those whose E(B-V) is unknown or comes
        from the map at low resolution, and those whose ``specz_redshift``, if it is among the columns, is unknown or
        negative.
    failures : path-like, optional
        Table to write of the galaxies without an image: their rows from 0, flags, and what was wrong.
    overwrite : bool, optional
        Replace a file that is there, or one that was begun with other settings.
    source, size, progress, coord, ra, dec, ra_unit, ebv, extinction_release
        As in `fetch`.

    Returns
    -------
    `Fetched`

    Raises
    ------
    FileExistsError
        If there is such a file, or an unfinished one of other settings, and ``overwrite`` is not set. If a file appears
        meanwhile, the stamps are in a file beside it, which the message names.
    BlockingIOError
        If another process is fetching into this file.
    OSError
        If there is no room for it.
    ValueError
        If the table's positions cannot be found, a column does not have N rows, or no galaxy is left.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> import astro_photz
    >>> from astro_photz.cutouts import fetch_to_file
    >>> source = astro_photz.CutoutFile(astro_photz.demo_path())
    >>> table = source.catalog()
    >>> path = pathlib.Path(tempfile.mkdtemp()) / "labelled.h5"
    >>> columns = {"specz_redshift": table["redshift"]}
    >>> fetched = fetch_to_file(table, path, source=source, drop_incomplete=True, columns=columns)
    >>> int(fetched.kept.sum())
    24
    """
    path = Path(path)
    Journal.tidy(path.with_name(path.name + ".part"), path)
    check_not_there(path, overwrite=overwrite)
    positions = read_positions(
        as_table(data), coord=coord, ra=ra, dec=dec, ra_unit=ra_unit, ebv=ebv, extinction_release=extinction_release
    )
    columns = plain_columns(columns or {})
    for name, values in columns.items():
        if len(values) != len(positions):
            raise ValueError(f"{name} must have a row for each of the {len(positions)} galaxies, got {len(values)}")
    told = Failures(failures, len(positions), overwrite=overwrite) if failures is not None else None
    if not len(positions):
        none = Cutouts.blank(0, size=size, coord=positions.coord, ids=positions.ids)
        none.write(path, dtype=dtype, overwrite=overwrite, **columns)
        if told:
            told.write(none.flags, ids=positions.ids, coord=positions.coord)
        return Fetched(np.zeros(0, dtype=np.int32), np.zeros(0, dtype=bool))
    check_form(size, dtype)
    file = UnfinishedFile(path, positions, columns, size, dtype)
    with claimed(path), full_disk_told(path, file.nbytes):
        check_not_there(path, overwrite=overwrite)
        source = source_or_archive(source)
        with closing(file.open(source, overwrite=overwrite)) as journal:
            try:
                fetched = _fetched(file, journal, source, told, drop_incomplete, progress, overwrite)
            except BaseException:
                if not journal:  # there is nothing to resume
                    file.forget(journal)
                raise
    if told:
        told.write(fetched.flags, ids=positions.ids, coord=positions.coord)
    return fetched


def _fetched(file, journal, source, failures, drop_incomplete, progress, overwrite):
    """Fetch the rows that are not done, and finish the file."""
    todo = journal.todo(len(file.positions))
    if len(todo):
        positions = some_positions(file.positions, todo)
        batches = collect_batches(positions, source=source, size=file.size, progress=progress)
        file.fill(journal, failures.noted(batches, todo) if failures else batches)
    flags, usable = file.outcome(journal)
    kept = usable if drop_incomplete else np.ones(len(flags), dtype=bool)
    if not kept.any():
        file.forget(journal)
        wanted = "an image, a good E(B-V) and, if wanted, a redshift"
        raise ValueError(f"drop_incomplete=True leaves out every galaxy: none has {wanted}")
    file.finish(journal, None if kept.all() else np.flatnonzero(kept), overwrite=overwrite)
    return Fetched(flags, kept)
