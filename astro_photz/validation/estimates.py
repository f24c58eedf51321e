# Licensed under a 3-clause BSD style license - see LICENSE
"""
Photometric redshifts that a table has already, of this package or of any code.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np

from astro_photz.pdf import RedshiftPDF
from astro_photz.pdf.columns import read_pdfs
from astro_photz.pdf.grids import EDGES
from astro_photz.utils._arrays import filled, integers
from astro_photz.utils._files import expanded
from astro_photz.utils._suggestions import advice

from .redshifts import HIGHEST, NO_ESTIMATE, read_values

if TYPE_CHECKING:
    from astropy.table import Table
    from numpy.typing import ArrayLike

__all__ = ["Estimates", "checked_pdf", "estimates_in", "estimates_of_run"]

_NO_ERROR = "no error, or one that is not above 0"
_NO_REDSHIFT = f"an estimate outside -1 to {HIGHEST:g}"
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
    prefix: str = "z_phot",
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
        If there is no such column.
    ValueError
        If there is no estimate that can be used, or the shapes do not match.
    """
    if z_phot is None and pdf is None:
        if z_err is not None:
            raise ValueError("z_err= are the errors of z_phot=: give both, or neither")
        return estimates_of_run(table, prefix, record) if prefix in table.colnames else None
    if isinstance(z_phot, str) and z_err is None and pdf is None and f"{z_phot}_lo68" in table.colnames:
        return estimates_of_run(table, z_phot, record)
    if pdf is not None:
        return _of_pdfs(table, pdf, z_phot, z_err)
    return _of_numbers(table, z_phot, z_err)


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
    return found


def _maybe(table, name):
    return read_values(table, name, "column") if name in table.colnames else None


def _interval(table, prefix, level):
    bounds = [_maybe(table, f"{prefix}_{end}{level}") for end in ("lo", "hi")]
    return None if any(bound is None for bound in bounds) else np.stack(bounds, axis=1)


def _of_pdfs(table, given, z_phot, z_err):
    pdf, wrong, name = _read_given(table, given)
    z = pdf.mean() if z_phot is None else read_values(table, z_phot, "z_phot")
    problems = np.where(np.isfinite(z), "", NO_ESTIMATE)
    err = pdf.std() if z_err is None else read_values(table, z_err, "z_err")
    return _with_pdf(Estimates(_name_of(z_phot) or name, "PDFs", z, problems, err=err), pdf, wrong)


def _read_given(table, given):
    """PDFs, the mask of those that are none, and their name."""
    if isinstance(given, RedshiftPDF):
        pdf, name = given, "pdf"
    elif isinstance(given, str) and given in table.colnames:
        _, p, edges = read_pdfs(table[given], given)
        return *checked_pdf(p, edges), given
    elif isinstance(given, str | os.PathLike) and expanded(given).is_file():
        pdf, name = _of_qp_file(table, expanded(given)), expanded(given).name
    elif isinstance(given, str | os.PathLike):
        raise KeyError(f"pdf={str(given)!r}: neither a column nor a file; {advice(given, table.colnames)}")
    else:
        raise TypeError(
            f"pdf must be a RedshiftPDF, a column's name or the path of a qp file; got {type(given).__name__}"
        )
    if len(pdf) != len(table):
        raise ValueError(f"pdf must hold {len(table)} PDFs, one for each row of the table; got {len(pdf)}")
    return pdf, np.zeros(len(pdf), dtype=bool), name


def _of_qp_file(table, path):
    """PDFs of a file of qp in the order of the table, by its identifiers where both have them."""
    from astro_photz.adapters.qp import read_qp  # needs the extra qp

    pdf, ids = read_qp(path)
    column = next((name for name in table.colnames if name.lower() in ("objid", "id", "object_id")), None)
    if ids is None or column is None:
        return pdf
    row_of = {one: row for row, one in enumerate(np.asarray(ids).tolist())}
    rows = np.array([row_of.get(one, -1) for one in np.asarray(table[column]).tolist()])
    if (rows < 0).all():
        raise ValueError(f"no identifier of {path.name} is in the column {column!r} of the table")
    p = np.where(rows[:, np.newaxis] < 0, np.nan, pdf.p[rows])
    return RedshiftPDF(p, pdf.edges)


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
    wrong : `~numpy.ndarray` (N,) bool
        Rows with probabilities that are negative or do not sum to 1; they are NaN in ``pdf``.

    Raises
    ------
    ValueError
        If no row is right, and not all are empty.
    """
    p = filled(p)
    total = p.sum(axis=1)
    wrong = ~np.isnan(total) & ((np.abs(total - 1) > _CLOSE) | (p.min(axis=1) < 0))
    if wrong.any():
        if (wrong | np.isnan(total)).all():
            row = int(np.argmax(wrong))
            raise ValueError(
                f"no PDF sums to 1: row {row} sums to {total[row]:.4g}, with a minimum of {p[row].min():.4g}. "
                "Divide densities times bin widths by their sum."
            )
        p[wrong] = np.nan
    return RedshiftPDF(p, edges), wrong


def _with_pdf(found, pdf, wrong):
    """Estimates with PDFs, whose intervals are those of the PDFs where there are no others."""
    empty = np.isnan(pdf.p[:, 0])
    problems = np.where(wrong, _WRONG_SUM, np.where((found.problems == "") & empty, NO_ESTIMATE, found.problems))
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
