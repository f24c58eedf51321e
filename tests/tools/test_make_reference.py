# Licensed under a 3-clause BSD style license - see LICENSE
"""A new reference changes flags, not estimates: results about the latter stay those of the model."""

import importlib
import json
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest

from astro_photz import Cutouts, demo_path, load_model
from astro_photz.models import PhotozModel
from astro_photz.reference.strangers import Reference

pytest.importorskip("torch")
pytest.importorskip("kcorrect")

ROOT = Path(__file__).parents[2]


@pytest.fixture
def tool(monkeypatch):
    monkeypatch.setattr(sys, "path", [*sys.path, str(ROOT)])
    return importlib.import_module("tools.make_reference")


@pytest.fixture
def models(tmp_path):
    """The bundled model, and a copy of it with another reference."""
    before = load_model("bundled")
    folder = tmp_path / "model"
    shutil.copytree(before.path, folder)
    features = before.encoding(Cutouts.read(demo_path())).features
    vector = np.random.default_rng(0).normal(size=(len(features), 40))
    Reference.fit((features, vector), (features, vector)).install(folder, of="the demonstration set")
    return before, PhotozModel(folder)


def write(folder, name, result):
    folder.mkdir(exist_ok=True)
    (folder / name).write_text(json.dumps(result))


def model_of(folder, name):
    return json.loads((folder / name).read_text()).get("model")


def test_results_about_estimates_are_kept_and_those_about_flags_are_named(tool, models, tmp_path, capsys):
    before, after = models
    assert before.sha256 != after.sha256
    of, folder = {"model": {"version": "9", "sha256": before.sha256}}, tmp_path / "results"
    write(folder, "estimates.json", of | {"rows": [{"sigma_mad": 0.02}]})
    write(folder, "flags.json", of | {"rows": [{"by": "OUTLIER 2"}]})
    write(folder, "other.json", {"model": {"version": "8", "sha256": "0" * 64}})
    write(folder, "none.json", {"rows": []})
    tool.keep_results(folder, before, after)
    assert model_of(folder, "estimates.json") == {"version": "9", "sha256": after.sha256}
    assert model_of(folder, "flags.json") == of["model"]
    assert model_of(folder, "other.json")["version"] == "8"
    assert model_of(folder, "none.json") is None
    said = capsys.readouterr().out
    assert "flags.json tells of flags: measure it again" in said
    assert "other.json is of no model, or of another one" in said


def test_results_of_other_estimates_are_not_kept(tool, models, tmp_path):
    before, after = models
    after.card.updated(calibration={"method": "another"}).write(after.path)
    with pytest.raises(SystemExit, match="gives other estimates than before: measure all of"):
        tool.keep_results(tmp_path, before, PhotozModel(after.path))
