# Licensed under a 3-clause BSD style license - see LICENSE
"""
Measure speed and memory of all that users do, one benchmark after the other, with a table of what holds at the end.

    python -m benchmarks.all [--output docs/benchmarks.json] [--only NAME ...] [--quick]

The machine should have nothing else to do. It takes an hour, most of it for a million rows; ``--quick`` takes a
hundredth of these. ``--output`` keeps the table, the versions and the machine; ``python -m tools.benchmark_page`` makes
pages of them. With ``--only``, what an output has of other benchmarks stays in it.
"""

import argparse
import json
import os
import platform
import shlex
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime
from importlib.metadata import distributions, version
from pathlib import Path

import astro_photz
from benchmarks.common.claims import FILE, Claim, claims_in
from benchmarks.common.data import ROOT
from benchmarks.common.results import write_result
from benchmarks.common.timing import print_table

COMMANDS = {
    "imports": "benchmarks.inference.imports",
    "predict": "benchmarks.inference.predict",
    "threads": "benchmarks.inference.threads",
    "throughput": "benchmarks.model.throughput",
    "cutouts": "benchmarks.inference.cutouts",
    "distributed": "benchmarks.inference.distributed",
    "survey": "benchmarks.inference.survey",
    "million": "benchmarks.inference.million",
}
QUICK = {
    "imports": "--repeats 1",
    "predict": "--galaxies 64 --repeats 1",
    "threads": "--galaxies 64 --repeats 1",
    "cutouts": "--repeats 1",
    "million": "--rows 10000",
    "survey": "--fields 8 --kills 1",
    "distributed": "--galaxies 1024 --repeats 1",
    "throughput": "--n 64 --repeats 2",
}
PACKAGES = ("astro-photz", "astropy", "dask", "h5py", "lsdb", "numpy", "onnxruntime", "torch")


def main():
    """Run the benchmarks, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.strip().splitlines()[0])
    parser.add_argument("--output", type=Path, metavar="FILE.json", help="keep the result")
    parser.add_argument("--only", nargs="+", choices=COMMANDS, metavar="NAME", help=", ".join(COMMANDS))
    parser.add_argument("--quick", action="store_true", help="fewer rows, to see whether all of them run")
    args = parser.parse_args()
    before = args.only and args.output and args.output.exists()
    kept, measured = json.loads(args.output.read_text("utf-8"))["measured"] if before else [], []
    for name in args.only or COMMANDS:
        measured.append(measure(name, quick=args.quick))
        if args.output:  # what was measured stays, though the run may be stopped
            keep(args.output, in_order(kept, measured), quick=args.quick)

    rows = [Claim(**claim).cells for one in measured for claim in one["claims"]]
    print_table(("", "measured", "wanted", "holds"), rows)
    return int(any(one["code"] for one in measured))


def keep(path, measured, *, quick):
    """Write what was measured, with the machine and the versions."""
    result = {"measured": measured, "machine": machine(), "versions": versions(), "quick": quick}
    write_result(path, result, model=astro_photz.load_model())


def in_order(*results):
    """Join lists of what was measured, in the order of all benchmarks; the last of each counts."""
    by_module = {one["command"].split()[2]: one for several in results for one in several}
    return [by_module[module] for module in COMMANDS.values() if module in by_module]


def measure(name, *, quick=False):
    """Run a benchmark; return its command, output, exit code, seconds, claims, date, and the version of the package."""
    command = ["python", "-m", COMMANDS[name], *shlex.split(QUICK.get(name, "") if quick else "")]
    print(f"\n== {shlex.join(command)}\n", flush=True)
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "claims.jsonl"
        environment = os.environ | {FILE: str(path), "PYTHONUNBUFFERED": "1"}
        options = {"cwd": ROOT, "stdout": subprocess.PIPE, "text": True, "encoding": "utf-8", "env": environment}
        with subprocess.Popen([sys.executable, *command[1:]], **options) as process:
            output = [line for line in process.stdout if not print(line, end="", flush=True)]
        claims = [vars(claim) for claim in claims_in(path)]
    seconds = round(time.monotonic() - began)
    told = {"command": shlex.join(command), "output": "".join(output), "code": process.returncode, "seconds": seconds}
    return told | {"claims": claims, "date": datetime.now(UTC).date().isoformat(), "of": version("astro-photz")}


def machine():
    """Describe this machine, without its name, dict of str."""
    told = {"processors": str(os.cpu_count()), "system": platform.system(), "architecture": platform.machine()}
    information = Path("/proc/cpuinfo")
    if information.exists():
        names = [
            line.partition(":")[2].strip() for line in information.read_text().splitlines() if "model name" in line
        ]
        told |= {"processor": names[0]} if names else {}
    return told


def versions():
    """Versions of Python and of the packages that do the work, dict of str."""
    installed = {one.metadata["Name"].lower() for one in distributions()}
    return {"python": platform.python_version()} | {name: version(name) for name in PACKAGES if name in installed}


if __name__ == "__main__":
    sys.exit(main())
