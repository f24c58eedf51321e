# Licensed under a 3-clause BSD style license - see LICENSE
"""
All stamps of a table, in its order: in memory, or in a file that need not fit there.
"""

import os
import warnings
from contextlib import closing, contextmanager
from pathlib import Path
from typing import NamedTuple

import numpy as np
from astropy.utils.exceptions import AstropyUserWarning

from astro_photz.dust import approximate_ebv
from astro_photz.flags import PhotozFlag
from astro_photz.positions import read_positions
from astro_photz.tables.inputs import as_table
from astro_photz.utils._files import aside, expanded, full_disk_told
from astro_photz.utils._progress import progress_bar

from .container import MINIMUM_SIZE, Cutouts

__all__ = ["Fetched", "collect_batches", "completed", "fetch", "fetch_to_file", "source_or_archive"]

_NOWHERE = PhotozFlag.NO_POSITION | PhotozFlag.NO_MATCH


def fetch(
    data,
    *,
    source=None,
    size=MINIMUM_SIZE,
    progress=None,
    coord=None,
    ra=None,
    dec=None,
    ra_unit=None,
    ebv=None,
    extinction_release=None,
):
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
        Names of columns, where they are not the usual ones, and what else their values do not tell: see
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
        If nothing can be had because the archive cannot be reached.

    Warns
    -----
    AstropyUserWarning
        For what concerns several rows, as in `~astro_photz.predict`.

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
            cutouts.flags[batch.rows] = batch.reasons
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
    data,
    path,
    *,
    source=None,
    size=MINIMUM_SIZE,
    dtype="float32",
    columns=None,
    whole=False,
    overwrite=False,
    progress=None,
    coord=None,
    ra=None,
    dec=None,
    ra_unit=None,
    ebv=None,
    extinction_release=None,
):
    """
    Get the images of all galaxies of a table into an HDF5 file, with no more of them in memory than a batch.

    The file is what ``fetch(data).write(path)`` writes, and takes its name when it is complete.

    Parameters
    ----------
    data : table-like
        N galaxies, as in `~astro_photz.predict`.
    path : str or path-like
        The file.
    dtype : {'float32', 'float16'}, optional
        Of the pixels.
    columns : dict of array_like (N, ...), optional
        More data sets, e.g. ``{"specz_redshift": table["z"]}``.
    whole : bool, optional
        Leave out the galaxies that no training takes: without an image, with an E(B-V) that is unknown or only that of
        the map at low resolution, or with a ``specz_redshift``, if that is among the columns, which is not known or
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
        If the table's positions cannot be found, a column does not have N rows, or nothing is left of the table.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> import astro_photz
    >>> from astro_photz.cutouts import fetch_to_file
    >>> source = astro_photz.CutoutFile(astro_photz.demo_path())
    >>> table = source.catalog()
    >>> path = pathlib.Path(tempfile.mkdtemp()) / "labelled.h5"
    >>> fetched = fetch_to_file(
    ...     table, path, source=source, whole=True, columns={"specz_redshift": table["redshift"]}
    ... )
    >>> int(fetched.kept.sum())
    24
    """
    from .hdf5.layout import plain_columns
    from .hdf5.writer import keep_rows

    path = Path(path)
    if path.exists() and not overwrite:
        raise FileExistsError(f"{path} exists: choose another path, or set overwrite=True")
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
        if not whole:
            return fetched._replace(kept=np.ones(len(positions), dtype=bool))
        if not fetched.kept.any():
            raise ValueError(
                "whole=True leaves out every galaxy: none has an image, a good E(B-V) and, if wanted, a redshift"
            )
        if not fetched.kept.all():
            keep_rows(part, np.flatnonzero(fetched.kept))
    return fetched


def _write(path, positions, batches, columns, *, size, dtype):
    """All batches into a file; ``kept`` says which galaxies a training takes."""
    from .hdf5.writer import CutoutWriter

    flags, kept = np.zeros(len(positions), dtype=np.int32), np.zeros(len(positions), dtype=bool)
    ids = np.arange(len(positions)) if positions.ids is None else positions.ids

    def stamps(rows):
        return Cutouts.blank(len(rows), size=size, coord=positions.coord[rows], ids=ids[rows])

    with CutoutWriter(path, len(positions), size=size, dtype=dtype) as writer:
        none = np.arange(0)
        writer.append(stamps(none), **{name: values[none] for name, values in columns.items()})  # all there will be
        for rows, images, reasons in batches:
            own, part = {name: values[rows] for name, values in columns.items()}, stamps(rows)
            part[:] = images
            part.flags[:] = flags[rows] = reasons
            kept[rows] = np.isfinite(part.ebv) & np.isfinite(part.flux).any(axis=(1, 2, 3))
            kept[rows] &= (reasons & PhotozFlag.APPROXIMATE_EBV) == 0
            kept[rows] &= own["specz_redshift"] >= 0 if "specz_redshift" in own else True
            writer.write(rows, part, **own)
    return Fetched(flags, kept)


def source_or_archive(source=None, *, data_release=None, dust_map=None):
    """
    Make a source of what a user names.

    Parameters
    ----------
    source : `~astro_photz.cutouts.CutoutSource`, str or path-like, optional
        A source as it is; the path of a folder of frames or of an HDF5 file of cutouts; ``"sdss"`` for the archive of
        SDSS, which is the default too.
    data_release : int, optional
        Of the archive, 17 by default, or of the frames.
    dust_map : str, path-like or callable, optional
        For a folder of frames: see `~astro_photz.FrameDirectory`.

    Returns
    -------
    `~astro_photz.cutouts.CutoutSource`

    Raises
    ------
    FileNotFoundError
        If there is neither a folder nor a file of that name.
    TypeError
        If it is something else.
    ValueError
        If one of the other parameters is not for that kind of source.
    """
    if source is None or source == "sdss":
        from .sources.archive import SDSSArchive

        _refuse("dust_map", dust_map, "a folder of frames", "sdss")
        return SDSSArchive() if data_release is None else SDSSArchive(data_release=data_release)
    if isinstance(source, str | os.PathLike):
        return _source_at(expanded(source), data_release, dust_map)
    if isinstance(source, type):
        raise TypeError(f"source={source.__name__} is the class: give an object of it, {source.__name__}(...)")
    if isinstance(source, Cutouts):
        raise TypeError("source must be where images come from; these Cutouts are images: predict(cutouts) takes them")
    if not callable(getattr(source, "batches", None)):
        raise TypeError(
            "source must be an SDSSArchive, a FrameDirectory, a CutoutFile, or the path of a folder of frames or an "
            f"HDF5 file; got {type(source).__name__}"
        )
    return source


def _source_at(path, data_release, dust_map):
    from .sources.directory import FrameDirectory
    from .sources.hdf5_file import CutoutFile

    if path.is_dir():
        return FrameDirectory(path, dust_map=dust_map, data_release=-1 if data_release is None else data_release)
    if path.is_file():
        _refuse("dust_map", dust_map, "a folder of frames", path)
        _refuse("data_release", data_release, "the archive or a folder of frames", path)
        return CutoutFile(path)
    raise FileNotFoundError(f"source={str(path)!r}: neither 'sdss', nor a folder of frames, nor an HDF5 file")


def _refuse(name, value, what, source):
    if value is not None:
        raise ValueError(f"{name}={str(value)!r} is for {what}, not for source={str(source)!r}")


def collect_batches(positions, *, source, size=MINIMUM_SIZE, progress=None):
    """
    Yield the batches of a source, under a progress bar, with a check that none of the rows is lost.

    An E(B-V) that neither the table nor the source knows comes from the map at low resolution, with a flag.

    Parameters
    ----------
    positions : `~astro_photz.positions.Positions` (N,)
    source, size, progress
        As in `fetch`.

    Yields
    ------
    `~astro_photz.cutouts.Batch`

    Raises
    ------
    RuntimeError
        If the source leaves out a row, or yields it twice.

    Warns
    -----
    AstropyUserWarning
        If right ascensions look like hours, and most galaxies match nothing.
    """
    times, unmatched = np.zeros(len(positions), dtype=int), 0
    with progress_bar(len(positions), progress) as advance, _ended(source.batches(positions, size=size)) as batches:
        for batch in batches:
            np.add.at(times, batch.rows, 1)
            unmatched += np.count_nonzero(batch.reasons & PhotozFlag.NO_MATCH)
            yield completed(batch, positions.coord)
            advance(len(batch.rows))
    n_valid = np.count_nonzero(positions.valid)
    if positions.like_hours and unmatched > n_valid / 2:
        warnings.warn(
            f"all right ascensions lie below 24, and {unmatched} of {n_valid} positions match nothing: if they are "
            "hours and not degrees, say so by ra_unit='hourangle'",
            AstropyUserWarning,
            stacklevel=2,
        )
    if (times != 1).any():
        raise RuntimeError(
            f"the source {source!r} must yield every row once: it left out {np.sum(times == 0)} and repeated "
            f"{np.sum(times > 1)}"
        )


@contextmanager
def _ended(batches):
    """Close a source's generator whatever ends the work on its batches: it may have threads that download."""
    try:
        yield batches
    finally:
        close = getattr(batches, "close", None)
        if close is not None:
            close()


def completed(batch, coord):
    """
    Make plain what no data is, and fill in what reddening is not known, from the map at low resolution, with its flag.

    Parameters
    ----------
    batch : `~astro_photz.cutouts.Batch` (M,)
    coord : `~astropy.coordinates.SkyCoord` (N,) or None
        Of all galaxies, if it is known.

    Returns
    -------
    `~astro_photz.cutouts.Batch` (M,)
        With NaN for pixels without data. Galaxies that are nowhere stay without an E(B-V).
    """
    batch = _without_filling(batch)
    ebv = batch.cutouts.ebv
    unknown = ~(np.isfinite(ebv) & (ebv >= 0)) & ((batch.reasons & _NOWHERE) == 0)
    if coord is None or not unknown.any():
        return batch
    filled = ebv.copy()
    filled[unknown] = approximate_ebv(coord[batch.rows[unknown]])
    approximate = unknown & np.isfinite(filled)
    reasons = np.where(approximate, batch.reasons | PhotozFlag.APPROXIMATE_EBV, batch.reasons)
    return batch._replace(cutouts=batch.cutouts._replaced(ebv=filled), reasons=reasons)


def _without_filling(batch):
    """The batch with NaN for pixels without data, and with the reasons that come of those."""
    cutouts = batch.cutouts.without_filling()
    if cutouts is batch.cutouts:
        return batch
    missing = np.isnan(cutouts.flux)
    found = np.where(missing.all(axis=(1, 2, 3)), int(PhotozFlag.NO_IMAGE), int(PhotozFlag.PARTIAL))
    told = (batch.reasons & (_NOWHERE | PhotozFlag.NO_IMAGE | PhotozFlag.PARTIAL)) != 0
    reasons = np.where(missing.any(axis=(1, 2, 3)) & ~told, batch.reasons | found, batch.reasons)
    return batch._replace(cutouts=cutouts, reasons=reasons)
