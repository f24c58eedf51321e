# Licensed under a 3-clause BSD style license - see LICENSE
"""A training keeps what it has seen for the model, and is not validated by that."""

import re
import shutil
import warnings

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("lightning", exc_type=ImportError)
pytest.importorskip("onnxscript", exc_type=ImportError)

from small_runs import MACHINE, refused, small_recipe, write_stamps

from astro_photz import load_model
from astro_photz.cli import main
from astro_photz.cutouts import Cutouts
from astro_photz.cutouts.hdf5.dataset import data_hash
from astro_photz.cutouts.hdf5.layout import open_cutouts
from astro_photz.evaluation import evaluate_model
from astro_photz.models.card import LINEAGE
from astro_photz.models.lineage import Lineage, TrainedOnWarning
from astro_photz.train import adapt, export_run, finetune
from astro_photz.train.data.splits import split_rows
from astro_photz.train.runs.folder import RunFolder
from astro_photz.train.runs.lineage import lineage_of, run_lineage


@pytest.fixture(scope="module")
def sample(tmp_path_factory):
    """A file of 240 galaxies, whose model holds 100 of them out."""
    return write_stamps(tmp_path_factory.mktemp("sample") / "mine.h5", 240, seed=5)


@pytest.fixture(scope="module")
def adapted(sample):
    """The model of an adaptation of the bundled one."""
    folder = sample.parent
    adapt(sample, folder / "run", init="bundled")
    export_run(folder / "run", folder / "mine", int8=True)
    return load_model(folder / "mine")


def write_part(path, *files_and_rows):
    """A file with some galaxies of other files."""
    parts = [Cutouts.read(file, rows=np.asarray(rows)) for file, rows in files_and_rows]
    flux, ebv = (np.concatenate([getattr(part, name) for part in parts]) for name in ("flux", "ebv"))
    ra, dec = (np.concatenate([getattr(part.coord, name).deg for part in parts]) for name in ("ra", "dec"))
    cutouts = Cutouts(flux, ebv=ebv, coord=type(parts[0].coord)(ra, dec, unit="deg"))
    cutouts.write(path, specz_redshift=np.linspace(0.05, 0.3, len(cutouts)))
    return path


def split(n, record, **choice):
    return split_rows(n, held_out=record.held_out, seed=record.seed, **choice)


# The lineage of a model


def test_each_galaxy_has_the_role_that_it_had(sample, adapted):
    record = RunFolder(sample.parent / "run").record
    coord = Cutouts.read(sample).coord
    for role, learn in (("trained", True), ("calibrated", False)):
        rows = split(240, record, learn=learn)
        found = adapted.lineage.common(coord, roles=(role,)).rows
        assert np.flatnonzero(found).tolist() == sorted(rows)
    assert adapted.lineage.common(coord).by_role == {"trained": 140, "calibrated": 100}


def test_an_adapted_model_keeps_what_the_first_one_was_made_with(adapted):
    base = load_model("bundled")
    inherited = [one for one in adapted.lineage.sets if one.model == base.name]
    assert {one.role for one in inherited} >= {"trained", "calibrated"}
    assert adapted.lineage.files[base.card.training_data["sha256"]] == "trained"


def test_the_file_of_an_adapted_model_is_refused_by_it(sample, adapted, tmp_path, capsys):
    with pytest.raises(ValueError, match=r"mine.h5 is the very file that the model mine was trained on"):
        evaluate_model(adapted, sample)
    assert main(["evaluate", str(adapted.path), str(sample)]) == 1
    assert "mine.h5 is the very file that the model mine was trained on" in capsys.readouterr().err
    mixed = write_part(tmp_path / "mixed.h5", (sample, range(30)))
    with warnings.catch_warnings():
        warnings.simplefilter("default")  # a warning is an error in tests
        assert main(["evaluate", str(adapted.path), str(mixed), "--quiet"]) == 0
    said = capsys.readouterr().err
    assert "astro-photz: warning: " in said
    told = r"mixed.h5: the model mine was trained on (at least )?20 of the 30 galaxies and calibrated on (at least )?10"
    assert re.search(told, said)


def test_integers_have_seen_the_same(adapted):
    integers = load_model(f"{adapted.path}-int8")
    assert (integers.path / LINEAGE).read_bytes() == (adapted.path / LINEAGE).read_bytes()
    assert integers.lineage is not None


def test_a_fine_tuned_model_remembers_its_pretraining(data, pretrained, tmp_path):
    run = tmp_path / "run"
    options = {"validation": data / "validation.h5", "init": pretrained, "n_labels": 48, "machine": MACHINE}
    finetune(small_recipe("finetune.epochs = 1"), data / "train.h5", run, **options)
    lineage = RunFolder(run).lineage
    assert [(one.role, one.n, one.model) for one in lineage.sets] == [
        ("trained", 48, ""),
        ("calibrated", 100, ""),
        ("pretrained", 160, "pretrained"),
    ]
    assert lineage.files[data_hash(data / "unlabelled.h5")] == "pretrained"


def test_a_run_of_an_earlier_version_has_its_lineage_from_its_files(uninterrupted, tmp_path):
    run = RunFolder(uninterrupted[0])
    assert run_lineage(run.record).entries() == run.lineage.entries()
    run.record.write(tmp_path)
    shutil.copy(run.path / "encoder.safetensors", tmp_path)
    known = lineage_of(tmp_path)  # of what begins with it, its files being elsewhere
    assert known.files == run.lineage.files
    assert len(known.unknown) == 2


# What a training must not be validated by


def test_the_very_file_to_learn_from_is_refused(data, sample, adapted, tmp_path):
    with pytest.raises(
        ValueError, match=r"validation: .*train.h5 is the very file that is learnt from \(by this run\)"
    ):
        refused(data, tmp_path / "run", validation=data / "train.h5")
    with pytest.raises(
        ValueError, match=r"is the very file that is learnt from \(by mine, which this run begins with\)"
    ):
        adapt(data / "train.h5", tmp_path / "run", init=adapted.path, validation=sample)
    with pytest.raises(ValueError, match="is the very file that is learnt from"):
        adapt(sample, tmp_path / "run", validation=sample)
    assert not (tmp_path / "run").exists()


def test_galaxies_in_common_are_told_with_their_number(data, sample, adapted, tmp_path):
    mixed = write_part(tmp_path / "mixed.h5", (data / "train.h5", range(25)), (data / "validation.h5", range(100)))
    told = r"mixed.h5: this run is trained on 25 of the 125 galaxies\. A validation by these is too good"
    recipe = small_recipe("finetune.epochs = 1")
    with pytest.warns(TrainedOnWarning, match=told):
        finetune(recipe, data / "train.h5", tmp_path / "run", validation=mixed, machine=MACHINE)
    rows = np.sort(split(240, RunFolder(sample.parent / "run").record)[:30])
    mixed = write_part(tmp_path / "before.h5", (sample, rows), (data / "validation.h5", range(100)))
    told = r"before.h5: mine, which it begins with, was trained on (at least )?30 of the 130 galaxies"
    with pytest.warns(TrainedOnWarning, match=told):
        adapt(data / "train.h5", tmp_path / "again", init=adapted.path, validation=mixed)


def test_galaxies_that_are_held_out_may_be_those_of_the_first_training(sample, adapted, tmp_path):
    """Unless the same seed holds the same ones out."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        adapt(sample, tmp_path / "same", init=adapted.path)
    with pytest.warns(
        TrainedOnWarning, match=r"mine.h5 \(held out\): mine, which it begins with, was trained on (at least )?\d+ of"
    ):
        adapt(sample, tmp_path / "other", init=adapted.path, seed=1)


def test_a_validation_set_may_serve_again(data, uninterrupted, tmp_path):
    recipe = small_recipe("finetune.epochs = 1")
    options = {"validation": data / "validation.h5", "init": uninterrupted[0], "machine": MACHINE}
    finetune(recipe, data / "train.h5", tmp_path / "run", **options)
    sets = RunFolder(tmp_path / "run").lineage.sets
    assert [one.role for one in sets] == ["trained", "calibrated"]  # the same galaxies as before


def test_a_file_without_positions_has_its_hash(data, tmp_path):
    cutouts = Cutouts.read(data / "train.h5")
    Cutouts(cutouts.flux, ebv=cutouts.ebv).write(tmp_path / "plain.h5", specz_redshift=np.full(160, 0.1))
    with open_cutouts(tmp_path / "plain.h5") as file:
        assert not {"ra", "dec"} & set(file) or np.isnan(file["ra"][()]).all()
    adapt(tmp_path / "plain.h5", tmp_path / "run", validation=data / "validation.h5")
    lineage = Lineage.read(tmp_path / "run")
    assert data_hash(tmp_path / "plain.h5") in lineage.files
    assert "" in [one.model for one in lineage.unknown]
