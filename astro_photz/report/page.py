# Licensed under a 3-clause BSD style license - see LICENSE
"""
A page about a table of photometric redshifts, whole in one HTML file.

The page loads nothing: its style, its graphs and the images of galaxies are inside it, and its security policy forbids
anything else. Its text is in ``templates/``; whatever comes from the table is escaped there.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from astro_photz.cutouts import Cutouts
from astro_photz.cutouts.sources.named import source_or_archive
from astro_photz.utils._arrays import filled
from astro_photz.utils._checks import check_not_there
from astro_photz.utils._files import aside, expanded
from astro_photz.utils._types import PathLike, TableLike

from ._template import rendered, require_plots
from ._text import with_symbols
from .checked import bin_tables, checked_graphs, metric_rows, sample_facts
from .flagged import flag_rows, missing_rows
from .overview import headline, model_facts, reproduction, table_graphs
from .rows import doubtful_rows, galaxies_of, images_of, known_redshifts, rows_without, shows_simulated, worst_outliers
from .subject import read_subject

if TYPE_CHECKING:
    from astro_photz.cutouts import CutoutSource
    from astro_photz.validation import Validation

__all__ = ["write_report"]

__doctest_requires__ = {"write_report": ["matplotlib"]}


def write_report(
    result: TableLike,
    path: PathLike,
    *,
    redshift: str | None = None,
    validation: Validation | PathLike | None = None,
    prefix: str = "z_phot",
    source: CutoutSource | Cutouts | PathLike | None = None,
    overwrite: bool = False,
    command: str | None = None,
    **positions: Any,
) -> Path:
    """
    Write a page about a table with photometric redshifts.

    Parameters
    ----------
    result : table-like
        A table of `~astro_photz.predict` (N,), in memory or in a file; or one of another code, whose redshifts are the
        column ``prefix``.
    path : str or path-like
        The page, ``.html``: one file that needs no other and no network.
    redshift : str, optional
        Column of known redshifts: the page then has what `~astro_photz.validate` says of them.
    validation : `~astro_photz.validation.Validation`, str or path-like, optional
        A validation of this very table that is there already, or its file, instead of ``redshift``.
    prefix : str, optional
        Beginning of the names of the redshifts' columns, or the name of another code's column.
    source : `~astro_photz.cutouts.CutoutSource`, `~astro_photz.Cutouts` (N,), str or path-like, optional
        Where the images of the rows to look at come from, as in `~astro_photz.predict`; without one, the page has none.
    overwrite : bool, optional
        Replace a file that is there.
    command : str, optional
        The command that makes the page, to be told on it.
    **positions
        Names of the columns of positions, where they are not the usual ones: ``coord``, ``ra``, ``dec`` and
        ``ra_unit``, as in `~astro_photz.predict`.

    Returns
    -------
    `~pathlib.Path`
        Of the page.

    Raises
    ------
    ImportError
        If matplotlib is not installed.
    FileExistsError
        If there is such a file and ``overwrite`` is not set.
    ValueError
        If the table has no photometric redshifts under the prefix, or the validation is one of another table.
    KeyError
        If there is no column of that name.
    OSError
        If there is no such file.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> import astro_photz
    >>> from astro_photz.report import write_report
    >>> source = astro_photz.CutoutFile(astro_photz.demo_path())
    >>> table = astro_photz.predict(source.catalog(), source=source)
    >>> page = write_report(table, pathlib.Path(tempfile.mkdtemp()) / "demo.html", redshift="redshift", source=source)
    >>> page.name
    'demo.html'
    """
    require_plots()
    path = expanded(path)
    check_not_there(path, overwrite=overwrite)
    subject = read_subject(result, prefix=prefix, named=positions)
    if subject.path is not None and path.exists() and path.samefile(subject.path):
        raise ValueError(f"{path} is the table itself: give the page another name")
    if source is not None and not isinstance(source, Cutouts):
        source = source_or_archive(source)
    validation = _validation(subject, redshift, validation)
    page = rendered("report.html.j2", _content(subject, validation, source) | {"command": command}, scripts=["sort.js"])
    with aside(path, overwrite=overwrite) as part:
        part.write_text(page, encoding="utf-8")
    return path


def _validation(subject, redshift, given):
    if redshift is not None and given is not None:
        raise ValueError("redshift= and validation= are two ways to say the same: give one of them")
    if redshift is None and given is None:
        return None
    from astro_photz import validation

    if redshift is not None:
        return validation.validate(subject.table, redshift, prefix=subject.prefix, **subject.named)
    read = validation.Validation.read(expanded(given)) if isinstance(given, str | os.PathLike) else given
    _require_of(subject, read)
    return read


def _require_of(subject, validation):
    """Refuse a validation of other redshifts than those of the table."""
    judged = filled(validation.galaxies["z_phot"])
    if len(judged) != len(subject):
        raise ValueError(
            f"validation is one of {len(judged)} rows, and {subject.name} has {len(subject)}: validate this table"
        )
    known = np.isfinite(judged)
    if not np.allclose(judged[known], subject.z[known], atol=1e-5, equal_nan=False):
        raise ValueError(f"validation is one of other redshifts than those of {subject.name}: validate this table")


def _content(subject, validation, source):
    """Collect the values of the template."""
    doubtful, outliers = doubtful_rows(subject), {} if validation is None else worst_outliers(validation)
    chosen = list(doubtful | outliers)
    images = images_of(subject, chosen, source, None if validation is None else validation.stamps)
    redshifts = known_redshifts(validation, chosen)
    content = headline(subject, validation) | model_facts(subject) | reproduction(subject, validation)
    content |= {
        "graphs": table_graphs(subject),
        "has_flags": subject.has_flags,
        "flag_rows": flag_rows(subject),
        "missing_rows": missing_rows(subject),
        "without": rows_without(subject),
        "doubtful": galaxies_of(subject, doubtful, images, redshifts),
        "with_images": source is not None,
        "simulated": shows_simulated(source) or bool(validation and validation.sample.get("simulated")),
        "validation": validation,
    }
    if validation is None:
        return content
    return content | {
        "verdict": [with_symbols(sentence) for sentence in validation.verdict],
        "sample_facts": sample_facts(validation),
        "metric_rows": metric_rows(validation),
        "checked_graphs": checked_graphs(validation),
        "bin_tables": bin_tables(validation),
        "n_outliers": len(validation.outliers),
        "outliers": galaxies_of(subject, outliers, images, redshifts),
    }
