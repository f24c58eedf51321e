# Licensed under a 3-clause BSD style license - see LICENSE
"""The pages of the guide: figures that are stored, sentences that are short, every page in a table of contents."""

import importlib
import re
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
METHOD = DOCS / "user" / "method.rst"
GUIDE = sorted([*(DOCS / "user").glob("*.rst"), *(DOCS / "training").glob("*.rst")])
SHORT = [*GUIDE, *(DOCS / "developers" / f"{name}.rst" for name in ("checklists", "release", "contributing"))]
MOST_WORDS, LONGEST_MEDIAN, LONGEST_SENTENCE = 1200, 18, 35
NUMBER = re.compile(r"(?<![\w.:/−-])[−-]?\d+\.\d+(?![\w.])")
SETTINGS = {"0.5", "0.02", "0.3", "0.4", "17.8"}
"""Of recipes and samples, which no measurement gives."""


@pytest.fixture
def readability(monkeypatch):
    """The command of the source tree that measures pages."""
    monkeypatch.setattr(sys, "path", [*sys.path, str(ROOT)])
    return importlib.import_module("tools.readability")


def numbers(text):
    return [token.replace("−", "-") for token in NUMBER.findall(text)]


def test_figures_are_on_the_model_card():
    known = [float(token) for token in numbers((DOCS / "model_card.rst").read_text(encoding="utf-8"))]
    text = METHOD.read_text(encoding="utf-8")
    shown = [token for token in numbers(text) if token not in SETTINGS]
    assert len(shown) > 40
    digits = {token: len(token.partition(".")[2]) for token in shown}
    assert [token for token in shown if float(token) not in {round(one, digits[token]) for one in known}] == []


def test_results_that_are_named_are_stored():
    names = re.findall(r"``(\w+\.json)``", METHOD.read_text(encoding="utf-8"))
    assert names
    assert [name for name in names if not (DOCS / "model_card" / name).is_file()] == []


@pytest.mark.parametrize("path", SHORT, ids=lambda path: str(path.relative_to(DOCS)))
def test_pages_are_short_and_their_sentences_too(path, readability):
    text = path.read_text(encoding="utf-8")
    page = readability.Page.measure(path.name, text)
    assert page.words <= MOST_WORDS
    assert page.sentence <= LONGEST_MEDIAN
    assert [one for one in readability.prose(text) if len(one.split()) > LONGEST_SENTENCE] == []


@pytest.mark.parametrize("folder", ["user", "training"])
def test_pages_are_listed_once(folder):
    index = (DOCS / folder / "index.rst").read_text(encoding="utf-8")
    listed = re.findall(r"(?m)^    ([a-z_]+)$", index)
    assert sorted(listed) == sorted(path.stem for path in GUIDE if path.parent.name == folder and path.stem != "index")
