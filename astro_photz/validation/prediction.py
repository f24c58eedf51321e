# Licensed under a 3-clause BSD style license - see LICENSE
"""
Galaxies that the user gives, estimated where they have no redshifts yet.

Images pass batch by batch, as in `~astro_photz.predict`. Of all of them, only the stamps of the worst outliers stay.
"""

from __future__ import annotations

import heapq
import os
from contextlib import closing
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from astropy.table import QTable, Table

from astro_photz.cutouts import Batch, CutoutFile, Cutouts
from astro_photz.cutouts.collect import collect_batches, with_known_ebv
from astro_photz.cutouts.container import read_rows
from astro_photz.cutouts.hdf5.layout import holds, is_simulated, open_cutouts, read_column, read_coord
from astro_photz.inference.columns import ResultColumns, put, record_of
from astro_photz.inference.engine import BATCH, batches_of, estimate_batches
from astro_photz.metrics import OUTLIER, deviation
from astro_photz.models.model import IMAGE_SIZE
from astro_photz.photometry import aperture_flux, r_magnitude
from astro_photz.sdss import BANDS
from astro_photz.tables.inputs import as_table, is_frame
from astro_photz.utils._arrays import integers
from astro_photz.utils._files import expanded
from astro_photz.utils._progress import progress_bar

from .files import is_validation

__all__ = ["MOST_STAMPS", "Given", "Prediction", "Worst", "is_simulated_sample", "predicted", "read_given"]

MOST_STAMPS = 24
"""Number of outliers whose stamps are kept, at most."""

_ARCHIVE = "SDSS DR"  # begins the name of the source of real images
_R = BANDS.index("r")
_DRAWN_FROM = "seed_index"  # of simulated galaxies
_COLUMNS = ("specz_redshift", _DRAWN_FROM)  # of a file of cutouts, besides positions


@dataclass(frozen=True)
class Given:
    """
    Galaxies as the user gives them.

    Parameters
    ----------
    table : `~astropy.table.Table` (N,)
    name : str or None
        Name of their file.
    cutouts : `~astro_photz.Cutouts` or `~pathlib.Path`, optional
        Their images, or the HDF5 file of these.
    records : dict
        Records of runs, by the prefix.
    """

    table: Table
    name: str | None
    cutouts: Any = None
    records: dict = field(default_factory=dict)


def read_given(data):
    """
    Read a table, cutouts, or a file of either.

    Parameters
    ----------
    data : table-like, `~astro_photz.Cutouts`, str or path-like
        As in `~astro_photz.predict`.

    Returns
    -------
    `Given`

    Raises
    ------
    ValueError
        If it is the file of a validation.
    """
    if isinstance(data, Cutouts):
        columns = {"objid": data.ids, "ebv": data.ebv} | ({} if data.coord is None else {"coord": data.coord})
        return Given(QTable(columns), None, data)
    path = expanded(data) if isinstance(data, str | os.PathLike) else None
    if path is not None and is_validation(path):
        raise ValueError(
            f"{path} is a validation, which has judged its galaxies already: read it by Validation.read, or make a "
            f"page of it by astro-photz report TABLE --validation {path.name}"
        )
    if path is not None and holds(path):
        return Given(_catalog(path), path.name, path)
    table = as_table(data)
    records = data.attrs if is_frame(data) else table.meta
    return Given(table, None if path is None else path.name, records=dict(records))


def _catalog(path):
    """Columns of a file of cutouts."""
    with open_cutouts(path) as file:
        n = len(file["images"])
        ids = read_column(file, "ObjID")
        table = Table({"objid": np.arange(n) if ids is None else ids})
        if "ra" in file and "dec" in file:
            coord = read_coord(file)
            table["ra"], table["dec"] = coord.ra, coord.dec
        for name in _COLUMNS:
            if name in file:
                table[name] = read_column(file, name)
    return table


@dataclass(frozen=True)
class Prediction:
    """
    Estimates of N galaxies, and what their images tell.

    Parameters
    ----------
    columns : `~astropy.table.Table` (N,)
        Those that `~astro_photz.predict` adds, with the PDFs, and its record in the meta.
    quantities : dict of `~numpy.ndarray` (N,)
        ``r_mag`` (mag), ``ebv`` (mag) and ``seeing`` (arcsec); NaN where there is no image.
    simulated : bool
        Whether any image is simulated.
    stamps : `~astro_photz.Cutouts` or None
        Of the worst outliers, the worst first; their identifiers are the rows.
    """

    columns: Table
    quantities: dict
    simulated: bool
    stamps: Cutouts | None


def is_simulated_sample(given, source, record):
    """
    Tell whether images are simulated, as far as the images, the galaxies or the record of their estimates tell.

    Parameters
    ----------
    given : `Given` (N,)
    source : `~astro_photz.cutouts.CutoutSource` or None
    record : dict
        Of the run that has estimated them.

    Returns
    -------
    bool or None
        None if nothing tells.
    """
    images = source.path if isinstance(source, CutoutFile) else given.cutouts
    if isinstance(images, Cutouts):
        return images.simulated
    if images is not None:
        with open_cutouts(images) as file:
            return is_simulated(file)
    if _DRAWN_FROM in given.table.colnames and (integers(given.table[_DRAWN_FROM]) >= 0).any():
        return True
    if "simulated" in record:
        return bool(record["simulated"])
    return False if str(record.get("source", "")).startswith(_ARCHIVE) else None


def predicted(given, redshift, *, positions, source, model, prefix, progress):
    """
    Estimate the redshifts of galaxies, and keep the stamps of the worst outliers.

    Parameters
    ----------
    given : `Given` (N,)
    redshift : `~numpy.ndarray` (N,)
        True redshifts, NaN where unknown.
    positions : `~astro_photz.positions.Positions` (N,)
    source : `~astro_photz.cutouts.CutoutSource` or None
        None for galaxies that are given with their images.
    model, prefix, progress
        As in `~astro_photz.predict`.

    Returns
    -------
    `Prediction`
    """
    form = ResultColumns.of(model, pdf=True)
    values = form.blank(len(redshift))
    quantities = {name: np.full(len(redshift), np.nan) for name in ("r_mag", "ebv", "seeing")}
    worst = Worst()
    with closing(estimate_batches(_batches(given, source, positions, progress), model)) as parts:
        for part in parts:
            rows, cutouts = part.estimated, part.cutouts
            put(values, part.rows, form.rows(part))
            quantities["r_mag"][rows] = r_magnitude(aperture_flux(cutouts.flux[:, _R]), cutouts.ebv)
            quantities["ebv"][rows], quantities["seeing"][rows] = cutouts.ebv, cutouts.psf_fwhm[:, _R]
            worst.put(rows, deviation(part.pdf.mean(), redshift[rows]), cutouts)
    columns, simulated = Table(form.columns(values, prefix), copy=False), bool(values["simulated"].any())
    columns.meta[prefix] = record_of(model, source if given.cutouts is None else None, simulated=simulated)
    return Prediction(columns, quantities, simulated, worst.stamps(positions))


def _batches(given, source, positions, progress):
    if given.cutouts is None:
        return collect_batches(positions, source=source, size=IMAGE_SIZE, progress=progress)
    if isinstance(given.cutouts, Cutouts):
        return batches_of(given.cutouts, progress=progress)
    return _batches_of_file(given.cutouts, None if positions is None else positions.coord, progress)


def _batches_of_file(path, coord, progress):
    with open_cutouts(path) as file, progress_bar(len(file["images"]), progress) as advance:
        for start in range(0, len(file["images"]), BATCH):
            rows = np.arange(start, min(start + BATCH, len(file["images"])))
            yield with_known_ebv(Batch(rows, read_rows(file, rows).crop(IMAGE_SIZE)), coord)
            advance(len(rows))


class Worst:
    """Stamps of the outliers that deviate most, out of batches in any order."""

    def __init__(self):
        self._kept = []  # a heap of absolute deviation, row, and cutout, the least deviation first

    def put(self, rows, deviations, cutouts):
        """
        Look at a batch.

        Parameters
        ----------
        rows : `~numpy.ndarray` (M,) of int
        deviations : `~numpy.ndarray` (M,)
            NaN where the redshift is not known.
        cutouts : `~astro_photz.Cutouts` (M,)
        """
        for place in np.flatnonzero(np.abs(deviations) > OUTLIER):
            off = abs(deviations[place])
            if len(self._kept) < MOST_STAMPS or off > self._kept[0][0]:
                one = cutouts[int(place)]
                entry = (off, int(rows[place]), one._replaced(flux=one.flux.copy()))  # not a view of the whole batch
                (heapq.heappush if len(self._kept) < MOST_STAMPS else heapq.heappushpop)(self._kept, entry)

    def stamps(self, positions):
        """
        Put the stamps together.

        Parameters
        ----------
        positions : `~astro_photz.positions.Positions` (N,) or None

        Returns
        -------
        `~astro_photz.Cutouts` or None
            The worst first, rows as identifiers; None if there is no outlier.
        """
        if not self._kept:
            return None
        entries = sorted(self._kept, key=lambda entry: (-entry[0], entry[1]))
        rows = np.array([row for _, row, _ in entries])
        coord = None if positions is None else positions.coord[rows]
        cutouts = Cutouts.blank(len(rows), size=entries[0][2].size, coord=coord, ids=rows)
        for place, (_, _, one) in enumerate(entries):
            cutouts[[place]] = one
        return cutouts
