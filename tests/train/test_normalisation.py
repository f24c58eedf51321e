# Licensed under a 3-clause BSD style license - see LICENSE
"""Views that brightness and noise tell nothing of."""

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("lightning", exc_type=ImportError)
pytest.importorskip("onnxscript", exc_type=ImportError)

from plain_stamps import SKY_RMS, galaxies, noise, radius

from astro_photz.train.augment.chain import make_augmentation
from astro_photz.train.augment.light import Noise, Normalisation, noise_rms


@pytest.fixture(autouse=True)
def _seed():
    torch.manual_seed(0)


def magnitude_under_a_gaussian(flux, band=2):
    light = (torch.exp(-0.5 * (radius(flux.shape[-1]) / 6).square()) * flux[:, band]).sum(dim=(1, 2))
    return 22.5 - 2.5 * light.log10()


def test_normalised_galaxies_are_alike_whatever_their_flux():
    flux = noise(8) + galaxies(8, size=64, scale=4, peak=5)
    normalised = Normalisation(17.5, spread=0)(flux)
    brighter = Normalisation(17.5, spread=0)(torch.logspace(-2, 2, 8)[:, None, None, None] * flux)
    torch.testing.assert_close(brighter, normalised, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(magnitude_under_a_gaussian(normalised), torch.full((8,), 17.5), rtol=0, atol=1e-3)


def test_normalisation_keeps_colours_and_shapes():
    flux = galaxies(3, size=64) * torch.tensor([0.2, 0.7, 1.0, 1.4, 1.7])[:, None, None]
    factor = Normalisation()(flux) / flux
    torch.testing.assert_close(factor, factor[:, :1, :1, :1].expand_as(factor))


def test_brightness_after_normalisation_is_even_about_its_magnitude_and_knows_nothing_of_the_galaxy():
    peak = torch.logspace(-0.5, 1.5, 500)
    views = Normalisation(18.0, spread=0.8)(galaxies(500, size=64) * peak[:, None, None, None])
    magnitude = magnitude_under_a_gaussian(views).numpy()
    assert (magnitude.min(), magnitude.max()) == pytest.approx((17.2, 18.8), abs=0.05)
    assert magnitude.std() == pytest.approx(0.8 / 3**0.5, abs=0.05)
    assert abs(np.corrcoef(magnitude, peak.log())[0, 1]) < 0.15


def test_normalisation_makes_no_galaxy_of_the_sky():
    """The noise of an empty stamp is not blown up to a galaxy's light, and one without pixels in r stays as it is."""
    empty = Normalisation(18.0, spread=0)(noise(100))
    light = 10 ** (-0.4 * (magnitude_under_a_gaussian(empty.abs()) - 18.0))
    sigma = (torch.exp(-0.5 * (radius(64) / 6).square()).square()).sum().sqrt()
    torch.testing.assert_close(noise_rms(empty)[:, 2] * sigma * 3, torch.full((100,), 10**1.8), rtol=0.25, atol=0)
    assert (light > 0).all()
    flux = noise(3)
    flux[:, 2] = torch.nan
    torch.testing.assert_close(Normalisation()(flux), flux, rtol=0, atol=0, equal_nan=True)


def test_noise_that_fills_up_is_the_same_in_all_stamps_but_those_that_have_more():
    has = torch.tensor([0.0, 0.5, 0.9, 3.0]).repeat(50)
    flux = has[:, None, None, None] * noise(200)
    filled = Noise(1, 1, fill=True)(flux, SKY_RMS.expand(200, 5))
    level = (noise_rms(filled) / SKY_RMS).unflatten(0, (50, 4)).mean(dim=(0, 2))
    torch.testing.assert_close(level, torch.tensor([1.0, 1.0, 1.0, 3.0]), rtol=0.05, atol=0)
    torch.testing.assert_close(filled[3::4], flux[3::4], rtol=0, atol=0)


def test_what_is_normalised_and_filled_up_has_the_noise_of_the_sky_as_observed():
    """A galaxy that is made fainter looks as one that is fainter: on the same sky."""
    flux = noise(200) + galaxies(200, size=64, scale=4, peak=30)
    views = make_augmentation({"normalise": {"spread": 0.0}, "noise": {"low": 1, "high": 1, "fill": True}})(flux)
    level = noise_rms(views).mean(dim=0) / SKY_RMS
    torch.testing.assert_close(level, torch.ones(5), rtol=0, atol=0.05)
    torch.testing.assert_close(magnitude_under_a_gaussian(views), torch.full((200,), 18.0), rtol=0, atol=0.05)
