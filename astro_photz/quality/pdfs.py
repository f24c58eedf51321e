# Licensed under a 3-clause BSD style license - see LICENSE
"""
Flags from PDFs: redshifts that may lie beyond what the model knows, or that are two redshifts in one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from astro_photz.flags import PhotozFlag

if TYPE_CHECKING:
    from collections.abc import Mapping

    from astro_photz.pdf import RedshiftPDF

__all__ = ["flag_pdfs", "is_bimodal", "leans_on_end"]

# Of the galaxies that the bundled model validates itself on, 1.3 % have more of their PDF beyond.
_MOST_BEYOND = 0.12
_VALLEY = 0.5  # the density between two peaks, at most, in units of the lower one
_LEAST_WEIGHT = 0.15  # of the PDF in the lower peak
_FAR = 0.04  # in units of 1 + z


def flag_pdfs(pdf: RedshiftPDF) -> np.ndarray:
    """
    Flag PDFs whose redshift is doubtful.

    Parameters
    ----------
    pdf : `~astro_photz.RedshiftPDF` (N,)

    Returns
    -------
    flags : `~numpy.ndarray` (N,) int32
        ``GRID_EDGE`` where the PDF peaks in the last bin; ``BIMODAL`` where it has two peaks (`is_bimodal`). A row of
        NaN has none.

    Examples
    --------
    >>> from astro_photz import RedshiftPDF, flags
    >>> from astro_photz.quality.pdfs import flag_pdfs
    >>> pdf = RedshiftPDF([[0.1, 0.8, 0.1, 0.0], [0.0, 0.1, 0.2, 0.7]], edges=[0.0, 0.1, 0.2, 0.3, 0.4])
    >>> [flags.names(value) for value in flag_pdfs(pdf)]
    [[], ['GRID_EDGE']]
    """
    flags = np.zeros(len(pdf), dtype=np.int32)
    flags[pdf.mode() > pdf.edges[-2]] |= PhotozFlag.GRID_EDGE
    flags[is_bimodal(pdf)] |= PhotozFlag.BIMODAL
    return flags


def leans_on_end(pdf: RedshiftPDF, training_range: Mapping[str, Any] | None) -> np.ndarray:
    """
    Tell whether PDFs have much of their probability beyond the redshifts of the training.

    Parameters
    ----------
    pdf : `~astro_photz.RedshiftPDF` (N,)
    training_range : mapping or None
        ``"redshift"``: lowest and highest redshift of 99 % of the galaxies that the model was trained on.

    Returns
    -------
    `~numpy.ndarray` (N,) of bool
        Whether more than 0.12 of it is beyond the highest redshift; False where that is not known.

    Examples
    --------
    >>> from astro_photz import RedshiftPDF
    >>> from astro_photz.quality.pdfs import leans_on_end
    >>> pdf = RedshiftPDF([[0.1, 0.8, 0.1, 0.0], [0.1, 0.2, 0.4, 0.3]], edges=[0.0, 0.1, 0.2, 0.3, 0.4])
    >>> leans_on_end(pdf, {"redshift": [0.0, 0.3]})
    array([False,  True])
    """
    if not training_range or "redshift" not in training_range:
        return np.zeros(len(pdf), dtype=bool)
    return 1 - pdf.cdf(np.full(len(pdf), training_range["redshift"][1])) > _MOST_BEYOND


def is_bimodal(pdf: RedshiftPDF) -> np.ndarray:
    """
    Tell whether PDFs have two peaks of weight, far apart.

    Parameters
    ----------
    pdf : `~astro_photz.RedshiftPDF` (N,)

    Returns
    -------
    `~numpy.ndarray` (N,) of bool
        Whether a second peak lies more than 0.04 (1 + z) from the highest one, holds at least 0.15 of the probability,
        and is twice as high as the lowest density between the two.

    Examples
    --------
    >>> from astro_photz import RedshiftPDF
    >>> from astro_photz.quality.pdfs import is_bimodal
    >>> edges = [0.0, 0.1, 0.2, 0.3, 0.4]
    >>> is_bimodal(RedshiftPDF([[0.5, 0.1, 0.4, 0.0], [0.1, 0.5, 0.3, 0.1]], edges))
    array([ True, False])
    """
    # Most have no weight far from their highest peak, and are looked at no further.
    highest = pdf.grid[np.nan_to_num(pdf.p / pdf.widths).argmax(axis=1)]
    distance = _FAR * (1 + highest)
    far = np.flatnonzero(1 - pdf.cdf(highest + distance) + pdf.cdf(highest - distance) >= _LEAST_WEIGHT)
    density, weight = pdf.p[far] / pdf.widths, pdf.p[far]
    peak, last = density.argmax(axis=1), len(pdf.grid) - 1
    result = np.zeros(len(pdf), dtype=bool)
    # The same to either side: for lower redshifts, the grid is mirrored.
    result[far] = _has_second_peak(density, weight, peak, pdf.grid)
    result[far] |= _has_second_peak(density[:, ::-1], weight[:, ::-1], last - peak, pdf.grid[::-1])
    return result


def _has_second_peak(density, weight, highest, grid):
    """Tell whether there is a second peak at larger columns than that of the highest one."""
    n, bins = density.shape
    rows, columns = np.arange(n), np.arange(bins)
    after = columns >= highest[:, None]
    lowest = np.minimum.accumulate(np.where(after, density, np.inf), axis=1)
    far = after & (np.abs(grid - grid[highest][:, None]) > _FAR * (1 + grid[highest][:, None]))
    second = np.where(far & (lowest < _VALLEY * density), density, 0)
    place = second.argmax(axis=1)
    valley = lowest[rows, place]
    # The second peak begins where the density last is as low as in the valley.
    begin = np.where(after & (columns <= place[:, None]) & (density <= valley[:, None]), columns, 0).max(axis=1)
    held = np.where(columns >= begin[:, None], weight, 0).sum(axis=1)
    return (second[rows, place] > 0) & (held >= _LEAST_WEIGHT)
