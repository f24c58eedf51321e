# Licensed under a 3-clause BSD style license - see LICENSE
"""The page about speed: all that was measured, whether it holds or not, and nothing else."""

import importlib
import json
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
RESULT = {
    "quick": False,
    "machine": {"processors": "2"},
    "model": {"name": "sim-small-v1", "version": "9"},
    "versions": {"python": "3.12", "numpy": "2.3"},
    "measured": [
        {
            "command": "python -m benchmarks.inference.imports",
            "output": "a table  \n\n  1.0\n",
            "seconds": 12,
            "date": "2026-01-31",
            "of": "0.1",
            "claims": [
                {"what": "time of an import", "value": 0.98765, "least": None, "most": 1},
                {"what": "speed", "value": 1.5, "least": 1.8, "most": None},
            ],
        }
    ],
}


@pytest.fixture
def tool(monkeypatch):
    """Import the tool of the source tree; the package stays the one that is installed."""
    monkeypatch.setattr(sys, "path", [*sys.path, str(ROOT)])
    return importlib.import_module("tools.benchmark_page")


def test_the_pages_show_what_holds_and_what_does_not(tool):
    text, tables = tool.pages(RESULT).values()
    for row in (["time of an import", "0.988", "≤ 1", "yes"], ["speed", "1.5", "≥ 1.8", "no"]):
        assert "    * - " + "\n      - ".join(row) in text
    assert "    a table\n\n      1.0\n" in tables
    assert "python 3.12, numpy 2.3." in text
    assert "Not measured yet: ``python -m benchmarks.inference.predict``, ``" in text
    assert "benchmarks.inference.imports" not in text
    assert "quick" not in text
    assert "few rows" in tool.pages(RESULT | {"quick": True})["speed.rst"]


def test_it_writes_the_pages_of_a_result(tool, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(tool, "RESULT", tmp_path / "all.json")
    tool.RESULT.write_text(json.dumps(RESULT))
    monkeypatch.setattr("sys.argv", ["benchmark_page", str(tmp_path)])
    tool.main()
    assert {path.name: path.read_text(encoding="utf-8") for path in tmp_path.glob("*.rst")} == tool.pages(RESULT)


def test_the_pages_of_the_documentation_are_those_of_the_stored_result(tool):
    result = json.loads(tool.RESULT.read_text(encoding="utf-8"))
    assert not result["quick"]
    for name, text in tool.pages(result).items():
        assert (tool.DOCS / "user" / name).read_text(encoding="utf-8") == text
