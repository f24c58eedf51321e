# Licensed under a 3-clause BSD style license - see LICENSE
"""Photometry of stamps: fluxes in apertures, magnitudes, noise."""

import numpy as np
import pytest

from astro_photz.photometry import aperture_flux, r_magnitude, sky_rms
from astro_photz.testing.factories import SKY_RMS, gaussian_cutouts


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


def test_sky_rms_of_a_partly_missing_stamp_among_complete_ones():
    """And no band without data: each stamp has the noise of its own pixels."""
    flux = gaussian_cutouts(3).flux
    complete = sky_rms(flux)
    flux[1, :, :10] = np.nan
    rms = sky_rms(flux)
    np.testing.assert_array_equal(rms[[0, 2]], complete[[0, 2]])
    np.testing.assert_allclose(rms[1], SKY_RMS, rtol=0.15)
    assert (rms[1] != complete[1]).all()


def test_magnitudes_in_r():
    assert r_magnitude([100.0, 1.0]) == pytest.approx([17.5, 22.5])
    assert r_magnitude([100.0, 100.0], [0.0, 0.1]) == pytest.approx([17.5, 17.5 - 0.2285])
    assert np.isnan(r_magnitude([0.0, -1.0, np.nan], 0.1)).all()
    assert np.isnan(r_magnitude([1.0], [np.nan])).all()
