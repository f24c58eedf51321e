# Licensed under a 3-clause BSD style license - see LICENSE
"""A model and a sample of one's own: what a few labels teach it, what they must not spoil, and what is refused."""

import json

import h5py
import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("lightning", exc_type=ImportError)
pytest.importorskip("onnxscript", exc_type=ImportError)

from astro_photz import load_model, metrics
from astro_photz.cli import main
from astro_photz.cutouts import Cutouts
from astro_photz.pdf import RedshiftPDF
from astro_photz.testing.factories import gaussian_cutouts
from astro_photz.train import Machine, Recipe, adapt, export_run, finetune, make_encoder
from astro_photz.train.networks.heads import Z_EDGES, CalibratedHead
from astro_photz.train.networks.weights import WEIGHTS, read_head, read_weights, write_weights
from astro_photz.train.runs.folder import RunFolder
from astro_photz.train.tasks.calibration import calibrate
from astro_photz.train.tasks.shift import fit_shift

CENTRES = torch.tensor((Z_EDGES[1:] + Z_EDGES[:-1]) / 2, dtype=torch.float32)
WIDTH = 0.015
OFFSET = torch.tensor([0.0, 0.3, 0.0, -0.2, 0.0, 0.0, 0.0, 0.0])


def make_head():
    """A head that reads Gaussian PDFs off the sum of eight numbers of order one."""
    head = torch.nn.Linear(8, 180)
    with torch.no_grad():  # -(c - mu)^2 / 2 w^2, but for what all bins share
        head.weight[:] = (0.05 * CENTRES / WIDTH**2)[:, None]
        head.bias[:] = CENTRES * 0.2 / WIDTH**2 - CENTRES**2 / (2 * WIDTH**2)
    return head


def make_sample(n, *, offset=None, seed=0):
    """Embeddings, all of them with an offset, and redshifts with the scatter that the head claims."""
    generator = torch.Generator().manual_seed(seed)
    embedding = 0.3 * torch.randn(n, 8, generator=generator)
    redshift = 0.2 + 0.05 * embedding.sum(dim=1) + WIDTH * torch.randn(n, generator=generator)
    return embedding + (0 if offset is None else offset), redshift.clamp(0, 0.399)


@torch.no_grad()
def judge(head, *, offset=None):
    embedding, redshift = make_sample(5000, offset=offset, seed=99)
    pdf = RedshiftPDF(head(embedding).softmax(dim=1).numpy(), Z_EDGES)
    return metrics.summary(metrics.score(pdf, redshift.numpy()))


# The shift


@pytest.mark.parametrize("levels", [None, np.linspace(0, 1, 257) ** 1.2], ids=["plain", "recalibrated"])
def test_an_offset_of_all_embeddings_is_found(levels):
    head = make_head() if levels is None else CalibratedHead(make_head(), levels)
    clean = judge(head)
    adapted, report = fit_shift(head, *make_sample(200, offset=3 * OFFSET))
    before, after = (judge(one, offset=3 * OFFSET) for one in (head, adapted))
    assert report["width"] > 0
    assert report["gain"] > 2 * report["gain_err"]
    assert abs(after["bias"]) < 0.25 * abs(before["bias"])
    assert after["crps"] < 0.9 * before["crps"]
    assert after["crps"] < 1.05 * clean["crps"]


def test_a_model_that_fits_stays_what_it_is():
    head, spoilt = make_head(), 0
    before = judge(head)["crps"]
    for seed in range(5):
        adapted, report = fit_shift(head, *make_sample(200, seed=seed))
        assert judge(adapted)["crps"] < 1.02 * before
        spoilt += report["width"] > 0
    assert spoilt <= 2


def test_views_of_one_galaxy_teach_no_more_than_one_does():
    views = [one.repeat_interleave(9, dim=0) for one in make_sample(150, offset=4 * OFFSET)]
    groups = np.repeat(np.random.default_rng(0).permutation(150), 9)
    taken_for_1350, of_150 = (fit_shift(make_head(), *views, groups=given)[1] for given in (None, groups))
    assert of_150["gain_err"] == pytest.approx(3 * taken_for_1350["gain_err"], rel=0.3)
    assert of_150["gain"] < taken_for_1350["gain"]  # its other views have taught what a galaxy has to itself


def test_the_given_head_is_not_changed_and_the_same_seed_gives_the_same():
    head, sample = make_head(), make_sample(100, offset=OFFSET)
    bias = head.bias.detach().clone()
    first, again = (fit_shift(head, *sample)[0] for _ in range(2))
    assert torch.equal(head.bias, bias)
    assert torch.equal(first.bias, again.bias)
    assert torch.equal(first.weight, head.weight)


def test_a_head_that_is_right_is_not_calibrated_by_chance():
    taken = [calibrate(make_head(), *make_sample(100, seed=seed))[1]["temperature"] != 1 for seed in range(10)]
    assert sum(taken) <= 1  # one in a hundred is by chance


def test_two_recalibrations_make_one():
    head = CalibratedHead(make_head(), np.linspace(0, 1, 257) ** 2)
    calibrated, report = calibrate(head, *make_sample(2000))
    assert report["recalibrated"]
    assert isinstance(calibrated.head, torch.nn.Linear)
    assert judge(calibrated)["pit_ks"] < 0.03 < judge(head)["pit_ks"]


# A sample in a file


def write_sample(path, n=240, *, seed=0, labels=True):
    """Galaxies whose redshifts are what the bundled model says, and 0.02 more."""
    cutouts, model = gaussian_cutouts(n, seed=seed), load_model("bundled")
    said = model.pdf(model.encode(cutouts.flux, cutouts.ebv)).mean()
    noise = np.random.default_rng(seed).normal(0, 0.01, n)
    cutouts.write(path, **({"specz_redshift": np.clip(said + 0.02 + noise, 0, 0.39)} if labels else {}))
    return path


@pytest.fixture(scope="module")
def sample(tmp_path_factory):
    return write_sample(tmp_path_factory.mktemp("sample") / "mine.h5")


@pytest.fixture(scope="module")
def adapted(sample):
    """The folder of an adaptation."""
    adapt(sample, sample.parent / "adapted")
    return sample.parent / "adapted"


def test_the_bundled_weights_are_those_of_its_graphs():
    settings, state = read_weights("bundled")
    encoder, head, model = make_encoder(**settings).eval(), read_head("bundled"), load_model("bundled")
    encoder.load_state_dict(state)
    cutouts = gaussian_cutouts(8)
    cutouts.flux[0, 2] = np.nan
    with torch.no_grad():
        embedding = encoder(torch.from_numpy(cutouts.flux), torch.from_numpy(cutouts.ebv))
        pdf = head(embedding).softmax(dim=1).numpy()
    graph = model.encode(cutouts.flux, cutouts.ebv)
    assert np.abs(embedding.numpy() - graph).max() < 1e-5 * np.abs(graph).max()
    assert np.abs(pdf - model.pdf(graph).p).max() < 1e-5


def test_a_few_labels_take_the_bias_of_the_bundled_model_away(adapted):
    run = RunFolder(adapted)
    assert run.record.origin.name == "sim-small-v1"
    assert run.metrics["shift"]["n"] == 140  # 100 of 240 are held out
    assert run.metrics["after"]["n"] == 100
    assert run.metrics["before"]["bias"] < -0.01
    assert abs(run.metrics["after"]["bias"]) < 0.3 * abs(run.metrics["before"]["bias"])


def test_what_is_adapted_becomes_a_model_that_says_where_it_began(sample, adapted, tmp_path):
    export_run(adapted, tmp_path / "mine", card={"survey": "mine"})
    model = load_model(tmp_path / "mine")
    assert model.card.training_data["description"] == "140 observed stamps with redshifts, from the weights of " + (
        "sim-small-v1"
    )
    assert model.card.others["survey"] == "mine"
    assert model.trained_on == "simulated images, then real images"
    assert any("began with the weights of sim-small-v1" in limit for limit in model.card.limits)
    assert model.card.training_range["redshift"][1] >= load_model("bundled").card.training_range["redshift"][1]
    cutouts = Cutouts.read(sample)
    old, new = (one.pdf(one.encode(cutouts.flux, cutouts.ebv)).mean() for one in (load_model("bundled"), model))
    assert 0.01 < np.median(new - old) < 0.03
    adapt(sample, tmp_path / "again", init=tmp_path / "mine")  # and can be begun with
    export_run(tmp_path / "again", tmp_path / "ours")
    card = load_model(tmp_path / "ours").card
    assert (card.simulated, card.origin["name"], card.origin["simulated"]) == (False, "mine", True)
    assert any("began with the weights of mine" in limit for limit in card.limits)


def test_what_integers_cost_is_measured_on_galaxies_that_were_held_out(adapted, tmp_path):
    (tmp_path / "mine-int8").mkdir()
    with pytest.raises(FileExistsError, match=r"mine-int8 exists: choose another path"):
        export_run(adapted, tmp_path / "mine", int8=True)
    assert not (tmp_path / "mine").exists()
    (tmp_path / "mine-int8").rmdir()
    report = export_run(adapted, tmp_path / "mine", int8=True)
    told = load_model(tmp_path / "mine-int8").card.quantization
    assert told["n_validation"] == 100
    assert report["int8"]["sigma_mad_ratio"] == told["sigma_mad_ratio"]


def test_the_same_command_again_does_nothing_and_another_is_refused(sample, adapted):
    before = (adapted / WEIGHTS).stat().st_mtime_ns
    assert adapt(sample, adapted) == RunFolder(adapted).metrics
    assert (adapted / WEIGHTS).stat().st_mtime_ns == before
    with pytest.raises(FileExistsError, match=r"differs in seed: choose another folder"):
        adapt(sample, adapted, seed=1)


def test_the_whole_network_begins_with_the_head_and_keeps_it_if_nothing_is_better(sample, tmp_path):
    spoilt = Recipe.read("gentle", changes=["finetune.epochs = 1", "finetune.optimizer.learning_rate = 30.0"])
    machine = Machine(accelerator="cpu", devices=1, progress=False)
    finetune(spoilt, sample, tmp_path / "run", init="bundled", machine=machine)
    run = RunFolder(tmp_path / "run")
    losses = [loss for _, loss in run.metrics["val_loss"]]
    assert losses[0] < losses[1]
    assert torch.equal(read_head(run.path).weight, read_head("bundled").weight)
    assert run.record.held_out == 100
    assert run.recipe.encoder == read_weights("bundled")[0]


# What is refused


def test_bad_samples_are_told_at_the_start(sample, tmp_path):
    unlabelled = write_sample(tmp_path / "unlabelled.h5", 120, labels=False)
    few = write_sample(tmp_path / "few.h5", 150)
    wrong = write_sample(tmp_path / "wrong.h5", 220)
    with h5py.File(wrong, "r+") as file:
        file["specz_redshift"][5] = np.nan
    empty = write_sample(tmp_path / "empty.h5", 1)
    with h5py.File(empty, "r+") as file:
        for name in list(file):
            rows = file[name][:0]
            del file[name]
            file[name] = rows
    encoder_only = tmp_path / "pretrained.safetensors"
    settings, state = read_weights("bundled")
    encoder = make_encoder(**settings)
    encoder.load_state_dict(state)
    write_weights(encoder_only, encoder, settings)
    for data, options, message in (
        (tmp_path / "absent.h5", {}, "absent.h5"),
        (unlabelled, {}, "lacks the data set specz_redshift"),
        (wrong, {}, r"specz_redshift must be .*row 5"),
        (empty, {}, "there is no stamp in it"),
        (few, {}, "150 galaxies are too few: without a file for validation, 100 are held out"),
        (few, {"validation": tmp_path / "few.h5", "n_labels": 10}, "at least 20 galaxies to learn from, got 10"),
        (sample, {"validation": write_sample(tmp_path / "tiny.h5", 30)}, "30 galaxies are too few: a calibration"),
        (sample, {"init": encoder_only}, "has no redshift head to adapt: train one, by a recipe"),
        (sample, {"init": "absent"}, "no weights 'absent'"),
        (sample, {"n_labels": 200}, "from 1 to the 140 galaxies of .*besides 100 that are held out, got 200"),
    ):
        with pytest.raises((OSError, ValueError), match=message):
            adapt(data, tmp_path / "run", **options)
        assert not (tmp_path / "run" / "metrics.json").exists()


def test_what_an_adaptation_begins_with_is_not_overwritten(sample, adapted):
    before = (adapted / WEIGHTS).read_bytes()
    with pytest.raises(ValueError, match=r"would be overwritten with .*: choose another folder"):
        adapt(sample, adapted, init=adapted, overwrite=True)
    assert (adapted / WEIGHTS).read_bytes() == before


def test_a_recipe_without_an_encoder_needs_something_to_begin_with(sample, tmp_path):
    with pytest.raises(ValueError, match=r"'gentle' has no table \[encoder\]: give it one, or init"):
        finetune("gentle", sample, tmp_path / "run")


def test_the_command_adapts(sample, tmp_path, capsys):
    assert main(["adapt", str(sample), str(tmp_path / "run"), "--init", "bundled"]) == 0
    said = capsys.readouterr().err
    assert "learnt a shift of the embedding from 140 galaxies; on the 100 for validation" in said
    assert f"astro-photz export {tmp_path / 'run'} MODEL" in said
    assert json.loads((tmp_path / "run" / "metrics.json").read_text())["after"]["n"] == 100


@pytest.mark.parametrize(("init", "advised"), [("bundled", True), ("encoder alone", False), (None, False)])
def test_fine_tuning_a_model_with_few_labels_names_the_command_that_adapts(
    sample, tmp_path, capsys, monkeypatch, init, advised
):
    if init == "encoder alone":
        settings = {"kind": "resnet18", "width": 4}
        init = str(tmp_path / "encoder.safetensors")
        write_weights(init, make_encoder(**settings), settings)
    given = {}
    monkeypatch.setattr("astro_photz.train.finetune", lambda *_, **options: given.update(options))
    assert main(["finetune", str(sample), str(tmp_path / "run"), *(["--init", init] if init else [])]) == 0
    assert given["init"] == init  # which is trained by the recipe none the less
    said = "240 labels are few to train a network with: astro-photz adapt takes seconds, and may do better\n"
    assert capsys.readouterr().err == (said if advised else "")
