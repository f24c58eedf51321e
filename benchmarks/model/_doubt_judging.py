# Licensed under a 3-clause BSD style license - see LICENSE
"""What `~astro_photz.predict` says of cutouts, and rows of a table of shares that are flagged."""

import operator
from dataclasses import dataclass, fields

import numpy as np

from astro_photz import flags as flag_tools
from astro_photz import metrics, predict
from astro_photz.flags import PhotozFlag
from astro_photz.metrics.figures import OUTLIER
from astro_photz.pdf import RedshiftPDF

__all__ = ["HEADINGS", "NEW", "Judged", "Wanted", "judge", "row_of", "value_row"]

NEW = sum(flag for flag in PhotozFlag if flag >= PhotozFlag.OUTLIER)
"""The bits of doubts that the image or the PDF itself raises."""

_SIGNS = {"≥": operator.ge, "≤": operator.le}
_NAMED = 3  # flags that a row names
_SELDOM = 0.005  # share from which on they are named


@dataclass(frozen=True)
class Judged:
    """
    Estimates of N cutouts; NaN where there is none.

    ``flags`` (N,) of int; ``ood``, ``z``, ``error`` (N,) the columns of these names; ``doubt`` (N,) the PDF's own
    probability that its mean is an outlier.
    """

    flags: np.ndarray
    ood: np.ndarray
    z: np.ndarray
    error: np.ndarray
    doubt: np.ndarray

    def __len__(self):
        return len(self.flags)

    def __getitem__(self, rows):
        return Judged(*(getattr(self, item.name)[rows] for item in fields(self)))

    @classmethod
    def join(cls, parts):
        """Join several."""
        return cls(*(np.concatenate([getattr(part, item.name) for part in parts]) for item in fields(cls)))

    def having(self, bits):
        """Mask (N,) of those that have any of the bits."""
        return (self.flags & int(bits)) != 0

    @property
    def good(self):
        """Mask (N,) of those with an estimate, and no flag of the recommended mask."""
        return np.isfinite(self.z) & ~self.having(flag_tools.BAD)

    def deviation(self, redshift):
        """Deviations from true redshifts (N,)."""
        return metrics.deviation(self.z, redshift)


def judge(model, data, **options):
    """Estimate cutouts, or a table with a source, as a user does: `Judged`, in the order of the data."""
    table = predict(data, model=model, pdf=True, progress=False, **options)
    columns = [np.ma.filled(np.ma.asarray(table[f"z_phot{name}"]), np.nan) for name in ("_ood", "", "_err")]
    return Judged(np.asarray(table["z_phot_flags"]), *columns, _doubt(RedshiftPDF.from_table(table)))


def _doubt(pdf):
    centres = (pdf.edges[1:] + pdf.edges[:-1]) / 2
    far = np.abs(pdf.mean()[:, None] - centres) > OUTLIER * (1 + centres)
    return (pdf.p * far).sum(axis=1)


# Rows


@dataclass(frozen=True)
class Wanted:
    """A number that a column is to reach: ``sign`` is "≥" or "≤"."""

    column: str
    sign: str
    value: float

    def holds(self, row):
        """Tell whether a row has it."""
        return _SIGNS[self.sign](row[self.column], self.value)

    def told(self, headings):
        """Say it, with the headings of columns."""
        return f"{headings[self.column]} {self.sign} {self.value:.3g}"


HEADINGS = {"flagged": "flagged", "bad": "BAD", "new": "new flags", "value": "value"} | {
    flag.name.lower(): flag.name for flag in PhotozFlag
}


def row_of(name, judged, *wanted):
    """
    A row about cutouts: percentages that are flagged at all, by a new flag, and by the recommended mask.

    A reddening out of the coarse map is no doubt about an image. All flags are in ``raised``, by name.
    """
    bits = {"flagged": ~PhotozFlag.APPROXIMATE_EBV, "new": NEW, "bad": flag_tools.BAD}
    numbers = {}
    for column, mask in bits.items():
        share = judged.having(mask).mean()
        numbers |= {column: 100 * share, f"{column}_err": 100 * _error(share, len(judged))}
    raised = {flag.name: 100 * judged.having(flag).mean() for flag in PhotozFlag if judged.having(flag).any()}
    often = sorted((name for name in raised if raised[name] >= 100 * _SELDOM), key=raised.get, reverse=True)
    by = ", ".join(f"{name} {raised[name]:.0f}" for name in often[:_NAMED])
    shares = {flag.name.lower(): raised.get(flag.name, 0.0) for flag in PhotozFlag}
    row = {"method": name, "n": len(judged)} | {key: float(value) for key, value in numbers.items()}
    return (
        row
        | {"by": by, "raised": {key: float(value) for key, value in raised.items()}}
        | _verdict(row | shares, wanted)
    )


def value_row(name, value, *wanted, n=None, error=0.0):
    """A row of another number, of n galaxies, with its error, and what is wanted of it."""
    row = {"method": name} | ({"n": n} if n else {}) | {"value": float(value)}
    return row | ({"value_err": float(error)} if error > 0 else {}) | _verdict(row, wanted)


def _verdict(row, wanted):
    """Text of what is wanted, and of whether it holds."""
    if not wanted:
        return {}
    missed = [f"{HEADINGS[one.column]} {row[one.column]:.3g}" for one in wanted if not one.holds(row)]
    told = ", ".join(one.told(HEADINGS) for one in wanted)
    return {"wanted": told, "holds": f"no: {', '.join(missed)}" if missed else "yes"}


def _error(share, n):
    """Standard error of a share of n, which is not zero where none or all are counted."""
    expected = (share * n + 1) / (n + 2)
    return np.sqrt(expected * (1 - expected) / n)
