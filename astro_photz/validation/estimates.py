# Licensed under a 3-clause BSD style license - see LICENSE
"""
Photometric redshifts that a table has already, of this package or of any code.
"""

from __future__ import annotations

import os
import warnings
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np
from astropy.utils.exceptions import AstropyUserWarning

from astro_photz.pdf import RedshiftPDF
from astro_photz.pdf.columns import NoEdges, read_pdfs
from astro_photz.pdf.grids import EDGES
from astro_photz.utils._arrays import filled, integers
from astro_photz.utils._column_names import bare
from astro_photz.utils._files import expanded

from .pairing import pdfs_of_qp_file
from .redshifts import HIGHEST, NO_ESTIMATE, advised, read_values

if TYPE_CHECKING:
    from astropy.table import Table
    from numpy.typing import ArrayLike

__all__ = ["DEFAULT_PREFIX", "Estimates", "checked_pdf", "estimates_in", "estimates_of_run", "tell_of_other_code"]

DEFAULT_PREFIX = "z_phot"
"""Prefix of a run, without which redshifts are estimated where the table has none."""

# Bare names of columns of other codes, such as BPZ, EAZY, LePhare, and the tables of SDSS.
_OTHER_CODES = (
    *("zphot", "photoz", "photz", "zph", "zp", "zphoto", "zb", "zbest", "zml", "zpeak", "za", "zmc", "zpdf"),
    *("zmean", "zmode", "zmedian", "zphotmean", "zphotmedian", "zphotmode", "photozbest", "photozmean", "nnz"),
)
_NO_ERROR = "no error, or one that is not above 0"
_NO_REDSHIFT = f"an estimate outside -1 to {HIGHEST:g}"
_GAPS = "a PDF with gaps"
_WRONG_SUM = "a PDF that does not sum to 1"
_CLOSE = 1e-3  # of a sum of probabilities to 1, as in RedshiftPDF
_SIGMAS_68, _SIGMAS_95 = 0.994457883, 1.959963985  # of a Gaussian's central 68 and 95 %


@dataclass(frozen=True)
class Estimates:
    """
    Photometric redshifts of N galaxies.

    Parameters
    ----------
    name : str
        Name of their column.
    kind : str
        What the scores are of: ``"PDFs"``, ``"Gaussian PDFs"``, ``"intervals"``, or ``"point estimates"``.
    z : `~numpy.ndarray` (N,)
        NaN where there is none.
    problems : `~numpy.ndarray` (N,) of str
        Why a row has no usable estimate; an empty text where it has one.
    err : `~numpy.ndarray` (N,), optional
        Standard deviations.
    interval68, interval95 : `~numpy.ndarray` (N, 2), optional
        Central intervals.
    pdf : `~astro_photz.RedshiftPDF` (N,), optional
        NaN where there is none.
    flags : `~numpy.ndarray` (N,) of int, optional
        Bits of `~astro_photz.PhotozFlag`.
    record : dict
        How they were made, where the table tells: the model, its version, the source.
    paired_by : str
        How the PDFs of a file were paired with the galaxies: "row by row", or the name of a column of identifiers.
    """

    name: str
    kind: str
    z: np.ndarray
    problems: np.ndarray
    err: np.ndarray | None = None
    interval68: np.ndarray | None = None
    interval95: np.ndarray | None = None
    pdf: RedshiftPDF | None = None
    flags: np.ndarray | None = None
    record: dict = field(default_factory=dict)
    paired_by: str = ""

    @property
    def model(self) -> dict:
        """``name``, ``version``, ``sha256`` and ``trained_on`` of the model, dict; empty if it is not known."""
        names = {"model": "name", "model_version": "version", "model_sha256": "sha256", "trained_on": "trained_on"}
        return {name: self.record[key] for key, name in names.items() if key in self.record}


def estimates_in(
    table: Table,
    *,
    z_phot: str | ArrayLike | None = None,
    z_err: str | ArrayLike | None = None,
    pdf: str | RedshiftPDF | os.PathLike | None = None,
    prefix: str = DEFAULT_PREFIX,
    record: dict | None = None,
) -> Estimates | None:
    """
    Find the photometric redshifts of a table.

    Parameters
    ----------
    table : `~astropy.table.Table` (N,)
    z_phot, z_err : str or array_like (N,), optional
        Estimates of another code and their errors.
    pdf : str, path-like or `~astro_photz.RedshiftPDF` (N,), optional
        PDFs: the name of a column, or the path of a file of qp.
    prefix : str, optional
        Beginning of the names of the columns that `~astro_photz.predict` has written.
    record : dict, optional
        Record of the run, where the table's meta does not hold it.

    Returns
    -------
    `Estimates` or None
        None if the table has none, and nothing else is given.

    Raises
    ------
    KeyError
        If there is no such column, or no run of a prefix other than the default.
    ValueError
        If there is no estimate that can be used, or the shapes do not match.
    """
    if z_phot is None and pdf is None:
        if z_err is not None:
            raise ValueError("z_err= are the errors of z_phot=: give both, or neither")
        if prefix in table.colnames:
            return estimates_of_run(table, prefix, record)
        if prefix != DEFAULT_PREFIX:
            raise KeyError(_no_run(prefix, table.colnames))
        return None
    if isinstance(z_phot, str) and z_err is None and pdf is None and f"{z_phot}_lo68" in table.colnames:
        return estimates_of_run(table, z_phot, record)
    if pdf is not None:
        return _of_pdfs(table, pdf, z_phot, z_err)
    return _of_numbers(table, z_phot, z_err)


def tell_of_other_code(table: Table, prefix: str) -> None:
    """
    Warn of a column that looks like the redshifts of another code, where others are to be estimated.

    Parameters
    ----------
    table : `~astropy.table.Table` (N,)
    prefix : str
        Beginning of the names of the columns that the table lacks.
    """
    columns = {bare(name): name for name in reversed(table.colnames)}
    other = next((columns[name] for name in _OTHER_CODES if name in columns), None)
    if other is not None:
        warnings.warn(
            f"the table has no column {prefix!r}, so redshifts are estimated from images; to judge those of the column "
            f"{other!r} instead, give z_phot={other!r}",
            AstropyUserWarning,
            stacklevel=3,
        )


def _no_run(prefix, names):
    runs = [name for name in names if any(f"{name}_{end}" in names for end in ("lo68", "err", "flags", "pdf"))]
    known = f"runs are under {', '.join(map(repr, runs))}" if runs else "there are none of any prefix"
    return f"prefix={prefix!r}: the table has no redshifts of that name; {known}. Leave prefix= out to estimate them"


def estimates_of_run(table: Table, prefix: str, record: dict | None = None) -> Estimates:
    """
    Read the columns that `~astro_photz.predict` has written, with PDFs or without.

    Parameters
    ----------
    table : `~astropy.table.Table` (N,)
    prefix : str
        Beginning of their names.
    record : dict, optional
        Record of the run, where the table's meta does not hold it.

    Returns
    -------
    `Estimates`

    Raises
    ------
    ValueError
        If no PDF sums to 1, or nothing tells their bins.
    """
    z = read_values(table, prefix, "prefix")
    names = table.colnames
    flags = integers(table[f"{prefix}_flags"], unknown=0) if f"{prefix}_flags" in names else None
    record = record or table.meta.get(prefix)
    found = Estimates(
        prefix,
        "point estimates",
        z,
        np.where(np.isfinite(z), "", NO_ESTIMATE),
        err=_maybe(table, f"{prefix}_err"),
        interval68=_interval(table, prefix, 68),
        interval95=_interval(table, prefix, 95),
        flags=flags,
        record=record if isinstance(record, dict) else {},
    )
    if f"{prefix}_pdf" in names:
        _, p, edges = read_pdfs(table, prefix, None if prefix in table.meta else found.record.get(EDGES))
        return _with_pdf(found, *checked_pdf(p, edges))
    if found.interval68 is not None:
        return replace(found, kind="intervals")
    if found.err is not None and (found.err > 0).any():  # as columns of another code have it
        return replace(_of_numbers(table, prefix, f"{prefix}_err"), flags=flags, record=found.record)
    return found


def _maybe(table, name):
    return read_values(table, name, "column") if name in table.colnames else None


def _interval(table, prefix, level):
    bounds = [_maybe(table, f"{prefix}_{end}{level}") for end in ("lo", "hi")]
    return None if any(bound is None for bound in bounds) else np.stack(bounds, axis=1)


def _of_pdfs(table, given, z_phot, z_err):
    pdf, faults, name, paired_by = _read_given(table, given)
    z = pdf.mean() if z_phot is None else read_values(table, z_phot, "z_phot")
    problems = np.where(np.isfinite(z), "", NO_ESTIMATE)
    err = pdf.std() if z_err is None else read_values(table, z_err, "z_err")
    found = Estimates(_name_of(z_phot) or name, "PDFs", z, problems, err=err, paired_by=paired_by)
    return _with_pdf(found, pdf, faults)


def _read_given(table, given):
    """PDFs, why some are none, their name, and how they were paired with the galaxies."""
    paired_by = ""
    if isinstance(given, RedshiftPDF):
        pdf, name = given, "pdf"
    elif isinstance(given, str) and given in table.colnames:
        return *checked_pdf(*_read_column(table[given], given)), given, paired_by
    elif isinstance(given, str | os.PathLike) and expanded(given).is_file():
        (pdf, paired_by), name = pdfs_of_qp_file(table, expanded(given)), expanded(given).name
    elif isinstance(given, str | os.PathLike):
        raise KeyError(f"pdf={str(given)!r}: neither a column nor a file; {advised(given, table.colnames)}")
    else:
        raise TypeError(
            f"pdf must be a RedshiftPDF, a column's name or the path of a qp file; got {type(given).__name__}"
        )
    if len(pdf) != len(table):
        raise ValueError(f"pdf must hold {len(table)} PDFs, one for each row of the table; got {len(pdf)}")
    return pdf, np.full(len(pdf), ""), name, paired_by


def _read_column(column, name):
    """Probabilities (N, K) and edges (K + 1,) of a column that knows its bins."""
    try:
        return read_pdfs(column, name)[1:]
    except NoEdges:
        raise ValueError(
            f"pdf={name!r}: the file does not tell the redshifts of this column's values. In Python, give a "
            "RedshiftPDF made of the column and its bins; or give a file of qp, which holds its grid"
        ) from None


def checked_pdf(p, edges):
    """
    Make PDFs of a column, and leave out rows that are none.

    Parameters
    ----------
    p : array_like (N, K)
        Probabilities; masked or NaN for a galaxy without an estimate.
    edges : array_like (K + 1,)

    Returns
    -------
    pdf : `~astro_photz.RedshiftPDF` (N,)
    faults : `~numpy.ndarray` (N,) of str
        Why a row is none: probabilities that are negative, do not sum to 1 or are partly unknown, which are NaN in
        ``pdf``; an empty text for others.

    Raises
    ------
    ValueError
        If no row is right, and not all are empty.
    """
    p = filled(p)
    total, unknown = p.sum(axis=1), np.isnan(p)
    wrong = ~np.isnan(total) & ((np.abs(total - 1) > _CLOSE) | (p.min(axis=1) < 0))
    if wrong.any() and (wrong | np.isnan(total)).all():
        row = int(np.argmax(wrong))
        raise ValueError(
            f"no PDF sums to 1: row {row} sums to {total[row]:.4g}, with a minimum of {p[row].min():.4g}. "
            "Divide densities times bin widths by their sum."
        )
    gaps = unknown.any(axis=1) & ~unknown.all(axis=1)
    p[wrong | gaps] = np.nan
    return RedshiftPDF(p, edges), np.select([wrong, gaps], [_WRONG_SUM, _GAPS], default="")


def _with_pdf(found, pdf, faults):
    """Estimates with PDFs, whose intervals are those of the PDFs where there are no others."""
    empty = np.isnan(pdf.p[:, 0])
    problems = np.where((found.problems == "") & empty, NO_ESTIMATE, found.problems)
    problems = np.where(faults != "", faults, problems)
    interval = found.interval68 if found.interval68 is not None else pdf.quantile([0.16, 0.84])
    return replace(found, kind="PDFs", pdf=pdf, problems=problems, interval68=interval)


def _of_numbers(table, z_phot, z_err):
    """Estimates of another code, with errors or without."""
    z, name = read_values(table, z_phot, "z_phot"), _name_of(z_phot)
    possible = (z > -1) & (z <= HIGHEST)
    if np.isfinite(z).any() and not possible.any():
        raise ValueError(f"{name} has no redshift in it: all lie outside -1 to {HIGHEST:g}")
    problems = np.where(possible, "", np.where(np.isnan(z), NO_ESTIMATE, _NO_REDSHIFT))
    if z_err is None:
        return Estimates(name, "point estimates", z, problems)
    err = read_values(table, z_err, "z_err")
    without = ~(err > 0)
    if without[problems == ""].all() and (problems == "").any():
        raise ValueError(f"{_name_of(z_err) or 'z_err='} has no error above 0: leave it out, for point estimates alone")
    problems = np.where((problems == "") & without, _NO_ERROR, problems)
    within = {
        f"interval{level}": np.stack([z - sigmas * err, z + sigmas * err], axis=1)
        for level, sigmas in ((68, _SIGMAS_68), (95, _SIGMAS_95))
    }
    return Estimates(name, "Gaussian PDFs", z, problems, err=err, **within)


def _name_of(given):
    """Name of a column, of an array as far as it has one."""
    if given is None:
        return ""
    return given if isinstance(given, str) else str(getattr(given, "name", None) or "z_phot")
