# Licensed under a 3-clause BSD style license - see LICENSE
"""Cheap photometry agrees with careful photometry."""

import numpy as np
import pytest
from astropy.stats import mad_std
from photutils.aperture import CircularAperture

from astro_photz import Cutouts
from astro_photz.photometry import sky_rms
from astro_photz.quality.measurements import RADII, WIDTHS, measure
from astro_photz.testing.factories import SKY_RMS, gaussian_cutouts


def gaussians(sigma, *, x=0.0, y=0.0, n=1, noise=1e-6):
    """Round galaxies of a size, off the middle, with next to no noise."""
    yy, xx = np.mgrid[:64, :64] - 31.5
    light = np.exp(-0.5 * ((xx - x) ** 2 + (yy - y) ** 2) / sigma**2)
    return Cutouts(light + np.random.default_rng(0).normal(0, noise, (n, 5, 64, 64)), ebv=0.02)


def test_fluxes_are_those_of_photutils():
    cutouts = gaussian_cutouts(3)
    found = measure(cutouts)
    for number, radius in enumerate(RADII):
        aperture = CircularAperture((31.5, 31.5), radius)
        sums = [[aperture.do_photometry(image)[0][0] for image in stamp] for stamp in cutouts.flux]
        np.testing.assert_allclose(found.apertures[..., number], sums, rtol=1e-4, atol=1e-3)
    np.testing.assert_array_equal(found.flux, found.apertures[..., RADII.index(8.0)])


def test_noise_and_sky_are_those_of_all_outer_pixels():
    """A sample of 512 pixels knows the noise to 5 %, the sky to a twentieth of the noise."""
    cutouts = gaussian_cutouts(60)
    cutouts.flux[:] += 0.01
    found = measure(cutouts)
    ratio = found.noise / sky_rms(cutouts.flux)
    assert abs(ratio.mean() - 1) < 0.01
    assert ratio.std() < 0.07
    assert abs((found.sky - 0.01) / SKY_RMS).mean() < 0.06
    one = cutouts.flux[0, 2].copy()
    y, x = np.mgrid[:64, :64] - 31.5
    outer = one[np.hypot(x, y) > 25]
    assert found.noise[0, 2] == pytest.approx(mad_std(outer), rel=0.15)


def test_white_noise_has_grain_one_and_smoothed_noise_less():
    noise = np.random.default_rng(0).normal(0, 0.03, (40, 5, 65, 65))
    white = measure(Cutouts(noise[..., :64, :64], ebv=0.02)).grain
    assert abs(white.mean() - 1) < 0.01
    mean = (noise[..., 1:, 1:] + noise[..., 1:, :-1] + noise[..., :-1, 1:] + noise[..., :-1, :-1]) / 4
    # neighbours share half of their pixels: their difference has half the variance
    assert measure(Cutouts(mean, ebv=0.02)).grain.mean() == pytest.approx(np.sqrt(0.5), rel=0.02)


@pytest.mark.parametrize("sigma", [1.5, 2.5, 4.0])
@pytest.mark.parametrize(("x", "y"), [(0.0, 0.0), (0.4, -0.3), (3.0, 0.0), (-2.0, 2.0)])
def test_centroids_follow_the_light(sigma, x, y):
    found = measure(gaussians(sigma, x=x, y=y))
    np.testing.assert_allclose(found.centroid[0], np.broadcast_to([x, y], (5, 2, 2)), atol=0.02)


@pytest.mark.parametrize("sigma", [1.5, 2.5, 4.0])
def test_widths_are_those_of_the_weighted_light(sigma):
    """Wherever the galaxy lies in the middle pixels."""
    for x in (0.0, 0.4):
        found = measure(gaussians(sigma, x=x, y=-x))
        for number, weight in enumerate(WIDTHS):
            expected = sigma * weight / np.hypot(sigma, weight)
            np.testing.assert_allclose(found.width[0, :, number], expected, rtol=5e-3)


def test_errors_of_centroids_are_their_scatter():
    rng = np.random.default_rng(0)
    noise = rng.normal(0, 1, (400, 5, 64, 64)) * np.reshape(SKY_RMS, (5, 1, 1))
    found = measure(Cutouts(gaussians(2.5).flux + noise, ebv=0.02))
    scatter = found.centroid[..., 0].std(axis=0)
    # the light's own photons, which are not drawn here, add to the error
    assert (
        (found.centroid_error.mean(axis=0) / scatter > 0.9) & (found.centroid_error.mean(axis=0) < 2 * scatter)
    ).all()


def test_a_factor_moves_fluxes_and_leaves_shapes():
    cutouts = gaussian_cutouts(20)
    one, three = measure(cutouts), measure(Cutouts(3 * cutouts.flux, ebv=0.02))
    np.testing.assert_allclose(three.flux, 3 * one.flux, rtol=1e-5)
    np.testing.assert_allclose(three.centroid, one.centroid, atol=1e-3)
    np.testing.assert_allclose(three.vector[:, :5], one.vector[:, :5] + np.log(3), atol=1e-5)
    np.testing.assert_allclose(three.vector[:, 5:], one.vector[:, 5:], atol=1e-3)


def test_turned_stamps_have_the_same_numbers():
    cutouts = gaussian_cutouts(10)
    turned = measure(Cutouts(np.rot90(cutouts.flux, axes=(2, 3)).copy(), ebv=0.02))
    one = measure(cutouts)
    np.testing.assert_array_equal(turned.noise, one.noise)
    np.testing.assert_array_equal(turned.grain, one.grain)
    np.testing.assert_allclose(turned.vector, one.vector, atol=1e-3)
    np.testing.assert_allclose(turned.centroid[..., 0], one.centroid[..., 1], atol=1e-3)


@pytest.mark.parametrize("hole", [np.s_[0], np.s_[:], np.s_[:, :20], np.s_[2, 31, 31], np.s_[4, :, 40:]])
def test_missing_pixels_count_as_no_flux(hole):
    cutouts = gaussian_cutouts(3)
    cutouts.flux[1][hole] = np.nan
    found = measure(cutouts)
    filled = measure(cutouts._replaced(flux=np.nan_to_num(cutouts.flux)))
    np.testing.assert_allclose(found.apertures, filled.apertures, rtol=1e-5)
    assert found.vector.shape == (3, 40)
    assert found.vector.dtype == np.float32
    assert np.isfinite(found.vector).all()
    np.testing.assert_array_equal(np.isnan(found.noise), np.isnan(cutouts.flux).all(axis=(2, 3)))


def test_a_flat_top_is_counted():
    cutouts = gaussian_cutouts(2)
    assert (measure(cutouts).plateau == 1).all()
    cutouts.flux[0, 3] = np.minimum(cutouts.flux[0, 3], 0.6 * cutouts.flux[0, 3].max())
    found = measure(cutouts)
    assert found.plateau[0, 3] > 5
    assert found.highest[0, 3] == cutouts.flux[0, 3].max()


@pytest.mark.parametrize("size", [65, 80, 107])
def test_stamps_of_any_size(size):
    found = measure(gaussian_cutouts(4, size=size))
    assert found.noise == pytest.approx(np.broadcast_to(SKY_RMS, (4, 5)), rel=0.2)
    assert np.isfinite(found.vector).all()


def test_rows_can_be_selected():
    found = measure(gaussian_cutouts(4))
    some = found[np.array([True, False, True, False])]
    assert len(some) == 2
    np.testing.assert_array_equal(some.vector, found.vector[[0, 2]])
    assert len(measure(Cutouts.blank(0))) == 0
