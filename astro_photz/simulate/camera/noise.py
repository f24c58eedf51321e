# Licensed under a 3-clause BSD style license - see LICENSE
"""
Noise: ideal images turned into observed ones.

Counts are noisy as photons are, and rounded to whole numbers as in SDSS frames; the bands other than *r* are then
resampled onto the pixels of *r*, which smooths their noise a little.
"""

from functools import cache, partial

import numpy as np
import torch

from .conditions import NATIVE_BAND

__all__ = ["FILTER_MARGIN", "add_light", "add_noise", "resample"]

FILTER_MARGIN = 6
"""Pixels around an image that the resampling of its noise needs."""

_IMAGES_AT_ONCE = 8  # so that what is computed of them stays in the processor's cache
_PHASES = 65


def add_noise(images, conditions, rng):
    """
    Turn ideal images into observed ones.

    Parameters
    ----------
    images : `torch.Tensor` (N, 5, S + 2 m, S + 2 m)
        Ideal flux (nanomaggies), with a margin m of `FILTER_MARGIN` pixels. They may lie on any device.
    conditions : `~astro_photz.simulate.camera.conditions.Conditions` (N,)
    rng : `~numpy.random.Generator`
        It seeds a generator of torch's, on the images' device: the noise is the same wherever that is a device of the
        same kind.

    Returns
    -------
    `torch.Tensor` (N, 5, S, S) float32
        Sky-subtracted flux (nanomaggies), in the pixels of *r*.
    """
    generator = torch.Generator(images.device).manual_seed(int(rng.integers(2**63)))
    size = images.shape[-1] - 2 * FILTER_MARGIN
    observed = images.new_empty((*images.shape[:2], size, size))
    for first in range(0, len(images), _IMAGES_AT_ONCE):
        rows = slice(first, first + _IMAGES_AT_ONCE)
        observed[rows] = _observe(images[rows], conditions[rows], generator)
    return observed


def add_light(sky, images, conditions, rng):
    """
    Add ideal images to observed sky, with the noise of their own photons alone.

    Parameters
    ----------
    sky : `torch.Tensor` (N, 5, S, S)
        Observed, sky-subtracted flux (nanomaggies), in the pixels of *r*.
    images : `torch.Tensor` (N, 5, S + 2 m, S + 2 m)
        Ideal flux (nanomaggies), with a margin m of `FILTER_MARGIN` pixels.
    conditions : `~astro_photz.simulate.camera.conditions.Conditions` (N,)
        With the gain and the calibration of the observed sky.
    rng : `~numpy.random.Generator`
        As in `add_noise`.

    Returns
    -------
    `torch.Tensor` (N, 5, S, S) float32
    """
    generator = torch.Generator(images.device).manual_seed(int(rng.integers(2**63)))

    grid = partial(_grid, device=images.device)
    flux = images * grid(conditions.zero_point)
    counts = flux / grid(conditions.calibration)
    noise = torch.randn(images.shape, generator=generator, device=images.device)
    noise *= (counts.clamp_min(0) / grid(conditions.gain)).sqrt_()
    # The sky is in whole DN, and stays so: chance decides between the two next to the light, which keeps its mean.
    chance = torch.rand(images.shape, generator=generator, device=images.device)
    residual = noise.add_(counts).add_(chance).floor_().sub_(counts)
    inner = slice(FILTER_MARGIN, -FILTER_MARGIN)
    observed = sky + flux[..., inner, inner]
    observed += resample(residual, conditions.phase) * grid(conditions.calibration)
    observed[:, NATIVE_BAND] = _as_stored(observed[:, NATIVE_BAND])
    return observed


def _grid(values, *, device):
    """Values (N, 5) as a tensor that broadcasts along the pixels of images."""
    return torch.as_tensor(values, dtype=torch.float32, device=device)[..., None, None]


def _observe(images, conditions, generator):
    grid = partial(_grid, device=images.device)

    def plane(level, slope):
        pixels = torch.arange(images.shape[-1], device=images.device) - (images.shape[-1] - 1) / 2
        slope_x, slope_y = (grid(slope[..., axis]) for axis in (0, 1))
        return (grid(level) + slope_x * pixels).add(slope_y * pixels[:, None])

    flux = images * grid(conditions.zero_point)
    flux += plane(conditions.background, conditions.background_slope)
    counts = plane(conditions.sky, conditions.sky_slope).addcmul_(flux, grid(1 / conditions.calibration))
    variance = counts.clamp_min(0).mul_(grid(1 / conditions.gain)).add_(grid(conditions.dark_variance))
    noise = torch.randn(images.shape, generator=generator, device=images.device)
    noise = _shaped(noise, grid(_photon_skewness(conditions) + conditions.skewness), grid(conditions.kurtosis))
    noise = _as_read(noise, grid(conditions.read_correlation), axis=-1)
    noise = _as_read(noise, grid(conditions.column_correlation), axis=-2)
    row_noise = torch.randn((*images.shape[:-1], 1), generator=generator, device=images.device)
    noise += grid(conditions.row_noise) * row_noise
    residual = noise.mul_(variance.sqrt_()).add_(counts).round_().sub_(counts)
    inner = slice(FILTER_MARGIN, -FILTER_MARGIN)
    observed = flux[..., inner, inner].addcmul(resample(residual, conditions.phase), grid(conditions.calibration))
    observed[:, NATIVE_BAND] = _as_stored(observed[:, NATIVE_BAND])
    return observed


def _shaped(noise, skewness, kurtosis):
    """Normal noise with a little skewness and kurtosis (Cornish & Fisher 1938)."""
    square = noise.square()
    shaped = noise.mul_((square * (kurtosis / 24)).add_(1 - kurtosis / 8))
    return shaped.addcmul_(square.sub_(1), skewness / 6)


def _as_read(noise, correlation, *, axis):
    """White noise with a correlation between neighbours along an axis, and the same variance."""
    # a x + b y of neighbours x, y correlates by a b, if a^2 + b^2 = 1
    angle = 0.5 * torch.asin(2 * correlation)
    read, n = noise * torch.cos(angle), noise.shape[axis] - 1
    read.narrow(axis, 1, n).addcmul_(noise.narrow(axis, 0, n), torch.sin(angle))
    return read


def _photon_skewness(conditions):
    """Skewness (N, 5) of the sky's noise: photons follow Poisson's law."""
    photons = conditions.sky / conditions.gain
    return photons / conditions.gain / (photons + conditions.dark_variance) ** 1.5


def _as_stored(flux):
    """Round to ten binary digits, as SDSS frames do: seen in the band whose pixels are not resampled after that."""
    mantissa, exponent = torch.frexp(flux)
    return torch.ldexp((mantissa * 2**10).round_() / 2**10, exponent)


def resample(residual, phase):
    """
    Move images by a fraction of a pixel, as a quintic spline does it to noise.

    Parameters
    ----------
    residual : `torch.Tensor` (N, 5, S + 2 m, S + 2 m)
        With a margin m of `FILTER_MARGIN` pixels.
    phase : `~numpy.ndarray` (N, 5, 2)
        Fraction of a pixel along columns and rows, from -0.5 to 0.5.

    Returns
    -------
    `torch.Tensor` (N, 5, S, S)
    """
    matrices = _shift_matrices(residual.shape[-1] - 2 * FILTER_MARGIN, residual.device)
    nearest = torch.as_tensor(np.rint((phase + 0.5) * (_PHASES - 1)).astype(int), device=residual.device)
    across, along = matrices[nearest[..., 0]], matrices[nearest[..., 1]]
    return along @ residual @ across.mT


@cache
def _shift_matrices(size, device):
    """Matrices (phases, S, S + 2 m), banded, that move a column of pixels by each of the phases."""
    matrices = torch.zeros((_PHASES, size, size + 2 * FILTER_MARGIN))
    for tap, weight in enumerate(_shift_filters().T):
        torch.diagonal(matrices, tap, dim1=1, dim2=2)[:, :size] = torch.as_tensor(weight)[:, None]
    return matrices.to(device)


@cache
def _shift_filters():
    """Weights that scipy's quintic spline gives to a pixel moved by each of the phases from -0.5 to 0.5."""
    from scipy.ndimage import shift

    impulse = np.zeros(63)
    impulse[31] = 1.0
    window = slice(31 - FILTER_MARGIN, 31 + FILTER_MARGIN + 1)
    phases = np.linspace(-0.5, 0.5, _PHASES)
    return np.array([shift(impulse, phase, order=5)[window] for phase in phases], dtype=np.float32)
