# Licensed under a 3-clause BSD style license - see LICENSE
"""
Arithmetic of piecewise constant densities.

There are N rows of probabilities p (N, K), and of their sums cdf (N, K + 1), on the edges (K + 1,) of K bins.
"""

import numpy as np

from astro_photz.utils._arrays import filled

__all__ = ["cdf_at", "crps", "density_at", "draws", "normalised", "quantiles"]


def normalised(p, edges):
    """
    Check probabilities, make each row sum to 1, and return it with its cumulative distribution.

    Raise a TypeError if they are no real numbers, and a ValueError if shapes do not match, or a row is none of
    probabilities.
    """
    p = np.atleast_2d(filled(p, name="p"))
    if p.ndim != 2 or edges.size != p.shape[1] + 1:
        raise ValueError(
            f"p must have the shape (N, K) and edges (K + 1,), an edge more than bins; got {p.shape} and {edges.shape}"
        )
    with np.errstate(all="ignore"):
        total = p.sum(axis=1)
        unknown = np.isnan(p).any(axis=1)
        wrong = ~unknown & (~(np.abs(total - 1) <= 1e-3) | (p < 0).any(axis=1))
    if wrong.any():
        row = int(np.argmax(wrong))
        raise ValueError(
            f"p must hold probabilities that sum to 1 in each row; row {row} sums to {total[row]:.4g} "
            f"with a minimum of {p[row].min():.4g}. Divide densities times bin widths by their sum."
        )
    p = np.where(unknown[:, np.newaxis], np.nan, p)  # infinities among them too
    # Divided by its own last value, the cumulative distribution ends at 1 to the bit, and stays there.
    cumulative = np.cumsum(p, axis=1)
    cdf = np.concatenate([np.zeros((len(p), 1)), cumulative / cumulative[:, -1:]], axis=1)
    return p / cumulative[:, -1:], cdf


def cdf_at(p, cdf, edges, z):
    """Probability (N,) below the redshifts z (N,); NaN where one is unknown."""
    inside = np.clip(z, edges[0], edges[-1])
    row, k = _bins(p, edges, inside)
    below = cdf[row, k] + p[row, k] * (inside - edges[k]) / np.diff(edges)[k]
    return np.where(np.isnan(z), np.nan, below)


def density_at(p, edges, z):
    """Probability density (N,) at the redshifts z (N,): 0 beyond the grid, NaN where one is unknown."""
    row, k = _bins(p, edges, z)
    density = p[row, k] / np.diff(edges)[k]
    outside = (z < edges[0]) | (z > edges[-1])
    return np.where(np.isnan(z) | np.isnan(density), np.nan, np.where(outside, 0.0, density))


def _bins(p, edges, z):
    """Rows, and the bin that each redshift falls into, or the nearest one."""
    return np.arange(len(p)), np.clip(np.searchsorted(edges, z, side="right") - 1, 0, p.shape[1] - 1)


def quantiles(p, cdf, edges, levels):
    """Redshifts (N, Q) below which the probability is as large as each of the levels (Q,)."""
    row = np.arange(len(p))[:, np.newaxis]
    # The bin in which each quantile falls: as many as have a cumulative probability below q at their upper edge.
    k = np.stack([(cdf[:, 1:-1] < level).sum(axis=1) for level in levels], axis=1)
    with np.errstate(invalid="ignore", divide="ignore"):
        fraction = (levels - cdf[row, k]) / p[row, k]
    # A bin without probability is reached only where q is 0, or by rounding at 1.
    fraction = np.clip(np.where(p[row, k] == 0, 0, fraction), 0, 1)
    return edges[k] + fraction * np.diff(edges)[k]


def draws(p, cdf, edges, levels):
    """Redshifts (N, n) at the cumulative probabilities ``levels`` (N, n), from 0 to less than 1."""
    k = np.empty(levels.shape, dtype=int)
    for row, (own, level) in enumerate(zip(cdf, levels, strict=True)):
        k[row] = np.searchsorted(own[1:-1], level, side="right")  # never a bin without probability
    row = np.arange(len(p))[:, np.newaxis]
    fraction = (levels - cdf[row, k]) / p[row, k]
    return edges[k] + np.clip(fraction, 0, 1) * np.diff(edges)[k]


def crps(cdf, edges, z, at_z):
    """Continuous ranked probability score (N,) of true redshifts z (N,), where the sums are ``at_z`` (N,)."""
    inside = np.clip(z, edges[0], edges[-1])[:, np.newaxis]
    at_z = at_z[:, np.newaxis]
    low, high = cdf[:, :-1], cdf[:, 1:]
    left, right = edges[:-1], edges[1:]
    below = np.clip(inside - left, 0, right - left)  # length of each bin on the near side of z
    above = np.clip(right - inside, 0, right - left)
    near = _square_of_line(low, np.where(inside < right, at_z, high)) * below
    far = _square_of_line(np.where(inside > left, at_z, low) - 1, high - 1) * above
    outside = np.abs(z - inside[:, 0])
    return (near + far).sum(axis=1) + outside


def _square_of_line(start, end):
    """Mean of the square along a straight line from ``start`` to ``end``."""
    return (start**2 + start * end + end**2) / 3
