# Licensed under a 3-clause BSD style license - see LICENSE
"""Training: a network that is symmetric by construction, its data, its calibration, and its way into ONNX."""

import json

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("lightning", exc_type=ImportError)
pytest.importorskip("onnxscript", exc_type=ImportError)

from astro_photz import Cutouts, RedshiftPDF, load_model
from astro_photz.train import (
    LabelledStamps,
    RedshiftModel,
    evaluate,
    export_model,
    fit_temperature,
    fold_temperature,
    loader,
)
from astro_photz.train.augment import JitterCrop, MissingPixels
from astro_photz.train.encoder import AperturePhotometry, PixelScaling, asinh
from astro_photz.train.redshift import Z_EDGES, soft_labels
from astro_photz.train.symmetry import ORIENTATIONS, SymmetricConv, turned

CARD = {
    "name": "test",
    "version": "0",
    "simulated": True,
    "training_data": {"description": "none"},
    "metrics": {},
    "calibration": {},
    "limits": [],
}


def make_flux(n=6, *, size=64, seed=0):
    """Noise with a round source in the middle, brighter in some stamps than in others."""
    rng = np.random.default_rng(seed)
    rows, columns = np.mgrid[:size, :size] - (size - 1) / 2
    source = np.exp(-np.hypot(rows, columns) / 3)
    colours = rng.uniform(0.2, 3.0, size=(n, 5, 1, 1))
    return (0.05 * rng.standard_normal((n, 5, size, size)) + colours * source).astype(np.float32)


def make_model(*, seed=0, **options):
    """A small network whose normalisations have seen some data, so that none is the identity."""
    torch.manual_seed(seed)
    model = RedshiftModel(fields=2, embedding_dim=16, half_precision=False, **options)
    model.train()
    with torch.no_grad():
        for _ in range(3):
            model(torch.from_numpy(make_flux(16)), torch.full((16,), 0.03))
    return model.eval()


def write_stamps(path, n=12, *, size=68, **columns):
    columns = {"specz_redshift": np.linspace(0.05, 0.3, n)} | columns
    Cutouts(make_flux(n, size=size), ebv=np.linspace(0, 0.1, n)).write(path, **columns)
    return path


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    """A model and what was exported of it."""
    model = make_model()
    path = tmp_path_factory.mktemp("models") / "test"
    export_model(model.encoder, model.head, path, card=CARD)
    return model, load_model(path)


# Symmetry


@pytest.mark.parametrize("orientation", ORIENTATIONS)
@pytest.mark.parametrize("training", [True, False])
def test_the_embedding_does_not_see_how_a_galaxy_lies(orientation, training):
    encoder = make_model().encoder.train(training)
    encoder.shape_dropout = 0.0  # not at random
    flux = torch.from_numpy(make_flux())
    ebv = torch.full((len(flux),), 0.05)
    with torch.no_grad():
        straight, moved = encoder(flux, ebv), encoder(turned(flux, orientation), ebv)
    torch.testing.assert_close(moved, straight, rtol=1e-3, atol=1e-4)
    assert straight.std(dim=0).max() > 1e-2  # and not because it sees nothing


def bar_and_cross():
    """Two galaxies of equal light in any circle."""
    rows, columns = np.mgrid[:64, :64] - 31.5
    bar = np.exp(-0.5 * ((rows / 1.5) ** 2 + (columns / 8) ** 2))
    return torch.tensor(np.stack([bar, (bar + bar.T) / 2])[:, None].repeat(5, axis=1), dtype=torch.float32) * 3


def test_the_embedding_sees_more_than_the_light_in_circles():
    model, flux = make_model(), bar_and_cross()
    with torch.no_grad():
        measured = model.encoder.photometry(model.encoder.scaling(flux, torch.zeros(2)))
        embedding = model.encoder(flux, torch.zeros(2))
    torch.testing.assert_close(measured[0], measured[1], rtol=1e-4, atol=1e-4)
    assert (embedding[0] - embedding[1]).abs().max() > 1e-2


def test_shapes_are_dropped_in_training_only():
    encoder, flux = make_model().encoder, bar_and_cross()
    encoder.shape_dropout = 1.0
    differences = []
    for training in (True, False):
        encoder.train(training)
        encoder.colours.eval()  # statistics of a batch of two are none
        with torch.no_grad():
            embedding = encoder(flux, torch.zeros(2))
        differences.append(float((embedding[0] - embedding[1]).abs().max()))
    assert differences[0] < 1e-4 < 1e-2 < differences[1]


@pytest.mark.parametrize(("kernel_size", "stride"), [(3, 2), (4, 1)])
def test_windows_that_favour_a_corner_are_refused(kernel_size, stride):
    with pytest.raises(ValueError, match=r"kernel_size must be odd with stride 1 and even with stride 2"):
        SymmetricConv(1, 1, kernel_size, stride=stride)


def test_folding_the_normalisation_changes_nothing():
    torch.manual_seed(0)
    layer = SymmetricConv(2, 3, 3)
    x = torch.randn(64, 16, 8, 8)
    layer.norm.momentum = None
    with torch.no_grad():
        trained = layer.train()(x)
        torch.testing.assert_close(layer.eval()(x), trained, rtol=1e-3, atol=1e-3)


# Pixels


def test_dust_that_is_known_of_changes_nothing():
    flux, ebv = torch.from_numpy(make_flux()), torch.full((6,), 0.03)
    scaling = PixelScaling()
    dust = torch.exp(-0.2 * scaling.exponent)[:, None, None]
    torch.testing.assert_close(scaling(flux * dust, ebv + 0.2), scaling(flux, ebv), rtol=1e-5, atol=1e-6)


def test_asinh_is_asinh():
    x = torch.cat([torch.linspace(-30, 30, 1001), torch.tensor([1e8, -1e8, 1e-6])])
    torch.testing.assert_close(asinh(x), torch.asinh(x.double()).float(), rtol=1e-6, atol=1e-9)


def test_apertures_have_noise_of_one():
    noise = torch.randn(2000, 5, 64, 64, generator=torch.Generator().manual_seed(0))
    photometry = AperturePhotometry(64)
    # that of the sky around, which is taken off, adds to it in the largest
    assert torch.sinh(photometry(noise)).std(dim=0).view(5, 4)[:, :3] == pytest.approx(np.ones((5, 3)), abs=0.1)


def test_what_sky_subtraction_left_is_no_light_of_the_galaxy():
    photometry = AperturePhotometry(64)
    scaled = 0.7 * torch.randn(8, 5, 64, 64, generator=torch.Generator().manual_seed(0))
    scaled[:, :, 28:36, 28:36] += 5
    scaled[:, :, :6, 50:] += 100  # a neighbour
    measured = torch.sinh(photometry(scaled))
    torch.testing.assert_close(torch.sinh(photometry(scaled + 0.3)), measured, rtol=0.01, atol=1.0)
    assert 0.3 * photometry.weights[3].sum() > 10  # which it would have been taken for


@pytest.mark.parametrize(
    "spoil",
    {
        "a band": lambda flux: flux[:, 1].fill_(torch.nan),
        "all but a pixel": lambda flux: flux.view(len(flux), -1)[:, 1:].fill_(torch.nan),
        "huge": lambda flux: flux.mul_(1e30),
        "negative": lambda flux: flux.sub_(1e6),
    }.items(),
    ids=lambda item: item[0],
)
def test_any_stamp_has_a_finite_pdf(exported, spoil):
    _, model = exported
    flux = torch.from_numpy(make_flux())
    spoil[1](flux)
    pdf = model.pdf(model.encode(flux.numpy(), np.full(6, 0.1)))
    assert np.isfinite(pdf.p).all()
    assert pdf.p.sum(axis=1) == pytest.approx(np.ones(6), abs=1e-5)


# Augmentation


def test_jitter_moves_by_whole_pixels_and_only_in_training():
    flux = torch.arange(68 * 68, dtype=torch.float32).reshape(1, 1, 68, 68).expand(50, 5, 68, 68)
    crop = JitterCrop(64, 2)
    torch.manual_seed(0)
    corners = crop.train()(flux)[:, :, 0, 0]
    rows, columns = torch.div(corners[:, 0], 68, rounding_mode="floor"), corners[:, 0] % 68
    assert set(rows.tolist()) == set(columns.tolist()) == {0.0, 1.0, 2.0, 3.0, 4.0}
    assert (corners == corners[:, :1]).all()  # all bands alike
    torch.testing.assert_close(crop.eval()(flux), flux[..., 2:66, 2:66])


def test_jitter_keeps_within_the_stamp():
    flux = torch.zeros(2, 5, 64, 64)
    assert JitterCrop(64, 5).train()(flux).shape == flux.shape
    with pytest.raises(ValueError, match=r"stamps must have at least 64 pixels a side, got 32"):
        JitterCrop(64, 2)(torch.zeros(1, 5, 32, 32))


def test_pixels_go_missing_only_in_training():
    flux = torch.zeros(400, 5, 64, 64)
    missing = MissingPixels(band=0.1, edge=0.2)
    torch.manual_seed(0)
    lost = torch.isnan(missing.train()(flux))
    assert lost.all(dim=(2, 3)).any(dim=1).float().mean() == pytest.approx(0.1, abs=0.05)
    assert lost[:, :, 0, -1].all(dim=1).float().mean() == pytest.approx(0.2, abs=0.06)
    assert not lost[:, :, :, :32].all(dim=(1, 2, 3)).any()
    assert not torch.isnan(missing.eval()(flux)).any()


# Labels and data


def test_labels_are_centred_on_the_redshift():
    redshift = torch.tensor([0.1, 0.2345, 0.3])
    labels = soft_labels(redshift, width=0.004)
    centres = torch.tensor((Z_EDGES[1:] + Z_EDGES[:-1]) / 2, dtype=torch.float32)
    torch.testing.assert_close(labels @ centres, redshift, rtol=0, atol=1e-5)
    torch.testing.assert_close(labels.sum(dim=1), torch.ones(3))


def test_redshifts_beyond_the_grid_go_into_its_last_bin():
    assert soft_labels(torch.tensor([0.7]), width=1e-4)[0, -1] == pytest.approx(1)


@pytest.mark.parametrize("in_memory", [True, False])
def test_batches_keep_images_and_redshifts_together(tmp_path, in_memory):
    path = write_stamps(tmp_path / "stamps.h5")
    redshift = LabelledStamps(path).redshift
    seen = []
    for batch in loader(path, batch_size=4, shuffle=True, seed=1, in_memory=in_memory):
        for flux, ebv, z in zip(batch["flux"], batch["ebv"], batch["redshift"], strict=True):
            row = int(np.argmin(np.abs(redshift - float(z))))
            seen.append(row)
            np.testing.assert_array_equal(flux, make_flux(12, size=68)[row])
            assert float(ebv) == pytest.approx(np.linspace(0, 0.1, 12)[row], abs=1e-6)
    assert sorted(seen) == list(range(12))
    assert seen != sorted(seen)


@pytest.mark.parametrize("wrong", [np.nan, -0.1])
def test_labels_that_are_none_are_refused(tmp_path, wrong):
    redshift = np.full(12, 0.1)
    redshift[7] = wrong
    path = write_stamps(tmp_path / "stamps.h5", specz_redshift=redshift)
    with pytest.raises(ValueError, match=r"specz_redshift must be a number of 0 or more.*; 1 are not.*row 7"):
        LabelledStamps(path)


def test_a_file_without_labels_is_refused(tmp_path):
    path = tmp_path / "stamps.h5"
    Cutouts(make_flux(), ebv=0.02).write(path)
    with pytest.raises(ValueError, match="specz_redshift"):
        LabelledStamps(path)


# Training


@pytest.mark.filterwarnings("ignore")  # Lightning's advice on workers and loggers
def test_a_network_learns_redshift_from_colour(tmp_path):
    import lightning

    rng = np.random.default_rng(0)
    n = 512
    redshift = rng.uniform(0.02, 0.38, size=n)
    flux = make_flux(n, size=64)
    flux[:, 1] = flux[:, 2] * (1 - 2 * redshift[:, None, None])
    path = tmp_path / "stamps.h5"
    Cutouts(flux, ebv=0.02).write(path, specz_redshift=redshift)

    lightning.seed_everything(0, verbose=False)
    model = RedshiftModel(fields=1, embedding_dim=32, learning_rate=1e-2, half_precision=False)
    batches = loader(path, batch_size=64, shuffle=True)
    trainer = lightning.Trainer(
        accelerator="cpu",
        max_epochs=12,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
    )
    trainer.fit(model, batches, loader(path, batch_size=256))
    scatter = float(trainer.callback_metrics["val_sigma_mad"])
    assert scatter < 0.5 * 1.4826 * np.median(np.abs(redshift - np.median(redshift))) / 1.2


# Quality and calibration


def test_scores_of_perfect_and_of_useless_pdfs():
    rng = np.random.default_rng(0)
    redshift = rng.uniform(0, 0.4, size=2000)
    bins = (redshift / 0.4 * 180).astype(int)
    perfect = evaluate(RedshiftPDF(np.eye(180)[bins], Z_EDGES), redshift)
    assert perfect["sigma_mad"] < 0.002
    assert perfect["eta"] == 0
    useless = evaluate(RedshiftPDF(np.full((2000, 180), 1 / 180), Z_EDGES), redshift)
    assert useless["coverage68"] == pytest.approx(0.68, abs=0.03)
    assert useless["pit_ks"] < 0.04
    assert useless["crps"] > 20 * perfect["crps"]


@pytest.mark.parametrize("temperature", [0.5, 1.0, 3.0])
def test_calibration_finds_how_sure_the_scores_are_of_themselves(temperature):
    generator = torch.Generator().manual_seed(0)
    scores = 2 * torch.randn(4000, 180, generator=generator)
    drawn = torch.multinomial(scores.softmax(dim=1), 1, generator=generator)[:, 0]
    redshift = (drawn + 0.5) * 0.4 / 180
    assert fit_temperature(temperature * scores, redshift) == pytest.approx(temperature, rel=0.03)


def test_a_folded_temperature_is_in_the_head():
    head = torch.nn.Linear(4, 180)
    x = torch.randn(3, 4)
    before = head(x)
    fold_temperature(head, 1.7)
    torch.testing.assert_close(head(x), before / 1.7)


# Export


def test_onnx_gives_what_torch_gives(exported):
    model, loaded = exported
    flux, ebv = make_flux(9, seed=3), np.linspace(0, 0.3, 9, dtype=np.float32)
    flux[2, 0] = np.nan
    with torch.no_grad():
        embedding = model.encoder(torch.from_numpy(flux), torch.from_numpy(ebv))
        pdf = model.head(embedding).softmax(dim=1).numpy()
    scale = float(embedding.abs().max())
    np.testing.assert_allclose(loaded.encode(flux, ebv), embedding, rtol=1e-4, atol=1e-4 * scale)
    np.testing.assert_allclose(loaded.pdf(loaded.encode(flux, ebv)).p, pdf, atol=1e-5)


def test_a_batch_of_any_length_goes_through(exported):
    _, model = exported
    flux = make_flux(70)
    together = model.encode(flux, np.full(70, 0.02))
    for n in (1, 2, 65):
        np.testing.assert_allclose(model.encode(flux[:n], np.full(n, 0.02)), together[:n], rtol=1e-3, atol=1e-4)


def test_the_card_tells_of_the_graphs(exported):
    _, model = exported
    import onnx

    graph = onnx.load(model.path / "encoder.onnx")
    onnx.checker.check_model(graph)
    assert graph.opset_import[0].version == model.card["opset"]
    assert model.card["z_edges"] == pytest.approx(Z_EDGES)
    assert model.card["bands"] == ["u", "g", "r", "i", "z"]
    assert 0 < model.card["difference_from_torch"]["embedding"] < 1e-4
    assert 0 < model.card["difference_from_torch"]["pdf"] < 1e-5


def test_a_graph_that_differs_from_torch_is_refused(tmp_path):
    class Fickle(torch.nn.Module):
        image_size, embedding_dim = 64, 12

        def forward(self, flux, ebv):
            return (flux.nan_to_num().mean(dim=(2, 3)).repeat(1, 3)[:, :12] + ebv[:, None]) * (
                1.0 if torch.compiler.is_exporting() else 1.01
            )

    with pytest.raises(RuntimeError, match="do not give what torch gives"):
        export_model(Fickle(), torch.nn.Linear(12, 180), tmp_path / "test", card=CARD)
    assert not (tmp_path / "test").exists()


def test_a_model_is_not_overwritten_unasked(tmp_path):
    model = make_model()
    (tmp_path / "mine").mkdir()
    with pytest.raises(FileExistsError, match="mine exists"):
        export_model(model.encoder, model.head, tmp_path / "mine", card=CARD)


def test_no_half_model_is_left(tmp_path):
    model = make_model()
    with pytest.raises(TypeError, match="not JSON serializable"):
        export_model(model.encoder, model.head, tmp_path / "new", card=CARD | {"metrics": object()})
    assert not (tmp_path / "new").exists()


# The bundled model


def test_the_bundled_model_says_that_it_was_trained_on_simulations():
    card = load_model().card
    assert card["simulated"] is True
    assert "imulated" in card["training_data"]["description"]
    assert any("simulated images only" in limit for limit in card["limits"])
    assert json.dumps(card)
    (metrics,) = card["metrics"].values()
    assert {"sigma_mad", "bias", "eta", "crps", "coverage68", "coverage95"} <= metrics.keys()


def demo():
    from astro_photz import demo_path

    return Cutouts.read(demo_path())


def test_the_bundled_model_does_not_see_how_a_galaxy_lies():
    cutouts, model = demo(), load_model()
    straight = model.pdf(model.encode(cutouts.flux, cutouts.ebv))
    for moved in (np.rot90(cutouts.flux, axes=(2, 3)), cutouts.flux[..., ::-1]):
        pdf = model.pdf(model.encode(moved, cutouts.ebv))
        assert (np.abs(pdf.mean() - straight.mean()) < 0.3 * straight.std()).all()


def test_the_bundled_model_does_not_see_dust_that_is_known_of():
    cutouts, model = demo(), load_model()
    from astro_photz.sdss import R_UGRIZ

    dust = 10 ** (-0.4 * 0.2 * R_UGRIZ[:, None, None])
    clear = model.pdf(model.encode(cutouts.flux, cutouts.ebv)).mean()
    dusty = model.pdf(model.encode(cutouts.flux * dust, cutouts.ebv + 0.2)).mean()
    assert np.abs(dusty - clear).max() < 1e-4
    unknown = model.pdf(model.encode(cutouts.flux * dust, cutouts.ebv)).mean()
    assert np.abs(unknown - clear).max() > 1e-3


def test_the_demonstration_set_is_simulated_and_spread_in_redshift():
    import h5py

    from astro_photz import demo_path

    with h5py.File(demo_path()) as file:
        assert file.attrs["simulated"]
        assert "imulated" in file.attrs["description"]
        redshift = file["specz_redshift"][()]
    assert len(redshift) == 24
    assert redshift.min() < 0.05
    assert redshift.max() > 0.3
    assert np.isfinite(demo().flux).all()
