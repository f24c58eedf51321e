# Licensed under a 3-clause BSD style license - see LICENSE
"""What counts as a sentence, a picture and an example of a page."""

import importlib
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SENTENCE = "One short sentence stands here."


@pytest.fixture
def readability(monkeypatch):
    monkeypatch.setattr(sys, "path", [*sys.path, str(ROOT)])
    return importlib.import_module("tools.readability")


@pytest.mark.parametrize(
    "text",
    [
        f"A title that has words\n======================\n\n{SENTENCE}",
        f"A title that has words\n----------------------\n{SENTENCE}",
        f".. _some-target:\n\n{SENTENCE}",
        f"{SENTENCE}\n\n>>> a = 1\n>>> b = 2\n  an output with many words in it\nand another line of output here\n",
        f".. code-block:: console\n\n    $ a command with many words\n\n    $ and one more command here\n\n{SENTENCE}",
        f"{SENTENCE} ::\n\n    a literal block with words\n\n    and its second paragraph here",
        f".. list-table::\n    :header-rows: 1\n\n    * - a cell with many words\n      - another one\n\n{SENTENCE}",
        f"===== =====\nfirst column and its words\n===== =====\n\n{SENTENCE}",
        f"..\n    >>> hidden = 1\n    with a comment in words\n\n{SENTENCE}",
        f".. figure:: a.png\n    :alt: Words about the picture here.\n\n    Its caption has words too.\n\n{SENTENCE}",
        f".. [A2000] Somebody, A. 2000, a title with words\n   and its second line.\n\n{SENTENCE}",
        f".. important::\n\n    {SENTENCE}",
        f".. note::\n    {SENTENCE}",
        f"A term of several words\n    {SENTENCE}",
        f"- {SENTENCE}",
        f"#. {SENTENCE}",
    ],
)
def test_prose_is_what_people_read(readability, text):
    assert [one.rstrip(": ") for one in readability.prose(text)] == [SENTENCE]


def test_sentences_end_at_full_stops_alone(readability):
    text = (
        "One has a colon: it goes on; and on (Brammer et al. 2008). *Is this* one too? ``code`` begins the third one."
    )
    assert [len(one.split()) for one in readability.prose(text)] == [13, 4, 5]


def test_a_link_counts_as_its_words(readability):
    assert readability.prose("See `the page <https://example.org/a b>`__ for more.") == ["See `the page` for more."]


def test_pictures_are_those_that_are_drawn(readability):
    text = """
.. image:: a.png
    :alt: one

.. list-table::

    * - cell
      - .. image:: b.png
            :alt: two

.. plot::
    :context: reset
    :nofigs:

    >>> import something

.. plot::
    :context: close-figs

    >>> draw()
"""
    assert readability.Page.measure("page", text).pictures == 3


def test_examples_are_those_that_run_and_are_shown(readability):
    text = """
>>> one = 1
>>> two = 2

Text.

>>> three = 3

.. doctest-skip::

    >>> four = 4

..
    >>> hidden = 5

>>> skipped = 6  # doctest: +SKIP

.. doctest-requires:: matplotlib

    >>> seven = 7
"""
    assert readability.Page.measure("page", text).examples == 3


def test_the_table_has_a_row_for_each_page(tmp_path):
    pages = [tmp_path / name for name in ("a.rst", "b.rst")]
    for page in pages:
        page.write_text(f"{SENTENCE} {SENTENCE}\n", encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "-m", "tools.readability", *map(str, pages)],
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
    )
    header, *rows, whole = done.stdout.splitlines()
    assert header.split() == ["page", "words", "pictures", "examples", "sentence"]
    assert [row.split()[1:] for row in rows] == [["10", "0", "0", "5.0"]] * 2
    assert whole.split() == ["2", "pages", "20", "0", "0", "5.0"]


@pytest.mark.skipif(not shutil.which("git"), reason="needs git")
@pytest.mark.parametrize("words", [["no_such_page.rst"], ["--at", "no-such-commit"], ["--at", "HEAD", "a.rst"]])
def test_bad_input_is_a_line(words):
    command = [sys.executable, "-m", "tools.readability", *words]
    done = subprocess.run(command, cwd=ROOT, check=False, capture_output=True, text=True)
    assert done.returncode == 2
    assert "Traceback" not in done.stderr
    assert words[0] in done.stderr
