# Licensed under a 3-clause BSD style license - see LICENSE
"""Distances from what a model knows: ranks among galaxies like it, order among strangers, files that are whole."""

import numpy as np
import pytest
from scipy import stats

from astro_photz.reference.mahalanobis import Mahalanobis
from astro_photz.reference.regression import Regression
from astro_photz.reference.strangers import Reference, Survival

F, M = 24, 6  # features, and numbers of photometry
MIXING = np.random.default_rng(99).normal(size=(F, F))


def galaxies(n, *, seed=0):
    """Features and photometry of galaxies: correlated, skewed, some features never seen."""
    rng = np.random.default_rng(seed)
    features = np.exp(0.3 * rng.normal(size=(n, F))) @ MIXING
    features[:, -2:] = 0
    return features.astype(np.float32), rng.standard_t(5, size=(n, M)).astype(np.float32)


def reference(n=4000, n_validation=2000):
    return Reference.fit(galaxies(n), galaxies(n_validation, seed=1))


# Distances


def test_distances_are_those_of_the_inverse_covariance():
    rng = np.random.default_rng(0)
    values = rng.normal(size=(20_000, 7)) @ (np.eye(7) + 0.3 * rng.normal(size=(7, 7))) + 3
    centred = values - values.mean(axis=0)
    wanted = np.einsum("ij,jk,ik->i", centred, np.linalg.inv(np.cov(values.T)), centred) ** 0.5
    np.testing.assert_allclose(Mahalanobis.fit(values).distance(values), wanted, rtol=0.02)


def test_distances_do_not_depend_on_units_or_axes():
    rng = np.random.default_rng(1)
    values = rng.normal(size=(20_000, 5)) @ (np.eye(5) + 0.3 * rng.normal(size=(5, 5)))
    other = values @ np.linalg.qr(rng.normal(size=(5, 5)))[0] * [1, 1e3, 1e-3, 7, 1] - 4
    one, two = (Mahalanobis.fit(each).distance(each) for each in (values, other))
    np.testing.assert_allclose(one, two, rtol=0.03)


def test_few_vectors_are_shrunk_as_ledoit_and_wolf_shrink_them():
    covariance = pytest.importorskip("sklearn.covariance")
    values = np.random.default_rng(2).normal(size=(60, 40)) * np.linspace(1, 3, 40)
    scaled = (values - values.mean(axis=0)) / values.std(axis=0)
    wanted, _ = covariance.ledoit_wolf(scaled, assume_centered=True)
    factor = Mahalanobis.fit(values).factor
    np.testing.assert_allclose(factor.T @ factor @ wanted, np.eye(40), atol=5e-3)


def test_a_number_that_never_changed_is_strange_when_it_does():
    features, _ = galaxies(1000)
    known = Mahalanobis.fit(features)
    changed = features[:5].copy()
    changed[:, -1] = 0.1
    assert (known.distance(changed) > 10 * known.distance(features).max()).all()


def test_distances_are_finite_or_infinite_never_nan():
    known = Mahalanobis.fit(galaxies(500)[0])
    huge = np.full((2, F), 3e38, dtype=np.float32)
    huge[1] *= -1
    assert np.isposinf(known.distance(huge)).all()


@pytest.mark.parametrize("values", [np.zeros((1, 3)), np.zeros(3)])
def test_too_few_vectors_have_no_scatter(values):
    with pytest.raises(ValueError, match="two rows or more"):
        Mahalanobis.fit(values)


# Shares


def test_the_share_is_that_of_the_sample_to_half_a_galaxy():
    sample = np.random.default_rng(3).exponential(size=3000)
    survival = Survival.of(sample)
    for distance in np.quantile(sample, [0.01, 0.3, 0.5, 0.9, 0.99, 0.999]):
        assert survival(distance) == pytest.approx(np.mean(sample > distance), abs=2e-3)
    assert len(survival.distance) < 300


def test_shares_fall_with_distance_everywhere():
    survival = Survival.of(np.random.default_rng(4).exponential(size=500))
    shares = survival(np.concatenate([np.linspace(0, 20, 2000), np.geomspace(21, 1e30, 50)]))
    assert (np.diff(shares) <= 0).all()
    assert (np.diff(shares[-50:]) < 0).all()
    assert survival([0, np.inf]).tolist() == [1, 0]


# Strangers


def test_galaxies_like_those_of_the_reference_have_all_shares_equally_often():
    ood = reference().ood(*galaxies(3000, seed=2))
    assert stats.kstest(ood, "uniform").pvalue > 0.001
    assert np.mean(ood < 0.02) == pytest.approx(0.02, abs=0.012)


def test_the_galaxies_that_rank_have_uniform_shares():
    validation = galaxies(2000, seed=1)
    ood = Reference.fit(galaxies(4000), validation).ood(*validation)
    assert stats.kstest(ood, "uniform").statistic < 0.01


def test_the_farther_the_stranger_in_either_the_smaller_the_share():
    known = reference()
    features, vector = (values[:1] for values in galaxies(10, seed=5))
    away = np.geomspace(1, 1e6, 30)[:, None]
    still_f, still_v = np.repeat(features, 30, axis=0), np.repeat(vector, 30, axis=0)
    for ood in (known.ood(features + away * MIXING[0], still_v), known.ood(still_f, vector + away)):
        assert (np.diff(ood) <= 0).all()
        assert (np.diff(ood[ood < 2e-4]) < 0).all()
        assert 0 < ood[-1] < 1e-6


def test_what_breaks_the_correlations_is_strange_though_every_number_is_usual():
    known = reference()
    features, vector = galaxies(200, seed=6)
    mixed = np.random.default_rng(7).permuted(features, axis=0)
    assert np.median(known.ood(features, vector)) > 0.3
    assert np.median(known.ood(mixed, vector)) < 0.02


def test_few_galaxies_still_rank_galaxies_like_them():
    """As of an adaptation by some hundred redshifts."""
    known = Reference.fit(galaxies(200), galaxies(100, seed=1))
    ood = known.ood(*galaxies(3000, seed=2))
    assert stats.kstest(ood, "uniform").statistic < 0.15
    assert (known.ood(galaxies(50)[0] + 30 * MIXING[0], galaxies(50)[1]) < 0.02).all()


def test_ranks_by_other_galaxies_keep_the_distances():
    known = reference()
    features, vector = galaxies(1000, seed=8)
    other = known.ranked_by((features * 1.1, vector))
    assert other.features is known.features
    assert stats.kstest(other.ood(features * 1.1, vector), "uniform").statistic < 0.02


@pytest.mark.parametrize(("features", "vector"), [((2, F + 1), (2, M)), ((2, F), (2, M - 1)), ((F,), (M,))])
def test_vectors_of_another_length_are_refused(features, vector):
    with pytest.raises(ValueError, match=r"must have the shape \(N, "):
        reference(100, 100).ood(np.zeros(features), np.zeros(vector))


def test_no_galaxies_have_no_shares():
    assert reference(100, 100).ood(np.zeros((0, F)), np.zeros((0, M))).shape == (0,)


def test_nobody_to_rank_by_is_an_error():
    with pytest.raises(ValueError, match="there is none"):
        Reference.fit(galaxies(10), galaxies(0))


# Files


def test_a_file_holds_all_of_it(tmp_path):
    known = reference(1000, 500)
    known.write(tmp_path / "reference.npz")
    again = Reference.read(tmp_path / "reference.npz")
    strange = [np.concatenate([values, 5 * values]) for values in galaxies(100, seed=9)]
    np.testing.assert_array_equal(again.ood(*strange), known.ood(*strange))
    assert not again.regressions
    first = (tmp_path / "reference.npz").read_bytes()
    again.write(tmp_path / "reference.npz")
    assert (tmp_path / "reference.npz").read_bytes() == first


def test_a_file_holds_how_kinds_are_told(tmp_path):
    known, (features, _) = galaxies(400), galaxies(300, seed=10)
    kinds = {
        name: Regression.fit(known[0], features + shift * MIXING[0])
        for name, shift in (("point_sources", 2), ("distant", -3))
    }
    Reference.fit(known, galaxies(200, seed=1), **kinds).write(tmp_path / "reference.npz")
    again = Reference.read(tmp_path / "reference.npz").ranked_by(galaxies(300, seed=2)).regressions
    assert list(again) == list(kinds)
    for name, regression in kinds.items():
        np.testing.assert_array_equal(again[name].probability(features), regression.probability(features))


@pytest.mark.parametrize("content", [b"", b"nothing", b"PK\x03\x04"])
def test_another_file_is_refused(tmp_path, content):
    (tmp_path / "reference.npz").write_bytes(content)
    with pytest.raises(ValueError, match="holds no reference of a model"):
        Reference.read(tmp_path / "reference.npz")
    with pytest.raises(FileNotFoundError):
        Reference.read(tmp_path / "none.npz")
