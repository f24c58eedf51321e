# Licensed under a 3-clause BSD style license - see LICENSE
"""The page about a model: made from stored results by a command that it names, the same to the byte."""

import json
import re
import shlex
import shutil
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("matplotlib")

from astro_photz import load_model, metrics
from astro_photz.cli import main
from astro_photz.evaluation import write_model_card

DOCS = Path(__file__).parents[2] / "docs"


def make_evaluation(*, simulated=True, **changes):
    """An evaluation of the bundled model, with numbers that mean nothing."""
    model = load_model("bundled")
    numbers = {name: 0.01 * (place + 1) for place, name in enumerate(metrics.METRICS)}
    one = {"low": 0.0, "high": 1.0, **numbers, "n": 500, "errors": dict.fromkeys(numbers, 0.001)}
    return {
        "kind": "evaluation",
        "model": {"name": model.name, "version": model.version, "sha256": model.sha256},
        "data": {"file": "t.h5", "sha256": "0" * 64, "simulated": simulated, "n_missing": 2, "beyond_grid": 3},
        "overall": numbers | {"n": 1000},
        "errors": dict.fromkeys(numbers, 0.0005),
        "pit": [50] * 20,
        "coverage": {"0.5": 0.48, "0.9": 0.91},
        "bins": {"r_mag": [one, one | {"low": 1.0, "high": 2.0}], "early": [one], "seeing": []},
    } | changes


CURVE = [
    {"n_labels": 500, "sigma_mad": 0.02, "sigma_mad_err": 0.001},
    {
        "n_labels": 4000,
        "n_independent": 3210,
        "n_seeds": 3,
        "sigma_mad": 0.015,
        "sigma_mad_err": 0.0005,
        "eta": 0.03,
        "eta_err": 0.002,
    },
]
LABELS = {
    "kind": "label_efficiency",
    "simulated": True,
    "command": "python benchmarks/labels.py",
    "curves": {"pretrained": CURVE, "from scratch": CURVE},
    "equivalent": [
        {"way": "pretrained", "n_labels": 500, "factor": 3.1, "factor_err": 0.4},
        {"way": "frozen", "n_labels": 4000, "factor": 16.0, "factor_err": 2.0, "at_least": True},
    ],
    "paired": [{"way": "pretrained", "n_labels": 500, "difference": -0.0012, "difference_err": 0.0004}],
    "gap": [{"way": "pretrained", "n_labels": 500, "most": 4000, "share": 0.61, "share_err": 0.07}],
}
ABLATIONS = {
    "kind": "table",
    "simulated": False,
    "title": "Ablations",
    "text": "What each part is worth.",
    "data": {"train": "0123456789abcdef0123", "test": "fedcba98765432100000"},
    "rows": [
        {"method": "whole", "n": 2000, "sigma_mad": 0.015, "sigma_mad_err": 0.0002},
        {"method": "no *dust*", "sigma_mad": 0.016},
    ],
}


def page(folder, *results, **options):
    write_model_card(folder / "card.rst", "bundled", results, **options)
    return (folder / "card.rst").read_text(encoding="utf-8")


def png_software(path):
    return re.search(rb"Software\0([^\0]{1,40})", path.read_bytes())[1]


def assert_alike(made, kept):
    """Two pictures that differ by the edges of letters and lines only."""
    from matplotlib.image import imread

    made, kept = imread(made), imread(kept)
    assert np.abs(np.subtract(made.shape, kept.shape)).max() <= 10
    height, width = np.minimum(made.shape, kept.shape)[:2] // 10 * 10
    coarse = [
        np.reshape(one[:height, :width, :3], (height // 10, 10, width // 10, 10, 3)).mean(axis=(1, 3))
        for one in (made, kept)
    ]
    assert np.abs(np.subtract(*coarse)).mean() < 0.02


def test_alike_are_pictures_of_the_same_numbers_only(tmp_path):
    evaluation = make_evaluation()
    for name, pit in (("one", [50] * 20), ("other", [20] * 10 + [80] * 10)):
        page(tmp_path, evaluation | {"pit": pit}).encode()
        (tmp_path / "card" / "calibration.png").rename(tmp_path / f"{name}.png")
    assert_alike(tmp_path / "one.png", tmp_path / "one.png")
    with pytest.raises(AssertionError):
        assert_alike(tmp_path / "one.png", tmp_path / "other.png")


def test_figures_do_not_go_into_a_model(tmp_path):
    shutil.copytree(load_model("bundled").path, tmp_path / "mine")
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(ValueError, match=r"mine, which holds a model: choose another name"):
        write_model_card(tmp_path / "mine.rst", tmp_path / "mine", [make_evaluation()])
    assert sorted(tmp_path.rglob("*")) == before


def test_a_table_may_have_columns_of_its_own(tmp_path):
    rows = [{"method": "fp32", "speed": 355.5, "speed_err": 2.5}, {"method": "int8", "speed": 700.0}]
    table = {"kind": "table", "simulated": True, "title": "Speed", "columns": {"speed": "galaxies/s"}, "rows": rows}
    text = page(tmp_path, make_evaluation(), table)
    assert re.search(r"- galaxies/s\n.*- fp32\n\s+- 355.5 ± 2.5\n.*- int8\n\s+- 700.0", text, flags=re.DOTALL)


def test_the_committed_page_is_what_its_command_makes(tmp_path, monkeypatch):
    committed = (DOCS / "model_card.rst").read_text(encoding="utf-8")
    command = shlex.split(committed.splitlines()[-1])
    assert command[:2] == ["astro-photz", "card"]
    shutil.copytree(DOCS / "model_card", tmp_path / "docs" / "model_card", ignore=shutil.ignore_patterns("*.png"))
    monkeypatch.chdir(tmp_path)
    assert main(command[1:]) == 0
    assert (tmp_path / "docs" / "model_card.rst").read_text(encoding="utf-8") == committed
    figures = sorted(path.name for path in (DOCS / "model_card").glob("*.png"))
    assert figures == sorted(path.name for path in (tmp_path / "docs" / "model_card").glob("*.png"))
    for name in figures:
        made, kept = tmp_path / "docs" / "model_card" / name, DOCS / "model_card" / name
        if png_software(made) == png_software(kept):
            assert made.read_bytes() == kept.read_bytes(), name
        assert_alike(made, kept)  # as another matplotlib draws it, with other pixels


def test_the_committed_page_is_about_the_bundled_model():
    text = (DOCS / "model_card.rst").read_text(encoding="utf-8")
    assert f"Model card: {load_model('bundled').name}\n" in text
    for limit in load_model("bundled").card.limits:
        assert limit.split(":")[0] in text


def test_the_same_results_make_the_same_files(tmp_path):
    results = [make_evaluation(), LABELS, ABLATIONS]
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        page(tmp_path / name, *results)
    files = sorted(path.relative_to(tmp_path / "one") for path in (tmp_path / "one").rglob("*.*"))
    assert {path.name for path in files} == {"card.rst", "bins.png", "calibration.png", "label_efficiency.png"}
    for file in files:
        assert (tmp_path / "one" / file).read_bytes() == (tmp_path / "two" / file).read_bytes(), file


def test_every_metric_has_its_error_and_every_figure_its_kind_of_images(tmp_path):
    text = page(tmp_path, make_evaluation(), LABELS, ABLATIONS)
    for place in range(len(metrics.METRICS)):
        assert f"{0.01 * (place + 1):.5f} ± 0.00050" in text
    captions = re.findall(r"\.\. figure:: .*\n\n    (.*)", text)
    assert len(captions) == 3
    assert all(caption.startswith("Simulated images.") for caption in captions)
    assert "- simulated images\n" in text  # ours, in the table of methods
    assert text.count("- real images\n") == 2  # those of others
    assert "What each part is worth. (Real images.)" in text
    assert "2 galaxies have no estimate; 3 lie beyond the redshift bins." in text
    assert "- type late\n" in text
    assert "seeing" not in text
    assert r"no \*dust\*" in text
    assert "3.10 ± 0.40" in text
    assert "- at least 16.00\n" in text  # a bound has no error
    assert re.search(r"less that of «from scratch».*- 500\n\s+- −0.00120 ± 0.00040", text, flags=re.DOTALL)
    assert re.search(r"gains in σ_MAD with 4,000 labels over.*- 500\n\s+- 0.610 ± 0.070", text, flags=re.DOTALL)
    row = r"- 4,000\n\s+- 3,210\n\s+- from scratch\n\s+- 3\n\s+- 0.01500 ± 0.00050\n\s+- 0.0300 ± 0.0020\n"
    assert re.search(row, text)
    assert "others than those that the model was trained and judged on: sha256 train ``0123456789abcdef``, test" in text
    assert text.count("others than those that the model") == 1  # of the ablations, not of the labels
    assert "    python benchmarks/labels.py\n" in text


def test_errors_are_said_to_be_those_of_independent_galaxies(tmp_path):
    assert "errors by bootstrap:" in page(tmp_path, make_evaluation())
    evaluation = make_evaluation() | {"pit_ks_by_chance": 0.0345}
    evaluation["data"] = evaluation["data"] | {"n_independent": 12}
    text = page(tmp_path, evaluation)
    assert "errors by bootstrap over the 12 real galaxies that they were drawn from:" in text
    assert "would exceed 0.0345 in one of twenty such samples" in text


def test_figures_of_real_images_are_not_said_to_be_of_simulated_ones(tmp_path):
    figures = page(tmp_path, make_evaluation(simulated=False)).partition("Beside other methods")[2]
    figures = figures.partition("Known limits")[0].replace("Figures on simulated images do not compare", "")
    figures = figures.replace("on simulated validation galaxies", "")  # that is where the model was calibrated
    assert "simulated" not in figures.lower()
    assert "Real images." in figures


@pytest.mark.parametrize("bins", [make_evaluation()["bins"], {}, {"r_mag": []}])
def test_the_page_is_restructured_text(tmp_path, bins):
    """Also where too few galaxies were judged to share them out to bins."""
    docutils = pytest.importorskip("docutils.core")
    text = page(tmp_path, make_evaluation(bins=bins), LABELS, ABLATIONS, command="astro-photz card")
    assert ("No bin holds enough galaxies" in text) == (not any(bins.values()))
    text = re.sub(r":ref:`\w+`", "", text)
    told = docutils.publish_string(text, source_path=str(tmp_path / "card.rst"), settings_overrides={"halt_level": 2})
    assert b"Known limits" in told


def test_results_that_do_not_fit_are_refused(tmp_path):
    other = make_evaluation(model={"name": "mine", "version": "1", "sha256": "1" * 64})
    (tmp_path / "odd.json").write_text(json.dumps({"kind": "poem"}))
    (tmp_path / "broken.json").write_text("{")
    stale = ABLATIONS | {"model": other["model"]}
    for results, message in (
        ([make_evaluation(), stale], "the table is one of another model, mine 1"),
        ([LABELS], "one evaluation among the results .*got 0"),
        ([make_evaluation(), make_evaluation()], "got 2"),
        ([other], "one of another model, mine 1"),
        ([tmp_path / "odd.json"], "odd.json must say its kind"),
        ([make_evaluation(), {"kind": "picture"}], "a result must say its kind"),
        ([tmp_path / "broken.json"], "broken.json is not JSON"),
    ):
        with pytest.raises(ValueError, match=message):
            page(tmp_path, *results)
    with pytest.raises(FileNotFoundError, match="no folder"):
        write_model_card(tmp_path / "absent" / "card.rst", "bundled", [make_evaluation()])
    assert not (tmp_path / "card.rst").exists()
