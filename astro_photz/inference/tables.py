# Licensed under a 3-clause BSD style license - see LICENSE
"""
The main job: from a table of galaxies to the same table with redshifts.

(The module is not called ``predict``: it would hide the function of that name in the package.)
"""

import os
from contextlib import closing
from typing import NamedTuple

import numpy as np
from astropy.table import MaskedColumn, QTable

from astro_photz import __version__
from astro_photz.cutouts import Batch, Cutouts
from astro_photz.cutouts.fetching import collect_batches, completed, source_or_archive
from astro_photz.flags import MISSING, PhotozFlag
from astro_photz.models import PhotozModel, load_model
from astro_photz.models.model import IMAGE_SIZE
from astro_photz.positions import read_positions
from astro_photz.quality import flag_images
from astro_photz.tables.inputs import as_table, frame_with, is_frame
from astro_photz.utils._files import expanded
from astro_photz.utils._progress import progress_bar

__all__ = ["embed", "predict"]

_BATCH = 256


class _Quantity(NamedTuple):
    """A column of the result: how to get it from a PDF, and what it is."""

    value: object
    description: str


_COLUMNS = {
    "": _Quantity(lambda pdf: pdf.mean(), "Photometric redshift: mean of the PDF"),
    "_err": _Quantity(lambda pdf: pdf.std(), "Standard deviation of the PDF"),
    "_median": _Quantity(lambda pdf: pdf.median(), "Median of the PDF"),
    "_mode": _Quantity(lambda pdf: pdf.mode(), "Centre of the highest bin of the PDF"),
    "_lo68": _Quantity(lambda pdf: pdf.quantile([0.16])[:, 0], "16 % quantile of the PDF"),
    "_hi68": _Quantity(lambda pdf: pdf.quantile([0.84])[:, 0], "84 % quantile of the PDF"),
    "_lo95": _Quantity(lambda pdf: pdf.quantile([0.025])[:, 0], "2.5 % quantile of the PDF"),
    "_hi95": _Quantity(lambda pdf: pdf.quantile([0.975])[:, 0], "97.5 % quantile of the PDF"),
    "_odds": _Quantity(lambda pdf: pdf.odds(), "Probability within 0.03 (1 + mode) of the mode"),
}


def predict(
    data,
    *,
    source=None,
    model=None,
    prefix="z_phot",
    pdf=False,
    replace=False,
    progress=None,
    coord=None,
    ra=None,
    dec=None,
    ra_unit=None,
    ebv=None,
    extinction_release=None,
):
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
        If the positions cannot be found, or if a column of that name is there.
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
    model = model if isinstance(model, PhotozModel) else load_model(model)
    if not isinstance(prefix, str) or not prefix:
        raise ValueError(f"prefix must be a text that begins the names of columns; got {prefix!r}")
    given, data = data, _galaxies(data)
    table = _output_table(data)
    names = [f"{prefix}{name}" for name in (*_COLUMNS, "_ood", "_flags", "_pdf")]
    taken = [name for name in names if name in table.colnames]
    if taken and not replace:
        raise ValueError(
            f"the table has a column {taken[0]!r} already: give another prefix than {prefix!r}, or replace=True if it "
            "is of an earlier run"
        )
    if taken and f"{prefix}_flags" not in taken:
        raise ValueError(
            f"the column {taken[0]!r} is not of an earlier run, which would have left {prefix}_flags too: give another "
            f"prefix than {prefix!r}"
        )
    source = _source_of(data, source)
    named = {"coord": coord, "ra": ra, "dec": dec, "ra_unit": ra_unit, "ebv": ebv}
    named["extinction_release"] = extinction_release
    with closing(_batches(data, source, progress, **named)) as batches:
        values, flags, probabilities = _estimate(batches, model, len(table), pdf)

    missing = (flags & MISSING) != 0
    columns = {
        f"{prefix}{name}": MaskedColumn(values[name], mask=missing, description=quantity.description)
        for name, quantity in _COLUMNS.items()
    }
    columns[f"{prefix}_ood"] = MaskedColumn(
        np.full(len(table), np.nan, dtype=np.float32),
        mask=True,
        description="Distance from the training set (masked: the model carries no reference set)",
    )
    columns[f"{prefix}_flags"] = MaskedColumn(flags, description="Bits of astro_photz.PhotozFlag; 0 for no doubt")
    if pdf:
        columns[f"{prefix}_pdf"] = MaskedColumn(
            probabilities,
            mask=np.repeat(missing[:, np.newaxis], probabilities.shape[1], axis=1),
            description="Probability in each bin of redshift",
        )
    record = _record(model, source)
    if is_frame(given):
        return frame_with(given.drop(columns=taken), columns, prefix=prefix, record=record)
    table.remove_columns(taken)
    for name, column in columns.items():
        table.add_column(column, name=name, copy=False)
    table.meta[prefix] = record
    return table


def embed(
    data,
    *,
    source=None,
    model=None,
    progress=None,
    coord=None,
    ra=None,
    dec=None,
    ra_unit=None,
    ebv=None,
    extinction_release=None,
):
    """
    Embed galaxies: get what the encoder makes of their images, for a search of similar ones or a model of one's own.

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
    model = model if isinstance(model, PhotozModel) else load_model(model)
    data = _galaxies(data)
    named = {"coord": coord, "ra": ra, "dec": dec, "ra_unit": ra_unit, "ebv": ebv}
    named["extinction_release"] = extinction_release
    source = _source_of(data, source)
    embedding = np.full((len(data), model.card["embedding_dim"]), np.nan, dtype=np.float32)
    with closing(_batches(data, source, progress, **named)) as batches:
        for batch in batches:
            flags = flag_images(batch.cutouts) | batch.reasons
            usable = (flags & MISSING) == 0
            embedding[batch.rows[usable]] = model.embed(batch.cutouts[usable])
    return embedding


def _galaxies(data):
    """A table or cutouts, of whatever a user gives."""
    if isinstance(data, Cutouts):
        return data
    if isinstance(data, str | os.PathLike) and _holds_cutouts(expanded(data)):
        return Cutouts.read(expanded(data))
    return as_table(data)


def _holds_cutouts(path):
    """Whether a file is HDF5 with images, not a table."""
    import h5py

    if not (path.is_file() and h5py.is_hdf5(path)):
        return False
    with h5py.File(path) as file:
        return "images" in file


def _output_table(data):
    """The table that is given back, without the new columns."""
    if not isinstance(data, Cutouts):
        return data.copy()
    table = QTable({"id": data.ids})
    if data.coord is not None:
        table["coord"] = data.coord
    table["ebv"] = data.ebv
    return table


def _source_of(data, source):
    """Where the images come from: None for cutouts, which have them."""
    return None if isinstance(data, Cutouts) else source_or_archive(source)


def _batches(data, source, progress, **columns):
    if source is None:
        return _batches_of_cutouts(data, progress)
    return collect_batches(read_positions(data, **columns), source=source, size=IMAGE_SIZE, progress=progress)


def _batches_of_cutouts(cutouts, progress):
    with progress_bar(len(cutouts), progress) as advance:
        for start in range(0, len(cutouts), _BATCH):
            rows = np.arange(start, min(start + _BATCH, len(cutouts)))
            part = cutouts[start : start + _BATCH].crop(IMAGE_SIZE)
            yield completed(Batch(rows, part, part.flags), cutouts.coord)
            advance(len(rows))


def _estimate(batches, model, n, pdf):
    """Columns of values, flags, and probabilities if they are wanted: batch by batch, into the order of the rows."""
    values = {name: np.full(n, np.nan, dtype=np.float32) for name in _COLUMNS}  # what a mask that is lost leaves
    flags = np.zeros(n, dtype=np.int32)
    probabilities = np.full((n if pdf else 0, len(model.edges) - 1), np.nan, dtype=np.float32)
    for rows, cutouts, reasons in batches:
        cutouts.flags = cutouts.flags | reasons
        flags[rows] = flag_images(cutouts, training_range=model.card.get("training_range"))
        usable = (flags[rows] & MISSING) == 0
        rows = rows[usable]
        estimate = model.pdf(model.embed(cutouts[usable]))
        for name, quantity in _COLUMNS.items():
            values[name][rows] = quantity.value(estimate)
        flags[rows[estimate.mode() > model.edges[-2]]] |= PhotozFlag.GRID_EDGE
        if pdf:
            probabilities[rows] = estimate.p
    return values, flags, probabilities


def _record(model, source):
    """Record of model and source for the table's meta."""
    return {
        "astro_photz": __version__,
        "model": model.name,
        "model_version": model.version,
        "model_sha256": model.sha256,
        "trained_on": model.trained_on,
        "source": getattr(source, "name", "cutouts"),
        "data_release": getattr(source, "data_release", -1),
        "z_edges": model.edges.tolist(),
    }
