# Licensed under a 3-clause BSD style license - see LICENSE
"""Petrosian quantities of images, and galaxies that are drawn in the place of real ones."""

import importlib
import sys
from pathlib import Path

import numpy as np
import pytest
from scipy.optimize import brentq
from scipy.special import gammainc, gammaincinv

pytest.importorskip("torch")
pytest.importorskip("kcorrect")

from astro_photz.sdss import ZERO_POINT
from astro_photz.simulate.population.draw import draw_population
from astro_photz.simulate.population.sample import Sample
from astro_photz.simulate.render.components import Components
from astro_photz.simulate.render.fourier import render

ROOT = Path(__file__).parents[2]


@pytest.fixture
def load(monkeypatch):
    """Import a module of the source tree; the package stays the one that is installed."""
    monkeypatch.setattr(sys, "path", [*sys.path, str(ROOT)])
    return importlib.import_module


def image(profile, radius, *, size=256, flux=1.0):
    """A round galaxy off the middle of an image, hardly blurred, and its centre."""
    centre = (size - 1) / 2 + np.array([0.3, -0.2])
    x, y = centre[:, None]
    galaxy = Components.round(
        profile, scene=np.array([0]), x=x, y=y, flux=np.full((1, 5), flux), radius=np.array([radius])
    )
    drawn = render(
        galaxy,
        lambda k2, scenes: (-0.5 * 0.3**2 * k2).exp().expand(1, 5, *k2.shape),
        size=size,
        shift=np.zeros((1, 5, 2)),
    )
    return drawn[0, 2].numpy().astype(float), centre


def of_sersic(index):
    """Petrosian flux and radii of a Sersic profile of unit flux and half-light radius (Graham & Driver 2005)."""
    b = gammaincinv(2 * index, 0.5)

    def light(radius):
        return gammainc(2 * index, b * radius ** (1 / index))

    def ratio(radius):
        return (light(1.25 * radius) - light(0.8 * radius)) / (1.25**2 - 0.8**2) / light(radius)

    radius = brentq(lambda r: ratio(r) - 0.2, 0.5, 5)
    flux = light(2 * radius)
    return [flux, radius, *((gammaincinv(2 * index, share * flux) / b) ** index for share in (0.5, 0.9))]


@pytest.mark.parametrize(("profile", "index"), [("gaussian", 0.5), ("exponential", 1), ("devaucouleurs", 4)])
def test_petrosian_quantities_are_those_of_the_profile(load, profile, index):
    measure = load("benchmarks.simulation._petrosian").measure
    found = list(vars(measure(*image(profile, 10.0))).values())
    np.testing.assert_allclose(found, np.array(of_sersic(index)) * [1, 10, 10, 10], rtol=0.01)


def test_petrosian_radii_do_not_depend_on_brightness(load):
    measure = load("benchmarks.simulation._petrosian").measure
    faint, bright = (measure(*image("exponential", 8.0, flux=flux, size=128)) for flux in (1.0, 1000.0))
    assert bright.flux == pytest.approx(1000 * faint.flux, rel=1e-4)
    assert (bright.radius, bright.half) == pytest.approx((faint.radius, faint.half), rel=1e-4)


def test_a_galaxy_that_outgrows_its_image_has_no_petrosian_flux(load):
    measure = load("benchmarks.simulation._petrosian").measure
    assert np.isnan(list(vars(measure(*image("exponential", 20.0, size=64))).values())).all()


def test_drawn_galaxies_have_the_magnitudes_and_redshifts_of_real_ones(load, monkeypatch):
    shapes = load("benchmarks.simulation.shapes")
    monkeypatch.setattr(shapes, "POOL", 500)
    magnitude, redshift = np.array([15.0, 16.5, 17.5]), np.array([0.03, 0.04, 0.05])
    drawn = shapes.as_luminous(magnitude, redshift, np.random.default_rng(0))
    np.testing.assert_allclose(ZERO_POINT - 2.5 * np.log10(drawn.flux[:, 2]), magnitude)
    np.testing.assert_array_equal(drawn.redshift, redshift)
    # the distance modulus, and a few tenths of K-correction
    np.testing.assert_allclose(drawn.absolute_magnitude, magnitude - [35.59, 36.24, 36.74], atol=0.35)


def test_a_galaxy_is_measured_alike_whatever_is_drawn_beside_it(load):
    """Five share a scene; their blurs and their light stay apart."""
    shapes = load("benchmarks.simulation.shapes")
    n, rng = 7, np.random.default_rng(3)
    population = draw_population(n, rng, sample=Sample(faintest=17.0))
    targets, _ = shapes.draw_targets(population, rng, np.zeros((n, 2)))
    psf = rng.uniform(1.0, 1.6, n), np.tile([2.6, 0.05], (n, 1))
    together = shapes._draw(targets, np.arange(n), psf, 64)
    alone = [shapes._draw(targets, np.array([row]), [part[[row]] for part in psf], 64)[0] for row in range(n)]
    np.testing.assert_allclose(together, alone, atol=1e-5 * together.max())
    np.testing.assert_allclose(together.sum(axis=(1, 2)), population.flux[:, 2], rtol=0.5)
