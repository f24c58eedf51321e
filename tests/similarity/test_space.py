# Licensed under a 3-clause BSD style license - see LICENSE
"""The space of a search: differences count as observations of a galaxy scatter."""

import shutil

import numpy as np
import pytest

from astro_photz.models import ModelError, load_model
from astro_photz.similarity import SearchSpace, SimilarityIndex
from astro_photz.testing.factories import gaussian_cutouts

PRETRAINED = "sim-small-v1-pretrained"


def observed(n=2000, dim=8, seed=0, noise=(5, 0.5)):
    """Two observations of galaxies, whose noise is large in a few directions that are not those of the axes."""
    rng = np.random.default_rng(seed)
    turn = np.linalg.qr(rng.normal(size=(dim, dim)))[0]
    noise = np.geomspace(*noise, dim)
    galaxy = rng.normal(size=(n, dim)) @ np.diag(np.geomspace(3, 1, dim))
    return tuple(((galaxy + rng.normal(size=(n, dim)) * noise) @ turn).astype(np.float32) for _ in range(2))


def found_first(space, first, second):
    index = SimilarityIndex.build(first, space=space)
    return np.mean(index.query(second, k=1)["id"] == np.arange(len(first)))


def test_observations_scatter_alike_in_all_directions():
    first, second = observed(20_000)
    space = SearchSpace.fit(first, second, n_components=5, loading=0)
    difference = space.map(first) - space.map(second)
    np.testing.assert_allclose(np.cov(difference.T), np.eye(5), atol=0.02)


def test_the_space_does_not_depend_on_the_basis_of_the_embedding():
    """Distances are those of any invertible linear map of the embedding."""
    first, second = observed()
    mixing = np.random.default_rng(1).normal(size=(8, 8)) + 3 * np.eye(8)
    spaces = [
        SearchSpace.fit(one, other, loading=0) for one, other in ((first, second), (first @ mixing, second @ mixing))
    ]
    one, other = spaces[0].map(first[:50]), spaces[1].map(first[:50] @ mixing.astype(np.float32))
    np.testing.assert_allclose(
        np.linalg.norm(one[:, None] - one, axis=2), np.linalg.norm(other[:, None] - other, axis=2), rtol=0.02, atol=0.05
    )


def test_a_galaxy_observed_anew_is_found_more_often_than_by_cosine():
    space = SearchSpace.fit(*observed(noise=(20, 0.1)), n_components=6, loading=1e-6)
    anew = observed(500, noise=(20, 0.1))
    assert found_first(space, *anew) > 3 * found_first(SearchSpace.cosine(8), *anew)


def test_the_same_pairs_give_the_same_space_in_either_order():
    first, second = observed()
    one, other = SearchSpace.fit(first, second), SearchSpace.fit(second, first)
    np.testing.assert_allclose(one.matrix, other.matrix, rtol=1e-3, atol=1e-4)
    assert SearchSpace.fit(first, second).sha256 == one.sha256


def test_pairs_without_an_image_are_left_out():
    first, second = observed()
    holes = first.copy(), second.copy()
    holes[0][3], holes[1][8, 2] = np.nan, np.nan
    kept = np.setdiff1d(np.arange(len(first)), [3, 8])
    assert SearchSpace.fit(*holes).sha256 == SearchSpace.fit(first[kept], second[kept]).sha256


def test_too_few_pairs_are_told():
    with pytest.raises(ValueError, match="at least as many pairs"):
        SearchSpace.fit(np.ones((3, 8)), np.ones((3, 8)))
    with pytest.raises(ValueError, match="same shape"):
        SearchSpace.fit(np.ones((9, 8)), np.ones((8, 8)))


def test_traits_are_told_by_further_numbers():
    first, second = observed(20_000)
    rng = np.random.default_rng(2)
    direction = np.linalg.inv(np.cov((first - second).T)) @ rng.normal(size=8)
    trait = first @ direction
    bar = np.where(rng.random(len(first)) < 0.5, trait > np.median(trait), np.nan)
    bare = SearchSpace.fit(first, second, n_components=5, loading=0)
    space = SearchSpace.fit(
        first, second, n_components=5, loading=0, traits=(first, np.stack([trait, bar], axis=1)), weight=3
    )
    np.testing.assert_array_equal(space.matrix[:, :5], bare.matrix)
    vectors, others = space.map(first), space.map(second)
    np.testing.assert_allclose((vectors - others)[:, 5:].std(axis=0), 3, rtol=0.02)
    assert np.corrcoef(vectors[:, 5], trait)[0, 1] > 0.99
    assert np.corrcoef(vectors[:, 6], trait)[0, 1] > 0.98


def test_galaxies_of_one_trait_find_each_other():
    first, second = observed(4000, dim=30)
    trait = (first @ np.random.default_rng(3).normal(size=30) > 30).astype(float)
    shares = []
    for traits in (None, (first, trait[:, None])):
        space = SearchSpace.fit(first, second, n_components=30, traits=traits, weight=5)
        found = SimilarityIndex.build(first, space=space).query(first[trait == 1][:200], k=11)
        shares.append(np.mean(trait[np.asarray(found["id"])[np.asarray(found["rank"]) > 1]]))
    assert shares[1] > 1.2 * shares[0] > 1.2 * trait.mean()


def test_traits_that_tell_nothing_are_refused():
    first, second = observed()
    for traits in ((first[:, :3], first[:, :1]), (first, first[:5, :1]), (first, first[:, 0])):
        with pytest.raises(ValueError, match=r"traits must be embeddings \(M, 8\)"):
            SearchSpace.fit(first, second, traits=traits)
    for values in (np.full((2000, 1), np.nan), np.ones((2000, 1))):
        with pytest.raises(ValueError, match="trait 0 must be known of galaxies that differ"):
            SearchSpace.fit(first, second, traits=(first, values))


@pytest.mark.parametrize("space", [SearchSpace.cosine(8), SearchSpace.fit(*observed())])
def test_what_is_no_embedding_has_no_vector(space):
    embedding = np.ones((5, 8))
    embedding[1], embedding[2, 3], embedding[3, 0] = 0, np.nan, np.inf
    assert np.isfinite(space.map(embedding)).all(axis=1).tolist() == [True, False, False, False, True]
    with pytest.raises(ValueError, match="must have the shape"):
        space.map(np.ones((2, 7)))


def test_cosine_takes_any_length():
    for scale in (1e-30, 1.0, 1e30):
        np.testing.assert_allclose(SearchSpace.cosine(2).map([[3 * scale, 4 * scale]]), [[0.6, 0.8]], rtol=1e-6)


def test_a_space_comes_back_from_its_file(tmp_path):
    for space in (SearchSpace.cosine(3), SearchSpace.fit(*observed())):
        space.write(tmp_path / "space.npz")
        assert SearchSpace.read(tmp_path / "space.npz").sha256 == space.sha256
    (tmp_path / "space.npz").write_bytes(b"PK")
    with pytest.raises(ValueError, match="no space"):
        SearchSpace.read(tmp_path / "space.npz")


@pytest.fixture
def folder(tmp_path):
    """A model with a space of its own."""
    path = tmp_path / "model"
    shutil.copytree(load_model(PRETRAINED).path, path)
    rng = np.random.default_rng(0)
    first = rng.normal(size=(600, 512)).astype(np.float32)
    space = SearchSpace.fit(first, first + rng.normal(size=first.shape).astype(np.float32))
    space.install(path, learnt_from="noise")
    return path


def test_the_space_is_a_part_of_the_model(folder):
    model = load_model(folder)
    assert model.card.others["similarity"]["learnt_from"] == "noise"
    before = load_model(PRETRAINED)
    assert model.card.files["encoder.onnx"] == before.card.files["encoder.onnx"]
    assert model.sha256 != before.sha256  # a search finds others
    index = SimilarityIndex.build(gaussian_cutouts(6), model=folder)
    assert index.space.sha256 == SearchSpace.of_model(model).sha256
    assert index.space.dim == 64


def test_another_space_than_the_card_says_is_told(folder):
    SearchSpace.cosine(512).write(folder / "similarity.npz")
    with pytest.raises(ModelError, match=r"similarity.npz is not the file that its card describes"):
        SearchSpace.of_model(load_model(folder))
    (folder / "similarity.npz").unlink()
    with pytest.raises(FileNotFoundError, match=r"it has no similarity.npz"):
        SearchSpace.of_model(load_model(folder))
