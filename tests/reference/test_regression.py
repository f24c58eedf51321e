# Licensed under a 3-clause BSD style license - see LICENSE
"""A regression on features tells stamps of one kind from galaxies."""

import numpy as np
import pytest

from astro_photz.reference import Regression

WIDTH = 12


def described(n, *, mean=0.0, seed=0):
    """Features about a mean, the first of which are large and the last of which never change."""
    rng = np.random.default_rng(seed)
    features = rng.normal(mean, 1, (n, WIDTH)) * np.geomspace(100, 0.01, WIDTH)
    features[:, -1] = 3.0
    return features.astype(np.float32)


def fitted(**options):
    return Regression.fit(described(2000), described(1500, mean=2, seed=1), **options)


def test_points_are_found_and_one_galaxy_in_a_hundred_is_taken_for_one():
    points = fitted()
    assert points.found(described(1000, mean=2, seed=2)).mean() > 0.99
    assert points.found(described(20_000, seed=3)).mean() == pytest.approx(0.01, abs=0.008)


def test_validation_sets_the_threshold():
    others = described(3000, mean=0.3, seed=4)
    points = fitted(validation=others)
    assert points.found(others).mean() == pytest.approx(0.01, abs=0.001)
    assert points.threshold > fitted().threshold


def test_fewer_false_alarms_are_a_higher_threshold():
    others = described(4000, seed=4)
    strict = fitted(validation=others, false_alarms=0.002)
    assert strict.found(others).mean() == pytest.approx(0.002, abs=0.0005)
    assert strict.threshold > fitted(validation=others).threshold


def test_faint_galaxies_are_learnt_too():
    faint = described(1500, mean=1, seed=5)
    faint[:, 0] *= -1
    before, after = (points.found(faint).mean() for points in (fitted(), fitted(more=faint)))
    assert after < before / 2


def test_probability_agrees_with_another_implementation():
    linear_model = pytest.importorskip("sklearn.linear_model")
    galaxies, stars = described(1000), described(1000, mean=0.3, seed=1)
    points = Regression.fit(galaxies, stars, validation=galaxies)
    both = np.concatenate([galaxies, stars]).astype(float)
    scale = np.where(both.std(axis=0) > 1e-6, both.std(axis=0), 1)
    standard = (both - both.mean(axis=0)) / scale
    # the mean loss with a penalty of p / 2 |w|^2 is that of scikit-learn with C = 1 / (p n)
    oracle = linear_model.LogisticRegression(C=1 / (3e-3 * len(both)), tol=1e-8, max_iter=5000)
    oracle.fit(standard, np.repeat([0, 1], 1000))
    np.testing.assert_allclose(points.probability(both), oracle.predict_proba(standard)[:, 1], atol=5e-3)


def test_units_of_the_features_do_not_matter():
    galaxies, stars = described(1000), described(1000, mean=1, seed=1)
    one, other = (Regression.fit(factor * galaxies, factor * stars) for factor in (1, 8))
    np.testing.assert_allclose(other.probability(8 * stars), one.probability(stars), atol=2e-3)


def test_it_is_stored_and_restored():
    points, features = fitted(), described(50, mean=1)
    again = Regression.of(points.arrays())
    np.testing.assert_array_equal(again.probability(features), points.probability(features))
    np.testing.assert_array_equal(again.found(features), points.found(features))


def test_a_stamp_without_features_is_no_point():
    features = described(3, mean=2)
    features[1] = np.nan
    assert fitted().found(features).tolist() == [True, False, True]


@pytest.mark.parametrize(("galaxies", "stars"), [(50, 500), (500, 50)])
def test_too_few_are_refused(galaxies, stars):
    with pytest.raises(ValueError, match="100 galaxies and as many stamps of the other kind"):
        Regression.fit(described(galaxies), described(stars))


def test_validation_without_galaxies_is_refused():
    with pytest.raises(ValueError, match="validation has no galaxy"):
        fitted(validation=np.full((5, WIDTH), np.nan))


def test_features_of_another_network_are_refused():
    with pytest.raises(ValueError, match=r"\(N, 12\)"):
        fitted().probability(np.zeros((4, 5)))
