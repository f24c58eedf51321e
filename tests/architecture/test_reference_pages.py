# Licensed under a 3-clause BSD style license - see LICENSE
"""
The reference: what is public, each name on one page, and an example of each.

Public is what ``__all__`` of the package and of its rooms names. A room that users do not import is in `INTERNAL`: what
users need of it is in ``astro_photz`` itself. All other modules are for those who develop the package.
"""

import ast
import doctest
import inspect
import re
from importlib import import_module
from importlib.util import find_spec
from itertools import pairwise
from pathlib import Path
from pkgutil import iter_modules

import pytest

import astro_photz

ROOT = Path(__file__).parents[2]
REFERENCE = ROOT / "docs" / "reference"
PAGES = [path for path in REFERENCE.glob("*.rst") if path.name != "index.rst"]

INTERNAL = {"cli", "config", "data", "demo", "utils"}
"""Rooms of the command, of settings and of small tools."""
INNER = ("adapters.lsdb", "adapters.qp", "adapters.rail", "train.augment")
"""Modules below a room that users import by their own name."""
EXTRAS = {"train": ("torch", "lightning", "onnxscript"), "simulate": ("torch", "kcorrect"), "adapters.rail": ("rail",)}

ROOMS = ["astro_photz"]
ROOMS += [
    f"astro_photz.{room.name}"
    for room in iter_modules(astro_photz.__path__)
    if not room.name.startswith("_") and room.name not in INTERNAL
]
ROOMS += [f"astro_photz.{name}" for name in INNER]

GUIDE = [ROOT / "README.md", ROOT / "docs" / "index.rst", ROOT / "docs" / "start_page.py"]
GUIDE += [path for folder in ("user", "training") for path in (ROOT / "docs" / folder).rglob("*.rst")]
GUIDE += (ROOT / "docs" / "tutorials").rglob("*.py")
GUIDE.remove(ROOT / "docs" / "user" / "speed_tables.rst")  # what benchmarks printed, with imports among their names


def opened(room):
    """The module of a room; its test is skipped where an extra of it is not installed."""
    name = room.removeprefix("astro_photz.")
    missing = [one for start, those in EXTRAS.items() if name.startswith(start) for one in those if not find_spec(one)]
    if missing:
        pytest.skip(f"{room} needs {', '.join(missing)}")
    return import_module(room)


def public(room):
    """Names of a room, but for those that the package itself has."""
    module = opened(room)
    names = getattr(module, "__all__", [])
    if room == "astro_photz":
        return {name: getattr(module, name) for name in names}
    return {name: getattr(module, name) for name in names if name not in astro_photz.__all__}


def shown():
    """What each page shows: a room, and the names of it that are left out."""
    for path in PAGES:
        text = path.read_text(encoding="utf-8")
        for match in re.finditer(r"(?m)^\.\. automodapi:: (\S+)\n((?: +\S.*\n)*)", text):
            skipped = re.search(r":skip: (.*)", match[2])
            yield path.stem, match[1], {name.strip() for name in skipped[1].split(",")} if skipped else set()
        for match in re.finditer(r"(?m)^\.\. py:\w+:: (?:astro_photz\.)(\S+)\.\w+", text):
            yield path.stem, f"astro_photz.{match[1]}", set()  # of an extra that the pages are made without


def rooms_of(text):
    """Rooms from which an example imports, and the names."""
    for room, names in re.findall(r"from (astro_photz[\w.]*) import ([\w, ]+)", text):
        yield room, {name.strip() for name in names.split(",")}


def example_of(value):
    """Code of a docstring's examples that run, and what they print."""
    text = inspect.getdoc(value) or ""
    if "Examples" not in text and inspect.isclass(value):  # RAIL writes other docstrings in their place
        text = ast.get_docstring(ast.parse(inspect.getsource(value)).body[0]) or ""
    section = re.search(r"(?ms)^Examples\n-+\n(.*)", text)
    runs = doctest.DocTestParser().get_examples(section[1]) if section else []
    runs = [one for one in runs if not one.options.get(doctest.SKIP)]
    return runs, "".join(one.want for one in runs), section[1] if section else ""


def test_pages_show_public_rooms_only():
    assert {room for _, room, _ in shown()} <= set(ROOMS)
    others = re.compile(r"(?m)^\.\. auto(?!modapi)\w+::")
    assert [path.name for path in PAGES if others.search(path.read_text(encoding="utf-8"))] == []


@pytest.mark.parametrize("room", ROOMS)
def test_every_public_name_is_on_one_page(room):
    names = public(room)
    pages = {name: [page for page, one, left in shown() if one == room and name not in left] for name in names}
    assert {name: found for name, found in pages.items() if len(found) != 1} == {}
    own = set(getattr(opened(room), "__all__", []))
    left_out = {name for _, one, left in shown() if one == room for name in left}
    assert left_out <= own - set(names), "a page leaves out a name that the package itself does not have"


@pytest.mark.parametrize("room", ROOMS)
def test_no_name_is_shown_twice(room):
    twice = set(getattr(opened(room), "__all__", [])) - set(public(room))
    assert {(name, page) for page, one, left in shown() if one == room for name in twice - left} == set()


def test_pages_are_listed_once_with_a_line_each():
    index = (REFERENCE / "index.rst").read_text(encoding="utf-8")
    listed = re.findall(r"(?m)^    (\w+)$", index)
    assert sorted(listed) == sorted(path.stem for path in PAGES)
    assert [name for name in listed if len(re.findall(rf":doc:`(?:[\w. ]+ <)?{name}>?`", index)) != 1] == []


@pytest.mark.parametrize("room", ROOMS)
def test_every_public_function_has_an_example_with_output(room):
    without = []
    for name, value in public(room).items():
        if callable(value):
            runs, printed, text = example_of(value)
            if not runs or not (printed or ".. plot::" in text):
                without.append(name)
    assert without == []


def explained_constants(room):
    """Names in the modules of a room whose assignment is followed by words."""
    place = Path(room.__file__)
    for path in place.parent.rglob("*.py") if place.name == "__init__.py" else [place, *place.parent.glob("_*.py")]:
        statements = ast.parse(path.read_text(encoding="utf-8")).body
        for one, words in pairwise(statements):
            if isinstance(one, ast.Assign) and isinstance(words, ast.Expr) and isinstance(words.value, ast.Constant):
                yield from (target.id for target in one.targets if isinstance(target, ast.Name))


@pytest.mark.parametrize("room", ROOMS)
def test_every_public_constant_is_explained(room):
    constants = {name for name, value in public(room).items() if not callable(value)} - {"conf"}
    assert constants - set(explained_constants(opened(room))) == set()


@pytest.mark.parametrize("room", ROOMS)
def test_examples_import_from_public_rooms(room):
    texts = {name: example_of(value)[2] for name, value in public(room).items() if callable(value)}
    assert {name: one for name, text in texts.items() for one, _ in rooms_of(text) if one not in ROOMS} == {}


def test_every_function_that_draws_shows_a_picture():
    pytest.importorskip("matplotlib")
    drawing = [value for name, value in public("astro_photz.plots").items() if name.startswith("plot_")]
    assert drawing
    assert [value.__name__ for value in drawing if not re.search(r"(?m)^\.\. plot::", example_of(value)[2])] == []


@pytest.mark.parametrize("path", GUIDE, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_the_guide_imports_public_names_only(path):
    text = path.read_text(encoding="utf-8")
    for room, names in rooms_of(text):
        assert room in ROOMS, f"{path.name} imports from {room}, which is for developers"
        below = {one.removeprefix(f"{room}.") for one in ROOMS}
        unknown = names - set(getattr(opened(room), "__all__", [])) - below
        assert not unknown, f"{path.name} imports {unknown} from {room}, whose __all__ does not name them"
