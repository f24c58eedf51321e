# Licensed under a 3-clause BSD style license - see LICENSE
"""The folder of a run: its record, its files, and what it is not used for."""

import json
import shutil
import sys
from dataclasses import asdict, replace

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("lightning", exc_type=ImportError)
pytest.importorskip("onnxscript", exc_type=ImportError)

from small_runs import MACHINE, finetuned, refused, small_recipe

from astro_photz.cutouts.hdf5.dataset import data_hash
from astro_photz.train import pretrain
from astro_photz.train.networks.weights import WEIGHTS
from astro_photz.train.runs.folder import RunFolder
from astro_photz.train.runs.provenance import origin
from astro_photz.train.runs.record import Origin, RunRecord

# What a folder holds


def test_the_folder_of_a_run_tells_what_was_run(data, pretrained):
    folder = RunFolder(pretrained)
    record = folder.record
    assert (record.kind, record.seed, record.n) == ("pretrain", 0, 160)
    assert record.data.sha256 == data_hash(data / "unlabelled.h5")
    assert record.files["data"] == str((data / "unlabelled.h5").resolve())
    assert record.versions["torch"] == torch.__version__
    assert folder.recipe == small_recipe()
    assert (pretrained / "checkpoints" / "last.ckpt").is_file()
    assert list((pretrained / "tensorboard").rglob("events.out.*"))
    assert not list(pretrained.rglob(".part.*"))


def test_a_run_tells_what_begins_with_it_whether_its_images_were_simulated(pretrained, tmp_path, monkeypatch):
    assert origin(pretrained) == Origin(name="pretrained", simulated=False)
    for place, file in ((pretrained, WEIGHTS), (pretrained / "checkpoints", "last.ckpt")):
        monkeypatch.chdir(place)
        assert origin(file) == origin(pretrained)
    run = tmp_path / "run"
    run.mkdir()
    (run / WEIGHTS).write_bytes((pretrained / WEIGHTS).read_bytes())
    assert origin(run) is None
    record = RunFolder(pretrained).record
    simulated = replace(record.data, simulated=True)
    for change in ({"data": simulated}, {"origin": Origin(name="first", simulated=True)}):
        replace(record, **change).write(run)
        assert origin(run) == Origin(name="run", simulated=True)


def form_1(record):
    """A record as the first versions wrote it."""
    entries = asdict(record)
    kept = {name: entries.pop(name) for name in ("files", "versions")}
    del entries["form"], entries["others"]
    optional = {name: entries.pop(name) for name in ("n_images", "n_labels", "held_out", "init", "origin")}
    own = "n_images" if record.kind == "pretrain" else "n_labels"
    known = {name: value for name, value in optional.items() if value or name == own}
    return {"what": entries | known} | kept


def test_an_unfinished_run_of_an_earlier_version_is_resumed(data, tmp_path, monkeypatch, uninterrupted):
    run = tmp_path / "run"
    assert finetuned(data, run, monkeypatch, killed_at=7) is None
    record = RunRecord.read(run)
    (run / "run.json").write_text(json.dumps(form_1(record)))
    assert RunRecord.read(run) == record
    recipe = run / "recipe.toml"
    recipe.write_text(recipe.read_text().replace('name = "smoke"', 'name = "smoke_before"', 1))
    assert finetuned(data, run, monkeypatch) == uninterrupted[1]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"form": 3}, r"a record of a run of form 3 cannot be read: .* forms up to 2; update astro-photz"),
        ({"kind": "distil"}, r"kind must be one of pretrain, finetune, adapt, got 'distil'"),
        ({"seed": "0"}, r"seed of a record of a run must be of type int, got '0'"),
        ({"data": None}, r"run.json: a record of a run must have data"),
        ({"data": {"n": 3}}, r"run.json: a record of a run is damaged: .*simulated"),
    ],
    ids=str,
)
def test_a_record_that_is_none_is_refused(pretrained, tmp_path, change, message):
    (tmp_path / "run.json").write_text(json.dumps(asdict(RunRecord.read(pretrained)) | change))
    with pytest.raises(ValueError, match=message):
        RunRecord.read(tmp_path)


def test_a_record_is_read_as_it_was_written(pretrained, tmp_path):
    record = replace(RunRecord.read(pretrained), origin=Origin(name="a", simulated=True), n_images=100, held_out=7)
    record.write(tmp_path)
    assert RunRecord.read(tmp_path) == record
    (tmp_path / "run.json").write_text('{"kind": "pre')
    with pytest.raises(ValueError, match=r"run.json is not JSON"):
        RunRecord.read(tmp_path)


def test_the_recipe_in_the_folder_leaves_nothing_out(pretrained):
    stored = (pretrained / "recipe.toml").read_text()
    for line in ('stem = "light"', "bottleneck = 0", 'interpolation = "bicubic"', "mirror = true", "patience = 0"):
        assert line in stored


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


def test_a_line_torn_off_the_log_is_passed_over(data, tmp_path, monkeypatch, uninterrupted):
    assert finetuned(data, tmp_path / "run", monkeypatch, killed_at=12) is None
    (log,) = (tmp_path / "run" / "log").rglob("metrics.csv")
    log.write_text(log.read_text() + "0.1,,")
    assert finetuned(data, tmp_path / "run", monkeypatch)["val_loss"] == uninterrupted[1]["val_loss"]


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


def test_a_checkpoint_is_not_overwritten_before_it_is_gone_on_with(data, pretrained):
    last = pretrained / "checkpoints" / "last.ckpt"
    before = last.read_bytes()
    with pytest.raises(ValueError, match=r"last.ckpt would be overwritten with .*: choose another folder"):
        pretrain(small_recipe(), data / "unlabelled.h5", pretrained, resume=last, overwrite=True, machine=MACHINE)
    assert last.read_bytes() == before


@pytest.mark.parametrize("overwrite", [False, True])
def test_a_folder_that_was_begun_on_a_full_disk_can_be_used(data, tmp_path, monkeypatch, overwrite):
    def full(self, folder):
        raise OSError(28, "No space left on device")

    recipe = small_recipe("pretrain.epochs = 1")
    with monkeypatch.context() as patch:
        patch.setattr(RunRecord, "write", full)
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
