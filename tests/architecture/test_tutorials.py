# Licensed under a 3-clause BSD style license - see LICENSE
"""Tutorials of the documentation say what they need, and draw something. The build of the documentation runs them."""

import ast
import re
import sys
from pathlib import Path

import pytest

DOCS = Path(__file__).parents[2] / "docs"
SCRIPTS = sorted((DOCS / "tutorials").glob("*/*.py"))
EXTRAS = {"plot", "simulate", "train", "qp", "search", "dust"}

pytestmark = pytest.mark.skipif(not SCRIPTS, reason="the documentation is not at hand")


@pytest.fixture(params=SCRIPTS, ids=lambda path: path.stem)
def script(request):
    return request.param.read_text()


def test_there_are_enough_and_each_has_its_place(monkeypatch):
    monkeypatch.syspath_prepend(str(DOCS / "_extensions"))
    import tutorials

    listed = {(section, name) for section, names in tutorials.SECTIONS.items() for name in names}
    assert listed == {(path.parent.name, path.stem) for path in SCRIPTS}
    assert len(listed) >= 14
    assert {path.parent.name for path in DOCS.glob("tutorials/*/GALLERY_HEADER.rst")} == {*tutorials.SECTIONS}
    monkeypatch.delitem(sys.modules, "tutorials")


def test_labels_are_the_extras_that_the_text_names(script):
    labels = ast.literal_eval(re.search(r"^# sphinx_gallery_tags = (.*)$", script, re.MULTILINE)[1])
    text = ast.get_docstring(ast.parse(script))
    named = re.search(r"astro-photz\[([a-z,]+)\]", text)[1].split(",")
    assert [label for label in labels if label in EXTRAS] == named
    assert "offline" in labels
    assert "network" in text


def test_galaxies_are_called_simulated(script):
    assert re.search(r"simulate", ast.get_docstring(ast.parse(script)), re.IGNORECASE)


def test_it_draws(script):
    assert "plt.show()" in script


def test_lines_of_text_and_code_fit_the_page(script):
    code = [line for line in script.splitlines() if not line.startswith("#")]
    assert max(map(len, code)) <= 120
