# Licensed under a 3-clause BSD style license - see LICENSE
"""
Rows of a file to learn from and rows that are held out.
"""

import numpy as np

__all__ = ["FEWEST", "held_out", "split_rows"]

FEWEST = 100
"""Least number of galaxies for a calibration."""


def held_out(n):
    """
    Choose the number of galaxies of a sample that are held out to calibrate with.

    Parameters
    ----------
    n : int
        Of the sample.

    Returns
    -------
    int

    Raises
    ------
    ValueError
        If nothing would be left to learn from.

    Examples
    --------
    >>> from astro_photz.train.data.splits import held_out
    >>> held_out(300), held_out(5000)
    (100, 1000)
    """
    if n < 2 * FEWEST:
        raise ValueError(
            f"{n} galaxies are too few: without a file for validation, {FEWEST} are held out to calibrate with, and as "
            "many at least must be left to learn from"
        )
    return max(FEWEST, n // 5)


def split_rows(n_rows, *, n=None, held_out=0, learn=True, groups=None, seed=0, path=None):
    """
    Choose rows of a file: those to learn from, or those that are held out.

    Parameters
    ----------
    n_rows : int
        Of the file.
    n : int, optional
        Number of rows to choose: the first of an order that the seed draws. All, in their order, by default.
    held_out : int, optional
        Number of rows that are held out: the first of that order, with all rows of their groups.
    learn : bool, optional
        Whether to choose among the rows to learn from, or those held out.
    groups : `~numpy.ndarray` (n_rows,), optional
        Rows with the same number stay together.
    seed : int, optional
    path : path-like, optional
        The file, for the message.

    Returns
    -------
    `~numpy.ndarray` of int

    Raises
    ------
    ValueError
        If there are fewer than ``n``.
    """
    if n is None and not held_out:
        return np.arange(n_rows)
    order = np.random.default_rng(seed).permutation(n_rows)
    aside = _set_aside(order if groups is None else groups[order], held_out)
    order = order[~aside] if learn else order[aside]
    n = len(order) if n is None else n
    if not 1 <= n <= len(order):
        besides = f", besides {aside.sum()} that are held out" if held_out and learn else ""
        raise ValueError(f"n must be from 1 to the {len(order)} galaxies of {path}{besides}, got {n}")
    return order[:n]


def _set_aside(groups, at_least):
    """Mask of the rows in the first groups that together hold at least so many rows."""
    _, first, inverse, counts = np.unique(groups, return_index=True, return_inverse=True, return_counts=True)
    by_place = np.argsort(first)
    before = np.empty_like(counts)
    before[by_place] = np.cumsum(counts[by_place]) - counts[by_place]
    return before[inverse] < at_least
