# Licensed under a 3-clause BSD style license - see LICENSE
"""
The table that a page is about, and the facts that are read out of it.
"""

from __future__ import annotations

import os
import warnings
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from astropy.table import Table

from astro_photz.flags import MISSING, parse
from astro_photz.pdf import RedshiftPDF
from astro_photz.pdf.columns import read_pdfs
from astro_photz.positions import read_positions
from astro_photz.tables.inputs import as_table
from astro_photz.utils._arrays import filled, identifiers, numbers
from astro_photz.utils._column_names import GALAXY_NAMES, bare
from astro_photz.utils._files import expanded, sha256
from astro_photz.utils._types import TableLike
from astro_photz.validation.files import is_validation
from astro_photz.validation.quantities import quantities_in

if TYPE_CHECKING:
    from astropy.coordinates import SkyCoord

__all__ = ["Subject", "read_subject"]

_BLOCK = 20_000  # rows of PDFs that are summed at once


@dataclass(frozen=True)
class Subject:
    """
    A table with photometric redshifts.

    Parameters
    ----------
    table : `~astropy.table.Table` (N,)
    prefix : str
        Beginning of the names of the redshifts' columns.
    record : dict
        How they were made: the model, its version, the source; empty if the table does not tell.
    path : `~pathlib.Path`, optional
        Its file.
    named : dict
        Names of the columns of positions, as `~astro_photz.positions.read_positions` takes them.
    """

    table: Table
    prefix: str
    record: dict
    path: Path | None
    named: dict

    def __len__(self) -> int:
        return len(self.table)

    @property
    def name(self) -> str:
        """Name of the file, str."""
        return self.path.name if self.path else "a table in memory"

    @property
    def of_survey(self) -> bool:
        """True if the images are known to come from the survey, which has pages about positions, bool."""
        return str(self.record.get("source", "")).startswith(("SDSS", "frames"))

    @cached_property
    def sha256(self) -> str | None:
        """Hash of the file, str."""
        return sha256(self.path) if self.path else None

    @cached_property
    def z(self) -> np.ndarray:
        """Estimated redshifts, `~numpy.ndarray` (N,); NaN where there is none."""
        return self._numbers("")

    @cached_property
    def error(self) -> np.ndarray:
        """Standard deviations of the PDFs, `~numpy.ndarray` (N,); NaN where unknown."""
        return self._numbers("_err")

    @cached_property
    def ood(self) -> np.ndarray:
        """Fraction of the model's galaxies that are stranger, `~numpy.ndarray` (N,); NaN where unknown."""
        return self._numbers("_ood")

    @property
    def has_flags(self) -> bool:
        """True if the table has a column of flags, which those of other codes lack, bool."""
        return f"{self.prefix}_flags" in self.table.colnames

    @cached_property
    def flags(self) -> np.ndarray:
        """Bits of `~astro_photz.PhotozFlag`, `~numpy.ndarray` (N,) of int; 0 where they are unknown."""
        if not self.has_flags:
            return np.zeros(len(self), dtype=int)
        return parse(self.table[f"{self.prefix}_flags"]).astype(int)

    @cached_property
    def estimated(self) -> np.ndarray:
        """Mask of the rows with an estimate, `~numpy.ndarray` (N,) bool."""
        return np.isfinite(self.z) & ((self.flags & MISSING) == 0)

    @cached_property
    def coord(self) -> SkyCoord | None:
        """Positions (N,), NaN where unknown; None if the table has none."""
        return self._positions.coord if self._positions is not None else None

    @cached_property
    def ids(self) -> list[str]:
        """Names of the galaxies, list of str (N,); an empty text where unknown."""
        columns = {bare(name): name for name in reversed(self.table.colnames) if self.table[name].ndim == 1}
        name = next((columns[known] for known in GALAXY_NAMES if known in columns), None)
        if name is None:
            return [""] * len(self)
        return ["" if _unknown(one) else str(one) for one in identifiers(self.table[name]).tolist()]

    @property
    def r_mag_column(self) -> str | None:
        """Name of a column of magnitudes in r, str."""
        return self._quantities[1].get("r_mag")

    @property
    def r_mag(self) -> np.ndarray | None:
        """Magnitudes in r, `~numpy.ndarray` (N,) mag, NaN where unknown; None if the table has none."""
        return self._quantities[0].get("r_mag")

    def interval(self, row: int) -> tuple[float, float] | None:
        """Bounds of the central 68 % of one PDF, floats; None if the table has not kept them."""
        names = [f"{self.prefix}_lo68", f"{self.prefix}_hi68"]
        if not set(names) <= set(self.table.colnames):
            return None
        low, high = (float(filled(self.table[name][row : row + 1])[0]) for name in names)
        return (low, high) if np.isfinite(low + high) else None

    def summed_pdf(self) -> tuple[np.ndarray, np.ndarray] | None:
        """
        Sum the PDFs of all galaxies.

        Returns
        -------
        (`~numpy.ndarray` (K,), `~numpy.ndarray` (K + 1,)) or None
            Expected number of galaxies in each bin, and the edges of the bins; None without PDFs or their edges.
        """
        if f"{self.prefix}_pdf" not in self.table.colnames or not self.estimated.any():
            return None
        try:
            _, p, edges = read_pdfs(self.table, self.prefix)
        except ValueError:  # the file does not tell the edges
            return None
        total, p = np.zeros(len(edges) - 1), np.ma.asarray(p)
        rows = np.flatnonzero(self.estimated)
        for start in range(0, len(rows), _BLOCK):
            total += np.nansum(RedshiftPDF(p[rows[start : start + _BLOCK]], edges).p, axis=0)
        return total, edges

    @cached_property
    def _quantities(self):
        return quantities_in(self.table, None)

    @cached_property
    def _positions(self):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of extinctions, which are not looked at here
            try:
                return read_positions(self.table, **self.named)
            except ValueError:
                if any(self.named.values()):
                    raise
                return None

    def _numbers(self, end):
        if f"{self.prefix}{end}" not in self.table.colnames:
            return np.full(len(self), np.nan)
        return numbers(self.table[f"{self.prefix}{end}"])


def _unknown(identifier):
    return identifier in ("", -1) or identifier != identifier


def read_subject(result: TableLike, *, prefix: str = "z_phot", named: dict | None = None) -> Subject:
    """
    Read a table with photometric redshifts.

    Parameters
    ----------
    result : table-like
        A table of `~astro_photz.predict`, in memory or in a file. Of another code, the column ``prefix`` is enough; its
        errors are in ``prefix_err``, if the table has them.
    prefix : str, optional
        Beginning of the names of the redshifts' columns.
    named : dict, optional
        Names of the columns of positions, as `~astro_photz.positions.read_positions` takes them.

    Returns
    -------
    `Subject`

    Raises
    ------
    ValueError
        If the table has no photometric redshifts under that prefix, or the file is a validation.
    OSError
        If there is no such file.

    Examples
    --------
    >>> from astropy.table import Table
    >>> from astro_photz.report.subject import read_subject
    >>> table = Table({"z_phot": [0.1, 0.2], "z_phot_err": [0.01, 0.02], "z_phot_flags": [0, 32]})
    >>> read_subject(table).estimated
    array([ True,  True])
    """
    path = expanded(result) if isinstance(result, str | os.PathLike) and str(result) != "-" else None
    if path is not None and is_validation(path):
        raise ValueError(f"{path} is a validation: give it as validation=, beside the table that it judged")
    table = as_table(result)
    if prefix not in table.colnames:
        raise ValueError(_no_redshifts(path, table.colnames, prefix))
    if not len(table):
        raise ValueError(f"{path or 'the table'} has no rows: there is nothing to report on")
    meta = table.meta.get(prefix) or getattr(result, "attrs", {}).get(prefix)
    record = dict(meta) if isinstance(meta, dict) else {}
    return Subject(table, prefix, record, path, {name: value for name, value in (named or {}).items() if value})


def _no_redshifts(path, columns, prefix):
    others = [name.removesuffix("_flags") for name in columns if name.endswith("_flags")]
    others = [name for name in others if name in columns]
    hint = f"give prefix={others[0]!r}" if others else "run astro-photz predict first, or give its prefix="
    hint += "" if others else "; of another code, prefix= is the column of its redshifts"
    return f"{path or 'the table'} has no column {prefix}, so no redshifts of the prefix {prefix!r}: {hint}"
