# Licensed under a 3-clause BSD style license - see LICENSE
"""Files and folders take their names when they are complete, and arguments are checked in one way."""

import sys

import numpy as np
import pytest

from astro_photz.utils._checks import check_count, check_not_there
from astro_photz.utils._files import aside, folder_aside
from astro_photz.utils._optional import optional

MODEL = {"sign": "card.json", "kind": "a model's folder"}


def begin(context, name=""):
    """Write a file, and break off before it is complete."""
    with context as part:
        (part / name).write_text("half")
        raise RuntimeError("it broke off")


def test_a_file_takes_its_name_when_it_is_complete(tmp_path):
    path = tmp_path / "table.fits.gz"
    path.write_text("old")
    with aside(path) as part:
        assert part.suffixes[-2:] == path.suffixes  # some writers go by them
        part.write_text("new")
        assert path.read_text() == "old"
    assert path.read_text() == "new"
    with pytest.raises(RuntimeError, match="broke off"):
        begin(aside(path))
    assert path.read_text() == "new"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("before", ["nothing", "empty folder", "model"])
def test_a_folder_takes_its_name_when_it_is_complete(tmp_path, before):
    path = tmp_path / "mine"
    if before != "nothing":
        path.mkdir()
    if before == "model":
        (path / "card.json").write_text("old")
        (path / "more").mkdir()
    contents = sorted(tmp_path.rglob("*"))
    with pytest.raises(RuntimeError, match="broke off"):
        begin(folder_aside(path, **MODEL), "card.json")
    assert sorted(tmp_path.rglob("*")) == contents
    with folder_aside(path, **MODEL) as part:
        assert not list(part.iterdir())
        (part / "card.json").write_text("new")
    assert sorted(tmp_path.rglob("*")) == [path, path / "card.json"]
    assert (path / "card.json").read_text() == "new"


@pytest.mark.parametrize("before", ["file", "other folder"])
def test_what_is_no_such_folder_is_never_replaced(tmp_path, before):
    path = tmp_path / "mine"
    if before == "file":
        path.write_text("thesis")
    else:
        path.mkdir()
        (path / "thesis.tex").write_text("thesis")
    contents = sorted(tmp_path.rglob("*"))
    with pytest.raises(FileExistsError, match="mine exists and is not a model's folder"), folder_aside(path, **MODEL):
        pass
    assert sorted(tmp_path.rglob("*")) == contents


def test_nothing_is_replaced_unasked(tmp_path):
    path = tmp_path / "there"
    check_not_there(path, overwrite=False)
    path.write_text("")
    check_not_there(path, overwrite=True)
    with pytest.raises(FileExistsError, match="there exists: choose another path, or set overwrite=True"):
        check_not_there(path, overwrite=False)


def test_a_count_is_a_whole_number():
    assert check_count("n", np.int64(3)) == 3
    assert type(check_count("n", np.int64(3))) is int
    assert check_count("seed", 0, least=0) == 0
    for value in (True, 1.0, "1", None):
        with pytest.raises(TypeError, match=f"n must be a whole number, got {value!r}"):
            check_count("n", value)
    with pytest.raises(ValueError, match="n must be at least 2, got 1"):
        check_count("n", 1, least=2)


def test_a_package_that_is_not_installed_is_named_with_its_extra(monkeypatch):
    assert optional("xml.dom", extra="train", doing="training").__name__ == "xml.dom"
    monkeypatch.setitem(sys.modules, "xml.dom", None)
    with pytest.raises(ImportError, match=r'training needs xml: pip install "astro-photz\[train\]"'):
        optional("xml.dom", extra="train", doing="training")
