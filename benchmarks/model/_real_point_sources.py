# Licensed under a 3-clause BSD style license - see LICENSE
"""
Stars cut out of real frames, and real galaxies in them.

Stars are the detections that lie on the ridge of a frame's point sources: the share of the light within 6 pixels that
lies within 2 pixels is, in g, r and i, that of the field's bright, narrow detections, as well as the noise allows. The
package's own measurements and flags have no part in it. Galaxies known by eye or by spectrum are left out.
"""

from pathlib import Path
from typing import NamedTuple

import numpy as np
from astropy import units as u
from astropy.coordinates import SkyCoord
from astropy.stats import gaussian_fwhm_to_sigma, mad_std, sigma_clipped_stats
from astropy.table import Table, vstack
from photutils.aperture import CircularAperture, aperture_photometry
from photutils.detection import DAOStarFinder

from astro_photz import FrameDirectory, fetch
from astro_photz.cutouts.frames import read_frame
from astro_photz.sdss import BANDS, PIXEL_SCALE, ZERO_POINT
from benchmarks.common.data import SHARED, require

__all__ = ["FRAMES", "GALAXIES", "real_galaxies", "real_point_sources"]

FRAMES = SHARED / "sdss_frames"
GALAXIES = SHARED / "real_galaxies.ecsv"
SPECTROSCOPIC = SHARED / "real_spectroscopic.ecsv"

R_LIMITS = 15.5, 19.5
LOCUS_TO = 18.0  # of r: the ridge is that of brighter detections
SATURATED = 14.5
FAINTEST_FLUX = 10.0  # nanomaggies: r = 20
SPARSE = 7  # pixels: one of so many, along each axis, measures the sky
FWHM = 3.5  # pixels, of the finder's kernel
THRESHOLD = 8.0  # sigma
MARGIN = 45  # pixels from the edge
ISOLATED = 8.0  # arcsec from anything a quarter as bright
SMALL, LARGE = 2.0, 6.0  # pixels
SCATTER = 0.02  # of the share of light, from star to star
WITHIN = 3.0  # of it and of the noise together
APART = 3 * u.arcsec


def real_point_sources(frames=FRAMES, *, r_mag=R_LIMITS):
    """
    Cut the stars out of the frames of a folder.

    Returns
    -------
    cutouts : `~astro_photz.Cutouts` (N,)
        Without a width of the point-spread function, as frames do not tell it.
    stars : `~astropy.table.Table` (N,)
        ``field``, ``ra``, ``dec``, ``r_mag`` and ``psf_fwhm`` (N, 5) (arcsec): that of the field's own brighter stars.
    """
    source = FrameDirectory(require(Path(frames)))
    stars = vstack([_stars(source, field_id, r_mag) for field_id in source.field_ids], metadata_conflicts="silent")
    coord = SkyCoord(stars["ra"], stars["dec"], unit=u.deg)
    for path in (GALAXIES, SPECTROSCOPIC):
        if path.exists():
            known = Table.read(path)
            known = SkyCoord(np.asarray(known["ra"]), np.asarray(known["dec"]), unit=u.deg)
            far = coord.match_to_catalog_sky(known)[1] > APART
            stars, coord = stars[far], coord[far]
    return fetch(stars["ra", "dec"], source=source, progress=False), stars


def real_galaxies(frames=FRAMES):
    """Cutouts of the galaxies of ``real_galaxies.ecsv`` whose frames a folder has, and their rows."""
    galaxies = Table.read(require(GALAXIES))
    table = Table({name: np.asarray(galaxies[name]) for name in ("ra", "dec", "ebv")})
    return fetch(table, source=FrameDirectory(require(Path(frames))), progress=False), galaxies


def _stars(source, field_id, r_mag):
    """Stars of one field."""
    frames = {band: read_frame(source.frame_path(field_id, band)) for band in BANDS}
    images = {band: _Image.of(frame.image) for band, frame in frames.items()}
    x, y, r = _detections(images["r"])
    ra, dec = frames["r"].wcs.all_pix2world(x, y, 0)
    places = {band: np.array(frames[band].wcs.all_world2pix(ra, dec, 0)) for band in BANDS}
    stars = _alone(x, y, r)
    for band in "gri":
        stars &= _on_ridge(images[band], places[band], r)
    bright = stars & (r > R_LIMITS[0]) & (r < LOCUS_TO)
    fwhm = np.array([_fwhm(images[band].pixels, places[band][:, bright]) for band in BANDS])
    kept = stars & (r > r_mag[0]) & (r < r_mag[1])
    name = f"{field_id.run:06d}-{field_id.camcol}-{field_id.field:04d}"
    n = np.count_nonzero(kept)
    columns = {"field": [name] * n, "ra": ra[kept], "dec": dec[kept], "r_mag": r[kept]}
    return Table(columns | {"psf_fwhm": np.tile(fwhm, (n, 1))})


class _Image(NamedTuple):
    """A frame without its sky, and the noise of a pixel."""

    pixels: np.ndarray
    noise: float

    @classmethod
    def of(cls, image):
        filled = np.nan_to_num(image)
        _, median, noise = sigma_clipped_stats(filled[::SPARSE, ::SPARSE])
        return cls(filled - np.float32(median), noise)

    def apertures(self, place, radius):
        """Flux within a radius (pixels) of places (2, N)."""
        circles = CircularAperture(place.T, radius)
        return np.asarray(aperture_photometry(self.pixels, circles, method="subpixel")["aperture_sum"])


def _detections(image):
    """Column, row and r magnitude of what photutils finds, off the edges."""
    limits = {"sharpness_range": (0.0, 1.5), "roundness_range": (-1.5, 1.5)}
    found = DAOStarFinder(threshold=THRESHOLD * image.noise, fwhm=FWHM, **limits)(image.pixels)
    place = np.stack([np.asarray(found[name]) for name in ("x_centroid", "y_centroid")])
    rows, columns = image.pixels.shape
    within = (place > MARGIN) & (place < np.array([[columns], [rows]]) - MARGIN)
    place = place[:, within.all(axis=0)]
    flux = image.apertures(place, LARGE)
    bright = flux > FAINTEST_FLUX
    return *place[:, bright], ZERO_POINT - 2.5 * np.log10(flux[bright])


def _on_ridge(image, place, r):
    """Whether detections are as concentrated as the bright point sources of the frame."""
    small, large = (image.apertures(place, radius) for radius in (SMALL, LARGE))
    noise = image.noise * np.sqrt(np.pi) * LARGE
    with np.errstate(invalid="ignore", divide="ignore"):
        share = small / large
        error = np.hypot(SCATTER, noise / large)
    bright = (r > SATURATED) & (r < LOCUS_TO) & (large > 50 * noise)
    return np.abs(share - _mode(share[bright])) < WITHIN * error


def _mode(values):
    """Middle of the shortest interval that holds a quarter of the values, refined by its neighbourhood."""
    values = np.sort(values[np.isfinite(values)])
    width = max(3, len(values) // 4)
    start = np.argmin(values[width - 1 :] - values[: 1 - width])
    middle = np.median(values[start : start + width])
    return np.median(values[np.abs(values - middle) < WITHIN * SCATTER])


def _alone(x, y, r):
    """Whether nothing a quarter as bright is near."""
    distance = np.hypot(x[:, None] - x, y[:, None] - y) * PIXEL_SCALE
    rival = (distance < ISOLATED) & (distance > 0) & (r < r[:, None] + 1.5)
    return ~rival.any(axis=1)


def _fwhm(image, place):
    """Full width at half maximum (arcsec) of the Gaussian with the stars' adaptive moments, as catalogues list it."""
    half, sigmas = 12, []
    offset = np.arange(-half, half + 1)
    for x, y in place.T:
        column, row = round(x), round(y)
        stamp = image[row - half : row + half + 1, column - half : column + half + 1]
        if stamp.shape == (2 * half + 1, 2 * half + 1):
            sigmas.append(_adaptive_sigma(stamp, x - column - offset, y - row - offset))
    sigmas = np.array(sigmas)
    sigmas = sigmas[np.isfinite(sigmas)]
    typical = np.median(sigmas)
    near = np.abs(sigmas - typical) < 3 * max(mad_std(sigmas), 0.01)
    return PIXEL_SCALE / gaussian_fwhm_to_sigma * np.median(sigmas[near])


def _adaptive_sigma(stamp, x, y):
    """Standard deviation (pixels) of the Gaussian weight that equals the light's own (Bernstein & Jarvis 2002)."""
    radius_squared = x**2 + y[:, None] ** 2
    sigma = 1.4
    for _ in range(30):
        light = stamp * np.exp(-0.5 * radius_squared / sigma**2)
        variance = (
            light * radius_squared
        ).sum() / light.sum()  # half of 2 sigma^2 for a Gaussian of the weight's width
        if not variance > 0:
            return np.nan
        sigma = np.sqrt(min(variance, 25.0))
    return sigma
