# Licensed under a 3-clause BSD style license - see LICENSE
"""
The columns that an estimate adds to a table: names, meanings, masks, and the record in the meta.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from astropy.table import MaskedColumn

from astro_photz import __version__
from astro_photz.flags import MISSING
from astro_photz.pdf import RedshiftPDF
from astro_photz.pdf.columns import pdf_column
from astro_photz.pdf.grids import EDGES, compact_edges
from astro_photz.reference.strangers import Reference

from .analogue_columns import (
    ANALOGUE_COLUMNS,
    analogue_columns,
    analogue_fields,
    analogues_of,
    put_analogues,
    unknown,
)

if TYPE_CHECKING:
    from astro_photz.reference.analogues import Analogues

__all__ = ["QUANTITIES", "Quantity", "ResultColumns", "earlier_columns", "put", "record_of"]


class Quantity(NamedTuple):
    """
    A number that a PDF gives.

    Parameters
    ----------
    value : callable
        Takes a `~astro_photz.RedshiftPDF` (N,), and gives an array (N,).
    description : str
        Of the column.
    """

    value: Callable[[RedshiftPDF], np.ndarray]
    description: str


QUANTITIES = {
    "": Quantity(lambda pdf: pdf.mean(), "Photometric redshift: mean of the PDF"),
    "_err": Quantity(lambda pdf: pdf.std(), "Standard deviation of the PDF"),
    "_median": Quantity(lambda pdf: pdf.median(), "Median of the PDF"),
    "_mode": Quantity(lambda pdf: pdf.mode(), "Centre of the highest bin of the PDF"),
    "_lo68": Quantity(lambda pdf: pdf.quantile([0.16])[:, 0], "16 % quantile of the PDF"),
    "_hi68": Quantity(lambda pdf: pdf.quantile([0.84])[:, 0], "84 % quantile of the PDF"),
    "_lo95": Quantity(lambda pdf: pdf.quantile([0.025])[:, 0], "2.5 % quantile of the PDF"),
    "_hi95": Quantity(lambda pdf: pdf.quantile([0.975])[:, 0], "97.5 % quantile of the PDF"),
    "_odds": Quantity(lambda pdf: pdf.odds(), "Probability within 0.03 (1 + mode) of the mode"),
}
"""Numbers of a PDF by the end of their column's name."""

_ALL = (*QUANTITIES, "_ood", "_flags", "_pdf", *ANALOGUE_COLUMNS)
_OOD = "Fraction of the galaxies of the model's reference that lie farther out: small for a stranger"
_NO_OOD = "Fraction of reference galaxies farther out (masked: the model has no reference.npz, export or get it anew)"


def earlier_columns(names, prefix, *, replace):
    """
    List the columns of an earlier run in a table, or raise an error where they must not be replaced.

    Parameters
    ----------
    names : list of str
        Names of the table's columns.
    prefix : str
        Beginning of the names of all columns of a run.
    replace : bool

    Returns
    -------
    list of str

    Raises
    ------
    ValueError
        If there is such a column, and ``replace`` is not set or it is not of an earlier run.
    """
    taken = [name for name in (f"{prefix}{end}" for end in _ALL) if name in names]
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
    return taken


@dataclass(frozen=True, eq=False)
class ResultColumns:
    """
    The columns that a run adds: what is kept of each galaxy, and what becomes of it in a table.

    Parameters
    ----------
    edges : `~numpy.ndarray` (K + 1,)
        Edges of the redshift bins.
    pdf : bool
        Whether to keep the PDFs.
    has_reference : bool, optional
        Whether the model can tell strangers.
    analogues : `~astro_photz.reference.analogues.Analogues`, optional
        Those of the model, if some are to be named.
    n_analogues : int, optional
        How many are named for each galaxy.
    """

    edges: np.ndarray
    pdf: bool
    has_reference: bool = True
    analogues: Analogues | None = None
    n_analogues: int = 0

    @classmethod
    def of(cls, model, *, pdf, n_analogues=0):
        """
        The columns that a model gives.

        Parameters
        ----------
        model : `~astro_photz.models.PhotozModel`
        pdf, n_analogues
            As in `ResultColumns`.

        Returns
        -------
        `ResultColumns`

        Raises
        ------
        ValueError
            If ``n_analogues`` is no number, or the model has fewer analogues or no head.
        """
        known = analogues_of(model, n_analogues)
        return cls(model.edges, pdf, Reference.of_model(model) is not None, known, n_analogues)

    @cached_property
    def dtype(self):
        """Numbers that are kept of a galaxy, `~numpy.dtype`: their names are those of columns without the prefix."""
        kinds = [(f"z{end}", np.float32) for end in (*QUANTITIES, "_ood")]
        kinds += [("z_flags", np.int32), ("simulated", np.bool_)]
        if self.pdf:
            kinds.append(("z_pdf", np.float32, (len(self.edges) - 1,)))
        return np.dtype(kinds + analogue_fields(self.analogues, self.n_analogues))

    def blank(self, n):
        """
        Make room for the numbers of N galaxies.

        Parameters
        ----------
        n : int

        Returns
        -------
        dict of `~numpy.ndarray` (N, ...)
            By the names of `dtype`; NaN, so that nothing is taken for a number where a mask is lost.
        """
        rows = {name: unknown((n, *kind.shape), kind.base) for name, (kind, _) in self.dtype.fields.items()}
        rows["z_flags"][:] = 0
        return rows

    def rows(self, part):
        """
        Numbers of the galaxies of a batch.

        Parameters
        ----------
        part : `~astro_photz.inference.engine.EstimatedBatch` (B,)

        Returns
        -------
        dict of `~numpy.ndarray` (B, ...)
            As `blank` makes them.
        """
        rows, there = self.blank(len(part.rows)), part.has_estimate
        rows["z_flags"][:] = part.flags
        rows["simulated"][:] = part.cutouts.simulated
        for end, quantity in QUANTITIES.items():
            rows[f"z{end}"][there] = quantity.value(part.pdf)
        if part.ood is not None:
            rows["z_ood"][there] = part.ood
        if self.pdf:
            rows["z_pdf"][there] = part.pdf.p
        if self.analogues is not None:
            rows["z_flags"][there] |= put_analogues(rows, there, part, self.analogues, self.n_analogues)
        return rows

    def columns(self, rows, prefix):
        """
        Make columns of a table.

        Parameters
        ----------
        rows : mapping of `~numpy.ndarray` (N, ...)
            Of `rows` or `blank`.
        prefix : str
            Beginning of their names.

        Returns
        -------
        dict of `~astropy.table.MaskedColumn` (N,) or (N, ...)
            By name; galaxies without an estimate are masked, but in the flags.
        """
        missing = (rows["z_flags"] & MISSING) != 0
        columns = {
            end: MaskedColumn(rows[f"z{end}"], mask=missing, description=quantity.description)
            for end, quantity in QUANTITIES.items()
        }
        columns["_ood"] = MaskedColumn(
            rows["z_ood"], mask=missing | (not self.has_reference), description=_OOD if self.has_reference else _NO_OOD
        )
        columns["_flags"] = MaskedColumn(rows["z_flags"], description="Bits of astro_photz.PhotozFlag; 0 for no doubt")
        if self.pdf:
            columns["_pdf"] = pdf_column(rows["z_pdf"], self.edges)
        if self.analogues is not None:
            columns |= analogue_columns(rows, missing)
        return {f"{prefix}{end}": column for end, column in columns.items()}


def put(rows, numbers, values):
    """
    Put the numbers of some galaxies in their place.

    Parameters
    ----------
    rows : mapping of `~numpy.ndarray` (N, ...)
    numbers : `~numpy.ndarray` (M,) of int
        Of the galaxies.
    values : mapping of `~numpy.ndarray` (M, ...)
    """
    for name, value in values.items():
        rows[name][numbers] = value


def record_of(model, source, *, simulated):
    """
    Record the model and the source for the meta of a table.

    Parameters
    ----------
    model : `~astro_photz.models.PhotozModel`
    source : `~astro_photz.cutouts.CutoutSource` or None
        None for cutouts, which need none.
    simulated : bool
        Whether any image is.

    Returns
    -------
    dict
    """
    return {
        "astro_photz": __version__,
        "model": model.name,
        "model_version": model.version,
        "model_sha256": model.sha256,
        "trained_on": model.trained_on,
        "source": getattr(source, "name", "cutouts"),
        "data_release": getattr(source, "data_release", -1),
        "simulated": simulated,
        EDGES: compact_edges(model.edges),
    }
