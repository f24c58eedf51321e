# Licensed under a 3-clause BSD style license - see LICENSE
"""
The four real fields of ``../shared``: stamps of them, and under what conditions they were seen.

Four fields have four noise levels and four blurs in each band, which any classifier learns by heart. So what is
compared with them is simulated under their own conditions: calibration and sky as the frames' tables give them at the
place of each stamp, the gain of their camera column, the noise of their own pixels in that part of a frame (which
differs from what the data model's dark variance makes it, as each chip has two amplifiers), its shape, and how it hangs
together along rows and columns, the level that the subtraction of the sky left in the empty stamps around, the fraction
of a pixel by which each band is resampled, and the point-spread function measured on their own stars. What cannot be
known is drawn.
"""

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from astropy.io import fits
from astropy.wcs import WCS
from scipy.ndimage import binary_dilation, gaussian_filter, map_coordinates, maximum_filter
from scipy.optimize import least_squares
from scipy.stats import kurtosis, skew

from astro_photz.cutouts.frames import frame_wcs, open_decompressed
from astro_photz.cutouts.resampling import AffineMap, resample
from astro_photz.sdss import BANDS, FRAME_SHAPE, PIXEL_SCALE, FieldID, frame_name, gain
from astro_photz.simulate.camera.conditions import draw_conditions

from ._features import aperture_flux, centroid

__all__ = ["FIELDS", "RealField"]

FIELDS = (FieldID(1043, 301, 5, 25), FieldID(3184, 301, 2, 169), FieldID(7264, 301, 3, 111), FieldID(1992, 301, 1, 87))
_NATIVE = BANDS.index("r")
_DETECTION = 5.0  # sigma of the smoothed r image
_STAR_REACH = 16  # pixels around a star
_STAR_RADII = 1.0, 1.5, 2.0, 3.0, 4.0, 6.0, 9.0, 14.0
_STARS = 40
_SECTIONS = 8  # of a frame's columns
_APART = 6  # pixels: where noise no longer correlates
# Distances of the rows whose means are compared: several, since the noise of rows is in part periodic.
_ROWS_APART = range(5, 13)
_LENGTH = 64  # pixels, of the pieces of rows whose means are compared
_BASELINE = 16  # pixels, over which the slope of the sky is taken
_STAMP = 64  # pixels
_AROUND = 128  # pixels, one standard deviation of the weight with which empty stamps around tell the level of the sky
_FROM_STAMP_TO_STAMP = 0.02  # of the noise of a pixel: how much that differs
_LARGEST_OF_LEVEL = 3.5  # sigma
_LARGEST = 4.5  # sigma of a pixel without a source
_LARGEST_OF_ROWS = 5.0  # of a difference of rows


@dataclass(frozen=True)
class RealField:
    """
    A field: its frames, and what their tables say.

    Images, maps from the pixels of *r* to those of each band, calibration (columns,) and sky tables (which `_at`
    stretches over the frame) are lists in *ugriz*; the WCS is that of *r*.
    """

    images: list
    maps: list
    calibration: list
    sky: list
    wcs: WCS
    field_id: FieldID

    @classmethod
    def read(cls, folder, field_id):
        """Read a field from a folder of frames."""
        images, wcs, calibration, sky = [], [], [], []
        for band in BANDS:
            with open_decompressed(folder / frame_name(band, field_id)) as file, fits.open(file) as hdus:
                images.append(np.ascontiguousarray(hdus[0].data, dtype=np.float32))
                wcs.append(frame_wcs(hdus[0].header))
                calibration.append(hdus[1].data.astype(float))
                sky.append(hdus[2].data["ALLSKY"][0].astype(float))
        maps = [AffineMap.between(wcs[_NATIVE], other, shape=FRAME_SHAPE) for other in wcs]
        return cls(images, maps, calibration, sky, wcs[_NATIVE], field_id)

    @cached_property
    def _smooth(self):
        """The *r* image, smoothed to about the blur."""
        return gaussian_filter(self.images[_NATIVE], 1.5)

    @cached_property
    def _smooth_noise(self):
        return 1.4826 * np.median(np.abs(self._smooth - np.median(self._smooth)))

    @cached_property
    def significance(self):
        """The *r* image, smoothed to about the blur, in units of its noise."""
        return self._smooth / self._smooth_noise

    def is_empty(self, stamps):
        """Mask of the stamps (N, S, S) of *r* in which nothing is detected, as far as in the field's own."""
        smooth = gaussian_filter(stamps, (0, 1.5, 1.5))
        return (smooth < _DETECTION * self._smooth_noise).all(axis=(1, 2))

    def stamp(self, corner, size):
        """The five bands (5, size, size) on the pixels of *r*."""
        return np.stack(
            [resample(*pair, corner=corner, size=size) for pair in zip(self.images, self.maps, strict=True)]
        )

    def empty_corners(self, size, *, step):
        """Corners (M, 2) of stamps, ``step`` pixels apart, in which nothing is detected."""
        rows, columns = (np.arange(size, length - 2 * size, step) for length in FRAME_SHAPE)
        corners = [(x, y) for y in rows for x in columns]
        detected = self.significance > _DETECTION
        return np.array([(x, y) for x, y in corners if not detected[y : y + size, x : x + size].any()])

    @cached_property
    def point_spread(self):
        """Double Gaussian of each band (5, 3): width of the core (pixels), relative width and height of the wings."""
        places = self._star_places()
        return np.array([self._fit_stars(band, places) for band in range(5)])

    def _star_places(self):
        """Columns and rows of compact, isolated, unsaturated peaks, the brightest first."""
        image = self.images[_NATIVE]
        edge = 30
        inner = np.zeros(FRAME_SHAPE, dtype=bool)
        inner[edge:-edge, edge:-edge] = True
        alone = maximum_filter(self.significance, 29) == self.significance
        y, x = np.nonzero(alone & inner & (self.significance > 150))
        peak = image[y, x]
        near = np.array([image[j - 2 : j + 3, i - 2 : i + 3].sum() for j, i in zip(y, x, strict=True)])
        wide = np.array([image[j - 7 : j + 8, i - 7 : i + 8].sum() for j, i in zip(y, x, strict=True)])
        usable = peak < 30  # nanomaggies a pixel: saturation sets in at about twice that
        extent = wide / near
        extent[~usable] = np.inf
        compact = extent < np.quantile(extent[usable], 0.15) * 1.06
        order = np.argsort(-peak[compact])[:_STARS]
        return np.stack([x[compact][order], y[compact][order]], axis=1)

    def _fit_stars(self, band, places):
        """From the median growth of light with radius, whose far wings a fit to pixels would miss."""
        size = 2 * _STAR_REACH + 1
        growth = []
        for corner in places - _STAR_REACH:
            native, stamp = (resample(self.images[b], self.maps[b], corner=corner, size=size) for b in (_NATIVE, band))
            if stamp.sum() > 60 * self.noise[band].mean():
                centre = centroid(native, (_STAR_REACH, _STAR_REACH))
                growth.append([aperture_flux(stamp, centre, radius) for radius in _STAR_RADII])
        growth = np.array(growth)
        growth = np.median(growth / growth[:, -1:], axis=0)
        radii = np.array(_STAR_RADII)

        def residual(parameters):
            sigma, width, height = np.exp(parameters)
            share = height * width**2 / (1 + height * width**2)
            core, wings = (1 - np.exp(-0.5 * (radii / scale) ** 2) for scale in (sigma, sigma * width))
            inside = (1 - share) * core + share * wings
            return inside / inside[-1] - growth

        start = np.log([1.4, 2.5, 0.08])
        return np.exp(least_squares(residual, start, bounds=(start - 1.0, start + 1.0)).x)

    @cached_property
    def _statistics(self):
        """Apply `_pixel_statistics` to each section of columns in each band (5, sections, 6)."""
        return np.array([[_pixel_statistics(section) for section in _sections(image)] for image in self._empty])

    @cached_property
    def _empty(self):
        """Images, with NaN near sources."""
        # the other bands are a few pixels off r
        near_source = binary_dilation(self.significance > 3, iterations=12)
        return [np.where(near_source, np.nan, image) for image in self.images]

    @cached_property
    def _levels(self):
        """Residual sky of the field's empty stamps (M, 5), and their centres (M, 2)."""
        corners = self.empty_corners(_STAMP, step=_STAMP)
        flux = np.stack([self.stamp(tuple(corner), _STAMP) for corner in corners])
        return self.level(flux), corners + (_STAMP - 1) / 2

    def level(self, flux):
        """Mean of stamps (N, 5, S, S), and nearly that of what is smooth in them (N, 5)."""
        limit = _LARGEST_OF_LEVEL * np.median(self.noise, axis=1)[:, None, None]
        return np.clip(flux, -limit, limit).mean(axis=(2, 3))

    def _background(self, xy):
        """Residual sky at places (N, 2), as in the empty stamps around, and its slopes (3, N, 5)."""
        levels, centres = self._levels

        def at(xy):
            far = np.sum((xy[:, None] - centres) ** 2, axis=-1) / _AROUND**2
            weight = np.exp(-0.5 * (far - far.min(axis=1, keepdims=True)))
            return weight @ levels / weight.sum(axis=1, keepdims=True)

        slope = [(at(xy + step) - at(xy - step)) / (2 * _BASELINE) for step in _BASELINE * np.eye(2)]
        return np.array([at(xy), *slope])

    @property
    def noise(self):
        """Noise of a pixel in the sections of each band (5, sections)."""
        return self._statistics[..., 0]

    def _dark_variance(self, xy):
        """Dark variance that gives the noise of the frames at places on the pixels of *r* (DN^2), (N, 5)."""
        table = zip(self.noise, self.calibration, self.sky, gain(self.field_id.camcol, self.field_id.run), strict=True)
        variance = np.array(
            [
                (rms / [np.median(section) for section in _sections(calibration)]) ** 2
                - [np.median(section) / electrons + 1 / 12 for section in _sections(sky)]
                for rms, calibration, sky, electrons in table
            ]
        )
        return _of_section(np.maximum(variance, 0.0), xy)

    def _at(self, band, xy):
        """Calibration, sky and its slopes (4, N) of a band at places (N, 2) on the pixels of *r*."""
        x, y = np.clip(self.maps[band](xy), 0, np.array(FRAME_SHAPE[::-1]) - 1).T
        table = self.sky[band]
        scale = np.divide(table.shape, FRAME_SHAPE)

        def sky(x, y):
            return map_coordinates(table, [y * scale[0], x * scale[1]], order=1, mode="nearest")

        slope = [(sky(x + d, y + e) - sky(x - d, y - e)) / (2 * _BASELINE) for d, e in _BASELINE * np.eye(2)]
        calibration = np.interp(x, np.arange(FRAME_SHAPE[1]), self.calibration[band])
        return np.array([calibration, sky(x, y), *slope])

    def conditions(self, xy, rng):
        """Conditions of stamps with centres (N, 2) on the pixels of *r*, as the simulation wants them."""
        n, run, camcol = len(xy), self.field_id.run, self.field_id.camcol
        calibration, sky, *slope = np.array([self._at(band, xy) for band in range(5)]).transpose(1, 2, 0)
        offset = np.stack([mapping(xy) - xy for mapping in self.maps], axis=1)
        phase = offset - np.round(offset)
        phase[:, _NATIVE] = 0
        sigma, width, height = self.point_spread.T
        drawn, gains = draw_conditions(n, rng), gain(camcol, run)
        background, *background_slope = self._background(xy)
        of_section = [_of_section(values, xy) for values in np.moveaxis(self._statistics, 2, 0)]
        return replace(
            drawn,
            gain=np.tile(gains, (n, 1)),
            dark_variance=self._dark_variance(xy),
            calibration=calibration,
            sky=sky,
            sky_slope=np.stack(slope, axis=-1),
            background=background + _FROM_STAMP_TO_STAMP * of_section[0] * rng.standard_normal((n, 5)),
            background_slope=np.stack(background_slope, axis=-1) + drawn.background_slope,
            read_correlation=of_section[1],
            column_correlation=of_section[2],
            row_noise=of_section[3],
            skewness=of_section[4] - sky / gains**2 / (of_section[0] / calibration) ** 3,
            kurtosis=of_section[5],
            phase=phase,
            psf_fwhm=np.tile(2.3548 * PIXEL_SCALE * sigma, (n, 1)),
            psf_wings=np.tile(np.stack([width, height], axis=1), (n, 1, 1)),
        )


def _of_section(values, xy):
    """Pick values (5, sections) at places (N, 2): (N, 5)."""
    section = np.clip(xy[:, 0] * _SECTIONS / FRAME_SHAPE[1], 0, _SECTIONS - 1).astype(int)
    return values[:, section].T


def _pixel_statistics(image):
    """
    Noise of a pixel, correlation in a row and in a column, noise of a row, skewness and kurtosis, away from sources.

    From differences, which know little of smooth light. What sources too faint to be detected do to the means of rows
    is known from columns, and taken off.
    """
    in_row, in_column = (_correlation(one) for one in (image, image.T))
    variance = _clipped_rms(np.diff(image, axis=0)) ** 2 / 2 / (1 - in_column)
    along, across = (_variance_of_means(one) / variance for one in (image, image.T))
    row = along - across - 2 * (in_row - in_column) / _LENGTH
    return np.sqrt(variance), in_row, in_column, np.sqrt(max(row, 0.0)), *_shape_of_noise(image, np.sqrt(variance))


def _correlation(image):
    """Correlation of neighbours in a row."""
    near, apart = (_clipped_rms(image[:, step:] - image[:, :-step]) for step in (1, _APART))
    return 1 - (near / apart) ** 2


def _shape_of_noise(image, rms):
    """Skewness, and kurtosis beyond that of a normal distribution."""
    difference = (image[_APART:] - image[:-_APART]) / rms
    difference = difference[np.abs(difference) < _LARGEST * np.sqrt(2)]
    values = image / rms
    values = values[np.abs(values) < _LARGEST]
    return skew(values), 2 * kurtosis(difference)


def _variance_of_means(image):
    """Noise of the means of pieces of rows, from differences of pieces some rows apart."""
    rows, columns = image.shape[0], image.shape[1] // _LENGTH
    means = image[:, : columns * _LENGTH].reshape(rows, columns, _LENGTH).mean(axis=2)
    differences = np.concatenate([(means[apart:] - means[:-apart]).ravel() for apart in _ROWS_APART])
    # some rows are far from the others
    return differences[np.abs(differences) < _LARGEST_OF_ROWS * _clipped_rms(differences)].var() / 2


def _sections(image):
    """Pieces of a few columns each: the flat field, and the two amplifiers of a chip, make their noise different."""
    return np.array_split(image, _SECTIONS, axis=-1)


def _clipped_rms(values):
    """Standard deviation of what lies within 3 of them, made up for what lies beyond."""
    values = values[np.isfinite(values)]
    low, high = np.percentile(values, [15.87, 84.13])
    rms = (high - low) / 2
    for _ in range(5):
        rms = values[np.abs(values) < 3 * rms].std() / 0.9866
    return rms
