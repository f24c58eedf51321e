# Licensed under a 3-clause BSD style license - see LICENSE
"""How simulated galaxies are drawn, and what the camera adds to them."""

import numpy as np
import pytest
from scipy.special import gammaincc

torch = pytest.importorskip("torch")

from astro_photz.simulate.camera.conditions import draw_conditions
from astro_photz.simulate.camera.noise import FILTER_MARGIN, add_noise
from astro_photz.simulate.render.components import Components
from astro_photz.simulate.render.fourier import REACH, render
from astro_photz.simulate.render.profiles import DEVAUCOULEURS, PROFILES
from astro_photz.simulate.render.sersic import sersic_law


def make_component(
    profile="exponential", *, x=31.5, y=31.5, flux=100.0, radius=4.0, axis_ratio=0.6, angle=0.7, scene=0, index=2.5
):
    return Components(
        scene=np.array([scene]),
        profile=np.array([PROFILES.index(profile)]),
        x=np.array([x]),
        y=np.array([y]),
        flux=np.full((1, 5), flux),
        radius=np.array([radius]),
        axis_ratio=np.array([axis_ratio]),
        angle=np.array([angle]),
        sersic_index=np.array([index]),
    )


def gaussian_transfer(sigma=1.5):
    def transfer(k2, scenes):
        return torch.exp(-0.5 * k2 * sigma**2).expand(scenes.stop - scenes.start, 5, *k2.shape)

    return transfer


def draw(component, *, sigma=1.5, size=64, shift=None):
    shift = np.zeros((1, 5, 2)) if shift is None else shift
    return render(component, gaussian_transfer(sigma), size=size, shift=shift)[0].numpy()


# Rendering


def test_images_agree_with_galsim():
    galsim_scene = pytest.importorskip(
        "astro_photz.testing.galsim_scene", reason="needs GalSim and kcorrect", exc_type=ImportError
    )
    components, conditions = galsim_scene.random_galaxies(40, np.random.default_rng(0))
    images = render(components, conditions.transfer, size=64, shift=conditions.shift)
    truth = galsim_scene.draw(components, conditions, params=galsim_scene.TIGHT)
    difference = galsim_scene.compare(images, truth)
    assert (np.percentile(difference.residual, 95, axis=0) < 5e-4).all()
    assert difference.flux.max() < 2e-3
    assert difference.moments.max() < 1e-2


@pytest.mark.parametrize("index", [0.5, 0.8, 1.3, 3.0, 6.2])
def test_profiles_of_any_index_agree_with_galsim(index):
    galsim_scene = pytest.importorskip(
        "astro_photz.testing.galsim_scene", reason="needs GalSim and kcorrect", exc_type=ImportError
    )
    index, _ = sersic_law(np.array([index]))
    large = make_component("sersic", index=index[0], radius=6.0, axis_ratio=0.3)
    small = make_component("sersic", index=index[0], radius=1.5, axis_ratio=1.0, scene=1)
    components = Components.concatenate([large, small])
    conditions = draw_conditions(2, np.random.default_rng(0))
    images = render(components, conditions.transfer, size=64, shift=conditions.shift)
    difference = galsim_scene.compare(images, galsim_scene.draw(components, conditions))
    assert difference.residual.max() < 2e-4
    assert difference.flux.max() < 1e-3
    assert difference.moments.max() < 1e-2


def test_galaxies_of_the_second_family_agree_with_galsim():
    galsim_scene = pytest.importorskip(
        "astro_photz.testing.galsim_scene", reason="needs GalSim and kcorrect", exc_type=ImportError
    )
    components, conditions = galsim_scene.random_galaxies(8, np.random.default_rng(0), sersic=1.0)
    images = render(components, conditions.transfer, size=64, shift=conditions.shift)
    difference = galsim_scene.compare(images, galsim_scene.draw(components, conditions))
    assert (np.percentile(difference.residual, 95, axis=0) < 5e-4).all()
    assert difference.flux.max() < 2e-3
    assert difference.moments.max() < 1e-2


@pytest.mark.parametrize(
    ("index", "like", "within"), [(0.5, "gaussian", 2e-4), (1.0, "exponential", 3e-3), (4.0, "devaucouleurs", 6e-3)]
)
def test_a_sersic_profile_is_the_one_that_has_a_name(index, like, within):
    """But for the step of the table's indices."""
    sersic, named = draw(make_component("sersic", index=index)), draw(make_component(like))
    np.testing.assert_allclose(sersic, named, atol=within * named.max())


@pytest.mark.parametrize("index", [0.5, 1.0, 4.0])
def test_half_of_the_light_of_a_sersic_profile_lies_within_its_radius(index):
    image = draw(make_component("sersic", x=127.5, y=127.5, radius=10.0, axis_ratio=1.0, index=index), size=256)[2]
    rows, columns = np.mgrid[:256, :256] - 127.5
    inside = image[np.hypot(rows, columns) < 10.0].sum()
    assert inside / 100 == pytest.approx(0.5, abs=0.02)


@pytest.mark.parametrize("index", [0.4, 7.0, np.nan])
def test_an_index_beyond_the_table_is_refused(index):
    with pytest.raises(ValueError, match=r"Sersic indices must lie between 0.5 and 6.2"):
        draw(make_component("sersic", index=index))


def test_a_chain_of_gaussians_is_drawn_as_one_by_one():
    """Gaussians of one shape are drawn together; moved by nothing that matters, they are drawn apart."""
    places = [(20.0, 31.0), (23.5, 33.0), (27.0, 36.0), (40.0, 41.0)]
    together, apart = (
        Components.concatenate(
            [
                make_component("gaussian", x=x, y=y, flux=10.0 * (number + 1), axis_ratio=0.5 + step * number)
                for number, (x, y) in enumerate(places)
            ]
        )
        for step in (0.0, 1e-9)
    )
    image = draw(together)
    np.testing.assert_allclose(image, draw(apart), atol=1e-5 * image.max())
    assert image[2].sum() == pytest.approx(100, rel=1e-3)


def test_chains_stay_in_their_scenes():
    chains = Components.concatenate(
        [make_component("gaussian", x=x, scene=scene) for scene in (0, 1) for x in (25.0, 30.0 + 5 * scene)]
    )
    both = render(chains, gaussian_transfer(), size=64, shift=np.zeros((2, 5, 2)))
    np.testing.assert_allclose(both[0], draw(chains[:2]), atol=1e-5)
    other = chains[2:]
    other.scene = np.zeros(2, dtype=int)
    np.testing.assert_allclose(both[1], draw(other), atol=1e-5)


@pytest.mark.parametrize("profile", PROFILES)
def test_rendering_keeps_the_flux(profile):
    image = draw(make_component(profile, x=127.5, y=127.5, radius=2.0, axis_ratio=1.0), size=256)
    # of the light of de Vaucouleurs' profile, 1.3e-4 lies beyond 64 half-light radii
    within = 1 - gammaincc(8, DEVAUCOULEURS * 64**0.25) if profile == "devaucouleurs" else 1
    assert image.sum(axis=(1, 2)) == pytest.approx(np.full(5, 100 * within), rel=1e-4)


@pytest.mark.parametrize("profile", ["gaussian", "exponential", "devaucouleurs", "sersic"])
def test_what_leaves_an_image_does_not_come_back(profile):
    """A galaxy much larger than the image looks as it does in the middle of a larger one."""
    large = draw(make_component(profile, x=127.5, y=127.5, radius=15.0, axis_ratio=0.3), size=256)[2]
    small = draw(make_component(profile, radius=15.0, axis_ratio=0.3))[2]
    np.testing.assert_allclose(small, large[96:-96, 96:-96], atol=1e-4 * large.max())


def test_a_component_lies_where_it_was_put():
    image = draw(make_component(x=28.25, y=35.5, radius=2.0))[0]
    rows, columns = np.mgrid[:64, :64]
    assert (image * columns).sum() / image.sum() == pytest.approx(28.25, abs=0.005)
    assert (image * rows).sum() / image.sum() == pytest.approx(35.5, abs=0.005)


def test_a_band_is_shifted_on_its_own():
    shift = np.zeros((1, 5, 2))
    shift[0, 3] = [1.0, -2.0]
    image = draw(make_component(), shift=shift)
    np.testing.assert_allclose(image[3], np.roll(image[2], (-2, 1), axis=(0, 1)), atol=1e-5 * image.max())
    np.testing.assert_array_equal(image[1], image[2])


@pytest.mark.parametrize("profile", PROFILES)
def test_a_quarter_turn_turns_the_image(profile):
    upright, turned = (draw(make_component(profile, angle=angle))[2] for angle in (0.4, 0.4 + np.pi / 2))
    np.testing.assert_allclose(turned, np.rot90(upright, -1), atol=2e-5 * upright.max())


def test_an_angle_grows_from_columns_to_rows():
    image = draw(make_component(angle=np.pi / 4, axis_ratio=0.3))[2]
    assert image[36, 36] > 2 * image[36, 27]


def test_a_round_gaussian_is_drawn_as_an_almost_round_one():
    exact, almost = (draw(make_component("gaussian", axis_ratio=ratio))[2] for ratio in (1.0, 1.0 - 1e-7))
    np.testing.assert_allclose(exact, almost, atol=1e-6 * exact.max())
    rows, columns = np.mgrid[:64, :64] - 31.5
    variance = (4.0 / np.sqrt(2 * np.log(2))) ** 2 + 1.5**2
    expected = 100 / (2 * np.pi * variance) * np.exp(-0.5 * (rows**2 + columns**2) / variance)
    np.testing.assert_allclose(exact, expected, atol=1e-5 * expected.max())


@pytest.mark.parametrize("profile", PROFILES)
def test_images_add_up(profile):
    one, other = make_component(profile), make_component("exponential", x=20.0, flux=30.0)
    both = draw(Components.concatenate([one, other]))
    np.testing.assert_allclose(both, draw(one) + draw(other), atol=1e-5 * both.max())


def test_scenes_do_not_depend_on_their_company():
    one, other = make_component(), make_component("devaucouleurs", x=20.0, scene=40)  # in another batch of scenes
    both = render(Components.concatenate([one, other]), gaussian_transfer(), size=64, shift=np.zeros((41, 5, 2)))
    np.testing.assert_allclose(both[0], draw(one), rtol=1e-5, atol=1e-6)
    assert both[1:40].abs().max() == 0


def test_components_outside_shine_in_up_to_a_limit():
    just = draw(make_component(x=-REACH))
    larger = draw(make_component(x=0.0, y=31.5 + REACH), size=64 + 2 * REACH)
    np.testing.assert_allclose(just, larger[:, REACH:-REACH, REACH:-REACH], atol=1e-3 * larger.max())
    assert just.max() > 1e-2 * larger.max()
    assert not draw(make_component(x=-REACH - 0.1)).any()


def test_there_may_be_nothing_to_draw():
    assert not draw(make_component()[:0]).any()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"size": 0}, r"size must be at least 1 pixel, got 0"),
        ({"component": make_component(x=np.nan)}, r"components must have finite x and y"),
    ],
)
def test_impossible_drawings_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        draw(**{"component": make_component()} | options)


# Camera


def empty_images(n, *, size=64, flux=0.0):
    return torch.full((n, 5, size + 2 * FILTER_MARGIN, size + 2 * FILTER_MARGIN), flux)


def flat_conditions(n, *, seed=0):
    """Conditions whose sky was subtracted without an error."""
    conditions = draw_conditions(n, np.random.default_rng(seed))
    conditions.background[:] = 0
    conditions.background_slope[:] = 0
    return conditions


def observe(images, conditions, *, seed=1):
    return add_noise(images, conditions, np.random.default_rng(seed)).numpy()


@pytest.mark.parametrize("flux", [0.0, 0.5])
def test_noise_is_that_of_counted_photons(flux):
    """Variance dn / gain + dark variance, and that of rounding to whole counts, where pixels are not resampled."""
    conditions = flat_conditions(64)
    conditions.phase[:] = 0
    noise = observe(empty_images(64, flux=flux), conditions) - (flux * conditions.zero_point)[..., None, None]
    counts = conditions.sky + flux * conditions.zero_point / conditions.calibration
    expected = conditions.calibration**2 * (counts / conditions.gain + conditions.dark_variance + 1 / 12)
    ratio = noise.var(axis=(2, 3)) / expected
    assert np.median(ratio, axis=0) == pytest.approx(np.ones(5), abs=0.015)
    scatter = np.sqrt(2 / 64**2)  # of a variance from so many pixels
    assert np.abs(ratio - 1).max() < 5 * scatter
    error = noise.mean(axis=(2, 3)) / np.sqrt(expected) * 64
    assert np.abs(error).max() < 4.5


def test_noise_of_different_pixels_bands_and_galaxies_is_independent():
    conditions = flat_conditions(16)
    conditions.phase[:] = conditions.row_noise[:] = 0
    conditions.read_correlation[:] = conditions.column_correlation[:] = 0
    noise = observe(empty_images(16), conditions).reshape(80, -1)
    noise = (noise - noise.mean(axis=1, keepdims=True)) / noise.std(axis=1, keepdims=True)
    correlation = noise @ noise.T / noise.shape[1] - np.eye(80)
    assert np.abs(correlation).max() < 5 / 64
    assert abs((noise[:, 1:] * noise[:, :-1]).mean()) < 5 / np.sqrt(noise.size)


@pytest.mark.parametrize(
    ("read_correlation", "column_correlation", "row_noise"),
    [(0.06, 0.0, 0.0), (-0.04, 0.0, 0.0), (0.0, -0.03, 0.0), (0.0, 0.0, 0.15)],
)
def test_noise_hangs_together_as_it_is_read(read_correlation, column_correlation, row_noise):
    """Of neighbours by the correlation, of all pixels of a row by the variance that they have in common."""
    conditions = flat_conditions(64)
    conditions.phase[:] = conditions.sky_slope[:] = 0
    conditions.read_correlation[:], conditions.row_noise[:] = read_correlation, row_noise
    conditions.column_correlation[:] = column_correlation
    noise = observe(empty_images(64), conditions)
    noise = (noise - noise.mean(axis=(2, 3), keepdims=True)) / noise.std(axis=(2, 3), keepdims=True)
    common = row_noise**2 / (1 + row_noise**2)
    # the mean was taken off, to which a row contributes
    assert (noise[..., 1:] * noise[..., :-1]).mean() == pytest.approx(read_correlation + common, abs=0.003)
    assert (noise[..., 20:] * noise[..., :-20]).mean() == pytest.approx(common, abs=0.003)
    assert (noise[..., 1:, :] * noise[..., :-1, :]).mean() == pytest.approx(column_correlation, abs=0.003)


@pytest.mark.parametrize(("skewness", "kurtosis"), [(0.0, 0.0), (0.1, 0.0), (0.0, -0.15), (-0.1, 0.2)])
def test_noise_has_the_shape_that_the_converter_gives_it(skewness, kurtosis):
    """With so much light that photons add no skewness of their own; the variance stays."""
    conditions = flat_conditions(64)
    conditions.phase[:] = conditions.sky_slope[:] = conditions.row_noise[:] = 0
    conditions.read_correlation[:] = conditions.column_correlation[:] = 0
    conditions.sky[:], conditions.gain[:] = 1e4, 4.0
    conditions.skewness[:], conditions.kurtosis[:] = skewness, kurtosis
    noise = observe(empty_images(64), conditions)
    expected = conditions.calibration * np.sqrt(conditions.sky / conditions.gain + conditions.dark_variance)
    standard = noise / expected[..., None, None]
    assert standard.var() == pytest.approx(1, abs=0.01)
    assert (standard**3).mean() == pytest.approx(skewness, abs=0.015)
    assert (standard**4).mean() - 3 == pytest.approx(kurtosis, abs=0.03)


def test_resampling_keeps_most_of_the_noise():
    conditions = flat_conditions(64)
    conditions.phase[:, 1] = 0.5  # the worst place
    conditions.phase[:, 3] = 0.0
    sky = observe(empty_images(64), conditions)
    expected = conditions.calibration * np.sqrt(conditions.sky / conditions.gain + conditions.dark_variance + 1 / 12)
    kept = np.median(sky.std(axis=(2, 3)) / expected, axis=0)
    assert kept[[2, 3]] == pytest.approx([1.0, 1.0], abs=0.02)
    assert kept[1] == pytest.approx(0.84, abs=0.02)


def test_noise_is_resampled_as_scipy_does_it():
    from scipy.ndimage import shift

    from astro_photz.simulate.camera.noise import resample

    noise = np.random.default_rng(0).standard_normal((1, 1, 76, 76), dtype=np.float32)
    phase = np.array([[[0.25, -0.375]]])
    moved = resample(torch.from_numpy(noise), phase)[0, 0].numpy()
    inner = slice(FILTER_MARGIN, -FILTER_MARGIN)
    expected = shift(noise[0, 0], (0.375, -0.25), order=5)[inner, inner]  # seen from where pixels fall, not whence
    middle = slice(8, -8)  # near the edges scipy invents what lies outside; its filter has no end, ours does
    np.testing.assert_allclose(moved[middle, middle], expected[middle, middle], atol=0.02)


def test_native_pixels_hold_whole_counts():
    """As in frames: flux / calibration + sky is an integer, to the ten binary digits that a frame keeps of the flux."""
    conditions = flat_conditions(16)
    flux = observe(empty_images(16), conditions)

    def fraction(band):
        calibration, sky = (value[:, band, None, None] for value in (conditions.calibration, conditions.sky))
        counts = flux[:, band] / calibration + sky
        return np.median(np.abs(counts - np.rint(counts)))

    assert fraction(2) < 0.01
    assert fraction(1) > 0.1


def test_noise_is_the_same_from_the_same_seed_only():
    conditions = flat_conditions(20)
    once, again = (observe(empty_images(20), conditions) for _ in range(2))
    np.testing.assert_array_equal(once, again)
    assert not np.isclose(once, observe(empty_images(20), conditions, seed=2)).all(axis=(2, 3)).any()


def test_resampling_leaves_the_light_where_it_is():
    conditions = flat_conditions(4)
    noisy = observe(empty_images(4, flux=3.0), conditions).mean(axis=(2, 3))
    assert noisy == pytest.approx(3.0 * conditions.zero_point, rel=0.01)
