# Licensed under a 3-clause BSD style license - see LICENSE
"""
Change the core modules at random, one place at a time, and count how many changes their tests notice.

    python tools/mutants.py --n 255 --seed 1

draws mutants of the modules below by a seed, runs the tests of the mutated module alone, and prints the share killed
and each survivor as a diff. A mutant that runs out of time is killed. ``--modules`` chooses modules by a part of their
path.

The changes are mutmut's, but for those of text: arithmetic and comparisons, numbers, conditions, arguments,
assignments. Annotations, decorators, ``__all__`` and messages of errors stay as they are. All happens in copies of the
source tree. The real data that some tests need are looked for as in the benchmarks.
"""

import argparse
import difflib
import multiprocessing
import os
import queue
import random
import shutil
import signal
import sys
import tempfile
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import NamedTuple

import libcst
from libcst import matchers
from mutmut.mutation.mutators import mutation_operators, operator_string

ROOT = Path(__file__).resolve().parents[1]
PARTS = ("astro_photz", "tests", "docs", "pyproject.toml", "setup.cfg")

FIELD_TESTS = ("tests/cutouts/test_field_cutting.py", "tests/cutouts/test_sources.py")

TESTS = {
    "astro_photz/quality/*.py": ("tests/quality",),
    "astro_photz/reference/*.py": ("tests/reference",),
    "astro_photz/photometry.py": ("tests/test_photometry.py", "tests/quality/test_quality.py"),
    "astro_photz/positions.py": ("tests/test_positions.py",),
    "astro_photz/dust.py": ("tests/test_dust.py",),
    "astro_photz/pdf/*.py": ("tests/pdf",),
    "astro_photz/metrics/*.py": ("tests/metrics", "tests/evaluation/test_evaluate.py"),
    "astro_photz/cutouts/frames.py": ("tests/cutouts/test_frames.py",),
    "astro_photz/cutouts/resampling.py": ("tests/cutouts/test_frames.py",),
    "astro_photz/cutouts/sources/_field_cutting.py": FIELD_TESTS,
    "astro_photz/cutouts/sources/_frame_store.py": FIELD_TESTS,
    "astro_photz/inference/*.py": ("tests/inference",),
    "astro_photz/train/augment/*.py": ("tests/train/test_augment.py",),
}
"""Tests by the modules that they are of. Examples in a module's docstrings are its tests too, and come first."""

OPERATORS = [(kind, operator) for kind, operator in mutation_operators if operator is not operator_string]
EXPORTS = matchers.Assign(targets=[matchers.AssignTarget(matchers.Name("__all__"))])
UNCHANGED = (libcst.Annotation, libcst.Decorator, libcst.Raise, libcst.Import, libcst.ImportFrom)
PRELOADED = [
    "pytest",
    "numpy",
    "scipy.stats",
    "astropy.table",
    "astropy.wcs",
    "astroquery.sdss",
    "onnxruntime",
    "torch",
]
LONGEST = 5.0  # times as long as the tests take without a change
NOT_RUN = (3, 4, 5, 99)  # pytest's own errors, and ours


class Mutant(NamedTuple):
    """A changed module: its path in the tree, the tests that should notice, its text before and after."""

    path: str
    tests: tuple
    before: str
    text: str

    def diff(self):
        """The change, as lines of a unified diff."""
        lines = self.before.splitlines(), self.text.splitlines()
        return difflib.unified_diff(*lines, self.path, self.path, lineterm="", n=1)


class _Changes(libcst.CSTVisitor):
    """Pairs of a node and what may stand in its place."""

    def __init__(self):
        super().__init__()
        self.pairs = []

    def on_visit(self, node):
        if isinstance(node, UNCHANGED) or matchers.matches(node, EXPORTS):
            return False
        for kind, operator in OPERATORS:
            if isinstance(node, kind):
                self.pairs += [(node, changed) for changed in operator(node)]
        return True


def changes_of(path):
    """The parsed module and all pairs of nodes that make a mutant of it."""
    module, changes = libcst.parse_module((ROOT / path).read_text(encoding="utf-8")), _Changes()
    module.visit(changes)
    return module, changes.pairs


def draw(paths, n, seed):
    """Mutants (at most ``n``) of modules, each place and change being equally likely."""
    parsed = {path: changes_of(path) for path in paths}
    places = [(path, k) for path, (_, pairs) in parsed.items() for k in range(len(pairs))]
    random.Random(seed).shuffle(places)
    found = []
    for path, k in places:
        if len(found) == n:
            break
        module, pairs = parsed[path]
        text = module.deep_replace(*pairs[k]).code
        if text != module.code and _compiles(text):
            found.append(Mutant(path, paths[path], module.code, text))
    return found, len(places)


def _compiles(text):
    try:
        compile(text, "mutant", "exec")
    except SyntaxError:
        return False
    return True


def modules(wanted):
    """Tests by module, of those modules whose path has one of the words."""
    found = {}
    for pattern, tests in TESTS.items():
        paths = sorted(path for path in ROOT.glob(pattern) if path.name != "__init__.py")
        if not paths:
            raise SystemExit(f"no module {pattern}: TESTS must follow when a module moves")
        for path in (path.relative_to(ROOT).as_posix() for path in paths):
            if not wanted or any(word in path for word in wanted):
                found[path] = tests
    return found


def copy_tree(folder):
    """Copy all that tests need, without compiled files."""
    for part in PARTS:
        if (ROOT / part).is_dir():
            ignored = shutil.ignore_patterns("__pycache__", "_build")
            shutil.copytree(ROOT / part, folder / part, ignore=ignored)
        elif (ROOT / part).exists():
            shutil.copy(ROOT / part, folder / part)
    return folder


def run_tests(folder, tests, *, keep_compiled):
    """Run tests in a process of its own, whose exit status is pytest's."""
    import pytest

    os.setsid()
    os.chdir(folder)
    sys.dont_write_bytecode = not keep_compiled
    sys.path.insert(0, str(folder))
    with open(folder / "output.txt", "w") as output:
        for stream in (1, 2):
            os.dup2(output.fileno(), stream)
        status = pytest.main(["-x", "-q", "-p", "no:cacheprovider", f"--basetemp={folder / 'tmp'}", *tests])
        import astro_photz

        # Nothing of this counts if the tests saw another copy of the package.
        os._exit(int(status) if Path(astro_photz.__file__).is_relative_to(folder) else 99)


def outcome(context, folder, tests, *, limit=None, keep_compiled=False):
    """Exit status of tests and the seconds that they took; None if they ran out of time."""
    process = context.Process(target=run_tests, args=(folder, tests), kwargs={"keep_compiled": keep_compiled})
    begun = time.monotonic()
    process.start()
    process.join(limit)
    if process.exitcode is None:
        os.killpg(process.pid, signal.SIGKILL)
        process.join()
        return None, time.monotonic() - begun
    return process.exitcode, time.monotonic() - begun


def try_mutant(mutant, *, context, folders, limits):
    """Run the tests of a mutant; returns its fate in words."""
    folder = folders.get()
    path = folder / mutant.path
    try:
        for compiled in path.parent.glob(f"__pycache__/{path.stem}.*.pyc"):
            compiled.unlink()
        path.write_text(mutant.text, encoding="utf-8")
        status, _ = outcome(context, folder, (mutant.path, *mutant.tests), limit=limits[mutant.tests])
    finally:
        path.write_text(mutant.before, encoding="utf-8")
        folders.put(folder)
    if status in NOT_RUN:
        raise RuntimeError(f"{' '.join(mutant.tests)} did not run: status {status}")
    fate = {0: "survived", None: "timed out"}.get(status, "killed")
    print(f"{fate:10s}{mutant.path}", file=sys.stderr, flush=True)
    return fate


def limits_of(context, folder, mutants):
    """Time limits by tests, which must pass where nothing is changed."""
    limits = {}
    for tests in dict.fromkeys(mutant.tests for mutant in mutants):
        status, seconds = outcome(context, folder, tests, keep_compiled=True)
        if status != 0:
            output = (folder / "output.txt").read_text()
            raise SystemExit(f"{' '.join(tests)} fails without a change (status {status}):\n{output[-3000:]}")
        limits[tests] = 10 + LONGEST * seconds
        print(f"{seconds:6.1f} s  {' '.join(tests)}", flush=True)
    return limits


def report(mutants, outcomes):
    """Print survivors, and shares killed by module."""
    for mutant, result in zip(mutants, outcomes, strict=True):
        if result == "survived":
            print("\n" + "\n".join(mutant.diff()))
    print(f"\n{'':50s}{'mutants':>8s}{'killed':>8s}")
    drawn = Counter(mutant.path for mutant in mutants)
    alive = Counter(m.path for m, result in zip(mutants, outcomes, strict=True) if result == "survived")
    for path, n in sorted(drawn.items()):
        print(f"{path:50s}{n:8d}{1 - alive[path] / n:8.0%}")
    print(f"{'all':50s}{len(mutants):8d}{1 - alive.total() / len(mutants):8.1%}")


def main():
    parser = argparse.ArgumentParser(description=__doc__.strip().splitlines()[0])
    parser.add_argument("--n", type=int, default=255, help="mutants (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=1, help="of the draw (default: %(default)s)")
    parser.add_argument("--modules", nargs="+", metavar="WORD", help="only modules whose path has one of these words")
    parser.add_argument("--processes", type=int, default=os.cpu_count(), help="at once (default: %(default)s)")
    arguments = parser.parse_args()
    os.environ.update(OMP_NUM_THREADS="1", MPLBACKEND="agg", ORT_DISABLE_TELEMETRY="1")
    os.environ.setdefault("ASTRO_PHOTZ_SHARED", str(ROOT.parent / "shared" / "data"))
    paths = modules(arguments.modules)
    mutants, n_places = draw(paths, arguments.n, arguments.seed)
    print(f"{len(mutants)} of {n_places} mutants of {len(paths)} modules, drawn by the seed {arguments.seed}\n")
    context = multiprocessing.get_context("forkserver")  # its processes begin with what takes long to import
    context.set_forkserver_preload(PRELOADED)
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as place:
        folders = queue.Queue()
        first = copy_tree(Path(place) / "0")
        limits = limits_of(context, first, mutants)
        for k in range(arguments.processes):
            folders.put(shutil.copytree(first, Path(place) / str(k)) if k else first)
        begun = time.monotonic()
        attempt = partial(try_mutant, context=context, folders=folders, limits=limits)
        with ThreadPoolExecutor(arguments.processes) as pool:
            outcomes = list(pool.map(attempt, mutants))
        report(mutants, outcomes)
    print(f"\n{Counter(outcomes)['timed out']} ran out of time; {time.monotonic() - begun:.0f} s in all")


if __name__ == "__main__":
    main()
