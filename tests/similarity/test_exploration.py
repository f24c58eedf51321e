# Licensed under a 3-clause BSD style license - see LICENSE
"""Odd galaxies, promising galaxies and a map, out of an index alone."""

import sys
from types import SimpleNamespace

import numpy as np
import pytest
from astropy import units as u
from astropy.table import Table
from astropy.utils.exceptions import AstropyUserWarning
from galaxies_to_search import catalogue, embeddings

from astro_photz.similarity import SearchSpace, SimilarityIndex
from astro_photz.similarity._exact import nearest
from astro_photz.similarity._oddities import labels_of, probabilities

N, DIM = 300, 8


def index_of(vectors, **options):
    """An index whose vectors are those that are given."""
    dim = np.shape(vectors)[1]
    return SimilarityIndex.build(vectors, space=SearchSpace(np.zeros(dim), np.eye(dim)), **options)


@pytest.fixture(scope="module")
def index():
    return index_of(embeddings(N, DIM), table=catalogue(N))


def test_the_oddest_galaxy_is_the_farthest_from_its_neighbours(index):
    found = index.outliers(n=N, k=5)
    vectors = np.asarray(index.vectors, dtype=float)
    distance = np.linalg.norm(vectors[:, None] - vectors, axis=2)
    mean = np.sort(distance, axis=1)[:, 1:6].mean(axis=1)
    np.testing.assert_allclose(found["distance"], np.sort(mean)[::-1], rtol=1e-4)
    np.testing.assert_allclose(mean[index.rows_of(found["id"])], found["distance"], rtol=1e-4)
    assert found["rank"].tolist() == list(range(1, N + 1))
    assert (found["similarity"] <= 1).all()
    assert found["r_mag"].unit == u.mag


def test_a_planted_outlier_comes_first_and_a_further_observation_does_not_hide_it():
    vectors = np.vstack([embeddings(50, DIM), np.full((2, DIM), 9.0)])
    table = Table({"ra": np.linspace(150, 151, 52), "dec": np.zeros(52)})
    assert set(index_of(vectors, table=table).outliers(2, k=1)["id"]) != {50, 51}  # they are two of a kind
    table["ra"][51] = table["ra"][50]
    assert set(index_of(vectors, table=table).outliers(2, k=1)["id"]) == {50, 51}  # they are one galaxy


def test_outliers_are_sought_among_some_only(index):
    where = {"type": "spiral"}
    found = index.outliers(5, where=where)
    assert set(found["type"]) == {"spiral"}
    rows = np.flatnonzero(index.catalogue["type"] == "spiral")
    alone = index_of(np.asarray(index.vectors, dtype=np.float32)[rows]).outliers(5)
    np.testing.assert_allclose(found["distance"], alone["distance"], rtol=1e-4)


def test_galaxies_without_vectors_are_no_outliers():
    vectors = embeddings(20, DIM)
    vectors[3] = np.nan
    with pytest.warns(AstropyUserWarning, match="only 19 galaxies to list, fewer than n=30"):
        found = index_of(vectors).outliers(30, k=50)
    assert 3 not in found["id"]


@pytest.mark.parametrize("n", [0, 1])
def test_of_too_few_galaxies_none_is_odd(n):
    index = index_of(embeddings(n, DIM).reshape(n, DIM))
    with pytest.raises(ValueError, match=r"empty|none is odder"):
        index.outliers()


def test_suggestions_are_those_of_scikit_learn(index):
    linear_model = pytest.importorskip("sklearn.linear_model")
    ids = index.ids
    labels = labels_of(index._contents, ids[:4], ids[10:16])
    probability = probabilities(index._contents, labels)
    vectors = np.asarray(index.vectors, dtype=float)
    scaled = (vectors - vectors.mean(axis=0)) / np.sqrt(np.mean(np.square(vectors - vectors.mean(axis=0))))
    judge = linear_model.LogisticRegression(C=1.0, tol=1e-8).fit(scaled[labels.rows], labels.interesting)
    np.testing.assert_allclose(probability, judge.predict_proba(scaled)[:, 1], atol=1e-3)
    found = index.suggest(ids[:4], ids[10:16], n=N - 10)
    order = np.argsort(-probability, kind="stable")
    expected = ids[order][~np.isin(order, labels.rows)]
    np.testing.assert_array_equal(found["id"], expected)


def test_galaxies_like_the_interesting_ones_come_first():
    rng = np.random.default_rng(3)
    vectors = rng.normal(size=(400, DIM)) + 4 * (np.arange(400) % 4 == 0)[:, None]
    found = index_of(vectors).suggest([0, 4], [1, 2, 3], n=50)
    assert (np.asarray(found["id"]) % 4 == 0).mean() > 0.95
    assert found["probability"][0] > 0.5


@pytest.mark.parametrize(
    ("interesting", "others", "error", "said"),
    [
        ([], [1], ValueError, "interesting must name"),
        ([1], [], ValueError, "index.query finds galaxies like some"),
        ([1, 2], [2, 3], ValueError, "galaxy 2 cannot be both"),
        ([1], [99], KeyError, "no galaxy 99"),
        ([5], [1], ValueError, "no image is known"),
        (["x"], [1], KeyError, "no galaxy x"),
    ],
)
def test_labels_that_teach_nothing_are_errors(interesting, others, error, said):
    vectors = embeddings(20, DIM)
    vectors[5] = np.nan
    with pytest.raises(error, match=said):
        index_of(vectors).suggest(interesting, others)


def test_one_label_may_stand_alone_and_fewer_galaxies_are_told():
    vectors = embeddings(6, DIM)
    with pytest.warns(AstropyUserWarning, match="only 4 galaxies"):
        assert len(index_of(vectors).suggest(0, 1)) == 4


def test_identical_galaxies_have_equal_chances():
    found = index_of(np.ones((9, DIM))).suggest([0], [1], n=7)
    np.testing.assert_allclose(found["probability"], 0.5, atol=1e-6)


def test_a_map_shows_principal_components():
    vectors = embeddings(40, DIM)
    vectors[7] = np.nan
    index = index_of(vectors)
    places = index.project()
    assert np.isnan(places[7]).all()
    known = np.asarray(index.vectors, dtype=float)[np.arange(40) != 7]
    left, scale, _ = np.linalg.svd(known - known.mean(axis=0), full_matrices=False)
    np.testing.assert_allclose(
        np.abs(places[np.arange(40) != 7]), np.abs(left[:, :2] * scale[:2]), atol=1e-3 * scale[0]
    )


@pytest.mark.parametrize(("n", "dim"), [(0, 4), (1, 4), (2, 4), (5, 1)])
def test_a_map_of_very_few_numbers_is_flat(n, dim):
    places = index_of(np.arange(1.0, n * dim + 1).reshape(n, dim)).project()
    assert places.shape == (n, 2)
    assert np.isfinite(places).all()


def test_umap_is_asked_for_neighbours_and_a_fixed_seed(monkeypatch):
    asked = {}

    class Stand:
        def __init__(self, **options):
            asked.update(options)

        def fit_transform(self, vectors):
            asked["vectors"] = vectors
            return vectors[:, :2]

    monkeypatch.setitem(sys.modules, "umap", SimpleNamespace(UMAP=Stand))
    vectors = embeddings(12, DIM)
    vectors[0] = np.nan
    places = index_of(vectors).project("umap")
    assert np.isnan(places[0]).all()
    assert np.isfinite(places[1:]).all()
    assert asked["vectors"].shape == (11, DIM)
    assert (asked["n_neighbors"], asked["n_jobs"]) == (10, 1)
    assert isinstance(asked["random_state"], int)


def test_umap_is_an_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "umap", None)
    with pytest.raises(ImportError, match=r"astro-photz\[map\]"):
        index_of(embeddings(12, DIM)).project("umap")
    with pytest.raises(ValueError, match="no method 'tsne'"):
        index_of(embeddings(12, DIM)).project("tsne")


@pytest.mark.parametrize("k", [1, 10])
def test_outliers_among_many_are_those_of_an_exhaustive_search(k):
    vectors = embeddings(6000, DIM)
    index = index_of(vectors)
    distance, _ = nearest(index.vectors, np.asarray(index.vectors, dtype=np.float32), k, own=np.arange(6000))
    mean = distance.mean(axis=1)
    found = index.outliers(25, k=k)
    np.testing.assert_array_equal(found["id"], np.argsort(-mean, kind="stable")[:25])
    np.testing.assert_allclose(found["distance"], np.sort(mean)[::-1][:25], rtol=1e-6)
