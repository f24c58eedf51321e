# Licensed under a 3-clause BSD style license - see LICENSE
"""
Estimates, true redshifts and flags out of whatever holds them: a table, PDFs, arrays, or a validation.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol

import numpy as np
from astropy.table import Table

from astro_photz import flags as flag_names
from astro_photz import metrics
from astro_photz.pdf import RedshiftPDF
from astro_photz.tables.inputs import as_table, is_frame
from astro_photz.utils._arrays import numbers, values_and_mask
from astro_photz.utils._column_names import GALAXY_NAMES, bare
from astro_photz.utils._suggestions import advice

__all__ = [
    "Judged",
    "Sample",
    "Validated",
    "chosen_rows",
    "flags_of",
    "is_validation",
    "quantity_of",
    "read_pdfs",
    "read_sample",
]

_TRUE_REDSHIFTS = ("zspec", "specz", "spectroscopicredshift", "specredshift", "speczredshift", "redshift", "ztrue")


class Judged(Protocol):
    """The parts of an `~astro_photz.evaluation.Evaluation`, or of a validation, that are drawn."""

    @property
    def overall(self) -> dict: ...
    @property
    def bins(self) -> dict: ...
    @property
    def pit(self) -> list: ...
    @property
    def coverage(self) -> dict: ...


class Validated(Judged, Protocol):
    """The parts of a validation that are drawn: it keeps each galaxy."""

    @property
    def galaxies(self) -> Table: ...
    @property
    def errors(self) -> dict: ...
    @property
    def unflagged(self) -> dict: ...
    @property
    def unflagged_errors(self) -> dict: ...
    @property
    def pdf(self) -> RedshiftPDF | None: ...
    @property
    def stamps(self) -> Any: ...


@dataclass(frozen=True, kw_only=True)
class Sample:
    """
    Estimates of N galaxies.

    Parameters
    ----------
    z_phot, error, low, high, redshift : `~numpy.ndarray` (N,)
        Estimate, its standard error, the ends of its 68 % interval, and the true redshift; NaN where unknown.
    flags : `~numpy.ndarray` (N,) of int
        Bits of `~astro_photz.PhotozFlag`; 0 where unknown.
    ids : sequence of str (N,)
        Names of the galaxies: their numbers or names, or the number of their row.
    summaries : sequence of (dict, dict)
        Metrics and their errors, where these are known already: of all galaxies, and of those without a flag.
    """

    z_phot: np.ndarray
    error: np.ndarray
    low: np.ndarray
    high: np.ndarray
    redshift: np.ndarray
    flags: np.ndarray
    ids: Sequence[str]
    summaries: Sequence[tuple[dict, dict]] = ()

    def __len__(self):
        return len(self.z_phot)

    @property
    def compared(self):
        """Galaxies with an estimate and a true redshift, `~numpy.ndarray` (N,) of bool."""
        return np.isfinite(self.z_phot) & np.isfinite(self.redshift)

    @property
    def deviation(self):
        """Deviation of the estimates, see `astro_photz.metrics.deviation`, `~numpy.ndarray` (N,)."""
        return metrics.deviation(self.z_phot, self.redshift)

    def summary_of(self, n):
        """Metrics of ``n`` of the galaxies and their errors, dict and dict; empty where they are not known."""
        return next((pair for pair in self.summaries if pair[0].get("n") == n), ({}, {}))

    def require_compared(self):
        """Raise a ValueError if no galaxy has an estimate and a true redshift."""
        if not self.compared.any():
            raise ValueError(
                f"no galaxy has both an estimate and a true redshift: of {len(self)} rows, "
                f"{np.isfinite(self.z_phot).sum()} have an estimate and {np.isfinite(self.redshift).sum()} a redshift"
            )

    def label(self, row):
        """Estimate and error of a galaxy in words."""
        if not np.isfinite(self.z_phot[row]):
            return "no estimate"
        error = self.error[row]
        return f"{self.z_phot[row]:.3f}" + (f" ± {error:.3f}" if np.isfinite(error) else "")

    def names_of_flags(self, row):
        """List the names of a galaxy's flags."""
        return list(flag_names.names(int(self.flags[row])))


def is_validation(data):
    """Check whether data are a validation, which keeps each galaxy, and not a table or PDFs."""
    return hasattr(data, "galaxies") and hasattr(data, "bins")


def read_sample(data, redshift=None, *, prefix="z_phot"):
    """
    Read estimates, and true redshifts where there are any.

    Parameters
    ----------
    data : table-like, `~astro_photz.RedshiftPDF`, array_like (N,), or a validation
        Estimates; the mean and the interval of PDFs.
    redshift : str or array_like (N,), optional
        True redshifts, or the name of their column; by default a column with a usual name.
    prefix : str, optional
        Of the columns of a table.

    Returns
    -------
    `Sample`

    Raises
    ------
    TypeError
        If ``data`` is of another kind.
    KeyError
        If there is no such column.
    ValueError
        If there is no row, or lengths differ.
    """
    if is_validation(data):
        return _of_validation(data, redshift)
    if isinstance(data, RedshiftPDF):
        ends = data.quantile([0.16, 0.84]).T
        return _sample(data.mean(), data.std(), ends, redshift=_given(redshift, len(data)))
    if isinstance(data, np.ndarray | list | tuple) and np.ndim(data) == 1 and _is_numeric(data):
        z_phot = numbers(data)
        unknown = np.full(len(z_phot), np.nan)
        return _sample(z_phot, unknown, (unknown, unknown), redshift=_given(redshift, len(z_phot)))
    table = as_table(data)
    return _of_table(table, _redshift_in(table, redshift), prefix)


def read_pdfs(data, redshift=None, *, prefix="z_phot"):
    """
    Read PDFs, and what else is known of their galaxies.

    Parameters are those of `read_sample`; a table needs a column of PDFs. Return the `~astro_photz.RedshiftPDF` and the
    `Sample` of the same galaxies. Raise a ValueError, too, if there are no PDFs.
    """
    if isinstance(data, RedshiftPDF):
        return data, read_sample(data, redshift)
    if is_validation(data):
        if data.pdf is None:
            raise ValueError("this validation has no PDFs: its estimates came without")
        return data.pdf, read_sample(data, redshift)
    table = as_table(data)
    pdf = RedshiftPDF.from_table(
        data if is_frame(data) else table, prefix=prefix
    )  # the grid of a frame is in its attrs
    return pdf, read_sample(table, redshift, prefix=prefix)


def chosen_rows(rows, n, *, most, noun):
    """
    List the rows to be drawn.

    ``rows`` is a number, numbers, a slice, a mask or None, for all of ``n``. Raise an IndexError if there is no such
    row, and a ValueError if there are none, or more than ``most``; ``noun`` is what would be drawn for each.
    """
    everything = np.arange(n)
    chosen = everything if rows is None else np.atleast_1d(everything[_index(rows)])
    if not len(chosen):
        raise ValueError(f"there is no {noun} to draw: no row is chosen of {n}")
    if len(chosen) > most:
        raise ValueError(
            f"{len(chosen):,} {noun}s are too many for one picture: choose at most {most}, rows=range({most}) for one"
        )
    return chosen


def flags_of(data, prefix="z_phot"):
    """Read the flags of a table or a validation, 0 where unknown; None where they are not known of any galaxy."""
    if is_validation(data):
        return _flags_in(data.galaxies, "flags")
    return _flags_in(as_table(data), f"{prefix}_flags")


def quantity_of(data, name):
    """
    Read a column of numbers of a table, or of a validation's galaxies, with NaN where unknown, and its unit or None.

    Raise a KeyError if there is no such column, and a ValueError if it holds no numbers.
    """
    table = as_table(data.galaxies if is_validation(data) else data)
    column = _column(table, name)
    if np.ndim(column) != 1 or not (_is_numeric(column) or getattr(column, "dtype", np.dtype("O")).kind == "b"):
        raise ValueError(f"the column {name!r} must hold a number for each galaxy, to be drawn")
    return numbers(column), getattr(column, "unit", None)


def _sample(z_phot, error, ends, *, redshift=None, flags=None, ids=None):
    n = len(z_phot)
    if n == 0:
        raise ValueError("there is no galaxy to draw: data has no rows")
    return Sample(
        z_phot=z_phot,
        error=error,
        low=ends[0],
        high=ends[1],
        redshift=np.full(n, np.nan) if redshift is None else redshift,
        flags=np.zeros(n, dtype=np.int64) if flags is None else flags,
        ids=[f"row {row}" for row in range(n)] if ids is None else ids,
    )


def _of_validation(data, redshift):
    if redshift is not None:
        raise ValueError("redshift: a validation has its own true redshifts")
    galaxies = data.galaxies
    sample = _of_table(galaxies, numbers(galaxies["redshift"]), "z_phot", flags="flags")
    used, unknown = values_and_mask(galaxies["used"])
    return replace(
        sample,
        redshift=np.where(used.astype(bool) & ~unknown, sample.redshift, np.nan),
        summaries=((data.overall, data.errors), (data.unflagged, data.unflagged_errors)),
    )


def _of_table(table, redshift, prefix, *, flags=None):
    z_phot = numbers(_column(table, prefix, parameter="prefix"))
    error, *ends = (
        numbers(table[f"{prefix}{end}"]) if f"{prefix}{end}" in table.colnames else np.full(len(z_phot), np.nan)
        for end in ("_err", "_lo68", "_hi68")
    )
    error = np.where(error > 0, error, np.nan)
    if not np.isfinite(ends).any():
        ends = z_phot - error, z_phot + error
    return _sample(
        z_phot, error, ends, redshift=redshift, flags=_flags_in(table, flags or f"{prefix}_flags"), ids=_ids_in(table)
    )


def _flags_in(table, name):
    """Bits of a column of flags or of their names, 0 where unknown; None without such a column."""
    return flag_names.parse(table[name]) if name in table.colnames else None


def _ids_in(table):
    """Names of the galaxies in a column of a table, if there is one."""
    for wanted in GALAXY_NAMES:
        name = next((name for name in table.colnames if bare(name) == wanted and np.ndim(table[name]) == 1), None)
        if name is not None:
            plain, mask = values_and_mask(table[name])
            shown = [one.decode("utf-8", "replace") if isinstance(one, bytes) else str(one) for one in plain]
            return [f"row {row}" if mask[row] or not one else one for row, one in enumerate(shown)]
    return None


def _redshift_in(table, redshift):
    """True redshifts of a table: those that are named or given, or those of a column with a usual name."""
    if isinstance(redshift, str):
        return numbers(_column(table, redshift, parameter="redshift"))
    if redshift is not None:
        return _given(redshift, len(table))
    names = {bare(name): name for name in reversed(table.colnames)}
    name = next((names[usual] for usual in _TRUE_REDSHIFTS if usual in names), None)
    return None if name is None else numbers(table[name])


def _given(redshift, n):
    if redshift is None:
        return None
    if isinstance(redshift, str):
        raise ValueError(f"redshift={redshift!r} names a column, but data is no table: give the true redshifts")
    values = numbers(np.atleast_1d(redshift))
    if values.shape != (n,):
        raise ValueError(f"redshift must have the shape ({n},), a number for each galaxy; got {values.shape}")
    return values


def _column(table, name, *, parameter="column"):
    if name not in table.colnames:
        raise KeyError(f"{parameter}={name!r}: the table has no such column; {advice(name, table.colnames)}")
    return table[name]


def _index(rows):
    if isinstance(rows, slice | int | np.integer):
        return rows
    rows = np.ma.filled(np.ma.asarray(list(rows) if isinstance(rows, range) else rows), 0)  # masked is not chosen
    return rows.astype(int) if rows.size == 0 else rows


def _is_numeric(values):
    return np.asarray(values_and_mask(values)[0]).dtype.kind in "iuf"
