# Licensed under a 3-clause BSD style license - see LICENSE
"""The second family of shapes, against the relations that it is drawn from, and the mixture of the two."""

import numpy as np
import pytest
from astropy.cosmology import FlatLambdaCDM
from scipy.stats import kstest

torch = pytest.importorskip("torch")
pytest.importorskip("kcorrect")

from astro_photz import simulate
from astro_photz.sdss import PIXEL_SCALE
from astro_photz.simulate.fields.strip import draw_strip
from astro_photz.simulate.population.draw import draw_population
from astro_photz.simulate.population.families import draw_shapes
from astro_photz.simulate.population.features import Parts, draw_arms, draw_bars, draw_clumps, draw_rings
from astro_photz.simulate.population.morphology import draw_morphology
from astro_photz.simulate.population.sersic import draw_sersic, projected_axis_ratio
from astro_photz.simulate.population.shapes import Shapes
from astro_photz.simulate.population.sizes import shen_radius
from astro_photz.simulate.render.components import Components
from astro_photz.simulate.render.fourier import render
from astro_photz.simulate.scene.neighbours import draw_neighbours
from astro_photz.simulate.scene.targets import draw_targets
from astro_photz.simulate.settings import Settings
from astro_photz.simulate.simulation import Simulation


def make_galaxies(n, *, seed=0):
    """Galaxies and their shapes of the second family."""
    rng = np.random.default_rng(seed)
    population = draw_population(n, rng)
    return population, draw_sersic(population, rng)


def total_light(shape):
    total = np.zeros((len(shape), 5))
    np.add.at(total, shape.components.scene, shape.components.flux)
    return total


def bodies(shape):
    """The main bodies' two components: with the profiles of u and of z."""
    return shape.components[shape.first], shape.components[shape.first + 1]


def blur(k2, scenes, *, sigma=0.4):
    return torch.exp(-0.5 * k2 * sigma**2).expand(scenes.stop - scenes.start, 5, *k2.shape)


def assert_same_shapes(one, other):
    for name in ("early", "bulge_fraction", "radius", "inclination", "sersic_index"):
        np.testing.assert_array_equal(getattr(one, name), getattr(other, name))
    for name, values in vars(one.components).items():
        np.testing.assert_array_equal(values, getattr(other.components, name))


# The mixture


def test_no_share_draws_nothing_new():
    """The galaxies, and the state in which the generator is left, are those of the first family alone."""
    population = draw_population(64, np.random.default_rng(0))
    one, other = np.random.default_rng(1), np.random.default_rng(1)
    assert_same_shapes(draw_shapes(population, one), draw_morphology(population, other))
    assert one.uniform() == other.uniform()


def test_the_share_is_that_of_the_second_family_and_each_galaxy_keeps_its_light():
    population = draw_population(2000, np.random.default_rng(0))
    shape = draw_shapes(population, np.random.default_rng(1), sersic=0.3)
    second = np.isfinite(shape.sersic_index)
    assert second.mean() == pytest.approx(0.3, abs=0.04)
    np.testing.assert_allclose(total_light(shape), population.flux)
    np.testing.assert_array_equal(bodies(shape)[1].have_profile("sersic"), second)
    assert np.isfinite(draw_shapes(population, np.random.default_rng(1), sersic=1).sersic_index).all()


def test_joined_shapes_are_those_of_the_parts():
    (_, one), (_, other) = make_galaxies(5), make_galaxies(3, seed=1)
    rows = np.array([0, 2, 3, 5, 7]), np.array([1, 4, 6])
    joined = Shapes.join([one, other], rows)
    assert_same_shapes(joined[rows[0]], one)
    assert_same_shapes(joined[rows[1]], other)


@pytest.mark.parametrize("share", [-0.1, 1.5, np.nan])
def test_a_share_that_is_none_is_refused(share):
    with pytest.raises(ValueError, match="sersic must lie between 0 and 1"):
        draw_shapes(draw_population(4, np.random.default_rng(0)), np.random.default_rng(0), sersic=share)


def test_settings_choose_the_family():
    _, truth = simulate.galaxies(32, seed=1, config={"shapes": {"sersic": 1.0}})
    assert np.isfinite(truth["sersic_index"]).all()
    _, plain = simulate.galaxies(32, seed=1)
    assert np.isnan(plain["sersic_index"]).all()
    np.testing.assert_array_equal(truth["flux"], plain["flux"])  # the same galaxies in other shapes


def test_neighbours_are_of_the_families_too():
    ebv = np.full(40, 0.03)
    first, second = (
        draw_neighbours(ebv, np.random.default_rng(0), size=64, split="train", shapes={"sersic": share})
        for share in (0.0, 1.0)
    )
    plain = draw_neighbours(ebv, np.random.default_rng(0), size=64, split="train")
    np.testing.assert_array_equal(first.flux, plain.flux)
    assert not first.have_profile("sersic").any()
    assert second.have_profile("sersic").any()
    assert not (second.have_profile("exponential") | second.have_profile("devaucouleurs")).any()


def test_strips_of_frames_hold_galaxies_of_the_second_family():
    settings = Settings(sample={"faintest": 19.5}, shapes={"sersic": 1.0})
    simulation = Simulation(seed=0, settings=settings)
    strips = [draw_strip(number, np.random.default_rng(number), simulation, 0.03) for number in range(4)]
    light = Components.concatenate([strip.components for strip in strips])
    assert light.have_profile("sersic").any()
    assert not (light.have_profile("exponential") | light.have_profile("devaucouleurs")).any()
    assert any((strip.objects["redshift"] > 0).any() for strip in strips)
    for strip in strips:  # the index is that of the galaxies with a shape of their own
        index, redshift = (np.asarray(strip.objects[name]) for name in ("sersic_index", "redshift"))
        np.testing.assert_array_equal(np.isfinite(index), np.isfinite(redshift))


# The second family


def test_components_add_up_to_the_galaxy():
    population, shape = make_galaxies(3000)
    np.testing.assert_allclose(total_light(shape), population.flux, rtol=1e-9)
    assert (shape.components.flux >= 0).all()
    body = np.sum([part.flux for part in bodies(shape)], axis=0)
    assert (body / population.flux).min() > 0.2


def test_the_bulge_fraction_is_the_share_of_the_bulge():
    """Of those too whose features take so much light that all get less; the bulge comes after the body."""
    population, shape = make_galaxies(5000)
    bulged = np.flatnonzero(np.isfinite(shape.bulge_fraction))
    assert len(bulged) > 1000
    bulge = shape.components[shape.first[bulged] + 2]
    np.testing.assert_array_equal(bulge.scene, bulged)
    np.testing.assert_allclose(bulge.flux[:, 2] / population.flux[bulged, 2], shape.bulge_fraction[bulged])


def test_light_in_the_blue_is_more_extended():
    """Half-light radii fall from u to z by a power of wavelength; more so in late types, where they scatter widely."""
    _, shape = make_galaxies(4000)
    in_u, in_z = bodies(shape)
    np.testing.assert_array_equal(in_u.flux[:, 4], 0)
    np.testing.assert_array_equal(in_z.flux[:, 0], 0)
    power = np.log(in_z.radius / in_u.radius) / np.log(8932 / 3551)
    for some, expected in ((shape.early, -0.25), (~shape.early, -0.38)):
        assert np.median(power[some]) == pytest.approx(expected, abs=0.02)
    grown = np.log(in_z.sersic_index / in_u.sersic_index)[(shape.sersic_index > 0.7) & (shape.sersic_index < 5)]
    assert (grown > 0).all()
    np.testing.assert_array_equal(in_u.axis_ratio, in_z.axis_ratio)


def measured_radii(images):
    """Radii (N, 5) (pixels) of circles with half of the light of images in whose middle galaxies lie."""
    rows, columns = np.indices(images.shape[-2:]) - (images.shape[-1] - 1) / 2
    distance = np.hypot(rows, columns).ravel()
    order = np.argsort(distance)
    growth = np.cumsum(images.reshape(*images.shape[:2], -1)[..., order], axis=-1)
    place = np.argmax(growth > 0.5 * growth[..., -1:], axis=-1)
    return distance[order][place]


def test_half_of_the_light_lies_within_the_half_light_radius():
    """Measured on images hardly blurred, of galaxies seen not too far from face-on; in u outside, in z inside of it."""
    rng = np.random.default_rng(5)
    population = draw_population(300, rng)
    targets, truth = draw_targets(population, rng, np.full((300, 2), 127.5), sersic=1.0)
    radius = truth["half_light_radius"].value / PIXEL_SCALE
    some = np.flatnonzero((radius > 4) & (radius < 12) & (truth["sersic_index"] < 2.5))[:60]
    chosen = targets[np.isin(targets.scene, some)]
    chosen.scene = np.searchsorted(some, chosen.scene)
    images = render(chosen, blur, size=256, shift=np.zeros((len(some), 5, 2))).numpy()
    measured = measured_radii(images) / radius[some, None]
    # a disc's radius is that at the mean inclination
    assert np.median(measured[:, 2]) == pytest.approx(1, abs=0.06)
    assert (np.diff(np.median(measured, axis=0)) < 0).all()


def test_sizes_follow_luminosity_and_fading():
    """Radii of early types, and of late ones of low index, are log-normal about parabolas in their faded magnitude."""
    population, shape = make_galaxies(6000, seed=3)
    faded = population.absolute_magnitude + 1.6 * (population.redshift - 0.04)
    fainter = np.clip(faded, -23.0, -17.5) + 20.5
    _, scatter = shen_radius(faded, shape.early)
    kpc = shape.radius / FlatLambdaCDM(H0=70, Om0=0.3).arcsec_per_kpc_proper(population.redshift).value
    plain = ~shape.early & np.isnan(shape.bulge_fraction) & (shape.sersic_index < 1.1)
    for some, law, part in ((shape.early, (0.015, -0.223, 0.314), 0.65), (plain, (0.019, -0.186, 0.614), 0.67)):
        pull = (np.log(kpc) - np.log(10) * np.polyval(law, fainter)) / (part * scatter)
        assert kstest(pull[some], "norm").statistic < 0.05


def test_sizes_fall_with_concentration():
    population, shape = make_galaxies(6000)
    single = ~shape.early & np.isnan(shape.bulge_fraction)
    kpc = shape.radius * population.redshift  # nearly: at one luminosity, all that matters is the order
    alike = single & (np.abs(population.absolute_magnitude + 20.5) < 0.5)
    index = shape.sersic_index
    assert np.median(kpc[alike & (index > 2)]) < 0.85 * np.median(kpc[alike & (index < 1.2)])


def test_indices_follow_type_and_luminosity():
    population, shape = make_galaxies(6000)
    single = np.isnan(shape.bulge_fraction)
    assert np.median(shape.sersic_index[shape.early & single]) > 3
    assert 0.9 < np.median(shape.sersic_index[~shape.early & single]) < 1.4
    assert shape.sersic_index.min() >= 0.5
    assert shape.sersic_index.max() <= 6
    luminous = population.absolute_magnitude < -21.5
    elliptical = shape.early & single
    ratio = np.median(shape.sersic_index[elliptical & luminous]) / np.median(shape.sersic_index[elliptical & ~luminous])
    assert ratio > 1.1


def test_types_follow_colour_with_exceptions():
    population, shape = make_galaxies(6000)
    assert 0.05 < np.mean(~shape.early[population.rest_colour > 0.95]) < 0.25
    assert 0.01 < np.mean(shape.early[population.rest_colour < 0.6]) < 0.1


def test_galaxies_are_seen_from_anywhere_and_the_redder_discs_are_more_inclined():
    population, shape = make_galaxies(8000, seed=1)
    late = ~shape.early
    assert np.isnan(shape.inclination[shape.early]).all()
    cosine = np.cos(np.deg2rad(shape.inclination[late]))
    assert kstest(cosine, "uniform").statistic < 0.06
    red = population.rest_colour[late]
    assert np.median(red[cosine < 0.3]) - np.median(red[cosine > 0.85]) == pytest.approx(0.1, abs=0.05)
    ratio = bodies(shape)[0].axis_ratio
    assert np.corrcoef(ratio[late], cosine)[0, 1] > 0.85


def test_a_triaxial_body_looks_like_its_axes_from_its_axes():
    """Seen along the short, the long and the middle axis."""
    ratio = projected_axis_ratio(0.8, 0.2, [1.0, 0.0, 0.0], [0.3, 0.0, np.pi / 2])
    np.testing.assert_allclose(ratio, [0.8, 0.25, 0.2])
    inclination = np.linspace(0, np.pi / 2, 7)
    oblate = projected_axis_ratio(1.0, 0.3, np.cos(inclination), 0.7)
    np.testing.assert_allclose(oblate, np.sqrt(np.cos(inclination) ** 2 + (0.3 * np.sin(inclination)) ** 2))


# Features


@pytest.mark.parametrize("draw", [draw_arms, draw_bars, draw_clumps, lambda rows, rng: draw_rings(rows, NO_BARS, rng)])
def test_a_feature_has_a_part_of_the_light_of_each_of_its_galaxies(draw):
    galaxies = np.arange(3, 203, 2)
    parts = draw(galaxies, np.random.default_rng(0))
    share = np.bincount(parts.galaxy, parts.share, minlength=203)
    assert (share[galaxies] > 0).all()
    assert share.max() <= 0.45
    assert (np.delete(share, galaxies) == 0).all()
    assert (parts.share > 0).all()
    assert len(draw(np.arange(0), np.random.default_rng(0))) == 0


NO_BARS = draw_bars(np.arange(0), np.random.default_rng(0))


def test_arms_are_two_continuous_logarithmic_spirals():
    parts = draw_arms(np.arange(50), np.random.default_rng(0))
    for galaxy in range(50):
        own = Parts(**{name: values[parts.galaxy == galaxy] for name, values in vars(parts).items()})
        distance, azimuth = np.hypot(own.x, own.y), np.arctan2(own.y, own.x)
        order = np.argsort(distance, kind="stable")
        pairs = order.reshape(-1, 2)  # at each distance, one of each arm
        assert np.cos(np.diff(azimuth[pairs])) == pytest.approx(-1)
        turn = np.abs(np.diff(np.unwrap(azimuth[pairs[:, 0]], period=np.pi)))
        slope = np.diff(np.log(distance[pairs[:, 0]])) / turn
        assert 8 <= np.rad2deg(np.arctan(slope[0])) <= 28
        np.testing.assert_allclose(slope, slope[0], rtol=1e-6)
        assert (turn * distance[pairs[1:, 0]]).max() < 2.4 * own.radius.min()


def test_rings_of_barred_galaxies_lie_at_the_ends_of_the_bars():
    rng = np.random.default_rng(0)
    bars = draw_bars(np.array([1, 4]), rng)
    rings = draw_rings(np.array([1, 2, 4]), bars, rng)
    for galaxy, length in zip(bars.galaxy, bars.radius, strict=True):
        own = rings.galaxy == galaxy
        assert np.hypot(rings.x, rings.y)[own].max() == pytest.approx(2.2 * length)


def test_features_lie_in_the_plane_of_the_disc():
    """Turned back and stretched by the axis ratio, arms and rings reach as far along as across."""
    _, shape = make_galaxies(3000)
    light, body = shape.components, bodies(shape)[0]
    chain = light.have_profile("gaussian") & (light.axis_ratio < 1)
    own = light[chain]
    of = body[own.scene]
    np.testing.assert_allclose(own.axis_ratio, of.axis_ratio)
    cosine, sine = np.cos(of.angle), np.sin(of.angle)
    along, across = own.x * cosine + own.y * sine, (own.y * cosine - own.x * sine) / of.axis_ratio
    assert np.std(across / of.radius) == pytest.approx(np.std(along / of.radius), rel=0.08)


def test_arms_and_clumps_stand_out_in_the_blue_and_bars_in_the_red():
    population, shape = make_galaxies(2000)
    light = shape.components
    knots = light.have_profile("gaussian")
    share = np.zeros((2000, 5))
    np.add.at(share, light.scene[knots], light.flux[knots])
    share = (share / population.flux)[share[:, 0] > 0]
    assert (np.diff(np.median(share, axis=0)) < 0).all()
    bars = draw_bars(np.arange(10), np.random.default_rng(0))
    assert (bars.reddening > 0).all()


def test_faint_late_types_are_the_clumpy_ones():
    population, shape = make_galaxies(6000)
    light = shape.components
    clumpy = np.zeros(6000, dtype=bool)
    clumpy[light.scene[light.have_profile("gaussian") & (light.axis_ratio == 1)]] = True
    assert not clumpy[shape.early].any()
    late, faint = ~shape.early, population.absolute_magnitude > -19
    assert clumpy[late & faint].mean() > 2 * clumpy[late & ~faint].mean() > 0
