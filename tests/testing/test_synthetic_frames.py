# Licensed under a 3-clause BSD style license - see LICENSE
"""The synthetic frames are what they claim: laid out like real ones, with the light that the sources have."""

import bz2
import io
import warnings

import numpy as np
import pytest
from astropy.io import fits
from astropy.wcs import WCS, FITSFixedWarning
from scipy.ndimage import map_coordinates

from astro_photz.sdss import BANDS, PIXEL_SCALE, FieldID, dark_variance, frame_path, gain
from astro_photz.testing.synthetic_frames import make_edge, make_field, make_run, write_field
from astro_photz.testing.synthetic_sky import SHAPE, Galaxy, Geometry, make_sky
from shared_data import SHARED, needs_shared

FIELD = FieldID(4207, 301, 3, 110)
GEOMETRY = Geometry(ra=244.5, dec=40.2)
FLUX = (3.0, 12.0, 30.0, 45.0, 60.0)


def read_wcs(header):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FITSFixedWarning)
        return WCS(header)


def moments(image):
    """Centroid (columns, rows) and covariance of an image's light."""
    y, x = np.indices(image.shape)
    weight = image / image.sum()
    x0, y0 = (weight * x).sum(), (weight * y).sum()
    dx, dy = x - x0, y - y0
    xy = (weight * dx * dy).sum()
    return (x0, y0), np.array([[(weight * dx**2).sum(), xy], [xy, (weight * dy**2).sum()]])


@pytest.mark.parametrize("axis_ratio", [1.0, 0.5])
@pytest.mark.parametrize("phase", [(0.0, 0.0), (0.5, 0.25)])
def test_flux_and_place_of_a_source(axis_ratio, phase):
    source = Galaxy(*GEOMETRY.sky(120 + phase[0], 90 + phase[1]), FLUX, axis_ratio=axis_ratio, position_angle=30)
    field = make_field(FIELD, GEOMETRY, [source], noise=False)
    for k, band in enumerate(BANDS):
        image = field.images[band].astype(float)
        assert image.sum() == pytest.approx(FLUX[k], rel=1e-5)
        centre, _ = moments(image)
        wcs = read_wcs(field.hdulist(band)[0].header)
        np.testing.assert_allclose(centre, wcs.world_to_pixel_values(source.ra, source.dec), atol=1e-3)


@pytest.mark.parametrize("rotation", [0.0, 37.0, -42.7])
def test_shape_of_a_source_follows_the_sky(rotation):
    """A galaxy stretched to the north has its long axis along declination, however the frame is turned."""
    geometry = Geometry(ra=10.0, dec=50.0, rotation=rotation)
    source = Galaxy(*geometry.sky(130, 100), FLUX, sigma=2.0, axis_ratio=0.4, position_angle=0.0)
    image = make_field(FIELD, geometry, [source], noise=False).images["r"].astype(float)
    _, covariance = moments(image)
    to_sky = geometry.wcs("r").wcs.cd * 3600
    # The pixels' own width adds a twelfth of a pixel squared.
    east_north = to_sky @ (covariance - np.eye(2) / 12) @ to_sky.T
    np.testing.assert_allclose(east_north, np.diag([(2.0 * 0.4) ** 2, 2.0**2]), atol=2e-3)


def test_source_smaller_than_a_pixel_is_refused():
    source = Galaxy(*GEOMETRY.sky(130, 100), FLUX, sigma=0.3)
    with pytest.raises(ValueError, match="at least one pixel"):
        make_field(FIELD, GEOMETRY, [source])


def test_sigma_may_differ_by_band():
    sigma = (1.5, 1.2, 1.0, 0.9, 0.8)
    field = make_field(FIELD, GEOMETRY, [Galaxy(*GEOMETRY.sky(130, 100), FLUX, sigma=sigma)], noise=False)
    widths = [np.sqrt(moments(field.images[band].astype(float))[1][0, 0] - 1 / 12) * PIXEL_SCALE for band in BANDS]
    np.testing.assert_allclose(widths, sigma, rtol=1e-3)


def test_bands_lie_on_pixel_grids_of_their_own():
    x, y = 60.0, 150.0
    world = GEOMETRY.sky(x, y)
    places = np.array([GEOMETRY.pixel(*world, band=band) for band in BANDS]) - (x, y)
    assert np.allclose(places[BANDS.index("r")], 0, atol=1e-6)
    others = np.delete(places, BANDS.index("r"), axis=0)
    assert np.all(np.hypot(*others.T) > 2)
    assert np.all(np.abs(others - np.rint(others)).max(axis=1) > 0.05)


def test_counts_are_whole_and_noise_is_that_of_the_camera():
    field = make_field(FIELD, GEOMETRY, [])
    for k, band in enumerate(BANDS):
        image, calibration, sky_table, _ = field.hdulist(band)
        table = sky_table.data
        grid = np.meshgrid(table["YINTERP"][0], table["XINTERP"][0], indexing="ij")
        sky = map_coordinates(table["ALLSKY"][0].astype(float), grid, order=1, mode="nearest")
        counts = image.data / calibration.data + sky
        assert np.abs(counts - np.rint(counts)).max() < 0.005
        expected = calibration.data * np.sqrt(
            counts / gain(FIELD.camcol, FIELD.run)[k] + dark_variance(FIELD.camcol, FIELD.run)[k] + 1 / 12
        )
        assert (image.data / expected).std() == pytest.approx(1, abs=0.02)


def test_noise_is_reproducible():
    first, again, other = (make_field(FIELD, GEOMETRY, [], seed=seed).images["g"] for seed in (1, 1, 2))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


def test_dead_pixels():
    dead = {"i": (slice(0, 20), slice(None))}
    field = make_field(FIELD, GEOMETRY, [], dead=dead)
    assert np.isnan(field.images["i"]).sum() == 20 * SHAPE[1]
    assert np.isfinite(field.images["r"]).all()


def test_consecutive_fields_share_pixels_and_sky():
    first, second = make_run(FIELD, GEOMETRY, make_sky(GEOMETRY, 4), overlap=80)
    assert second.field_id == FIELD._replace(field=FIELD.field + 1)
    for band in BANDS:
        assert np.array_equal(first.images[band][-80:], second.images[band][:80])
        world = first.geometry.wcs(band).pixel_to_world_values(33.0, SHAPE[0] - 80 + 5.0)
        np.testing.assert_allclose(second.geometry.wcs(band).world_to_pixel_values(*world), (33.0, 5.0), atol=1e-6)


def test_make_sky_puts_galaxies_inside():
    sources = make_sky(GEOMETRY, 20, seed=3, margin=40)
    places = np.array([GEOMETRY.pixel(s.ra, s.dec) for s in sources])
    assert np.all(places > 39.9)
    assert np.all(places < np.array(SHAPE[::-1]) - 40.9)
    assert make_sky(GEOMETRY, 20, seed=3, margin=40) == sources


def test_edge_is_whole_only_in_the_wide_frame():
    edge = make_edge()
    rows, columns = SHAPE
    x, y = edge.near.geometry.pixel(edge.target.ra, edge.target.dec)
    assert columns - 32 < x < columns  # the stamp runs over the last column
    assert edge.whole.images["r"].shape[1] > x + 40
    for band in BANDS:
        assert np.array_equal(edge.near.images[band], edge.whole.images[band][:, :columns])
    # The other field holds what is missing, to beyond the stamp, but not the whole stamp either.
    for dy in (-36, 36):
        for dx in (columns - x, 36):
            far_x, far_y = edge.far.geometry.pixel(*edge.near.geometry.sky(x + dx, y + dy))
            assert 0 < far_x < columns
            assert 0 < far_y < rows
    far_x, _ = edge.far.geometry.pixel(edge.target.ra, edge.target.dec)
    assert 0 < far_x < columns - x  # and the near field is the one in which it is most central


@pytest.mark.parametrize("compression", ["bz2", "gz", None])
@pytest.mark.parametrize("layout", ["flat", "sas"])
def test_written_files_read_back(tmp_path, layout, compression):
    field = make_field(FIELD, GEOMETRY, make_sky(GEOMETRY, 2))
    paths = write_field(tmp_path, field, layout=layout, compression=compression, data_release=12)
    assert len(paths) == len(BANDS)
    if layout == "sas" and compression == "bz2":
        assert paths[2] == tmp_path / frame_path("r", FIELD, data_release=12)
    for band, path in zip(BANDS, paths, strict=True):
        with fits.open(path) as hdulist:
            assert np.array_equal(hdulist[0].data, field.images[band])
            assert hdulist[0].header["FILTER"] == band


def real_frame():
    return (SHARED / "sdss_frames" / "frame-r-003184-2-0169.fits.bz2").read_bytes()


def synthetic_frame():
    return make_field(FIELD, GEOMETRY, []).frame("r")


def open_packed(file):
    return fits.open(io.BytesIO(bz2.decompress(file)))


@needs_shared
def test_layout_is_that_of_real_frames():
    with open_packed(real_frame()) as real, open_packed(synthetic_frame()) as synthetic:
        assert [type(hdu) for hdu in real] == [type(hdu) for hdu in synthetic]
        assert set(synthetic[0].header) <= set(real[0].header)
        assert real[2].data.names == synthetic[2].data.names
        assert set(synthetic[3].data.names) <= set(real[3].data.names)
        for ours, theirs in zip(synthetic[:2], real[:2], strict=True):
            assert ours.data.dtype == theirs.data.dtype
            assert ours.data.ndim == theirs.data.ndim
        for name in real[2].data.names:
            assert synthetic[2].data[name].ndim == real[2].data[name].ndim


@pytest.mark.parametrize("read", [synthetic_frame, pytest.param(real_frame, marks=needs_shared)])
def test_pixels_are_square_and_mirrored_as_those_of_the_camera(read):
    with open_packed(read()) as hdus, pytest.warns(FITSFixedWarning):
        cd = WCS(hdus[0].header).wcs.cd
    np.testing.assert_allclose(cd @ cd.T, np.eye(2) * (PIXEL_SCALE / 3600) ** 2, atol=2e-11)
    assert np.linalg.det(cd) < 0
