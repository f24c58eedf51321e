# Licensed under a 3-clause BSD style license - see LICENSE
"""Shapes of simulated galaxies, against the relations that they are drawn from."""

import numpy as np
import pytest
from scipy.stats import kstest, norm

torch = pytest.importorskip("torch")
pytest.importorskip("kcorrect")

from astropy.cosmology import FlatLambdaCDM

from astro_photz.sdss import PIXEL_SCALE
from astro_photz.simulate.population.draw import draw_population
from astro_photz.simulate.population.morphology import draw_morphology
from astro_photz.simulate.population.sizes import FADING, nearby_radius, shen_radius
from astro_photz.simulate.render.fourier import render
from astro_photz.simulate.render.profiles import PROFILES, light_within
from astro_photz.simulate.scene.targets import draw_targets


def make_galaxies(n, *, seed=0):
    """Galaxies and their shapes."""
    rng = np.random.default_rng(seed)
    population = draw_population(n, rng)
    return population, draw_morphology(population, rng)


def colour(flux, blue=1, red=2):
    return -2.5 * np.log10(flux[..., blue] / flux[..., red])


def bulges_and_discs(shape):
    """The first two components of each galaxy."""
    return shape.components[shape.first], shape.components[shape.first + 1]


def clumps_of(shape):
    """The other components."""
    others = np.full(len(shape.components), True)
    others[shape.first] = others[shape.first + 1] = False
    return shape.components[others]


def light_of(components, n):
    """Light of some components of each galaxy (N, 5)."""
    total = np.zeros((n, 5))
    np.add.at(total, components.scene, components.flux)
    return total


def clump_flux(shape):
    """Light of each galaxy's clumps (N, 5)."""
    return light_of(clumps_of(shape), len(shape))


def blur(k2, scenes, *, sigma=0.4):
    return torch.exp(-0.5 * k2 * sigma**2).expand(scenes.stop - scenes.start, 5, *k2.shape)


def test_components_add_up_to_the_galaxy():
    population, shape = make_galaxies(500)
    np.testing.assert_allclose(light_of(shape.components, 500), population.flux)
    assert (shape.components.flux > 0).all()


def test_bulges_are_redder_than_discs_and_clumps_bluer():
    _, shape = make_galaxies(500)
    bulges, discs = bulges_and_discs(shape)
    bulge, disc = colour(bulges.flux), colour(discs.flux)
    assert (bulge > disc).mean() > 0.97
    late = ~shape.early
    assert (colour(clump_flux(shape)[late]) < disc[late]).mean() > 0.97
    assert np.median(colour(clump_flux(shape)[late], 0, 1) - colour(discs.flux[late], 0, 1)) < -0.1


def test_clumps_belong_to_late_types_and_have_a_small_part_of_the_light():
    population, shape = make_galaxies(500)
    galaxies = clumps_of(shape).scene
    assert not shape.early[galaxies].any()
    assert set(galaxies) == set(np.flatnonzero(~shape.early))
    share = (clump_flux(shape) / population.flux)[~shape.early]
    assert 0.05 < np.median(share[:, 1]) < 0.2
    assert (np.median(share[:, :2], axis=0) > np.median(share[:, 2])).all()


def clumps_seen_face_on(shape):
    """Where clumps lie along and across the disc's major axis, turned back and stretched by the axis ratio."""
    clumps = clumps_of(shape)
    discs = bulges_and_discs(shape)[1][clumps.scene]
    x, y = clumps.x - discs.x, clumps.y - discs.y
    cosine, sine = np.cos(discs.angle), np.sin(discs.angle)
    return x * cosine + y * sine, (y * cosine - x * sine) / discs.axis_ratio


def test_clumps_lie_in_the_plane_of_the_disc():
    """Turned back and stretched by the axis ratio, they are as far from the disc's centre along as across."""
    _, shape = make_galaxies(4000)
    along, across = clumps_seen_face_on(shape)
    assert np.std(across) == pytest.approx(np.std(along), rel=0.05)
    distance = np.hypot(along, across) / bulges_and_discs(shape)[1].radius[clumps_of(shape).scene]
    assert np.median(distance) == pytest.approx(1.0, abs=0.1)  # of the disc's light, half is within that


def test_arms_are_two():
    """In one galaxy, clumps along a spiral look alike when turned by half a turn, not by a quarter."""
    _, shape = make_galaxies(4000)
    along, across = clumps_seen_face_on(shape)
    azimuth = np.arctan2(across, along).reshape(-1, 8)
    distance = np.hypot(along, across).reshape(-1, 8)
    first, second = np.triu_indices(8, 1)
    alike = np.abs(np.log(distance[:, first] / distance[:, second])) < 0.05
    turn = (azimuth[:, first] - azimuth[:, second])[alike]
    assert np.cos(2 * turn).mean() > 0.5
    assert abs(np.cos(turn).mean()) < 0.1


def test_light_is_centred_on_the_galaxy():
    _, shape = make_galaxies(500)
    both = bulges_and_discs(shape)
    red_light = np.stack([part.flux[:, 2] for part in both])
    offset = np.stack([[part.x, part.y] for part in both])  # (2, 2, N): part, axis, galaxy
    centre = (red_light[:, None] * offset).sum(axis=0) / red_light.sum(axis=0)
    apart = np.hypot(*(offset[1] - offset[0]))
    late = ~shape.early
    assert np.abs(centre).max() < 0.3
    assert (apart[shape.early] == 0).all()
    scale_length = both[1].radius[late] / 1.678
    assert np.median(apart[late] / scale_length) == pytest.approx(0.1, abs=0.02)


def test_sizes_follow_the_relation():
    """Half-light radii at given luminosity, type and bulge are log-normal about the relation of nearby galaxies."""
    population, shape = make_galaxies(4000, seed=3)
    radius, scatter = nearby_radius(population.absolute_magnitude + FADING * (population.redshift - 0.04), shape.early)
    kpc = shape.radius / FlatLambdaCDM(H0=70, Om0=0.3).arcsec_per_kpc_proper(population.redshift).value
    for some, change in ((shape.early, -0.21), (~shape.early, -0.375)):
        larger = change * (shape.bulge_fraction - shape.bulge_fraction[some].mean())
        pull = (np.log(kpc / radius) - np.log(10) * larger) / scatter
        assert kstest(pull[some], "norm").statistic < 0.1


def test_size_relation_has_the_slopes_of_its_ends():
    """R is proportional to a power of L that is alpha at faint magnitudes and beta at bright ones."""
    ten_times = np.array([-2.5, 0.0])
    for early, alpha, beta in ((True, 0.32, 0.68), (False, 0.24, 0.60)):
        for at, slope in ((-30.0, beta), (-10.0, alpha)):
            bright, faint = nearby_radius(at + ten_times, np.full(2, early))[0]
            assert np.log10(bright / faint) == pytest.approx(slope, abs=0.01)


def test_size_relation_is_steeper_for_early_types():
    """R is proportional to L^0.6 for early types, to L^0.21 for faint late ones and L^0.53 for bright ones."""
    ten_times = np.array([-2.5, 0.0])
    steps = {
        name: shen_radius(at + ten_times, np.full(2, early))[0]
        for name, at, early in (("early", -20.0, True), ("bright late", -28.0, False), ("faint late", -13.0, False))
    }
    slope = {name: np.log10(bright / faint) for name, (bright, faint) in steps.items()}
    assert slope == pytest.approx({"early": 0.60, "bright late": 0.53, "faint late": 0.21}, abs=0.01)


def test_half_of_the_light_lies_within_the_half_light_radius():
    """Measured on images of round galaxies hardly blurred."""
    rng = np.random.default_rng(5)
    population = draw_population(200, rng)
    centre = np.full((200, 2), 63.5)
    targets, truth = draw_targets(population, rng, centre)
    image = render(targets, blur, size=128, shift=np.zeros((200, 5, 2)))[:, 2].numpy()
    rows, columns = np.mgrid[:128, :128] - 63.5
    radius = truth["half_light_radius"].value / PIXEL_SCALE
    inside = np.hypot(rows, columns) < radius[:, None, None]
    flux = population.flux[:, 2] * 10 ** (-0.4 * 2.285 * population.ebv)
    share = (image * inside).sum(axis=(1, 2)) / flux
    compact = (radius > 3) & (radius < 10)
    assert np.median(share[compact]) == pytest.approx(0.5, abs=0.03)
    # the radius is a circular one, that of a disc seen at the mean inclination
    assert np.percentile(np.abs(share[compact] - 0.5), 90) < 0.12


def test_discs_lie_at_random_angles_and_the_redder_are_more_inclined():
    population, shape = make_galaxies(8000, seed=1)
    late = ~shape.early
    ratio, red = bulges_and_discs(shape)[1].axis_ratio[late], population.rest_colour[late]
    cosine = np.sqrt((ratio**2 - 0.04) / 0.96)
    assert kstest(cosine, "uniform").statistic < 0.06
    assert np.median(red[ratio < 0.35]) - np.median(red[ratio > 0.9]) == pytest.approx(0.1, abs=0.05)


def prolate(width, *, scatter=0.12):
    """Median axis ratio of prolate spheroids at random angles, whose width over length scatters about a mean."""
    share = (np.arange(200) + 0.5) / 200
    width, cosine = np.clip(width + scatter * norm.ppf(share), 0.2, 1)[:, None], share
    return np.median(width / np.sqrt(width**2 * cosine**2 + 1 - cosine**2))


def test_early_types_are_prolate_and_the_luminous_ones_rounder():
    population, shape = make_galaxies(8000, seed=1)
    bulge, disc = (part.axis_ratio[shape.early] for part in bulges_and_discs(shape))
    np.testing.assert_array_equal(bulge, disc)
    ratio, magnitude = bulge, population.absolute_magnitude[shape.early]
    for width, some in ((0.67, magnitude < -21.84), (0.51, magnitude > -21.84)):
        assert prolate(width, scatter=0) == pytest.approx(width / np.sqrt(0.75 + width**2 / 4), abs=0.001)
        assert np.median(ratio[some]) == pytest.approx(prolate(width), abs=0.02)


def test_early_types_are_more_concentrated():
    _, shape = make_galaxies(2000)
    early, late = shape.bulge_fraction[shape.early], shape.bulge_fraction[~shape.early]
    assert np.median(early) > 0.5
    assert np.median(late) < 0.25


def test_bulges_of_late_types_are_small_and_like_discs():
    """As many as Weinzirl et al. (2009) find: 69 % with a fifth of the light at most, 76 % near to exponential."""
    _, shape = make_galaxies(8000)
    late = ~shape.early
    assert np.mean(shape.bulge_fraction[late] <= 0.2) == pytest.approx(0.69, abs=0.04)
    bulges, _ = bulges_and_discs(shape)
    assert np.mean(bulges.profile[late] == PROFILES.index("exponential")) == pytest.approx(0.76, abs=0.02)
    assert bulges.have_profile("devaucouleurs")[shape.early].all()


def test_discs_that_bend_down_have_less_light_far_out():
    """Of a Gaussian's light, nine tenths lie within 1.82 half-light radii; of an exponential's, within 2.32."""
    distance = np.array([[1.82, 2.32]])
    profile = np.array([[PROFILES.index(name) for name in ("gaussian", "exponential")]])
    np.testing.assert_allclose(light_within(distance, profile), 0.9, atol=0.002)
    _, shape = make_galaxies(8000)
    bent = bulges_and_discs(shape)[1].have_profile("gaussian")
    assert not bent[shape.early].any()
    assert bent[~shape.early].mean() == pytest.approx(0.3, abs=0.03)  # for half of the three in five


def test_shapes_of_some_galaxies_keep_their_clumps():
    _, shape = make_galaxies(50)
    rows = np.array([30, 3, 30, 7])
    some = shape[rows]
    assert len(some) == 4
    np.testing.assert_array_equal(some.radius, shape.radius[rows])
    np.testing.assert_array_equal(clump_flux(some), clump_flux(shape)[rows])
    assert (np.diff(some.components.scene) >= 0).all()
    np.testing.assert_array_equal(shape[np.zeros(50, dtype=bool)].components.scene, [])


def test_a_shape_in_the_light_of_another_galaxy_has_its_fluxes():
    population, shape = make_galaxies(50)
    rows = np.random.default_rng(0).permutation(50)
    lent = shape[rows].dimmed(population.flux / population.flux[rows])
    np.testing.assert_allclose(light_of(lent.components, 50), population.flux)
    np.testing.assert_array_equal(lent.radius, shape.radius[rows])
