# Licensed under a 3-clause BSD style license - see LICENSE
"""
Linear fits that outliers do not move: wrong measurements, or unusual galaxies.
"""

import numpy as np

__all__ = ["robust_fit"]

_SIGMA_OF_MAD = 1.4826  # of a normal distribution: with more digits, other galaxies would be outliers


def robust_fit(terms, values, error):
    """Fit ``terms`` (N, T) to values (N,) with these errors (N,), without outliers: T coefficients."""
    inlier = np.isfinite(values)
    weight = 1 / np.hypot(error, 0.01)
    for _ in range(4):
        root = weight[inlier]
        coefficients = np.linalg.lstsq(terms[inlier] * root[:, None], values[inlier] * root, rcond=None)[0]
        deviation = (values - terms @ coefficients) * weight
        inlier = np.abs(deviation) <= 3 * _SIGMA_OF_MAD * np.nanmedian(np.abs(deviation))
    return coefficients
