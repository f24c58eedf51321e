# Licensed under a 3-clause BSD style license - see LICENSE
"""
The redshift PDF.

Within a bin the probability density is constant, so the cumulative distribution is a chain of straight lines: every
number here is exact for that distribution.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from importlib import import_module
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike

from ._given import check_half_width, check_level, levels, random_levels, redshifts
from ._html import html_of
from ._integrals import cdf_at, crps, density_at, draws, normalised, quantiles
from ._rows import check_one_grid, index_of
from .columns import pdf_column, read_pdfs
from .grids import expand_edges, shown_grid

if TYPE_CHECKING:
    from astropy.table import MaskedColumn

__all__ = ["RedshiftPDF"]


class RedshiftPDF:
    """
    Probability densities of the redshifts of N galaxies, on one grid of bins.

    It is a sequence of galaxies: an index, a slice, a mask or an array of rows gives a RedshiftPDF of those, and each
    turn of a loop one of a single galaxy. Two are equal if all their numbers are.

    Parameters
    ----------
    p : array_like (N, K) or (K,)
        Probability in each bin; each row sums to 1. A row of NaN is a galaxy without an estimate.
    edges : array_like (K + 1,), or dict
        Increasing edges of the bins in redshift; or ``start``, ``stop`` and ``num``, as `numpy.linspace` takes them and
        the meta of a table holds them.

    Raises
    ------
    TypeError
        If ``p`` or ``edges`` are no real numbers.
    ValueError
        If the shapes do not match, the edges are not finite or do not increase, or a row is negative or does not sum to
        1. A row with a NaN in it is one without an estimate.

    Methods raise the same two for arguments: a TypeError for what is no number, a ValueError for a number out of its
    range and for another shape. An index of rows that are not there is an IndexError.

    Examples
    --------
    >>> from astro_photz import RedshiftPDF
    >>> pdf = RedshiftPDF([[0.1, 0.6, 0.3, 0.0]], [0.0, 0.1, 0.2, 0.3, 0.4])
    >>> pdf.mean().round(3), pdf.mode().round(3)
    (array([0.17]), array([0.15]))
    >>> pdf.quantile([0.5]).round(4)
    array([[0.1667]])
    >>> pdf[0] == pdf
    True
    """

    def __init__(self, p: ArrayLike, edges: ArrayLike | Mapping[str, float]):
        self.edges = expand_edges(edges)
        self.p, self._cdf = normalised(p, self.edges)

    @classmethod
    def from_table(
        cls, table: Any, prefix: str = "z_phot", *, edges: ArrayLike | Mapping[str, float] | None = None
    ) -> RedshiftPDF:
        """
        Take the PDFs out of a table, or out of a column.

        Parameters
        ----------
        table : `~astropy.table.Table`, `pandas.DataFrame`, or column (N, K)
            As `~astro_photz.predict` returns it with ``pdf=True``, also after it was in a file; or a column of PDFs,
            such as ``table["z_phot_pdf"]``. Masked rows are galaxies without an estimate.
        prefix : str, optional
            The PDFs are in the column ``{prefix}_pdf``.
        edges : array_like (K + 1,), optional
            Edges of the bins, if the table does not tell them.

        Returns
        -------
        `RedshiftPDF` (N,)

        Raises
        ------
        TypeError
            If it is a path, or has no columns.
        KeyError
            If there is no such column; the message says which others there are.
        ValueError
            If nothing tells the edges, they make no grid, or the column does not hold probabilities of such bins.

        Examples
        --------
        >>> from astropy.table import Table
        >>> from astro_photz import RedshiftPDF
        >>> pdf = RedshiftPDF([[0.1, 0.6, 0.3, 0.0]], [0.0, 0.1, 0.2, 0.3, 0.4])
        >>> table = Table({"mine_pdf": pdf.to_column()})
        >>> RedshiftPDF.from_table(table, "mine")
        <RedshiftPDF of 1 galaxies, 4 bins on 0 to 0.4>
        """
        name, p, edges = read_pdfs(table, prefix, edges)
        try:
            return cls(p, edges)
        except (ValueError, TypeError) as error:
            raise ValueError(f"column {name!r}: {error}") from None

    @classmethod
    def concatenate(cls, parts: Iterable[RedshiftPDF]) -> RedshiftPDF:
        """
        Join the galaxies of several RedshiftPDFs, one behind the other.

        Parameters
        ----------
        parts : iterable of `RedshiftPDF`
            At least one; all on the same grid.

        Returns
        -------
        `RedshiftPDF`

        Raises
        ------
        ValueError
            If there is none, or the grids differ.
        """
        parts = list(parts)
        check_one_grid(parts)
        p, cdf = (np.concatenate([getattr(part, name) for part in parts]) for name in ("p", "_cdf"))
        return cls._of(p, cdf, parts[0].edges)

    @classmethod
    def _of(cls, p, cdf, edges):
        made = cls.__new__(cls)  # nothing is normalised again: a selection keeps the bits of the numbers
        made.p, made._cdf, made.edges = p, cdf, edges
        return made

    def __len__(self) -> int:
        return len(self.p)

    def __getitem__(self, rows: Any) -> RedshiftPDF:
        index = index_of(rows, len(self))
        return self._of(self.p[index], self._cdf[index], self.edges)

    def __iter__(self) -> Iterator[RedshiftPDF]:
        return (self[row] for row in range(len(self)))

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, RedshiftPDF):
            return NotImplemented
        return np.array_equal(self.edges, other.edges) and np.array_equal(self.p, other.p, equal_nan=True)

    __hash__ = None  # type: ignore[assignment]  # arrays can change
    __array_ufunc__ = None  # an array compares itself with the whole, and not with each galaxy

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        return np.array(self.p, dtype=dtype, copy=copy)

    def __repr__(self) -> str:
        return f"<RedshiftPDF of {len(self)} galaxies, {shown_grid(self.edges)}>"

    def _repr_html_(self) -> str:
        return html_of(self)

    def to_column(self) -> MaskedColumn:
        """
        Make a column for a table, which `from_table` reads back, also out of a file.

        Returns
        -------
        `~astropy.table.MaskedColumn` (N, K) float32
            Galaxies without an estimate are masked. Its meta holds the grid.
        """
        return pdf_column(self.p, self.edges)

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
        """Standard deviation, the finite width of the bins included, `~numpy.ndarray` (N,)."""
        within = self.widths**2 / 12
        variance = self.p @ (self.grid**2 + within) - self.mean() ** 2
        return np.sqrt(np.maximum(variance, self.p @ within))  # where bins are narrow, rounding may take more away

    def mode(self) -> np.ndarray:
        """
        Centre of the bin with the largest density; NaN for a row of NaN.

        Returns
        -------
        `~numpy.ndarray` (N,)
        """
        density = self.p / self.widths
        highest = np.argmax(np.where(np.isnan(density), 0, density), axis=1)
        return np.where(np.isnan(density).any(axis=1), np.nan, self.grid[highest])

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
        return cdf_at(self.p, self._cdf, self.edges, redshifts(z, len(self)))

    def density(self, z: ArrayLike) -> np.ndarray:
        """
        Probability density at ``z``.

        Parameters
        ----------
        z : array_like (N,) or scalar
            Redshift of each galaxy.

        Returns
        -------
        `~numpy.ndarray` (N,)
            Per unit of redshift; 0 beyond the grid. An edge belongs to the bin above it, the last one to the last bin.

        Examples
        --------
        >>> from astro_photz import RedshiftPDF
        >>> RedshiftPDF([[0.2, 0.8]], [0.0, 0.1, 0.2]).density(0.15)
        array([8.])
        """
        return density_at(self.p, self.edges, redshifts(z, len(self)))

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
        return quantiles(self.p, self._cdf, self.edges, levels(q))

    def median(self) -> np.ndarray:
        """Median redshift, `~numpy.ndarray` (N,)."""
        return self.quantile([0.5])[:, 0]

    def interval(self, level: float) -> np.ndarray:
        """
        Central interval: as much probability lies below it as above it.

        It contains the median, and not always the mode: of a PDF with two peaks it may end between them.

        Parameters
        ----------
        level : float
            Probability in the interval, such as 0.68.

        Returns
        -------
        `~numpy.ndarray` (N, 2)
            Lower and upper end.

        Examples
        --------
        >>> from astro_photz import RedshiftPDF
        >>> RedshiftPDF([[0.5, 0.5]], [0.0, 0.1, 0.2]).interval(0.5).round(3)
        array([[0.05, 0.15]])
        """
        check_level(level)
        return self.quantile([(1 - level) / 2, (1 + level) / 2])

    def sample(self, n: int, *, rng: np.random.Generator | int | None = None) -> np.ndarray:
        """
        Draw redshifts from each PDF.

        Parameters
        ----------
        n : int
            Number of redshifts of each galaxy.
        rng : `~numpy.random.Generator` or int, optional
            Source of random numbers, or a seed.

        Returns
        -------
        `~numpy.ndarray` (N, n)
            NaN for a galaxy without an estimate.

        Examples
        --------
        >>> from astro_photz import RedshiftPDF
        >>> z = RedshiftPDF([[0.0, 1.0]], [0.0, 0.1, 0.2]).sample(1000, rng=0)
        >>> z.shape, bool((z >= 0.1).all()), z.mean().round(2)
        ((1, 1000), True, np.float64(0.15))
        """
        return draws(self.p, self._cdf, self.edges, random_levels(len(self), n, rng))

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
        check_half_width(half_width)
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
        z = redshifts(z, len(self))
        return crps(self._cdf, self.edges, z, self.cdf(z))

    def plot(self, ax: Any = None, **options: Any) -> Any:
        """
        Draw the PDFs.

        Parameters
        ----------
        ax : `~matplotlib.axes.Axes`, optional
        **options
            As ``plot_pdf`` of ``astro_photz.plots`` takes them.

        Returns
        -------
        `~matplotlib.axes.Axes`
        """
        # The room of plots lies above this one, and is there when a user asks to draw.
        return import_module("astro_photz.plots").plot_pdf(self, ax=ax, **options)
