# Licensed under a 3-clause BSD style license - see LICENSE
"""Galaxies with measured light: their noise is taken off, their scatter stays; they are drawn as they occur."""

import numpy as np
import pytest

pytest.importorskip("torch", reason="needs the extra [simulate]")
pytest.importorskip("kcorrect", reason="needs the extra [simulate]")

from astropy.table import Table

from astro_photz.photometry import r_magnitude
from astro_photz.sdss import R_UGRIZ
from astro_photz.simulate.population.density import GaussianMixture
from astro_photz.simulate.population.draw import draw_population
from astro_photz.simulate.population.measured import (
    MEASURED_TO,
    ORIGINS,
    MeasuredGalaxies,
    load_measured,
    magnitudes_of,
    values_of,
)
from astro_photz.simulate.population.progenitors import SPLITS
from astro_photz.simulate.population.sample import Sample
from astro_photz.simulate.population.total_light import model_from_total, total_from_model


def draw(n=2000, *, split="train", seed=0, weighted=True, **limits):
    sample = Sample(colours="measured", **limits)
    return draw_population(n, np.random.default_rng(seed), split=split, sample=sample, weighted=weighted)


# The density


def two_lines(n, rng):
    """True values about two lines in a plane, as two types of galaxies."""
    red = rng.random(n) < 0.4
    along = rng.standard_normal(n)
    return np.column_stack([along, np.where(red, 3 + 0.5 * along, -0.3 * along) + 0.2 * rng.standard_normal(n)])


def of_two_lines():
    slope = np.array([0.5, -0.3])
    covariance = np.array([[[1, b], [b, b**2 + 0.04]] for b in slope])
    return GaussianMixture(np.array([0.4, 0.6]), np.array([[0.0, 3.0], [0.0, 0.0]]), covariance)


def test_a_true_draw_has_the_distribution_of_true_values():
    """Whatever the noise of each, and however it is correlated."""
    rng, n = np.random.default_rng(1), 40_000
    true = two_lines(n, rng)
    root = rng.normal(scale=0.4, size=(n, 2, 2))
    noise = root @ root.transpose(0, 2, 1) + 1e-6 * np.eye(2)
    noisy = true + np.einsum("nij,nj->ni", root, rng.standard_normal((n, 2)))
    drawn = of_two_lines().draw_true(noisy, noise, rng)
    for one, other in ((noisy, False), (drawn, True)):
        near = np.allclose(np.cov(one.T), np.cov(true.T), rtol=0.03, atol=0.03)
        assert near is other
    slope = [np.polyfit(*drawn[drawn[:, 1] > 1.5].T, 1)[0], np.polyfit(*true[true[:, 1] > 1.5].T, 1)[0]]
    assert slope[0] == pytest.approx(slope[1], abs=0.02)


def test_a_value_without_noise_stays_and_one_without_worth_is_forgotten():
    rng = np.random.default_rng(2)
    values = np.array([[0.3, 2.0], [-1.0, 0.5]])
    exact = of_two_lines().draw_true(values, np.tile(1e-10 * np.eye(2), (2, 1, 1)), rng)
    np.testing.assert_allclose(exact, values, atol=1e-3)
    forgotten = of_two_lines().draw_true(np.zeros((20_000, 2)), np.tile(1e8 * np.eye(2), (20_000, 1, 1)), rng)
    np.testing.assert_allclose(forgotten.mean(axis=0), [0, 1.2], atol=0.05)


def test_what_is_expected_is_the_mean_of_the_draws():
    rng = np.random.default_rng(4)
    values, noise = np.array([[0.5, 1.4], [2.0, 0.0]]), np.array([np.eye(2), [[0.3, 0.2], [0.2, 0.5]]])
    drawn = of_two_lines().draw_true(values.repeat(20_000, axis=0), noise.repeat(20_000, axis=0), rng)
    np.testing.assert_allclose(
        of_two_lines().expect_true(values, noise), drawn.reshape(2, 20_000, 2).mean(axis=1), atol=0.03
    )


def test_draws_do_not_depend_on_how_rows_are_ordered_in_the_mixture():
    """The order of components is nothing that a galaxy knows."""
    density = of_two_lines()
    turned = GaussianMixture(density.weight[::-1], density.mean[::-1], density.covariance[::-1])
    values, noise = np.tile([0.0, 1.5], (20_000, 1)), np.tile(np.eye(2), (20_000, 1, 1))
    means = [one.draw_true(values, noise, np.random.default_rng(3)).mean(axis=0) for one in (density, turned)]
    np.testing.assert_allclose(*means, atol=0.03)


# Systems of magnitudes


def test_values_and_magnitudes_are_the_same_thing():
    magnitude = np.random.default_rng(0).uniform(14, 20, (50, 5))
    values = values_of(magnitude, np.full(50, 0.1))
    np.testing.assert_allclose(magnitudes_of(values), magnitude)
    np.testing.assert_allclose(values[:, 3], magnitude[:, 1] - magnitude[:, 2])


def test_total_and_model_light_are_each_others_inverse():
    galaxies = load_measured()
    model, redshift = magnitudes_of(galaxies.values[::50]), galaxies.redshift[::50]
    total = total_from_model(model, redshift)
    np.testing.assert_allclose(model_from_total(total, redshift), model, atol=1e-6)
    assert 0.01 < np.median(np.abs((total - model)[:, 0] - (total - model)[:, 1])) < 0.1


def test_the_light_that_is_drawn_is_the_total_light():
    """Red galaxies' total colours are those of the progenitors' Petrosian light, at the same redshift."""
    from astro_photz.simulate.population.progenitors import load_progenitors

    progenitors = load_progenitors()

    def red_sequence(flux, redshift, rest_colour):
        alike = (np.abs(redshift - 0.1) < 0.02) & (rest_colour > 0.9) & (np.abs(r_magnitude(flux[:, 2]) - 16.8) < 0.3)
        assert alike.sum() > 60
        return np.median(-np.diff(-2.5 * np.log10(flux[alike]), axis=1), axis=0)

    population = draw(8000)
    drawn = red_sequence(population.flux, population.redshift, population.rest_colour)
    own = red_sequence(progenitors.measured_flux, progenitors.redshift, progenitors.rest_colour)
    np.testing.assert_allclose(drawn, own, atol=0.04)


# The table


def test_every_galaxy_has_numbers_and_one_split():
    galaxies = load_measured()
    assert len(galaxies.redshift) > 50_000
    assert set(galaxies.split) == set(SPLITS)
    for name in ("values", "error", "weight", "ra", "dec", "ebv", "rest_colour", "absolute_magnitude"):
        assert np.isfinite(getattr(galaxies, name)).all(), name
    assert (galaxies.error > 0).all()
    assert ((galaxies.ebv >= 0) & (galaxies.ebv < 0.5)).all()
    assert (galaxies.r[galaxies.complete] < MEASURED_TO + 1e-3).all()  # to the digits of the table


def test_half_of_the_main_sample_is_for_tests_and_a_part_of_each_other():
    galaxies = load_measured()
    for number, origin in enumerate(ORIGINS):
        share = np.mean(galaxies.split[galaxies.origin == number] == "test")
        expected = {"main sample": 0.5, "kcorrect": 0.15}.get(origin, 0.1)
        assert share == pytest.approx(expected, abs=0.02), origin


def test_no_galaxy_is_there_twice():
    """The same redshift and the same light, to the digits of the table."""
    galaxies = load_measured()
    rounded = np.column_stack([np.round(galaxies.values[:, 0], 5), np.round(galaxies.values[:, 1:], 2)])
    assert len(np.unique(rounded, axis=0)) == len(rounded)


def test_no_galaxy_is_in_two_catalogues():
    """
    Not by other numbers either: pairs of equal redshift and alike in colours are no more than by chance, which pairs
    tell whose redshifts are a little apart.
    """
    from scipy.spatial import KDTree

    galaxies = load_measured()
    scale = np.array([3e-5, 0.1, 0.15, 0.06, 0.04, 0.08])
    values = [galaxies.values[galaxies.origin == number] / scale for number in range(len(ORIGINS))]

    def pairs(one, other, apart):
        shifted = other + np.eye(6)[0] * apart
        return KDTree(one).count_neighbors(KDTree(shifted), 1.0, p=np.inf)

    for first, one in enumerate(values):
        for other in values[first + 1 :]:
            by_chance = np.mean([pairs(one, other, apart) for apart in (-8, -6, -4, 4, 6, 8)])
            assert pairs(one, other, 0) < by_chance + 4 * np.sqrt(by_chance + 1)


def test_positions_and_dust_are_of_the_same_split():
    galaxies = load_measured()
    where = {
        name: set(zip(galaxies.ra[rows], galaxies.dec[rows], strict=True))
        for name in SPLITS
        for rows in [galaxies.split == name]
    }
    for other in ("train", "validation"):  # to the digits of the table, some are the same by chance
        assert len(where[other] & where["test"]) < 0.05 * len(where["test"])


def test_noise_has_the_photons_the_calibration_and_the_dust():
    galaxies = load_measured()
    rows = np.array([int(np.flatnonzero(galaxies.origin == number)[0]) for number in range(len(ORIGINS))])
    noise = galaxies.noise(rows)
    np.linalg.cholesky(noise)
    u_g = noise[:, 2, 2] - galaxies.calibration[2, 2] - (galaxies.error[rows][:, :2] ** 2).sum(axis=1)
    dust = np.sqrt(u_g) / (R_UGRIZ[0] - R_UGRIZ[1])
    assert dust[ORIGINS.index("SkyServer")] == pytest.approx(0.03)
    assert (dust[ORIGINS.index("SkyServer")] >= dust).all()
    # an error of g makes g - r redder as it makes u - g bluer
    assert (noise[:, 2, 3] < galaxies.calibration[2, 3]).any()


# Drawn galaxies


def test_the_main_sample_is_drawn_as_it_is():
    """Unmoved: redshifts are those of the table, and the light is that of the row but for its noise."""
    galaxies, population = load_measured(), draw(3000)
    rows = population.progenitor
    np.testing.assert_array_equal(population.redshift, galaxies.redshift[rows])
    model = model_from_total(22.5 - 2.5 * np.log10(population.flux), population.redshift)
    difference = values_of(model, population.redshift)[:, 1:] - galaxies.values[rows, 1:]
    error = np.sqrt(np.diagonal(galaxies.noise(rows), axis1=1, axis2=2))[:, 1:]
    pull = difference / error
    assert (np.abs(np.median(pull, axis=0)) < 0.2).all()
    assert (np.std(pull, axis=0) < 1.5).all()


@pytest.mark.parametrize("split", SPLITS)
def test_galaxies_are_drawn_from_their_split(split):
    assert set(load_measured().split[draw(300, split=split).progenitor]) == {split}


def test_colours_scatter_less_than_those_measured_and_not_less_than_galaxies_do():
    """On the red sequence of the main sample: between the scatter with noise and half of it."""
    galaxies, population = load_measured(), draw(10_000)
    own = galaxies.values[population.progenitor]
    drawn = values_of(22.5 - 2.5 * np.log10(population.flux), population.redshift)
    red = (population.rest_colour > 0.9) & (np.abs(population.redshift - 0.1) < 0.02) & (own[:, 1] > 16.5)
    assert red.sum() > 250
    scatter = [1.4826 * np.median(np.abs(x - np.median(x, axis=0)), axis=0) for x in (own[red, 2:], drawn[red, 2:])]
    ratio = scatter[1] / scatter[0]
    assert (ratio < 1.02).all()
    assert ratio[0] < 0.9  # u is noisy
    assert (ratio > 0.3).all()


def test_weights_make_types_occur_as_in_the_main_sample():
    """The catalogues' own mix is another: limits in u leave out red galaxies."""
    galaxies = load_measured()
    reference = (galaxies.origin == ORIGINS.index("main sample")) & (galaxies.split == "train") & galaxies.complete

    def distance(population):
        from scipy.stats import ks_2samp

        return max(
            ks_2samp(galaxies.rest_colour[reference], population.rest_colour).statistic,
            ks_2samp(galaxies.redshift[reference], population.redshift).statistic,
        )

    assert distance(draw(8000)) < 0.04 < distance(draw(8000, weighted=False))


def test_fainter_samples_are_the_same_galaxies_further_away():
    galaxies, population = load_measured(), draw(3000, faintest=19.4)
    r = r_magnitude(population.flux[:, 2])
    assert r.max() <= 19.4
    assert np.mean(r > 17.8) > 0.4
    own = galaxies.redshift[population.progenitor]
    moved = population.redshift > own
    assert (population.redshift >= own).all()
    assert (r[~moved] < 17.9).all()
    # a moved galaxy keeps its luminosity: it is fainter by the distance, and by what the redshift does to its colour
    distance = 5 * np.log10(population.redshift / own)
    change = r - galaxies.r[population.progenitor]
    assert np.median((change - distance)[moved]) == pytest.approx(0.05, abs=0.1)
    # and looks redder in g - r, by what redshift does to early types
    early = moved & (population.rest_colour > 0.9) & (population.redshift < 0.3) & (distance > 0.7)
    colour = values_of(22.5 - 2.5 * np.log10(population.flux), population.redshift)[:, 3]
    assert np.median((colour - galaxies.values[population.progenitor, 3])[early]) > 0.1


@pytest.mark.parametrize("limits", [{}, {"faintest": 19.0}, {"redshift": (0.05, 0.15)}])
def test_redshifts_may_be_spread_evenly(limits):
    population = draw(3000, flat_redshift=True, **limits)
    lowest, highest = population.redshift.min(), population.redshift.max()
    counts, _ = np.histogram(population.redshift, bins=10, range=(lowest, highest))
    assert counts.min() > 0.5 * counts.mean()
    assert counts.max() < 1.6 * counts.mean()


@pytest.mark.parametrize("limits", [(0.3, 0.4), (0.35, 0.4), (0.0, 0.0045)])
def test_redshifts_are_not_spread_over_hardly_any_galaxies(limits):
    with pytest.raises(ValueError, match="flat in redshift wants 20 progenitors at a redshift"):
        draw(10, flat_redshift=True, redshift=limits, split="validation")


def test_limits_that_nothing_meets_are_an_error_soon():
    with pytest.raises(ValueError, match="no galaxies can be drawn"):
        draw(64, faintest=22.0, brightest=21.95, redshift=(0.0, 0.02))


def test_the_same_seed_draws_the_same_galaxies():
    one, other = draw(64, seed=4), draw(64, seed=4)
    np.testing.assert_array_equal(one.flux, other.flux)
    assert not np.array_equal(one.flux, draw(64, seed=5).flux)


def test_colours_must_be_known():
    with pytest.raises(ValueError, match="colours must be one of fitted, measured, got 'real'"):
        Sample(colours="real")


def test_images_of_them_have_their_light():
    from astro_photz import simulate

    sample = {"colours": "measured", "faintest": 17.0, "redshift": (0.1, 0.25)}
    cutouts, truth = simulate.galaxies(32, seed=3, config={"sample": sample})
    inside = cutouts.flux[:, 2, 12:52, 12:52].sum(axis=(1, 2))
    ratio = inside / truth["flux"][:, 2].to_value("nmgy") * 10 ** (0.4 * R_UGRIZ[2] * cutouts.ebv)
    assert np.median(ratio) == pytest.approx(0.9, abs=0.1)  # the wings of some are outside


def test_a_table_of_ones_own_will_do():
    """Of two galaxies, one of them without a known E(B-V)."""
    names = [*"ugriz", *(f"error_{band}" for band in "ugriz"), *(f"template_{n}" for n in range(5))]
    table = Table({name: [16.0, 17.0] if len(name) == 1 else [0.02, 0.1] for name in names})
    for name in ("ra", "dec", "weight", "rest_colour", "absolute_magnitude"):
        table[name] = [1.0, 2.0]
    table["redshift"], table["ebv"], table["origin"], table["split"] = [0.05, 0.1], [0.03, -1.0], [1, 2], [0, 0]
    galaxies = MeasuredGalaxies(table, None)
    np.testing.assert_array_equal(galaxies.ebv, [0.03, 0.03])
    np.testing.assert_array_equal(galaxies.ra, [1, 1])
    np.testing.assert_array_equal(galaxies.values[0], [0.05, 16, 0, 0, 0, 0])
