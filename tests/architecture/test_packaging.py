# Licensed under a 3-clause BSD style license - see LICENSE
"""
What is installed, and what the metadata promise.
"""

import tomllib
from importlib.metadata import files as files_of_distribution
from importlib.resources import files
from pathlib import Path

import pytest
from packaging.requirements import Requirement

ROOT = Path(__file__).parents[2]


def requirements():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"]
    others = ("docs", "scale")  # LSDB needs pandas 3, which is newer than our oldest
    lists = [project["dependencies"], *(extras[name] for name in extras if name not in others)]
    return [Requirement(line) for lines in lists for line in lines]


def minima():
    return {
        requirement.name: part.version
        for requirement in requirements()
        for part in requirement.specifier
        if part.operator == ">="
    }


def pins(name):
    lines = (ROOT / name).read_text().splitlines()
    return dict(line.split("==") for line in lines if line and not line.startswith("#"))


def test_every_requirement_has_a_minimum():
    assert {r.name for r in requirements()} - {"astro-photz"} == set(minima())


def test_oldest_pins_are_the_minima():
    oldest = pins("constraints-oldest.txt")
    promised = {name: version for name, version in minima().items() if name != "torch"}
    assert oldest.keys() == promised.keys()
    for name, version in promised.items():
        assert Requirement(f"{name}=={version}").specifier.contains(oldest[name]), name


def test_linters_are_those_of_pre_commit():
    text = (ROOT / ".pre-commit-config.yaml").read_text()
    for name in ("codespell", "ruff"):
        assert f"rev: v{pins('constraints.txt')[name]}" in text, name


@pytest.mark.parametrize("pattern", ["models/*/encoder.onnx", "models/*/head.onnx", "models/*/card.json", "demo.h5"])
def test_data_are_installed(pattern):
    assert list((files("astro_photz") / "data").glob(pattern))


def test_only_the_package_is_installed():
    modules = {path.parts[0] for path in files_of_distribution("astro-photz") if path.suffix == ".py"}
    assert not modules & {"tests", "docs", "benchmarks", "tools"}


def test_modules_of_tests_have_names_of_their_own():
    """Pytest imports them by name, without the folder."""
    names = [path.name for path in (ROOT / "tests").rglob("*.py") if path.name != "conftest.py"]
    assert not {name for name in names if names.count(name) > 1}
