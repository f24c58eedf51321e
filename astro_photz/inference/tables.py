# Licensed under a 3-clause BSD style license - see LICENSE
"""
From a table of galaxies to the same table with redshifts, or to embeddings.

(The module is not called ``predict``: it would hide the function of that name in the package.)
"""

from __future__ import annotations

import os
from contextlib import closing
from typing import TYPE_CHECKING, Any

import numpy as np

from astro_photz.cutouts import Cutouts
from astro_photz.cutouts.collect import collect_batches
from astro_photz.cutouts.hdf5.layout import holds
from astro_photz.cutouts.sources.named import source_or_archive
from astro_photz.models import load_model
from astro_photz.models.model import IMAGE_SIZE
from astro_photz.positions import read_positions
from astro_photz.tables.inputs import as_table, frame_with, is_frame
from astro_photz.utils._files import expanded
from astro_photz.utils._types import PathLike, TableLike, UnitLike

from .columns import ResultColumns, earlier_columns, put, record_of
from .engine import batches_of, estimate_batches
from .galaxies import table_of

if TYPE_CHECKING:
    import pandas
    from astropy.coordinates import SkyCoord
    from astropy.table import Table

    from astro_photz.cutouts import CutoutSource
    from astro_photz.models import PhotozModel

__all__ = ["embed", "predict"]


def predict(
    data: TableLike | Cutouts,
    *,
    source: CutoutSource | PathLike | None = None,
    model: PathLike | PhotozModel | None = None,
    prefix: str = "z_phot",
    pdf: bool = False,
    analogues: int = 0,
    replace: bool = False,
    progress: bool | None = None,
    coord: str | SkyCoord | None = None,
    ra: str | None = None,
    dec: str | None = None,
    ra_unit: UnitLike = None,
    ebv: str | None = None,
    extinction_release: int | None = None,
) -> Table | pandas.DataFrame:
    """
    Add photometric redshifts to a table of galaxies.

    Parameters
    ----------
    data : table-like or `~astro_photz.Cutouts`
        N galaxies: a `~astropy.table.Table`, `~astropy.table.QTable` or `~astropy.table.Row`, a
        `~astropy.coordinates.SkyCoord` (scalar or array) or a list of them, a pandas DataFrame, a dict of columns, the
        path of a table or of an HDF5 file of cutouts, or Cutouts. A table needs a SkyCoord column or columns of right
        ascension and declination; what it knows of the reddening (``ebv``, or ``extinction_u`` ... ``extinction_z``)
        and the SDSS field is used.
    source : `~astro_photz.cutouts.CutoutSource`, str or path-like, optional
        Where the images come from: a source, the path of a folder of frames or of an HDF5 file, or ``"sdss"``;
        ``SDSSArchive()`` by default. Cutouts need none.
    model : str, path-like or `~astro_photz.models.PhotozModel`, optional
        A model, its name (see `~astro_photz.list_models`) or its folder; ``conf.default_model`` by default.
    prefix : str, optional
        Begins the name of every column that is added.
    pdf : bool, optional
        Add a column ``{prefix}_pdf`` (N, K) with the probability in each bin of redshift; the edges of the bins are
        in the meta of the table.
    analogues : int, optional
        Number M of galaxies of known redshift to name beside each: those of the model's training that it finds most
        alike. Adds ``{prefix}_knn`` and ``_knn_err``, an estimate by the redshifts of such galaxies, and
        ``_analogue_id``, ``_analogue_z`` and ``_analogue_distance`` (N, M). See :doc:`/user/analogues`.
    replace : bool, optional
        Replace the columns of an earlier run with the same prefix. By default they are an error.
    progress : bool, optional
        Whether to draw a progress bar, on a terminal or in a notebook; by default for more than 100 galaxies.
    coord, ra, dec, ra_unit, ebv, extinction_release : optional
        Names of columns, where they are not the usual ones, and what else their values do not tell: see
        `~astro_photz.positions.read_positions`.

    Returns
    -------
    `~astropy.table.Table`, `~astropy.table.QTable` or `pandas.DataFrame`
        A Table for a Table or its Row, a DataFrame for a DataFrame, and a QTable for anything else: the same rows in
        the same order, all columns of the input untouched, and ``{prefix}``, ``_err``, ``_median``, ``_mode``,
        ``_lo68``, ``_hi68``, ``_lo95``, ``_hi95``, ``_odds``, ``_ood`` (float32) and ``_flags`` (int32). Galaxies
        without an estimate are masked, and their flags say why: see `~astro_photz.PhotozFlag`. ``meta[prefix]``
        (``attrs[prefix]`` of a DataFrame, which has NaN for what is masked) records the model and the source.

    Raises
    ------
    TypeError
        If ``data`` or ``source`` is of another kind.
    ValueError
        If the positions cannot be found, if a column of that name is there, or if analogues are asked for and the model
        has none.
    KeyError
        If a named column is not there.
    FileNotFoundError
        If there is no such file or folder.
    ConnectionError
        If nothing can be had because the archive cannot be reached.

    Warns
    -----
    AstropyUserWarning
        For what concerns several rows: extinctions of no release, right ascensions that look like hours, frames that
        are broken, servers that failed.

    Examples
    --------
    >>> import astro_photz
    >>> cutouts = astro_photz.Cutouts.read(astro_photz.demo_path())
    >>> table = astro_photz.predict(cutouts[:3])
    >>> table.colnames[2:6]
    ['ebv', 'z_phot', 'z_phot_err', 'z_phot_median']
    >>> bool((table["z_phot_lo68"] < table["z_phot_hi68"]).all())
    True
    """
    model = load_model(model)
    if not isinstance(prefix, str) or not prefix:
        raise ValueError(f"prefix must be a text that begins the names of columns; got {prefix!r}")
    given: Any = data
    data = _galaxies(data)
    table = _output_table(data)
    taken = earlier_columns(table.colnames, prefix, replace=replace)
    form = ResultColumns.of(model, pdf=pdf, n_analogues=analogues)
    source = _source_of(data, source)
    named = {"coord": coord, "ra": ra, "dec": dec, "ra_unit": ra_unit, "ebv": ebv}
    batches = _batches(data, source, progress, **named, extinction_release=extinction_release)
    rows = form.blank(len(table))
    with closing(estimate_batches(batches, model, then=lambda part: (part.rows, form.rows(part)))) as parts:
        for numbers, values in parts:
            put(rows, numbers, values)
    columns, record = form.columns(rows, prefix), record_of(model, source, simulated=bool(rows["simulated"].any()))
    if is_frame(given):
        return frame_with(given.drop(columns=taken), columns, prefix=prefix, record=record)
    table.remove_columns(taken)
    for name, column in columns.items():
        table.add_column(column, name=name, copy=False)
    table.meta[prefix] = record
    return table


def embed(
    data: TableLike | Cutouts,
    *,
    source: CutoutSource | PathLike | None = None,
    model: PathLike | PhotozModel | None = None,
    progress: bool | None = None,
    coord: str | SkyCoord | None = None,
    ra: str | None = None,
    dec: str | None = None,
    ra_unit: UnitLike = None,
    ebv: str | None = None,
    extinction_release: int | None = None,
) -> np.ndarray:
    """
    Embed galaxies, to search for similar ones or to train a model of your own.

    Parameters
    ----------
    data, source, model, progress, coord, ra, dec, ra_unit, ebv, extinction_release
        As in `predict`.

    Returns
    -------
    `~numpy.ndarray` (N, D) float32
        In the order of ``data``; NaN for a galaxy without an image or E(B-V).

    Raises
    ------
    TypeError, ValueError, KeyError, OSError
        As in `predict`, which also warns alike.

    Examples
    --------
    >>> import astro_photz
    >>> cutouts = astro_photz.Cutouts.read(astro_photz.demo_path())
    >>> len(astro_photz.embed(cutouts))
    24
    """
    model = load_model(model)
    data = _galaxies(data)
    source = _source_of(data, source)
    named = {"coord": coord, "ra": ra, "dec": dec, "ra_unit": ra_unit, "ebv": ebv}
    batches = _batches(data, source, progress, **named, extinction_release=extinction_release)
    embedding = np.full((len(data), model.card.embedding_dim), np.nan, dtype=np.float32)
    with closing(estimate_batches(batches, model, redshifts=False)) as parts:
        for part in parts:
            embedding[part.estimated] = part.embedding
    return embedding


def _galaxies(data):
    """Make a table or cutouts of what the user gives."""
    if isinstance(data, Cutouts):
        return data
    if isinstance(data, str | os.PathLike) and holds(expanded(data)):
        return Cutouts.read(expanded(data))
    return as_table(data)


def _output_table(data):
    """Begin the table that is given back, without the new columns."""
    return table_of(data) if isinstance(data, Cutouts) else data.copy()


def _source_of(data, source):
    """Find the source of the images: None for cutouts, which have them."""
    return None if isinstance(data, Cutouts) else source_or_archive(source)


def _batches(data, source, progress, **named):
    if source is None:
        return batches_of(data, progress=progress)
    return collect_batches(read_positions(data, **named), source=source, size=IMAGE_SIZE, progress=progress)
