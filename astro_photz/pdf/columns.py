# Licensed under a 3-clause BSD style license - see LICENSE
"""
Columns of PDFs in tables, and the way back to arrays.

The column's meta holds the grid of its bins, as does the record of the run in the table's meta. The description says
it too, since a VOTable that astropy reads by itself keeps nothing else.
"""

from __future__ import annotations

import re
from contextlib import suppress
from os import PathLike
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike

from astro_photz.utils._arrays import filled
from astro_photz.utils._suggestions import shortened

from .grids import EDGES, compact_edges, expand_edges

if TYPE_CHECKING:
    from astropy.table import MaskedColumn

__all__ = ["pdf_column", "read_pdfs"]

_FLOAT = r"(-?\d+(?:\.\d*)?(?:e[+-]?\d+)?)"
_SAID = re.compile(rf"in each of (\d{{1,9}}) bins of redshift from {_FLOAT} to {_FLOAT}", re.ASCII)


class NoEdges(ValueError):
    """A column of PDFs that does not tell its bins."""


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
        If nothing tells the edges, they make no grid, or the column has not one PDF in each row.
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
        raise NoEdges(
            f"nothing in the table tells the edges of the bins of {name!r}: give edges=, or, if it was in a file, read "
            "that by astro_photz.tables.read_table. Files keep the edges if astro_photz.tables.write_table writes "
            "them, or table.write, of HDF5 with serialize_meta=True"
        )
    values = _values(column, name)
    try:
        edges = expand_edges(_once(grid, values))
    except (TypeError, ValueError) as error:
        raise ValueError(f"the bins of {name!r}: {error}") from None
    return name, _stacked(values, name, edges.size - 1), edges


def _once(edges, values):
    """Edges that astropy has repeated, as it does with lists in the meta of tables that it joins, a single time."""
    edges = edges.tolist() if isinstance(edges, np.ndarray) else edges
    n = 1 + next((len(row) for row in values if np.ndim(row) == 1), 0)
    if not isinstance(edges, list) or n == 1:
        return edges
    repeats, rest = divmod(len(edges), n)
    return edges[:n] if repeats > 1 and not rest and edges == edges[:n] * repeats else edges


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


def _values(column, name):
    """A column as an array, of objects if its rows are such."""
    plain = column.to_numpy() if hasattr(column, "to_numpy") else getattr(column, "value", column)
    try:
        values = np.ma.asarray(plain)
    except (TypeError, ValueError):  # rows of several lengths, in a list
        values = np.ma.masked_array(np.empty(len(plain), dtype=object))
        values[:] = plain
    if not values.ndim or (values.ndim == 1 and values.dtype.kind != "O" and len(values) and hasattr(column, "info")):
        raise ValueError(f"column {name!r} has a single number in each row, and not a PDF")
    return values


def _stacked(values, name, bins):
    """Rows as one array; of pandas, and of files of other programs, they are objects of their own."""
    if not len(values):
        return np.zeros((0, bins))
    if values.dtype.kind != "O":
        return values
    rows = [_row(row, number, name) for number, row in enumerate(values if values.ndim == 1 else values.tolist())]
    lengths = {len(row) for row in rows if row is not None} or {bins}
    if len(lengths) > 1:
        listed = ", ".join(map(str, sorted(lengths)))
        raise ValueError(f"column {name!r} has rows of {listed} numbers: a PDF has one in each bin of a common grid")
    nothing = np.full(lengths.pop(), np.nan)
    return np.stack([nothing if row is None else row for row in rows])


def _row(row, number, name):
    """Numbers of one row, None if it has none."""
    with suppress(TypeError):
        values = filled(row)
        if values.ndim == 1:
            return values
        if values.ndim == 0 and np.isnan(values):
            return None
    raise ValueError(f"column {name!r} has no PDF in row {number}; got {shortened(row)}")
