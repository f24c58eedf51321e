# Licensed under a 3-clause BSD style license - see LICENSE
"""Flags say what is wrong with an image, and nothing where nothing is."""

import numpy as np
import pytest
from astropy.nddata.bitmask import bitfield_to_boolean_mask, interpret_bit_flags
from scipy import ndimage

from astro_photz import Cutouts, PhotozFlag
from astro_photz.flags import FLAG_MEANINGS, MISSING
from astro_photz.quality import aperture_flux, flag_images, sky_rms
from astro_photz.testing.factories import SKY_RMS, gaussian_cutouts

RANGE = {"r_mag": [14.0, 18.0], "ebv": [0.0, 0.5], "redshift": [0.0, 0.4]}


def raised(flags):
    """Names of the flags of each row."""
    return [{name for name in FLAG_MEANINGS if flag & getattr(PhotozFlag, name)} for flag in flags]


def add_star(cutouts, dx, dy, *, peak=1.0, sigma=1.5):
    """Put a star beside each galaxy, ``peak`` times as bright as the galaxy at its peak in r, in all bands."""
    flux = cutouts.flux.copy()
    y, x = np.mgrid[: cutouts.size, : cutouts.size]
    for stamp, (x0, y0) in zip(flux, cutouts.target_xy, strict=True):
        star = np.exp(-0.5 * ((x - x0 - dx) ** 2 + (y - y0 - dy) ** 2) / sigma**2)
        stamp += peak * ndimage.gaussian_filter(stamp[2], 1.5).max() * 2 * star
    return Cutouts(flux, ebv=cutouts.ebv, target_xy=cutouts.target_xy)


# The bits


def test_bits_are_distinct_and_explained():
    values = [int(getattr(PhotozFlag, name)) for name in FLAG_MEANINGS]
    assert sorted(values) == [1 << k for k in range(len(values))]
    assert all(FLAG_MEANINGS.values())
    assert raised([MISSING]) == [{"NO_POSITION", "NO_MATCH", "NO_IMAGE", "NO_BAND", "NO_EBV"}]


def test_bits_work_with_astropy():
    flags = np.array([0, PhotozFlag.CROWDED, PhotozFlag.CROWDED | PhotozFlag.NO_EBV], dtype=np.int32)
    assert interpret_bit_flags("CROWDED,NO_EBV", flag_name_map=PhotozFlag) == PhotozFlag.CROWDED | PhotozFlag.NO_EBV
    doubtful = bitfield_to_boolean_mask(flags, ignore_flags="CROWDED", flag_name_map=PhotozFlag)
    np.testing.assert_array_equal(doubtful, [False, False, True])


# Photometry


def test_aperture_flux_is_that_of_the_galaxy():
    noiseless = gaussian_cutouts(20, noise=False, r_mag=(17, 17))
    r_flux = aperture_flux(noiseless.flux, radius=16)[:, 2]
    np.testing.assert_allclose(r_flux, 10 ** (0.4 * (22.5 - 17)), rtol=2e-3)


def test_aperture_counts_parts_of_pixels():
    flux = np.ones((2, 5, 64, 64), dtype=np.float32)
    for radius in (0.3, 3.3, 8.0):
        np.testing.assert_allclose(aperture_flux(flux, radius=radius), np.pi * radius**2, rtol=1e-4)
    assert aperture_flux(flux).dtype == np.float32


def test_aperture_without_data_holds_nothing():
    assert not aperture_flux(np.full((1, 5, 64, 64), np.nan, dtype=np.float32)).any()


def test_sky_rms_is_that_of_the_noise_whatever_the_galaxy():
    cutouts = gaussian_cutouts(50, r_mag=(15, 18))
    rms = sky_rms(cutouts.flux)
    assert rms.shape == (50, 5)
    np.testing.assert_allclose(np.median(rms, axis=0), SKY_RMS, rtol=0.03)
    np.testing.assert_allclose(rms, np.broadcast_to(SKY_RMS, rms.shape), rtol=0.15)


def test_sky_rms_with_missing_pixels():
    flux = gaussian_cutouts(3).flux
    flux[0, :, :10] = np.nan
    flux[1, 4] = np.nan
    rms = sky_rms(flux)
    assert np.isnan(rms).sum() == 1
    assert np.isnan(rms[1, 4])
    np.testing.assert_allclose(rms[0], SKY_RMS, rtol=0.15)
    assert np.isnan(sky_rms(np.full((2, 5, 64, 64), np.nan, dtype=np.float32))).all()
    assert sky_rms(np.zeros((0, 5, 64, 64), dtype=np.float32)).shape == (0, 5)


# Flags


def test_good_images_have_no_flag():
    flags = flag_images(gaussian_cutouts(60), training_range=RANGE)
    assert flags.dtype == np.int32
    assert raised(flags) == [set()] * 60


def test_no_rows():
    assert flag_images(Cutouts.blank(0), training_range=RANGE).shape == (0,)


def test_stamp_of_nothing():
    assert raised(flag_images(Cutouts.blank(2))) == [{"NO_IMAGE", "NO_EBV"}] * 2


def test_flags_on_the_way_stay():
    cutouts = gaussian_cutouts(3)
    cutouts.flags[:] = [PhotozFlag.NO_IMAGE, 0, PhotozFlag.CROWDED]
    before = cutouts.flags.copy()
    assert raised(flag_images(cutouts)) == [{"NO_IMAGE"}, set(), {"CROWDED"}]
    np.testing.assert_array_equal(cutouts.flags, before)


@pytest.mark.parametrize("reason", ["NO_POSITION", "NO_MATCH"])
def test_of_a_galaxy_that_is_nowhere_nothing_else_is_said(reason):
    cutouts = Cutouts.blank(1)
    cutouts.flags[:] = getattr(PhotozFlag, reason)
    assert raised(flag_images(cutouts, training_range=RANGE)) == [{reason}]


@pytest.mark.parametrize("band", range(5))
def test_missing_band(band):
    cutouts = gaussian_cutouts(3)
    cutouts.flux[1, band] = np.nan
    flags = raised(flag_images(cutouts))
    assert flags[0] == flags[2] == set()
    assert flags[1] == {"NO_BAND", "PARTIAL"}


def test_missing_pixels_at_the_galaxy_and_far_from_it():
    cutouts = gaussian_cutouts(3)
    cutouts.flux[0, 3, 32, 34] = np.nan
    cutouts.flux[1, 3, 2, 2] = np.nan
    cutouts.flux[2, 3, :20] = np.nan
    assert raised(flag_images(cutouts)) == [{"NO_BAND", "PARTIAL"}, {"PARTIAL"}, {"PARTIAL"}]


@pytest.mark.parametrize("ebv", [np.nan, -0.01, np.inf, -np.inf])
def test_unusable_reddening(ebv):
    cutouts = gaussian_cutouts(2, ebv=[0.02, ebv])
    assert raised(flag_images(cutouts, training_range=RANGE)) == [set(), {"NO_EBV"}]


def test_no_dust_is_a_reddening():
    assert raised(flag_images(gaussian_cutouts(1, ebv=0.0), training_range=RANGE)) == [set()]


@pytest.mark.parametrize(("snr", "low"), [(30, False), (13, False), (7, True), (2, True)])
def test_signal_to_noise(snr, low):
    """The noise of the aperture of 8 pixels counts; the flag divides at 10."""
    noise = SKY_RMS[2] * np.sqrt(np.pi) * 8
    magnitude = 22.5 - 2.5 * np.log10(snr * noise)
    flags = flag_images(gaussian_cutouts(40, r_mag=(magnitude, magnitude)))
    assert np.mean([("LOW_SNR" in names) == low for names in raised(flags)]) > 0.9


def test_empty_sky_is_of_low_signal():
    rng = np.random.default_rng(0)
    noise = rng.normal(0, 1, (30, 5, 64, 64)) * np.reshape(SKY_RMS, (5, 1, 1))
    assert all("LOW_SNR" in names for names in raised(flag_images(Cutouts(noise, ebv=0.02))))


@pytest.mark.parametrize(("dx", "off"), [(0.0, False), (1.5, False), (6.0, True), (-8.0, True)])
def test_position_beside_the_galaxy(dx, off):
    cutouts = gaussian_cutouts(20)
    there = Cutouts(cutouts.flux, ebv=0.02, target_xy=np.add(cutouts.target_xy, (dx, 0)))
    assert all(("OFF_CENTRE" in names) == off for names in raised(flag_images(there)))


@pytest.mark.parametrize(
    ("distance", "peak", "crowded"), [(10, 1.0, True), (15, 0.7, True), (15, 0.2, False), (26, 1.0, False)]
)
@pytest.mark.parametrize("angle", [0.0, 2.0, 4.0])
def test_bright_neighbour(distance, peak, crowded, angle):
    cutouts = add_star(gaussian_cutouts(10), distance * np.cos(angle), distance * np.sin(angle), peak=peak)
    assert all(("CROWDED" in names) == crowded for names in raised(flag_images(cutouts)))


@pytest.mark.parametrize(("r_mag", "outside"), [(13.0, True), (16.0, False), (18.9, True)])
def test_magnitude_that_the_model_does_not_know(r_mag, outside):
    cutouts = gaussian_cutouts(10, r_mag=(r_mag, r_mag))
    assert all(("EXTRAPOLATED" in names) == outside for names in raised(flag_images(cutouts, training_range=RANGE)))
    assert not any("EXTRAPOLATED" in names for names in raised(flag_images(cutouts)))


def test_magnitude_is_without_the_dust():
    """A galaxy too faint behind the dust is bright enough without it."""
    cutouts = gaussian_cutouts(20, r_mag=(18.6, 18.6), ebv=np.repeat([0.0, 0.45], 10))
    flags = ["EXTRAPOLATED" in names for names in raised(flag_images(cutouts, training_range=RANGE))]
    assert flags == [True] * 10 + [False] * 10


@pytest.mark.parametrize(("ebv", "outside"), [(0.1, False), (0.5, False), (0.6, True)])
def test_reddening_that_the_model_does_not_know(ebv, outside):
    cutouts = gaussian_cutouts(3, ebv=ebv)
    assert all(("EXTRAPOLATED" in names) == outside for names in raised(flag_images(cutouts, training_range=RANGE)))


def test_flags_do_not_depend_on_the_neighbouring_rows():
    cutouts = add_star(gaussian_cutouts(6, r_mag=(15, 20)), 8, 3, peak=0.6)
    cutouts.flux[2, 0] = np.nan
    together = flag_images(cutouts, training_range=RANGE)
    alone = [flag_images(one, training_range=RANGE)[0] for one in cutouts]
    np.testing.assert_array_equal(together, alone)
    assert len(set(together.tolist())) > 1


@pytest.mark.parametrize("size", [64, 65, 107])
def test_flags_of_stamps_of_any_size(size):
    assert not flag_images(gaussian_cutouts(10, size=size), training_range=RANGE).any()


def test_images_are_not_modified():
    cutouts = gaussian_cutouts(3)
    cutouts.flux[0, :, :5] = np.nan
    before = cutouts.flux.copy()
    flag_images(cutouts, training_range=RANGE)
    np.testing.assert_array_equal(cutouts.flux, before)
