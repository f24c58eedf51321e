# Licensed under a 3-clause BSD style license - see LICENSE
"""
Density of galaxies in redshift, magnitude and colours, free of the catalogues' noise.

A mixture of Gaussians is fitted to noisy values, the noise of each row taken into account (extreme deconvolution,
Bovy, Hogg & Roweis 2011, AnnApplStat 5, 1657). Beside a row's values and noise, it tells what the galaxy may truly be:
a draw from that distribution has lost the noise, and kept the scatter of galaxies and its correlations.
"""

from dataclasses import dataclass

import numpy as np
from scipy.special import softmax

__all__ = ["GaussianMixture"]


@dataclass(frozen=True)
class GaussianMixture:
    """
    Mixture of Gaussians in D dimensions.

    Parameters
    ----------
    weight : `~numpy.ndarray` (K,)
        Share of each component.
    mean : `~numpy.ndarray` (K, D)
    covariance : `~numpy.ndarray` (K, D, D)
    """

    weight: np.ndarray
    mean: np.ndarray
    covariance: np.ndarray

    def draw_true(self, values, noise, rng):
        """
        Draw true values of rows, given their noisy ones.

        The density of true values is the mixture. That of one row's, given its noisy values, is a mixture as well: of
        each component's Gaussian, narrowed by the row.

        Parameters
        ----------
        values : `~numpy.ndarray` (N, D)
        noise : `~numpy.ndarray` (N, D, D)
            Covariance of each row's errors.
        rng : `~numpy.random.Generator`

        Returns
        -------
        `~numpy.ndarray` (N, D)

        References
        ----------
        Bovy, Hogg & Roweis 2011, AnnApplStat 5, 1657, section 3: the E-step of the algorithm.

        Examples
        --------
        Values are 0 and scatter by 1; those listed scatter by as much again:

        >>> import numpy as np
        >>> from astro_photz.simulate.population.density import GaussianMixture
        >>> rng = np.random.default_rng(0)
        >>> density = GaussianMixture(np.ones(1), np.zeros((1, 1)), np.ones((1, 1, 1)))
        >>> listed = np.sqrt(2) * rng.standard_normal((10_000, 1))
        >>> drawn = density.draw_true(listed, np.ones((10_000, 1, 1)), rng)
        >>> listed.std().round(1), drawn.std().round(1)
        (np.float64(1.4), np.float64(1.0))
        """
        log_share = self._log_share(values, noise)
        component = np.argmax(log_share + rng.gumbel(size=log_share.shape), axis=1)  # Gumbel 1954: a draw by the shares
        own = self.covariance[component]
        gain = np.linalg.solve(own + noise, own).transpose(0, 2, 1)
        mean = self.mean[component] + _times(gain, values - self.mean[component])
        variance, axes = np.linalg.eigh(own - gain @ own)
        scatter = np.sqrt(np.clip(variance, 0, None)) * rng.standard_normal(mean.shape)
        return mean + _times(axes, scatter)

    def expect_true(self, values, noise):
        """
        Estimate true values of rows, given their noisy ones: the mean of what `draw_true` draws.

        Parameters
        ----------
        values : `~numpy.ndarray` (N, D)
        noise : `~numpy.ndarray` (N, D, D)
            Covariance of each row's errors.

        Returns
        -------
        `~numpy.ndarray` (N, D)

        Examples
        --------
        Of what is listed, half is noise:

        >>> import numpy as np
        >>> from astro_photz.simulate.population.density import GaussianMixture
        >>> density = GaussianMixture(np.ones(1), np.zeros((1, 1)), np.ones((1, 1, 1)))
        >>> density.expect_true(np.array([[0.6]]), np.ones((1, 1, 1)))
        array([[0.3]])
        """
        share = softmax(self._log_share(values, noise), axis=1)
        expected = np.zeros_like(values)
        for number, own in enumerate(self.covariance):
            deviation = np.linalg.solve(own + noise, (values - self.mean[number])[..., None])
            expected += share[:, [number]] * (self.mean[number] + (own @ deviation)[..., 0])
        return expected

    def _log_share(self, values, noise):
        """Logarithm, but for a constant, of the probability (N, K) that a row belongs to a component."""
        likelihood = [self._log_likelihood(number, values, noise) for number in range(len(self.weight))]
        return np.stack(likelihood, axis=1) + np.log(self.weight)

    def _log_likelihood(self, number, values, noise):
        root = np.linalg.cholesky(self.covariance[number] + noise)
        deviation = np.linalg.solve(root, (values - self.mean[number])[..., None])[..., 0]
        return -0.5 * (deviation**2).sum(axis=1) - np.log(np.diagonal(root, axis1=1, axis2=2)).sum(axis=1)


def _times(matrix, vector):
    return (matrix @ vector[..., None])[..., 0]
