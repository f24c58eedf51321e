# Licensed under a 3-clause BSD style license - see LICENSE
"""
Metrics of all galaxies and of parts of them, with errors.
"""

import math
from dataclasses import dataclass

import numpy as np
from astropy.table import MaskedColumn, Table

from astro_photz import metrics
from astro_photz.flags import FLAG_MEANINGS, PhotozFlag

from .quantities import BINS

__all__ = ["FEWEST", "Judge", "score_estimates", "table_of"]

FEWEST = 5
"""Independent galaxies from which an error by bootstrap means anything."""

_BLOCK = 8192  # PDFs scored at once


def score_estimates(estimates, redshift, rows):
    """
    Score estimates by what they are: PDFs, Gaussians, intervals or points.

    Parameters
    ----------
    estimates : `~astro_photz.validation.estimates.Estimates` (N,)
    redshift : `~numpy.ndarray` (N,)
    rows : `~numpy.ndarray` (M,) of int
        Rows with a redshift and an estimate.

    Returns
    -------
    `~astro_photz.metrics.Scores` (M,)
    """
    z, truth = estimates.z[rows], redshift[rows]
    off = metrics.deviation(z, truth)
    if estimates.kind == "PDFs":
        blocks = [rows[start : start + _BLOCK] for start in range(0, len(rows), _BLOCK)]
        scores = [metrics.score(estimates.pdf[block], redshift[block]) for block in blocks]
        return metrics.Scores.concatenate(scores)._replace(deviation=off)
    if estimates.kind == "Gaussian PDFs":
        return metrics.score_gaussian(z, estimates.err[rows], truth)
    within = {}
    for name, interval in (("within68", estimates.interval68), ("within95", estimates.interval95)):
        if interval is not None and not np.isnan(interval[rows]).any():
            low, high = interval[rows].T
            within[name] = ((truth > low) & (truth < high)).astype(float)
    return metrics.Scores(off, **within)


@dataclass(frozen=True)
class Judge:
    """
    Judge of M galaxies and of parts of them.

    Parameters
    ----------
    scores : `~astro_photz.metrics.Scores` (M,)
    groups : `~numpy.ndarray` (M,) of int or None
        None if all galaxies are independent.
    at_least : int
        Bins with fewer galaxies are left out.
    resamples, seed : int
        See `~astro_photz.metrics.resampled`.
    """

    scores: metrics.Scores
    groups: np.ndarray | None
    at_least: int
    resamples: int
    seed: int

    def of(self, rows):
        """
        Metrics of some of the galaxies, and their errors.

        Parameters
        ----------
        rows : `~numpy.ndarray` (M,) bool

        Returns
        -------
        (dict of float, dict of float)
            NaN for the errors of fewer than `FEWEST` independent galaxies; both empty if there is no galaxy.
        """
        if not rows.any():
            return {}, {}
        scores, groups = self.scores.of(rows), None if self.groups is None else self.groups[rows]
        summary = metrics.summary(scores)
        errors = metrics.bootstrap(scores, groups=groups, resamples=self.resamples, seed=self.seed)
        return summary, self._meaningful(errors, rows)

    def _meaningful(self, errors, rows):
        return dict.fromkeys(errors, math.nan) if self.n_independent(rows) < FEWEST else errors

    def n_independent(self, rows):
        """
        Count the groups among some of the galaxies.

        Parameters
        ----------
        rows : `~numpy.ndarray` (M,) bool

        Returns
        -------
        int
        """
        return int(np.count_nonzero(rows) if self.groups is None else len(np.unique(self.groups[rows])))

    def bins(self, quantities):
        """
        Metrics and errors in the `~astro_photz.validation.quantities.BINS`.

        Parameters
        ----------
        quantities : dict of `~numpy.ndarray` (M,)

        Returns
        -------
        dict of list of dict
        """
        options = {"groups": self.groups, "resamples": self.resamples, "seed": self.seed, "at_least": self.at_least}
        found = {
            name: metrics.binned(self.scores, quantities[name], edges, **options)
            for name, edges in BINS.items()
            if name in quantities and np.isfinite(quantities[name]).any()
        }
        for name, bins in found.items():
            for one in bins:
                rows = (quantities[name] >= one["low"]) & (quantities[name] < one["high"])
                one["errors"] = self._meaningful(one["errors"], rows)
        return found

    def by_flag(self, flags):
        """
        Metrics and errors of the galaxies with each flag.

        Parameters
        ----------
        flags : `~numpy.ndarray` (M,) of int

        Returns
        -------
        dict of dict
        """
        found = {}
        for name in FLAG_MEANINGS:
            rows = (flags & int(getattr(PhotozFlag, name))) != 0
            if np.count_nonzero(rows) >= self.at_least:
                summary, errors = self.of(rows)
                found[name] = summary | {"errors": errors}
        return found

    def by_chance(self):
        """
        Distances of the PIT from uniform that calibrated PDFs have by chance.

        Returns
        -------
        dict of float
            ``pit_ks_by_chance`` and ``pit_ad_by_chance``; empty without a PIT.
        """
        if self.scores.pit is None:
            return {}
        options = {"groups": self.groups, "resamples": max(self.resamples, 200), "seed": self.seed}
        return {
            "pit_ks_by_chance": round(metrics.pit_ks_by_chance(self.scores.pit, **options), 6),
            "pit_ad_by_chance": round(metrics.pit_ad_by_chance(self.scores.pit, **options), 6),
        }


def table_of(validation):
    """
    Make a table of every number.

    Parameters
    ----------
    validation : `~astro_photz.validation.Validation`

    Returns
    -------
    `~astropy.table.Table`
        Columns ``subset``, ``quantity``, ``low``, ``high``, ``metric``, ``value``, ``error``, ``n``.
    """
    rows = list(_rows("all", validation.overall, validation.errors))
    rows += _rows("without flags", validation.unflagged, validation.unflagged_errors)
    for name, bins in validation.bins.items():
        if name == "by_flag":
            for flag, one in bins.items():
                rows += _rows(flag, one, one["errors"], quantity="flag")
            continue
        for one in bins:
            rows += _rows("all", one, one["errors"], quantity=name, low=one["low"], high=one["high"])
    names = ("subset", "quantity", "low", "high", "metric", "value", "error", "n")
    columns = list(zip(*rows, strict=True)) or [()] * len(names)
    table = Table()
    for name, values in zip(names, columns, strict=True):
        if name in ("low", "high", "error"):
            plain = np.array(values, dtype=float)
            table[name] = MaskedColumn(plain, mask=np.isnan(plain))
        else:
            table[name] = values
    for name in ("value", "error"):
        table[name].info.format = ".5f"
    return table


def _rows(subset, values, errors, *, quantity="", low=math.nan, high=math.nan):
    for metric in metrics.METRICS:
        if metric in values:
            error = errors.get(metric, math.nan)
            yield subset, quantity, low, high, metric, values[metric], error, values["n"]
