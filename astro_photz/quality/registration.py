# Licensed under a 3-clause BSD style license - see LICENSE
"""
Registration of the bands: whether all of them show a galaxy at one place.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from .measurements import Measurements

__all__ = ["displacement", "is_misaligned"]

# How far the centroids of the bands of real galaxies lie apart (pixels): colours differ from place to place in them,
# and astrometry and refraction add a tenth of a pixel.
_INTRINSIC = 0.3
# Seven in a thousand of the simulated galaxies that validate the bundled model have a larger significance.
_SIGNIFICANT = 3.3


def is_misaligned(measurements: Measurements) -> np.ndarray:
    """
    Tell whether a band shows the galaxy elsewhere than the others do.

    Parameters
    ----------
    measurements : `~astro_photz.quality.measurements.Measurements` (N,)

    Returns
    -------
    `~numpy.ndarray` (N,) of bool
    """
    _, significance = displacement(measurements)
    return np.any(significance > _SIGNIFICANT, axis=1)


def displacement(measurements: Measurements) -> tuple[np.ndarray, np.ndarray]:
    """
    Measure how far each band lies from the other four.

    Parameters
    ----------
    measurements : `~astro_photz.quality.measurements.Measurements` (N,)

    Returns
    -------
    distance : `~numpy.ndarray` (N, 5)
        From the centroid of a band to the mean of the others', weighted by their errors (pixels), under the wider
        Gaussian of the measurements; NaN where there is no light.
    significance : `~numpy.ndarray` (N, 5)
        The distance over its error, which is 0.3 pixels at least, since galaxies have colours that differ from place
        to place: the geometric mean of that under both Gaussians, so that a neighbour in the reach of the wider one
        alone does not count much. 0 where there is no light.

    Examples
    --------
    >>> from astro_photz.quality.measurements import measure
    >>> from astro_photz.quality.registration import displacement
    >>> from astro_photz.testing.factories import gaussian_cutouts
    >>> cutouts = gaussian_cutouts(1)
    >>> cutouts.flux[:, 3] = cutouts.flux[:, 3, :, [*range(3, 64), 0, 1, 2]].transpose(1, 2, 0)
    >>> distance, _ = displacement(measure(cutouts))
    >>> float(distance[0, 3].round())
    3.0
    """
    error = np.hypot(measurements.centroid_error, _INTRINSIC)
    weight = 1 / np.square(error)
    weighted = np.nan_to_num(measurements.centroid) * weight[..., None]
    others = weight.sum(axis=1, keepdims=True) - weight
    with np.errstate(divide="ignore", invalid="ignore"):
        mean = (weighted.sum(axis=1, keepdims=True) - weighted) / others[..., None]
        distance = np.linalg.norm(measurements.centroid - mean, axis=-1)
        significance = np.nan_to_num(distance / np.sqrt(1 / weight + 1 / others))
    return distance[..., -1], np.sqrt(significance.prod(axis=-1))
