# Licensed under a 3-clause BSD style license - see LICENSE
"""A model is what its card says, or it is refused."""

import json
import pickle
import shutil

import numpy as np
import pytest
from astropy.config import set_temp_cache

import astro_photz
from astro_photz.models import ModelCard, ModelError, PhotozModel, model_directory
from astro_photz.testing.factories import gaussian_cutouts
from astro_photz.utils._onnxruntime import onnxruntime


@pytest.fixture
def folder(tmp_path):
    """A copy of the bundled model, to be spoilt."""
    return shutil.copytree(astro_photz.load_model().path, tmp_path / "model")


def rewrite_card(folder, **changes):
    card = json.loads((folder / "card.json").read_text())
    card |= changes
    (folder / "card.json").write_text(json.dumps(card))


def test_listed_models_load():
    table = astro_photz.list_models()
    assert sum(table["default"]) == 1
    for row in table:
        model = astro_photz.load_model(row["name"])
        assert (model.name, model.version) == (row["name"], row["version"])
        assert model.card.simulated == row["simulated"]


def test_a_model_is_opened_once():
    assert astro_photz.load_model() is astro_photz.load_model(astro_photz.conf.default_model)


def test_a_folder_is_a_model(folder):
    cutouts = gaussian_cutouts(3)
    one, other = astro_photz.load_model(folder), astro_photz.load_model()
    assert one.sha256 == other.sha256
    np.testing.assert_array_equal(one.encode(cutouts.flux, cutouts.ebv), other.encode(cutouts.flux, cutouts.ebv))


def test_a_folder_may_be_in_the_users_own(folder, monkeypatch):
    monkeypatch.setenv("HOME", str(folder.parent))
    assert astro_photz.load_model("~/model").path == folder


@pytest.mark.parametrize("name", ["encoder.onnx", "head.onnx"])
def test_a_changed_byte_is_noticed(folder, name):
    content = bytearray((folder / name).read_bytes())
    content[len(content) // 2] ^= 1
    (folder / name).write_bytes(content)
    with pytest.raises(ModelError, match=f"{name} is not the file that its card describes.*get the model again"):
        PhotozModel(folder)


@pytest.mark.parametrize("name", ["encoder.onnx", "head.onnx", "card.json"])
def test_a_missing_file_is_named(folder, name):
    (folder / name).unlink()
    with pytest.raises(FileNotFoundError, match=f"it has no {name}"):
        PhotozModel(folder)


def test_a_card_that_is_no_card(folder):
    (folder / "card.json").write_text("{")
    with pytest.raises(ModelError, match="is not JSON"):
        PhotozModel(folder)
    (folder / "card.json").write_text("{}")
    with pytest.raises(ModelError, match="lacks name, version, bands"):
        PhotozModel(folder)


@pytest.mark.parametrize("changes", [{"embedding_dim": 7}, {"z_edges": [0.0, 0.2, 0.4]}])
def test_graphs_that_do_not_fit_the_card(folder, changes):
    rewrite_card(folder, **changes)
    with pytest.raises(ModelError, match="while the card says"):
        PhotozModel(folder)


def test_graphs_in_the_wrong_place(folder):
    shutil.copy(folder / "head.onnx", folder / "encoder.onnx")
    ModelCard.read(folder).write(folder)  # with the hash of the new file
    with pytest.raises(ModelError, match="must take flux"):
        PhotozModel(folder)


@pytest.mark.parametrize("name", ["encoder.onnx", "head.onnx"])
def test_a_graph_for_batches_of_one_length_is_refused(folder, name):
    onnx = pytest.importorskip("onnx")
    graph = onnx.load(folder / name)
    for node in (*graph.graph.input, *graph.graph.output):
        node.type.tensor_type.shape.dim[0].dim_value = 16
    onnx.save(graph, folder / name)
    ModelCard.read(folder).write(folder)  # with the hash of the new file
    with pytest.raises(ModelError, match="batches of one length only: export a dynamic batch"):
        PhotozModel(folder)


def test_what_is_no_onnx(folder):
    (folder / "head.onnx").write_bytes(b"nothing")
    ModelCard.read(folder).write(folder)
    with pytest.raises(ModelError, match="onnxruntime cannot read"):
        PhotozModel(folder)


def test_unknown_name_names_the_known_ones():
    with pytest.raises(ValueError, match=f"no model 'nonsense'.*{astro_photz.conf.default_model}"):
        astro_photz.load_model("nonsense")


def test_pickled_model_is_the_same(folder):
    cutouts = gaussian_cutouts(2)
    model = PhotozModel(folder)
    again = pickle.loads(pickle.dumps(model))
    np.testing.assert_array_equal(model.encode(cutouts.flux, cutouts.ebv), again.encode(cutouts.flux, cutouts.ebv))


def test_rows_do_not_depend_on_each_other():
    """Neither on the batch in which they go through the graph."""
    cutouts = gaussian_cutouts(130)
    model = astro_photz.load_model()
    whole = model.encode(cutouts.flux, cutouts.ebv)
    scale = np.abs(whole).max()
    alone = np.concatenate([model.encode(cutouts.flux[[i]], cutouts.ebv[[i]]) for i in (0, 63, 64, 129)])
    np.testing.assert_allclose(alone, whole[[0, 63, 64, 129]], atol=1e-5 * scale)


def test_probabilities():
    cutouts = gaussian_cutouts(20)
    model = astro_photz.load_model()
    pdf = model.pdf(model.encode(cutouts.flux, cutouts.ebv))
    np.testing.assert_allclose(pdf.p.sum(axis=1), 1, rtol=1e-6)
    assert (pdf.p >= 0).all()
    np.testing.assert_allclose(pdf.edges, np.linspace(0, 0.4, 181), atol=1e-9)


def test_larger_stamps_are_cropped():
    cutouts = gaussian_cutouts(3, size=108)
    model = astro_photz.load_model()
    np.testing.assert_array_equal(
        model.encode(cutouts.flux, cutouts.ebv), model.encode(cutouts.crop(64).flux, cutouts.ebv)
    )


def test_any_stamp_with_data_has_a_finite_pdf():
    cutouts = gaussian_cutouts(4)
    cutouts.flux[0, 2] = np.nan  # a band
    cutouts.flux[1, :, :, :40] = np.nan  # a side, and the galaxy with it
    cutouts.flux[2] = np.nan
    cutouts.flux[2, 3, 5, 5] = 0.1  # all but a pixel
    cutouts.flux[3] *= 1e6
    model = astro_photz.load_model()
    assert np.isfinite(model.pdf(model.encode(cutouts.flux, cutouts.ebv)).p).all()


def test_what_is_not_known_has_no_embedding():
    """The network would make something of it, and be sure of that."""
    cutouts, model = gaussian_cutouts(4), astro_photz.load_model()
    cutouts.ebv[:2] = np.nan, -1
    cutouts.flux[2] = np.nan
    embedding = model.encode(cutouts.flux, cutouts.ebv)
    assert np.isnan(embedding).all(axis=1).tolist() == [True, True, True, False]
    assert np.isnan(model.pdf(embedding).mean()).tolist() == [True, True, True, False]


def test_no_rows():
    model = astro_photz.load_model()
    embedding = model.encode(np.zeros((0, 5, 64, 64), dtype=np.float32), np.zeros(0))
    assert embedding.shape == (0, model.card.embedding_dim)
    assert len(model.pdf(embedding)) == 0


@pytest.mark.parametrize(
    ("flux", "error", "message"),
    [
        (np.zeros((2, 4, 64, 64)), ValueError, r"\(N, 5, S, S\).*missing band is a plane of NaN"),
        (np.zeros((5, 64, 64)), ValueError, r"a single galaxy is flux\[np.newaxis\]"),
        (np.zeros((2, 5, 32, 32)), ValueError, "at least 64 x 64 pixels"),
        (np.zeros((2, 5, 64, 64), dtype=complex), TypeError, "real numbers.*complex128"),
        (np.full((2, 5, 64, 64), "a"), TypeError, "real numbers"),
    ],
)
def test_images_that_are_none(flux, error, message):
    with pytest.raises(error, match=message):
        astro_photz.load_model().encode(flux, [0.1, 0.1])


def test_embeddings_that_are_none():
    model = astro_photz.load_model()
    with pytest.raises(ValueError, match="embedding must have the shape"):
        model.pdf(np.zeros((3, model.card.embedding_dim + 1)))


def test_embeddings_of_any_precision_have_pdfs():
    cutouts, model = gaussian_cutouts(3), astro_photz.load_model()
    embedding = model.encode(cutouts.flux, cutouts.ebv)
    for other in (embedding.astype(np.float64), embedding.tolist()):
        np.testing.assert_array_equal(model.pdf(other).p, model.pdf(embedding).p)


def test_a_model_that_is_loaded_is_loaded():
    model = astro_photz.load_model()
    assert astro_photz.load_model(model) is model


def test_rows_sum_to_one_in_the_graph_already():
    cutouts = gaussian_cutouts(20)
    model = astro_photz.load_model()
    head = onnxruntime().InferenceSession(model.path / "head.onnx", providers=["CPUExecutionProvider"])
    (p,) = head.run(["pdf"], {"embedding": model.encode(cutouts.flux, cutouts.ebv)})
    np.testing.assert_allclose(p.sum(axis=1), 1, atol=1e-5)


def test_images_are_not_modified():
    cutouts = gaussian_cutouts(2)
    cutouts.flux[0, 0] = np.nan
    before = cutouts.flux.copy()
    astro_photz.load_model().encode(cutouts.flux, cutouts.ebv)
    np.testing.assert_array_equal(cutouts.flux, before)


def test_default_model_may_be_a_folder(folder):
    with astro_photz.conf.set_temp("default_model", str(folder)):
        assert astro_photz.load_model().path == folder.resolve()


def test_card_says_what_the_model_was_trained_on():
    model = astro_photz.load_model()
    assert model.card.simulated is True
    assert model.card.limits
    assert {"r_mag", "ebv"} <= set(model.card.training_range)
    assert "".join(model.card.bands) == "ugriz"


# Features


def test_one_pass_gives_the_embedding_and_what_it_is_made_of():
    cutouts, model = gaussian_cutouts(20), astro_photz.load_model()
    encoding = model.encoding(cutouts)
    assert model.gives_features
    assert encoding.features.shape == (20, model.feature_dim) == (20, 512)
    np.testing.assert_array_equal(encoding.embedding, model.embed(cutouts))


def test_what_is_not_known_has_no_features():
    cutouts, model = gaussian_cutouts(3), astro_photz.load_model()
    cutouts.ebv[0] = np.nan
    cutouts.flux[1] = np.nan
    assert np.isnan(model.encoding(cutouts).features).all(axis=1).tolist() == [True, True, False]


def without_features(folder):
    """A model as earlier versions exported it: its graph gives the embedding alone, and it has no reference."""
    onnx = pytest.importorskip("onnx")
    graph = onnx.load(folder / "encoder.onnx")
    del graph.graph.output[1]
    onnx.save(graph, folder / "encoder.onnx")
    for name in ("reference.npz", "analogues.npz"):
        (folder / name).unlink(missing_ok=True)
    ModelCard.read(folder).updated(reference={}).write(folder)
    return PhotozModel(folder)


def test_a_graph_without_features_has_the_embedding_for_them(folder):
    cutouts, model = gaussian_cutouts(3), without_features(folder)
    assert not model.gives_features
    encoding = model.encoding(cutouts)
    np.testing.assert_array_equal(encoding.features, encoding.embedding)
    np.testing.assert_array_equal(encoding.embedding, astro_photz.load_model().embed(cutouts))
    assert model.feature_dim == model.card.embedding_dim


def test_outputs_of_other_names_are_refused(folder):
    onnx = pytest.importorskip("onnx")
    graph = onnx.load(folder / "encoder.onnx")
    other = onnx.helper.make_node("Identity", ["features"], ["pooled"])
    graph.graph.node.append(other)
    graph.graph.output[1].name = "pooled"
    onnx.save(graph, folder / "encoder.onnx")
    ModelCard.read(folder).write(folder)
    with pytest.raises(ModelError, match=r"'pooled'.*while the card says"):
        PhotozModel(folder)


@pytest.mark.parametrize("name", ["lineage.json", "reference.npz", "analogues.npz"])
def test_a_file_beside_the_graphs_is_the_one_of_the_card(folder, name):
    (folder / name).write_bytes(b"another one")
    with pytest.raises(ModelError, match=f"{name} is not the file that its card describes.*get the model again"):
        PhotozModel(folder)
    ModelCard.read(folder).write(folder)
    assert PhotozModel(folder).card.files[name]
    (folder / name).unlink()
    with pytest.raises(FileNotFoundError, match=f"it has no {name}"):
        PhotozModel(folder)


# Models of the user


@pytest.fixture
def directory(tmp_path):
    """The user's directory of models, empty."""
    (tmp_path / "cache").mkdir()
    with set_temp_cache(tmp_path / "cache"):
        directory = model_directory()
        directory.mkdir(parents=True)
        yield directory


def add(directory, name, **changes):
    folder = shutil.copytree(astro_photz.load_model(astro_photz.list_models()["name"][0]).path, directory / name)
    rewrite_card(folder, name=name, **changes)
    return folder


def test_models_of_the_user_are_listed_and_loaded_by_name(directory):
    folder = add(directory, "mine", simulated=False)
    table = astro_photz.list_models()
    row = table[list(table["name"]).index("mine")]
    assert (row["path"], row["redshifts"], row["simulated"], row["default"]) == (str(folder), True, False, False)
    assert astro_photz.load_model("mine").path == folder.resolve()
    with astro_photz.conf.set_temp("default_model", "mine"):
        assert astro_photz.load_model().name == "mine"


def test_a_model_of_the_user_does_not_take_a_bundled_ones_name(directory):
    bundled = astro_photz.load_model()
    add(directory, bundled.name)
    assert astro_photz.load_model(bundled.name).path == bundled.path
    assert list(astro_photz.list_models()["name"]).count(bundled.name) == 1


def test_what_is_unfinished_is_no_model(directory):
    add(directory, "mine.part")
    assert "mine.part" not in astro_photz.list_models()["name"]


def test_no_directory_of_models_is_no_harm(tmp_path):
    (tmp_path / "cache").mkdir()
    with set_temp_cache(tmp_path / "cache"):
        assert len(astro_photz.list_models()) >= 1
        assert not model_directory().exists()


# An encoder alone


@pytest.fixture
def encoder(folder):
    """A model that was pretrained without labels: it has no head."""
    card = json.loads((folder / "card.json").read_text())
    del card["z_edges"], card["files"]["head.onnx"]
    (folder / "head.onnx").unlink()
    (folder / "card.json").write_text(json.dumps(card))
    return PhotozModel(folder)


def test_an_encoder_alone_embeds_as_it_did(encoder):
    cutouts = gaussian_cutouts(3)
    whole = astro_photz.load_model().encode(cutouts.flux, cutouts.ebv)
    np.testing.assert_array_equal(astro_photz.embed(cutouts, model=encoder), whole)


def test_an_encoder_alone_says_that_it_gives_no_redshifts(encoder):
    cutouts = gaussian_cutouts(2)
    message = "embeds images, but gives no redshifts.*astro-photz finetune --init"
    with pytest.raises(ModelError, match=message):
        encoder.pdf(encoder.encode(cutouts.flux, cutouts.ebv))
    with pytest.raises(ModelError, match=message):
        astro_photz.predict(cutouts, model=encoder)


def test_a_head_without_edges_is_no_model(folder):
    card = json.loads((folder / "card.json").read_text())
    del card["z_edges"]
    (folder / "card.json").write_text(json.dumps(card))
    with pytest.raises(ModelError, match="lacks z_edges"):
        PhotozModel(folder)
