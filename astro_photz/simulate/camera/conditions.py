# Licensed under a 3-clause BSD style license - see LICENSE
"""
Conditions of observation: the sky, the camera and the point-spread function that a galaxy is seen with.

A drawn galaxy has a field to itself: a camera column with its gains and dark variances, a sky brightness, calibration
and point-spread function in each band.
"""

from dataclasses import dataclass, fields

import numpy as np
import torch

from astro_photz.sdss import BANDS, PIXEL_SCALE, dark_variance, gain
from astro_photz.simulate.render.profiles import exp_of_minus
from astro_photz.utils._settings import check_between

__all__ = ["NATIVE_BAND", "Conditions", "draw_conditions"]

NATIVE_BAND = BANDS.index("r")
"""The band onto whose pixels the others are resampled."""

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

# What sky subtraction leaves, in units of the sky's rms: set so that empty stamps are as in four real fields.
_BACKGROUND_MEAN = 0.02
_BACKGROUND_RELATIVE = np.array([0.75, 1.1, 1.2, 0.95, 0.65])  # scatter of a band
_BACKGROUND_COMMON = 0.5  # share of the variance that all bands have in common: light of the same objects
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
_FWHM_OF_SIGMA = 2.3548  # of a Gaussian: with another digit, no simulated pixel would be what it was


@dataclass(frozen=True)
class Conditions:
    """
    Conditions under which each of N galaxies is seen, in the five bands.

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

    def __getitem__(self, rows):
        return Conditions(*(getattr(self, item.name)[rows] for item in fields(self)))

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
        core = grid(0.5 * (self.psf_fwhm / _FWHM_OF_SIGMA / PIXEL_SCALE) ** 2)
        share = grid(height * width**2 / (1 + height * width**2))  # of the wings
        cores, wings = exp_of_minus(k2 * core), exp_of_minus(k2 * core * grid(width**2))
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
    check_between("seeing", seeing, *_FWHM_LIMITS, unit="arcsec")
    check_between("zero_point_scatter", zero_point_scatter, 0, 0.5, unit="mag")
    check_between("registration_scatter", registration_scatter, 0, 1, unit="pixels")
    check_between("background_scatter", background_scatter, 0, 1, unit="of the rms of the sky")
    gains, dark = _draw_electronics(n, rng)
    sky = _log_normal(rng, _SKY_COUNTS, _SKY_SCATTER, (n, 5))
    calibration = _log_normal(rng, _CALIBRATION, _CALIBRATION_SCATTER, (n, 5))
    fwhm, wings = _draw_psf(n, rng, seeing)
    shift = registration_scatter * _native_at_0(rng.standard_normal((n, 5, 2)))
    phase = _native_at_0(rng.uniform(-0.5, 0.5, size=(n, 5, 2)))
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
        psf_fwhm=fwhm,
        psf_wings=wings,
        zero_point=10 ** (0.4 * zero_point_scatter * rng.standard_normal((n, 5))),
        shift=shift,
        phase=phase,
    )


def _draw_electronics(n, rng):
    """Gains and dark variances (N, 5), those of a camera column drawn for each galaxy."""
    columns = range(1, 7)
    camcol = rng.integers(columns.start, columns.stop, size=n) - 1
    gains, dark = (np.array([of(column, _LATER_RUN) for column in columns])[camcol] for of in (gain, dark_variance))
    return gains, _log_normal(rng, dark, _AMPLIFIER_SCATTER, (n, 5))


def _draw_psf(n, rng, seeing):
    """Widths of the cores (N, 5) (arcsec), and the wings (N, 5, 2) relative to them."""
    fwhm_r = _log_normal(rng, seeing, _SEEING_SCATTER, (n, 1))
    relative = _log_normal(rng, _FWHM_RELATIVE, _FWHM_RELATIVE_SCATTER, (n, 5))
    relative[:, NATIVE_BAND] = 1
    wings = [_log_normal(rng, *parameters, (n, 5)) for parameters in (_WING_WIDTH, _WING_HEIGHT)]
    return np.clip(fwhm_r * relative, *_FWHM_LIMITS), np.stack(wings, axis=-1)


def _native_at_0(places):
    """Places of the bands' pixels (N, 5, 2) relative to those of *r*."""
    places[:, NATIVE_BAND] = 0
    return places


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
