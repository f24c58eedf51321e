# Licensed under a 3-clause BSD style license - see LICENSE
"""
The rows that a reader should look at, and their images.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from astro_photz import flags
from astro_photz.cutouts import CutoutFile, Cutouts, fetch
from astro_photz.cutouts.hdf5.layout import is_simulated, open_cutouts
from astro_photz.utils._arrays import filled

from ._text import number
from .pictures import png_uri

if TYPE_CHECKING:
    from astro_photz.cutouts import CutoutSource
    from astro_photz.utils._types import PathLike
    from astro_photz.validation import Validation

    from .subject import Subject

__all__ = [
    "EXPLORE",
    "Galaxy",
    "doubtful_rows",
    "galaxies_of",
    "images_of",
    "known_redshifts",
    "rows_without",
    "shows_simulated",
    "worst_outliers",
]

_AT_MOST, _AT_LEAST, _SHARE = 12, 3, 0.1
_OUTLIERS = 24
EXPLORE = "https://skyserver.sdss.org/dr17/VisualTools/explore/summary?ra={:.6f}&dec={:.6f}"
"""Address of the page of SDSS SkyServer about a position (deg)."""


@dataclass(frozen=True)
class Galaxy:
    """
    A row as the page shows it.

    Parameters
    ----------
    row : int
        Its number, counted from 0.
    name : str
        Of the galaxy; an empty text if it has none.
    z, redshift : str
        Estimate with its error, and the true redshift; an empty text if that is not known.
    interval : str
        Central 68 %.
    flags : list of str
        Their names.
    why : str
        Reason to look at it.
    link : str
        Page of the survey about the position; an empty text without one.
    image : str
        A ``data:`` address; an empty text without one.
    """

    row: int
    name: str
    z: str
    redshift: str
    interval: str
    flags: list
    why: str
    link: str
    image: str


def doubtful_rows(subject: Subject) -> dict[int, str]:
    """
    Choose the strangest rows, those with the largest errors in units of 1 + z, and those with the most flags.

    Parameters
    ----------
    subject : `~astro_photz.report.subject.Subject` (N,)

    Returns
    -------
    dict of str
        The reason by the number of the row, worst first: a tenth of the rows, at least 3 and at most 12, for each. Rows
        are strange that have the flag ``OUTLIER``; of flags a row must have two.
    """
    error = np.where(subject.estimated, subject.error / (1 + subject.z), np.nan)
    known = np.flatnonzero(np.isfinite(error))
    n = int(np.clip(np.ceil(_SHARE * len(known)), _AT_LEAST, _AT_MOST))
    counts = np.zeros(len(subject), dtype=int)
    for bit in range(31):
        counts += (subject.flags >> bit) & 1
    flagged = known[counts[known] > 1]
    strange = known[(subject.flags[known] & flags.PhotozFlag.OUTLIER) != 0]
    rows_of = {
        "strange image": strange[np.argsort(subject.ood[strange], kind="stable")],  # what is unknown comes last
        "large error": known[np.argsort(-error[known], kind="stable")],
        "many flags": flagged[np.lexsort((-error[flagged], -counts[flagged]))],
    }
    chosen: dict[int, str] = {}
    for why, rows in rows_of.items():
        for row in map(int, rows[:n]):
            chosen[row] = f"{chosen[row]}, {why}" if row in chosen else why
    return chosen


def rows_without(subject: Subject, n: int = 50) -> list[Galaxy]:
    """
    List the first rows that have no estimate.

    Parameters
    ----------
    subject : `~astro_photz.report.subject.Subject` (N,)
    n : int, optional
        At most so many.

    Returns
    -------
    list of `Galaxy`
    """
    return galaxies_of(subject, dict.fromkeys(np.flatnonzero(~subject.estimated)[:n].tolist(), ""))


def galaxies_of(
    subject: Subject, chosen: dict[int, str], images: dict[int, str] | None = None, redshifts: dict | None = None
) -> list[Galaxy]:
    """
    Describe rows.

    Parameters
    ----------
    subject : `~astro_photz.report.subject.Subject` (N,)
    chosen : dict of str
        Why each is shown, by the number of the row.
    images : dict of str, optional
        ``data:`` addresses by the number of the row.
    redshifts : dict of float, optional
        True redshifts by the number of the row.

    Returns
    -------
    list of `Galaxy`
    """
    images, redshifts = images or {}, redshifts or {}
    return [_galaxy(subject, row, why, images.get(row, ""), redshifts.get(row)) for row, why in chosen.items()]


def _galaxy(subject, row, why, image, redshift):
    z, error = float(subject.z[row]), float(subject.error[row])
    interval = subject.interval(row)
    return Galaxy(
        row=row,
        name=subject.ids[row],
        z=number(z, error) if subject.estimated[row] else "none",
        redshift=number(redshift) if redshift is not None else "",
        interval=f"{number(interval[0])} to {number(interval[1])}" if interval else "",
        flags=flags.names(int(subject.flags[row])),
        why=why,
        link=_link(subject, row),
        image=image,
    )


def _link(subject, row):
    if subject.coord is None or not subject.of_survey:
        return ""
    ra, dec = subject.coord.ra.deg[row], subject.coord.dec.deg[row]
    return EXPLORE.format(ra, dec) if np.isfinite(ra + dec) else ""


def images_of(
    subject: Subject,
    rows: Iterable[int],
    source: CutoutSource | Cutouts | PathLike | None,
    stamps: Cutouts | None = None,
) -> dict[int, str]:
    """
    Get images of a few rows.

    Parameters
    ----------
    subject : `~astro_photz.report.subject.Subject` (N,)
    rows : iterable of int
    source : `~astro_photz.cutouts.CutoutSource`, `~astro_photz.Cutouts` (N,), str, path-like or None
        As in `~astro_photz.fetch`, or the images of all rows; None for no images.
    stamps : `~astro_photz.Cutouts`, optional
        Images that are at hand; their identifiers are numbers of rows.

    Returns
    -------
    dict of str
        ``data:`` addresses by the number of the row; those without an image are left out.

    Raises
    ------
    ValueError
        If the table has no positions, or Cutouts are not those of its rows.
    """
    images = {} if stamps is None else _by_row([int(row) for row in stamps.ids], stamps)
    rows = [row for row in rows if row not in images]
    if source is None or not rows:
        return images
    if isinstance(source, Cutouts):
        if len(source) != len(subject):
            raise ValueError(f"source has the images of {len(source)} galaxies, the table has {len(subject)} rows")
        cutouts = source[np.array(rows)]
    else:
        cutouts = fetch(subject.table[rows], source=source, progress=False, **subject.named)
    return images | _by_row(rows, cutouts)


def worst_outliers(validation: Validation) -> dict[int, str]:
    """
    List the worst outliers that a validation has found.

    Parameters
    ----------
    validation : `~astro_photz.validation.Validation`

    Returns
    -------
    dict of str
        The deviation by the number of the row, worst first, at most 24.
    """
    worst = validation.outliers[:_OUTLIERS]
    deviations = filled(worst["deviation"])
    return {int(row): f"Δz = {number(value)}" for row, value in zip(worst["row"], deviations, strict=True)}


def shows_simulated(source: CutoutSource | Cutouts | None) -> bool:
    """
    Find out if the images of a source are known to be simulated.

    Parameters
    ----------
    source : `~astro_photz.cutouts.CutoutSource`, `~astro_photz.Cutouts` or None

    Returns
    -------
    bool
    """
    if not isinstance(source, CutoutFile):
        return False
    with open_cutouts(source.path) as file:
        return is_simulated(file)


def known_redshifts(validation: Validation | None, rows: Iterable[int]) -> dict[int, float]:
    """
    Look up the known redshifts of rows.

    Parameters
    ----------
    validation : `~astro_photz.validation.Validation` or None
    rows : iterable of int

    Returns
    -------
    dict of float
        By the number of the row, where they are known.
    """
    if validation is None:
        return {}
    rows = list(rows)
    found = filled(validation.galaxies["redshift"][rows])
    return {row: z for row, z in zip(rows, found.tolist(), strict=True) if np.isfinite(z)}


def _by_row(rows, cutouts):
    return {
        row: png_uri(flux) for row, flux in zip(rows, np.asarray(cutouts.flux), strict=True) if np.isfinite(flux).any()
    }
