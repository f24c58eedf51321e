# Licensed under a 3-clause BSD style license - see LICENSE
"""
Scores of single galaxies.

PDFs are scored by the exact integrals of their bins, and Gaussians in closed form.
"""

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from astro_photz.pdf import RedshiftPDF
from astro_photz.utils._arrays import filled

from ._given import one_each

__all__ = ["LOWEST_DENSITY", "Scores", "deviation", "score", "score_gaussian"]

LOWEST_DENSITY = 1e-6
"""
Least probability density, per unit of redshift, that a log score counts. A redshift that a PDF excludes costs 13.8 in
natural logarithm, and not infinity: one such galaxy does not decide the mean.
"""

_BLOCK = 8192  # galaxies scored at once: the score of a PDF takes several arrays of its size


class Scores(NamedTuple):
    """
    Scores of N galaxies. What is not known, such as the PIT of estimates without PDFs, is None.

    Parameters
    ----------
    deviation : `~numpy.ndarray` (N,)
        See `deviation`; the estimate is the mean of the PDF.
    crps : `~numpy.ndarray` (N,), optional
        Continuous ranked probability score: see `astro_photz.RedshiftPDF.crps`.
    pit : `~numpy.ndarray` (N,), optional
        Cumulative probability at the true redshift: see `astro_photz.RedshiftPDF.pit`.
    log_score : `~numpy.ndarray` (N,), optional
        Natural logarithm of the probability density at the true redshift, at least that of `LOWEST_DENSITY`.
    cde_loss : `~numpy.ndarray` (N,), optional
        Integral of the squared density, less twice the density at the true redshift.
    within68, within95 : `~numpy.ndarray` (N,), optional
        1 where the true redshift lies in the central interval of 68 or 95 %, and 0 elsewhere.

    Examples
    --------
    >>> from astro_photz import RedshiftPDF
    >>> from astro_photz.metrics import score
    >>> pdf = RedshiftPDF([[0.1, 0.6, 0.3], [0.0, 0.2, 0.8]], [0.0, 0.1, 0.2, 0.3])
    >>> scores = score(pdf, [0.15, 0.28])
    >>> scores.pit.round(2)
    array([0.4 , 0.84])
    >>> scores.of([1]).pit.round(2)
    array([0.84])
    """

    deviation: np.ndarray
    crps: np.ndarray | None = None
    pit: np.ndarray | None = None
    log_score: np.ndarray | None = None
    cde_loss: np.ndarray | None = None
    within68: np.ndarray | None = None
    within95: np.ndarray | None = None

    def of(self, rows: np.ndarray) -> "Scores":
        """
        Scores of some of the galaxies.

        Parameters
        ----------
        rows : `~numpy.ndarray` (M,) of int, or (N,) of bool

        Returns
        -------
        `Scores` (M,)
        """
        return Scores._make(None if values is None else values[rows] for values in self)

    @property
    def unknown(self) -> np.ndarray:
        """Mask of the galaxies with a score that is NaN, `~numpy.ndarray` (N,) bool."""
        return np.any([np.isnan(values) for values in self if values is not None], axis=0)

    @classmethod
    def concatenate(cls, parts: Iterable["Scores"]) -> "Scores":
        """
        Join the scores of several samples.

        Parameters
        ----------
        parts : iterable of `Scores`
            All with the same scores known.

        Returns
        -------
        `Scores`
        """
        columns = zip(*parts, strict=True)
        return cls._make(None if column[0] is None else np.concatenate(column) for column in columns)


def score(pdf: RedshiftPDF, redshift: ArrayLike) -> Scores:
    """
    Score each PDF by the true redshift.

    Parameters
    ----------
    pdf : `~astro_photz.RedshiftPDF` (N,)
    redshift : array_like (N,)

    Returns
    -------
    `Scores` (N,)

    Raises
    ------
    TypeError, ValueError
        If ``redshift`` holds no real numbers, or not one for each PDF.

    Notes
    -----
    The density is constant within a bin: the integral of its square is the sum of ``p**2 / width``, exactly. Beyond the
    grid it is zero.

    Examples
    --------
    >>> from astro_photz import RedshiftPDF
    >>> from astro_photz.metrics import score, summary
    >>> pdf = RedshiftPDF([[0.25, 0.5, 0.25]] * 3, [0.0, 0.1, 0.2, 0.3])
    >>> summary(score(pdf, [0.15, 0.15, 0.15]))["bias"]
    0.0
    >>> score(pdf, [0.15, 0.05, 0.35]).cde_loss  # the square is 3.75; the density 5, 2.5 and 0
    array([-6.25, -1.25,  3.75])
    """
    redshift = filled(redshift, name="redshift")
    if redshift.shape != (len(pdf),):
        raise ValueError(f"redshift must have the shape ({len(pdf)},), a number for each PDF; got {redshift.shape}")
    if len(pdf) <= _BLOCK:
        return _score(pdf, redshift)
    blocks = [slice(start, start + _BLOCK) for start in range(0, len(pdf), _BLOCK)]
    return Scores.concatenate([_score(pdf[block], redshift[block]) for block in blocks])


def _score(pdf, redshift):
    density = pdf.density(redshift)
    square = (pdf.p**2 / pdf.widths).sum(axis=1)
    log_score = np.log(np.maximum(density, LOWEST_DENSITY))
    return Scores(
        deviation(pdf.mean(), redshift), pdf.crps(redshift), pdf.pit(redshift), log_score, square - 2 * density
    )


def score_gaussian(z_phot: ArrayLike, error: ArrayLike, redshift: ArrayLike) -> Scores:
    """
    Score estimates with errors as Gaussian PDFs, which are not cut off at a redshift of zero.

    Parameters
    ----------
    z_phot, error : array_like (N,)
        Mean and standard deviation, the latter above 0.
    redshift : array_like (N,)
        True redshift.

    Returns
    -------
    `Scores` (N,)

    Raises
    ------
    TypeError
        If one of the columns holds no real numbers.
    ValueError
        If an error is 0 or negative, there is no galaxy, or the shapes differ.

    Notes
    -----
    The CRPS is that of Gneiting & Raftery (2007), equation 21. The integral of the squared density is
    ``1 / (2 sqrt(pi) error)``.

    Examples
    --------
    >>> from astro_photz.metrics import score_gaussian
    >>> scores = score_gaussian([0.10, 0.12], [0.02, 0.02], [0.10, 0.10])
    >>> scores.pit.round(3), scores.crps.round(4)
    (array([0.5  , 0.159]), array([0.0047, 0.012 ]))
    """
    from scipy.special import ndtr

    z_phot, error, redshift = one_each(z_phot=z_phot, error=error, redshift=redshift)
    if (error <= 0).any():
        raise ValueError(f"error must be above 0 in every row; {np.count_nonzero(error <= 0)} are not")
    off = (redshift - z_phot) / error
    pit = ndtr(off)
    density = np.exp(-0.5 * off**2) / (np.sqrt(2 * np.pi) * error)
    crps = error * (off * (2 * pit - 1) + 2 * error * density - 1 / np.sqrt(np.pi))
    square = 1 / (2 * np.sqrt(np.pi) * error)
    log_score = np.log(np.maximum(density, LOWEST_DENSITY))
    return Scores(deviation(z_phot, redshift), crps, pit, log_score, square - 2 * density)


def deviation(z_phot: ArrayLike, redshift: ArrayLike) -> np.ndarray:
    """
    Deviation of estimates in units of 1 + z: Δz = (z_phot - z) / (1 + z).

    Parameters
    ----------
    z_phot, redshift : array_like (N,)
        Estimated and true; columns of a table may be masked.

    Returns
    -------
    `~numpy.ndarray` (N,)
        NaN where one of them is masked.

    Raises
    ------
    TypeError, ValueError
        If one holds no real numbers, or their shapes differ.

    Examples
    --------
    >>> from astro_photz.metrics import deviation
    >>> deviation([0.21, 0.1], [0.1, 0.1]).round(6)
    array([0.1, 0. ])
    """
    z_phot, redshift = filled(z_phot, name="z_phot"), filled(redshift, name="redshift")
    if z_phot.shape != redshift.shape and z_phot.ndim and redshift.ndim:
        raise ValueError(f"redshift must have the shape {z_phot.shape}, like z_phot; got {redshift.shape}")
    with np.errstate(all="ignore"):  # of infinite ones, whose deviation is NaN
        return (z_phot - redshift) / (1 + redshift)
