# Licensed under a 3-clause BSD style license - see LICENSE
"""What an import brings along, and what estimating can do without."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest
from astropy.table import Table

import astro_photz
from astro_photz.plots.images import plot_galaxies

PACKAGE = Path(astro_photz.__file__).parent
HEAVY = ("torch", "lightning", "matplotlib", "lsdb", "faiss", "astroquery", "onnxruntime", "photutils", "h5py", "scipy")
TRAINING = ("torch", "lightning", "onnx", "onnxscript", "kcorrect", "galsim", "matplotlib", "sfdmap2")


def run(code):
    """Run Python code in a process of its own; what it printed."""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_import_is_light():
    loaded = run("import sys, astro_photz; print(*sys.modules)").split()
    assert "astro_photz" in loaded
    assert not {name.partition(".")[0] for name in loaded} & set(HEAVY)


def test_estimating_needs_no_training_code():
    code = f"""
import sys
for name in {TRAINING}:
    sys.modules[name] = None  # importing it raises ImportError
import numpy as np, astro_photz
table = astro_photz.predict(astro_photz.Cutouts.read(astro_photz.demo_path()))
assert np.isfinite(np.ma.filled(table["z_phot"], np.nan)).all()
assert not [name for name in sys.modules if name.startswith(("astro_photz.train", "astro_photz.simulate"))]
print(len(table), "photutils.segmentation" in sys.modules)
"""
    assert run(code).split() == ["24", "False"]


def test_pictures_without_matplotlib_name_the_command(monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(ImportError, match=r'pip install "astro-photz\[plot\]"'):
        plot_galaxies(astro_photz.Cutouts.read(astro_photz.demo_path()), Table())


@pytest.mark.parametrize("name", astro_photz.__all__)
def test_public_names_exist_and_are_explained(name):
    value = getattr(astro_photz, name)
    assert name in dir(astro_photz)
    if callable(value) and name != "PhotozFlag":  # astropy's maps of bits take no docstring
        assert value.__doc__


def test_unknown_names_are_refused():
    with pytest.raises(AttributeError, match="no attribute 'nonsense'"):
        astro_photz.nonsense  # noqa: B018


def imports_of(path):
    """Absolute names of what a module of the package imports, at any depth."""
    package = path.relative_to(PACKAGE.parent).with_suffix("").parts[:-1]
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = list(package[: len(package) - node.level + 1]) if node.level else []
            yield ".".join(base + (node.module.split(".") if node.module else []))


@pytest.mark.parametrize("path", sorted(PACKAGE.rglob("*.py")), ids=lambda path: str(path.relative_to(PACKAGE)))
def test_data_go_one_way(path):
    room = path.relative_to(PACKAGE).parts[0]
    forbidden = {"train": ("astro_photz.simulate",), "simulate": ("astro_photz.train",)}
    forbidden["cli"] = "torch", "lightning"  # each of its commands loads what it needs when it is given
    training = ("astro_photz.train", "astro_photz.simulate", "torch", "lightning")
    names = list(imports_of(path))
    assert not [name for name in names if name.startswith(forbidden.get(room, training))]


ROOMS = (
    *("sdss", "config", "flags", "dust", "pdf", "tables", "catalog"),
    *("cutouts", "quality", "models", "prediction", "plots", "demo", "cli"),
)


@pytest.mark.parametrize("path", sorted(PACKAGE.rglob("*.py")), ids=lambda path: str(path.relative_to(PACKAGE)))
def test_no_room_imports_a_later_one(path):
    room = path.relative_to(PACKAGE).with_suffix("").parts[0]
    if room not in ROOMS:
        return
    later = tuple(f"astro_photz.{name}" for name in ROOMS[ROOMS.index(room) + 1 :])
    assert not [name for name in imports_of(path) if name.startswith(later)]
