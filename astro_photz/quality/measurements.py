# Licensed under a 3-clause BSD style license - see LICENSE
"""
Cheap photometry of stamps, measured once for all rules.

Fluxes and moments are one matrix product of the pixels with fixed weights about the middle of the stamp, and noise and
sky are medians of some of the outer pixels: a twentieth of the time that the encoder takes.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np

from astro_photz.photometry import APERTURE_RADIUS, disc
from astro_photz.utils._products import ROWS, row_products

if TYPE_CHECKING:
    from astro_photz.cutouts import Cutouts

__all__ = ["RADII", "WIDTHS", "Measurements", "measure"]

RADII = (1.5, 2.5, 4.0, 6.0, APERTURE_RADIUS, 12.0, 16.0, 24.0)
"""Radii of the apertures (pixels)."""

WIDTHS = (2.0, 4.0)
"""Standard deviations of the Gaussians that weight the moments (pixels)."""

_APERTURE = RADII.index(APERTURE_RADIUS)
_AT_ONCE = 5 * ROWS  # images in one product
_SAMPLE = 128  # pixels in each quarter of the sky: the noise of all four is good to 5 %
_SKY_RADIUS = 0.375  # of the side: pixels beyond it are sky, as in photometry.sky_rms
_MAD_TO_RMS = 1.482602218505602
# Nanomaggies of a photoelectron in ugriz: the typical calibration of a frame over its gain.
_ELECTRON = np.array([5.5, 1.0, 1.05, 1.4, 6.5], dtype=np.float32) * 1e-3
_BRIGHT = 4.0  # times the noise
_NEGLIGIBLE = 1e-9  # weights far out would be denormal numbers, with which processors are slow
_MOMENTS = 6  # of each width: sum, x, y, radius squared; and the variance of the moments: of the sky, of the light


@dataclass(frozen=True)
class Measurements:
    """
    Photometry of N stamps in *ugriz*.

    Parameters
    ----------
    whole : `~numpy.ndarray` (N, 5) of bool
        Whether all pixels of an image are finite.
    apertures : `~numpy.ndarray` (N, 5, R) of float32
        Flux within each of `RADII` around the middle of the stamp (nanomaggies), less no sky. Pixels without data
        count as no flux.
    noise : `~numpy.ndarray` (N, 5) of float32
        Of a pixel: the median absolute deviation of a sample of the outer pixels, scaled to a normal distribution
        (nanomaggies); NaN without data.
    sky : `~numpy.ndarray` (N, 5) of float32
        The median of this sample (nanomaggies); NaN without data.
    grain : `~numpy.ndarray` (N, 5) of float32
        Noise of the difference of two neighbouring pixels, over its value for independent pixels: 1 for white noise,
        less where an image was smoothed or enlarged; NaN without data or noise.
    bright : `~numpy.ndarray` (N, 5) of float32
        Share of this sample that is brighter than four times the noise above the sky.
    gaussian : `~numpy.ndarray` (N, 5, 2) of float32
        Sky-subtracted flux weighted with a Gaussian (of peak 1) of each of `WIDTHS` (nanomaggies).
    centroid : `~numpy.ndarray` (N, 5, 2, 2) of float32
        Column and row of the light under the Gaussian of each width (pixels), as x and y from the middle of the stamp;
        NaN where the light is no more than twice its noise. It is corrected for the pull of the weight, which is exact
        for a galaxy of Gaussian shape.
    centroid_error : `~numpy.ndarray` (N, 5, 2) of float32
        Standard deviation of x or y from the noise of sky and light (pixels); infinite where there is no centroid.
    width : `~numpy.ndarray` (N, 5, 2) of float32
        Standard deviation of the light under the Gaussian of each width, about its centroid, by axis (pixels): for a
        Gaussian of standard deviation s under a weight of w it is s w / sqrt(s^2 + w^2). NaN without light.
    highest : `~numpy.ndarray` (N, 5) of float32
        Brightest pixel within 4 pixels of the middle (nanomaggies); NaN without data.
    plateau : `~numpy.ndarray` (N, 5) of int
        Number of these pixels that have this value: 1, if the image is not cut off.

    Notes
    -----
    The moments are those of one step of the adaptive moments of Bernstein & Jarvis (2002, AJ 123, 583).

    Examples
    --------
    >>> from astro_photz import demo_path, Cutouts
    >>> from astro_photz.quality.measurements import measure
    >>> measured = measure(Cutouts.read(demo_path()))
    >>> measured.flux.shape, measured.vector.shape[0]
    ((24, 5), 24)
    """

    whole: np.ndarray
    apertures: np.ndarray
    noise: np.ndarray
    sky: np.ndarray
    grain: np.ndarray
    bright: np.ndarray
    gaussian: np.ndarray
    centroid: np.ndarray
    centroid_error: np.ndarray
    width: np.ndarray
    highest: np.ndarray
    plateau: np.ndarray

    def __len__(self):
        return len(self.noise)

    def __getitem__(self, rows):
        """Select galaxies by slice, mask or array of rows."""
        return Measurements(*(getattr(self, column.name)[rows] for column in fields(self)))

    @property
    def flux(self):
        """Flux within 8 pixels (nanomaggies), `~numpy.ndarray` (N, 5) of float32."""
        return self.apertures[..., _APERTURE]

    @property
    def vector(self):
        """
        Numbers that describe each stamp, `~numpy.ndarray` (N, 40) of float32, finite everywhere.

        Five of a kind, in *ugriz*: the logarithm of the noise; asinh of sky over noise; the logarithm of the grain;
        asinh of the signal-to-noise ratio within 8 pixels; widths under both weights, in units of these; and asinh of
        the surface brightness from 2.5 to 8, and from 12 to 24 pixels, over the noise. Only the first five change when
        all fluxes are multiplied by a number.
        """
        noise = np.where(self.noise > 0, self.noise, np.nan)
        area = np.pi * np.square(np.array(RADII, dtype=np.float32))
        inner, outer = RADII.index(2.5), RADII.index(12.0)
        with np.errstate(invalid="ignore", divide="ignore", over="ignore"):
            columns = [
                np.log(noise),
                np.arcsinh(self.sky / noise),
                np.log(self.grain),
                np.arcsinh(self.flux / (noise * np.sqrt(area[_APERTURE]))),
                self.width[..., 0] / WIDTHS[0],
                self.width[..., 1] / WIDTHS[1],
                np.arcsinh(_between(self.apertures, area, inner, _APERTURE) / noise),
                np.arcsinh(_between(self.apertures, area, outer, -1) / noise),
            ]
        vector = np.concatenate(columns, axis=1, dtype=np.float32)
        return np.nan_to_num(vector, copy=False, nan=0.0, posinf=_LARGE, neginf=-_LARGE)


_LARGE = 20.0  # beyond the logarithm of any noise


def _between(apertures, area, inner, outer):
    """Mean surface brightness between two apertures."""
    return (apertures[..., outer] - apertures[..., inner]) / (area[outer] - area[inner])


def measure(cutouts: Cutouts) -> Measurements:
    """
    Measure stamps.

    Parameters
    ----------
    cutouts : `~astro_photz.Cutouts` (N,)

    Returns
    -------
    `Measurements`
        Finite, but for the NaN that its description names.
    """
    n, size = len(cutouts), cutouts.size
    pixels = np.ascontiguousarray(cutouts.flux).reshape(n * 5, size * size)
    weights = _weights(size)
    sums, whole = _product(pixels, weights.of_pixels)
    sky, noise, grain, bright = (values.reshape(n, 5) for values in _sky(pixels, weights))
    sums = sums.reshape(n, 5, weights.of_pixels.shape[1])
    apertures, moments = sums[..., : len(RADII)], sums[..., len(RADII) :].reshape(n, 5, len(WIDTHS), _MOMENTS)
    moments = moments - np.nan_to_num(sky)[..., None, None] * weights.of_sky
    core = np.take(pixels, weights.core, axis=1)
    highest = np.fmax.reduce(core, axis=1)
    plateau = np.count_nonzero(core == highest[:, None], axis=1)
    gaussian, centroid, error, width = _shapes(moments, noise, weights)
    return Measurements(
        whole=whole.reshape(n, 5),
        apertures=apertures,
        noise=noise,
        sky=sky,
        grain=grain,
        bright=bright,
        gaussian=gaussian,
        centroid=centroid,
        centroid_error=error,
        width=width,
        highest=highest.reshape(n, 5),
        plateau=plateau.reshape(n, 5),
    )


@dataclass(frozen=True)
class _Weights:
    """Weights of the pixels of a stamp of one size, and the pixels of its sky and core."""

    of_pixels: np.ndarray  # (S * S, R + 2 * 6)
    of_sky: np.ndarray  # (2, 6), the sums of the moments' weights
    sky: np.ndarray  # places of sky pixels
    beside: np.ndarray  # places of a neighbour of each
    core: np.ndarray
    variance: np.ndarray  # (2,) sum of (weight x)^2


@lru_cache(maxsize=4)
def _weights(size):
    axis = np.arange(size) - (size - 1) / 2
    x, y = np.meshgrid(axis, axis)
    radius_squared = x**2 + y**2
    columns = [disc(size, radius) for radius in RADII]
    variance = []
    for width in WIDTHS:
        gaussian = np.exp(-0.5 * radius_squared / width**2)
        # The variance of x and y under the noise of the light is their mean, so that it is the same in both.
        light = gaussian**2 * radius_squared / 2
        columns += [gaussian, gaussian * x, gaussian * y, gaussian * radius_squared, light, gaussian**2]
        variance.append(light.sum())
    of_pixels = np.stack(columns, axis=-1).reshape(size * size, -1)
    of_pixels[np.abs(of_pixels) < _NEGLIGIBLE] = 0
    of_sky = of_pixels[:, len(RADII) :].sum(axis=0).reshape(len(WIDTHS), _MOMENTS)
    sky, beside = _sky_pixels(size, radius_squared)
    return _Weights(
        of_pixels.astype(np.float32),
        of_sky.astype(np.float32),
        sky,
        beside,
        np.flatnonzero(radius_squared <= 16),
        np.array(variance, dtype=np.float32),
    )


def _sky_pixels(size, radius_squared):
    """Places of a sample of outer pixels and of a neighbour of each: the same if the stamp is turned by 90 degrees."""
    outer = radius_squared > (_SKY_RADIUS * size + 1) ** 2
    half = size // 2
    outer[half:], outer[:, size - half :], outer[:, -1] = False, False, False
    quarter = np.flatnonzero(outer)
    quarter = np.random.default_rng(0).choice(quarter, min(_SAMPLE, len(quarter)), replace=False)
    places = np.arange(size * size).reshape(size, size)
    turned = [np.rot90(places, turns).ravel() for turns in range(4)]
    sky, beside = (np.concatenate([place[pixels] for place in turned]) for pixels in (quarter, quarter + 1))
    order = np.argsort(sky)  # as they lie in memory
    return sky[order], beside[order]


def _product(pixels, weights):
    """Weighted sums of the pixels, NaN counting as 0; and which images are whole: one NaN spoils all of their sums."""
    with np.errstate(invalid="ignore", over="ignore"):
        sums = row_products(pixels, weights, rows=_AT_ONCE)
    whole = np.isfinite(sums[:, 0])
    bad = np.flatnonzero(~np.isfinite(sums).all(axis=1))
    if len(bad):
        sums[bad] = row_products(np.nan_to_num(pixels[bad]), weights, rows=_AT_ONCE)
        whole[bad] = np.isfinite(pixels[bad]).all(axis=1)
    return sums, whole


def _sky(pixels, weights):
    """Median and scatter of the sky, scatter of differences over that of independent pixels, share of bright pixels."""
    sample, difference = (np.take(pixels, places, axis=1, mode="clip") for places in (weights.sky, weights.beside))
    np.subtract(difference, sample, out=difference)
    median = _median(sample)
    sample -= median[:, None]
    absolute = np.abs(sample)
    noise = _MAD_TO_RMS * _median(absolute)
    of_difference = _MAD_TO_RMS / np.sqrt(2, dtype=np.float32) * _median(np.abs(difference, out=difference))
    with np.errstate(invalid="ignore", divide="ignore"):
        grain = np.where(noise > 0, of_difference / noise, np.nan)
    bright = np.mean(sample > _BRIGHT * noise[:, None], axis=1, dtype=np.float32)
    return median, noise.astype(np.float32), grain.astype(np.float32), bright


def _median(values):
    """Median of each row without its NaN; the rows are sorted in place."""
    values.sort(axis=1)  # NaN last
    n = values.shape[1]
    median = (values[:, (n - 1) // 2] + values[:, n // 2]) / 2
    some = np.flatnonzero(np.isnan(values[:, -1]))
    if len(some):
        count = n - np.count_nonzero(np.isnan(values[some]), axis=1)
        middle = np.maximum(count - 1, 0)
        median[some] = (values[some, middle // 2] + values[some, (middle + 1) // 2]) / 2
    return median


def _shapes(moments, noise, weights):
    """Weighted flux, centroid, its error and width, of both weights."""
    flux, x, y, radius_squared, light, _ = np.moveaxis(moments, -1, 0)
    square = np.square(np.array(WIDTHS, dtype=np.float32))
    sky_variance = np.square(np.nan_to_num(noise)[..., None])
    flux_error = np.sqrt(sky_variance * weights.of_sky[:, 5])
    with np.errstate(invalid="ignore", divide="ignore", over="ignore"):
        seen = (flux > 2 * flux_error) & (flux > 0)
        first = np.stack([x, y], axis=-1) / np.where(seen, flux, np.nan)[..., None]
        variance = radius_squared / flux / 2 - np.square(first).sum(axis=-1) / 2
        # A weight pulls the centroid to its own middle, for Gaussian light by 1 - variance / square; noise can make the
        # light seem wider than the weight lets it.
        pull = np.clip(1 - variance / square, 0.2, 1)
        electron = _ELECTRON[:, None]
        error = np.sqrt(sky_variance * weights.variance + electron * np.maximum(light, 0)) / (flux * pull)
        width = np.sqrt(np.where(variance > 0, variance, np.nan))
    error = np.where(seen & np.isfinite(error), error, np.inf)
    return flux, first / pull[..., None], error, width
