# Licensed under a 3-clause BSD style license - see LICENSE
"""The way into ONNX: what is exported gives what was trained, says what it is, and is never half there."""

import json

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("lightning", exc_type=ImportError)
pytest.importorskip("onnxscript", exc_type=ImportError)

from astro_photz import load_model
from astro_photz.models import ModelCard, ModelError
from astro_photz.testing.factories import gaussian_cutouts
from astro_photz.train.export.onnx import export_model
from astro_photz.train.export.quantize import quantize_model
from astro_photz.train.export.run_to_model import training_range
from astro_photz.train.networks.encoder import make_encoder
from astro_photz.train.networks.heads import Z_EDGES, CalibratedHead
from astro_photz.train.networks.weights import read_weights
from astro_photz.train.tasks.calibration import fit_recalibration

CARD = ModelCard(name="test", version="0", simulated=True, training_data={"description": "none"}, limits=[])
SETTINGS = {
    "resnet18": {"kind": "resnet18", "width": 4, "stem": "light"},
    "measuring": {"kind": "resnet18", "width": 4, "stem": "pooled", "photometry": True, "bottleneck": 6},
}


def make_model(kind="resnet18", *, seed=0):
    """A small encoder whose normalisations have seen some data, so that none is the identity, and a calibrated head."""
    torch.manual_seed(seed)
    encoder = make_encoder(**SETTINGS[kind]).train()
    with torch.no_grad():
        for _ in range(3):
            encoder(torch.from_numpy(gaussian_cutouts(16).flux), torch.full((16,), 0.03))
    levels = fit_recalibration(np.random.default_rng(seed).beta(2, 1.5, 2000))
    return encoder.eval(), CalibratedHead(torch.nn.Linear(encoder.embedding_dim, 180), levels)


def spoilt_flux(n=9, *, seed=3):
    flux = gaussian_cutouts(n, seed=seed).flux
    flux[2, 0] = np.nan
    flux[3, :, :, 40:] = np.nan
    return flux


@pytest.fixture(scope="module", params=SETTINGS)
def exported(request, tmp_path_factory):
    """A model and what was exported of it."""
    encoder, head = make_model(request.param)
    path = tmp_path_factory.mktemp("models") / "test"
    export_model(encoder, head, path, card=CARD, settings=SETTINGS[request.param])
    return encoder, head, load_model(path)


# Graphs


def test_onnx_gives_what_torch_gives(exported):
    encoder, head, loaded = exported
    flux, ebv = spoilt_flux(), np.linspace(0, 0.3, 9, dtype=np.float32)
    with torch.no_grad():
        embedding = encoder(torch.from_numpy(flux), torch.from_numpy(ebv))
        pdf = head(embedding).softmax(dim=1).numpy()
    scale = float(embedding.abs().max())
    np.testing.assert_allclose(loaded.encode(flux, ebv), embedding, rtol=1e-4, atol=1e-4 * scale)
    np.testing.assert_allclose(loaded.pdf(loaded.encode(flux, ebv)).p, pdf, atol=1e-5)


def test_onnx_gives_the_features_that_torch_gives(exported):
    encoder, _, loaded = exported
    cutouts = gaussian_cutouts(9, ebv=np.linspace(0, 0.3, 9))
    encoding = loaded.encoding(cutouts)
    np.testing.assert_array_equal(encoding.embedding, loaded.embed(cutouts))
    assert loaded.gives_features == hasattr(encoder, "encoding")
    if not loaded.gives_features:  # without a bottleneck, the embedding is all there is
        np.testing.assert_array_equal(encoding.features, encoding.embedding)
        return
    with torch.no_grad():
        features = encoder.encoder(torch.from_numpy(cutouts.flux), torch.from_numpy(cutouts.ebv))
    np.testing.assert_allclose(encoding.features, features, rtol=1e-4, atol=1e-4 * float(features.abs().max()))
    assert 0 < loaded.card.difference_from_torch["features"] < 1e-4


def test_the_exported_pdf_is_the_calibrated_one(exported):
    _, head, loaded = exported
    embedding = loaded.encode(spoilt_flux(), np.full(9, 0.02))
    with torch.no_grad():
        plain = head.head(torch.from_numpy(embedding)).softmax(dim=1).numpy()
    pdf = loaded.pdf(embedding)
    assert np.abs(pdf.p - plain).max() > 1e-3
    levels = head.levels.numpy()
    edge = int(np.argmax(plain[0].cumsum() > 0.5))
    wanted = np.interp(plain[:, : edge + 1].sum(axis=1), np.linspace(0, 1, len(levels)), levels)
    np.testing.assert_allclose(pdf.cdf(Z_EDGES[edge + 1]), wanted, atol=1e-4)


def test_a_batch_of_any_length_goes_through(exported):
    *_, model = exported
    flux = gaussian_cutouts(70).flux
    together = model.encode(flux, np.full(70, 0.02))
    for n in (1, 2, 65):
        alone = model.encode(flux[:n], np.full(n, 0.02))
        np.testing.assert_allclose(alone, together[:n], rtol=1e-3, atol=1e-5 * np.abs(together).max())


@pytest.mark.parametrize(
    "spoil",
    {
        "a band": lambda flux: flux[:, 1].fill(np.nan),
        "all but a pixel": lambda flux: flux.reshape(len(flux), -1)[:, 1:].fill(np.nan),
        "huge": lambda flux: np.multiply(flux, np.float32(1e30), out=flux),
        "negative": lambda flux: np.subtract(flux, np.float32(1e6), out=flux),
    }.items(),
    ids=lambda item: item[0],
)
def test_any_stamp_has_a_finite_pdf(exported, spoil):
    *_, model = exported
    cutouts = gaussian_cutouts(6, ebv=0.1)
    spoil[1](cutouts.flux)  # behind the door at which impossible values become missing ones
    pdf = model.pdf(model.embed(cutouts))
    assert np.isfinite(pdf.p).all()
    assert pdf.p.sum(axis=1) == pytest.approx(np.ones(6), abs=1e-5)


@pytest.mark.parametrize("value", [0.0, -9999.0, 1e30])
def test_a_stamp_without_data_has_no_embedding(exported, value):
    *_, model = exported
    flux = gaussian_cutouts(3).flux
    flux[1] = value
    assert np.isnan(model.encode(flux, np.full(3, 0.1))).all(axis=1).tolist() == [False, True, False]


def test_graphs_do_not_tell_where_they_were_made(exported):
    graphs = list(exported[-1].path.glob("*.onnx"))
    assert graphs
    assert not [graph for graph in graphs if b".py" in graph.read_bytes()]


def test_the_card_tells_of_the_graphs(exported):
    *_, model = exported
    import onnx

    graph = onnx.load(model.path / "encoder.onnx")
    onnx.checker.check_model(graph, full_check=True)
    assert graph.opset_import[0].version == model.card.opset
    assert model.card.z_edges == pytest.approx(Z_EDGES)
    assert model.card.bands == ["u", "g", "r", "i", "z"]
    assert model.card.encoder in SETTINGS.values()
    assert 0 < model.card.difference_from_torch["embedding"] < 1e-4
    assert 0 < model.card.difference_from_torch["pdf"] < 1e-5


def test_training_can_begin_with_an_exported_model(exported):
    encoder, _, model = exported
    settings, state = read_weights(model.path)
    again = make_encoder(**settings).eval()
    again.load_state_dict(state)
    flux, ebv = torch.from_numpy(spoilt_flux()), torch.full((9,), 0.02)
    with torch.no_grad():
        torch.testing.assert_close(again(flux, ebv), encoder(flux, ebv))


# What must not be


class Fickle(torch.nn.Module):
    """An encoder that is another one when it is exported."""

    image_size, embedding_dim = 64, 12

    def __init__(self, factor):
        super().__init__()
        self.factor = factor

    def forward(self, flux, ebv):
        factor = 1.0 if torch.compiler.is_exporting() else self.factor
        return (flux.nan_to_num().mean(dim=(2, 3)).repeat(1, 3)[:, :12] + ebv[:, None]) * factor


@pytest.mark.parametrize("factor", [1.01, float("nan")])
def test_a_graph_that_differs_from_torch_is_refused(tmp_path, factor):
    with pytest.raises(RuntimeError, match="do not give what torch gives"):
        export_model(Fickle(factor), torch.nn.Linear(12, 180), tmp_path / "test", card=CARD)
    assert not list(tmp_path.iterdir())


def test_a_model_is_not_overwritten_unasked(tmp_path):
    (tmp_path / "mine").mkdir()
    with pytest.raises(FileExistsError, match="mine exists"):
        export_model(*make_model(), tmp_path / "mine", card=CARD)
    (tmp_path / "mine" / "thesis.tex").write_text("the only copy")
    with pytest.raises(FileExistsError, match="mine exists and is not a model's folder"):
        export_model(*make_model(), tmp_path / "mine", card=CARD, overwrite=True)
    assert [path.name for path in tmp_path.rglob("*")] == ["mine", "thesis.tex"]


def test_no_half_model_is_left_and_a_whole_one_stays(tmp_path):
    export_model(Fickle(1.0), None, tmp_path / "model", card=CARD)
    before = sorted((file.name, file.read_bytes()) for file in (tmp_path / "model").iterdir())
    with pytest.raises(TypeError, match="not JSON serializable"):
        export_model(
            Fickle(1.0), None, tmp_path / "model", card=CARD.updated(metrics={"bias": object()}), overwrite=True
        )
    assert sorted((file.name, file.read_bytes()) for file in (tmp_path / "model").iterdir()) == before
    assert [file.name for file in tmp_path.iterdir()] == ["model"]


# An encoder alone


def test_an_encoder_alone_embeds_and_says_that_it_gives_no_redshifts(tmp_path):
    from astro_photz import embed, predict

    export_model(Fickle(1.0), None, tmp_path / "alone", card=CARD.updated(name="alone"))
    model = load_model(tmp_path / "alone")
    cutouts = gaussian_cutouts(3)
    assert embed(cutouts, model=model).shape == (3, Fickle.embedding_dim)
    with pytest.raises(ModelError, match=r"the model alone embeds images, but gives no redshifts.*finetune --init"):
        predict(cutouts, model=model)
    assert model.card.z_edges is None


# 8-bit integers


@pytest.fixture(scope="module")
def quantized(tmp_path_factory):
    """The bundled model in 8-bit integers, and what that was said to cost."""
    folder = tmp_path_factory.mktemp("quantized")
    for name, seed in (("train", 1), ("validation", 2)):
        redshift = np.random.default_rng(seed).uniform(0.05, 0.3, 200)
        gaussian_cutouts(200, seed=seed).write(folder / f"{name}.h5", specz_redshift=redshift)
    sets = {"stamps": folder / "train.h5", "validation": folder / "validation.h5"}
    return quantize_model(load_model(), folder / "int8", n_stamps=100, **sets), load_model(folder / "int8"), sets


def test_integers_give_nearly_the_same_redshifts(quantized):
    _, model, _ = quantized
    cutouts = gaussian_cutouts(100, seed=3)
    integers, floats = (one.pdf(one.encode(cutouts.flux, cutouts.ebv)).mean().round(6) for one in (model, load_model()))
    assert np.std(integers - floats) < 0.1 * np.std(floats)
    assert 0 < np.median(np.abs(integers - floats)) < 0.003


def test_only_convolutions_are_quantised_and_their_weights_are_bytes(quantized):
    import onnx

    graph = onnx.load(quantized[1].path / "encoder.onnx").graph
    made_by = {output: node for node in graph.node for output in node.output}
    inputs = [[made_by.get(name) for name in node.input[:2]] for node in graph.node if node.op_type == "Conv"]
    assert inputs
    assert all(node.op_type == "DequantizeLinear" for pair in inputs for node in pair)
    types = {constant.name: constant.data_type for constant in graph.initializer}
    assert {types[weight.input[0]] for _, weight in inputs} == {onnx.TensorProto.INT8}
    assert any(node.op_type == "Exp" for node in graph.node)  # dereddening, in float


def test_the_card_tells_what_integers_cost(quantized):
    loss, model, _ = quantized
    told = model.card.quantization
    assert model.name == f"{load_model().name}-int8"
    assert {name: told[name] for name in loss} == loss
    assert loss["sigma_mad_ratio"] == pytest.approx(loss["int8"]["sigma_mad"] / loss["float32"]["sigma_mad"], abs=1e-4)
    assert told["n_stamps"] == 100
    assert told["n_validation"] == 200
    assert model.card.metrics == {}  # of the floats
    assert json.dumps(model.card.entries())


def test_what_cannot_be_measured_is_not_quantised(quantized, tmp_path):
    *_, sets = quantized
    gaussian_cutouts(5).write(tmp_path / "unlabelled.h5")
    with pytest.raises(ValueError, match="specz_redshift"):
        quantize_model(load_model(), tmp_path / "int8", **sets | {"validation": tmp_path / "unlabelled.h5"})
    (tmp_path / "there").mkdir()
    with pytest.raises(FileExistsError, match="there exists"):
        quantize_model(load_model(), tmp_path / "there", **sets)
    assert not (tmp_path / "int8").exists()


def test_the_range_of_a_sorted_file_is_that_of_all_of_it(tmp_path):
    cutouts = gaussian_cutouts(400)
    cutouts = cutouts[np.argsort(cutouts.flux[:, 2].sum(axis=(1, 2)))]
    cutouts.write(tmp_path / "sorted.h5")
    whole, some = (training_range(tmp_path / "sorted.h5", labelled=False, n=n)["r_mag"] for n in (400, 100))
    assert np.diff(some) > 0.9 * np.diff(whole)


def test_galaxies_without_an_image_in_r_have_no_part_in_the_range(tmp_path):
    cutouts = gaussian_cutouts(100)
    cutouts[2:].write(tmp_path / "all.h5")
    cutouts.flux[:2, 2] = np.nan
    cutouts.write(tmp_path / "two_without.h5")
    files = (tmp_path / name for name in ("two_without.h5", "all.h5"))
    one, other = (training_range(path, labelled=False)["r_mag"] for path in files)
    assert one == other
