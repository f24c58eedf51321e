# Licensed under a 3-clause BSD style license - see LICENSE
"""
The sky and the camera: under what conditions a galaxy is seen, and the noise that they add.

A drawn galaxy has a field to itself: a camera column with its gains and dark variances, a sky brightness, calibration
and point-spread function in each band. Counts are noisy as photons are, and rounded to whole numbers as in SDSS
frames; the bands other than *r* are then resampled onto the pixels of *r*, which smooths their noise a little.
"""

from dataclasses import dataclass
from functools import cache

import numpy as np

from astro_photz.sdss import PIXEL_SCALE, dark_variance, gain
from astro_photz.simulate._torch import torch

__all__ = ["FILTER_MARGIN", "Conditions", "add_light", "add_noise", "draw_conditions"]

FILTER_MARGIN = 6
"""Pixels around an image that the resampling of its noise needs."""

# Typical of SDSS imaging, in ugriz: medians, and scatter of their logarithm from run to run.
_SKY_COUNTS = np.array([27.0, 72.0, 140.0, 215.0, 150.0])  # DN a pixel
_SKY_SCATTER = np.array([0.30, 0.18, 0.16, 0.18, 0.22])
_SKY_SLOPE = 3e-6  # of it, per pixel
_CALIBRATION = np.array([0.0088, 0.0038, 0.0049, 0.0068, 0.0300])  # nanomaggies a DN
_CALIBRATION_SCATTER = np.array([0.20, 0.06, 0.05, 0.05, 0.14])
_LATER_RUN = 2000  # gains and dark variances after the changes to the electronics
# Of the logarithm of the dark variance: a chip's two amplifiers differ, as the halves of real frames do.
_AMPLIFIER_SCATTER = 0.4

# Point-spread function: the core's width in r from night to night, in the other bands relative to it; width and central
# height of the wings, relative to the core's. Set so that they cover double Gaussians of three psField files
# (sigma1_2G, sigma2_2G, b_2G) and of the stars in four real fields, whose wings are taken wide enough to hold the light
# out to 14 pixels.
_SEEING_SCATTER = 0.17  # of the logarithm
_FWHM_LIMITS = 0.75, 2.1  # arcsec
_FWHM_RELATIVE = np.array([1.18, 1.11, 1.0, 0.97, 1.01])
_FWHM_RELATIVE_SCATTER = 0.07
_WING_WIDTH = 2.6, 0.12
_WING_HEIGHT = 0.055, 0.35

# What sky subtraction leaves, in units of the sky's rms: set so that stamps without sources are as in four real fields.
_BACKGROUND_MEAN = 0.02
_BACKGROUND_RELATIVE = np.array([0.75, 1.1, 1.2, 0.95, 0.65])  # scatter of a band
_BACKGROUND_COMMON = 0.5  # share of the variance that all bands have in common: light of the same sources
_BACKGROUND_SLOPE = 0.012  # from the middle to the edge of a stamp of 64 pixels
# The electronics read a row one pixel after the other: of neighbouring pixels' noise, correlation and its scatter from
# amplifier to amplifier; noise of a row as a whole, relative to a pixel's, median and scatter of its logarithm.
_READ_CORRELATION = np.array([0.008, 0.003, 0.015, 0.008, 0.008])
_READ_CORRELATION_SCATTER = np.array([0.025, 0.010, 0.012, 0.010, 0.003])
_ROW_NOISE = 0.04, 0.5
# Of neighbours in a column, and what the steps of the converter, which are not even, do to the shape of the noise: as
# in the sections of four real fields.
_COLUMN_CORRELATION_SCATTER = 0.007
_SKEWNESS_SCATTER = 0.025
_KURTOSIS_SCATTER = 0.05
_NATIVE_BAND = 2  # r
_IMAGES_AT_ONCE = 8  # so that what is computed of them stays in the processor's cache


@dataclass(frozen=True)
class Conditions:
    """
    Under what conditions each of N galaxies is seen, in the five bands.

    Attributes
    ----------
    gain : `~numpy.ndarray` (N, 5)
        Electrons per DN.
    dark_variance : `~numpy.ndarray` (N, 5)
        DN squared.
    calibration : `~numpy.ndarray` (N, 5)
        Nanomaggies per DN.
    sky : `~numpy.ndarray` (N, 5)
        Brightness of the sky in the middle of the image (DN a pixel).
    sky_slope : `~numpy.ndarray` (N, 5, 2)
        Its growth along columns and rows (DN a pixel, per pixel), known and subtracted: whole DN are no longer whole
        after it.
    read_correlation, column_correlation : `~numpy.ndarray` (N, 5)
        Of the noise of neighbouring pixels in a row, and in a column.
    skewness, kurtosis : `~numpy.ndarray` (N, 5)
        Of a pixel's noise: skewness besides that of photons, and kurtosis in excess of a normal distribution's.
    row_noise : `~numpy.ndarray` (N, 5)
        Noise that the pixels of a row have in common, relative to the rest.
    background : `~numpy.ndarray` (N, 5)
        What sky subtraction left in the middle of the image (nanomaggies a pixel).
    background_slope : `~numpy.ndarray` (N, 5, 2)
        Its growth along columns and rows (nanomaggies a pixel, per pixel).
    psf_fwhm : `~numpy.ndarray` (N, 5)
        Full width at half maximum of the core (arcsec).
    psf_wings : `~numpy.ndarray` (N, 5, 2)
        Width and central height of the point-spread function's wings, relative to its core.
    zero_point : `~numpy.ndarray` (N, 5)
        Error of the calibration, as a factor.
    shift : `~numpy.ndarray` (N, 5, 2)
        Error of the registration (pixels).
    phase : `~numpy.ndarray` (N, 5, 2)
        Fractional position of a band's pixels on those of *r*, from -0.5 to 0.5.
    """

    gain: np.ndarray
    dark_variance: np.ndarray
    calibration: np.ndarray
    sky: np.ndarray
    sky_slope: np.ndarray
    read_correlation: np.ndarray
    column_correlation: np.ndarray
    skewness: np.ndarray
    kurtosis: np.ndarray
    row_noise: np.ndarray
    background: np.ndarray
    background_slope: np.ndarray
    psf_fwhm: np.ndarray
    psf_wings: np.ndarray
    zero_point: np.ndarray
    shift: np.ndarray
    phase: np.ndarray

    def transfer(self, k2, scenes):
        """
        Transfer functions of the point-spread functions, pixel response included.

        Parameters
        ----------
        k2 : `torch.Tensor` (...)
            Squared wave numbers (radians per pixel, squared).
        scenes : slice
            Of the N galaxies.

        Returns
        -------
        `torch.Tensor` (len(scenes), 5, ...)
        """

        def grid(values):
            part = torch.as_tensor(values[scenes], dtype=torch.float32, device=k2.device)
            return part.reshape(-1, 5, *[1] * k2.ndim)

        width, height = self.psf_wings[..., 0], self.psf_wings[..., 1]
        core = grid(0.5 * (self.psf_fwhm / 2.3548 / PIXEL_SCALE) ** 2)
        wings_share = height * width**2 / (1 + height * width**2)
        share = grid(wings_share)
        exponents = k2 * core, k2 * core * grid(width**2)
        # not so small that processors compute them ten times more slowly
        cores, wings = (torch.exp(-exponent.clamp_(max=80)) for exponent in exponents)
        return (1 - share) * cores + share * wings


def draw_conditions(
    n, rng, *, seeing=1.25, zero_point_scatter=0.01, registration_scatter=0.1, background_scatter=0.045
):
    """
    Draw the conditions under which galaxies are seen.

    Parameters
    ----------
    n : int
    rng : `~numpy.random.Generator`
    seeing : float, optional
        Median full width at half maximum of the point-spread function's core in *r* (arcsec).
    zero_point_scatter : float, optional
        Error of the calibration in each band (mag).
    registration_scatter : float, optional
        Error of the registration of each band along each axis (pixels).
    background_scatter : float, optional
        Error of the sky subtraction, relative to the rms of the sky in a pixel; somewhat more in *r*, less in *z*.

    Returns
    -------
    `Conditions`

    Raises
    ------
    ValueError
        If ``seeing`` is out of the range that SDSS imaging was taken in, or a scatter is negative or too large.

    Examples
    --------
    >>> import numpy as np
    >>> from astro_photz.simulate.camera.conditions import draw_conditions
    >>> conditions = draw_conditions(1000, np.random.default_rng(0), seeing=1.1)
    >>> print(f"{np.median(conditions.psf_fwhm[:, 2]):.1f}")
    1.1
    """
    _check_range("seeing", seeing, *_FWHM_LIMITS, "arcsec")
    _check_range("zero_point_scatter", zero_point_scatter, 0, 0.5, "mag")
    _check_range("registration_scatter", registration_scatter, 0, 1, "pixels")
    _check_range("background_scatter", background_scatter, 0, 1, "of the rms of the sky")
    camcol = rng.integers(1, 7, size=n)
    gains = np.array([gain(column, _LATER_RUN) for column in range(1, 7)])[camcol - 1]
    dark = np.array([dark_variance(column, _LATER_RUN) for column in range(1, 7)])[camcol - 1]
    dark = _log_normal(rng, dark, _AMPLIFIER_SCATTER, (n, 5))
    sky = _log_normal(rng, _SKY_COUNTS, _SKY_SCATTER, (n, 5))
    calibration = _log_normal(rng, _CALIBRATION, _CALIBRATION_SCATTER, (n, 5))
    fwhm_r = _log_normal(rng, seeing, _SEEING_SCATTER, (n, 1))
    relative = _log_normal(rng, _FWHM_RELATIVE, _FWHM_RELATIVE_SCATTER, (n, 5))
    relative[:, _NATIVE_BAND] = 1
    wings = [_log_normal(rng, *parameters, (n, 5)) for parameters in (_WING_WIDTH, _WING_HEIGHT)]
    shift = registration_scatter * rng.standard_normal((n, 5, 2))
    shift[:, _NATIVE_BAND] = 0
    phase = rng.uniform(-0.5, 0.5, size=(n, 5, 2))
    phase[:, _NATIVE_BAND] = 0
    background, slope = _draw_background(calibration * np.sqrt(sky / gains + dark), background_scatter, rng)
    return Conditions(
        gain=gains,
        dark_variance=dark,
        calibration=calibration,
        sky=sky,
        sky_slope=_SKY_SLOPE * sky[..., None] * rng.standard_normal((n, 5, 2)),
        read_correlation=_READ_CORRELATION + _READ_CORRELATION_SCATTER * rng.standard_normal((n, 5)),
        column_correlation=_COLUMN_CORRELATION_SCATTER * rng.standard_normal((n, 5)),
        skewness=_SKEWNESS_SCATTER * rng.standard_normal((n, 5)),
        kurtosis=_KURTOSIS_SCATTER * rng.standard_normal((n, 5)),
        row_noise=_log_normal(rng, *_ROW_NOISE, (n, 5)),
        background=background,
        background_slope=slope,
        psf_fwhm=np.clip(fwhm_r * relative, *_FWHM_LIMITS),
        psf_wings=np.stack(wings, axis=-1),
        zero_point=10 ** (0.4 * zero_point_scatter * rng.standard_normal((n, 5))),
        shift=shift,
        phase=phase,
    )


def _check_range(name, value, low, high, unit):
    if not low <= value <= high:
        raise ValueError(f"{name} must lie between {low:g} and {high:g} {unit}, got {value!r}")


def _draw_background(rms, scatter, rng):
    """Level (N, 5) and slope (N, 5, 2) of what sky subtraction left, partly the same in all bands."""
    n = len(rms)
    strange = rng.standard_normal((n, 5, 3))
    common = rng.standard_normal((n, 1, 3))
    mixed = np.sqrt(1 - _BACKGROUND_COMMON) * strange + np.sqrt(_BACKGROUND_COMMON) * common
    level = rms * (_BACKGROUND_MEAN + scatter * _BACKGROUND_RELATIVE * mixed[..., 0])
    return level, rms[..., None] * _BACKGROUND_SLOPE / 32 * mixed[..., 1:]


def _log_normal(rng, median, scatter, shape):
    return median * np.exp(scatter * rng.standard_normal(shape))


def add_noise(images, conditions, rng):
    """
    Turn ideal images into observed ones.

    Parameters
    ----------
    images : `torch.Tensor` (N, 5, S + 2 m, S + 2 m)
        Ideal flux (nanomaggies), with a margin m of `FILTER_MARGIN` pixels. They may lie on any device.
    conditions : `Conditions` (N,)
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
        observed[rows] = _observe(images[rows], conditions, rows, generator)
    return observed


def add_light(sky, images, conditions, rng):
    """
    Shine ideal images onto observed sky, with the noise of their own photons alone.

    Parameters
    ----------
    sky : `torch.Tensor` (N, 5, S, S)
        Observed, sky-subtracted flux (nanomaggies), in the pixels of *r*.
    images : `torch.Tensor` (N, 5, S + 2 m, S + 2 m)
        Ideal flux (nanomaggies), with a margin m of `FILTER_MARGIN` pixels.
    conditions : `Conditions` (N,)
        Of which gain and calibration are the sky's own.
    rng : `~numpy.random.Generator`
        As in `add_noise`.

    Returns
    -------
    `torch.Tensor` (N, 5, S, S) float32
    """
    generator = torch.Generator(images.device).manual_seed(int(rng.integers(2**63)))

    def grid(values):
        return torch.as_tensor(values, dtype=torch.float32, device=images.device)[..., None, None]

    flux = images * grid(conditions.zero_point)
    counts = flux / grid(conditions.calibration)
    noise = torch.randn(images.shape, generator=generator, device=images.device)
    noise *= (counts.clamp_min(0) / grid(conditions.gain)).sqrt_()
    # The sky is in whole DN, and stays so: chance decides between the two next to the light, which keeps its mean.
    chance = torch.rand(images.shape, generator=generator, device=images.device)
    residual = noise.add_(counts).add_(chance).floor_().sub_(counts)
    inner = slice(FILTER_MARGIN, -FILTER_MARGIN)
    observed = sky + flux[..., inner, inner]
    observed += _resample(residual, conditions.phase) * grid(conditions.calibration)
    observed[:, _NATIVE_BAND] = _as_stored(observed[:, _NATIVE_BAND])
    return observed


def _observe(images, conditions, rows, generator):
    def grid(values):
        return torch.as_tensor(values[rows], dtype=torch.float32, device=images.device)[..., None, None]

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
    observed = flux[..., inner, inner].addcmul(
        _resample(residual, conditions.phase[rows]), grid(conditions.calibration)
    )
    observed[:, _NATIVE_BAND] = _as_stored(observed[:, _NATIVE_BAND])
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
    """Of the sky's noise (N, 5): photons follow Poisson's law."""
    photons = conditions.sky / conditions.gain
    return photons / conditions.gain / (photons + conditions.dark_variance) ** 1.5


def _as_stored(flux):
    """To ten binary digits, which SDSS frames keep; seen in the band whose pixels are not resampled after that."""
    mantissa, exponent = torch.frexp(flux)
    return torch.ldexp((mantissa * 2**10).round_() / 2**10, exponent)


def _resample(residual, phase):
    """Move images (N, 5, S + 2 m, S + 2 m) by a fraction of a pixel, as the spline does it to noise."""
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


_PHASES = 65


@cache
def _shift_filters():
    """What scipy's quintic spline does to a pixel that it moves by each of the phases from -0.5 to 0.5."""
    from scipy.ndimage import shift

    impulse = np.zeros(63)
    impulse[31] = 1.0
    window = slice(31 - FILTER_MARGIN, 31 + FILTER_MARGIN + 1)
    phases = np.linspace(-0.5, 0.5, _PHASES)
    return np.array([shift(impulse, phase, order=5)[window] for phase in phases], dtype=np.float32)
