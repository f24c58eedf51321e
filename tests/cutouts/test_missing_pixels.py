# Licensed under a 3-clause BSD style license - see LICENSE
"""A real sky has noise: what has none holds no data, and is treated as missing."""

import numpy as np
import pytest

from astro_photz import Cutouts, FrameDirectory, fetch, predict
from astro_photz.cutouts.missing import missing_pixels
from astro_photz.flags import MISSING, PhotozFlag
from astro_photz.testing.factories import SKY_RMS, gaussian_cutouts
from astro_photz.testing.synthetic_frames import make_field, write_field
from astro_photz.testing.synthetic_sky import Galaxy, Geometry
from shared_data import SHARED, needs_shared


def sky(n, *, counts=False, seed=0):
    """Noise, if wanted in whole numbers of DN as SDSS's, which makes equal neighbours."""
    noise = np.random.default_rng(seed).normal(0, 1, (n, 5, 64, 64)) * np.reshape(SKY_RMS, (5, 1, 1))
    step = np.reshape(SKY_RMS, (5, 1, 1)) / 4
    return (np.round(noise / step) * step if counts else noise).astype(np.float32)


REGIONS = {
    "a band": np.s_[3],
    "another band": np.s_[0],
    "half of the stamp": np.s_[:, :, :32],
    "a corner": np.s_[:, 40:, 50:],
    "a square": np.s_[1, 30:34, 21:25],
    "a dead column": np.s_[2, :, 40],
    "a dead row": np.s_[2, 41],
    "a part of a row": np.s_[4, 7, 13:29],
    "a frame around it": np.s_[:, -5:],
}


@pytest.mark.parametrize("value", [0.0, -9999.0, 0.25, -0.0, 17.5, 65535.0])
@pytest.mark.parametrize("region", REGIONS.values(), ids=REGIONS)
def test_regions_of_one_value_are_missing(region, value):
    flux = sky(1)
    flux[0][region] = value
    expected = np.zeros(flux.shape, dtype=bool)
    expected[0][region] = True
    np.testing.assert_array_equal(missing_pixels(flux), expected)
    np.testing.assert_array_equal(np.isnan(Cutouts(flux, ebv=0.1).flux), expected)


@pytest.mark.parametrize(
    "value", [-9999.0, -999.0, -99.0, -9.0, np.inf, -np.inf, 1e30, -1e30, 9999.0, 99999.0, -32768.0]
)
def test_impossible_values_are_missing(value):
    flux = sky(2)
    flux[1, 2, 20, 40] = value
    assert np.argwhere(np.isnan(Cutouts(flux, ebv=0.1).flux)).tolist() == [[1, 2, 20, 40]]


def test_noise_of_whole_counts_is_no_region():
    flux = sky(300, counts=True)
    assert (flux[..., 1:] == flux[..., :-1]).mean() > 0.05
    assert not missing_pixels(flux).any()


@pytest.mark.parametrize("shape", [(4, 4), (1, 16), (16, 1), (20, 30)])
@pytest.mark.parametrize("rows", [15, 16, 63, 64, 65, 113, 114, 400])
def test_a_region_is_found_wherever_it_lies(rows, shape):
    """All of it and nothing else, also in an image that is looked at in parts; a smaller one is none."""
    rng = np.random.default_rng(rows)
    for _ in range(20):
        image = rng.normal(0, 0.03, (rows, 70)).astype(np.float32)
        y, x = rng.integers(0, rows), rng.integers(0, 70)
        region = np.zeros(image.shape, dtype=bool)
        region[y : y + shape[0], x : x + shape[1]] = True
        image[region] = 0.01
        height, width = min(shape[0], rows - y), min(shape[1], 70 - x)
        large = min(height, width) >= 4 or max(height, width) >= 16
        np.testing.assert_array_equal(missing_pixels(image), region & large)


def test_bright_galaxies_and_float16_are_none():
    flux = gaussian_cutouts(50, r_mag=(12, 18)).flux.astype(np.float16).astype(np.float32)
    assert not missing_pixels(flux).any()


@needs_shared
def test_real_frames_miss_nothing():
    from astropy.table import Table

    table = Table.read(SHARED / "real_galaxies.ecsv")
    table = table[table["field"] == table["field"][0]]
    cutouts = fetch(table, source=FrameDirectory(SHARED / "sdss_frames"))
    seen = np.isfinite(cutouts.flux)
    assert seen.mean() > 0.99
    assert not missing_pixels(cutouts.flux).any()


@pytest.mark.parametrize(
    ("region", "flags"),
    [
        (np.s_[3], {"NO_BAND", "PARTIAL"}),
        (np.s_[:], {"NO_IMAGE"}),
        (np.s_[:, :, :10], {"PARTIAL"}),
        (np.s_[:, :, :40], {"NO_BAND", "PARTIAL"}),
        (np.s_[2, :, 31], {"NO_BAND", "PARTIAL"}),
    ],
)
@pytest.mark.parametrize("value", [0.0, -9999.0, 3.0])
def test_flags_are_those_of_missing_pixels(region, flags, value):
    """The same as with NaN, and so is the estimate."""
    results = []
    for fill in (value, np.nan):
        flux = gaussian_cutouts(2).flux
        flux[1][region] = fill
        results.append(predict(Cutouts(flux, ebv=0.03)))
    filled, missing = results
    np.testing.assert_array_equal(filled["z_phot_flags"], missing["z_phot_flags"])
    np.testing.assert_array_equal(filled["z_phot"], missing["z_phot"])
    bits = int(filled["z_phot_flags"][1])
    assert {name for name in ("NO_BAND", "PARTIAL", "NO_IMAGE") if bits & getattr(PhotozFlag, name)} == flags
    assert filled["z_phot"].mask.tolist() == [False, bool(bits & MISSING)]


def test_a_part_of_a_frame_without_data(tmp_path):
    """A block of zeros in the frame of one band is a hole in the stamps on it, as NaN would be."""
    from astropy.io import fits
    from astropy.table import Table

    from astro_photz.sdss import FieldID

    geometry = Geometry(ra=150.0, dec=2.0)
    galaxies = [Galaxy(*geometry.sky(x, 100.3), flux=(3.0, 12.0, 30.0, 45.0, 60.0)) for x in (70.3, 180.6)]
    write_field(tmp_path, make_field(FieldID(4207, 301, 3, 110), geometry, galaxies))
    (path,) = tmp_path.rglob("frame-i-*")
    data, header = fits.getdata(path, header=True)
    data[:, :110] = 0
    path.unlink()
    fits.writeto(path.with_name(path.name.removesuffix(".bz2")), data, header)
    table = Table(rows=[(galaxy.ra, galaxy.dec, 0.05) for galaxy in galaxies], names=("ra", "dec", "ebv"))
    cutouts = fetch(table, source=FrameDirectory(tmp_path))
    assert np.isnan(cutouts.flux).any(axis=(2, 3)).tolist() == [[False, False, False, True, False], [False] * 5]
    assert (cutouts.flags & ~PhotozFlag.EBV_MISMATCH).tolist() == [PhotozFlag.PARTIAL, 0]  # a sky of no dust
