# Licensed under a 3-clause BSD style license - see LICENSE
"""
GalSim as the oracle of the renderer: galaxies of bulge, disc and clumps drawn by it, and how two drawings differ.

Everything is GalSim's own: de Vaucouleurs', exponential, Gaussian and Sersic profiles, sheared and moved, and a
point-spread function of two Gaussians. That is the effective one, with the response of the pixels in it, as in the
survey's own description of it (psField); hence ``drawImage`` without a pixel of its own.
"""

from typing import NamedTuple

import galsim
import numpy as np
from astropy.stats import gaussian_fwhm_to_sigma

from astro_photz.sdss import PIXEL_SCALE
from astro_photz.simulate.camera.conditions import draw_conditions
from astro_photz.simulate.population.draw import draw_population
from astro_photz.simulate.render.profiles import PROFILES
from astro_photz.simulate.scene.targets import draw_targets

__all__ = ["TIGHT", "Difference", "compare", "draw", "random_galaxies"]

TIGHT = galsim.GSParams(folding_threshold=1e-4, kvalue_accuracy=1e-6, maxk_threshold=1e-4, maximum_fft_size=2**15)
"""Parameters that make GalSim ten times more exact than by default: what folds over, and where transforms end."""

_SHAPES = {
    "devaucouleurs": galsim.DeVaucouleurs,
    "exponential": galsim.Exponential,
    "gaussian": galsim.Gaussian,
    "sersic": galsim.Sersic,
}


def random_galaxies(n, rng, *, size=64, sersic=0.0):
    """
    Galaxies such as a simulated sky holds: bulges, discs and clumps.

    Parameters
    ----------
    n : int
    rng : `~numpy.random.Generator`
    size : int, optional
        Side of the images whose middle they are in (pixels).
    sersic : float, optional
        Share of the galaxies that are of the second family of shapes, with profiles of any index.

    Returns
    -------
    components : `~astro_photz.simulate.render.components.Components` (M,)
    conditions : `~astro_photz.simulate.camera.conditions.Conditions` (n,)
    """
    xy = (size - 1) / 2 + rng.uniform(-0.5, 0.5, (n, 2))
    components, _ = draw_targets(draw_population(n, rng), rng, xy, sersic=sersic)
    return components, draw_conditions(n, rng)


def draw(components, conditions, *, size=64, params=None):
    """
    Have GalSim draw galaxies.

    Parameters
    ----------
    components : `~astro_photz.simulate.render.components.Components` (M,)
    conditions : `~astro_photz.simulate.camera.conditions.Conditions` (N,)
    size : int, optional
        Side of the images (pixels).
    params : ``galsim.GSParams``, optional
        How exactly.

    Returns
    -------
    `~numpy.ndarray` (N, 5, size, size)
    """
    n = len(conditions.psf_fwhm)
    images = np.zeros((n, 5, size, size))
    for scene in range(n):
        rows = np.flatnonzero(components.scene == scene)
        for band in range(5):
            galaxy = galsim.Sum([_shape(components, row, band, size, params) for row in rows])
            seen = galsim.Convolve(galaxy, _psf(conditions, scene, band, params), gsparams=params)
            seen = seen.shift(*conditions.shift[scene, band])
            seen.drawImage(galsim.ImageD(images[scene, band], scale=1.0), method="no_pixel")
    return images


def _shape(components, row, band, size, params):
    # GalSim's half-light radius is that of the circle as large; ours lies along the major axis.
    axis_ratio, middle = components.axis_ratio[row], (size - 1) / 2
    radius = components.radius[row] * np.sqrt(axis_ratio)
    name, own = PROFILES[components.profile[row]], {}
    if name == "sersic":
        own["n"] = components.sersic_index[row]
    flux = components.flux[row, band]
    shape = _SHAPES[name](half_light_radius=radius, flux=flux, gsparams=params, **own)
    sheared = shape.shear(q=axis_ratio, beta=components.angle[row] * galsim.radians)
    return sheared.shift(components.x[row] - middle, components.y[row] - middle)


def _psf(conditions, scene, band, params):
    """A core, and wings of given width and central height relative to it."""
    sigma = conditions.psf_fwhm[scene, band] * gaussian_fwhm_to_sigma / PIXEL_SCALE
    width, height = conditions.psf_wings[scene, band]
    core = galsim.Gaussian(sigma=sigma, gsparams=params)
    wings = galsim.Gaussian(sigma=sigma * width, flux=height * width**2, gsparams=params)
    return galsim.Sum([core, wings]).withFlux(1)


class Difference(NamedTuple):
    """Differences between images (..., S, S): each an array (...)."""

    residual: np.ndarray
    """Largest difference in any pixel, as a fraction of the peak."""

    flux: np.ndarray
    """Difference of the sums, as a fraction."""

    moments: np.ndarray
    """Largest of the three second moments, as a fraction of the mean square radius along an axis."""


def compare(images, truth):
    """
    Compare images with the right ones.

    Parameters
    ----------
    images, truth : array_like (..., S, S)

    Returns
    -------
    `Difference` of `~numpy.ndarray` (...)
    """
    images, truth = np.asarray(images, dtype=float), np.asarray(truth, dtype=float)
    moments, true_moments = _second_moments(images), _second_moments(truth)
    size = (true_moments[0] + true_moments[1]) / 2
    return Difference(
        residual=np.abs(images - truth).max(axis=(-2, -1)) / truth.max(axis=(-2, -1)),
        flux=np.abs(images.sum(axis=(-2, -1)) / truth.sum(axis=(-2, -1)) - 1),
        moments=np.abs(moments - true_moments).max(axis=0) / size,
    )


def _second_moments(images):
    """Moments (3, ...) xx, yy and xy of all the light about its centre."""
    rows, columns = np.indices(images.shape[-2:], dtype=float)
    weight = images / images.sum(axis=(-2, -1), keepdims=True)

    def mean(values):
        return (weight * values).sum(axis=(-2, -1), keepdims=True)

    dx, dy = columns - mean(columns), rows - mean(rows)
    return np.stack([mean(product)[..., 0, 0] for product in (dx * dx, dy * dy, dx * dy)])
