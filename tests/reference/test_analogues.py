# Licensed under a 3-clause BSD style license - see LICENSE
"""Galaxies of known redshift: the nearest are found, and speak for the redshift that they have."""

import shutil

import numpy as np
import pytest
from scipy.stats import norm

from astro_photz import load_model
from astro_photz.models import ModelCard, ModelError, PhotozModel
from astro_photz.models.card import ANALOGUES
from astro_photz.pdf import RedshiftPDF
from astro_photz.reference.analogues import Analogues
from astro_photz.testing.factories import gaussian_cutouts

EDGES = np.linspace(0, 0.4, 101)
SIGMA = 0.02  # of a redshift, given an embedding


def sky(n, *, seed=0):
    """Galaxies whose redshift the embedding tells within a normal error: embeddings, redshifts, exact PDFs."""
    rng = np.random.default_rng(seed)
    told = rng.uniform(0.1, 0.3, n)
    redshift = told + rng.normal(0, SIGMA, n)
    size = rng.normal(size=n)  # which has nothing to do with the redshift
    embedding = np.stack([np.exp(3 * told), told**2 + 0.01 * size, size, 0.5 * size], axis=1).astype(np.float32)
    p = np.diff(norm.cdf(EDGES, told[:, None], SIGMA), axis=1)
    return embedding, redshift, RedshiftPDF(p / p.sum(axis=1, keepdims=True), EDGES)


def known_sky(n=4000):
    embedding, redshift, _ = sky(n)
    return Analogues.fit(embedding, redshift, np.arange(n) + 7).calibrated(*sky(2000, seed=1))


def test_a_galaxy_that_is_known_is_its_own_nearest_analogue():
    embedding, redshift, _ = sky(500)
    found = Analogues.fit(embedding, redshift, np.arange(500) + 7).search(embedding, 3)
    np.testing.assert_array_equal(found.ids[:, 0], np.arange(500) + 7)
    np.testing.assert_allclose(found.redshift[:, 0], redshift, rtol=1e-6)
    assert found.distance[:, 0].max() < 0.01
    assert (np.diff(found.distance, axis=1) >= 0).all()


def test_the_nearest_are_those_that_brute_force_finds():
    analogues, (embedding, _, _) = known_sky(800), sky(50, seed=2)
    found = analogues.search(embedding, 10)
    vectors = (embedding - analogues.mean) @ analogues.matrix
    distance = np.linalg.norm(vectors[:, None] - analogues.vectors[None].astype(np.float32), axis=2)
    rows = np.argsort(distance, axis=1)
    np.testing.assert_array_equal(found.ids, analogues.ids[rows[:, :10]])
    np.testing.assert_allclose(found.distance, np.take_along_axis(distance, rows[:, :10], 1), rtol=1e-4)
    np.testing.assert_allclose(found.z_knn, analogues.redshift[rows[:, : analogues.k]].mean(axis=1), rtol=1e-5)


def test_distances_are_in_standard_deviations_of_the_known_galaxies():
    """Whatever the scale of the embedding, and whichever numbers it has besides."""
    embedding, redshift, _ = sky(2000)
    for scaled in (embedding, 50 * embedding - 3, np.concatenate([embedding, 0 * embedding], axis=1)):
        analogues = Analogues.fit(scaled, redshift)
        np.testing.assert_allclose(analogues.vectors.astype(float).std(axis=0), 1, atol=0.01)
        assert analogues.vectors.shape[1] <= 3  # directions in which the galaxies differ


def test_the_redshift_is_nearly_as_good_as_the_exact_posterior():
    embedding, redshift, pdf = sky(3000, seed=3)
    found = known_sky().search(embedding)
    exact = np.std(pdf.mean() - redshift)
    assert exact < np.std(found.z_knn - redshift) < 1.1 * exact


def test_errors_tell_how_far_the_truth_is():
    embedding, redshift, _ = sky(5000, seed=4)
    found = known_sky().search(embedding)
    pull = np.abs(found.z_knn - redshift) / found.z_knn_err
    assert np.mean(pull < 1) == pytest.approx(0.683, abs=0.03)
    assert np.mean(pull < 2) == pytest.approx(0.954, abs=0.02)


def test_one_in_a_hundred_good_galaxies_disagrees_and_most_that_are_wrong_do():
    analogues, (embedding, _, pdf) = known_sky(), sky(5000, seed=5)
    found = analogues.search(embedding)
    assert 0.002 < analogues.disagree(found, pdf).mean() < 0.03
    elsewhere = RedshiftPDF(np.roll(pdf.p, 20, axis=1), EDGES)  # by 4 sigma
    assert analogues.disagree(found, elsewhere).mean() > 0.95


def test_without_a_calibration_nothing_disagrees():
    embedding, redshift, pdf = sky(300)
    analogues = Analogues.fit(embedding, redshift)
    assert not analogues.disagree(analogues.search(embedding), pdf).any()


def test_a_galaxy_without_an_embedding_has_no_analogues():
    embedding, redshift, _ = sky(300)
    analogues = Analogues.fit(embedding, redshift)
    embedding[1] = np.nan
    found = analogues.search(embedding[:3], 2)
    alone = analogues.search(embedding[[0, 2]], 2)
    assert found.ids[1].tolist() == [-1, -1]
    for values, others in zip(found[1:], alone[1:], strict=True):
        assert np.isnan(values[1]).all()
        np.testing.assert_array_equal(values[[0, 2]], others)
    assert analogues.search(embedding[:0]).redshift.shape == (0, 5)


def test_galaxies_without_a_redshift_are_no_analogues():
    embedding, redshift, _ = sky(300)
    redshift[:3] = [np.nan, -1, np.inf]
    embedding[3] = np.nan
    assert set(Analogues.fit(embedding, redshift).ids.tolist()) == set(range(4, 300))
    with pytest.raises(ValueError, match="at least two galaxies"):
        Analogues.fit(embedding[:4], redshift[:4])
    with pytest.raises(ValueError, match="there is none"):
        known_sky().calibrated(embedding[:3], redshift[:3], sky(3)[2])


@pytest.mark.parametrize("n", [0, 301])
def test_more_than_there_are(n):
    embedding, redshift, _ = sky(300)
    with pytest.raises(ValueError, match="from 1 to the 300"):
        Analogues.fit(embedding, redshift).search(embedding, n)


def test_another_embedding():
    with pytest.raises(ValueError, match=r"shape \(N, 4\)"):
        known_sky(100).search(np.zeros((2, 5)))
    with pytest.raises(ValueError, match="a row for each galaxy"):
        Analogues.fit(np.zeros((3, 2)), np.zeros(2))


@pytest.mark.parametrize("ids", [np.arange(50), np.arange(50) + 2**60, np.array([f"galaxy {i}" for i in range(50)])])
def test_a_file_keeps_all(ids, tmp_path):
    embedding, redshift, pdf = sky(50)
    analogues = Analogues.fit(embedding, redshift, ids).calibrated(embedding, redshift, pdf)
    analogues.search(embedding)
    analogues.write(tmp_path / "a.npz")
    back = Analogues.read(tmp_path / "a.npz")
    for one, other in zip(analogues.search(embedding), back.search(embedding), strict=True):
        np.testing.assert_array_equal(one, other)
    assert set(back.ids.tolist()) == set(ids.tolist())
    assert (back.k, back.error_scale, back.limit) == (analogues.k, analogues.error_scale, analogues.limit)


def test_a_file_that_is_none(tmp_path):
    path = tmp_path / "a.npz"
    with pytest.raises(FileNotFoundError):
        Analogues.read(path)
    np.savez(path, mean=np.zeros(3))
    with pytest.raises(ModelError, match="cut short or broken"):
        Analogues.read(path)
    path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(ModelError, match="cut short or broken"):
        Analogues.read(path)


def labelled_file(path, n, *, seed):
    cutouts = gaussian_cutouts(n, seed=seed)
    cutouts.flux[3] = np.nan
    cutouts.write(path, specz_redshift=np.linspace(0.05, 0.3, n))
    return cutouts


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A copy of the bundled model, as of before there were analogues."""
    path = tmp_path_factory.mktemp("models") / "copy"
    shutil.copytree(load_model().path, path)
    (path / ANALOGUES).unlink(missing_ok=True)
    ModelCard.read(path).write(path)
    return path


def test_analogues_of_a_training_are_kept_with_the_model(folder, tmp_path):
    before = load_model(folder)
    assert Analogues.of_model(before) is None
    cutouts = labelled_file(tmp_path / "train.h5", 80, seed=1)
    labelled_file(tmp_path / "validation.h5", 30, seed=2)
    analogues = Analogues.of_training(before, tmp_path / "train.h5", tmp_path / "validation.h5", n=60)
    assert 59 <= len(analogues) <= 60  # one has no image
    analogues.install(folder)
    model = load_model(folder)
    found = Analogues.of_model(model).search(model.embed(cutouts), 1)
    drawn = np.isin(cutouts.ids, analogues.ids)
    np.testing.assert_array_equal(found.ids[drawn, 0], cutouts.ids[drawn])
    assert model.sha256 != before.sha256
    np.testing.assert_array_equal(model.embed(cutouts), before.embed(cutouts))

    some = Analogues.of_training(model, tmp_path / "train.h5", rows=np.arange(10, 20))
    assert set(some.ids.tolist()) == set(cutouts.ids[10:20].tolist())
    (folder / ANALOGUES).write_bytes(b"something else")
    with pytest.raises(ModelError, match=ANALOGUES):
        PhotozModel(folder)


def test_analogues_of_another_embedding_are_refused(folder):
    known_sky(100).write(folder / ANALOGUES)
    ModelCard.read(folder).write(folder)
    with pytest.raises(ModelError, match="for embeddings of 4 numbers, not 256"):
        Analogues.of_model(PhotozModel(folder))


def test_the_bundled_model_brings_some():
    model = load_model()
    if ANALOGUES not in model.card.files:
        pytest.skip("the bundled model has none yet")
    assert (model.path / ANALOGUES).stat().st_size < 450_000
    assert len(Analogues.of_model(model)) > 10_000
