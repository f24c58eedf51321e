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


def test_the_page_shows_what_holds_and_what_does_not(tool):
    text = tool.page(RESULT)
    for row in (["time of an import", "0.988", "≤ 1", "yes"], ["speed", "1.5", "≥ 1.8", "no"]):
        assert "    * - " + "\n      - ".join(row) in text
    assert "    a table\n\n      1.0\n" in text
    assert "python 3.12, numpy 2.3." in text
    assert "Not measured yet: ``python -m benchmarks.inference.predict``, ``" in text
    assert "benchmarks.inference.imports``" not in text.partition("Not measured yet")[2].partition("\n")[0]
    assert "quick" not in text
    assert "few rows" in tool.page(RESULT | {"quick": True})


def test_it_writes_the_page_of_a_result(tool, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(tool, "RESULT", tmp_path / "all.json")
    tool.RESULT.write_text(json.dumps(RESULT))
    monkeypatch.setattr("sys.argv", ["benchmark_page", str(tmp_path / "speed.rst")])
    tool.main()
    assert (tmp_path / "speed.rst").read_text(encoding="utf-8") == tool.page(RESULT)


def test_the_page_of_the_documentation_is_that_of_the_stored_result(tool):
    result = json.loads(tool.RESULT.read_text(encoding="utf-8"))
    assert not result["quick"]
    assert (tool.DOCS / "user" / "speed.rst").read_text(encoding="utf-8") == tool.page(result)
