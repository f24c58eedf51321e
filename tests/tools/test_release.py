# Licensed under a 3-clause BSD style license - see LICENSE
"""A release: what it writes, what it refuses, and what a wheel must hold."""

import importlib
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FILES = ("CHANGES.rst", "CITATION.cff", "recipe/recipe.yaml")
DATE = "2030-01-02"


@pytest.fixture
def load(monkeypatch):
    """Import a module of the source tree; the package stays the one that is installed."""
    monkeypatch.setattr(sys, "path", [*sys.path, str(ROOT)])
    return importlib.import_module


@pytest.fixture
def release(load):
    return load("tools.release")


@pytest.fixture
def repository(tmp_path):
    """A repository with the files that a release changes."""
    if not shutil.which("git"):
        pytest.skip("needs git")
    for name in FILES:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        shutil.copy(ROOT / name, tmp_path / name)
    (tmp_path / "CHANGES.rst").write_text("7.0 (unreleased)\n----------------\n\n- Something.\n")
    for words in (
        ["init", "--quiet"],
        ["config", "user.name", "A"],
        ["config", "user.email", "a@b"],
        ["add", "--all"],
        ["commit", "--quiet", "--message", "begin"],
    ):
        subprocess.run(["git", *words], cwd=tmp_path, check=True)
    return tmp_path


def tagged(repository, name):
    return subprocess.run(
        ["git", "show", f"v7.0.0:{name}"], cwd=repository, check=True, capture_output=True, text=True
    ).stdout


def test_the_tag_has_the_version_everywhere(release, repository):
    release.prepare(repository, release.checked_version("7.0.0", ["v6.9"]), DATE)
    assert tagged(repository, "CHANGES.rst").startswith(f"7.0.0 ({DATE})\n------------------\n\n- Something.")
    citation = tagged(repository, "CITATION.cff").splitlines()
    assert citation.count("version: 7.0.0") == citation.count(f"date-released: {DATE}") == 1
    assert '  version: "7.0.0"' in tagged(repository, "recipe/recipe.yaml")


def test_the_next_section_is_open_after_the_tag(release, repository):
    release.prepare(repository, release.checked_version("7.0.0", []), DATE)
    text = (repository / "CHANGES.rst").read_text()
    assert text.startswith("7.1 (unreleased)\n----------------\n")
    with pytest.raises(SystemExit, match="says nothing yet"):
        release.release_changes(text, "7.1.0", DATE)


def test_a_second_release_replaces_version_and_date(release):
    text = release.release_citation((ROOT / "CITATION.cff").read_text(encoding="utf-8"), "1.0.0", DATE)
    again = release.release_citation(text, "1.1.0", "2031-01-01")
    assert text.count("version: 1.0.0") == 1
    assert again == text.replace("1.0.0", "1.1.0").replace(DATE, "2031-01-01")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("v1.0", "write the version"),
        ("1.0-rc1", "write the version"),
        ("new", "is no version"),
        ("", "is no version"),
        ("2.0.dev1", "version of development"),
        ("2.0+mine", "version of development"),
        ("1.0.0", "must be newer than 1.2"),
        ("1.2", "must be newer than 1.2"),
    ],
)
def test_a_version_that_cannot_be_is_refused(release, text, said):
    with pytest.raises(SystemExit, match=said):
        release.checked_version(text, ["v1.2", "v0.9.1", "paper"])


@pytest.mark.parametrize(
    ("version", "following"), [("1.0.0", "1.1"), ("1.2.3", "1.2.4"), ("2.0.0rc1", "2.0.0"), ("0.1", "0.2")]
)
def test_the_next_version(release, version, following):
    assert release.open_changes("", release.checked_version(version, [])).startswith(f"{following} (unreleased)\n")


def test_nothing_is_uploaded_that_is_not_tagged(release, capsys):
    with pytest.raises(SystemExit):
        release.main(["1.0.0", "--upload"])
    assert "--upload needs --tag" in capsys.readouterr().err


def wheel(folder, names):
    path = folder / "astro_photz-1-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as opened:
        for name in names:
            opened.writestr(name, "x")
    return path


def test_a_wheel_with_all_is_right(load, tmp_path):
    check = load("tools.check_wheel")
    names = [f"astro_photz/{name}" for name in check.NEEDED]
    assert check.faults(wheel(tmp_path, [*names, "astro_photz-1.dist-info/METADATA"])) == []
    assert check.only_wheel(tmp_path).name.endswith(".whl")


@pytest.mark.parametrize(
    ("extra", "said"),
    [
        ("tests/test_demo.py", "tests does not belong"),
        ("astro_photz/data/demo.h5.photz-sha256", "left over"),
        ("astro_photz/data/images.h5.part", "left over"),
    ],
)
def test_a_wheel_with_more_is_refused(load, tmp_path, extra, said):
    check = load("tools.check_wheel")
    found = check.faults(wheel(tmp_path, [*(f"astro_photz/{name}" for name in check.NEEDED), extra]))
    assert len(found) == 1
    assert said in found[0]


def test_a_wheel_without_its_model_is_refused(load, tmp_path):
    found = load("tools.check_wheel").faults(wheel(tmp_path, ["astro_photz/__init__.py"]))
    assert "data/models/sim-small-v1/encoder.onnx is missing" in found


def test_a_wheel_that_is_too_large_is_refused(load, tmp_path, monkeypatch):
    check = load("tools.check_wheel")
    monkeypatch.setattr(check, "LARGEST", 10)
    assert "MB are more than" in check.faults(wheel(tmp_path, [f"astro_photz/{name}" for name in check.NEEDED]))[-1]


def test_a_folder_of_two_wheels_is_refused(load, tmp_path):
    check = load("tools.check_wheel")
    for name in ("a", "b"):
        (tmp_path / f"{name}.whl").touch()
    with pytest.raises(SystemExit, match="must hold one wheel, got 2"):
        check.only_wheel(tmp_path)
