# Licensed under a 3-clause BSD style license - see LICENSE
"""
Time and memory of ``import astro_photz``, beside those of ``import astropy.table``, which every user of it needs.
"""

import argparse
import compileall
import subprocess
import sys
from functools import partial
from pathlib import Path

import astro_photz
from benchmarks.common.claims import claim
from benchmarks.common.data import ROOT
from benchmarks.common.timing import alternate, medians, print_table, ratios

BASELINE = "import astropy.table"
IMPORT = "import astro_photz"
FIRST = "import astro_photz; astro_photz.predict(astro_photz.Cutouts.read(astro_photz.demo_path())[:1])"
NAMES = {FIRST: "the first prediction, of one galaxy"}
STATEMENTS = (BASELINE, IMPORT, "from astro_photz import predict", FIRST)
_CHILD = """
from benchmarks.common.timing import measure, peak_memory
def load():
    {statement}
print(*measure(load), peak_memory())
"""


def run(statement):
    """Wall and CPU time (s) and peak memory (MB) of a statement in an interpreter of its own."""
    child = subprocess.run(
        [sys.executable, "-c", _CHILD.format(statement=statement)],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    return tuple(map(float, child.stdout.split()))


def main():
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=9, help="runs of each import (default: %(default)s)")
    repeats = parser.parse_args().repeats

    compileall.compile_dir(Path(astro_photz.__file__).parent, quiet=2)
    results = alternate({statement: partial(run, statement) for statement in STATEMENTS}, repeats=repeats)
    rows = []
    for statement, result in results.items():
        wall, cpu, peak = medians(result)
        ratio = ratios(result, results[BASELINE])
        values = f"{wall * 1000:.0f} ms", f"{cpu * 1000:.0f} ms", f"{peak:.0f} MB"
        rows.append((NAMES.get(statement, statement), *values, *(f"{number:.3f}" for number in ratio)))
    print(f"Medians of {repeats} alternating runs, an interpreter each, compiled files in place.\n")
    print_table(("", "wall", "CPU", "peak memory", "ratio: wall", "CPU", "memory"), rows)
    dearer = ratios(results[IMPORT], results[BASELINE])[1]
    claim("processor time of import astro_photz over import astropy.table", dearer, most=1)
    claim("seconds to the first prediction, of one galaxy", medians(results[FIRST])[0], most=2)


if __name__ == "__main__":
    main()
