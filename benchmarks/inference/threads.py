# Licensed under a 3-clause BSD style license - see LICENSE
"""
Embeddings per second by the default number of threads against one, on a quiet machine and beside a busy core.

The default must not fall behind one thread where a neighbour takes a core; and under ``taskset -c 0`` all threads must
stay on core 0, which is shown too (on Linux).
"""

import argparse
import os
import subprocess
import sys
from collections import Counter
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import astro_photz
from astro_photz.testing.factories import gaussian_cutouts
from astro_photz.utils._threads import number_of_threads
from benchmarks.common.claims import claim
from benchmarks.common.timing import alternate, measure, medians, print_table, ratios

_SPIN = "while True: pass"
_WANTED = {0: 1.8, 1: 0.95}  # speed over that of one thread, on two cores, by the busy ones


@contextmanager
def busy(cores):
    """Keep some cores busy with processes that spin."""
    processes = [subprocess.Popen([sys.executable, "-c", _SPIN]) for _ in range(cores)]
    try:
        yield
    finally:
        for process in processes:
            process.kill()
            process.wait()


def embed(model, cutouts, threads):
    """Embed all galaxies with a number of threads, 0 for the default."""
    with astro_photz.conf.set_temp("inference_threads", threads):
        model.encode(cutouts.flux, cutouts.ebv)


def compare(model, cutouts, *, neighbours, repeats):
    """Rows of the table beside some busy cores."""
    functions = {
        name: partial(measure, partial(embed, model, cutouts, threads))
        for name, threads in {"one": 1, f"default ({number_of_threads()})": 0}.items()
    }
    with busy(neighbours):
        results = alternate(functions, repeats=repeats)
    baseline = results["one"]
    for name, result in results.items():
        wall, cpu = medians(result)
        speeds = f"{len(cutouts) / wall:.0f}", f"{len(cutouts) / cpu:.0f}"
        gain = ratios(baseline, result)[0]
        if name != "one":
            beside = "beside a busy core" if neighbours else "on a quiet machine"
            claim(f"speed of the default threads over one, {beside}", gain, least=_WANTED[neighbours])
        yield name, str(neighbours), *speeds, f"{gain:.2f}"


def allowed_cores():
    """The cores on which each thread of this process may run, and how many threads have them."""
    found = Counter()
    for status in Path("/proc/self/task").glob("*/status"):
        lines = dict(line.split(":", 1) for line in status.read_text().splitlines() if ":" in line)
        found[lines["Cpus_allowed_list"].strip()] += 1
    return dict(found)


def main():
    """Print the table, or the cores of this process's threads."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[1])
    parser.add_argument("--model", help="name or folder of a model (default: that of astro_photz.conf)")
    parser.add_argument("--galaxies", type=int, default=1024, help="number of galaxies (default: %(default)s)")
    parser.add_argument("--repeats", type=int, default=5, help="runs of each (default: %(default)s)")
    parser.add_argument("--cores", action="store_true", help="show on which cores the threads may run, and no more")
    args = parser.parse_args()

    model = astro_photz.load_model(args.model)
    if args.cores:
        embed(model, gaussian_cutouts(100), 0)
        with astro_photz.conf.set_temp("inference_threads", 3):
            embed(model, gaussian_cutouts(100), 3)
        print(f"default: {number_of_threads()} thread(s); threads by the cores allowed: {allowed_cores()}")
        return
    cutouts = gaussian_cutouts(args.galaxies)
    rows = [row for n in (0, 1) for row in compare(model, cutouts, neighbours=n, repeats=args.repeats)]
    print(f"{model.name} {model.version}, {len(cutouts)} galaxies; medians of {args.repeats} alternating runs.\n")
    print_table(("threads", "busy cores beside", "galaxies/s", "galaxies/CPU s", "speed to one thread's"), rows)
    if hasattr(os, "sched_getaffinity"):
        core = str(min(os.sched_getaffinity(0)))
        print(f"taskset -c {core}:", end=" ", flush=True)
        subprocess.run(["taskset", "-c", core, sys.executable, "-m", __spec__.name, "--cores"], check=True)


if __name__ == "__main__":
    main()
