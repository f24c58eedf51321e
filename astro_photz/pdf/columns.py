# Licensed under a 3-clause BSD style license - see LICENSE
"""
Columns of PDFs in tables, and the way back to arrays.

The column's meta holds the grid of its bins, as does the record of the run in the table's meta. The description says
it too, since a VOTable that astropy reads by itself keeps nothing else.
"""

from __future__ import annotations

import re
from os import PathLike
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike

from .grids import EDGES, compact_edges, expand_edges

if TYPE_CHECKING:
    from astropy.table import MaskedColumn

__all__ = ["pdf_column", "read_pdfs"]

_SAID = re.compile(r"in each of (\d+) bins of redshift from (\S+) to (\S+)")


def pdf_column(p: ArrayLike, edges: ArrayLike) -> MaskedColumn:
    """
    Make the column of a table that holds PDFs and their grid.

    Parameters
    ----------
    p : `~numpy.ndarray` (N, K)
        Probability in each bin; NaN for a galaxy without an estimate.
    edges : array_like (K + 1,)

    Returns
    -------
    `~astropy.table.MaskedColumn` (N, K) float32
        Rows of NaN are masked.
    """
    from astropy.table import MaskedColumn

    p = np.asarray(p, dtype=np.float32)
    edges = expand_edges(edges)
    grid = compact_edges(edges)
    kind = "bins" if isinstance(grid, dict) else "uneven bins"
    return MaskedColumn(
        p,
        mask=np.repeat(np.isnan(p).any(axis=1)[:, np.newaxis], p.shape[1], axis=1),
        description=f"Probability in each of {edges.size - 1} {kind} of redshift from {edges[0]} to {edges[-1]}",
        meta={EDGES: grid},
    )


def read_pdfs(data: Any, prefix: str, edges: Any = None) -> tuple[str, ArrayLike, np.ndarray]:
    """
    Find the PDFs of a table and the edges of their bins.

    Parameters
    ----------
    data : `~astropy.table.Table`, `pandas.DataFrame`, dict of columns, or column (N, K)
    prefix : str
        The column is ``{prefix}_pdf``. It counts for nothing if ``data`` is a column.
    edges : array_like (K + 1,), optional
        Where the table does not tell them.

    Returns
    -------
    name : str
        Of the column.
    p : array_like (N, K)
    edges : `~numpy.ndarray` (K + 1,)

    Raises
    ------
    TypeError
        If ``data`` is a path.
    KeyError
        If there is no such column.
    ValueError
        If nothing tells the edges, or the column has not one PDF in each row.
    """
    if isinstance(data, str | PathLike):
        raise TypeError(
            f"table must be a table or a column; read the file: astro_photz.tables.read_table({str(data)!r})"
        )
    names = _names(data)
    if names is None:
        column, meta = data, getattr(getattr(data, "parent_table", None), "meta", None) or {}
        name = str(getattr(data, "name", None) or "pdf")
        prefix = name.removesuffix("_pdf")
    else:
        name = f"{prefix}_pdf"
        if name not in names:
            raise KeyError(_no_column(name, prefix, names))
        column, meta = data[name], getattr(data, "meta", None) or getattr(data, "attrs", None) or {}
    grid = edges if edges is not None else _grid(column, meta.get(prefix))
    if grid is None:
        raise ValueError(
            f"nothing in the table tells the edges of the bins of {name!r}: give edges=, or, if it was in a file, read "
            "that by astro_photz.tables.read_table. Files keep the edges if astro_photz.tables.write_table writes "
            "them, or table.write, of HDF5 with serialize_meta=True"
        )
    edges = expand_edges(grid)
    p = _stacked(column, name, edges.size - 1)
    return name, p, _once(edges, p.shape[-1] + 1)


def _once(edges, n):
    """Edges that astropy has repeated, as it does with lists in the meta of tables that it joins, a single time."""
    repeats, rest = divmod(edges.size, n)
    if edges.ndim == 1 and repeats > 1 and not rest and np.array_equal(edges, np.tile(edges[:n], repeats)):
        return edges[:n]
    return edges


def _names(data):
    """Names of the columns of a table; None for a column."""
    if hasattr(data, "colnames"):
        return list(data.colnames)
    if isinstance(data, dict):
        return list(data)
    return list(data.columns) if hasattr(data, "columns") else None


def _no_column(name, prefix, names):
    others = [other.removesuffix("_pdf") for other in map(str, names) if other.endswith("_pdf")]
    if others:
        remedy = f"it has PDFs of another prefix: give prefix={' or '.join(map(repr, others))}"
    elif prefix in names:
        remedy = "its redshifts were estimated without PDFs: estimate them with pdf=True"
    else:
        remedy = "astro_photz.predict(..., pdf=True) adds it; for the column of another code give table[name]"
    return f"no column {name!r} in the table; {remedy}"


def _grid(column, record):
    """Edges that the column itself, the record of its run or its description tells."""
    own = getattr(getattr(column, "info", None), "meta", None) or {}
    for meta in (own, record):
        if isinstance(meta, dict) and EDGES in meta:
            return meta[EDGES]
    said = _SAID.search(str(getattr(column, "description", None) or ""))
    return {"start": float(said[2]), "stop": float(said[3]), "num": int(said[1]) + 1} if said else None


def _stacked(column, name, bins):
    """Rows as one array; of pandas, and of files of other programs, they are objects of their own."""
    values = np.ma.asarray(column.to_numpy() if hasattr(column, "to_numpy") else getattr(column, "value", column))
    if not values.size:
        return np.zeros((0, bins))
    if values.dtype.kind != "O":
        if values.ndim == 1 and hasattr(column, "info"):
            raise ValueError(f"column {name!r} has a single number in each row, and not a PDF")
        return values
    rows = [None if row is None or np.ndim(row) == 0 else np.ma.asarray(row, dtype=float) for row in values.ravel()]
    lengths = {len(row) for row in rows if row is not None} or {bins}
    if len(lengths) > 1:
        listed = ", ".join(map(str, sorted(lengths)))
        raise ValueError(f"column {name!r} has rows of {listed} numbers: a PDF has one in each bin of a common grid")
    nothing = np.full(lengths.pop(), np.nan)
    return np.ma.stack([nothing if row is None else row for row in rows])
