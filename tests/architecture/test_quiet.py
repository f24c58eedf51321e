# Licensed under a 3-clause BSD style license - see LICENSE
"""
Nothing is sent out, and nothing is left behind but the output and caches that the docs name.

The commands run without a network, and each connection that the process or a child of it asks the system for is noted,
those of compiled code too.
"""

import os
import shutil
import subprocess
import sys

import pytest

from astro_photz import demo_path
from astro_photz.testing.factories import gaussian_cutouts

CALLS = "connect,sendto,sendmsg,sendmmsg"
APART = ("unshare", "-rn")  # a network of its own, with nothing in it
WATCHED = ("strace", "-f", "-qq", "--seccomp-bpf", "-e", f"trace={CALLS}", "-o")
FOLDERS = {"HOME": "home", "TMPDIR": "tmp", "XDG_CACHE_HOME": "cache", "XDG_CONFIG_HOME": "config"}
DOCUMENTED = ("matplotlib",)
"""Caches of others: matplotlib's list of fonts."""

SMALL = ("pretrain.epochs = 1", "pretrain.batch_size = 8", "pretrain.queue_length = 8", "encoder.width = 4")
ESTIMATING = (
    ["demo"],
    ["predict", str(demo_path()), "z.ecsv", "--analogues", "3"],
    ["evaluate", "bundled", str(demo_path()), "--output", "evaluation.json"],
)
TRAINING = (
    ["pretrain", "../stamps.h5", "run", "--recipe", "smoke", "--quiet", *(f"--set={one}" for one in SMALL)],
    ["export", "run", "mine"],
)
RUN = """
import sys
from astro_photz.cli import main
for words in {commands!r}:
    status = main(words)
    if status:
        sys.exit(f"{{words}} ended with {{status}}")
"""


def can_watch(folder):
    if not all(map(shutil.which, (APART[0], WATCHED[0]))):
        return False
    trial = [*APART, *WATCHED, str(folder / "trial"), "true"]
    return subprocess.run(trial, capture_output=True, check=False).returncode == 0


def data_of_the_package():
    return set(demo_path().parent.rglob("*"))


def observed(folder, commands):
    """Run commands in a folder; the calls to the network, and the files beside the output."""
    if not can_watch(folder):
        pytest.skip("needs strace, and leave to have a network of its own (unshare -rn)")
    for name in ("output", *FOLDERS.values()):
        (folder / name).mkdir()
    precious = folder / "precious"
    precious.write_text("kept")
    (folder / "tmp" / ".ses").symlink_to(precious)  # a name that telemetry writes to
    environment = {name: value for name, value in os.environ.items() if name in ("PATH", "LANG", "LD_LIBRARY_PATH")}
    environment |= {name: str(folder / place) for name, place in FOLDERS.items()} | {"OMP_NUM_THREADS": "1"}
    trace, before = folder / "trace", data_of_the_package()
    done = subprocess.run(
        [*APART, *WATCHED, str(trace), sys.executable, "-c", RUN.format(commands=list(commands))],
        cwd=folder / "output",
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert precious.read_text() == "kept"
    assert data_of_the_package() == before
    calls = [line for line in trace.read_text().splitlines() if "AF_INET" in line or "resolve" in line]
    places = [folder / place for place in FOLDERS.values()]
    left = [path for place in places for path in place.rglob("*") if not path.is_dir() and path.name != ".ses"]
    return calls, [path for path in left if not set(path.parts) & set(DOCUMENTED)]


@pytest.mark.parametrize("commands", [ESTIMATING, TRAINING], ids=["estimating", "training"])
def test_nothing_is_asked_for_and_nothing_is_left(tmp_path, commands):
    if commands is TRAINING:
        pytest.importorskip("lightning", exc_type=ImportError)
        pytest.importorskip("onnxscript", exc_type=ImportError)
        gaussian_cutouts(80, size=68).write(tmp_path / "stamps.h5")
    calls, left = observed(tmp_path, commands)
    assert calls == []
    assert left == []
    assert any((tmp_path / "output").iterdir())


def test_what_asks_for_a_name_is_noticed(tmp_path):
    """The same way of looking finds code that does."""
    if not can_watch(tmp_path):
        pytest.skip("needs strace, and leave to have a network of its own (unshare -rn)")
    code = "import socket\nsocket.socket().connect_ex(('192.0.2.1', 9))"
    subprocess.run([*APART, *WATCHED, str(tmp_path / "trace"), sys.executable, "-c", code], check=True)
    assert "AF_INET" in (tmp_path / "trace").read_text()
