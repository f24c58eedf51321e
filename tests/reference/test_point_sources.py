# Licensed under a 3-clause BSD style license - see LICENSE
"""A regression on features tells points where the seeing is unknown; where it is known, the width decides."""

import numpy as np
import pytest

from astro_photz import Cutouts
from astro_photz.quality.measurements import measure
from astro_photz.reference.point_sources import PointSources, point_source
from astro_photz.testing.factories import gaussian_cutouts

WIDTH = 12


def described(n, *, mean=0.0, seed=0):
    """Features about a mean, the first of which are large and the last of which never change."""
    rng = np.random.default_rng(seed)
    features = rng.normal(mean, 1, (n, WIDTH)) * np.geomspace(100, 0.01, WIDTH)
    features[:, -1] = 3.0
    return features.astype(np.float32), None


def fitted(**options):
    return PointSources.fit(galaxies=described(2000), stars=described(1500, mean=2, seed=1), **options)


def test_points_are_found_and_one_galaxy_in_a_hundred_is_taken_for_one():
    points = fitted()
    assert points.found(described(1000, mean=2, seed=2)[0]).mean() > 0.99
    assert points.found(described(20_000, seed=3)[0]).mean() == pytest.approx(0.01, abs=0.008)


def test_validation_sets_the_threshold():
    others = described(3000, mean=0.3, seed=4)
    points = fitted(validation=others)
    assert points.found(others[0]).mean() == pytest.approx(0.01, abs=0.001)
    assert points.threshold > fitted().threshold


def test_faint_galaxies_are_learnt_too():
    faint = described(1500, mean=1, seed=5)
    faint[0][:, 0] *= -1
    before, after = (points.found(faint[0]).mean() for points in (fitted(), fitted(faint=faint)))
    assert after < before / 2


def test_probability_agrees_with_another_implementation():
    linear_model = pytest.importorskip("sklearn.linear_model")
    galaxies, stars = described(1000)[0], described(1000, mean=0.3, seed=1)[0]
    points = PointSources.fit(galaxies=(galaxies, None), stars=(stars, None), validation=(galaxies, None))
    both = np.concatenate([galaxies, stars]).astype(float)
    scale = np.where(both.std(axis=0) > 1e-6, both.std(axis=0), 1)
    standard = (both - both.mean(axis=0)) / scale
    # the mean loss with a penalty of p / 2 |w|^2 is that of scikit-learn with C = 1 / (p n)
    oracle = linear_model.LogisticRegression(C=1 / (3e-3 * len(both)), tol=1e-8, max_iter=5000)
    oracle.fit(standard, np.repeat([0, 1], 1000))
    np.testing.assert_allclose(points.probability(both), oracle.predict_proba(standard)[:, 1], atol=5e-3)


def test_units_of_the_features_do_not_matter():
    galaxies, stars = described(1000)[0], described(1000, mean=1, seed=1)[0]
    one, other = (
        PointSources.fit(galaxies=(factor * galaxies, None), stars=(factor * stars, None)) for factor in (1, 8)
    )
    np.testing.assert_allclose(other.probability(8 * stars), one.probability(stars), atol=2e-3)


def test_it_is_stored_and_restored():
    points, (features, _) = fitted(), described(50, mean=1)
    again = PointSources.of(points.arrays())
    np.testing.assert_array_equal(again.probability(features), points.probability(features))
    np.testing.assert_array_equal(again.found(features), points.found(features))


def test_a_stamp_without_features_is_no_point():
    features = described(3, mean=2)[0]
    features[1] = np.nan
    assert fitted().found(features).tolist() == [True, False, True]


@pytest.mark.parametrize(("galaxies", "stars"), [(50, 500), (500, 50)])
def test_too_few_are_refused(galaxies, stars):
    with pytest.raises(ValueError, match="100 galaxies and as many stars"):
        PointSources.fit(galaxies=described(galaxies), stars=described(stars))


def test_validation_without_galaxies_is_refused():
    with pytest.raises(ValueError, match="validation has no galaxy"):
        fitted(validation=(np.full((5, WIDTH), np.nan), None))


def test_features_of_another_network_are_refused():
    with pytest.raises(ValueError, match=r"\(N, 12\)"):
        fitted().probability(np.zeros((4, 5)))


# Both together


class Certain:
    """A regression that is sure, and counts what it is asked."""

    def found(self, features):
        return np.ones(len(features), dtype=bool)


def make_stamps():
    """Four galaxies; the seeing of the first two is known."""
    cutouts = gaussian_cutouts(4)
    cutouts.psf_fwhm[:2] = 1.2
    return cutouts


def test_the_width_decides_where_the_seeing_is_known():
    cutouts = make_stamps()
    told = point_source(cutouts, measure(cutouts), np.zeros((4, WIDTH)), Certain())
    assert told.tolist() == [False, False, True, True]


def test_a_model_without_a_reference_goes_by_the_width():
    cutouts = make_stamps()
    wide = Cutouts(cutouts.flux, ebv=cutouts.ebv, psf_fwhm=np.full((4, 5), 4.5))
    assert not point_source(cutouts, measure(cutouts), np.zeros((4, WIDTH)), None).any()
    assert point_source(wide, measure(wide), np.zeros((4, WIDTH)), None).all()


def test_a_width_beyond_the_seeing_is_not_believed():
    """Given in pixels, widths would make stars of galaxies."""
    cutouts = make_stamps()
    wide = Cutouts(cutouts.flux, ebv=cutouts.ebv, psf_fwhm=np.full((4, 5), 4.5))
    assert not point_source(wide, measure(wide), np.zeros((4, WIDTH)), None, seeing=(0.8, 2.0)).any()


@pytest.mark.parametrize(("column", "found"), [(40, False), (52, True)])
def test_features_of_stamps_that_are_cut_near_the_middle_tell_nothing(column, found):
    flux = make_stamps().flux.copy()
    flux[:, :, :, column:] = np.nan
    cut = Cutouts(flux, ebv=0.02)
    assert (point_source(cut, measure(cut), np.zeros((4, WIDTH)), Certain()) == found).all()
