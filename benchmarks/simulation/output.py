# Licensed under a 3-clause BSD style license - see LICENSE
"""
Simulated galaxies per second to disk, and the memory that they take, beside the ways without blocks and workers.

The baseline makes all galaxies in memory and writes them then. Each run is a process of its own, and is timed from when
it has read the seeds and fitted their templates, which takes seconds; workers that it starts have that to do, too. Peak
memory is that of the process and of the largest of its workers.

``--fields N`` times whole fields instead, drawing and compressing.
"""

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.common.timing import peak_memory, print_table, use_one_thread

NAIVE = "galaxies, then Cutouts.write"


def run(how, n, size, folder):
    """Simulate so many galaxies to disk; what it took, as JSON on standard output."""
    from astro_photz import simulate
    from astro_photz.simulate import write_stamps as output

    output.WORTH_A_WORKER = 1  # as many workers as asked for, also for little work
    begun = time.perf_counter(), time.process_time()
    simulate.galaxies(1, seed=0)  # reads the progenitors
    ready = time.perf_counter(), time.process_time()
    path = Path(folder) / "sky.h5"
    if how == NAIVE:
        simulate.galaxies(n, seed=1, size=size)[0].write(path, dtype="float16")
    else:
        simulate.write(path, n, seed=1, size=size, workers=int(how), progress=False)
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    cost = {
        "begin": ready[0] - begun[0],
        "wall": time.perf_counter() - ready[0],
        "cpu": time.process_time() - ready[1] + children.ru_utime + children.ru_stime,
        "memory": peak_memory(),
        "memory_of_worker": children.ru_maxrss / 2**10,
        "bytes": path.stat().st_size,
    }
    print(json.dumps(cost))


def cost_of(how, n, size, folder):
    """Measure a run in a process of its own; its file is deleted."""
    with tempfile.TemporaryDirectory(dir=folder) as place:
        options = ["--run", how, "--n", str(n), "--size", str(size), "--folder", place]
        command = [sys.executable, "-m", __spec__.name, *options]
        return json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def compare(n, sizes, folder):
    """Rows of the table of speeds."""
    for size in sizes:
        costs = {how: cost_of(how, n, size, folder) for how in (NAIVE, "1", "2")}
        for how, cost in costs.items():
            name = how if how == NAIVE else f"write, {how} worker{'s' * (how != '1')}"
            speeds = f"{n / cost['wall']:.0f}", f"{n / cost['cpu']:.0f}"
            gains = (f"{costs[NAIVE][unit] / cost[unit]:.2f}" for unit in ("wall", "cpu"))
            yield name, str(size), *speeds, *gains, f"{cost['bytes'] / cost['wall'] / 1e6:.0f}"


def peaks(n, size, folder):
    """Rows of the table of memory."""
    for how in (NAIVE, "1", "2"):
        for number in (n // 4, n):
            cost = cost_of(how, number, size, folder)
            name = how if how == NAIVE else f"write, {how} worker{'s' * (how != '1')}"
            worker = f"{cost['memory_of_worker']:.0f} MB" if how == "2" else ""
            yield name, str(number), f"{cost['memory']:.0f} MB", worker


def time_fields(n_fields, folder):
    """Rows of the table of whole fields."""
    from unittest.mock import patch

    from astro_photz import simulate
    from astro_photz.simulate.fields import write_frames as frames

    simulate.galaxies(1, seed=0)
    compressing = []

    def compress(data):
        begun = time.thread_time()
        packed = frames_compress(data)
        compressing.append(time.thread_time() - begun)
        return packed

    frames_compress = frames.bz2.compress
    with tempfile.TemporaryDirectory(dir=folder) as place, patch.object(frames.bz2, "compress", compress):
        begun = time.perf_counter(), time.process_time()
        simulate.write_frames(place, seed=1, n_fields=n_fields, progress=False)
        wall, cpu = time.perf_counter() - begun[0], time.process_time() - begun[1]
    yield str(n_fields), *(f"{seconds / n_fields:.1f} s" for seconds in (wall, cpu, cpu - sum(compressing)))


def main():
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__.strip().splitlines()[0])
    parser.add_argument("--n", type=int, default=4096, help="galaxies to time (default: %(default)s)")
    parser.add_argument("--size", type=int, action="append", help="side of the stamps; may be given again")
    parser.add_argument("--folder", default=None, help="where to write (default: the system's folder for such)")
    parser.add_argument("--fields", type=int, help="time so many whole fields instead")
    parser.add_argument("--run", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.run:
        run(arguments.run, arguments.n, arguments.size[0], arguments.folder)
        return
    use_one_thread()
    if arguments.fields:
        header = "fields", "wall, each", "CPU, each", "CPU but for bzip2"
        print_table(header, list(time_fields(arguments.fields, arguments.folder)))
        return
    sizes = arguments.size or [64, 107]
    print(f"{arguments.n} galaxies to disk, {os.cpu_count()} processors, one thread a process:\n")
    header = "", "pixels", "galaxies/s", "galaxies/CPU s", "× naive: wall", "CPU", "MB/s"
    print_table(header, list(compare(arguments.n, sizes, arguments.folder)))
    print(f"Peak memory, {sizes[0]} pixels:\n")
    print_table(("", "galaxies", "process", "largest worker"), list(peaks(arguments.n, sizes[0], arguments.folder)))


if __name__ == "__main__":
    main()
