# Licensed under a 3-clause BSD style license - see LICENSE
"""
Small factories of images.
"""

from __future__ import annotations

import numpy as np
from astropy.coordinates import SkyCoord
from numpy.typing import ArrayLike

from astro_photz.cutouts import Cutouts

__all__ = ["SKY_RMS", "gaussian_cutouts"]

SKY_RMS = (0.035, 0.014, 0.024, 0.04, 0.14)
"""Typical noise of a pixel in *ugriz* (nanomaggies)."""


def gaussian_cutouts(
    n: int,
    *,
    size: int = 64,
    seed: int = 0,
    r_mag: tuple[float, float] = (16.0, 17.8),
    ebv: ArrayLike = 0.03,
    noise: bool = True,
) -> Cutouts:
    """
    Stamps of isolated round galaxies with the colours of galaxies, in typical noise.

    Parameters
    ----------
    n : int
    size : int, optional
        Side of a stamp (pixels).
    seed : int, optional
        Another seed makes other galaxies, at other places on the sky.
    r_mag : tuple of float, optional
        Range of *r* magnitudes.
    ebv : float or array_like (n,), optional
        E(B-V) (mag). It is noted only: the light is not reddened by it.
    noise : bool, optional

    Returns
    -------
    `~astro_photz.Cutouts` (n,)

    Examples
    --------
    >>> from astro_photz import photometry, testing
    >>> cutouts = testing.gaussian_cutouts(3, r_mag=(16.0, 16.5))
    >>> cutouts
    <Cutouts of 3 galaxies, 5 x 64 x 64 pixels>
    >>> photometry.r_magnitude(photometry.aperture_flux(cutouts.flux)[:, 2], cutouts.ebv).round(1)
    array([16.3, 16.1, 16. ], dtype=float32)
    """
    rng = np.random.default_rng(seed)
    r = rng.uniform(*r_mag, n)
    u_g, g_r, r_i, i_z = rng.normal((1.6, 0.8, 0.4, 0.3), 0.08, (n, 4)).T
    total = 10 ** (0.4 * (22.5 - np.stack([r + g_r + u_g, r + g_r, r, r - r_i, r - r_i - i_z], axis=1)))
    xy = (size - 1) / 2 + rng.uniform(-0.5, 0.5, (n, 2))
    sigma = rng.uniform(2.0, 4.0, n)
    pixels = np.arange(size)
    profile = np.exp(-0.5 * ((pixels - xy[..., None]) / sigma[:, None, None]) ** 2)  # (n, 2, size)
    profile /= np.sqrt(2 * np.pi) * sigma[:, None, None]
    flux = np.einsum("nb,ny,nx->nbyx", total, profile[:, 1], profile[:, 0])
    if noise:
        flux += rng.normal(0, 1, flux.shape) * np.reshape(SKY_RMS, (5, 1, 1))
    coord = SkyCoord((150 + np.arange(n) / 60) % 360, np.full(n, 2.0 + seed % 1000 / 20), unit="deg")
    return Cutouts(flux, ebv=ebv, coord=coord, target_xy=xy)
