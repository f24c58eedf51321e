# Licensed under a 3-clause BSD style license - see LICENSE
"""
Galaxies known by their identifiers: in a table, and in a file of PDFs in another order.
"""

import numpy as np

from astro_photz.pdf import RedshiftPDF
from astro_photz.utils._arrays import identifiers
from astro_photz.utils._column_names import IDENTIFIERS, named

__all__ = ["BY_ROW", "id_columns", "id_texts", "pdfs_of_qp_file"]

BY_ROW = "row by row"
"""Rows of a file that has no identifiers are paired like this."""

_USUAL = *IDENTIFIERS, "ids", "galid", "targetid", "catid", "sdssid", "identifier", "name", "objname"
_EXACT = 2**53  # a floating-point number holds whole numbers up to there
_SURVEY = 10  # digits of the numbers of surveys, in which 0 stands for none


def id_columns(table):
    """
    List the columns of a table that usually hold identifiers, best first.

    Parameters
    ----------
    table : `~astropy.table.Table` (N,)

    Returns
    -------
    list of str

    Examples
    --------
    >>> from astropy.table import Table
    >>> from astro_photz.validation.pairing import id_columns
    >>> id_columns(Table({"z": [0.1], "source_id": [7], "objID": [1]}))
    ['objID', 'source_id']
    """
    return [name for usual in _USUAL for name in named(table, usual) if table[name].ndim == 1]


def id_texts(values):
    """
    Write identifiers as text, so that numbers and text of numbers are alike.

    Parameters
    ----------
    values : array_like (N,)

    Returns
    -------
    `~numpy.ndarray` (N,) of str or None
        Empty where unknown; None for floating-point numbers that may have lost digits.

    Examples
    --------
    >>> from astro_photz.validation.pairing import id_texts
    >>> id_texts([7.0, float("nan")]), id_texts([1e18])
    (array(['7', ''], dtype='<U21'), None)
    """
    plain = identifiers(values)
    if plain.dtype.kind == "f":
        known = np.isfinite(plain)
        if (np.abs(plain[known]) > _EXACT).any() or (plain[known] % 1 != 0).any():
            return None
        texts = np.where(known, plain, 0).astype(np.int64).astype(str)
        return np.where(known, texts, "")
    texts = np.char.strip(plain.astype(str))
    if plain.dtype.kind == "i":
        texts = np.where(plain == -1, "", texts)
    long = np.char.str_len(texts).max(initial=0) >= _SURVEY
    return np.where(texts == "0", "", texts) if long else texts


def pdfs_of_qp_file(table, path):
    """
    Read the PDFs of a file of qp in the order of a table.

    They are paired by identifiers where the file has them, and row by row where it has none.

    Parameters
    ----------
    table : `~astropy.table.Table` (N,)
    path : `~pathlib.Path`

    Returns
    -------
    pdf : `~astro_photz.RedshiftPDF`
        NaN for galaxies that the file does not have.
    how : str
        ``BY_ROW``, or the name of the column of the identifiers.

    Raises
    ------
    ValueError
        If the file has identifiers that are in no column, that occur twice, or that have lost digits.
    """
    from astro_photz.adapters.qp import read_qp  # needs the extra qp

    pdf, ids = read_qp(path)
    if ids is None:
        return pdf, BY_ROW
    column, rows = _paired(table, _checked_ids(ids, path), path)
    return RedshiftPDF(np.where(rows[:, np.newaxis] < 0, np.nan, pdf.p[rows]), pdf.edges), column


def _checked_ids(ids, path):
    texts = id_texts(ids)
    if texts is None:
        raise ValueError(
            f"the identifiers in {path.name} are floating-point numbers, which have lost digits: write them as whole "
            f"numbers. {_in_order(path)}"
        )
    found, counts = np.unique(texts[texts != ""], return_counts=True)
    if (counts > 1).any():
        raise ValueError(
            f"{(counts > 1).sum()} identifiers occur more than once in {path.name}, {found[np.argmax(counts)]} for "
            f"one, so that it is not known which PDF is meant. {_in_order(path)}"
        )
    return texts


def _paired(table, texts, path):
    """The column with most of the identifiers, and their rows in the file; -1 for galaxies that it does not have."""
    tried, lossy = id_columns(table), []
    best, rows = None, np.full(len(table), -1)
    for name in tried:
        own = id_texts(table[name])
        if own is None:
            lossy.append(name)
            continue
        found = _rows_of(own, texts)
        if (found >= 0).sum() > (rows >= 0).sum():
            best, rows = name, found
    if best is None:
        listed = ", ".join(map(repr, tried))
        told = f"no identifier of {path.name} is in the table's columns {listed}"
        if not tried:
            told = f"{path.name} has identifiers, and the table has no column of such, as objid or id"
        if lossy:
            told += f"; {', '.join(map(repr, lossy))} holds floating-point numbers, which have lost digits"
        raise ValueError(f"{told}: its PDFs cannot be paired with the galaxies. {_in_order(path)}")
    return best, rows


def _rows_of(own, texts):
    if not len(texts):
        return np.full(len(own), -1)
    order = np.argsort(texts, kind="stable")
    rows = order[np.minimum(np.searchsorted(texts, own, sorter=order), len(texts) - 1)]
    return np.where((texts[rows] == own) & (own != ""), rows, -1)


def _in_order(path):
    return (
        "If its rows are those of the table, in this order, give the PDFs themselves: "
        f"pdf=astro_photz.adapters.qp.read_qp({path.name!r})[0]"
    )
