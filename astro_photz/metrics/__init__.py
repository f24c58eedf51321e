# Licensed under a 3-clause BSD style license - see LICENSE
"""
Figures of merit of redshift PDFs, and of any photometric redshifts.

Each galaxy is first scored by itself (`score`): the deviation of the estimate, the error of the PDF, the place of the
true redshift in the PDF. Every metric sums up such scores, of all galaxies (`summary`) or of some (`binned`); its error
comes from samples that are drawn from them again and again (`bootstrap`). Galaxies that are not independent, such as
simulated ones that were drawn from the same real one, are a *group*, and are drawn together.
"""

from .calibration import LEVELS, coverage_by_level, pit_ad, pit_ad_by_chance, pit_histogram, pit_ks, pit_ks_by_chance
from .figures import OUTLIER, bias, coverage, eta, sigma68, sigma_mad
from .samples import METRICS, Metric, binned, bootstrap, resampled, summary
from .scores import LOWEST_DENSITY, Scores, deviation, score, score_gaussian

__all__ = [
    "LEVELS",
    "LOWEST_DENSITY",
    "METRICS",
    "OUTLIER",
    "Metric",
    "Scores",
    "bias",
    "binned",
    "bootstrap",
    "coverage",
    "coverage_by_level",
    "deviation",
    "eta",
    "pit_ad",
    "pit_ad_by_chance",
    "pit_histogram",
    "pit_ks",
    "pit_ks_by_chance",
    "resampled",
    "score",
    "score_gaussian",
    "sigma68",
    "sigma_mad",
    "summary",
]
