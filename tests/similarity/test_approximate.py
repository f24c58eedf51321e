# Licensed under a 3-clause BSD style license - see LICENSE
"""An approximate search finds nearly what the exact one does, with the same distances, and says how nearly."""

import sys

import numpy as np
import pytest
from astropy.utils.exceptions import AstropyUserWarning
from galaxies_to_search import catalogue, embeddings

from astro_photz.similarity import SimilarityIndex


def correlated(n, seed=0):
    """Vectors of 80 numbers, which depend on 30."""
    mixing = np.random.default_rng(9).normal(size=(30, 80))
    return (embeddings(n, dim=30, seed=seed) @ mixing).astype(np.float32)


def recall(index, rows, k=10, **options):
    near, exact = (one.query(rows=rows, k=k, **options)["distance"].reshape(-1, k) for one in (index, index.exact()))
    return np.mean(near <= exact[:, -1:] * (1 + 1e-6))


@pytest.fixture(scope="module")
def index():
    pytest.importorskip("faiss")
    return SimilarityIndex.build(correlated(6000), table=catalogue(6000), approximate=True)


def test_the_recall_is_as_told(index):
    assert index.is_approximate
    assert index.recall >= 0.99
    assert recall(index, np.arange(0, 6000, 60)) >= 0.97


def test_what_is_found_has_its_exact_distance(index):
    answer = index.query(rows=[5, 77], k=10)
    vectors = index.vectors.astype(float)
    for row in (5, 77):
        own = answer[answer["query"] == index.ids[row]]
        distance = np.linalg.norm(vectors[np.searchsorted(index.ids, own["id"])] - vectors[row], axis=1)
        np.testing.assert_allclose(own["distance"], distance, rtol=1e-6)
        assert index.ids[row] not in own["id"]


def test_few_selected_galaxies_are_searched_exactly(index):
    """A condition that 6 of 6,000 meet finds them all, in order."""
    mask = np.zeros(6000, dtype=bool)
    mask[::1000] = True
    answers = [one.query(rows=3, k=6, where=mask) for one in (index, index.exact())]
    np.testing.assert_array_equal(answers[0]["id"], answers[1]["id"])
    assert set(answers[0]["id"]) == set(index.ids[mask])


def test_many_selected_galaxies_are_searched_among(index, monkeypatch):
    monkeypatch.setattr("astro_photz.similarity._search._FEW", 10)
    mask = np.arange(6000) % 2 == 0
    assert recall(index, np.arange(0, 6000, 100), where=mask) >= 0.95
    assert (np.searchsorted(index.ids, index.query(rows=1, k=50, where=mask)["id"]) % 2 == 0).all()


def test_more_neighbours_than_lists_hold_are_found(index):
    assert len(index.query(rows=0, k=5999)) == 5999


def test_it_is_saved_and_added_to(index, tmp_path):
    index.save(tmp_path / "index")
    loaded = SimilarityIndex.load(tmp_path / "index")
    rows = np.arange(0, 6000, 500)
    np.testing.assert_array_equal(loaded.query(rows=rows)["id"], index.query(rows=rows)["id"])
    more = catalogue(10, seed=5)
    more["objid"] += 10**7
    loaded.add(correlated(10, seed=5), table=more)
    assert loaded.is_approximate
    assert loaded.query(rows=6005, k=1, exclude_self=False)["id"].tolist() == [loaded.ids[6005]]


def test_exact_is_exact_with_and_without_it(index, tmp_path, monkeypatch):
    index.save(tmp_path / "index")
    exact = index.query(rows=[1, 2, 3], exact=True)
    monkeypatch.setitem(sys.modules, "faiss", None)  # as if it were not installed
    with pytest.warns(AstropyUserWarning, match=r"searched exactly, which is slower: .* needs faiss"):
        without = SimilarityIndex.load(tmp_path / "index")
    np.testing.assert_array_equal(exact["id"], without.query(rows=[1, 2, 3])["id"])
    np.testing.assert_array_equal(exact["distance"], without.query(rows=[1, 2, 3])["distance"])
    with pytest.raises(ImportError, match=r"astro-photz\[search\]"):
        SimilarityIndex.build(embeddings(100), approximate=True)


def test_vectors_that_are_missing_or_alike_are_no_obstacle():
    pytest.importorskip("faiss")
    data = embeddings(300)
    data[::3] = np.nan
    data[1::3] = data[1]
    index = SimilarityIndex.build(data, approximate=True)
    answer = index.query(rows=2, k=150)
    assert (answer["id"] % 3 != 0).all()
    few = SimilarityIndex.build(embeddings(3), approximate=True)
    assert len(few.query(rows=0, k=2)) == 2


def test_lists_that_are_broken_are_told(index, tmp_path):
    index.save(tmp_path / "index")
    file = tmp_path / "index" / "generation-1" / "lists.faiss"
    file.write_bytes(bytes(file.stat().st_size))
    with pytest.raises(ValueError, match="make the index again"):
        SimilarityIndex.load(tmp_path / "index")
    assert len(SimilarityIndex.load(tmp_path / "index", approximate=False)) == 6000
    file.unlink()
    with pytest.raises(ValueError, match="is missing; make the index again"):
        SimilarityIndex.load(tmp_path / "index")
