# Licensed under a 3-clause BSD style license - see LICENSE
"""
Stamps of real galaxies are what the real frames hold.

Everything here is measured a second time on the original frames, read by astropy and placed by their own WCS.
"""

import bz2
import functools
import io
import warnings
from unittest.mock import patch

import numpy as np
import pytest
from astropy.io import fits
from astropy.stats import sigma_clipped_stats
from astropy.table import Table
from astropy.wcs import WCS, FITSFixedWarning
from photutils.aperture import CircularAperture
from scipy import ndimage

from astro_photz.cutouts import FrameDirectory
from astro_photz.cutouts.frames import Frame
from astro_photz.cutouts.resampling import AffineMap, resample
from astro_photz.positions import read_positions
from astro_photz.sdss import BANDS
from astro_photz.testing.source_contract import check_source
from shared_data import SHARED, needs_shared

pytestmark = needs_shared

FIELDS = ("001043-5-0025", "001992-1-0087", "003184-2-0169", "007264-3-0111")
RADIUS = 8.0


@functools.cache
def galaxies():
    return Table.read(SHARED / "real_galaxies.ecsv")


@pytest.fixture(scope="module")
def cut():
    """Stamps of all real galaxies, and the number of frames that were read for it."""
    with patch("astro_photz.cutouts.frames.Frame", wraps=Frame) as counted:
        source = FrameDirectory(SHARED / "sdss_frames", data_release=17, threads=1)
        cutouts = check_source(source, read_positions(galaxies()))
    return cutouts, counted.call_count


@pytest.fixture(scope="module")
def originals():
    """Image and WCS of each frame by its field and band, as astropy reads them."""
    found = {}
    for path in SHARED.glob("sdss_frames/**/frame-*.fits.bz2"):
        hdu = fits.open(io.BytesIO(bz2.decompress(path.read_bytes())))[0]
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FITSFixedWarning)
            wcs = WCS(hdu.header)
        _, band, field = path.name.removesuffix(".fits.bz2").split("-", 2)
        found[field, band] = hdu.data, wcs
    return found


def test_every_galaxy_has_its_stamp(cut):
    cutouts, _ = cut
    table = galaxies()
    assert not cutouts.flags.any()
    assert np.isfinite(cutouts.flux[:, :, 24:40, 24:40]).all()
    assert np.abs(cutouts.target_xy - 31.5).max() <= 1
    np.testing.assert_allclose(cutouts.ebv, table["ebv"], rtol=1e-6)
    origin = cutouts.provenance
    names = [f"{run:06d}-{camcol}-{field:04d}" for run, camcol, field in origin["run", "camcol", "field"]]
    assert names == list(table["field"])
    assert set(origin["rerun"]) == {301}
    assert set(origin["data_release"]) == {17}


def test_five_decompressions_a_field(cut):
    assert cut[1] == 5 * len(FIELDS)


def test_r_stamps_are_the_native_pixels(cut, originals):
    cutouts, _ = cut
    for row, galaxy in enumerate(galaxies()):
        image, wcs = originals[galaxy["field"], "r"]
        x, y = np.rint(wcs.all_world2pix(galaxy["ra"], galaxy["dec"], 0) - cutouts.target_xy[row]).astype(int)
        inside = np.s_[max(0, -y) : image.shape[0] - y, max(0, -x) : image.shape[1] - x]
        native = image[max(0, y) : y + 64, max(0, x) : x + 64]
        np.testing.assert_array_equal(cutouts.flux[row, 2][inside], native)
        assert np.isfinite(cutouts.flux[row, 2]).sum() == native.size


@pytest.mark.parametrize("band", BANDS)
def test_aperture_flux_is_that_of_the_original_frame(cut, originals, band):
    """To 1 %, or to twice the noise of the aperture where that is larger."""
    cutouts, _ = cut
    bright = np.flatnonzero(galaxies()["r_aper"] < 19)
    assert len(bright) > 30
    for row in bright:
        galaxy = galaxies()[row]
        image, wcs = originals[galaxy["field"], band]
        place = wcs.all_world2pix(galaxy["ra"], galaxy["dec"], 0)
        expected = CircularAperture(np.ravel(place), RADIUS).do_photometry(image)[0][0]
        found = CircularAperture(cutouts.target_xy[row], RADIUS).do_photometry(cutouts.flux[row, BANDS.index(band)])[0][
            0
        ]
        noise = sky_rms(image[:200, :200]) * np.sqrt(np.pi) * RADIUS
        assert abs(found - expected) < max(0.01 * abs(expected), 2 * noise)
        # The two apertures see the same photons: they agree far better than the noise would excuse.
        assert abs(found - expected) < max(0.01 * abs(expected), 0.2 * noise)


@pytest.mark.parametrize("band", "giz")
def test_centroids_are_those_of_the_original_frame(cut, originals, band):
    """The centroid in a band's own frame, carried by the two WCS onto the pixels of r, is that in the stamp."""
    cutouts, _ = cut
    for row in bright_galaxies():
        galaxy = galaxies()[row]
        image, wcs = originals[galaxy["field"], band]
        _, wcs_r = originals[galaxy["field"], "r"]
        place = np.ravel(wcs.all_world2pix(galaxy["ra"], galaxy["dec"], 0))
        corner = np.rint(place - 31.5).astype(int)
        native = image[corner[1] : corner[1] + 64, corner[0] : corner[0] + 64]
        sky = wcs.all_pix2world([centroid(native, start=place - corner) + corner], 0)
        there = wcs_r.all_world2pix(sky, 0)[0]
        origin = np.rint(np.ravel(wcs_r.all_world2pix(galaxy["ra"], galaxy["dec"], 0)) - cutouts.target_xy[row])
        found = centroid(cutouts.flux[row, BANDS.index(band)], start=cutouts.target_xy[row]) + origin
        assert np.abs(found - there).max() < 0.05


def test_centroids_agree_between_bands(cut):
    """
    In g, r and i to 0.1 pixels, in the median of the bright and clean galaxies.

    A spiral's arms are bluer than its bulge and not symmetric: single ones differ by more, in the original frames too.
    """
    cutouts, _ = cut
    places = np.array(
        [[centroid(cutouts.flux[row, k], start=cutouts.target_xy[row]) for k in (1, 2, 3)] for row in clean_galaxies()]
    )
    shifts = places - places[:, 1:2]
    assert np.abs(np.median(shifts, axis=0)).max() < 0.1


def bright_galaxies():
    return np.flatnonzero(galaxies()["r_aper"] < 18.3)


def clean_galaxies():
    clean = np.flatnonzero(np.ma.filled(galaxies()["clean"], False))
    assert len(clean) == 16
    return clean


def centroid(image, *, start, sigma=3.0):
    """Column and row of an image's light in a Gaussian window that follows it, as SExtractor's XWIN_IMAGE."""
    rows, columns = np.indices(image.shape)
    xy = np.array(start, dtype=float)
    for _ in range(30):
        weight = image * np.exp(-0.5 * ((columns - xy[0]) ** 2 + (rows - xy[1]) ** 2) / sigma**2)
        xy += 2 * np.array([(weight * (columns - xy[0])).sum(), (weight * (rows - xy[1])).sum()]) / weight.sum()
    return xy


PHASES = [(x, y) for x in (0.0, 0.2, 0.5, 0.8) for y in (0.0, 0.35, 0.5)]


@pytest.mark.parametrize("band", BANDS)
def test_noise_and_flux_at_any_phase(originals, band):
    """Real sky, with its quantisation, and real galaxies and stars, shifted by all fractions of a pixel."""
    image, _ = originals[FIELDS[0], band]
    image = image.astype(np.float32)
    rms = sky_rms(image[700:828, 900:1028])
    objects = bright_objects(image, 6)
    flux = [CircularAperture(place, RADIUS).do_photometry(image)[0][0] for place in objects]
    for dx, dy in PHASES:
        shift = AffineMap(np.eye(2), np.array([dx, dy]))
        there = resample(image, shift, corner=(900, 700), size=128)
        assert 0.75 < sky_rms(there) / rms < 1.01
        for (x, y), expected in zip(objects, flux, strict=True):
            stamp = resample(image, shift, corner=(x - 32, y - 32), size=64)
            found = CircularAperture((32 - dx, 32 - dy), RADIUS).do_photometry(stamp)[0][0]
            assert found == pytest.approx(expected, rel=3e-3)


def sky_rms(image):
    return sigma_clipped_stats(image, sigma=3)[2]


def bright_objects(image, n):
    """Columns and rows, to 2 pixels, of the brightest objects well inside a frame that are no bright stars."""
    coarse = image[:1488].reshape(372, 4, 512, 4).mean(axis=(1, 3))
    usable = (coarse == ndimage.maximum_filter(coarse, 15)) & (coarse < 40)
    usable[:25] = usable[-25:] = usable[:, :25] = usable[:, -25:] = False
    rows, columns = np.nonzero(usable)
    brightest = np.argsort(coarse[usable])[-n:]
    return list(zip(4 * columns[brightest] + 2, 4 * rows[brightest] + 2, strict=True))


@pytest.mark.parametrize("band", "ugiz")
def test_stamps_agree_with_reproject(cut, originals, band):
    """Bright galaxies, brought onto the pixels of r by reproject, which knows nothing but the WCS."""
    reproject = pytest.importorskip("reproject")
    cutouts, _ = cut
    for row in clean_galaxies():
        galaxy = galaxies()[row]
        image, wcs = originals[galaxy["field"], band]
        _, wcs_r = originals[galaxy["field"], "r"]
        corner = np.rint(wcs_r.all_world2pix(galaxy["ra"], galaxy["dec"], 0) - cutouts.target_xy[row])
        wanted = wcs_r.deepcopy()
        wanted.wcs.crpix -= corner
        x, y = np.rint(np.ravel(wcs.all_world2pix(galaxy["ra"], galaxy["dec"], 0))).astype(int)
        low, high = max(y - 60, 0), max(x - 60, 0)
        near = wcs.deepcopy()
        near.wcs.crpix -= (high, low)
        patch = image[low : y + 60, high : x + 60].astype(float)
        there, _ = reproject.reproject_interp((patch, near), wanted, shape_out=(64, 64), order="bicubic")
        ours = cutouts.flux[row, BANDS.index(band)]
        # Noise aside, which the two splines filter differently: the galaxy is smooth, so smooth both.
        ours, there = (ndimage.gaussian_filter(np.nan_to_num(plane), 1.5)[8:-8, 8:-8] for plane in (ours, there))
        noise = sky_rms(image[:200, :200])
        np.testing.assert_allclose(ours, there, atol=0.005 * ours.max() + 0.1 * noise)
