# Licensed under a 3-clause BSD style license - see LICENSE
"""Models are judged, and pages about them written, where only the plain install is."""

import json
import subprocess
import sys

import pytest
from astropy.utils.exceptions import AstropyUserWarning

from astro_photz import load_model
from astro_photz.cli import main
from astro_photz.evaluation import Evaluation, evaluate_model, write_model_card
from astro_photz.testing.factories import gaussian_cutouts

EVALUATION = Evaluation(
    model={"name": "mine", "version": "1", "sha256": "0" * 64},
    data={"file": "t.h5", "simulated": False},
    overall={"n": 10},
    errors={},
)
PLAIN = """
import sys

sys.modules["matplotlib.figure"] = None
from astro_photz.cli import main

for command in ("evaluate bundled stamps.h5 --output metrics.json", "card bundled metrics.json --output page.rst"):
    assert main(command.split()) == 0
assert not {"torch", "lightning", "onnx", "matplotlib.pyplot"} & set(sys.modules)
"""


def test_a_model_is_judged_and_described_without_torch_and_matplotlib(tmp_path):
    gaussian_cutouts(12).write(tmp_path / "stamps.h5", specz_redshift=[0.1, 0.2, 0.3] * 4)
    done = subprocess.run([sys.executable, "-c", PLAIN], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert "warning: page.rst has no figures: a picture needs matplotlib" in done.stderr
    assert "figure::" not in (tmp_path / "page.rst").read_text(encoding="utf-8")
    assert not (tmp_path / "page").exists()


def test_a_page_without_figures_is_the_page_but_for_them(tmp_path, monkeypatch):
    pytest.importorskip("matplotlib")
    gaussian_cutouts(12).write(tmp_path / "stamps.h5", specz_redshift=[0.1, 0.2, 0.3] * 4)
    evaluation = evaluate_model("bundled", tmp_path / "stamps.h5", resamples=2, at_least=2)
    write_model_card(tmp_path / "page.rst", "bundled", [evaluation])
    drawn = (tmp_path / "page.rst").read_text(encoding="utf-8")
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.warns(AstropyUserWarning, match="page.rst has no figures: a picture needs matplotlib"):
        written = write_model_card(tmp_path / "page.rst", "bundled", [evaluation])
    assert written == [tmp_path / "page.rst"]
    parts = [part for part in drawn.split("\n\n") if not part.startswith((".. figure::", "    Real images."))]
    assert (tmp_path / "page.rst").read_text(encoding="utf-8") == "\n\n".join(parts)


# The record


def test_an_evaluation_is_read_as_it_was_written(tmp_path):
    evaluation = EVALUATION.updated(note="by me", pit=[1, 2])
    evaluation.write(tmp_path / "metrics.json")
    assert json.loads((tmp_path / "metrics.json").read_text())["note"] == "by me"
    assert Evaluation.read(tmp_path / "metrics.json") == evaluation
    assert evaluation.images == "real images"


def test_an_evaluation_of_before_forms_is_read(tmp_path):
    entries = EVALUATION.entries()
    del entries["form"]
    (tmp_path / "metrics.json").write_text(json.dumps(entries))
    assert Evaluation.read(tmp_path / "metrics.json") == EVALUATION


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"form": 2}, "an evaluation of form 2 cannot be read"),
        ({"kind": "table"}, "kind of an evaluation must be 'evaluation', got 'table'"),
        ({"kind": None}, "must be 'evaluation'|lacks kind"),
        ({"overall": 3}, "overall of an evaluation must be of type dict, got 3"),
        ({"model": None}, "an evaluation must have model"),
    ],
)
def test_what_is_no_evaluation_is_refused(tmp_path, changes, message):
    entries = {name: value for name, value in (EVALUATION.entries() | changes).items() if value is not None}
    (tmp_path / "metrics.json").write_text(json.dumps(entries))
    with pytest.raises(ValueError, match=f"metrics.json.*{message}"):
        Evaluation.read(tmp_path / "metrics.json")


def test_the_command_stores_what_the_function_gives(tmp_path, capsys):
    gaussian_cutouts(12).write(tmp_path / "stamps.h5", specz_redshift=[0.1, 0.2, 0.3] * 4)
    assert main(["evaluate", "bundled", str(tmp_path / "stamps.h5"), "--output", str(tmp_path / "metrics.json")]) == 0
    assert f"{load_model('bundled').name} (this evaluation)" in capsys.readouterr().out
    assert Evaluation.read(tmp_path / "metrics.json") == evaluate_model("bundled", tmp_path / "stamps.h5")
