# Licensed under a 3-clause BSD style license - see LICENSE
"""The bundled model knows its galaxies: every table says how strange a row is, and a folder that cannot is no harm."""

import pickle
import shutil

import numpy as np
import pytest

import astro_photz
from astro_photz.flags import PhotozFlag
from astro_photz.models import ModelCard, ModelError, PhotozModel
from astro_photz.models.card import REFERENCE
from astro_photz.quality.measurements import measure
from astro_photz.reference import Reference
from astro_photz.testing.factories import gaussian_cutouts


@pytest.fixture(scope="module")
def demo():
    return astro_photz.Cutouts.read(astro_photz.demo_path()).crop(64)


@pytest.fixture
def folder(tmp_path):
    """A copy of the bundled model."""
    return shutil.copytree(astro_photz.load_model("bundled").path, tmp_path / "model")


def strange(table):
    return (table["z_phot_flags"] & PhotozFlag.OUTLIER) != 0


def with_flux(cutouts, flux):
    return astro_photz.Cutouts(flux, ebv=cutouts.ebv)


def test_most_simulated_galaxies_are_known(demo):
    """Of the demonstration set, which is evenly spread in redshift, so that distant ones are more than usual."""
    table = astro_photz.predict(demo, model="bundled")
    assert not table["z_phot_ood"].mask.any()
    assert np.mean(table["z_phot_ood"] > 0.1) > 0.6
    np.testing.assert_array_equal(strange(table), table["z_phot_ood"] < 0.02)


def test_turned_and_mirrored_galaxies_are_as_known(demo):
    plain = np.asarray(astro_photz.predict(demo, model="bundled")["z_phot_ood"])
    for flux in (np.rot90(demo.flux, axes=(2, 3)), demo.flux[..., ::-1]):
        turned = np.asarray(astro_photz.predict(with_flux(demo, flux), model="bundled")["z_phot_ood"])
        assert np.median(np.abs(turned - plain)) < 0.1
        assert np.corrcoef(turned, plain)[0, 1] > 0.85


@pytest.mark.parametrize(
    "spoil",
    {
        "u and z swapped": lambda flux: flux[:, [4, 1, 2, 3, 0]],
        "counts": lambda flux: flux * 250,
        "noise": lambda flux: np.random.default_rng(0).normal(0, 0.03, flux.shape),
        "asinh": lambda flux: np.arcsinh(flux / 0.02),
        "over the maximum": lambda flux: flux / flux.max(axis=(2, 3), keepdims=True),
    }.items(),
    ids=lambda item: item[0],
)
def test_what_no_galaxy_looks_like_is_strange(demo, spoil):
    table = astro_photz.predict(with_flux(demo, spoil[1](demo.flux)), model="bundled")
    known = ~np.ma.getmaskarray(table["z_phot_ood"])
    assert (np.asarray(table["z_phot_ood"])[known] < 0.02).all()
    assert strange(table)[known].all()


def test_points_of_light_are_told_with_and_without_the_psf(demo):
    axis = np.arange(64) - 31.5
    sigma = 1.3 / 2.3548 / 0.396
    point = np.exp(-0.5 * (axis[:, None] ** 2 + axis**2) / sigma**2) / (2 * np.pi * sigma**2)
    noise = np.random.default_rng(1).normal(0, 0.02, (20, 5, 64, 64))
    flux = noise + 200 * point * np.array([0.2, 0.7, 1, 1.1, 1.2])[:, None, None]
    for fwhm in (None, np.full((20, 5), 1.3)):
        table = astro_photz.predict(astro_photz.Cutouts(flux, ebv=0.02, psf_fwhm=fwhm), model="bundled")
        assert np.mean((table["z_phot_flags"] & PhotozFlag.POINT_SOURCE) != 0) > 0.9


def test_a_share_does_not_depend_on_the_batch(demo):
    whole = astro_photz.predict(demo, model="bundled")["z_phot_ood"]
    parts = [astro_photz.predict(demo[[row]], model="bundled")["z_phot_ood"][0] for row in (0, 7, 23)]
    np.testing.assert_allclose(parts, whole[[0, 7, 23]], rtol=1e-2)


def test_a_pickled_model_has_its_reference(demo):
    again = pickle.loads(pickle.dumps(astro_photz.load_model("bundled")))
    np.testing.assert_array_equal(
        astro_photz.predict(demo, model=again)["z_phot_ood"], astro_photz.predict(demo, model="bundled")["z_phot_ood"]
    )


def test_the_card_says_what_the_reference_is_made_of():
    card = astro_photz.load_model("bundled").card
    assert card.reference["n"] >= 20_000
    assert card.reference["n_validation"] >= 4_000
    assert card.reference["sha256"] == card.files[REFERENCE]
    assert (astro_photz.load_model("bundled").path / REFERENCE).stat().st_size < 350_000


def test_a_folder_without_a_reference_works_and_has_no_shares(folder, demo):
    (folder / REFERENCE).unlink()
    ModelCard.read(folder).updated(reference={}).write(folder)
    model = PhotozModel(folder)
    assert Reference.of_model(model) is None
    table, whole = astro_photz.predict(demo, model=model), astro_photz.predict(demo, model="bundled")
    assert table["z_phot_ood"].mask.all()
    assert not strange(table).any()
    np.testing.assert_array_equal(table["z_phot"], whole["z_phot"])


def test_a_damaged_reference_is_refused(folder):
    content = bytearray((folder / REFERENCE).read_bytes())
    content[len(content) // 2] ^= 1
    (folder / REFERENCE).write_bytes(content)
    with pytest.raises(ModelError, match=f"{REFERENCE} is not the file that its card describes"):
        PhotozModel(folder)


def test_a_reference_of_other_features_is_refused(folder):
    rng = np.random.default_rng(0)
    known = rng.normal(size=(200, 12)), rng.normal(size=(200, 40))
    Reference.fit(known, known).install(folder, of="others", n=200)
    with pytest.raises(ModelError, match="for 12 features, while the model gives 512"):
        Reference.of_model(PhotozModel(folder))


def test_a_file_of_the_right_hash_that_is_no_reference_is_refused(folder):
    (folder / REFERENCE).write_bytes(b"nothing")
    ModelCard.read(folder).write(folder)
    with pytest.raises(ModelError, match="holds no reference of a model"):
        Reference.of_model(PhotozModel(folder))


def test_a_model_without_other_features_has_a_reference_of_its_embeddings(tmp_path):
    encoder = astro_photz.load_model("sim-small-v1-pretrained")
    folder = shutil.copytree(encoder.path, tmp_path / "encoder")
    some, others = gaussian_cutouts(300, seed=1), gaussian_cutouts(300, seed=2)
    described = [(encoder.encoding(one).features, measure(one).vector) for one in (some, others)]
    Reference.fit(*described).install(folder, of="round galaxies", n=300)
    model = PhotozModel(folder)
    assert not model.gives_features
    assert Reference.of_model(model).features.dim == model.card.embedding_dim
    assert np.mean(Reference.of_model(model).ood(*described[1]) < 0.02) == pytest.approx(0.02, abs=0.01)


def test_embeddings_alone_are_not_judged(demo, folder):
    (folder / REFERENCE).write_bytes(b"nothing")
    ModelCard.read(folder).write(folder)
    assert np.isfinite(astro_photz.embed(demo, model=folder)).all()
