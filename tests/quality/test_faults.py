# Licensed under a 3-clause BSD style license - see LICENSE
"""Each fault of an image raises its own flag, and a whole image none."""

import numpy as np
import pytest
from astropy.stats import gaussian_fwhm_to_sigma
from scipy import ndimage

from astro_photz import Cutouts, PhotozFlag
from astro_photz.flags import BAD, MISSING
from astro_photz.quality import flag_images
from astro_photz.quality.measurements import measure
from astro_photz.quality.registration import displacement
from astro_photz.quality.saturation import FULL
from astro_photz.sdss import BANDS, PIXEL_SCALE
from astro_photz.testing.factories import SKY_RMS, gaussian_cutouts


def share(flux, flag, **options):
    """Share of the stamps that have a flag."""
    return np.mean((flag_images(Cutouts(flux, ebv=0.03), **options) & PhotozFlag[flag]) != 0)


def with_line(flux, *, angle, offset, height, bands):
    """Stamps with a line of 3 pixels' width across them; its height is in units of the noise."""
    y, x = np.mgrid[:64, :64] - 31.5
    line = np.exp(-0.5 * ((x * np.cos(angle) + y * np.sin(angle) - offset) / 1.3) ** 2)
    flux = flux.copy()
    for band in bands:
        flux[:, band] += height * SKY_RMS[band] * line
    return flux


@pytest.mark.parametrize("band", range(5))
@pytest.mark.parametrize("shift", [(3, 0), (0, -3), (2, 2)])
def test_a_displaced_band(band, shift):
    flux = gaussian_cutouts(30, r_mag=(16.0, 17.0)).flux
    flux[:, band] = np.roll(flux[:, band], shift, axis=(1, 2))
    assert share(flux, "MISALIGNED") > 0.9
    distance, _ = displacement(measure(Cutouts(flux, ebv=0.03)))
    assert np.median(distance[:, band]) == pytest.approx(np.hypot(*shift), abs=0.3)


def test_bands_that_all_lie_elsewhere_are_aligned():
    flux = np.roll(gaussian_cutouts(30).flux, 3, axis=2)
    assert share(flux, "MISALIGNED") == 0


@pytest.mark.parametrize("factor", [3.631, 1 / 3.631, 1e9, 1e-9, 1 / 0.005])
def test_other_units(factor):
    assert share(gaussian_cutouts(20).flux * np.float32(factor), "WRONG_SCALE") == 1


@pytest.mark.parametrize("order", [1, 3])
@pytest.mark.parametrize("conserved", [True, False], ids=["flux conserved", "values conserved"])
def test_enlarged_images(order, conserved):
    flux = gaussian_cutouts(10).flux[:, :, 16:48, 16:48]
    zoomed = ndimage.zoom(flux, (1, 1, 2, 2), order=order, grid_mode=True, mode="nearest")
    assert share(zoomed / 4 if conserved else zoomed, "WRONG_SCALE") == 1


def test_a_sky_that_was_not_subtracted():
    assert share(gaussian_cutouts(10).flux + 20 * np.reshape(SKY_RMS, (5, 1, 1)), "WRONG_SCALE") == 1


@pytest.mark.parametrize("factor", [0.8, 1.2])
def test_the_noise_of_other_nights_is_no_fault(factor):
    assert share(gaussian_cutouts(20).flux * np.float32(factor), "WRONG_SCALE") == 0


@pytest.mark.parametrize(("level", "flag"), [(0.3, "NO_BAND"), (0.65, "SATURATED"), (0.75, "SATURATED")])
def test_cut_off_peaks(level, flag):
    """A plateau so large that it holds a square of four pixels has no data."""
    flux = gaussian_cutouts(20).flux
    assert share(np.minimum(flux, level * flux.max(axis=(2, 3), keepdims=True)), flag) >= 0.95


@pytest.mark.parametrize("band", range(5))
def test_a_full_detector(band):
    flux = gaussian_cutouts(4).flux
    for times, flagged in ((0.9, 0), (1.1, 1)):
        flux[:, band] *= (times * FULL[band] / flux[:, band].max(axis=(1, 2)))[:, None, None]
        measured = measure(Cutouts(flux, ebv=0.03))
        assert share(flux, "SATURATED", measurements=measured) == flagged


@pytest.mark.parametrize("angle", np.linspace(0, np.pi, 7))
@pytest.mark.parametrize("offset", [-18.0, 0.0, 9.0])
def test_a_satellite(angle, offset):
    flux = gaussian_cutouts(10).flux
    assert share(with_line(flux, angle=angle, offset=offset, height=10, bands=[3]), "TRAIL") == 1
    assert share(with_line(flux, angle=angle, offset=offset, height=10, bands=range(5)), "TRAIL") == 0


def test_a_galaxy_from_its_edge_is_no_satellite():
    y, x = np.mgrid[:64, :64] - 31.5
    disc = np.exp(-np.hypot(x / 14, y / 2))
    flux = gaussian_cutouts(10).flux + np.reshape([1, 4, 8, 10, 12], (5, 1, 1)) * 0.1 * disc
    assert share(flux, "TRAIL") == 0


def test_a_copied_band():
    flux = gaussian_cutouts(3).flux
    flux[1, 0] = flux[1, 1]
    flags = flag_images(Cutouts(flux, ebv=0.03))
    assert [bool(flag & PhotozFlag.NO_BAND) for flag in flags] == [False, True, False]


@pytest.mark.parametrize(("width", "bad"), [(0.6, True), (0.95, False), (1.4, False), (2.05, False), (2.4, True)])
def test_seeing_that_the_model_does_not_know(width, bad):
    cutouts = gaussian_cutouts(2)
    cutouts.psf_fwhm[:, BANDS.index("r")] = width
    seen = {"r_mag": [14.0, 18.0], "ebv": [0.0, 0.5]}
    for known, expected in ((seen | {"seeing": [0.9, 2.0]}, bad), (seen, False)):
        flags = flag_images(cutouts, training_range=known)
        assert [bool(flag & PhotozFlag.BAD_SEEING) for flag in flags] == [expected] * 2


def test_an_unknown_seeing_is_not_bad():
    known = {"r_mag": [14.0, 18.0], "ebv": [0.0, 0.5], "seeing": [0.9, 2.0]}
    assert not flag_images(gaussian_cutouts(2), training_range=known).any()


def test_turning_a_stamp_changes_no_flag():
    cutouts = gaussian_cutouts(12, r_mag=(15.0, 20.0))
    flux = cutouts.flux
    flux[0, 0] = np.roll(flux[0, 0], 4, axis=0)
    flux[1] *= 4
    flux[2] = with_line(flux[2:3], angle=0.7, offset=4.0, height=12, bands=[1])[0]
    flux[3] = np.minimum(flux[3], 0.75 * flux[3].max(axis=(1, 2), keepdims=True))
    flux[4] += 4 * np.roll(flux[4], (6, 8), axis=(1, 2))
    flux[5] = np.roll(flux[5], 9, axis=2)
    flags = flag_images(Cutouts(flux, ebv=0.03))
    assert (flags[:6] != 0).all()
    for turns in (1, 2, 3):
        turned = Cutouts(np.rot90(flux, turns, axes=(2, 3)).copy(), ebv=0.03)
        np.testing.assert_array_equal(flag_images(turned), flags)


@pytest.mark.parametrize("band", range(5))
@pytest.mark.parametrize("place", [(10, 10), (31, 33), (55, 2), (slice(None), 20), (40, slice(None))], ids=str)
def test_pixels_that_are_sharper_than_light(band, place):
    flux = gaussian_cutouts(20, r_mag=(17.0, 18.0)).flux
    flux[:, band, place[0], place[1]] += 5000 * SKY_RMS[band]
    assert share(flux, "DEFECT") >= 0.95


@pytest.mark.parametrize("where", [(5, 5), (20.5, 44), (58.3, 30.2)])
@pytest.mark.parametrize("fwhm", [0.8, 1.4, 2.5])
@pytest.mark.parametrize("height", [1e2, 1e4, 1e6])
def test_a_point_source_is_no_defect(where, fwhm, height):
    flux = gaussian_cutouts(4).flux
    sigma = fwhm / PIXEL_SCALE * gaussian_fwhm_to_sigma
    y, x = np.mgrid[:64, :64]
    # The light in a pixel is the integral over it, which a convolution with the pixel's own width comes near to.
    light = np.exp(-((x - where[0]) ** 2 + (y - where[1]) ** 2) / 2 / (sigma**2 + 1 / 12))
    flux += height * np.reshape(SKY_RMS, (5, 1, 1)) * light.astype(np.float32)
    assert share(flux, "DEFECT") == 0


def test_what_is_not_known_beside_a_pixel_is_no_defect():
    flux = gaussian_cutouts(10, r_mag=(15.0, 15.5)).flux
    flux[:, :, :, :32] = np.nan
    assert share(flux, "DEFECT") == 0


@pytest.mark.parametrize("place", [np.nan, 1e30, -np.inf])
def test_places_that_are_none(place):
    cutouts = gaussian_cutouts(4)
    usual = flag_images(cutouts)
    cutouts.target_xy[:2] = place
    flags = flag_images(cutouts)
    np.testing.assert_array_equal(flags[2:], usual[2:])
    if np.isnan(place):
        np.testing.assert_array_equal(flags, usual)


def test_the_mask_of_bad_rows():
    assert BAD & MISSING == MISSING
    for flag in ("OFF_CENTRE", "CROWDED", "MISALIGNED", "WRONG_SCALE", "SATURATED", "TRAIL", "DEFECT", "LOW_SNR"):
        assert BAD & PhotozFlag[flag], flag
    for flag in ("OUTLIER", "POINT_SOURCE", "BEYOND_GRID", "GRID_EDGE", "EBV_MISMATCH", "BAD_SEEING"):
        assert BAD & PhotozFlag[flag], flag
    for flag in ("PARTIAL", "EXTRAPOLATED", "APPROXIMATE_EBV", "BIMODAL", "ANALOGUES_DISAGREE"):
        assert not BAD & PhotozFlag[flag], flag


def test_measurements_made_before_are_taken():
    cutouts = gaussian_cutouts(8, r_mag=(15.0, 20.0))
    np.testing.assert_array_equal(flag_images(cutouts, measurements=measure(cutouts)), flag_images(cutouts))
