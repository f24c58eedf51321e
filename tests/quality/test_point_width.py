# Licensed under a 3-clause BSD style license - see LICENSE
"""Points of light are told by their width, whatever their colour, brightness and place."""

import numpy as np
import pytest
from astropy.stats import gaussian_fwhm_to_sigma

from astro_photz import Cutouts
from astro_photz.quality.measurements import measure
from astro_photz.quality.point_sources import WIDEST_POINT, is_point_source, width_excess
from astro_photz.sdss import PIXEL_SCALE
from astro_photz.testing.factories import SKY_RMS, gaussian_cutouts

FWHM = 1.25


def gaussians(fwhm, *, total=(20.0, 50.0, 80.0, 100.0, 120.0), place=(0.0, 0.0), noise=1.0, seed=0):
    """Round Gaussians (N, 5, 64, 64) of widths (N,) (arcsec), fluxes (5,) or (N, 5), at a place off the middle."""
    sigma = np.atleast_1d(fwhm)[:, None, None] * gaussian_fwhm_to_sigma / PIXEL_SCALE
    x, y = (np.arange(64) - 31.5 - shift for shift in place)
    shape = np.exp(-0.5 * (x**2 + y[:, None] ** 2) / sigma**2) / (2 * np.pi * sigma**2)
    total = np.broadcast_to(total, (len(shape), 5))
    flux = shape[:, None] * total[..., None, None]
    return flux + noise * np.random.default_rng(seed).normal(0, 1, flux.shape) * np.reshape(SKY_RMS, (5, 1, 1))


def told(flux, psf_fwhm=FWHM):
    cutouts = Cutouts(flux, ebv=0.02)
    return is_point_source(measure(cutouts), np.broadcast_to(psf_fwhm, (len(flux), 5)))


@pytest.mark.parametrize("seeing", [0.9, 1.25, 1.8])
def test_a_gaussian_as_wide_as_the_seeing_is_a_point_and_one_twice_as_wide_is_not(seeing):
    np.testing.assert_array_equal(told(gaussians([seeing, 2 * seeing]), seeing), [True, False])


def test_a_point_of_any_colour_and_brightness_is_one():
    rng = np.random.default_rng(1)
    r = 10 ** (0.4 * (22.5 - rng.uniform(15.5, 19.5, 60)))
    total = r[:, None] * 10 ** rng.uniform(-0.5, 0.5, (60, 5))
    assert told(gaussians(np.full(60, FWHM), total=total)).all()


@pytest.mark.parametrize("place", [(0.5, 0.5), (-0.3, 0.7), (0.0, -0.5)])
def test_a_place_between_pixels_changes_nothing(place):
    point, galaxy = told(gaussians([FWHM, 2 * FWHM], place=place))
    assert point
    assert not galaxy


def test_an_image_turned_or_multiplied_is_as_wide():
    flux = gaussians(np.geomspace(1.0, 3.0, 8), place=(0.2, 0.4))
    turned = np.rot90(flux, axes=(-2, -1))
    psf = np.full((8, 5), FWHM)
    before, after, brighter = (width_excess(measure(Cutouts(one, ebv=0)), psf) for one in (flux, turned, 7 * flux))
    np.testing.assert_allclose(after, before, atol=1e-3)
    np.testing.assert_allclose(brighter, before, atol=1e-3)


def test_width_grows_with_the_image_and_shrinks_with_the_seeing():
    images = gaussians(np.geomspace(1.0, 3.0, 6), noise=0)
    measured = measure(Cutouts(images + 1e-6 * np.random.default_rng(0).normal(size=images.shape), ebv=0))
    excess = [width_excess(measured, np.full((6, 5), seeing)) for seeing in (1.0, 1.3, 1.6)]
    assert (np.diff(excess[0]) > 0).all()
    assert (np.diff(excess, axis=0) < 0).all()


def test_a_moffat_star_of_galsim_is_a_point_and_its_galaxy_is_not():
    galsim = pytest.importorskip("galsim")
    rng = np.random.default_rng(2)
    psf = galsim.Moffat(beta=3.5, fwhm=FWHM)
    galaxy = galsim.Convolve(galsim.Sersic(2, half_light_radius=2.0), psf)
    flux = np.empty((2, 5, 64, 64))
    for image, profile in zip(flux, (psf, galaxy), strict=True):
        drawn = profile.withFlux(80.0).shift(0.1, -0.15).drawImage(nx=64, ny=64, scale=PIXEL_SCALE, method="no_pixel")
        image[:] = drawn.array + rng.normal(0, 1, (5, 64, 64)) * np.reshape(SKY_RMS, (5, 1, 1))
    np.testing.assert_array_equal(told(flux), [True, False])


def test_galaxies_of_the_factory_are_none():
    cutouts = gaussian_cutouts(50, seed=3)
    assert not is_point_source(measure(cutouts), np.full((50, 5), 1.3)).any()


def test_one_band_with_a_known_width_is_enough_and_none_tells_nothing():
    flux = gaussians([FWHM, 2 * FWHM])
    unknown = np.full(5, np.nan)
    only_r = unknown.copy()
    only_r[2] = FWHM
    np.testing.assert_array_equal(told(flux, only_r), [True, False])
    assert np.isnan(width_excess(measure(Cutouts(flux, ebv=0)), np.tile(unknown, (2, 1)))).all()
    assert not told(flux, unknown).any()


def test_a_stamp_without_light_or_data_is_no_point():
    flux = gaussians([FWHM, FWHM], total=np.zeros(5))
    flux[1] = np.nan
    assert not told(flux).any()


def test_a_missing_band_does_not_hide_a_point():
    flux = gaussians([FWHM])
    flux[:, 1] = np.nan
    assert told(flux).all()


def test_a_wider_limit_would_take_wider_images():
    excess = width_excess(measure(Cutouts(gaussians([FWHM * 1.5]), ebv=0)), np.full((1, 5), FWHM))
    assert excess[0] > 2 * WIDEST_POINT
