# Licensed under a 3-clause BSD style license - see LICENSE
"""Imports are light, and estimating needs the plain install only."""

import subprocess
import sys

import pytest
from astropy.table import Table

import astro_photz
from astro_photz.plots.images import plot_galaxies

HEAVY = ("torch", "lightning", "matplotlib", "lsdb", "faiss", "astroquery", "onnxruntime", "photutils", "h5py", "scipy")
TRAINING = ("torch", "lightning", "onnx", "onnxscript", "kcorrect", "galsim", "matplotlib", "sfdmap2")

BEYOND = ("torch", "lightning", "faiss", "lsdb", "matplotlib", "kcorrect", "galsim", "pytest")
"""Packages that the plain install does not have, or need."""

NOT_PLAIN = ("train", "simulate", "adapters.rail", "testing.galsim_scene")
"""Rooms and modules that need more; the last one is of tests of `astro_photz.simulate`."""

EVERY_MODULE = f"""
import importlib, pkgutil, sys
import astro_photz

def names(package):
    for module in pkgutil.iter_modules(package.__path__, package.__name__ + "."):
        if module.name.endswith("__main__") or module.name.removeprefix("astro_photz.") in {NOT_PLAIN}:
            continue
        yield module.name
        if module.ispkg:
            yield from names(importlib.import_module(module.name))

for name in names(astro_photz):
    importlib.import_module(name)
    found = {set(BEYOND)} & sys.modules.keys()
    if found:
        sys.exit(name + " brings in " + ", ".join(found))
    print(name)
"""


def run(code):
    """Run Python code in a process of its own; what it printed."""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_import_is_light():
    loaded = run("import sys, astro_photz; print(*sys.modules)").split()
    assert "astro_photz" in loaded
    assert not {name.partition(".")[0] for name in loaded} & set(HEAVY)


def test_no_module_outside_training_and_simulation_brings_in_what_they_need():
    names = set(run(EVERY_MODULE).split())
    assert {"astro_photz.cutouts.sources.archive", "astro_photz.testing.loopback", "astro_photz.cli"} <= names


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
