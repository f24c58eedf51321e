# Licensed under a 3-clause BSD style license - see LICENSE
"""The names of other packages that the documentation links exist, and are used there."""

import builtins
import importlib
import importlib.util
import re
import zlib
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).parents[2]
MODULE = ROOT / "docs" / "_extensions" / "inventories.py"
NAMES = ["astropy", "astroquery", "numpy", "photutils"]  # that users of this package know


def load():
    spec = importlib.util.spec_from_file_location("docs_inventories", MODULE)
    module = importlib.util.module_from_spec(spec)
    __import__("sys").modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


INVENTORIES = load()
ENTRIES = [entry for project in INVENTORIES.PROJECTS.values() for entry in project.entries()]


def found(name, role):
    """The object of that name; an attribute of a module, the module itself, or a name that needs no import."""
    if role == "module":
        return importlib.import_module(name)
    module, _, attribute = name.rpartition(".")
    return getattr(importlib.import_module(module) if module else builtins, attribute)


@pytest.mark.parametrize(("name", "role", "address"), ENTRIES, ids=lambda value: str(value).partition("#")[0])
def test_names_exist_and_are_what_their_roles_say(name, role, address):
    package = name.partition(".")[0]
    if "." in name and not importlib.util.find_spec(package):
        pytest.skip(f"needs {package}")
    value = found(name, role)
    kinds = {"module": ModuleType, "class": type, "exception": type}
    assert isinstance(value, kinds[role]) if role in kinds else callable(value)
    assert (role == "exception") == (isinstance(value, type) and issubclass(value, BaseException))
    assert address.endswith(f"module-{name}" if role == "module" else f"#{name}")


def test_names_are_used():
    """A name that no page and no docstring has needs no address."""
    pages = [*(ROOT / "docs").rglob("*.rst"), *(ROOT / "astro_photz").rglob("*.py")]
    words = set(re.findall(r"[\w.]*\w", " ".join(path.read_text(encoding="utf-8") for path in pages)))
    assert {name for name, _, _ in ENTRIES} <= words


def test_files_are_inventories_of_sphinx(tmp_path):
    mapping = INVENTORIES.mapping(tmp_path)
    assert set(NAMES) <= set(mapping)
    for name, (url, path) in mapping.items():
        assert url.startswith("https://")
        assert url.endswith("/")
        content = Path(path).read_bytes()
        *head, body = content.split(b"\n", 4)
        assert head[0] == b"# Sphinx inventory version 2"
        assert b"zlib" in head[3]
        lines = zlib.decompress(body).decode().splitlines()
        assert len(lines) == len(list(INVENTORIES.PROJECTS[name].entries())) > 0
        for line in lines:
            assert re.fullmatch(r"[\w.]+ py:\w+ 1 [\w./]+\.html#[\w.-]+ -", line), line
