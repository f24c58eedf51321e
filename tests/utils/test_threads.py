# Licensed under a 3-clause BSD style license - see LICENSE
"""Threads of a model: as many as the process may use, on the cores that it may use, and let go by an interrupt."""

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest
from threadpoolctl import threadpool_info, threadpool_limits

import astro_photz
from astro_photz.testing.factories import gaussian_cutouts
from astro_photz.utils import _processors, _threads
from astro_photz.utils._threads import in_threads, made_ahead, number_of_threads

needs_affinity = pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="the system has no affinity")

_ON_ONE_CORE = """
import os
from pathlib import Path
os.sched_setaffinity(0, {core})
import astro_photz
from astro_photz.testing.factories import gaussian_cutouts
cutouts = gaussian_cutouts(200)
with astro_photz.conf.set_temp("inference_threads", {threads}):
    astro_photz.predict(cutouts)
    seen = set()
    for status in Path("/proc/self/task").glob("*/status"):
        lines = dict(line.split(":", 1) for line in status.read_text().splitlines() if ":" in line)
        seen.add(lines["Cpus_allowed_list"].strip())
print(*seen)
"""


@needs_affinity
@pytest.mark.skipif(sys.platform != "linux", reason="threads are looked at in /proc")
@pytest.mark.parametrize("threads", [0, 1, 3])
def test_all_threads_stay_on_the_cores_of_the_process(threads):
    core = min(os.sched_getaffinity(0))
    script = _ON_ONE_CORE.format(core={core}, threads=threads)
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parents[1])}
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, env=environment, timeout=120)
    assert done.returncode == 0
    assert done.stdout.split() == [str(core)]
    assert done.stderr == ""


@pytest.fixture(autouse=True)
def no_container(monkeypatch, tmp_path):
    """Whatever this machine is: a container has a quota."""
    monkeypatch.setattr(_processors, "_QUOTA", tmp_path / "cpu.max")


@needs_affinity
@pytest.mark.parametrize(
    ("quota", "usable"),
    [("max 100000", 4), ("200000 100000", 2), ("50000 100000", 1), ("900000 100000", 4), ("", 4), ("350000 100000", 3)],
)
def test_a_container_has_a_quota(monkeypatch, tmp_path, quota, usable):
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: set(range(4)))
    (tmp_path / "cpu.max").write_text(quota + "\n")
    assert number_of_threads() == usable


@needs_affinity
@pytest.mark.parametrize("cores", [1, 2, 3, 64])
def test_as_many_threads_as_the_process_may_use(monkeypatch, cores):
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: set(range(cores)))
    assert number_of_threads() == cores
    with astro_photz.conf.set_temp("inference_threads", 5):
        assert number_of_threads() == 5


@pytest.mark.parametrize("cores", [None, 4])
def test_without_an_affinity_it_is_the_processors(monkeypatch, cores):
    monkeypatch.delattr(os, "sched_getaffinity", raising=False)
    monkeypatch.setattr(os, "cpu_count", lambda: cores)
    assert number_of_threads() == (cores or 1)


@pytest.mark.parametrize("threads", [2, 4])
def test_threads_work_at_the_same_time(monkeypatch, threads):
    monkeypatch.setattr(_threads, "number_of_threads", lambda: threads)
    together = threading.Barrier(threads)
    list(in_threads(lambda item: together.wait(5), range(2 * threads)))  # breaks if fewer come


def blas_threads():
    """Most threads that a product of matrices takes now."""
    return max(library["num_threads"] for library in threadpool_info() if library["user_api"] == "blas")


def test_products_take_one_thread_while_ours_work_and_as_many_as_before_after():
    with threadpool_limits(limits=2, user_api="blas"):
        for threads in (1, 2):
            with astro_photz.conf.set_temp("inference_threads", threads):
                assert list(in_threads(lambda item: blas_threads(), range(3))) == [1, 1, 1]
            assert blas_threads() == 2


def test_the_limit_is_lifted_by_the_last_who_asks_for_it():
    with threadpool_limits(limits=2, user_api="blas"):
        first, second = (in_threads(lambda item: item, range(5)) for _ in range(2))
        assert next(first) == next(second) == 0
        first.close()  # begun first, ended first
        assert blas_threads() == 1
        second.close()
        assert blas_threads() == 2
        with pytest.raises(ZeroDivisionError):
            list(in_threads(lambda item: 1 / item, range(3)))
        assert blas_threads() == 2


@pytest.mark.parametrize("n", [0, 1, 15, 16, 17, 300])
def test_each_galaxy_has_its_own_embedding(n):
    cutouts = gaussian_cutouts(max(n, 1))[:n]
    cutouts.flux[:] *= np.linspace(1, 3, n, dtype=np.float32)[:, None, None, None]
    model = astro_photz.load_model()
    with astro_photz.conf.set_temp("inference_threads", 3):
        embedding = model.encode(cutouts.flux, cutouts.ebv)
    alone = [model.encode(cutouts.flux[i : i + 1], cutouts.ebv[i : i + 1]) for i in range(0, n, 7)]
    np.testing.assert_allclose(embedding[::7], np.concatenate(alone) if n else embedding, rtol=1e-3, atol=1e-4)


def test_an_error_in_a_thread_is_the_callers():
    def fail(item):
        raise ValueError(f"no {item}")

    with astro_photz.conf.set_temp("inference_threads", 2), pytest.raises(ValueError, match="no 0"):
        list(in_threads(fail, range(4)))


@pytest.mark.skipif(not hasattr(signal, "pthread_kill"), reason="the system has no signals for threads")
def test_an_interrupt_does_not_wait_for_what_is_under_way():
    done, release = [], threading.Event()

    def work(item):
        release.wait(20)
        done.append(item)

    timer = threading.Timer(0.3, signal.pthread_kill, (threading.main_thread().ident, signal.SIGINT))
    timer.start()
    began = time.monotonic()
    with astro_photz.conf.set_temp("inference_threads", 2), pytest.raises(KeyboardInterrupt):
        list(in_threads(work, range(10)))
    assert time.monotonic() - began < 10  # each takes twice as long
    release.set()
    time.sleep(0.3)
    assert len(done) <= 2


def counted(n, made, closed):
    """Yield numbers, and tell which were made, and that it was closed."""
    try:
        for number in range(n):
            made.append(number)
            yield number
    finally:
        closed.append(True)


def test_the_next_item_is_made_while_the_caller_works_with_one():
    begun = threading.Event()

    def items():
        yield 0
        begun.set()
        yield 1

    with astro_photz.conf.set_temp("inference_threads", 2):
        ahead = made_ahead(items())
        assert next(ahead) == 0
        assert begun.wait(10)
        assert list(ahead) == [1]


@pytest.mark.parametrize("threads", [1, 2])
def test_items_that_are_made_ahead_stay_in_order_and_their_generator_is_closed(threads):
    with astro_photz.conf.set_temp("inference_threads", threads):
        made, closed = [], []
        assert list(made_ahead(counted(5, made, closed))) == [0, 1, 2, 3, 4]
        assert closed == [True]
        some = made_ahead(counted(5, made := [], closed := []))
        assert next(some) == 0
        some.close()
        assert closed == [True]
        assert made == [0, 1][:threads]  # no more than one ahead


@pytest.mark.parametrize("threads", [1, 2])
def test_an_error_of_an_item_comes_after_those_before_it(threads):
    def items():
        yield 0
        raise OSError("the disk is gone")

    with astro_photz.conf.set_temp("inference_threads", threads):
        ahead = made_ahead(items())
        assert next(ahead) == 0
        with pytest.raises(OSError, match="the disk is gone"):
            next(ahead)
