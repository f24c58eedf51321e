# Licensed under a 3-clause BSD style license - see LICENSE
"""The commands of the page of questions and errors print what it says."""

import re
import shlex
import shutil
from pathlib import Path

import pytest

import astro_photz
from astro_photz.cli import main

PAGE = Path(__file__).parents[2] / "docs" / "user" / "faq.rst"
BLOCK = re.compile(r"\.\. code-block:: console\n\n((?: {4}.*\n)+)")


def examples():
    """Commands of the page without the name of the program, and what is printed, as one line."""
    for block in BLOCK.findall(PAGE.read_text(encoding="utf-8")):
        command, *printed = block.split("\n")
        yield command.strip().removeprefix("$ astro-photz "), " ".join(" ".join(printed).split())


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    shutil.copy(astro_photz.demo_path(), "stamps.h5")
    table = astro_photz.CutoutFile("stamps.h5").catalog()["ra", "dec"]
    table.write("hosts.csv")
    table["ra"] = table["ra"] / 15
    table.write("hours.csv")
    Path("z.ecsv").write_text("kept")
    Path("uneven.csv").write_text("ra,dec\n150.1,2.2\n150.2,2,3\n")


def test_the_page_has_examples():
    assert len(list(examples())) >= 4


@pytest.mark.parametrize(("command", "printed"), list(examples()))
@pytest.mark.usefixtures("folder")
def test_a_command_prints_what_the_page_says(command, printed, capsys):
    main(shlex.split(command))
    assert printed in " ".join(capsys.readouterr().err.split())
    assert Path("z.ecsv").read_text() == "kept"
