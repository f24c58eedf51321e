# Licensed under a 3-clause BSD style license - see LICENSE
"""Bringing one band onto the pixels of another keeps place, flux and noise, and makes nothing up."""

import gzip

import numpy as np
import pytest
from astropy.coordinates import SkyCoord
from astropy.io import fits
from scipy import ndimage, special

from astro_photz.cutouts.frames import FrameError, frame_wcs, open_decompressed, read_frame, read_header
from astro_photz.cutouts.resampling import AffineMap, resample
from astro_photz.sdss import BANDS, PIXEL_SCALE, FieldID
from astro_photz.testing.synthetic_frames import compress, make_field
from astro_photz.testing.synthetic_sky import SHAPE, Galaxy, Geometry
from shared_data import SHARED, needs_shared

GEOMETRY = Geometry(ra=244.5, dec=40.2)
FIELD = FieldID(4207, 301, 3, 110)
PHASES = [(x, y) for x in (0.0, 0.2, 0.5, 0.8) for y in (0.0, 0.35, 0.5)]


def shift(x, y):
    return AffineMap(np.eye(2), np.array([x, y], dtype=float))


def turn(degrees, *, scale=1.0, offset=(0.3, -0.4), about=(100, 100)):
    c, s = scale * np.cos(np.deg2rad(degrees)), scale * np.sin(np.deg2rad(degrees))
    matrix = np.array([[c, -s], [s, c]])
    return AffineMap(matrix, np.add(about, offset) - matrix @ about)


def white_noise(shape=(200, 200), *, seed=0):
    return np.random.default_rng(seed).normal(0, 1, shape).astype(np.float32)


def gaussian(x0, y0, *, sigma, flux=100.0, shape=(200, 200)):
    """A Gaussian integrated over the pixels."""

    def share(n, centre):
        edges = (np.arange(n + 1) - 0.5 - centre) / (np.sqrt(2) * sigma)
        return np.diff(special.erf(edges)) / 2

    return (flux * np.outer(share(shape[0], y0), share(shape[1], x0))).astype(np.float32)


def waves(x, y):
    """A smooth image, as a function of place: waves of 15 to 40 pixels."""
    return np.sin(x / 2.4 + 0.3) * np.cos(y / 5.1) + 0.5 * np.sin((x + y) / 6.3) + 2


# Noise, flux and place


@pytest.mark.parametrize(("x", "y"), PHASES)
def test_noise_at_any_phase(x, y):
    """White noise keeps at least three quarters of its rms: bilinear interpolation would halve it."""
    image = white_noise()
    rms = resample(image, shift(x, y), corner=(20, 20), size=128).std() / image[20:148, 20:148].std()
    assert 0.8 < rms < 1.005


def test_noise_is_not_made_smoother_on_the_whole():
    phases = np.random.default_rng(1).uniform(0, 1, (40, 2))
    rms = [resample(white_noise(), shift(x, y), corner=(30, 30), size=64).std() for x, y in phases]
    assert np.mean(rms) > 0.87


@pytest.mark.parametrize(("x", "y"), PHASES)
@pytest.mark.parametrize("fwhm", [1.0, 1.3])
def test_flux_and_place_of_a_star_at_any_phase(x, y, fwhm):
    """In the best seeing that the survey has, too; total flux, flux in an aperture, and centroid."""
    sigma = fwhm / 2.3548 / PIXEL_SCALE
    stamp = resample(gaussian(100 + x, 100 + y, sigma=sigma), shift(x, y), corner=(69, 69), size=64)
    expected = gaussian(31, 31, sigma=sigma, shape=(64, 64))
    assert stamp.sum(dtype=float) == pytest.approx(100, rel=3e-3)
    disc = np.hypot(*(np.mgrid[:64, :64] - 31)) < 8
    assert stamp[disc].sum(dtype=float) == pytest.approx(expected[disc].sum(dtype=float), rel=3e-3)
    rows, columns = np.mgrid[:64, :64]
    assert (stamp * columns).sum() / stamp.sum() == pytest.approx(31, abs=0.01)
    assert (stamp * rows).sum() / stamp.sum() == pytest.approx(31, abs=0.01)
    assert np.abs(stamp - expected).max() < 0.02 * expected.max()


@pytest.mark.parametrize("transform", [shift(0.37, -5.71), turn(0.03), turn(0.05, scale=1.0005), turn(15)])
def test_place_of_a_smooth_image(transform):
    rows, columns = np.mgrid[:200, :200]
    stamp = resample(waves(columns, rows).astype(np.float32), transform, corner=(60, 70), size=64)
    wanted = np.stack(np.meshgrid(60 + np.arange(64), 70 + np.arange(64)), axis=-1)
    x, y = np.moveaxis(transform(wanted), -1, 0)
    # The separable spline leaves the cross terms out, 0.013 pixels at most within a field.
    np.testing.assert_allclose(stamp, waves(x, y), atol=0.006)


@pytest.mark.parametrize("transform", [shift(0.5, 0.5), shift(-7.25, 3.9), turn(0.0, scale=1.0004)])
def test_fast_spline_is_that_of_scipy(transform):
    image = white_noise()
    expected = ndimage.affine_transform(
        image,
        transform.matrix[::-1, ::-1],
        (transform([60, 70]))[::-1],
        output_shape=(64, 64),
        order=5,
        mode="mirror",
        output=np.float64,
    )
    np.testing.assert_allclose(resample(image, transform, corner=(60, 70), size=64), expected, atol=2e-4)


@pytest.mark.parametrize("degrees", [0.005, 0.02, 0.034])
def test_cross_terms_that_are_left_out_do_not_matter(degrees):
    """Against the full affine spline, a star at the edge of a stamp differs by a hundredth of its peak at most."""
    image = gaussian(128, 72, sigma=1.3)
    transform = turn(degrees)
    expected = ndimage.affine_transform(
        image, transform.matrix[::-1, ::-1], transform([69, 69])[::-1], output_shape=(64, 64), order=5
    )
    stamp = resample(image, transform, corner=(69, 69), size=64)
    np.testing.assert_allclose(stamp, expected, atol=0.012 * image.max())


@pytest.mark.parametrize(("x", "y"), [(0, 0), (3, -5), (-40, 50)])
def test_whole_pixels_are_copied(x, y):
    image = white_noise()
    stamp = resample(image, shift(x, y), corner=(60, 70), size=64)
    np.testing.assert_array_equal(stamp, image[70 + y : 134 + y, 60 + x : 124 + x])


@pytest.mark.parametrize("degrees", [0.06, 0.075, 0.2])
def test_larger_cross_terms_are_not_left_out(degrees):
    """Beyond the angles between frames of a run, the spline is scipy's in full."""
    image = gaussian(128, 72, sigma=1.3)
    transform = turn(degrees)
    expected = ndimage.affine_transform(
        image, transform.matrix[::-1, ::-1], transform([69, 69])[::-1], output_shape=(64, 64), order=5
    )
    stamp = resample(image, transform, corner=(69, 69), size=64)
    np.testing.assert_allclose(stamp, expected, atol=1e-4 * image.max())


# Edges and holes


@pytest.mark.parametrize("shape", [(300, 120), (120, 300)])
def test_images_may_be_tall_or_wide(shape):
    rows, columns = np.mgrid[: shape[0], : shape[1]]
    x, y = shape[1] - 80, shape[0] - 80
    stamp = resample(waves(columns, rows).astype(np.float32), shift(0.4, 0.3), corner=(x, y), size=64)
    wanted_x, wanted_y = np.meshgrid(x + 0.4 + np.arange(64), y + 0.3 + np.arange(64))
    np.testing.assert_allclose(stamp, waves(wanted_x, wanted_y), atol=0.006)


@pytest.mark.parametrize("trim", [1, 4])
@pytest.mark.parametrize(("transform", "whole"), [(shift(0.4, 0.3), False), (turn(0.02), False), (shift(2, -3), True)])
def test_pixels_along_an_edge_can_be_left_out(transform, whole, trim):
    """Only where they are interpolated: whole shifts keep the last pixel."""
    stamp = resample(10 + white_noise(), transform, corner=(150, 150), size=64, trim=trim)
    wanted = np.stack(np.meshgrid(150 + np.arange(64), 150 + np.arange(64)), axis=-1)
    x, y = np.moveaxis(transform(wanted), -1, 0)
    depth = np.min([199 - x, 199 - y], axis=0)
    least = 0 if whole else trim
    assert np.isnan(stamp[depth < least - 0.02]).all()
    assert np.isfinite(stamp[depth > least + 0.02]).all()


@pytest.mark.parametrize("transform", [shift(0, 0), shift(0.4, 0.3), turn(0.03), turn(20)])
@pytest.mark.parametrize("corner", [(-30, 60), (170, 60), (60, -30), (60, 170), (-20, 180), (-64, -64), (300, 300)])
def test_beyond_the_edges_is_nothing(transform, corner):
    image = 10 + white_noise()
    stamp = resample(image, transform, corner=corner, size=64)
    wanted = np.stack(np.meshgrid(corner[0] + np.arange(64), corner[1] + np.arange(64)), axis=-1)
    x, y = np.moveaxis(transform(wanted), -1, 0)
    depth = np.min([x, 199 - x, y, 199 - y], axis=0)  # pixels to the centres of the outermost pixels
    assert np.isnan(stamp[depth < -0.02]).all()
    assert np.isfinite(stamp[depth > 0.02]).all()


@pytest.mark.parametrize("transform", [shift(0.4, 0.3), turn(0.02), turn(20)])
def test_pixels_near_an_edge_are_those_of_the_image(transform):
    """Values right up to the last pixel, without a margin and without ringing."""
    rows, columns = np.mgrid[:200, :200]
    stamp = resample(waves(columns, rows).astype(np.float32), transform, corner=(150, 150), size=64)
    wanted = np.stack(np.meshgrid(150 + np.arange(64), 150 + np.arange(64)), axis=-1)
    x, y = np.moveaxis(transform(wanted), -1, 0)
    seen = np.isfinite(stamp)
    assert 500 < seen.sum() < 64**2
    np.testing.assert_allclose(stamp[seen], waves(x, y)[seen], atol=0.06)
    inner = seen & (x < 192) & (y < 192)
    np.testing.assert_allclose(stamp[inner], waves(x, y)[inner], atol=0.006)


@pytest.mark.parametrize("transform", [shift(2, -3), shift(0.4, 0.3), turn(0.02), turn(20)])
def test_holes_do_not_spread(transform):
    image = 10 + white_noise()
    holed = image.copy()
    holed[100:103, 90:92] = np.nan
    holed[120, 120] = np.nan
    whole = resample(image, transform, corner=(69, 69), size=64)
    stamp = resample(holed, transform, corner=(69, 69), size=64)
    missing = np.isnan(stamp)
    assert 7 <= missing.sum() <= 4 * 7 + 10  # the hole and the pixels that it touches
    far = ndimage.distance_transform_edt(~missing) > 12
    assert far.sum() > 1000
    np.testing.assert_allclose(stamp[far], whole[far], atol=0.01)
    assert np.abs(stamp[~missing] - whole[~missing]).max() < 10


def test_image_without_data():
    stamp = resample(np.full((200, 200), np.nan, dtype=np.float32), shift(0.5, 0.5), corner=(60, 60), size=64)
    assert np.isnan(stamp).all()


def test_image_smaller_than_a_stamp():
    image = 10 + white_noise((40, 50))
    stamp = resample(image, shift(0, 0), corner=(-5, -10), size=64)
    np.testing.assert_array_equal(stamp[10:50, 5:55], image)
    assert np.isnan(stamp).sum() == 64**2 - image.size
    assert np.isfinite(resample(image, shift(0.5, 0.5), corner=(-5, -10), size=64)).sum() == 39 * 49


def test_image_is_not_modified():
    image = white_noise()
    image[100, 100] = np.nan
    before = image.copy()
    resample(image, shift(0.4, 0.3), corner=(69, 69), size=64)
    np.testing.assert_array_equal(image, before)


# Maps between frames


@pytest.mark.parametrize("rotation", [0.0, 25.0, -42.7])
def test_affine_map_follows_the_wcs(rotation):
    geometry = Geometry(ra=10.0, dec=60.0, rotation=rotation, shape=(1489, 2048))
    xy = np.random.default_rng(0).uniform(0, (2047, 1488), (200, 2))
    for band in BANDS:
        there = AffineMap.between(geometry.wcs("r"), geometry.wcs(band), shape=geometry.shape)(xy)
        world = geometry.wcs("r").pixel_to_world_values(*xy.T)
        expected = np.transpose(geometry.wcs(band).world_to_pixel_values(*world))
        assert np.abs(there - expected).max() < 1e-3


def test_affine_map_of_a_frame_to_itself_copies_pixels():
    wcs = GEOMETRY.wcs("r")
    assert AffineMap.between(wcs, wcs, shape=SHAPE).is_whole_shift()
    assert not AffineMap.between(wcs, GEOMETRY.wcs("i"), shape=SHAPE).is_whole_shift()


def test_all_bands_of_a_field_lie_on_the_pixels_of_r():
    """The truth of synthetic frames: light of one galaxy, drawn in each band's own pixels."""
    source = Galaxy(*GEOMETRY.sky(130.3, 95.6), (30.0,) * 5, sigma=1.3, axis_ratio=0.6, position_angle=50)
    field = make_field(FIELD, GEOMETRY, [source], noise=False)
    reference = field.images["r"][64:128, 98:162]
    for band in BANDS:
        transform = AffineMap.between(GEOMETRY.wcs("r"), GEOMETRY.wcs(band), shape=SHAPE)
        stamp = resample(field.images[band], transform, corner=(98, 64), size=64)
        np.testing.assert_allclose(stamp, reference, atol=0.015 * reference.max())


# Real frames, with reproject as the oracle of the geometry


REAL_FIELDS = ("001043-5-0025", "003184-2-0169", "007264-3-0111", "001992-1-0087")


def real_wcs(field, band):
    header = read_header(SHARED / "sdss_frames" / f"frame-{band}-{field}.fits.bz2")
    return frame_wcs(header), (header["NAXIS2"], header["NAXIS1"])


@needs_shared
@pytest.mark.parametrize("field", REAL_FIELDS)
def test_geometry_of_real_frames(field):
    """A smooth image on each band's real WCS, brought onto r by us, by reproject, and by calculation."""
    reproject = pytest.importorskip("reproject")
    wcs_r, shape = real_wcs(field, "r")
    rows, columns = np.mgrid[: shape[0], : shape[1]].astype(np.float32)
    image = waves(columns, rows)
    for band in "ugiz":
        wcs, _ = real_wcs(field, band)
        transform = AffineMap.between(wcs_r, wcs, shape=shape)
        for corner in ((40, 30), (1900, 700), (900, 1300)):
            stamp = resample(image, transform, corner=corner, size=64)
            wanted = wcs_r.deepcopy()
            wanted.wcs.crpix -= corner
            x, y = wcs.all_world2pix(*wanted.all_pix2world(*np.mgrid[:64, :64][::-1].reshape(2, -1), 0), 0)
            inside = np.isfinite(stamp).ravel()
            assert inside.mean() > 0.7
            np.testing.assert_allclose(stamp.ravel()[inside], waves(x, y)[inside], atol=0.01)

            x0, y0 = np.floor([x.min(), y.min()]).astype(int) - 20
            x0, y0 = max(x0, 0), max(y0, 0)
            near = wcs.deepcopy()
            near.wcs.crpix -= (x0, y0)
            there = reproject.reproject_interp(
                (image[y0 : y0 + 110, x0 : x0 + 110], near), wanted, shape_out=(64, 64), order="bicubic"
            )[0]
            both = np.isfinite(stamp) & np.isfinite(there)
            assert both.mean() > 0.7
            np.testing.assert_allclose(stamp[both], there[both], atol=0.015)


# Files


def frame_bytes(band="r", *, compression=None):
    return make_field(FIELD, GEOMETRY, [], noise=True).frame(band, compression=compression)


def html():
    return b"<html><body><h1>404 Not Found</h1></body></html>"


def flip(content, place):
    """The content with eight bytes changed in the middle."""
    middle = int(place * len(content))
    return content[:middle] + bytes(255 - byte for byte in content[middle : middle + 8]) + content[middle + 8 :]


def rename(keyword):
    """A frame without a keyword."""
    return frame_bytes().replace(f"{keyword:<8}=".encode(), b"XXXXXXXX=", 1)


BROKEN = {
    "empty": lambda: b"",
    "html": html,
    "compressed html": lambda: gzip.compress(html()),
    "truncated": lambda: frame_bytes()[:30_000],
    "truncated in the header": lambda: frame_bytes()[:1000],
    "truncated bz2": lambda: frame_bytes(compression="bz2")[:30_000],
    "truncated gz": lambda: frame_bytes(compression="gz")[:30_000],
    "truncated before bz2": lambda: compress(frame_bytes()[:30_000], "bz2"),
    "changed bz2": lambda: flip(frame_bytes(compression="bz2"), 0.5),
    "changed gz": lambda: flip(frame_bytes(compression="gz"), 0.5),
    "changed gz at its start": lambda: flip(frame_bytes(compression="gz"), 0.001),
    "wrong checksum of gz": lambda: flip(frame_bytes(compression="gz"), 1 - 8 / len(frame_bytes(compression="gz"))),
    "no bz2": lambda: b"BZh9" + bytes(range(256)) * 40,
    "no gz": lambda: b"\x1f\x8b" + bytes(range(256)) * 40,
    "no CD1_1": lambda: rename("CD1_1"),
    "no CTYPE1": lambda: rename("CTYPE1"),
    "no BITPIX": lambda: rename("BITPIX"),
    "unparsable": lambda: frame_bytes().replace(b"CD2_1   =", b"CD2_1   =\x00~", 1),
}


@pytest.mark.parametrize("what", BROKEN)
@pytest.mark.filterwarnings("ignore::astropy.utils.exceptions.AstropyUserWarning")
@pytest.mark.filterwarnings("ignore::astropy.io.fits.verify.VerifyWarning")
def test_broken_file_is_named(tmp_path, what):
    path = tmp_path / "frame-r-004207-3-0110.fits"
    path.write_bytes(BROKEN[what]())
    with pytest.raises(FrameError, match="frame-r-004207-3-0110"):
        read_frame(path)


@pytest.mark.parametrize("what", ["empty", "html", "compressed html", "truncated in the header", "no bz2", "no CD1_1"])
def test_broken_header_is_named(tmp_path, what):
    path = tmp_path / "frame-r-004207-3-0110.fits"
    path.write_bytes(BROKEN[what]())
    with pytest.raises(FrameError, match="frame-r-004207-3-0110"):
        read_header(path)


@pytest.mark.parametrize("compression", ["bz2", "gz"])
def test_any_changed_byte_is_noticed_in_a_compressed_file(tmp_path, compression):
    content = frame_bytes(compression=compression)
    path = tmp_path / "frame-r-004207-3-0110.fits"
    for place in np.linspace(0.0001, 0.99, 60):
        path.write_bytes(flip(content, place))
        with pytest.raises(FrameError, match="frame-r-004207-3-0110"):
            read_frame(path)


def test_a_wrong_checksum_is_noticed_though_all_rows_that_are_needed_are_there(tmp_path):
    """gzip has it at its end, beyond the last row of the frame."""
    content = frame_bytes(compression="gz")
    checksum = bytes(255 - byte for byte in content[-8:-4])
    path = tmp_path / "frame-r-004207-3-0110.fits.gz"
    path.write_bytes(content[:-8] + checksum + content[-4:])
    coord = SkyCoord(*GEOMETRY.sky(130.0, 40.0), unit="deg").reshape(1)
    with pytest.raises(FrameError, match="CRC"):
        read_frame(path, coord=coord, size=64)
    path.write_bytes(content)
    assert np.isfinite(read_frame(path, coord=coord, size=64).image[:84]).all()


def test_fits_file_without_an_image(tmp_path):
    path = tmp_path / "frame-r-004207-3-0110.fits"
    fits.PrimaryHDU().writeto(path)
    with pytest.raises(FrameError, match=r"frame-r-004207-3-0110\.fits is broken, truncated or no frame"):
        read_frame(path)


def test_file_that_is_not_there(tmp_path):
    for read in (read_frame, read_header):
        with pytest.raises(FrameError, match="nothing"):
            read(tmp_path / "nothing.fits")


@pytest.mark.parametrize("compression", ["bz2", "gz", None])
def test_frame_is_read_as_astropy_reads_it(tmp_path, compression):
    field = make_field(FIELD, GEOMETRY, [], noise=True)
    path = tmp_path / "frame-i.fits"
    path.write_bytes(field.frame("i", compression=compression))
    frame = read_frame(path)
    assert frame.image.dtype == np.dtype("float32")
    assert frame.image.dtype.isnative
    np.testing.assert_array_equal(frame.image, field.images["i"])
    assert frame.nbytes == 4 * np.prod(SHAPE)
    xy = np.array([[0, 0], [259, 0], [130, 199]], dtype=float)
    np.testing.assert_allclose(frame.wcs.all_pix2world(xy, 0), GEOMETRY.wcs("i").all_pix2world(xy, 0), atol=1e-10)
    np.testing.assert_allclose(frame_wcs(read_header(path)).all_pix2world(xy, 0), frame.wcs.all_pix2world(xy, 0))


@pytest.mark.parametrize("compression", ["bz2", "gz", None])
def test_frame_is_read_as_far_as_it_is_needed(tmp_path, compression):
    path = tmp_path / "frame-i.fits"
    path.write_bytes(make_field(FIELD, GEOMETRY, [], noise=True).frame("i", compression=compression))
    whole = read_frame(path)
    for row in (20.0, 90.0, 150.0):
        coord = SkyCoord(*whole.wcs.all_pix2world([[100.0, 5.0], [130.0, row]], 0).T, unit="deg")
        part = read_frame(path, coord=coord, size=64)
        assert part.image.shape == whole.image.shape
        read = np.isfinite(part.image).all(axis=1)
        assert read[: int(min(row + 32 + 12, SHAPE[0]))].all()  # the stamp and what the spline sees beside it
        np.testing.assert_array_equal(read, np.arange(SHAPE[0]) < read.sum())
        assert read.sum() < row + 64
        np.testing.assert_array_equal(part.image[read], whole.image[read])
        corner = np.array([98, int(row) - 32])
        shifted = [resample(frame.image, shift(0.3, 0.6), corner=corner, size=64) for frame in (part, whole)]
        np.testing.assert_array_equal(*shifted)
    for nowhere in (SkyCoord([], [], unit="deg"), SkyCoord([GEOMETRY.ra + 180], [-GEOMETRY.dec], unit="deg")):
        assert np.isnan(read_frame(path, coord=nowhere, size=64).image).all()


@pytest.mark.parametrize("compression", ["bz2", None])
def test_what_breaks_off_beyond_the_need_is_as_good_as_whole(tmp_path, compression):
    path = tmp_path / "frame-r.fits"
    content = make_field(FIELD, GEOMETRY, [], noise=True).frame("r", compression=None)
    path.write_bytes(compress(content[: int(0.7 * len(content))], compression))
    wcs = GEOMETRY.wcs("r")
    low, high = (SkyCoord(*wcs.all_pix2world([[130.0, row]], 0).T, unit="deg") for row in (40, 160))
    assert np.isfinite(read_frame(path, coord=low, size=64).image[:84]).all()
    with pytest.raises(FrameError, match="frame-r"):
        read_frame(path, coord=high, size=64)


@pytest.mark.parametrize("compression", ["bz2", "gz", None])
def test_compression_is_told_by_content(tmp_path, compression):
    path = tmp_path / "file"
    path.write_bytes(compress(b"SIMPLE  = and so on", compression))
    with open_decompressed(path) as file:
        assert file.read() == b"SIMPLE  = and so on"
