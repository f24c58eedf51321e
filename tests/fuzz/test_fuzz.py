# Licensed under a 3-clause BSD style license - see LICENSE
"""Hostile inputs at the public doors, a few of each kind, and all that were once treated wrongly."""

import json
from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, given, seed, settings

from .doors_archive import stop
from .judging import Fault, Target, judge
from .targets import TARGETS

CASES = sorted((Path(__file__).parent / "cases").glob("*.json"))
SLOW = {
    "recipes": 6,
    "archive.answers": 3,
    "archive.cache": 2,
    "predict.cutouts": 5,
    "predict.tables": 5,
    "models.load": 5,
}


BUSY = 120  # seconds for an input, on a machine that has other work


@pytest.fixture(scope="module", autouse=True)
def archive():
    """The archive that doors share ends with them: other tests have their own."""
    yield
    stop()


@pytest.mark.parametrize("name", TARGETS)
def test_a_short_run(name):
    """Any input is answered, or refused by a documented error: the long run is ``python -m tests.fuzz``."""
    if name == "recipes":
        pytest.importorskip("torch", reason="recipes are read with torch")

    @settings(
        max_examples=SLOW.get(name, 25),
        database=None,
        deadline=None,
        derandomize=False,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @seed(30)
    @given(TARGETS[name].inputs)
    def run(value):
        judge(TARGETS[name], json.loads(json.dumps(value)), seconds=BUSY)

    run()


@pytest.mark.parametrize("path", CASES, ids=lambda path: path.stem)
def test_what_was_found(path):
    case = json.loads(path.read_text(encoding="utf-8"))
    if case["target"] == "recipes":
        pytest.importorskip("torch", reason="recipes are read with torch")
    judge(TARGETS[case["target"]], case["input"], seconds=BUSY)


# The judge itself


def target(run, refuses=(ValueError,)):
    return Target("a door", None, lambda given, folder: run(), refuses)


def documented():
    from astro_photz import RedshiftPDF

    RedshiftPDF([[0.5]], [0.0, 1.0])


def of_numpy():
    import numpy as np

    np.zeros(3).reshape(2, 2)


def of_another_class():
    raise OverflowError("it is too large")


def without_words():
    raise ValueError


def endless():
    while True:
        pass


def greedy():
    return [b"x" * 2**20 for _ in range(200)]


def warns():
    import numpy as np

    np.log(np.zeros(1))


def test_the_judge_lets_documented_errors_pass():
    assert judge(target(documented), None) == "refused"
    assert judge(target(int), None) == "answered"


@pytest.mark.parametrize("run", [of_numpy, of_another_class, without_words, warns])
def test_the_judge_finds_what_is_wrong(run):
    with pytest.raises(Fault):
        judge(target(run), None)


def test_the_judge_limits_time():
    with pytest.raises(Fault, match="more than"):
        judge(target(endless), None, seconds=0.2)


@pytest.mark.skipif(not Path("/proc/self/status").is_file(), reason="memory is measured on Linux")
def test_the_judge_limits_memory():
    with pytest.raises(Fault, match=r"MB|MemoryError"):
        judge(target(greedy), None, memory_limit=50 * 10**6)
