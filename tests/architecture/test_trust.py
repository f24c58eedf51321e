# Licensed under a 3-clause BSD style license - see LICENSE
"""Nothing that a file holds is executed, and onnxruntime is imported at one door, with its telemetry off."""

import ast
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
DOOR = ROOT / "astro_photz" / "utils" / "_onnxruntime.py"
READS_CACHES_OF_OTHERS = {ROOT / "astro_photz" / "cutouts" / "sources" / "_skyserver.py"}
"""Names an error of astroquery's."""

RUN_CODE = {"pickle", "_pickle", "cPickle", "dill", "cloudpickle", "joblib", "shelve", "marshal"}
"""Modules that execute what they read."""

ONLY_ITS_ERRORS = {
    ROOT / "astro_photz" / "train" / "networks" / "weights.py",
    ROOT / "astro_photz" / "train" / "export" / "published_weights.py",
    *READS_CACHES_OF_OTHERS,
}
"""Modules that name the error of a refused pickle."""


def files(*folders):
    return sorted(path for folder in folders for path in (ROOT / folder).rglob("*.py") if path.is_file())


def nodes(path):
    return ast.walk(ast.parse(path.read_text(encoding="utf-8")))


def imported(path):
    """Names of the modules that a file imports, and of the things that it takes out of them."""
    for node in nodes(path):
        if isinstance(node, ast.Import):
            yield from (one.name for one in node.names)
        elif isinstance(node, ast.ImportFrom) and not node.level:
            yield from (f"{node.module}.{one.name}" for one in node.names)


def called(path):
    """Name of each function that a file calls, as it stands there, and its keywords."""
    for node in nodes(path):
        if isinstance(node, ast.Call):
            yield ast.unparse(node.func), {one.arg: ast.unparse(one.value) for one in node.keywords}


@pytest.mark.parametrize("path", files("astro_photz"), ids=lambda path: str(path.relative_to(ROOT)))
def test_nothing_that_is_read_is_executed(path):
    modules = {name.partition(".")[0] for name in imported(path)}
    assert not modules & RUN_CODE or path in ONLY_ITS_ERRORS
    if path in ONLY_ITS_ERRORS:
        uses = {ast.unparse(one) for one in nodes(path) if isinstance(one, ast.Attribute)}
        assert {one for one in uses if one.startswith("pickle.")} <= {"pickle.UnpicklingError"}
    for name, keywords in called(path):
        assert name not in ("eval", "exec", "compile", "__import__", "os.system", "os.popen"), name
        assert keywords.get("allow_pickle", "False") == "False", name
        if name in ("np.load", "numpy.load"):
            assert keywords.get("allow_pickle") == "False", name
        if name.endswith(("torch.load", "load_from_checkpoint", "trainer.fit")):
            assert keywords.get("weights_only") == "True", name
        if name.startswith("yaml."):
            assert "safe" in name.lower() or "Safe" in keywords.get("Loader", ""), name


def test_onnxruntime_has_one_door():
    found = {
        path
        for path in files("astro_photz", "tests", "tools", "benchmarks")
        if any(name.partition(".")[0] == "onnxruntime" for name in imported(path))
    }
    assert found == {DOOR}


@pytest.mark.parametrize(("given", "wanted"), [(None, "1"), ("0", "0"), ("", "")])
def test_telemetry_is_off_unless_the_user_says_otherwise(given, wanted):
    environment = {name: value for name, value in os.environ.items() if name != "ORT_DISABLE_TELEMETRY"}
    environment |= {} if given is None else {"ORT_DISABLE_TELEMETRY": given}
    code = """
import os, sys
from astro_photz.utils import _onnxruntime
sys.modules["onnxruntime"] = None  # importing it raises an ImportError, after the switch
try:
    _onnxruntime.onnxruntime()
except ImportError:
    print(repr(os.environ["ORT_DISABLE_TELEMETRY"]))
"""
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == repr(wanted)
