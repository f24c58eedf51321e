# Licensed under a 3-clause BSD style license - see LICENSE
"""
Flags of a table: how many rows have each, and what it means.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from astro_photz import flags
from astro_photz.flags import FLAG_ADVICE, MISSING

from ._text import percent

if TYPE_CHECKING:
    from .subject import Subject

__all__ = ["FlagCount", "flag_rows", "missing_rows"]


@dataclass(frozen=True)
class FlagCount:
    """
    A flag and the rows that have it.

    Parameters
    ----------
    name, meaning, advice : str
        Its name, what it says, and what to do about the rows.
    n : int
        Number of rows.
    share : float
        Of the rows that are counted.
    """

    name: str
    meaning: str
    advice: str
    n: int
    share: float

    @property
    def percent(self) -> str:
        """The share in percent, str."""
        return percent(self.share)


def flag_rows(subject: Subject) -> list[FlagCount]:
    """
    Count the flags of the rows with an estimate.

    Parameters
    ----------
    subject : `~astro_photz.report.subject.Subject` (N,)

    Returns
    -------
    list of `FlagCount`
        Those that any row has, in the order of their bits.
    """
    return _counts(subject.flags[subject.estimated])


def missing_rows(subject: Subject) -> list[FlagCount]:
    """
    Count the flags that say why rows have no estimate.

    Parameters
    ----------
    subject : `~astro_photz.report.subject.Subject` (N,)

    Returns
    -------
    list of `FlagCount`
        Those that any row has. A row may have several, or none.
    """
    found = subject.flags[~subject.estimated] & MISSING
    n = int(np.count_nonzero(found == 0))
    untold = FlagCount("no flag", "no flag says why", "", n, n / max(1, len(found)))
    return _counts(found) + [untold] * bool(n)


def _counts(found):
    table = flags.to_table(found)
    return [
        FlagCount(row["name"], row["meaning"], FLAG_ADVICE.get(row["name"], ""), int(row["n"]), float(row["share"]))
        for row in table
        if row["n"]
    ]
