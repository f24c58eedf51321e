# Licensed under a 3-clause BSD style license - see LICENSE
"""
Figures of merit of redshift PDFs.

Each galaxy is first scored by itself (`score`): the deviation of the estimate, the error of the PDF, the place of the
true redshift in the PDF. Every metric sums up such scores, of all galaxies (`summary`) or of some (`binned`); its error
comes from samples that are drawn from them again and again (`bootstrap`). Galaxies that are not independent, such as
simulated ones that were drawn from the same real one, are a *group*, and are drawn together.
"""

from .figures import Scores, bias, coverage, deviation, eta, pit_ks, score, sigma_mad
from .samples import METRICS, binned, bootstrap, pit_ks_by_chance, resampled, summary

__all__ = [
    "METRICS",
    "Scores",
    "bias",
    "binned",
    "bootstrap",
    "coverage",
    "deviation",
    "eta",
    "pit_ks",
    "pit_ks_by_chance",
    "resampled",
    "score",
    "sigma_mad",
    "summary",
]
