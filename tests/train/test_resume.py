# Licensed under a 3-clause BSD style license - see LICENSE
"""Trainings that are killed, or interrupted, and resumed."""

import os
import shutil
import signal
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("lightning", exc_type=ImportError)
pytest.importorskip("onnxscript", exc_type=ImportError)

from small_runs import MACHINE, Killed, finetuned, refused, small_recipe, weights_of, weights_of_file

from astro_photz.train import pretrain
from astro_photz.train.networks.weights import WEIGHTS
from astro_photz.train.runs.callbacks import SafeCheckpoints, StepSeed
from astro_photz.train.runs.folder import RunFolder

# Going on

KILLED = """
import os, signal, sys
from astro_photz.train import Machine, Recipe, pretrain
from astro_photz.train.runs.callbacks import StepSeed

seed_step = StepSeed.on_train_batch_start
def die(self, trainer, module, batch, batch_idx):
    if trainer.global_step == 16 and "SLURM_JOB_ID" in os.environ:  # its time is nearly over
        os.kill(os.getpid(), signal.SIGUSR1)
    if trainer.global_step == 17:
        os.kill(os.getpid(), signal.SIGKILL)
    seed_step(self, trainer, module, batch, batch_idx)
StepSeed.on_train_batch_start = die

machine = Machine(accelerator="cpu", devices=1, progress=False, checkpoint_every=3)
recipe, stamps, validation, folder = sys.argv[1:]
pretrain(Recipe.read(recipe), stamps, folder, validation=validation, machine=machine)
"""


@pytest.mark.parametrize("slurm", [False, True])
def test_a_killed_training_is_resumed_as_if_it_had_not_been(data, pretrained, tmp_path, slurm):
    recipe = small_recipe()
    (tmp_path / "recipe.toml").write_text(recipe.as_toml())
    stamps, validation = data / "unlabelled.h5", data / "validation.h5"
    arguments = [sys.executable, "-c", KILLED, tmp_path / "recipe.toml", stamps, validation, tmp_path / "killed"]
    environment = os.environ | (slurm_environment(tmp_path) if slurm else {})
    done = subprocess.run(arguments, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == -signal.SIGKILL, done.stderr
    if slurm:
        assert (tmp_path / "asked").read_text() == "requeue 7\n"
        assert not list(tmp_path.rglob("hpc_ckpt*"))  # of the midst of a step
    last = torch.load(tmp_path / "killed" / "checkpoints" / "last.ckpt", weights_only=True)
    assert last["global_step"] == 15  # in the midst of the second of three epochs of ten steps
    assert not (tmp_path / "killed" / "metrics.json").exists()

    pretrain(recipe, stamps, tmp_path / "killed", validation=validation, machine=MACHINE)
    folders = [pretrained, tmp_path / "killed"]
    whole, resumed = (RunFolder(folder).curve("train_loss") for folder in folders)
    assert [step for step, _ in whole] == [9, 19, 29]
    np.testing.assert_allclose(resumed[-2:], whole[-2:], rtol=1e-5)
    states = [weights_of(folder)["state_dict"] for folder in folders]
    torch.testing.assert_close(states[1], states[0], rtol=1e-5, atol=1e-7)  # queue and all


def slurm_environment(folder):
    """That of a job of one process, with a command that writes down what SLURM is asked for."""
    command = folder / "scontrol"
    command.write_text(f'#!/bin/sh\necho "$@" > {folder}/asked\n')
    command.chmod(0o755)
    names = {"JOB_ID": 7, "JOB_NAME": "train", "NTASKS": 1, "NNODES": 1, "NODEID": 0, "PROCID": 0, "LOCALID": 0}
    slurm = {f"SLURM_{name}": str(value) for name, value in names.items()}
    return slurm | {"SLURM_NODELIST": "localhost", "PATH": f"{folder}{os.pathsep}{os.environ['PATH']}"}


@pytest.mark.parametrize("change", ["pretrain.similar_negatives = 4", "pretrain.contrastive_weight = 0.0"])
def test_a_pretraining_resumes_with_what_its_queue_keeps(data, tmp_path, monkeypatch, change):
    machine, begin_step = replace(MACHINE, checkpoint_every=3), StepSeed.on_train_batch_start
    recipe = small_recipe("pretrain.epochs = 1", change)

    def killed(self, trainer, *batch):
        if trainer.global_step == 7:
            raise Killed
        begin_step(self, trainer, *batch)

    pretrain(recipe, data / "unlabelled.h5", tmp_path / "whole", machine=machine)
    with monkeypatch.context() as patch:
        patch.setattr(StepSeed, "on_train_batch_start", killed)
        with pytest.raises(Killed):
            pretrain(recipe, data / "unlabelled.h5", tmp_path / "killed", machine=machine)
    assert weights_of(tmp_path / "killed")["global_step"] == 6
    pretrain(recipe, data / "unlabelled.h5", tmp_path / "killed", machine=machine)
    states = [weights_of(tmp_path / name)["state_dict"] for name in ("whole", "killed")]
    torch.testing.assert_close(states[1], states[0], rtol=1e-5, atol=1e-7)
    assert ("queue.photometry" in states[0]) == ("similar" in change)


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


def test_a_training_that_has_stopped_stays_so(data, tmp_path, monkeypatch):
    """Killed after its last epoch, before all was written down: the second epoch was the best, the third the last."""
    stop, options = ["finetune.patience = 1"], {"changes": ["finetune.patience = 1"]}
    whole = finetuned(data, tmp_path / "whole", monkeypatch, changes=stop)
    assert whole["epochs"] == 3
    with monkeypatch.context() as patch:
        patch.setattr("astro_photz.train.runs.training.write_weights", lambda *_, **__: (_ for _ in ()).throw(Killed))
        assert finetuned(data, tmp_path / "run", monkeypatch, **options) is None
    assert finetuned(data, tmp_path / "run", monkeypatch, **options) == whole


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
    assert RunFolder(second).record.files["resume"] == str(resume)
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
    with pytest.raises(ValueError, match=rf"last.ckpt would resume with {name} = .*: give the same, or begin"):
        refused(data, tmp_path / "run", kind="pretrain", recipe=recipe, resume=last)


def test_a_schedule_is_not_gone_on_with_beyond_its_end(data, tmp_path):
    recipe, longer = (small_recipe(f"pretrain.epochs = {epochs}") for epochs in (1, 2))
    pretrain(recipe, data / "train.h5", tmp_path / "first", machine=MACHINE)
    resume = tmp_path / "first" / "checkpoints" / "last.ckpt"
    with pytest.raises(ValueError, match=r"of a training of 10 steps, whose schedule .* this one has 20: give both"):
        pretrain(longer, data / "train.h5", tmp_path / "second", resume=resume, machine=MACHINE)
    assert not (tmp_path / "second").exists()


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
    with pytest.raises(ValueError, match=r"no checkpoint of a training to resume"):
        refused(data, tmp_path / "run", kind="pretrain", resume=pretrained / WEIGHTS)


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
