# Licensed under a 3-clause BSD style license - see LICENSE
"""
The redshift PDF: probabilities in bins of redshift, and point estimates, intervals and scores.

Within a bin the probability density is constant, so the cumulative distribution is a chain of straight lines: every
number here is exact for that distribution.
"""

import numpy as np
from numpy.typing import ArrayLike

from .utils._arrays import filled

__all__ = ["RedshiftPDF"]


class RedshiftPDF:
    """
    Probability densities of the redshifts of N galaxies, on one grid of bins.

    Parameters
    ----------
    p : array_like (N, K) or (K,)
        Probability in each bin; each row sums to 1. A row of NaN is a galaxy without an estimate.
    edges : array_like (K + 1,)
        Increasing edges of the bins in redshift.

    Raises
    ------
    ValueError
        If the shapes do not match, the edges do not increase, or a row is negative or does not sum to 1.

    Examples
    --------
    >>> from astro_photz import RedshiftPDF
    >>> pdf = RedshiftPDF([[0.1, 0.6, 0.3, 0.0]], [0.0, 0.1, 0.2, 0.3, 0.4])
    >>> pdf.mean().round(3), pdf.mode().round(3)
    (array([0.17]), array([0.15]))
    >>> pdf.quantile([0.5]).round(4)
    array([[0.1667]])
    """

    def __init__(self, p: ArrayLike, edges: ArrayLike):
        p = np.atleast_2d(np.ma.filled(np.ma.asarray(p, dtype=np.float64), np.nan))
        edges = np.asarray(edges, dtype=np.float64)
        if edges.ndim != 1 or p.ndim != 2 or edges.size != p.shape[1] + 1:
            raise ValueError(
                "p must have the shape (N, K) and edges (K + 1,), an edge more than bins; "
                f"got {p.shape} and {edges.shape}"
            )
        if not (np.diff(edges) > 0).all():
            raise ValueError("edges must increase from bin to bin")
        total = p.sum(axis=1)
        wrong = ~np.isnan(total) & ((np.abs(total - 1) > 1e-3) | (p < 0).any(axis=1))
        if wrong.any():
            row = int(np.argmax(wrong))
            raise ValueError(
                f"p must hold probabilities that sum to 1 in each row; row {row} sums to {total[row]:.4g} "
                f"with a minimum of {p[row].min():.4g}. Divide densities times bin widths by their sum."
            )
        # Divided by its own last value, the cumulative distribution ends at 1 to the bit, and stays there.
        cumulative = np.cumsum(p, axis=1)
        self.p = p / cumulative[:, -1:]
        self.edges = edges
        self._cdf = np.concatenate([np.zeros((len(p), 1)), cumulative / cumulative[:, -1:]], axis=1)

    def __len__(self) -> int:
        return len(self.p)

    def __repr__(self) -> str:
        first, last = self.edges[[0, -1]]
        return f"<RedshiftPDF of {len(self)} galaxies, {self.p.shape[1]} bins on {first:g} to {last:g}>"

    @property
    def grid(self) -> np.ndarray:
        """Centres of the bins, `~numpy.ndarray` (K,)."""
        return (self.edges[1:] + self.edges[:-1]) / 2

    @property
    def widths(self) -> np.ndarray:
        """Widths of the bins, `~numpy.ndarray` (K,)."""
        return np.diff(self.edges)

    def mean(self) -> np.ndarray:
        """
        Mean redshift: the point estimate of the reference method (Pasquet et al. 2019, section 4).

        Returns
        -------
        `~numpy.ndarray` (N,)
        """
        return self.p @ self.grid

    def std(self) -> np.ndarray:
        """
        Standard deviation, the finite width of the bins included.

        Returns
        -------
        `~numpy.ndarray` (N,)
        """
        return np.sqrt(self.p @ (self.grid**2 + self.widths**2 / 12) - self.mean() ** 2)

    def mode(self) -> np.ndarray:
        """
        Centre of the bin with the largest density; NaN for a row of NaN.

        Returns
        -------
        `~numpy.ndarray` (N,)
        """
        density = self.p / self.widths
        missing = np.isnan(density).any(axis=1)
        return np.where(missing, np.nan, self.grid[np.argmax(np.where(np.isnan(density), 0, density), axis=1)])

    def cdf(self, z: ArrayLike) -> np.ndarray:
        """
        Probability that the redshift is below ``z``.

        Parameters
        ----------
        z : array_like (N,) or scalar
            Redshift of each galaxy.

        Returns
        -------
        `~numpy.ndarray` (N,)
        """
        z = np.broadcast_to(filled(z), len(self))
        inside = np.clip(z, self.edges[0], self.edges[-1])
        k = np.clip(np.searchsorted(self.edges, inside, side="right") - 1, 0, self.p.shape[1] - 1)
        row = np.arange(len(self))
        cdf = self._cdf[row, k] + self.p[row, k] * (inside - self.edges[k]) / self.widths[k]
        return np.where(np.isnan(z), np.nan, cdf)

    def quantile(self, q: ArrayLike) -> np.ndarray:
        """
        Redshifts below which the probability is ``q``.

        Parameters
        ----------
        q : array_like (Q,)
            Probabilities between 0 and 1.

        Returns
        -------
        `~numpy.ndarray` (N, Q)
        """
        q = np.atleast_1d(np.asarray(q, dtype=np.float64))
        if ((q < 0) | (q > 1)).any():
            raise ValueError(f"q must lie between 0 and 1, got {q}")
        row = np.arange(len(self))[:, np.newaxis]
        # The bin in which each quantile falls: as many as have a cumulative probability below q at their upper edge.
        k = np.stack([(self._cdf[:, 1:-1] < level).sum(axis=1) for level in q], axis=1)
        with np.errstate(invalid="ignore", divide="ignore"):
            fraction = (q - self._cdf[row, k]) / self.p[row, k]
        # A bin without probability is reached only where q is 0, or by rounding at 1.
        fraction = np.clip(np.where(self.p[row, k] == 0, 0, fraction), 0, 1)
        return self.edges[k] + fraction * self.widths[k]

    def median(self) -> np.ndarray:
        """
        Median redshift.

        Returns
        -------
        `~numpy.ndarray` (N,)
        """
        return self.quantile([0.5])[:, 0]

    def odds(self, *, half_width: float = 0.03) -> np.ndarray:
        """
        Probability that the redshift is near the mode (Benítez 2000, section 4.2).

        Parameters
        ----------
        half_width : float, optional
            Near means within ``half_width * (1 + mode)``.

        Returns
        -------
        `~numpy.ndarray` (N,)
        """
        mode = self.mode()
        reach = half_width * (1 + mode)
        return self.cdf(mode + reach) - self.cdf(mode - reach)

    def pit(self, z: ArrayLike) -> np.ndarray:
        """
        Probability integral transform: the cumulative probability at the true redshift.

        Its distribution is uniform if the PDFs are calibrated.

        Parameters
        ----------
        z : array_like (N,)
            True redshifts.

        Returns
        -------
        `~numpy.ndarray` (N,)
        """
        return self.cdf(z)

    def crps(self, z: ArrayLike) -> np.ndarray:
        """
        Continuous ranked probability score (Hersbach 2000, equation 1).

        It is the integral over redshift of ``(cdf - step at z)**2``. Zero is perfect; for a single value it is the
        absolute error.

        Parameters
        ----------
        z : array_like (N,)
            True redshifts.

        Returns
        -------
        `~numpy.ndarray` (N,)
            In units of redshift.
        """
        z = filled(z)
        inside = np.clip(z, self.edges[0], self.edges[-1])[:, np.newaxis]
        at_z = self.cdf(z)[:, np.newaxis]
        low, high = self._cdf[:, :-1], self._cdf[:, 1:]
        left, right = self.edges[:-1], self.edges[1:]
        below = np.clip(inside - left, 0, self.widths)  # length of each bin on the near side of z
        above = np.clip(right - inside, 0, self.widths)
        near = _square_of_line(low, np.where(inside < right, at_z, high)) * below
        far = _square_of_line(np.where(inside > left, at_z, low) - 1, high - 1) * above
        outside = np.abs(z - inside[:, 0])
        return (near + far).sum(axis=1) + outside


def _square_of_line(start, end):
    """Mean of the square along a straight line from ``start`` to ``end``."""
    return (start**2 + start * end + end**2) / 3
