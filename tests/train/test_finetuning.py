# Licensed under a 3-clause BSD style license - see LICENSE
"""Whole fine-tunings: from a recipe, a file and weights to a folder; a batch in parts; and bad input."""

import os
import shutil
import subprocess
import sys
from dataclasses import replace

import h5py
import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("lightning", exc_type=ImportError)
pytest.importorskip("onnxscript", exc_type=ImportError)

from small_runs import MACHINE, finetuned, refused, small_recipe, weights_of, write_stamps

from astro_photz import load_model
from astro_photz.train import export_run, finetune, pretrain
from astro_photz.train.networks.weights import WEIGHTS, read_head, read_weights
from astro_photz.train.runs.folder import RunFolder
from astro_photz.train.tasks.redshift import RedshiftModel

# Fine-tuning


@pytest.mark.parametrize("frozen", [True, False])
def test_fine_tuning_begins_where_the_pretraining_ended(data, pretrained, tmp_path, frozen):
    recipe = small_recipe(f"finetune.frozen = {str(frozen).lower()}", "finetune.optimizer.weight_decay = 0.0")
    run = tmp_path / "run"
    metrics = finetune(
        recipe, data / "train.h5", run, validation=data / "validation.h5", init=pretrained, machine=MACHINE
    )
    assert len(metrics["val_sigma_mad"]) == 2
    before, after = read_weights(pretrained)[1], read_weights(run)[1]
    changed = {name for name, value in after.items() if not torch.equal(value, before[name])}
    assert bool(changed) is not frozen
    # a checkpoint, a folder and a file do as well
    for source in (pretrained / "checkpoints" / "last.ckpt", pretrained / WEIGHTS):
        assert all(torch.equal(value, before[name]) for name, value in read_weights(source)[1].items())


@pytest.mark.parametrize("keep", ["best", "last"])
def test_the_result_is_of_the_epoch_that_the_recipe_keeps(data, tmp_path, monkeypatch, keep):
    """Whatever a fine-tuning begins with: its last epoch is not the best here. So are the figures of the card."""
    first = tmp_path / "first"
    finetuned(data, first, monkeypatch, changes=[f"finetune.keep = {keep}"])
    finetuned(data, tmp_path / "again", monkeypatch, changes=[f"finetune.keep = {keep}"], init=first)
    for folder in (first, tmp_path / "again"):
        model = RedshiftModel(encoder=read_weights(folder)[0])
        model.encoder.load_state_dict(read_weights(folder)[1])
        model.head = read_head(folder)
        assert weights_of(folder)["global_step"] != weights_of(folder, "best")["global_step"]
        expected = weights_of(folder, keep)["state_dict"]
        torch.testing.assert_close(dict(model.state_dict()), dict(expected), rtol=0, atol=0)
    export_run(first, tmp_path / "model")
    ((told, figures),) = load_model(tmp_path / "model").card.metrics.items()
    assert told.endswith({"best": ", by which the epoch was chosen", "last": ", after the last epoch"}[keep])
    place = {"best": 1, "last": 3}[keep]
    assert figures["sigma_mad"] == pytest.approx(RunFolder(first).metrics["val_sigma_mad"][place][1], abs=1e-6)


def test_a_start_that_stays_the_best_is_told_from_the_first_step(data, tmp_path, monkeypatch):
    """Both are judged at step 0 where an epoch has one batch, and figures of the card are those of what was kept."""
    first = tmp_path / "first"
    finetuned(data, first, monkeypatch)
    changes = ["finetune.batch_size = 160", "finetune.epochs = 2", "finetune.optimizer.learning_rate = 1.0"]
    recipe = small_recipe(*changes)
    options = {"validation": data / "validation.h5", "init": first, "machine": MACHINE}
    metrics = finetune(recipe, data / "train.h5", tmp_path / "run", **options)
    losses = [loss for _, loss in metrics["val_loss"]]
    assert [step for step, _ in metrics["val_loss"]] == [0, 0, 1]
    assert losses[0] < min(losses[1:])
    torch.testing.assert_close(read_weights(tmp_path / "run")[1], read_weights(first)[1], rtol=0, atol=0)
    export_run(tmp_path / "run", tmp_path / "model")
    (figures,) = load_model(tmp_path / "model").card.metrics.values()
    assert figures["sigma_mad"] == pytest.approx(metrics["val_sigma_mad"][0][1], abs=1e-6)


def test_weights_to_begin_with_are_known_by_what_they_are(data, pretrained, tmp_path, monkeypatch):
    """Not by where they lie: others at the same place are not taken for them."""
    init, run = tmp_path / "init", tmp_path / "run"
    shutil.copytree(pretrained, init)
    metrics = finetuned(data, run, monkeypatch, init=init)
    init.rename(tmp_path / "moved")
    assert finetuned(data, run, monkeypatch, init=tmp_path / "moved") == metrics
    finetuned(data, init, monkeypatch)
    with pytest.raises(FileExistsError, match=r"holds a training that differs in init"):
        finetuned(data, run, monkeypatch, init=init)


def test_few_labels_are_a_part_of_more(data, tmp_path):
    run = tmp_path / "run"
    metrics = finetune(
        small_recipe(), data / "train.h5", run, validation=data / "validation.h5", n_labels=48, machine=MACHINE
    )
    assert metrics["steps"] == 2 * 3
    assert RunFolder(run).record.n_labels == 48


def test_training_stops_early_if_asked_to(data, tmp_path):
    recipe = small_recipe("finetune.epochs = 9", "finetune.patience = 1", "finetune.optimizer.learning_rate = 1.0")
    metrics = finetune(
        recipe, data / "train.h5", tmp_path / "run", validation=data / "validation.h5", n_labels=16, machine=MACHINE
    )
    assert metrics["epochs"] < 9


@pytest.mark.filterwarnings("ignore:the representation has collapsed")
@pytest.mark.parametrize("training", [pretrain, finetune])
def test_a_training_that_diverges_is_no_result(data, tmp_path, training):
    recipe = small_recipe(
        *(f"{kind}.optimizer.learning_rate = 1e30" for kind in ("pretrain", "finetune")),
        *(f"{kind}.gradient_clip = 0.0" for kind in ("pretrain", "finetune")),
        *(f"{kind}.optimizer.name = 'sgd'" for kind in ("pretrain", "finetune")),
        "finetune.epochs = 2",
    )
    with pytest.raises(ValueError, match=r"run: the training has diverged, weights are NaN: choose a lower"):
        training(recipe, data / "train.h5", tmp_path / "run", validation=data / "validation.h5", machine=MACHINE)
    assert RunFolder(tmp_path / "run").metrics is None
    assert not (tmp_path / "run" / WEIGHTS).exists()


# A batch in parts


def steady(*changes):
    """A recipe of which nothing depends on how a batch is shared: no chance, no normalisation within the batch."""
    recipe = small_recipe("finetune.frozen = true", "finetune.dropout = 0.0", *changes)
    return replace(recipe, finetune=replace(recipe.finetune, augment={}))


@pytest.fixture(scope="module")
def in_one(data, pretrained):
    """The head that a fine-tuning of whole batches ends with."""
    options = {"validation": data / "validation.h5", "init": pretrained, "machine": MACHINE}
    finetune(steady(), data / "train.h5", data / "in_one", **options)
    return head_of(data / "in_one")


def head_of(folder):
    state = weights_of(folder)["state_dict"]
    return {name: value for name, value in state.items() if name.startswith("head.")}


def test_gradients_add_up_to_those_of_the_whole_batch(data, pretrained, tmp_path, in_one):
    recipe = steady("finetune.batch_size = 8", "finetune.accumulate = 2")
    options = {"validation": data / "validation.h5", "init": pretrained, "machine": MACHINE}
    metrics = finetune(recipe, data / "train.h5", tmp_path / "run", **options)
    assert metrics["steps"] == RunFolder(data / "in_one").metrics["steps"]
    torch.testing.assert_close(head_of(tmp_path / "run"), in_one, rtol=1e-4, atol=1e-6)


TWO_PROCESSES = """
import sys
from astro_photz.train import Machine, Recipe, finetune

recipe, stamps, validation, pretrained, folder = sys.argv[1:]
machine = Machine(accelerator="cpu", devices=2, progress=False)
finetune(Recipe.read(recipe), stamps, folder, validation=validation, init=pretrained, machine=machine)
"""


def test_two_processes_are_fine_tuned_as_one(data, pretrained, tmp_path, in_one):
    (tmp_path / "recipe.toml").write_text(steady().as_toml())
    (tmp_path / "two.py").write_text(TWO_PROCESSES)
    launched = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"]
    files = [data / "train.h5", data / "validation.h5", pretrained, tmp_path / "run"]
    launched += [tmp_path / "two.py", tmp_path / "recipe.toml"]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    done = subprocess.run([*launched, *files], env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    torch.testing.assert_close(head_of(tmp_path / "run"), in_one, rtol=1e-4, atol=1e-6)
    losses = [RunFolder(folder).curve("val_loss") for folder in (tmp_path / "run", data / "in_one")]
    np.testing.assert_allclose(*losses, rtol=1e-5)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"stamps": "unlabelled.h5"}, "specz_redshift"),
        ({"stamps": "absent.h5"}, "absent.h5"),
        ({"recipe": "nonsense"}, "no recipe 'nonsense'"),
        ({"n_labels": 10_000}, "10000"),
        ({"init": "absent.ckpt"}, "no weights 'absent.ckpt'"),
        ({"kind": "pretrain", "recipe": small_recipe("pretrain.patience = 2"), "validation": None}, "patience needs"),
        ({"kind": "pretrain", "recipe": small_recipe("pretrain.batch_size = 32")}, "no queue of whole batches fits"),
        ({"recipe": small_recipe("finetune.frozen = true")}, "frozen must be false, or init be given"),
        (
            {"kind": "pretrain", "recipe": small_recipe("pretrain.photometry = 'catalog'")},
            "has no catalog_flux .*--set pretrain.photometry=apertures",
        ),
    ],
    ids=str,
)
def test_bad_input_is_told_before_anything_is_trained(data, tmp_path, options, message):
    with pytest.raises((OSError, ValueError), match=message):
        refused(data, tmp_path / "run", **options)


@pytest.mark.parametrize("value", [np.nan, -0.1, 0.5])
def test_labels_that_cannot_be_learnt_are_refused(data, tmp_path, value):
    with h5py.File(write_stamps(tmp_path / "wrong.h5", 32), "r+") as file:
        file["specz_redshift"][3] = value
    with pytest.raises(ValueError, match=r"specz_redshift must be .*row 3"):
        refused(tmp_path, tmp_path / "run", stamps="wrong.h5", validation=data / "validation.h5")


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_a_device_that_is_not_there_is_told(data, tmp_path):
    with pytest.raises(ValueError, match=r"machine cannot be had \(accelerator 'gpu', devices 1, nodes 1\)"):
        refused(data, tmp_path / "run", machine=replace(MACHINE, accelerator="gpu"))
