# Licensed under a 3-clause BSD style license - see LICENSE
"""
The columns that an estimate adds to a table: names, meanings, masks, and the record in the meta.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from astropy.table import MaskedColumn

from astro_photz import __version__
from astro_photz.flags import MISSING
from astro_photz.pdf import RedshiftPDF
from astro_photz.pdf.columns import pdf_column
from astro_photz.pdf.grids import EDGES, compact_edges

from .analogue_columns import ANALOGUE_COLUMNS, AnalogueValues

__all__ = ["QUANTITIES", "ColumnValues", "Quantity", "earlier_columns", "record_of"]


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


class ColumnValues:
    """
    Values of the columns of N galaxies, filled batch by batch in any order.

    Parameters
    ----------
    n : int
        Number of galaxies.
    edges : `~numpy.ndarray` (K + 1,)
        Edges of the redshift bins.
    pdf : bool
        Whether to keep the PDFs.
    analogues : `~astro_photz.reference.analogues.Analogues`, optional
        Those of the model, if some are to be named.
    n_analogues : int, optional
        How many are named for each galaxy.
    """

    def __init__(self, n, edges, *, pdf, analogues=None, n_analogues=0):
        self._values = {name: np.full(n, np.nan, dtype=np.float32) for name in QUANTITIES}  # where a mask is lost
        self._flags = np.zeros(n, dtype=np.int32)
        self._ood = np.full(n, np.nan, dtype=np.float32)
        self._has_reference = False
        self._analogues = None if analogues is None else AnalogueValues(n, analogues, n_analogues)
        self.simulated = False  # whether any image is
        self._edges = edges
        self._p = np.full((n, len(edges) - 1), np.nan, dtype=np.float32) if pdf else None

    def put(self, part):
        """
        Fill in the estimates of a batch.

        Parameters
        ----------
        part : `~astro_photz.inference.engine.EstimatedBatch`
        """
        self._flags[part.rows] = part.flags
        self.simulated |= bool(part.cutouts.simulated)
        for name, quantity in QUANTITIES.items():
            self._values[name][part.estimated] = quantity.value(part.pdf)
        if part.ood is not None:
            self._ood[part.estimated] = part.ood
            self._has_reference = True
        if self._p is not None:
            self._p[part.estimated] = part.pdf.p
        if self._analogues is not None:
            self._flags[part.estimated] |= self._analogues.put(part)

    def columns(self, prefix):
        """
        Make the columns of the table.

        Parameters
        ----------
        prefix : str
            Beginning of their names.

        Returns
        -------
        dict of `~astropy.table.MaskedColumn` (N,) or (N, ...)
            By name; galaxies without an estimate are masked, but in the flags.
        """
        missing = (self._flags & MISSING) != 0
        columns = {
            name: MaskedColumn(self._values[name], mask=missing, description=quantity.description)
            for name, quantity in QUANTITIES.items()
        }
        columns["_ood"] = MaskedColumn(
            self._ood,
            mask=missing | (not self._has_reference),
            description=_OOD if self._has_reference else _NO_OOD,
        )
        columns["_flags"] = MaskedColumn(self._flags, description="Bits of astro_photz.PhotozFlag; 0 for no doubt")
        if self._p is not None:
            columns["_pdf"] = pdf_column(self._p, self._edges)
        if self._analogues is not None:
            columns |= self._analogues.columns(missing)
        return {f"{prefix}{name}": column for name, column in columns.items()}


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
