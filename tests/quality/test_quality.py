# Licensed under a 3-clause BSD style license - see LICENSE
"""Flags say what is wrong with an image, and nothing where nothing is."""

import numpy as np
import pytest
from astropy.nddata.bitmask import bitfield_to_boolean_mask, interpret_bit_flags
from scipy import ndimage

from astro_photz import Cutouts, PhotozFlag
from astro_photz.flags import FLAG_MEANINGS, MISSING
from astro_photz.quality import flag_images
from astro_photz.quality.measurements import measure
from astro_photz.testing.factories import SKY_RMS, gaussian_cutouts

RANGE = {"r_mag": [14.0, 18.0], "ebv": [0.0, 0.5], "redshift": [0.0, 0.4]}


def raised(flags):
    """Names of the flags of each row."""
    return [{name for name in FLAG_MEANINGS if flag & getattr(PhotozFlag, name)} for flag in flags]


def quiet_cutouts(n, **options):
    """Galaxies with next to no noise; without any, their far outskirts are zero, as are pixels without data."""
    cutouts = gaussian_cutouts(n, noise=False, **options)
    noise = np.random.default_rng(1).normal(0, 1e-6, cutouts.flux.shape)
    return Cutouts(np.nan_to_num(cutouts.flux) + noise, ebv=cutouts.ebv, target_xy=cutouts.target_xy)


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


@pytest.mark.parametrize("flag", ["NO_POSITION", "NO_MATCH"])
def test_a_galaxy_that_is_nowhere_has_no_other_flag(flag):
    cutouts = Cutouts.blank(1)
    cutouts.flags[:] = getattr(PhotozFlag, flag)
    assert raised(flag_images(cutouts, training_range=RANGE)) == [{flag}]


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


def test_a_hole_counts_as_a_missing_band_within_four_pixels():
    cutouts = gaussian_cutouts(2)
    cutouts.flux[0, 2, 31, 35] = cutouts.flux[1, 2, 31, 36] = np.nan  # 3 and 4 pixels from the centre to their edges
    assert raised(flag_images(cutouts)) == [{"NO_BAND", "PARTIAL"}, {"PARTIAL"}]


def test_light_three_pixels_away_is_still_that_of_the_galaxy():
    flux = pair(15, angle=0.0, ratio=0.45, n=1).flux + np.random.default_rng(0).normal(0, SKY_RMS[2], (1, 5, 64, 64))
    for aside, flags in ((0, set()), (2.9, set()), (4.2, {"OFF_CENTRE"})):
        there = Cutouts(flux, ebv=0.02, target_xy=[[31.5 - aside, 31.5]])
        assert raised(flag_images(there))[0] & {"OFF_CENTRE", "CROWDED"} == flags


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


def pair(distance, *, angle, ratio, n=4, width=1.8):
    """Galaxies with another of ``ratio`` times the light beside each, and next to no noise."""
    y, x = np.mgrid[:64, :64] - 31.5
    dx, dy = distance * np.cos(angle), distance * np.sin(angle)
    light = np.exp(-0.5 * (x**2 + y**2) / width**2)
    light += ratio * np.exp(-0.5 * ((x - dx) ** 2 + (y - dy) ** 2) / width**2)
    noise = np.random.default_rng(1).normal(0, 1e-5, (n, 5, 64, 64))
    return Cutouts(5 * light + noise, ebv=0.02)


@pytest.mark.parametrize("angle", [0.0, 0.6, 2.0, 4.0])
@pytest.mark.parametrize(
    ("distance", "ratio", "crowded"),
    [(8, 0.65, False), (8, 0.95, True), (16, 5.7, False), (16, 7.2, True), (26, 24, False), (26, 32, True)],
)
def test_neighbours_crowd_as_far_as_they_harm(distance, ratio, crowded, angle):
    """A neighbour at 8 pixels has 0.8 of the galaxy's peak, and the more the farther it is: its light falls off."""
    found = raised(flag_images(pair(distance, angle=angle, ratio=ratio)))
    assert [("CROWDED" in names) for names in found] == [crowded] * 4


@pytest.mark.parametrize(("significance", "crowded"), [(4.4, False), (5.6, True)])
def test_a_neighbour_is_a_peak_of_five_times_the_noise(significance, crowded):
    """Noise around the galaxy and its neighbour, and none in them, so that their peaks are known."""
    y, x = np.mgrid[:64, :64] - 31.5
    noise = np.where(np.hypot(x, y) > 25, np.random.default_rng(0).normal(0, SKY_RMS[2], (4, 5, 64, 64)), 0)
    rms = measure(Cutouts(noise, ebv=0.02)).noise[:, 2, None, None, None]

    def source(dx, dy, *, peak):
        """A source that has this peak, over the noise, once it is smoothed with a Gaussian of its own width."""
        return 2 * peak * rms / (5 * np.sqrt(np.pi)) * np.exp(-0.5 * ((x - dx) ** 2 + (y - dy) ** 2) / 2.5**2)

    flux = noise + source(0.5, 0.5, peak=2) + source(-8.5, 0.5, peak=significance)
    cutouts = Cutouts(flux, ebv=0.02, target_xy=np.full((4, 2), 32.0))
    assert [("CROWDED" in names) for names in raised(flag_images(cutouts))] == [crowded] * 4


def test_noise_does_not_crowd_a_faint_galaxy():
    """But for the noise that makes a galaxy of low signal peak beside its centre."""
    cutouts = gaussian_cutouts(60, r_mag=(21.5, 21.5))
    assert np.mean(["CROWDED" in names for names in raised(flag_images(cutouts))]) < 0.05


def test_a_bright_star_beside_one_galaxy_does_not_crowd_others():
    """Each stamp is smoothed and searched by itself."""
    cutouts = gaussian_cutouts(7)
    cutouts.flux[3] = add_star(cutouts[3:4], 8, -6, peak=100.0).flux[0]
    assert ["CROWDED" in names for names in raised(flag_images(cutouts))] == [False] * 3 + [True] + [False] * 3
    np.testing.assert_array_equal(flag_images(cutouts)[[2, 4]], 0)


@pytest.mark.parametrize(
    ("distance", "flags"), [(2.2, set()), (3.8, {"OFF_CENTRE"}), (8.2, {"OFF_CENTRE"}), (13.0, {"OFF_CENTRE"})]
)
@pytest.mark.parametrize("angle", [0.0, 0.8, 2.5])
def test_position_near_the_limits(distance, flags, angle):
    """Beyond 3 pixels the light is off the centre."""
    galaxies = quiet_cutouts(8)
    there = galaxies.target_xy + distance * np.array([np.cos(angle), np.sin(angle)])
    found = raised(flag_images(Cutouts(galaxies.flux, ebv=0.02, target_xy=there)))
    assert [
        names & {"OFF_CENTRE", "CROWDED"} - ({"CROWDED"} if "OFF_CENTRE" in flags else set()) for names in found
    ] == [flags] * 8


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
