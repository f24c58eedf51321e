# Licensed under a 3-clause BSD style license - see LICENSE
"""The simulated sky: who is in it, how it is drawn, what the camera adds."""

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("kcorrect")

from astro_photz import Cutouts, simulate
from astro_photz.sdss import PIXEL_SCALE, R_UGRIZ
from astro_photz.simulate.morphology import draw_morphology, shen_radius
from astro_photz.simulate.population import SPLITS, draw_population, load_seeds
from astro_photz.simulate.rendering import PROFILES, Sources, render
from astro_photz.simulate.sky import FILTER_MARGIN, add_noise, draw_conditions


def make_source(profile="exponential", *, x=31.5, y=31.5, flux=100.0, radius=4.0, axis_ratio=0.6, angle=0.7):
    return Sources(
        scene=np.zeros(1, dtype=int),
        profile=np.array([PROFILES.index(profile)]),
        x=np.array([x]),
        y=np.array([y]),
        flux=np.full((1, 5), flux),
        radius=np.array([radius]),
        axis_ratio=np.array([axis_ratio]),
        angle=np.array([angle]),
    )


def gaussian_transfer(sigma=1.5):
    def transfer(k2, scenes):
        return torch.exp(-0.5 * k2 * sigma**2).expand(scenes.stop - scenes.start, 5, *k2.shape)

    return transfer


def draw(source, *, sigma=1.5, size=64, shift=None):
    shift = np.zeros((1, 5, 2)) if shift is None else shift
    return render(source, gaussian_transfer(sigma), size=size, shift=shift)[0].numpy()


# Rendering


@pytest.mark.parametrize("profile", PROFILES)
@pytest.mark.parametrize("angle", [0.0, 0.7, 2.2])
def test_images_agree_with_galsim(profile, angle):
    galsim = pytest.importorskip("galsim")
    image = draw(make_source(profile, x=30.8, y=32.1, radius=3.0, angle=angle))[2]

    shapes = {
        "point": lambda: None,
        "exponential": lambda: galsim.Exponential(half_light_radius=3.0, flux=100.0),
        "devaucouleurs": lambda: galsim.DeVaucouleurs(half_light_radius=3.0, flux=100.0),
    }
    blur = galsim.Gaussian(sigma=1.5)
    shape = shapes[profile]()
    if shape is None:
        scene = blur.withFlux(100.0)
    else:
        # GalSim's half-light radius is the circular one; ours lies along the major axis.
        stretched = shape.dilate(np.sqrt(0.6)).shear(q=0.6, beta=angle * galsim.radians)
        scene = galsim.Convolve(stretched, blur)
    truth = scene.shift(30.8 - 31.5, 32.1 - 31.5).drawImage(nx=64, ny=64, scale=1.0, method="no_pixel").array

    # the wings of de Vaucouleurs' profile come round the Fourier grid: a constant of 1e-4 of the peak
    assert np.abs(image - truth).max() < 5e-4 * truth.max()


@pytest.mark.parametrize("profile", PROFILES)
def test_rendering_keeps_the_flux(profile):
    image = draw(make_source(profile, radius=2.0), size=128)
    assert image.sum(axis=(1, 2)) == pytest.approx(np.full(5, 100.0), rel=1e-4)


def test_a_source_lies_where_it_was_put():
    image = draw(make_source(x=28.25, y=35.5, radius=2.0))[0]
    rows, columns = np.mgrid[:64, :64]
    assert (image * columns).sum() / image.sum() == pytest.approx(28.25, abs=0.02)
    assert (image * rows).sum() / image.sum() == pytest.approx(35.5, abs=0.02)


def test_a_band_is_shifted_on_its_own():
    shift = np.zeros((1, 5, 2))
    shift[0, 3] = [1.0, -2.0]
    image = draw(make_source(), shift=shift)
    np.testing.assert_allclose(image[3], np.roll(image[2], (-2, 1), axis=(0, 1)), atol=1e-2 * image.max())
    np.testing.assert_array_equal(image[1], image[2])


def test_scenes_do_not_depend_on_their_company():
    one, other = make_source(), make_source("devaucouleurs", x=20.0)
    other.scene = other.scene + 40  # in another batch of scenes
    both = render(Sources.concatenate([one, other]), gaussian_transfer(), size=64, shift=np.zeros((41, 5, 2)))
    np.testing.assert_allclose(both[0], draw(one), rtol=1e-5, atol=1e-6)
    assert both[1:40].abs().max() == 0


def test_rendering_refuses_images_larger_than_its_grid():
    with pytest.raises(ValueError, match=r"size must be at most 128 pixels, got 200"):
        draw(make_source(), size=200)


# Population and shapes


def test_splits_share_no_galaxy_and_leave_none_out():
    seeds = load_seeds()
    assert {name: np.mean(seeds.split == name) for name in SPLITS} == pytest.approx(SPLITS, abs=1e-3)
    rng = np.random.default_rng(0)
    for name in SPLITS:
        drawn = draw_population(200, rng, split=name)
        assert set(seeds.split[drawn.seed_index]) == {name}


def test_a_galaxy_from_its_own_distance_keeps_its_flux():
    seeds = load_seeds()
    rows = np.flatnonzero(seeds.usable)[:50]
    np.testing.assert_allclose(seeds.moved(rows, seeds.redshift[rows]), seeds.flux[rows], rtol=1e-5)


def test_galaxies_further_away_are_fainter_and_redder():
    seeds = load_seeds()
    red = np.flatnonzero(seeds.usable & (seeds.rest_colour > 0.85) & (seeds.redshift < 0.2))
    near, far = seeds.flux[red], seeds.moved(red, seeds.redshift[red] + 0.05)
    assert (far < near).mean() > 0.99
    assert np.median(far[:, 1] / far[:, 2]) < np.median(near[:, 1] / near[:, 2])  # the 4000 A break moves through g


def test_total_fluxes_are_positive_and_follow_the_petrosian_ones():
    seeds = load_seeds()
    assert seeds.usable.mean() > 0.99
    colour = -2.5 * np.log10(seeds.flux[:, 1] / seeds.flux[:, 2])
    assert np.percentile(colour, [1, 99]) == pytest.approx([0.4, 1.55], abs=0.1)


def test_distant_galaxies_stay_on_the_redshift_grid():
    population = draw_population(2000, np.random.default_rng(0), distance_shift=(1.0, 4.0))
    assert population.redshift.min() > 0
    assert population.redshift.max() < 0.4


def test_bulge_and_disc_add_up_and_the_bulge_is_redder():
    population = draw_population(500, np.random.default_rng(1))
    shape = draw_morphology(population, np.random.default_rng(2))
    np.testing.assert_allclose(shape.component_flux.sum(axis=1), population.flux)
    bulge, disc = (-2.5 * np.log10(part[:, 1] / part[:, 2]) for part in np.moveaxis(shape.component_flux, 1, 0))
    assert (bulge > disc).mean() > 0.95


def test_sizes_follow_the_published_relation():
    population = draw_population(4000, np.random.default_rng(3))
    shape = draw_morphology(population, np.random.default_rng(4))
    radius, scatter = shen_radius(population.absolute_magnitude, shape.early)
    from astropy.cosmology import FlatLambdaCDM

    kpc = shape.radius / FlatLambdaCDM(H0=70, Om0=0.3).arcsec_per_kpc_proper(population.redshift).value
    pull = np.log(kpc / radius) / scatter
    assert np.median(pull) == pytest.approx(0, abs=0.06)
    assert 1.4826 * np.median(np.abs(pull - np.median(pull))) == pytest.approx(1, abs=0.06)


def test_half_of_the_light_lies_within_the_half_light_radius():
    population = draw_population(32, np.random.default_rng(5))
    shape = draw_morphology(population, np.random.default_rng(6))
    n = len(population)
    sources = Sources(
        scene=np.repeat(np.arange(n), 2),
        profile=np.tile([2, 1], n),
        x=np.full(2 * n, 63.5),
        y=np.full(2 * n, 63.5),
        flux=shape.component_flux.reshape(-1, 5),
        radius=shape.component_radius.ravel(),
        axis_ratio=np.ones(2 * n),
        angle=np.zeros(2 * n),
    )
    # face-on, so the radius along the major axis is the circular one of the same area
    sources.radius = sources.radius * np.sqrt(np.where(shape.early[:, None], shape.axis_ratio, [1, 0.6]).ravel())
    image = render(sources, gaussian_transfer(0.3), size=128, shift=np.zeros((n, 5, 2)))[:, 2].numpy()
    rows, columns = np.mgrid[:128, :128] - 63.5
    inside = np.hypot(rows, columns)[None] < (shape.radius / PIXEL_SCALE)[:, None, None]
    share = (image * inside).sum(axis=(1, 2)) / population.flux[:, 2]
    compact = shape.radius < 4
    assert np.median(share[compact]) == pytest.approx(0.5, abs=0.03)


def test_an_unknown_split_is_refused():
    with pytest.raises(ValueError, match=r"split must be one of train, validation, test, got 'dev'"):
        draw_population(10, np.random.default_rng(0), split="dev")


# Camera


def test_noise_is_that_of_sdss():
    """Sky rms per pixel of real frames (nanomaggies): u 0.029-0.045, g 0.011-0.017 ... to a factor of 1.5."""
    conditions = draw_conditions(64, np.random.default_rng(0))
    empty = torch.zeros((64, 5, 64 + 2 * FILTER_MARGIN, 64 + 2 * FILTER_MARGIN))
    sky = add_noise(empty, conditions, np.random.default_rng(1)).numpy()
    rms = np.median(sky.std(axis=(2, 3)), axis=0)
    low, high = [0.029, 0.011, 0.018, 0.03, 0.11], [0.053, 0.024, 0.031, 0.053, 0.195]
    assert (rms > low).all()
    assert (rms < high).all()


def test_resampling_keeps_most_of_the_noise():
    conditions = draw_conditions(64, np.random.default_rng(0))
    conditions.phase[:, 1] = 0.5  # the worst place
    conditions.phase[:, 3] = 0.0
    empty = torch.zeros((64, 5, 64 + 2 * FILTER_MARGIN, 64 + 2 * FILTER_MARGIN))
    sky = add_noise(empty, conditions, np.random.default_rng(1)).numpy()
    expected = conditions.calibration * np.sqrt(conditions.sky / conditions.gain + conditions.dark_variance + 1 / 12)
    kept = np.median(sky.std(axis=(2, 3)) / expected, axis=0)
    assert kept[[2, 3]] == pytest.approx([1.0, 1.0], abs=0.02)
    assert kept[1] == pytest.approx(0.84, abs=0.02)


def test_bright_pixels_are_noisier():
    conditions = draw_conditions(8, np.random.default_rng(0))
    shape = (8, 5, 64 + 2 * FILTER_MARGIN, 64 + 2 * FILTER_MARGIN)
    faint = add_noise(torch.zeros(shape), conditions, np.random.default_rng(1)).numpy()
    bright = add_noise(torch.full(shape, 50.0), conditions, np.random.default_rng(1)).numpy()
    assert (bright.std(axis=(2, 3)) > faint.std(axis=(2, 3))).all()


# Start to end


def test_the_same_seed_gives_the_same_galaxies_whatever_their_number():
    few, few_truth = simulate.galaxies(5, seed=3)
    many, many_truth = simulate.galaxies(300, seed=3)
    np.testing.assert_array_equal(few.flux, many.flux[:5])
    np.testing.assert_array_equal(few_truth["redshift"], many_truth["redshift"][:5])
    other, _ = simulate.galaxies(5, seed=4)
    assert not np.array_equal(few.flux, other.flux)


def test_stamps_show_the_light_that_the_truth_tells():
    cutouts, truth = simulate.galaxies(256, seed=1)
    rows, columns = np.mgrid[:64, :64]
    x, y = cutouts.target_xy.T[:, :, None, None]
    aperture = np.hypot(columns - x, rows - y) < 16
    measured = (cutouts.flux * aperture[:, None]).sum(axis=(2, 3))
    observed = truth["flux"].value * 10 ** (-0.4 * R_UGRIZ * cutouts.ebv[:, None])
    bright = (truth["flux"].value[:, 2] > 80) & (truth["half_light_radius"].value < 2.5)
    # an aperture of 6.3 arcsec loses some of the wings and gains some of the neighbours
    assert np.median(measured[bright] / observed[bright], axis=0) == pytest.approx(np.full(5, 0.94), abs=0.05)


def test_dust_dims_the_blue_most():
    cutouts, truth = simulate.galaxies(256, seed=1)
    dusty = cutouts.ebv > np.percentile(cutouts.ebv, 80)
    core = cutouts.flux[:, :, 26:38, 26:38].sum(axis=(2, 3)) / truth["flux"].value
    dimming = np.median(core[dusty], axis=0) / np.median(core[~dusty], axis=0)
    assert dimming[0] < dimming[2] < dimming[4]


def test_a_file_holds_what_memory_would(tmp_path):
    path = tmp_path / "sky.h5"
    simulate.write(path, 300, seed=3, split="validation")
    cutouts, truth = simulate.galaxies(300, seed=3, split="validation")
    read = Cutouts.read(path)
    np.testing.assert_allclose(read.flux, cutouts.flux, rtol=1e-3, atol=1e-4)
    np.testing.assert_allclose(read.ebv, cutouts.ebv, rtol=1e-5)
    import h5py

    with h5py.File(path) as file:
        np.testing.assert_allclose(file["specz_redshift"][()], truth["redshift"], rtol=1e-6)
        assert file.attrs["simulated"]
        assert file.attrs["split"] == "validation"


def test_a_file_is_not_overwritten_unasked(tmp_path):
    path = tmp_path / "sky.h5"
    path.write_text("mine")
    with pytest.raises(FileExistsError, match=r"sky.h5 exists"):
        simulate.write(path, 1, seed=0)
    assert path.read_text() == "mine"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"n": 0}, r"n must be at least 1, got 0"),
        ({"size": 32}, r"size must lie between 64 and 107 pixels, got 32"),
        ({"split": "all"}, r"split must be one of train, validation, test, got 'all'"),
        ({"distance_shift": (1, 0)}, r"distance_shift must be a pair \(lowest, highest\), got \(1, 0\)"),
    ],
)
def test_impossible_wishes_are_named(options, message):
    with pytest.raises(ValueError, match=message):
        simulate.galaxies(**{"n": 1, "seed": 0} | options)
