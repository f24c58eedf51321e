# Licensed under a 3-clause BSD style license - see LICENSE
"""
Find stamps and labels that nothing can be learnt from, before a training begins.
"""

import numpy as np

from astro_photz.cutouts.missing import impossible

from .stamps import Stamps

__all__ = ["check_pixels", "check_stamps"]


def check_stamps(path, *, labelled=True, size=64, z_max=0.4):
    """
    Refuse a file of stamps that nothing can be trained on.

    Parameters
    ----------
    path : str or path-like
        HDF5 file of stamps; see `Stamps`.
    labelled : bool, optional
        Whether redshifts are needed.
    size : int, optional
        Side (pixels) that the stamps must have at least.
    z_max : float, optional
        End of the redshift bins.

    Raises
    ------
    OSError
        If there is no such file, or it is not HDF5.
    ValueError
        If a data set is missing; a redshift is NaN, negative or beyond the bins; an E(B-V) is not finite; stamps are
        smaller than needed or not square; or a stamp has no pixel with data, or an impossible value at its centre.
    """
    check_pixels(Stamps(path, labelled=labelled, size=size, z_max=z_max))


def check_pixels(stamps):
    """
    Refuse stamps without an image.

    Parameters
    ----------
    stamps : `Stamps`

    Raises
    ------
    ValueError
        If a stamp has no pixel with data, or an impossible value at its centre.
    """
    wrong = impossible(stamps.centres()).any(axis=(1, 2, 3))
    if wrong.any():
        raise ValueError(
            f"{stamps.path}: {wrong.sum()} stamps have values that no sky has, such as -9999, the first in row "
            f"{stamps.rows[np.argmax(wrong)]}: put NaN where there is no data"
        )
    empty = stamps.without_image()
    if len(empty):
        raise ValueError(
            f"{stamps.path}: {len(empty)} stamps have no image, only NaN or a constant, the first in row {empty[0]}: "
            "leave them out of the file (missing pixels, or a missing band, are no harm)"
        )
