# Licensed under a 3-clause BSD style license - see LICENSE
"""Whole trainings: from a recipe and a file to a folder; killed and gone on with; and what is refused at the start."""

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
from dataclasses import replace

import h5py
import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("lightning", exc_type=ImportError)
pytest.importorskip("onnxscript", exc_type=ImportError)

from astro_photz import load_model
from astro_photz.cutouts.hdf5.dataset import data_hash
from astro_photz.models import ModelError
from astro_photz.testing.factories import gaussian_cutouts
from astro_photz.train import Machine, Recipe, export_run, finetune, pretrain
from astro_photz.train.networks.weights import WEIGHTS, origin, read_head, read_weights, write_weights
from astro_photz.train.runs.callbacks import SafeCheckpoints, StepSeed
from astro_photz.train.runs.folder import RunFolder
from astro_photz.train.tasks.probe import RedshiftProbe
from astro_photz.train.tasks.redshift import RedshiftModel

MACHINE = Machine(accelerator="cpu", devices=1, progress=False)
SMALL = (
    "pretrain.epochs = 3",
    "pretrain.batch_size = 16",
    "pretrain.queue_length = 16",
    "finetune.batch_size = 16",
    "encoder.width = 4",
)


def small_recipe(*changes):
    return Recipe.read("smoke", changes=[*SMALL, *changes])


def write_stamps(path, n=160, *, size=68, seed=0, labels=True):
    cutouts = gaussian_cutouts(n, size=size, seed=seed)
    g_r = -2.5 * np.log10(cutouts.flux[:, 1].sum(axis=(1, 2)) / cutouts.flux[:, 2].sum(axis=(1, 2)))
    columns = {"specz_redshift": np.clip(0.1 + 0.2 * (g_r - 0.8), 0, 0.39)} if labels else {}
    cutouts.write(path, **columns)
    return path


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """Files to train on and to validate on, and one without labels."""
    folder = tmp_path_factory.mktemp("data")
    write_stamps(folder / "train.h5")
    write_stamps(folder / "validation.h5", 128, seed=1)
    write_stamps(folder / "unlabelled.h5", labels=False)
    return folder


@pytest.fixture(scope="module")
def pretrained(data):
    """The folder of a pretraining."""
    folder = data / "pretrained"
    pretrain(small_recipe(), data / "unlabelled.h5", folder, validation=data / "validation.h5", machine=MACHINE)
    return folder


# What a folder holds


def test_the_folder_of_a_run_tells_what_was_run(data, pretrained):
    folder = RunFolder(pretrained)
    what = folder.record["what"]
    assert what["kind"] == "pretrain"
    assert what["seed"] == 0
    assert what["data"]["n"] == 160
    assert what["data"]["sha256"] == data_hash(data / "unlabelled.h5")
    assert folder.record["files"]["data"] == str((data / "unlabelled.h5").resolve())
    assert folder.record["versions"]["torch"] == torch.__version__
    assert folder.recipe == small_recipe()
    assert (pretrained / "checkpoints" / "last.ckpt").is_file()
    assert list((pretrained / "tensorboard").rglob("events.out.*"))
    assert not list(pretrained.rglob(".part.*"))


def test_a_run_tells_what_begins_with_it_whether_its_images_were_simulated(pretrained, tmp_path, monkeypatch):
    assert origin(pretrained) == {"name": "pretrained", "simulated": False}
    for place, file in ((pretrained, WEIGHTS), (pretrained / "checkpoints", "last.ckpt")):
        monkeypatch.chdir(place)
        assert origin(file) == origin(pretrained)
    run = tmp_path / "run"
    run.mkdir()
    (run / WEIGHTS).write_bytes((pretrained / WEIGHTS).read_bytes())
    assert origin(run) is None
    record = RunFolder(pretrained).record
    for what in ({"data": {"simulated": True}}, {"data": {"simulated": False}, "origin": {"simulated": True}}):
        (run / "run.json").write_text(json.dumps(record | {"what": what}))
        assert origin(run) == {"name": "run", "simulated": True}


def test_a_damaged_model_is_not_told_to_be_none(monkeypatch):
    def damaged(name):
        raise ModelError(f"{name}: its files are others")

    monkeypatch.setattr("astro_photz.train.networks.weights.load_model", damaged)
    with pytest.raises(ModelError, match=r"mine: its files are others"):
        read_weights("mine")


def test_the_recipe_in_the_folder_leaves_nothing_out(pretrained):
    stored = (pretrained / "recipe.toml").read_text()
    for line in ('stem = "light"', "bottleneck = 0", 'interpolation = "bicubic"', "mirror = true", "patience = 0"):
        assert line in stored


def test_a_pretraining_is_probed_before_and_after_each_epoch(pretrained):
    metrics = RunFolder(pretrained).metrics
    assert metrics["epochs"] == 3
    assert metrics["steps"] == 30
    assert [step for step, _ in metrics["probe_sigma_mad"]] == [0, 9, 19, 29]
    for name in ("uniformity", "alignment"):
        assert len(metrics[name]) == 3
    assert json.dumps(metrics)


def test_a_learning_curve_is_drawn(pretrained):
    pytest.importorskip("matplotlib")
    assert (pretrained / "learning_curve.png").read_bytes().startswith(b"\x89PNG")


def test_without_matplotlib_a_run_says_so(data, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    recipe = small_recipe("pretrain.epochs = 1")
    with pytest.warns(UserWarning, match=r"pip install .astro-photz\[plot\]"):
        pretrain(recipe, data / "train.h5", tmp_path / "run", machine=MACHINE)
    assert (tmp_path / "run" / "metrics.json").is_file()


def test_a_finished_run_is_not_run_again(data, pretrained):
    before = (pretrained / "checkpoints" / "last.ckpt").stat().st_mtime_ns
    metrics = pretrain(
        small_recipe(), data / "unlabelled.h5", pretrained, validation=data / "validation.h5", machine=MACHINE
    )
    assert metrics == RunFolder(pretrained).metrics
    assert (pretrained / "checkpoints" / "last.ckpt").stat().st_mtime_ns == before


# Going on

KILLED = """
import os, signal, sys
from astro_photz.train import Machine, Recipe, pretrain
from astro_photz.train.callbacks import StepSeed

seed_step = StepSeed.on_train_batch_start
def die(self, trainer, module, batch, batch_idx):
    if trainer.global_step == 16 and "SLURM_JOB_ID" in os.environ:  # its time is nearly over
        os.kill(os.getpid(), signal.SIGUSR1)
    if trainer.global_step == 17:
        os.kill(os.getpid(), signal.SIGKILL)
    seed_step(self, trainer, module, batch, batch_idx)
StepSeed.on_train_batch_start = die

machine = Machine(accelerator="cpu", devices=1, progress=False, checkpoint_every=3)
pretrain(Recipe.read(sys.argv[1]), sys.argv[2], sys.argv[3], machine=machine)
"""


@pytest.mark.parametrize("slurm", [False, True])
def test_a_killed_training_goes_on_as_if_it_had_not_been(data, tmp_path, slurm):
    recipe = small_recipe()
    (tmp_path / "recipe.toml").write_text(recipe.as_toml())
    stamps = data / "unlabelled.h5"
    pretrain(recipe, stamps, tmp_path / "whole", machine=MACHINE)

    arguments = [sys.executable, "-c", KILLED, tmp_path / "recipe.toml", stamps, tmp_path / "killed"]
    environment = os.environ | (slurm_environment(tmp_path) if slurm else {})
    done = subprocess.run(arguments, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == -signal.SIGKILL, done.stderr
    if slurm:
        assert (tmp_path / "asked").read_text() == "requeue 7\n"
        assert not list(tmp_path.rglob("hpc_ckpt*"))  # of the midst of a step
    last = torch.load(tmp_path / "killed" / "checkpoints" / "last.ckpt", weights_only=True)
    assert last["global_step"] == 15  # in the midst of the second of three epochs of ten steps
    assert not (tmp_path / "killed" / "metrics.json").exists()

    pretrain(recipe, stamps, tmp_path / "killed", machine=MACHINE)
    whole, gone_on = (RunFolder(tmp_path / name).curve("train_loss") for name in ("whole", "killed"))
    assert [step for step, _ in whole] == [9, 19, 29]
    np.testing.assert_allclose(gone_on[-2:], whole[-2:], rtol=1e-5)
    states = [
        torch.load(tmp_path / name / "checkpoints" / "last.ckpt", weights_only=True) for name in ("whole", "killed")
    ]
    torch.testing.assert_close(states[1]["state_dict"], states[0]["state_dict"], rtol=1e-5, atol=1e-7)  # queue and all


def slurm_environment(folder):
    """That of a job of one process, with a command that writes down what SLURM is asked for."""
    command = folder / "scontrol"
    command.write_text(f'#!/bin/sh\necho "$@" > {folder}/asked\n')
    command.chmod(0o755)
    names = {"JOB_ID": 7, "JOB_NAME": "train", "NTASKS": 1, "NNODES": 1, "NODEID": 0, "PROCID": 0, "LOCALID": 0}
    slurm = {f"SLURM_{name}": str(value) for name, value in names.items()}
    return slurm | {"SLURM_NODELIST": "localhost", "PATH": f"{folder}{os.pathsep}{os.environ['PATH']}"}


VALIDATION_LOSSES = 5.0, 3.0, 4.0, 4.5  # the second epoch's is the least


class Killed(Exception):
    """What ends a training in the midst of it."""


def finetuned(
    data, folder, monkeypatch, *, killed_at=None, within_step=False, during_validation=False, changes=(), **options
):
    """Metrics of a fine-tuning with given validation losses, or None if it was killed."""
    seed_step, loss = StepSeed.on_train_batch_start, RedshiftModel._loss

    def begin_step(self, trainer, module, batch, batch_idx):
        has_gradients = batch_idx % trainer.accumulate_grad_batches > 0
        if trainer.global_step == killed_at and has_gradients == within_step and not during_validation:
            raise Killed
        seed_step(self, trainer, module, batch, batch_idx)

    def given_loss(self, batch):
        if self.training:
            return loss(self, batch)
        if self.trainer.global_step == killed_at and during_validation:
            raise Killed
        return torch.tensor(VALIDATION_LOSSES[self.trainer.current_epoch]), loss(self, batch)[1]

    machine = replace(MACHINE, checkpoint_every=1)
    recipe = small_recipe("finetune.epochs = 4", "finetune.batch_size = 32", *changes)  # of five steps
    with monkeypatch.context() as patch, contextlib.suppress(Killed):
        patch.setattr(StepSeed, "on_train_batch_start", begin_step)
        patch.setattr(RedshiftModel, "_loss", given_loss)
        options = {"validation": data / "validation.h5", "machine": machine} | options
        return finetune(recipe, data / "train.h5", folder, **options)


def weights_of(folder, name="last"):
    return weights_of_file(folder / "checkpoints" / f"{name}.ckpt")


def weights_of_file(path):
    return torch.load(path, weights_only=True)


@pytest.fixture(scope="module")
def uninterrupted(data, tmp_path_factory):
    """The folder of a fine-tuning that was not interrupted, and its metrics."""
    folder = tmp_path_factory.mktemp("run") / "whole"
    with pytest.MonkeyPatch.context() as patch:
        return folder, finetuned(data, folder, patch)


@pytest.mark.parametrize("steps", [(5, 7), (10, 12), (4, 5)])
def test_two_interruptions_do_no_harm(data, tmp_path, monkeypatch, uninterrupted, steps):
    """Where an epoch ends, too: no step is done twice, no validation left out."""
    for step in steps:
        assert finetuned(data, tmp_path / "run", monkeypatch, killed_at=step) is None
    assert finetuned(data, tmp_path / "run", monkeypatch) == uninterrupted[1]
    for name in ("last", "best"):
        one, other = (weights_of(folder, name) for folder in (tmp_path / "run", uninterrupted[0]))
        assert one["global_step"] == other["global_step"]
        torch.testing.assert_close(one["state_dict"], other["state_dict"], rtol=0, atol=0)


def test_gradients_that_were_adding_up_are_not_lost(data, tmp_path, monkeypatch):
    """Checkpoints do not hold them: there is none between the batches of a step, nor when one has been gone on with."""
    changes = ["finetune.batch_size = 16", "finetune.accumulate = 2"]
    whole = finetuned(data, tmp_path / "whole", monkeypatch, changes=changes)
    for _ in range(2):
        assert finetuned(data, tmp_path / "run", monkeypatch, killed_at=6, within_step=True, changes=changes) is None
        assert weights_of(tmp_path / "run")["global_step"] == 6
    assert finetuned(data, tmp_path / "run", monkeypatch, changes=changes) == whole
    one, other = (weights_of(tmp_path / name)["state_dict"] for name in ("run", "whole"))
    torch.testing.assert_close(one, other, rtol=0, atol=0)


@pytest.mark.parametrize("kill", [{"killed_at": 10, "during_validation": True}, {"killed_at": 11}])
def test_the_best_epoch_stays_the_best(data, tmp_path, monkeypatch, uninterrupted, kill):
    """Interrupted around its validation; moved to another place; gone on with in another folder."""
    run, moved, other = (tmp_path / name for name in ("run", "moved", "other"))
    assert finetuned(data, run, monkeypatch, **kill) is None
    run.rename(moved)
    resume = moved / "checkpoints" / "last.ckpt"
    assert finetuned(data, other, monkeypatch, resume=resume) == uninterrupted[1]
    assert finetuned(data, moved, monkeypatch) == uninterrupted[1]
    for folder in (moved, other):
        assert weights_of(folder, "best")["global_step"] == 10


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
    ((told, figures),) = load_model(tmp_path / "model").card["metrics"].items()
    assert told.endswith({"best": ", by which the epoch was chosen", "last": ", after the last epoch"}[keep])
    place = {"best": 1, "last": 3}[keep]
    assert figures["sigma_mad"] == pytest.approx(RunFolder(first).metrics["val_sigma_mad"][place][1], abs=1e-6)


def test_a_line_torn_off_the_log_is_passed_over(data, tmp_path, monkeypatch, uninterrupted):
    assert finetuned(data, tmp_path / "run", monkeypatch, killed_at=12) is None
    (log,) = (tmp_path / "run" / "log").rglob("metrics.csv")
    log.write_text(log.read_text() + "0.1,,")
    assert finetuned(data, tmp_path / "run", monkeypatch)["val_loss"] == uninterrupted[1]["val_loss"]


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
    (figures,) = load_model(tmp_path / "model").card["metrics"].values()
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


def test_going_on_from_any_checkpoint(data, tmp_path):
    machine = replace(MACHINE, checkpoint_every=5)
    constant = "pretrain.optimizer.schedule = 'constant'"
    recipe, longer = (small_recipe(constant, f"pretrain.epochs = {epochs}") for epochs in (1, 2))
    pretrain(recipe, data / "train.h5", tmp_path / "first", machine=machine)
    resume = tmp_path / "first" / "checkpoints" / "last.ckpt"
    metrics = pretrain(longer, data / "train.h5", tmp_path / "second", resume=resume, machine=machine)
    assert metrics["steps"] == 20
    assert [step for step, _ in RunFolder(tmp_path / "second").curve("train_loss")] == [9, 19]
    own = (tmp_path / "second" / "log" / "version_1" / "metrics.csv").read_text()
    assert ",9," not in own  # the first ten are not run again


def test_going_on_elsewhere_goes_on_when_it_is_asked_for_again(data, tmp_path, monkeypatch, uninterrupted):
    """Not from the beginning of it, as a job would that is sent back to the queue; and what is done is done."""
    first, second = tmp_path / "first", tmp_path / "second"
    assert finetuned(data, first, monkeypatch, killed_at=5) is None
    resume = first / "checkpoints" / "last.ckpt"
    assert finetuned(data, second, monkeypatch, killed_at=12, resume=resume) is None
    seen = []
    monkeypatch.setattr(StepSeed, "on_train_batch_start", lambda self, trainer, *_: seen.append(trainer.global_step))
    finetuned(data, second, monkeypatch, resume=resume)
    assert seen[0] == 12
    assert len(seen) == 8
    assert finetuned(data, second, monkeypatch, resume=resume) == RunFolder(second).metrics
    assert len(seen) == 8
    assert RunFolder(second).record["files"]["resume"] == str(resume)
    with pytest.raises(FileNotFoundError, match=r"resume: no checkpoint .*lst.ckpt"):
        finetuned(data, second, monkeypatch, resume=second / "checkpoints" / "lst.ckpt")


def test_going_back_to_a_checkpoint_is_done_once(data, tmp_path, monkeypatch):
    """In a folder that holds a training too: the same command goes on from where it stood."""
    machine = replace(MACHINE, checkpoint_every=1)
    recipe, run, earlier = small_recipe("pretrain.epochs = 2"), tmp_path / "run", tmp_path / "earlier.ckpt"
    pretrain(recipe, data / "train.h5", run, machine=machine)
    seen, begin_step = [], StepSeed.on_train_batch_start

    def kept(self, trainer, *batch):
        if trainer.global_step == 5 and not earlier.exists():
            shutil.copy(RunFolder(trainer.default_root_dir).last, earlier)
        if seen[-1:] == [12]:
            raise Killed
        seen.append(trainer.global_step)
        begin_step(self, trainer, *batch)

    monkeypatch.setattr(StepSeed, "on_train_batch_start", kept)
    with pytest.raises(Killed):
        pretrain(recipe, data / "train.h5", tmp_path / "other", machine=machine)
    assert weights_of_file(earlier)["global_step"] == 5
    seen.clear()
    options = {"resume": earlier, "machine": machine}
    with pytest.raises(Killed):
        pretrain(recipe, data / "train.h5", run, **options)
    assert seen == list(range(5, 13))
    seen.clear()
    metrics = pretrain(recipe, data / "train.h5", run, **options)
    assert seen == list(range(13, 20))
    assert pretrain(recipe, data / "train.h5", run, **options) == metrics
    assert len(seen) == 7


@pytest.mark.parametrize("change", ["learning_rate = 0.5", "weight_decay = 0.5", "name = 'sgd'", "schedule = 'steps'"])
def test_another_optimizer_is_not_gone_on_with(data, pretrained, tmp_path, change):
    """The checkpoint would bring its own along, and the recipe in the folder tell another."""
    last, name = pretrained / "checkpoints" / "last.ckpt", change.split()[0]
    recipe = small_recipe(f"pretrain.optimizer.{change}")
    with pytest.raises(ValueError, match=rf"resume: .*last.ckpt would go on with {name} = .*: give the same, or begin"):
        refused(data, tmp_path / "run", kind="pretrain", recipe=recipe, resume=last)


def test_a_schedule_is_not_gone_on_with_beyond_its_end(data, tmp_path):
    recipe, longer = (small_recipe(f"pretrain.epochs = {epochs}") for epochs in (1, 2))
    pretrain(recipe, data / "train.h5", tmp_path / "first", machine=MACHINE)
    resume = tmp_path / "first" / "checkpoints" / "last.ckpt"
    with pytest.raises(ValueError, match=r"of a training of 10 steps, whose schedule .* this one has 20: give both"):
        pretrain(longer, data / "train.h5", tmp_path / "second", resume=resume, machine=MACHINE)
    assert not (tmp_path / "second").exists()


def test_a_checkpoint_is_not_overwritten_before_it_is_gone_on_with(data, pretrained):
    last = pretrained / "checkpoints" / "last.ckpt"
    before = last.read_bytes()
    with pytest.raises(ValueError, match=r"last.ckpt would be overwritten with .*: choose another folder"):
        pretrain(small_recipe(), data / "unlabelled.h5", pretrained, resume=last, overwrite=True, machine=MACHINE)
    assert last.read_bytes() == before


def test_what_is_no_training_is_not_overwritten_with_one(data, pretrained, tmp_path):
    run = tmp_path / "run"
    shutil.copytree(pretrained, run)
    validation = shutil.copy(data / "validation.h5", run)
    (run / "notes").mkdir()
    options = {"overwrite": True, "machine": MACHINE}
    with pytest.raises(ValueError, match=r"validation.h5 would be overwritten with .*run: choose another folder"):
        pretrain(small_recipe(), data / "train.h5", run, validation=validation, **options)
    with pytest.raises(
        FileExistsError, match=r"run holds notes, validation.h5.* besides the training .*: move that, or"
    ):
        pretrain(small_recipe(), data / "train.h5", run, **options)
    assert RunFolder(run).metrics == RunFolder(pretrained).metrics


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


def test_weights_that_cannot_be_written_say_so(tmp_path, monkeypatch):
    encoder = RedshiftModel(encoder={"kind": "resnet18", "width": 4}).encoder

    def full(*args):
        raise RuntimeError("[enforce fail at inline_container.cc:672] . unexpected pos 64 vs 0")

    monkeypatch.setattr(torch, "save", full)
    with pytest.raises(OSError, match=r"encoder.pt could not be written .*: make room"):
        write_weights(tmp_path / WEIGHTS, encoder, {"kind": "resnet18", "width": 4})
    assert not list(tmp_path.iterdir())


def test_a_checkpoint_that_cannot_be_written_leaves_the_last_one(tmp_path, monkeypatch):
    path, safe = tmp_path / "last.ckpt", SafeCheckpoints()
    safe.save_checkpoint({"step": 1}, path)

    def full(value, file):
        file.write(b"half of it")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(torch, "save", full)
    with pytest.raises(OSError, match=r"last.ckpt could not be written .*No space left.*; the last whole checkpoint"):
        safe.save_checkpoint({"step": 2}, path)
    monkeypatch.undo()
    assert torch.load(path, weights_only=True) == {"step": 1}
    assert list(tmp_path.iterdir()) == [path]


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
    assert model.card["encoder"]["bottleneck"] == 0
    assert model.encode(gaussian_cutouts(2).flux, np.zeros(2)).shape == (2, 8 * 4)  # the features of width 4

    validation, run = data / "validation.h5", tmp_path / "run"
    finetune(recipe, data / "train.h5", run, validation=validation, init=tmp_path / "pretrained", machine=MACHINE)
    before, after = read_weights(tmp_path / "pretrained")[1], read_weights(run)[1]
    changed = {name.partition(".")[0] for name, value in after.items() if not torch.equal(value, before[name])}
    assert changed == {"expand"}


def test_few_labels_are_a_part_of_more(data, tmp_path):
    run = tmp_path / "run"
    metrics = finetune(
        small_recipe(), data / "train.h5", run, validation=data / "validation.h5", n_labels=48, machine=MACHINE
    )
    assert metrics["steps"] == 2 * 3
    assert RunFolder(run).record["what"]["n_labels"] == 48


def test_training_stops_early_if_asked_to(data, tmp_path):
    recipe = small_recipe("finetune.epochs = 9", "finetune.patience = 1", "finetune.optimizer.learning_rate = 1.0")
    metrics = finetune(
        recipe, data / "train.h5", tmp_path / "run", validation=data / "validation.h5", n_labels=16, machine=MACHINE
    )
    assert metrics["epochs"] < 9


def test_a_pretraining_stops_early_if_asked_to(data, tmp_path, monkeypatch):
    """The second epoch is better than the first, the third is not."""
    scatters = iter([0.04, 0.03, 0.02, 0.025])
    monkeypatch.setattr(RedshiftProbe, "_scatter", lambda self, module: next(scatters))
    recipe = small_recipe("pretrain.epochs = 9", "pretrain.patience = 1")
    options = {"validation": data / "validation.h5", "machine": MACHINE}
    assert pretrain(recipe, data / "unlabelled.h5", tmp_path / "run", **options)["epochs"] == 3


def test_a_training_that_has_stopped_stays_so(data, tmp_path, monkeypatch):
    """Killed after its last epoch, before all was written down: the second epoch was the best, the third the last."""
    stop, options = ["finetune.patience = 1"], {"changes": ["finetune.patience = 1"]}
    whole = finetuned(data, tmp_path / "whole", monkeypatch, changes=stop)
    assert whole["epochs"] == 3
    with monkeypatch.context() as patch:
        patch.setattr("astro_photz.train.runs.run.write_weights", lambda *_, **__: (_ for _ in ()).throw(Killed))
        assert finetuned(data, tmp_path / "run", monkeypatch, **options) is None
    assert finetuned(data, tmp_path / "run", monkeypatch, **options) == whole


def test_numbers_of_half_the_digits_teach_nearly_the_same(data, tmp_path):
    slowly = "pretrain.optimizer.learning_rate = 1e-4"  # small differences grow
    for precision in ("bf16-mixed", "32-true"):
        recipe = small_recipe(slowly, "pretrain.epochs = 2", f"pretrain.precision = {precision!r}")
        pretrain(recipe, data / "unlabelled.h5", tmp_path / precision, machine=MACHINE)
    half, full = (RunFolder(tmp_path / precision).curve("train_loss") for precision in ("bf16-mixed", "32-true"))
    assert half != full
    np.testing.assert_allclose(half, full, rtol=0.03)
    assert half[-1][1] < half[0][1]


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


# What is refused at the start


def refused(data, folder, *, kind="finetune", recipe=None, **options):
    run = {"finetune": finetune, "pretrain": pretrain}[kind]
    stamps = data / options.pop("stamps", "train.h5")
    options = {"validation": data / "validation.h5", "machine": MACHINE} | options
    try:
        run(recipe or small_recipe(), stamps, folder, **options)
    finally:
        assert not (folder / "log").exists()  # nothing has been trained


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


def test_stamps_of_another_size_are_refused(data, tmp_path):
    gaussian_cutouts(32, size=64).write(tmp_path / "small.h5")
    with h5py.File(tmp_path / "small.h5", "r+") as file:
        images = file["images"][..., :48, :48]
        del file["images"]
        file["images"] = images
    with pytest.raises(ValueError, match="64"):
        refused(tmp_path, tmp_path / "run", kind="pretrain", stamps="small.h5", validation=data / "validation.h5")


ANOTHER_ARCHITECTURE = (
    "encoder.width = 6",
    "encoder.kind = 'resnet34'",
    "encoder.scaling = 'none'",
    "encoder.stem = 'pooled'",  # of the same names and shapes, with other strides
)


@pytest.mark.parametrize("change", ANOTHER_ARCHITECTURE)
def test_weights_of_another_architecture_are_refused(data, pretrained, tmp_path, change):
    with pytest.raises(ValueError, match=r"another architecture: kind = 'resnet18'.*while the recipe's is"):
        refused(data, tmp_path / "run", recipe=small_recipe(change), init=pretrained)


def test_a_checkpoint_that_would_run_code_is_refused(data, tmp_path):
    class Malicious:
        def __reduce__(self):
            return (open, (str(tmp_path / "executed"), "w"))

    torch.save({"state_dict": {}, "hyper_parameters": Malicious()}, tmp_path / "bad.ckpt")
    with pytest.raises(ValueError, match=r"bad.ckpt cannot be read as weights, without running code"):
        refused(data, tmp_path / "run", init=tmp_path / "bad.ckpt")
    assert not (tmp_path / "executed").exists()


def test_a_checkpoint_of_something_else_is_refused(data, tmp_path):
    torch.save({"state_dict": {"weight": torch.zeros(1)}}, tmp_path / "other.ckpt")
    with pytest.raises(ValueError, match=r"holds no encoder of this package"):
        refused(data, tmp_path / "run", init=tmp_path / "other.ckpt")


@pytest.mark.parametrize(
    ("kind", "change", "message"),
    [
        ("pretrain", "encoder.width = 6", r"last.ckpt is of another training or architecture: .* has the shape"),
        ("pretrain", "encoder.stem = 'pooled'", r"last.ckpt is of another architecture: .*light.* there, and .*pooled"),
        ("finetune", "encoder.width = 4", r"last.ckpt is of another training or architecture"),
    ],
)
def test_a_checkpoint_of_another_training_is_not_gone_on_with(data, pretrained, tmp_path, kind, change, message):
    last = pretrained / "checkpoints" / "last.ckpt"
    with pytest.raises(ValueError, match=message):
        refused(data, tmp_path / "run", kind=kind, recipe=small_recipe(change), resume=last)
    assert not (tmp_path / "run" / "run.json").exists()  # the right command is free to begin


def test_half_a_checkpoint_is_not_gone_on_with(data, pretrained, tmp_path):
    whole = (pretrained / "checkpoints" / "last.ckpt").read_bytes()
    (tmp_path / "half.ckpt").write_bytes(whole[: len(whole) // 2])
    (tmp_path / "empty.ckpt").touch()
    for name, error, message in (
        ("half.ckpt", ValueError, r"half.ckpt cannot be read as weights"),
        ("empty.ckpt", ValueError, r"empty.ckpt cannot be read as weights, without running code .*: EOFError"),
        ("absent.ckpt", FileNotFoundError, r"resume: no checkpoint .*absent.ckpt"),
    ):
        with pytest.raises(error, match=message):
            refused(data, tmp_path / "run", kind="pretrain", resume=tmp_path / name)
    with pytest.raises(ValueError, match=r"no checkpoint of a training to go on with"):
        refused(data, tmp_path / "run", kind="pretrain", resume=pretrained / WEIGHTS)


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_a_device_that_is_not_there_is_told(data, tmp_path):
    with pytest.raises(ValueError, match=r"machine cannot be had \(accelerator 'gpu', devices 1, nodes 1\)"):
        refused(data, tmp_path / "run", machine=replace(MACHINE, accelerator="gpu"))


def test_too_few_galaxies_to_probe_with_are_refused(data, tmp_path):
    few = write_stamps(tmp_path / "few.h5", 31)
    with pytest.raises(ValueError, match=r"few.h5 must have the 32 labelled galaxies .* got 31"):
        refused(data, tmp_path / "run", kind="pretrain", validation=few)


def test_another_training_is_not_written_over(data, pretrained):
    with pytest.raises(FileExistsError, match=r"differs in recipe.pretrain.temperature, seed: choose another folder"):
        pretrain(
            small_recipe("pretrain.temperature = 0.2"),
            data / "unlabelled.h5",
            pretrained,
            validation=data / "validation.h5",
            seed=1,
            machine=MACHINE,
        )


@pytest.mark.parametrize("overwrite", [False, True])
def test_a_folder_of_something_else_is_left_alone(data, tmp_path, overwrite):
    (tmp_path / "thesis.tex").write_text("all of it")
    with pytest.raises(FileExistsError, match=r"holds no training"):
        pretrain(small_recipe(), data / "train.h5", tmp_path, overwrite=overwrite, machine=MACHINE)
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.tex"]


@pytest.mark.parametrize("overwrite", [False, True])
def test_a_folder_that_was_begun_on_a_full_disk_can_be_used(data, tmp_path, monkeypatch, overwrite):
    write = RunFolder.write

    def until_full(self, name, text):
        if name == "run.json":
            raise OSError(28, "No space left on device")
        write(self, name, text)

    recipe = small_recipe("pretrain.epochs = 1")
    with monkeypatch.context() as patch:
        patch.setattr(RunFolder, "write", until_full)
        with pytest.raises(OSError, match="No space left"):
            pretrain(small_recipe(), data / "train.h5", tmp_path / "run", machine=MACHINE)
    assert [path.name for path in (tmp_path / "run").iterdir()] == ["recipe.toml"]
    pretrain(recipe, data / "train.h5", tmp_path / "run", overwrite=overwrite, machine=MACHINE)
    assert RunFolder(tmp_path / "run").recipe == recipe


def test_a_full_disk_is_told_before_the_first_step(data, tmp_path, monkeypatch):
    usage = type("usage", (), {"free": 1000})
    monkeypatch.setattr("shutil.disk_usage", lambda folder: usage)
    with pytest.raises(OSError, match=r"checkpoints take up to .* MB and 0 MB are free"):
        refused(data, tmp_path / "run", kind="pretrain")
