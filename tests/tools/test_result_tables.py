# Licensed under a 3-clause BSD style license - see LICENSE
"""Tables of the documentation: every number is one of a stored result, and the files are up to date."""

import importlib
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
RESULT = {
    "kind": "table",
    "simulated": True,
    "columns": {"minutes": "minutes"},
    "rows": [
        {"method": "one_way", "sigma_mad": 0.0123, "sigma_mad_err": 0.0011, "minutes": 3.0},
        {"method": "without scatter", "minutes": 4.0},
    ],
    "command": "python -m benchmarks.any",
}


@pytest.fixture
def tables(monkeypatch):
    """Import the tool of the source tree; the package stays the one that is installed."""
    monkeypatch.setattr(sys, "path", [*sys.path, str(ROOT)])
    return importlib.import_module("tools.result_tables")


def test_the_files_are_those_of_the_stored_results(tables):
    written = {path.stem: path.read_text(encoding="utf-8") for path in tables.TABLES.glob("*.txt")}
    assert written == {name: tables.table_text(one) for name, one in tables.SELECTIONS.items()}


def test_a_page_shows_each_table(tables):
    pages = [tables.DOCS / "training" / "results.rst", tables.DOCS / "user" / "similarity_space.rst"]
    text = "".join(page.read_text(encoding="utf-8") for page in pages)
    for name in tables.SELECTIONS:
        assert text.count(f"tables/{name}.txt") == 1


def test_chosen_columns_and_the_rows_that_have_them(tables):
    header, rows = tables.cells(RESULT, tables.Selection("any", columns=("sigma_mad",)))
    assert header == ["method", "σ_MAD"]
    assert rows == [["one\\_way", "0.0123 ± 0.0011"]]


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"model": {"name": "mine", "version": "3"}}, "Judged model: ``mine``, version 3."),
        ({"data": {"train": "0" * 64}}, "other images than those of"),
        ({"simulated": False}, "real images"),
    ],
)
def test_the_origin_names_the_model(tables, given, said):
    text = tables.origin(RESULT | given)
    assert said in text
    assert text.endswith("::\n\n    python -m benchmarks.any\n")


def test_it_writes_the_same_files_again(tables, tmp_path):
    tables.main([str(tmp_path / "new")])
    assert {path.name: path.read_bytes() for path in (tmp_path / "new").iterdir()} == {
        path.name: path.read_bytes() for path in tables.TABLES.iterdir()
    }
