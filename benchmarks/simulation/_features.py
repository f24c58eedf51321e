# Licensed under a 3-clause BSD style license - see LICENSE
"""
Features of a stamp, measured in the same way whether it is real or simulated.

`sky_features` describe a stamp without a source: its noise, its background, how its pixels hang together.
`galaxy_features` describe the galaxy in the middle, what stands beside it and the sky around it. Colours and magnitudes
are not among them: those are a matter of catalogues (``population.py``).
"""

import numpy as np
from scipy.ndimage import binary_dilation, gaussian_filter, map_coordinates, maximum_filter

from astro_photz.sdss import BANDS

__all__ = ["aperture_flux", "centroid", "galaxy_features", "half_light_radius", "sky_features"]

_U, _G, _R, _I, _Z = range(5)
_BLOCK = 8
_PERIODS = np.geomspace(0.0040, 0.0062, 200)  # nanomaggies: calibrations of r
_APERTURE = 16  # pixels
_AROUND = 22  # pixels: beyond it lies sky


def sky_features(flux):
    """Features, by name, of an empty stamp (5, S, S)."""
    features = {}
    for band, image in zip(BANDS, flux, strict=True):
        features |= {f"{name} {band}": value for name, value in _noise(image).items()}
        features |= {f"{name} {band}": value for name, value in _structure(image).items()}
    for one, other in ((_U, _G), (_G, _R), (_R, _I), (_I, _Z)):
        pair = (gaussian_filter(_clipped(flux[band]), 1.0).ravel() for band in (one, other))
        features[f"correlation {BANDS[one]}{BANDS[other]}"] = np.corrcoef(*pair)[0, 1]
    features["brightest peak"] = _significance(flux).max()
    features["quantisation r"] = _quantisation(flux[_R])
    return features


def galaxy_features(flux, xy):
    """Features, by name, of a galaxy in the middle of a stamp (5, S, S); ``xy`` is where it should be (pixels)."""
    significance = _significance(flux)
    distance = _distance(flux[_R], xy)
    sky = (distance > _AROUND) & ~binary_dilation(significance > 3, iterations=3)
    features = {}
    for band, image in zip(BANDS, flux, strict=True):
        features |= {f"{name} {band}": value for name, value in _noise(image, sky).items()}
    features["quantisation r"] = _quantisation(flux[_R][sky])
    flux = flux - np.median(flux[:, sky], axis=1)[:, None, None]
    noise = flux[:, sky].std(axis=1)
    centre = centroid(flux[_R], xy)
    return features | _shape(flux, noise, centre) | _gradients(flux, centre) | _company(flux, significance, centre)


def aperture_flux(image, xy, radius, *, inner=0.0):
    """Flux within a circle, or a ring, with soft edges (a pixel's share goes linearly from one to none)."""
    distance = _distance(image, xy)
    share = np.clip(radius - distance + 0.5, 0, 1) - (np.clip(inner - distance + 0.5, 0, 1) if inner else 0)
    return float((image * share).sum())


def half_light_radius(image, xy):
    """Radius (pixels) of half the light within 16 pixels, and of nine tenths of it."""
    radii = np.arange(0.5, _APERTURE + 0.1, 0.5)
    growth = np.maximum.accumulate([aperture_flux(image, xy, radius) for radius in radii])
    return np.interp([0.5, 0.9], growth / growth[-1], radii)


def _noise(image, sky=...):
    """The noise's width, level and shape, and how alike neighbouring pixels are."""
    values = image[sky]
    middle = np.median(values)
    rms = _clipped(values).std()
    standard = np.clip((image - middle) / rms, -4, 4)
    valid = np.ones(image.shape, dtype=bool) if sky is ... else sky
    return {
        "rms": rms,
        "background": middle / rms,
        "correlation x": _mean_product(standard, valid, np.s_[:, 1:], np.s_[:, :-1]),
        "correlation y": _mean_product(standard, valid, np.s_[1:], np.s_[:-1]),
        "skewness": (standard[valid] ** 3).mean(),
    }


def _mean_product(standard, valid, one, other):
    both = valid[one] & valid[other]
    return (standard[one] * standard[other])[both].mean()


def _structure(image):
    """Measure smooth structure of an empty stamp: its power on the scale of blocks, and its slope."""
    standard = _clipped(image - np.median(image))
    standard /= standard.std()
    blocks = standard.reshape(len(image) // _BLOCK, _BLOCK, -1, _BLOCK).mean(axis=(1, 3))
    slope = np.linspace(-1, 1, len(image))
    return {
        "kurtosis": (((image - image.mean()) / image.std()) ** 4).mean(),
        "blocks": blocks.std(),
        "slope": np.hypot((standard * slope).mean(), (standard * slope[:, None]).mean()),
        "rows": standard.mean(axis=1).std(),
        "columns": standard.mean(axis=0).std(),
    }


def _clipped(values):
    middle = np.median(values)
    width = 1.4826 * np.median(np.abs(values - middle)) * 3.5
    return np.clip(values, middle - width, middle + width)


def _significance(flux):
    """Sum of g, r and i, smoothed to about the blur, in units of its noise."""
    weighed = sum(flux[band] / _clipped(flux[band]).std() for band in (_G, _R, _I))
    smooth = gaussian_filter(weighed, 1.5)
    return (smooth - np.median(smooth)) / _clipped(smooth).std()


def _quantisation(values):
    """Measure how well pixel values keep to steps of one DN, whatever its size: 1 perfectly, 0 not at all."""
    return np.abs(np.exp(2j * np.pi * values.ravel()[::4, None] / _PERIODS).mean(axis=0)).max()


def _distance(image, xy):
    grid = np.arange(len(image))
    return np.hypot(grid - xy[0], grid[:, None] - xy[1])


def centroid(image, xy, *, sigma=2.5):
    """Centre of a galaxy, found with a round Gaussian for a weight."""
    grid = np.arange(len(image))
    for _ in range(6):
        weight = np.exp(-0.5 * (_distance(image, xy) / sigma) ** 2) * image
        total = max(weight.sum(), 1e-9)
        moved = np.array([weight.sum(axis=0) @ grid, weight.sum(axis=1) @ grid]) / total
        xy = np.clip(2 * moved - xy, np.array(xy) - 1, np.array(xy) + 1)
    return xy


def _ellipticity(image, centre, sigma):
    grid = np.arange(len(image))
    x, y = grid - centre[0], (grid - centre[1])[:, None]
    weight = np.exp(-0.5 * (x**2 + y**2) / sigma**2) * image
    xx, yy, xy = (weight * x * x).sum(), (weight * y * y).sum(), (weight * x * y).sum()
    return np.clip(np.hypot(xx - yy, 2 * xy) / max(xx + yy, 1e-9), 0, 1)


def _shape(flux, noise, centre):
    half, ninety = half_light_radius(flux[_R], centre)
    total = aperture_flux(flux[_R], centre, _APERTURE)
    inside = _distance(flux[_R], centre) < 2 * half
    features = {
        "half-light radius": half,
        "concentration": ninety / half,
        "core": aperture_flux(flux[_R], centre, 1.5) / aperture_flux(flux[_R], centre, 3),
        "wings": aperture_flux(flux[_R], centre, 3 * half, inner=2 * half) / total,
        "ellipticity, inner": _ellipticity(flux[_R], centre, half),
        "ellipticity, outer": _ellipticity(flux[_R], centre, 2 * half),
        "Gini": _gini(flux[_R][inside]),
    }
    for band in (_G, _R, _I):
        image = flux[band]
        features[f"asymmetry {BANDS[band]}"] = _asymmetry(image, centre, inside, noise[band])
        features[f"clumpiness {BANDS[band]}"] = _clumpiness(image, centre, inside, half)
    for band in (_G, _I):
        features[f"radius {BANDS[band]}/r"] = half_light_radius(flux[band], centre)[0] / half
        features[f"offset {BANDS[band]}-r"] = np.hypot(*(centroid(flux[band], centre) - centre))
    return features


def _gini(values):
    """Abraham et al. (2003, ApJ 588, 218)."""
    values = np.sort(np.abs(values))
    n = len(values)
    return ((2 * np.arange(1, n + 1) - n - 1) * values).sum() / (values.mean() * n * (n - 1))


def _asymmetry(image, centre, inside, noise):
    """Measure asymmetry under a turn by 180 degrees, less that of the noise (Conselice 2003, ApJS 147, 1)."""
    rows, columns = np.indices(image.shape)
    turned = map_coordinates(image, [2 * centre[1] - rows, 2 * centre[0] - columns], order=3, mode="nearest")
    by_noise = noise * np.sqrt(2) * np.sqrt(2 / np.pi) * inside.sum()
    return (np.abs(image - turned)[inside].sum() - by_noise) / np.abs(image[inside]).sum()


def _clumpiness(image, centre, inside, half):
    """Light above the smoothed image, outside the core."""
    excess = np.clip(image - gaussian_filter(image, max(half / 2, 1.5)), 0, None)
    return excess[inside & (_distance(image, centre) > 3)].sum() / np.abs(image[inside]).sum()


def _gradients(flux, centre):
    """Colour within 2.5 pixels less that between 4 and 9."""
    inner = np.array([aperture_flux(image, centre, 2.5) for image in flux])
    outer = np.array([aperture_flux(image, centre, 9, inner=4) for image in flux])
    ratio = -2.5 * np.log10(np.maximum(inner, 1e-3) / np.maximum(outer, 1e-3))
    return {f"gradient {BANDS[band]}-{BANDS[band + 1]}": ratio[band] - ratio[band + 1] for band in range(4)}


def _company(flux, significance, centre):
    """Peaks beside the galaxy: their number, how near the nearest, how bright all."""
    distance = _distance(flux[_R], centre)
    peaks = (significance > 6) & (significance == maximum_filter(significance, 5)) & (distance > 7)
    outside = distance > 12
    bright = np.where(outside & (significance > 3), flux[_R], 0).sum()
    return {
        "neighbours": peaks.sum(),
        "nearest neighbour": distance[peaks].min(initial=50.0),
        "neighbours' flux": np.arcsinh(bright),
        "brightest neighbour": np.log10(np.where(outside, significance, 1).clip(1).max()),
    }
