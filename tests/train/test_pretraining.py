# Licensed under a 3-clause BSD style license - see LICENSE
"""Whole pretrainings: from a recipe and a file to a folder."""

import json

import h5py
import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("lightning", exc_type=ImportError)
pytest.importorskip("onnxscript", exc_type=ImportError)

from small_runs import MACHINE, refused, small_recipe, write_stamps

from astro_photz import load_model
from astro_photz.testing.factories import gaussian_cutouts
from astro_photz.train import export_run, finetune, pretrain
from astro_photz.train.networks.weights import read_weights
from astro_photz.train.runs.folder import RunFolder


def test_a_pretraining_is_probed_before_and_after_each_epoch(pretrained):
    metrics = RunFolder(pretrained).metrics
    assert metrics["epochs"] == 3
    assert metrics["steps"] == 30
    assert [step for step, _ in metrics["probe_sigma_mad"]] == [0, 9, 19, 29]
    for name in ("uniformity", "alignment"):
        assert len(metrics[name]) == 3
    assert json.dumps(metrics)


def test_a_pretraining_stops_early_if_asked_to(data, tmp_path, monkeypatch):
    """The second epoch is better than the first, the third is not."""
    scatters = iter([0.04, 0.03, 0.02, 0.025])
    monkeypatch.setattr("astro_photz.train.tasks.probe.probe_scatter", lambda *_, **__: next(scatters))
    recipe = small_recipe("pretrain.epochs = 9", "pretrain.patience = 1")
    options = {"validation": data / "validation.h5", "machine": MACHINE}
    assert pretrain(recipe, data / "unlabelled.h5", tmp_path / "run", **options)["epochs"] == 3


def test_a_bottleneck_is_pretrained_exported_without_and_fine_tuned_with(data, tmp_path):
    flux = np.random.default_rng(0).uniform(10, 100, size=(160, 5))
    with h5py.File(write_stamps(tmp_path / "known.h5"), "r+") as file:
        file["catalog_flux"], file["catalog_radius"] = flux, np.full(160, 2.0)
    changes = ("encoder.bottleneck = 6", "pretrain.photometry = 'catalog'", "finetune.frozen = true")
    recipe = small_recipe("pretrain.epochs = 1", *changes)
    pretrain(recipe, tmp_path / "known.h5", tmp_path / "pretrained", machine=MACHINE)

    with pytest.raises(ValueError, match=r"int8 must not be set: .*pretrained is a pretraining"):
        export_run(tmp_path / "pretrained", tmp_path / "model", int8=True)
    export_run(tmp_path / "pretrained", tmp_path / "model")
    model = load_model(tmp_path / "model")
    assert model.card.encoder["bottleneck"] == 0
    assert model.encode(gaussian_cutouts(2).flux, np.zeros(2)).shape == (2, 8 * 4)  # the features of width 4

    validation, run = data / "validation.h5", tmp_path / "run"
    finetune(recipe, data / "train.h5", run, validation=validation, init=tmp_path / "pretrained", machine=MACHINE)
    before, after = read_weights(tmp_path / "pretrained")[1], read_weights(run)[1]
    changed = {name.partition(".")[0] for name, value in after.items() if not torch.equal(value, before[name])}
    assert changed == {"expand"}


def test_numbers_of_half_the_digits_teach_nearly_the_same(data, tmp_path):
    slowly = "pretrain.optimizer.learning_rate = 1e-4"  # small differences grow
    for precision in ("bf16-mixed", "32-true"):
        recipe = small_recipe(slowly, "pretrain.epochs = 2", f"pretrain.precision = {precision!r}")
        pretrain(recipe, data / "unlabelled.h5", tmp_path / precision, machine=MACHINE)
    half, full = (RunFolder(tmp_path / precision).curve("train_loss") for precision in ("bf16-mixed", "32-true"))
    assert half != full
    np.testing.assert_allclose(half, full, rtol=0.03)
    assert half[-1][1] < half[0][1]


def test_stamps_of_another_size_are_refused(data, tmp_path):
    gaussian_cutouts(32, size=64).write(tmp_path / "small.h5")
    with h5py.File(tmp_path / "small.h5", "r+") as file:
        images = file["images"][..., :48, :48]
        del file["images"]
        file["images"] = images
    with pytest.raises(ValueError, match="64"):
        refused(tmp_path, tmp_path / "run", kind="pretrain", stamps="small.h5", validation=data / "validation.h5")


def test_too_few_galaxies_to_probe_with_are_refused(data, tmp_path):
    few = write_stamps(tmp_path / "few.h5", 31)
    with pytest.raises(ValueError, match=r"few.h5 must have the 32 labelled galaxies .* got 31"):
        refused(data, tmp_path / "run", kind="pretrain", validation=few)


def test_similar_negatives_need_the_catalogue_that_tells_them(data, tmp_path):
    """Even where no task predicts it."""
    catalogue = ("pretrain.photometry_weight = 0.0", "pretrain.photometry = 'catalog'")
    recipe = small_recipe("pretrain.similar_negatives = 4", *catalogue)
    with pytest.raises(ValueError, match=r"has no catalog_flux .* predict or know similar galaxies by"):
        refused(data, tmp_path / "run", kind="pretrain", recipe=recipe)
