# Licensed under a 3-clause BSD style license - see LICENSE
"""
What a kill leaves of a command: ``predict``, ``fetch``, ``simulate`` and ``pretrain``, ended at random moments.

Each command runs undisturbed once. Then it is ended by SIGKILL, SIGTERM and SIGINT at moments between its start and
its end, drawn by a seed, and given again as its advice says. Printed are the exit codes (a signal N that Python had no
time to handle counts as 128 + N, as in a shell), whether the second run ended well, what lies in the folder after it
that the undisturbed run has not, and whether the bytes of the result are those of the undisturbed run. ``fetch`` takes
its images from a server on this machine, with a cache of its own; ``pretrain`` needs the extra ``[train]`` and
``simulate`` the extra ``[simulate]``.

``--costs`` prints instead what waiting for the disk costs: the time of ``predict`` and of writing, with and without
fsync, in alternation.
"""

import argparse
import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from astropy.table import Table

from astro_photz.testing.factories import gaussian_cutouts
from astro_photz.testing.loopback import synthetic_archive
from benchmarks.common.timing import print_table

SIGNALS = (signal.SIGKILL, signal.SIGTERM, signal.SIGINT)
_TINY = ("encoder.width=4", "pretrain.epochs=1", "pretrain.batch_size=16", "pretrain.queue_length=16")
_PRETRAIN = ("--recipe", "smoke", *(f"--set={change}" for change in _TINY), "--accelerator", "cpu", "--devices", "1")
_PATIENCE = 600  # s for a command
_START = """
import sys
from astro_photz import sdss
from astro_photz.cli import main
from astro_photz.testing.synthetic_sky import SHAPE
sdss.FRAME_SHAPE = SHAPE  # the frames of the archive on this machine are small
sys.exit(main())
"""


@dataclass(frozen=True)
class Command:
    """A command: its arguments, its results (compared byte by byte), what else it may leave, and extras it needs."""

    name: str
    arguments: tuple[str, ...]
    results: tuple[str, ...]
    needs: tuple[str, ...] = ()


COMMANDS = (
    Command("predict", ("predict", "../stamps.h5", "z.ecsv"), ("z.ecsv",)),
    Command("fetch", ("fetch", "../hosts.ecsv", "stamps.h5"), ("stamps.h5",)),
    Command(
        "simulate",
        ("simulate", "galaxies", "sky.h5", "--n", "1024", "--seed", "1", "--workers", "1"),
        ("sky.h5",),
        ("torch", "kcorrect"),
    ),
    Command(
        "pretrain",
        ("pretrain", "../train.h5", "run", *_PRETRAIN, "--checkpoint-every", "2"),
        ("run/encoder.safetensors",),
        ("torch", "lightning", "safetensors"),
    ),
)


@contextmanager
def world(folder):
    """A folder with inputs and the server of an archive; yield the environment of the commands."""
    gaussian_cutouts(256).write(folder / "stamps.h5")
    gaussian_cutouts(320, size=68).write(folder / "train.h5", specz_redshift=np.linspace(0.02, 0.38, 320))
    with synthetic_archive() as archive:
        from astroquery import sdss

        positions = archive.positions
        Table({"ra": positions.ra, "dec": positions.dec}).write(folder / "hosts.ecsv")
        (folder / "config" / "astropy").mkdir(parents=True)
        text = f"[sdss]\nskyserver_baseurl = {sdss.conf.skyserver_baseurl}\nsas_baseurl = {sdss.conf.sas_baseurl}\n"
        (folder / "config" / "astropy" / "astroquery.cfg").write_text(text)
        yield os.environ | {"XDG_CONFIG_HOME": str(folder / "config"), "OMP_NUM_THREADS": "1"}


def started(command, folder, environment):
    """Start a command in a folder, with a cache beside it that a second run finds again."""
    for package in ("astropy", "astroquery"):
        (folder.with_suffix(".cache") / package).mkdir(parents=True, exist_ok=True)
    return subprocess.Popen(
        [sys.executable, "-c", _START, *command.arguments, "--quiet"],
        cwd=folder,
        env=environment | {"XDG_CACHE_HOME": str(folder.with_suffix(".cache"))},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def finished(command, folder, environment):
    """Run a command to its end: exit code, seconds, and what it said."""
    began = time.monotonic()
    process = started(command, folder, environment)
    said = process.communicate(timeout=_PATIENCE)[1]
    return process.returncode, time.monotonic() - began, said


def ended(command, folder, environment, signum, after):
    """Run a command and end it by a signal after some seconds: exit code as in a shell, and seconds it took to end."""
    process = started(command, folder, environment)
    try:
        process.communicate(timeout=after)
        return process.returncode, None
    except subprocess.TimeoutExpired:
        sent = time.monotonic()
        process.send_signal(signum)
        process.communicate(timeout=_PATIENCE)
    code = process.returncode
    return (code if code >= 0 else 128 - code), time.monotonic() - sent


def names(folder):
    """Names in a folder, but for the logs of a training: each start has its own."""
    found = (path.relative_to(folder) for path in folder.rglob("*"))
    return {str(path) for path in found if not {"log", "tensorboard"} & set(path.parts)}


def half_written(command, folder, expected):
    """Faults of results that have their names before the work is done."""
    there = [name for name in command.results if (folder / name).exists()]
    return [f"{name} was there and not whole" for name in there if (folder / name).read_bytes() != expected[name]]


def again(command, folder, environment, expected):
    """Give a command again; return what is not as after an undisturbed run, empty if all is."""
    there = (folder / command.results[0]).exists() and command.name != "pretrain"
    code, _, said = finished(command, folder, environment)
    wrong = []
    if code and not (there and "exists" in said):
        wrong.append(f"second run ended with {code}: {said.strip().splitlines()[-1:]}")
    left = names(folder) - expected["names"]
    wrong += [f"left behind: {', '.join(sorted(left))}"] if left else []
    for name in command.results:
        if not (folder / name).exists() or (folder / name).read_bytes() != expected[name]:
            wrong.append(f"{name} is not the same")
    return wrong


def measured(command, root, environment, *, moments, rng):
    """End a command at random moments; return rows of a table, and a record."""
    folder = root / f"{command.name}-whole"
    folder.mkdir()
    code, took, said = finished(command, folder, environment)
    if code:
        raise RuntimeError(f"{command.name} ended with {code}: {said}")
    expected = {name: (folder / name).read_bytes() for name in command.results} | {"names": names(folder)}
    rows, record = [], []
    for signum in SIGNALS:
        codes, slowest, faults = Counter(), 0.0, []
        for number, moment in enumerate(rng.uniform(0.02, 1.0, moments)):
            folder = root / f"{command.name}-{signum.name}-{number}"
            folder.mkdir()
            code, waited = ended(command, folder, environment, signum, float(moment) * took)
            wrong = half_written(command, folder, expected)
            wrong += again(command, folder, environment, expected)
            codes["ended before" if waited is None else code] += 1
            slowest = max(slowest, waited or 0.0)
            faults += [wrong] if wrong else []
            record.append(
                {"command": command.name, "signal": signum.name, "after_s": round(moment * took, 3), "code": code}
                | {"to_end_s": waited, "wrong": wrong}
            )
        counts = ", ".join(f"{code}: {count}" for code, count in sorted(codes.items(), key=str))
        rows.append([command.name, signum.name, counts, f"{slowest:.1f}", f"{moments - len(faults)} of {moments}"])
        print(f"{command.name} {signum.name}: {counts}; {faults or 'all as undisturbed'}", file=sys.stderr, flush=True)
    return rows, record


_COSTS = """
import os, sys, time
from astro_photz.cli import main
waited, sync = [0.0], os.fsync
def timed(descriptor):
    began = time.perf_counter()
    sync(descriptor)
    waited[0] += time.perf_counter() - began
os.fsync = timed
began = time.perf_counter()
assert main(sys.argv[1:]) == 0
print(f"{time.perf_counter() - began} {waited[0]}", file=sys.stderr)
"""


def costs(root, repeats):
    """Seconds that commands take, and those of them that they wait for the disk; medians."""
    gaussian_cutouts(300).write(root / "three.h5")
    kinds = {
        "predict, 300 rows": ["predict", "three.h5", "z.ecsv", "--overwrite", "--quiet"],
        "fetch, 300 rows of a file": ["fetch", "list.ecsv", "s.h5", "--source", "three.h5", "--overwrite", "--quiet"],
        "embed, 300 rows": ["embed", "three.h5", "e.h5", "--overwrite", "--quiet"],
    }
    if find_spec("torch") and find_spec("kcorrect"):
        kinds["simulate, 1024 galaxies"] = [
            "simulate",
            "galaxies",
            "sky.h5",
            "--n",
            "1024",
            "--seed",
            "1",
            "--overwrite",
        ]
    from astro_photz import CutoutFile

    CutoutFile(root / "three.h5").catalog().write(root / "list.ecsv")
    rows = []
    for name, arguments in kinds.items():
        times = []
        for _ in range(repeats):
            said = subprocess.run(
                [sys.executable, "-c", _COSTS, *arguments], cwd=root, capture_output=True, text=True, check=True
            ).stderr
            times.append([float(word) for word in said.strip().splitlines()[-1].split()])
        whole, waited = np.median(times, axis=0)
        rows.append([name, f"{whole:.2f}", f"{waited:.3f}", f"{whole / (whole - waited):.3f}"])
    print_table(["command", "seconds", "of them for the disk", "ratio"], rows)


def main():
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--moments", type=int, default=10, help="of each signal and command")
    parser.add_argument("--seed", type=int, default=30)
    parser.add_argument("--commands", nargs="+", default=[command.name for command in COMMANDS])
    parser.add_argument("--output", type=Path, help="JSON file for the record of all moments")
    parser.add_argument("--costs", type=int, metavar="N", help="measure the costs of fsync, as the median of N runs")
    arguments = parser.parse_args()
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background ignores it, and all within
    with ExitStack() as stack:
        root = Path(stack.enter_context(TemporaryDirectory()))
        if arguments.costs:
            costs(root, arguments.costs)
            return
        environment = stack.enter_context(world(root))
        rng, rows, record = np.random.default_rng(arguments.seed), [], []
        for command in COMMANDS:
            if command.name in arguments.commands and all(map(find_spec, command.needs)):
                own, moments = measured(command, root, environment, moments=arguments.moments, rng=rng)
                rows, record = rows + own, record + moments
                if arguments.output:
                    arguments.output.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
    print(f"seed {arguments.seed}, {arguments.moments} moments of each signal")
    print_table(["command", "signal", "exit codes", "slowest end (s)", "as undisturbed"], rows)


if __name__ == "__main__":
    main()
