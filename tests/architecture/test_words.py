# Licensed under a 3-clause BSD style license - see LICENSE
"""One word for each thing, as the glossary of the docs has it."""

import ast
import re
from pathlib import Path

import pytest

import astro_photz

PACKAGE = Path(astro_photz.__file__).parent
DOCS = Path(__file__).parents[2] / "docs"
GLOSSARY = DOCS / "developers" / "glossary.rst"
GENERATED = ("_build", "api", "gallery", "model_card.rst")
QUESTIONS = ("what", "which", "whether", "how", "where", "who", "whose", "why", "when", "that", "of")


def retired():
    """The words of the last column of the glossary's tables."""
    rows = re.split(r"\n    \* - ", GLOSSARY.read_text(encoding="utf-8"))[1:]
    last = [re.split(r"\n      -", row)[-1].partition("\n\n")[0] for row in rows]
    return [word for cell in last for word in re.findall(r"``([^`]+)``", cell)]


def docstrings(path):
    """Docstrings of a module by line."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef) and ast.get_docstring(node):
            yield node.body[0].lineno, ast.get_docstring(node)


def pages():
    """Modules of the package, and pages of the docs that people write."""
    written = [path for path in DOCS.rglob("*.rst") if path != GLOSSARY]
    written = [path for path in written if not str(path.relative_to(DOCS)).startswith(GENERATED)]
    return [*PACKAGE.rglob("*.py"), *written, DOCS.parent / "README.md"]


def test_the_glossary_is_read():
    assert {"reasons", "go on with", "of which"} <= set(retired())


@pytest.mark.parametrize("word", retired())
def test_a_retired_word_is_not_used(word):
    pattern = re.compile(r"\b" + r"\s+".join(map(re.escape, word.split())) + r"\b", re.IGNORECASE)
    assert not [str(path) for path in pages() if pattern.search(path.read_text(encoding="utf-8"))]


@pytest.mark.parametrize("path", sorted(PACKAGE.rglob("*.py")), ids=lambda path: str(path.relative_to(PACKAGE)))
def test_a_docstring_begins_with_a_verb_or_a_noun(path):
    first_words = [(line, re.findall(r"\w+", text.lower())[0]) for line, text in docstrings(path)]
    assert not [line for line, word in first_words if word in QUESTIONS]
