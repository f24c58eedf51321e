# Licensed under a 3-clause BSD style license - see LICENSE
"""
All stamps of a table, in its order: in memory, or in a file that need not fit there.
"""

import sys
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple

import numpy as np
from astropy.utils.console import ProgressBar

from .._files import aside, full_disk_told
from ..catalog import read_positions
from .container import MINIMUM_SIZE, Cutouts

__all__ = ["Fetched", "collect_batches", "fetch", "fetch_to_file", "progress_bar", "source_or_archive"]

# Rows from which the work is long enough for a progress bar.
_LONG = 100


def fetch(data, *, source=None, size=MINIMUM_SIZE, progress=None, coord=None, ra=None, dec=None, ebv=None):
    """
    Get the images of all galaxies of a table.

    Parameters
    ----------
    data : `~astropy.table.Table` or `~astropy.coordinates.SkyCoord`
        N galaxies, as in `~astro_photz.predict`.
    source : `~astro_photz.cutouts.CutoutSource`, optional
        Where the images come from; ``SDSSArchive()`` by default.
    size : int, optional
        Side of a stamp (pixels), at least 64.
    progress : bool, optional
        Whether to draw a progress bar, on a terminal or in a notebook; by default for more than 100 galaxies.
    coord, ra, dec, ebv : str, optional
        Names of columns, where they are not the usual ones: see `~astro_photz.catalog.read_positions`.

    Returns
    -------
    `~astro_photz.Cutouts` (N,)
        In the order of ``data``. A galaxy without an image has NaN, and a bit of `~astro_photz.PhotozFlag` in
        ``flags`` that says why.

    Raises
    ------
    ValueError
        If the table's positions cannot be found, or there is no way to know E(B-V).

    Examples
    --------
    >>> import astro_photz
    >>> cutouts = astro_photz.fetch(table, source=astro_photz.FrameDirectory("frames/"))  # doctest: +SKIP
    >>> cutouts.write("stamps.h5")  # doctest: +SKIP
    """
    positions = read_positions(data, coord=coord, ra=ra, dec=dec, ebv=ebv)
    cutouts = Cutouts.blank(len(positions), size=size, coord=positions.coord, ids=positions.ids)
    for batch in collect_batches(positions, source=source_or_archive(source), size=size, progress=progress):
        cutouts[batch.rows] = batch.cutouts
        cutouts.flags[batch.rows] = batch.reasons
    return cutouts


class Fetched(NamedTuple):
    """
    What became of the galaxies of a table, whose images were wanted in a file.

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
    ebv=None,
):
    """
    Get the images of all galaxies of a table into an HDF5 file, with no more of them in memory than a batch.

    The file is what ``fetch(data).write(path)`` writes, and takes its name when it is complete.

    Parameters
    ----------
    data : `~astropy.table.Table` or `~astropy.coordinates.SkyCoord`
        N galaxies, as in `~astro_photz.predict`.
    path : str or path-like
        The file.
    dtype : {'float32', 'float16'}, optional
        Of the pixels.
    columns : dict of array_like (N, ...), optional
        More data sets, e.g. ``{"specz_redshift": table["z"]}``.
    whole : bool, optional
        Leave out the galaxies that no training takes: without an image or E(B-V), or with a ``specz_redshift``, if that
        is among the columns, which is masked, NaN or negative.
    overwrite : bool, optional
        Replace a file that is there.
    source, size, progress, coord, ra, dec, ebv
        As in `fetch`.

    Returns
    -------
    `Fetched`

    Raises
    ------
    FileExistsError
        If there is such a file and ``overwrite`` is not set.
    ValueError
        If the table's positions cannot be found, there is no way to know E(B-V), a column does not have N rows, or
        nothing is left of the table.

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
    from .hdf5 import plain_columns
    from .writer import keep_rows

    path = Path(path)
    if path.exists() and not overwrite:
        raise FileExistsError(f"{path} exists: choose another path, or set overwrite=True")
    positions = read_positions(data, coord=coord, ra=ra, dec=dec, ebv=ebv)
    columns = plain_columns(columns or {})
    for name, values in columns.items():
        if len(values) != len(positions):
            raise ValueError(f"{name} must have a row for each of the {len(positions)} galaxies, got {len(values)}")
    batches = collect_batches(positions, source=source_or_archive(source), size=size, progress=progress)
    with full_disk_told(path), aside(path) as part:
        fetched = _write(part, positions, batches, columns, size=size, dtype=dtype)
        if not whole:
            return fetched._replace(kept=np.ones(len(positions), dtype=bool))
        if not fetched.kept.any():
            raise ValueError("whole leaves out every galaxy: none has an image, E(B-V) and, if wanted, a redshift")
        if not fetched.kept.all():
            keep_rows(part, np.flatnonzero(fetched.kept))
    return fetched


def _write(path, positions, batches, columns, *, size, dtype):
    """All batches into a file; ``kept`` says which galaxies a training takes."""
    from .writer import CutoutWriter

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
            kept[rows] &= own["specz_redshift"] >= 0 if "specz_redshift" in own else True
            writer.write(rows, part, **own)
    return Fetched(flags, kept)


def source_or_archive(source=None):
    """
    Where images come from: from the archive of SDSS, unless it is said.

    Parameters
    ----------
    source : `~astro_photz.cutouts.CutoutSource`, optional

    Returns
    -------
    `~astro_photz.cutouts.CutoutSource`
    """
    if source is not None:
        return source
    from .archive import SDSSArchive

    return SDSSArchive()


def collect_batches(positions, *, source, size=MINIMUM_SIZE, progress=None):
    """
    The batches of a source, under a progress bar, with a check that none of the rows is lost.

    Parameters
    ----------
    positions : `~astro_photz.catalog.Positions` (N,)
    source, size, progress
        As in `fetch`.

    Yields
    ------
    `~astro_photz.cutouts.Batch`

    Raises
    ------
    RuntimeError
        If the source leaves out a row, or yields it twice.
    """
    times = np.zeros(len(positions), dtype=int)
    with progress_bar(len(positions), progress) as advance:
        for batch in source.batches(positions, size=size):
            np.add.at(times, batch.rows, 1)
            yield batch
            advance(len(batch.rows))
    if (times != 1).any():
        raise RuntimeError(
            f"the source {source!r} must yield every row once: it left out {np.sum(times == 0)} and repeated "
            f"{np.sum(times > 1)}"
        )


@contextmanager
def progress_bar(total, progress=None):
    """
    A progress bar for long work on a terminal or in a notebook, and nothing elsewhere.

    Parameters
    ----------
    total : int
        Number of steps.
    progress : bool, optional
        Whether to draw it, where there is a terminal or a notebook; by default for more than 100 steps.

    Yields
    ------
    callable
        Takes a number of steps that were done.
    """
    wanted = total > _LONG if progress is None else progress
    in_notebook = _in_notebook()
    if not (wanted and total and (in_notebook or sys.stderr.isatty())):
        yield lambda steps: None
        return
    with ProgressBar(total, file=None if in_notebook else sys.stderr, ipython_widget=in_notebook) as bar:
        yield lambda steps: bar.update(bar.current_value + steps)


def _in_notebook():
    """Whether a notebook can draw astropy's widget."""
    kernel = sys.modules.get("ipykernel.zmqshell")
    if kernel is None or not find_spec("ipywidgets"):
        return False
    return isinstance(sys.modules["IPython"].get_ipython(), kernel.ZMQInteractiveShell)
