# Licensed under a 3-clause BSD style license - see LICENSE
"""
Photometry as a catalogue lists it: magnitudes, colours and sizes measured from stamps; and the least noise that any
photometry of them can have.

All of it is free of extinction, and computed of many stamps at a time. Positions and shapes are those of *r*: its
adaptive moments, of a Gaussian weight that is as large and as elongated as the galaxy (Bernstein & Jarvis 2002, AJ 123,
583), which also weighs the light of all bands, as a model magnitude does.
"""

import numpy as np

from astro_photz.dust import deredden
from astro_photz.sdss import BANDS, ZERO_POINT
from astro_photz.simulate.camera.conditions import draw_conditions
from astro_photz.simulate.camera.noise import FILTER_MARGIN
from astro_photz.simulate.render.fourier import render
from astro_photz.simulate.scene.targets import draw_targets
from astro_photz.simulate.simulation import BLOCK

__all__ = ["COLOURS", "SHAPES", "least_error", "magnitude_features", "magnitudes", "measure"]

_R = BANDS.index("r")
_APERTURES = 2.0, 3.0, 4.5, 7.0, 11.0, 16.0  # pixels
_GROWTH = np.concatenate([np.arange(1, 8, 0.5), np.arange(8, 21, 1.0)])  # pixels
_ITERATIONS = 20
_SIZES = 1.0, 12.0  # pixels: limits of the weight's standard deviation
_FLATTEST = 0.9  # ellipticity
_LEFT_OUT = 0.01  # nanomaggies: magnitudes end there

COLOURS = ("r", "u-g", "g-r", "r-i", "i-z")
SHAPES = ("r50", "r90", "concentration", "r50 g", "r50 i", "adaptive size", "ellipticity")


def measure(flux, ebv):
    """
    Photometry of stamps (N, 5, S, S) in nanomaggies: features (N,) by name.

    `COLOURS` by weighted light; the same in each aperture, followed by its radius; `SHAPES`. Lengths in pixels.
    """
    flux = deredden(flux, ebv=ebv)
    x, y, weight, size, ellipticity = _adaptive(flux[:, _R])
    weighted = np.einsum("nbyx,nyx->nb", flux, weight) / np.square(weight).sum(axis=(1, 2))[:, None]
    area = weight.sum(axis=(1, 2))[:, None]
    features = magnitude_features(magnitudes(weighted * area))
    distance = np.hypot(x, y)
    for radius in _APERTURES:
        inside = _within(distance, radius)
        light = magnitude_features(magnitudes(np.einsum("nbyx,nyx->nb", flux, inside)))
        features |= {f"{name} {radius:g}": value for name, value in light.items()}
    return features | _radii(flux, distance) | {"adaptive size": size, "ellipticity": ellipticity}


def least_error(simulation, population, shape, rng):
    """
    The noise (N, 5) of the best photometry of galaxies that there can be (nanomaggies, free of extinction).

    Of a fit that knows where each galaxy is, its profile, and how much that is blurred, in images like the stamps: it
    has the noise of the sky, of the galaxy's own photons and of the camera, each pixel weighing as much as it tells
    (the Cramér-Rao bound). Neighbours, and what the subtraction of the sky left, add nothing to it.
    """
    parts = [slice(first, first + BLOCK) for first in range(0, len(population), BLOCK)]
    relative = [_least_relative_error(simulation, population[rows], shape[rows], rng) for rows in parts]
    return population.flux * np.concatenate(relative)


def _least_relative_error(simulation, population, shape, rng):
    size = simulation.size + 2 * FILTER_MARGIN
    conditions = draw_conditions(len(population), rng, **simulation.settings.sky)
    targets, _ = draw_targets(population, rng, np.full((len(population), 2), (size - 1) / 2), shape=shape)
    light = render(targets, conditions.transfer, size=size, shift=conditions.shift).numpy()
    sky, gain, dark, calibration = (
        getattr(conditions, name)[..., None, None] for name in ("sky", "gain", "dark_variance", "calibration")
    )
    counts = np.clip(light / calibration, 0, None)
    return 1 / np.sqrt((counts**2 / ((sky + counts) / gain + dark)).sum(axis=(-2, -1)))


def magnitudes(flux):
    """Magnitudes of fluxes (nanomaggies); NaN where there is hardly any light."""
    return ZERO_POINT - 2.5 * np.log10(np.where(flux > _LEFT_OUT, flux, np.nan))


def magnitude_features(magnitude):
    """`COLOURS` of magnitudes (N, 5): dict of `~numpy.ndarray` (N,)."""
    return dict(zip(COLOURS, [magnitude[:, _R], *-np.diff(magnitude, axis=1).T], strict=True))


def _within(distance, radius):
    """Share of each pixel within a circle: its edge is soft."""
    return np.clip(radius - distance + 0.5, 0, 1)


def _adaptive(image):
    """Offsets of the pixels from each galaxy's centre, its weight, and size and ellipticity of that."""
    size = image.shape[-1]
    grid = np.arange(size, dtype=np.float32) - (size - 1) / 2
    centre = np.zeros((2, len(image), 1, 1), dtype=np.float32)
    covariance = np.tile(np.float32([6, 6, 0])[:, None, None, None], (1, len(image), 1, 1))
    for _ in range(_ITERATIONS):
        x, y, weight = _weight(grid, centre, covariance)
        light = weight * image
        total = np.maximum(light.sum(axis=(1, 2), keepdims=True), 1e-3)
        moments = [(light * product).sum(axis=(1, 2), keepdims=True) / total for product in (x, y, x * x, y * y, x * y)]
        # a weight as wide as the galaxy makes moments half as wide as either, and offsets half as long
        centre = np.clip(centre + 2 * np.stack(moments[:2]), -3, 3)
        covariance = _possible(2 * np.stack(moments[2:]))
    x, y, weight = _weight(grid, centre, covariance)
    xx, yy, xy = covariance.reshape(3, -1)
    return x, y, weight, (xx * yy - xy**2) ** 0.25, np.hypot(xx - yy, 2 * xy) / (xx + yy)


def _weight(grid, centre, covariance):
    x, y = grid - centre[0], grid[:, None] - centre[1]
    xx, yy, xy = covariance
    exponent = (yy * x**2 - 2 * xy * x * y + xx * y**2) / (xx * yy - xy**2)
    return x, y, np.exp(-0.5 * exponent)


def _possible(covariance):
    """Covariances (3, N, 1, 1) of a size and an ellipticity that galaxies have, whatever noise made of them."""
    xx, yy, xy = covariance
    mean = np.clip((xx + yy) / 2, _SIZES[0] ** 2, _SIZES[1] ** 2)
    plus, cross = (xx - yy) / (2 * mean), xy / mean
    shrink = np.minimum(1, _FLATTEST / np.maximum(np.hypot(plus, cross), 1e-6))
    return np.stack([mean * (1 + shrink * plus), mean * (1 - shrink * plus), mean * shrink * cross])


def _radii(flux, distance):
    """Radii of half and of nine tenths of the light within the largest, by curves of growth."""
    growth = np.stack([np.einsum("nbyx,nyx->nb", flux, _within(distance, radius)) for radius in _GROWTH], axis=-1)
    growth = np.maximum.accumulate(growth, axis=-1)
    growth /= np.maximum(growth[..., -1:], _LEFT_OUT)

    def radius(band, share):
        return np.array([np.interp(share, curve, _GROWTH) for curve in growth[:, BANDS.index(band)]])

    half, ninety = radius("r", 0.5), radius("r", 0.9)
    others = {f"r50 {band}": radius(band, 0.5) / half for band in "gi"}
    return {"r50": half, "r90": ninety, "concentration": ninety / half, **others}
