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

from astro_photz.flags import PhotozFlag
from astro_photz.positions import read_positions
from astro_photz.tables.inputs import as_table
from astro_photz.utils._checks import check_not_there
from astro_photz.utils._files import aside, full_disk_told
from astro_photz.utils._types import PathLike, TableLike, UnitLike

from .collect import collect_batches
from .container import Cutouts
from .hdf5.layout import MINIMUM_SIZE, plain_columns
from .hdf5.writer import CutoutWriter, keep_rows
from .sources.named import source_or_archive

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
    >>> cutouts = astro_photz.fetch(table, source=astro_photz.FrameDirectory("frames/"))  # doctest: +SKIP
    >>> cutouts.write("stamps.h5")  # doctest: +SKIP
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

    The file is the same as that of ``fetch(data).write(path)``. It takes its name when it is complete.

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
    overwrite : bool, optional
        Replace a file that is there.
    source, size, progress, coord, ra, dec, ra_unit, ebv, extinction_release
        As in `fetch`.

    Returns
    -------
    `Fetched`

    Raises
    ------
    FileExistsError
        If there is such a file and ``overwrite`` is not set.
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
    check_not_there(path, overwrite=overwrite)
    positions = read_positions(
        as_table(data), coord=coord, ra=ra, dec=dec, ra_unit=ra_unit, ebv=ebv, extinction_release=extinction_release
    )
    columns = plain_columns(columns or {})
    for name, values in columns.items():
        if len(values) != len(positions):
            raise ValueError(f"{name} must have a row for each of the {len(positions)} galaxies, got {len(values)}")
    batches = collect_batches(positions, source=source_or_archive(source), size=size, progress=progress)
    with full_disk_told(path), aside(path) as part, closing(batches):
        fetched = _write(part, positions, batches, columns, size=size, dtype=dtype)
        if not drop_incomplete:
            return fetched._replace(kept=np.ones(len(positions), dtype=bool))
        if not fetched.kept.any():
            wanted = "an image, a good E(B-V) and, if wanted, a redshift"
            raise ValueError(f"drop_incomplete=True leaves out every galaxy: none has {wanted}")
        if not fetched.kept.all():
            keep_rows(part, np.flatnonzero(fetched.kept))
    return fetched


def _write(path, positions, batches, columns, *, size, dtype):
    """Write all batches into a file; ``kept`` says which galaxies a training takes."""
    flags, kept = np.zeros(len(positions), dtype=np.int32), np.zeros(len(positions), dtype=bool)
    ids = np.arange(len(positions)) if positions.ids is None else positions.ids

    def stamps(rows):
        return Cutouts.blank(len(rows), size=size, coord=positions.coord[rows], ids=ids[rows])

    with CutoutWriter(path, len(positions), size=size, dtype=dtype) as writer:
        none = np.arange(0)
        writer.append(stamps(none), **{name: values[none] for name, values in columns.items()})  # all there will be
        for rows, images in batches:
            own, part = {name: values[rows] for name, values in columns.items()}, stamps(rows)
            part[:] = images
            flags[rows] = part.flags
            kept[rows] = np.isfinite(part.ebv) & np.isfinite(part.flux).any(axis=(1, 2, 3))
            kept[rows] &= (part.flags & PhotozFlag.APPROXIMATE_EBV) == 0
            kept[rows] &= own["specz_redshift"] >= 0 if "specz_redshift" in own else True
            writer.write(rows, part, **own)
    return Fetched(flags, kept)
