# Licensed under a 3-clause BSD style license - see LICENSE
"""Frames that others wrote: a broken one is one broken frame, whatever it says of itself."""

import bz2
import gzip
import os
import warnings

import numpy as np
import pytest
from astropy.coordinates import SkyCoord
from astropy.io import fits
from astropy.table import Table
from astropy.utils.exceptions import AstropyUserWarning
from broken_frames import HARMLESS, REFUSED, change_bytes, with_card
from little_memory import growth

from astro_photz import FrameDirectory, PhotozFlag
from astro_photz.cutouts._frame_header import MOST_BLOCKS
from astro_photz.cutouts.frames import FrameError, read_frame, read_header
from astro_photz.cutouts.resampling import AffineMap, resample
from astro_photz.positions import read_positions
from astro_photz.sdss import BANDS, FieldID, frame_name
from astro_photz.testing.synthetic_frames import make_field
from astro_photz.testing.synthetic_sky import Geometry

GEOMETRY = Geometry(ra=244.5, dec=40.2)
FIELD = FieldID(4207, 301, 3, 110)


@pytest.fixture(scope="module")
def frame():
    return make_field(FIELD, GEOMETRY, [], noise=True).frame("r", compression=None)


@pytest.fixture(scope="module")
def field():
    return make_field(FIELD, GEOMETRY, [], noise=True)


@pytest.mark.parametrize("what", REFUSED)
def test_a_frame_that_is_wrong_in_one_way_is_broken(tmp_path, frame, what):
    path = tmp_path / frame_name("r", FIELD)
    path.write_bytes(REFUSED[what](frame))
    with pytest.raises(FrameError, match=path.name) as told:
        read_frame(path)
    assert "\n" not in str(told.value)


@pytest.mark.parametrize("what", HARMLESS)
@pytest.mark.parametrize("packer", [None, gzip, bz2])
def test_an_odd_frame_is_read_without_a_word(tmp_path, frame, what, packer):
    path = tmp_path / frame_name("r", FIELD)
    path.write_bytes(frame)
    right = read_frame(path)
    content = HARMLESS[what](frame)
    path.write_bytes(packer.compress(content) if packer else content)
    found = read_frame(path)
    np.testing.assert_array_equal(found.image, right.image)
    assert found.wcs.wcs.compare(right.wcs.wcs)
    (path_of_r,) = [FrameDirectory(tmp_path).frame_path(one, "r") for one in FrameDirectory(tmp_path).field_ids]
    assert path_of_r == path


def test_cards_are_those_that_astropy_reads(tmp_path, frame):
    path = tmp_path / "frame.fits"
    path.write_bytes(frame)
    header = read_header(path)
    right = fits.getheader(path)
    for name in set(right) - {"COMMENT", "HISTORY", ""}:
        assert header[name] == right[name]
        assert type(header[name]) is type(right[name])


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("5", 5),
        ("-5 / five", -5),
        ("+0.5D+02", 50.0),
        (".5", 0.5),
        ("5.", 5.0),
        ("1e-3", 0.001),
        ("T", True),
        ("'a''b  ' / text", "a'b"),
        ("'a/b'", "a/b"),
        ("''", ""),
    ],
)
def test_cards_of_all_kinds(tmp_path, frame, text, value):
    path = tmp_path / "frame.fits"
    path.write_bytes(with_card("NMGY", text)(frame))
    found = read_header(path)["NMGY"]
    assert found == value
    assert type(found) is type(value)


@pytest.mark.parametrize(
    ("bits", "cards"),
    [
        (8, {"BSCALE": 0.1}),
        (16, {"BSCALE": 0.01}),
        (16, {"BSCALE": 0.01, "BZERO": 1.5}),
        (16, {"BSCALE": 0.01, "BLANK": 7}),
        (32, {"BSCALE": 1e-6}),
        (64, {"BSCALE": 1e-3}),
        (-32, {"BSCALE": 2.0, "BZERO": -0.5}),
        (-64, {}),
    ],
)
def test_pixels_of_all_types_are_those_that_astropy_reads(tmp_path, frame, bits, cards):
    header = fits.Header.fromstring(frame)
    rng = np.random.default_rng(1)
    kind = {8: ">u1", 16: ">i2", 32: ">i4", 64: ">i8", -32: ">f4", -64: ">f8"}[bits]
    shape = header["NAXIS2"], header["NAXIS1"]
    pixels = rng.normal(0, 0.1, shape) if bits < 0 else rng.integers(0 if bits == 8 else -90, 90, shape)
    header["BITPIX"] = bits
    for name, value in cards.items():
        header[name] = value
    path = tmp_path / "frame.fits"
    path.write_bytes(header.tostring().encode() + pixels.astype(kind).tobytes())
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the file's end, which is not padded
        right = fits.getdata(path).astype(np.float32)
    found = read_frame(path).image
    there = ~np.isnan(found)
    np.testing.assert_array_equal(found[there], right[there])
    assert there.mean() > 0.9
    assert (~there).any() == ("BLANK" in cards)


@pytest.mark.parametrize("scale", ["1e300", "-1e38", "1e30"])
def test_pixels_out_of_range_hold_no_data(tmp_path, frame, scale):
    path = tmp_path / "frame.fits"
    path.write_bytes(with_card("BSCALE", scale)(frame))
    image = read_frame(path).image
    assert not np.isinf(image).any()
    assert np.isnan(image).mean() > 0.4


@pytest.mark.parametrize("packer", [gzip, bz2])
def test_a_tail_of_many_bytes_is_not_read(tmp_path, frame, packer):
    """Zeros pack into a thousandth of their bytes."""
    path = tmp_path / "frame.fits"
    with packer.open(path, "wb", compresslevel=1) as file:
        file.write(frame)
        for _ in range(20):
            file.write(bytes(2**20))
    with pytest.raises(FrameError, match="bytes follow its image"):
        read_frame(path)


def test_headers_may_be_as_long_as_is_said(tmp_path, frame):
    path = tmp_path / "frame.fits"
    for blocks in (MOST_BLOCKS, MOST_BLOCKS + 1):
        end = frame.find(b"END" + b" " * 77)
        header = frame[:end].ljust((blocks - 1) * 2880) + b"END".ljust(2880)
        path.write_bytes(header + frame[-(-(end + 80) // 2880) * 2880 :])
        if blocks == MOST_BLOCKS:
            read_frame(path)
    with pytest.raises(FrameError, match="no end within"):
        read_frame(path)


def named_pipe(path, tmp_path):
    os.mkfifo(path)


def link_to_a_pipe(path, tmp_path):
    os.mkfifo(tmp_path / "pipe")
    path.symlink_to(tmp_path / "pipe")


def link_to_a_device(path, tmp_path):
    path.symlink_to("/dev/zero")


def folder(path, tmp_path):
    path.mkdir()


def link_to_nothing(path, tmp_path):
    path.symlink_to(tmp_path / "gone")


def link_to_itself(path, tmp_path):
    path.symlink_to(path)


@pytest.mark.parametrize(
    "make", [named_pipe, link_to_a_pipe, link_to_a_device, folder, link_to_nothing, link_to_itself]
)
def test_what_is_no_file_is_no_frame(tmp_path, field, make):
    frames = tmp_path / "frames"
    frames.mkdir()
    for band in "rg":
        (frames / frame_name(band, FIELD)).write_bytes(field.frame(band))
    path = frames / frame_name("g", FIELD)
    path.unlink()
    make(path, tmp_path)
    for read in (read_frame, read_header):
        with pytest.raises(FrameError, match=path.name):
            read(path)
    flags = cut(frames)
    assert flags == PhotozFlag.NO_IMAGE


def cut(folder):
    """Flags of a galaxy in the middle of the field, from a folder of frames."""
    positions = read_positions(Table([[GEOMETRY.sky(120, 90)[0]], [GEOMETRY.sky(120, 90)[1]]], names=["ra", "dec"]))
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", category=AstropyUserWarning)
        batches = list(FrameDirectory(folder, threads=1).batches(positions))
    rows = np.concatenate([batch.rows for batch in batches])
    assert rows.tolist() == [0]
    return np.concatenate([batch.cutouts.flags for batch in batches])[0]


@pytest.mark.parametrize(
    "what", ["2**31 columns and rows", "CTYPE1 = 5", "header without an end, packed", "BITPIX = 7"]
)
@pytest.mark.parametrize("band", ["g", "r"])
def test_a_broken_frame_costs_its_galaxies_their_image_and_nothing_else(tmp_path, field, what, band):
    for other in BANDS:
        (tmp_path / frame_name(other, FIELD)).write_bytes(field.frame(other))
    assert cut(tmp_path) == 0
    (tmp_path / frame_name(band, FIELD)).write_bytes(REFUSED[what](field.frame(band, compression=None)))
    assert cut(tmp_path) == PhotozFlag.NO_IMAGE


@pytest.mark.parametrize("place", [(64.5, -40.2), (244.5, -89.9), (60.0, 0.0), (245.5, 40.2)])
def test_a_frame_of_another_place_gives_no_pixels(tmp_path, field, place):
    for other in BANDS:
        (tmp_path / frame_name(other, FIELD)).write_bytes(field.frame(other))
    moved = with_card("CRVAL1", place[0])(with_card("CRVAL2", place[1])(field.frame("i", compression=None)))
    (tmp_path / frame_name("i", FIELD)).write_bytes(moved)
    assert cut(tmp_path) & (PhotozFlag.PARTIAL | PhotozFlag.NO_IMAGE)


def test_a_map_to_another_side_of_the_sky_covers_nothing():
    image = np.ones((100, 100), dtype=np.float32)
    here, there = GEOMETRY.wcs("r"), Geometry(ra=64.5, dec=-40.2).wcs("r")
    for transform in (
        AffineMap.between(here, there, shape=(100, 100)),
        AffineMap(np.eye(2), np.full(2, 1e300)),
        AffineMap(np.full((2, 2), np.inf), np.zeros(2)),
    ):
        with np.errstate(invalid="ignore"):
            assert np.isnan(resample(image, transform, corner=(0, 0), size=64)).all()


def test_a_file_that_changes_meanwhile(tmp_path, field):
    """Its place is read first, and its pixels later."""
    path = tmp_path / frame_name("r", FIELD)
    path.write_bytes(field.frame("r"))
    source = FrameDirectory(tmp_path, threads=1)
    assert source.field_ids == [FIELD]
    positions = read_positions(Table([[GEOMETRY.sky(120, 90)[0]], [GEOMETRY.sky(120, 90)[1]]], names=["ra", "dec"]))
    for change in (lambda: path.write_bytes(b""), path.unlink):
        change()
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", category=AstropyUserWarning)
            (batch,) = source.batches(positions)
        assert batch.cutouts.flags.tolist() == [PhotozFlag.NO_IMAGE]


def test_changed_bytes_break_a_frame_or_do_not(tmp_path, frame):
    """Neither another error nor a warning comes of them."""
    path = tmp_path / "frame.fits"
    coord = SkyCoord(*GEOMETRY.sky(120, 90), unit="deg").reshape(1)
    outcomes = set()
    for seed in range(150):
        path.write_bytes(change_bytes(frame, seed=seed))
        try:
            outcomes.add(type(read_frame(path, coord=coord, size=64)))
        except FrameError:
            outcomes.add(FrameError)
    assert len(outcomes) == 2


def test_memory_is_bounded(tmp_path, frame):
    """In a process of its own, with an address space that is limited."""
    for number, what in enumerate(REFUSED):
        if any(word in what for word in ("2**31", "000", "digits", "end", "streams", "tail", "BITPIX", "more rows")):
            (tmp_path / f"{number}.fits").write_bytes(REFUSED[what](frame))
    imports = "from astro_photz.cutouts.frames import FrameError, read_frame"
    assert growth(tmp_path, "read_frame", imports=imports, error="FrameError", limit=4 * 2**30) < 60_000
