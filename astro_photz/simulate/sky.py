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

from ._torch import torch

__all__ = ["FILTER_MARGIN", "Conditions", "add_noise", "draw_conditions"]

FILTER_MARGIN = 6
"""Pixels around an image that the resampling of its noise needs."""

# Typical of SDSS imaging, in ugriz: medians, and scatter of their logarithm from run to run.
_SKY_COUNTS = np.array([27.0, 72.0, 140.0, 215.0, 150.0])  # DN a pixel
_SKY_SCATTER = np.array([0.30, 0.18, 0.16, 0.18, 0.22])
_CALIBRATION = np.array([0.0088, 0.0038, 0.0049, 0.0068, 0.0300])  # nanomaggies a DN
_CALIBRATION_SCATTER = np.array([0.20, 0.06, 0.05, 0.05, 0.14])
_LATER_RUN = 2000  # gains and dark variances after the changes to the electronics

# Width of the point-spread function: r from night to night, the others relative to it (psField files).
_FWHM_R = 1.30, 0.13  # arcsec; median, scatter of the logarithm
_FWHM_LIMITS = 0.9, 2.1
_FWHM_RELATIVE = np.array([1.16, 1.09, 1.0, 0.97, 1.0])
_FWHM_RELATIVE_SCATTER = 0.06
# Double Gaussian: width and central height of the wings, relative to the core's (psField files: sigma_2G, b_2G).
_WING_WIDTH = 2.35, 0.10
_WING_HEIGHT = 0.065, 0.30

_ZERO_POINT_SCATTER = 0.01  # mag
_REGISTRATION_SCATTER = 0.1  # pixels, each axis
_BACKGROUND_SCATTER = 0.06  # of the sky rms: what sky subtraction leaves
_NATIVE_BAND = 2  # r


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
        Brightness of the sky (DN a pixel).
    background : `~numpy.ndarray` (N, 5)
        What sky subtraction left (nanomaggies a pixel).
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
    background: np.ndarray
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
            return torch.as_tensor(values[scenes], dtype=torch.float32).reshape(-1, 5, *[1] * k2.ndim)

        width, height = self.psf_wings[..., 0], self.psf_wings[..., 1]
        core = grid(0.5 * (self.psf_fwhm / 2.3548 / PIXEL_SCALE) ** 2)
        wings_share = height * width**2 / (1 + height * width**2)
        share = grid(wings_share)
        return (1 - share) * torch.exp(-k2 * core) + share * torch.exp(-k2 * core * grid(width**2))


def draw_conditions(n, rng):
    """
    Draw the conditions under which galaxies are seen.

    Parameters
    ----------
    n : int
    rng : `~numpy.random.Generator`

    Returns
    -------
    `Conditions`
    """
    camcol = rng.integers(1, 7, size=n)
    gains = np.array([gain(column, _LATER_RUN) for column in range(1, 7)])[camcol - 1]
    dark = np.array([dark_variance(column, _LATER_RUN) for column in range(1, 7)])[camcol - 1]
    sky = _log_normal(rng, _SKY_COUNTS, _SKY_SCATTER, (n, 5))
    calibration = _log_normal(rng, _CALIBRATION, _CALIBRATION_SCATTER, (n, 5))
    rms = calibration * np.sqrt(sky / gains + dark)
    fwhm_r = _log_normal(rng, *_FWHM_R, (n, 1))
    fwhm = fwhm_r * _log_normal(rng, _FWHM_RELATIVE, _FWHM_RELATIVE_SCATTER, (n, 5))
    wings = [_log_normal(rng, *parameters, (n, 5)) for parameters in (_WING_WIDTH, _WING_HEIGHT)]
    shift = _REGISTRATION_SCATTER * rng.standard_normal((n, 5, 2))
    shift[:, _NATIVE_BAND] = 0
    phase = rng.uniform(-0.5, 0.5, size=(n, 5, 2))
    phase[:, _NATIVE_BAND] = 0
    return Conditions(
        gain=gains,
        dark_variance=dark,
        calibration=calibration,
        sky=sky,
        background=_BACKGROUND_SCATTER * rms * rng.standard_normal((n, 5)),
        psf_fwhm=np.clip(fwhm, *_FWHM_LIMITS),
        psf_wings=np.stack(wings, axis=-1),
        zero_point=10 ** (0.4 * _ZERO_POINT_SCATTER * rng.standard_normal((n, 5))),
        shift=shift,
        phase=phase,
    )


def _log_normal(rng, median, scatter, shape):
    return median * np.exp(scatter * rng.standard_normal(shape))


def add_noise(images, conditions, rng):
    """
    Turn ideal images into observed ones.

    Parameters
    ----------
    images : `torch.Tensor` (N, 5, S + 2 m, S + 2 m)
        Ideal flux (nanomaggies), with a margin m of `FILTER_MARGIN` pixels.
    conditions : `Conditions` (N,)
    rng : `~numpy.random.Generator`

    Returns
    -------
    `torch.Tensor` (N, 5, S, S) float32
        Sky-subtracted flux (nanomaggies), in the pixels of *r*.
    """

    def grid(values):
        return torch.as_tensor(values, dtype=torch.float32)[..., None, None]

    calibration, sky = grid(conditions.calibration), grid(conditions.sky)
    images = images * grid(conditions.zero_point)
    counts = images / calibration + sky
    variance = counts.clamp_min(0) / grid(conditions.gain) + grid(conditions.dark_variance)
    noise = torch.from_numpy(rng.standard_normal(images.shape, dtype=np.float32))
    observed = torch.round(counts + noise * torch.sqrt(variance))
    residual = _resample((observed - counts) * calibration, conditions.phase)
    inner = slice(FILTER_MARGIN, -FILTER_MARGIN)
    return images[..., inner, inner] + residual + grid(conditions.background)


def _resample(residual, phase):
    """Move images (N, 5, S + 2 m, S + 2 m) by a fraction of a pixel, as the spline does it to noise."""
    filters = torch.as_tensor(_shift_filters()[np.rint((phase + 0.5) * (_PHASES - 1)).astype(int)])
    for axis, dimension in ((1, -2), (0, -1)):
        n = residual.shape[dimension] - 2 * FILTER_MARGIN
        moved = 0
        for tap in range(2 * FILTER_MARGIN + 1):
            moved = moved + filters[:, :, axis, tap, None, None] * residual.narrow(dimension, tap, n)
        residual = moved
    return residual


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
