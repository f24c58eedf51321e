# Licensed under a 3-clause BSD style license - see LICENSE
"""
A million rows of a file of stamps: memory, rate and the share of writing, beside a tenth of the rows in the same run.

The stamps are few, written over and over, with pixels rounded so that a million of them take some 21 GB. Each run is a
process of its own: ``predict_to_file`` from the file of stamps into a table, with the default threads. The halves of a
run are compared by the clock, which tells what else the machine did too, and by the time of the processors.
"""

import argparse
import json
import os
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import h5py
import numpy as np

import astro_photz
from astro_photz.inference import prediction_files
from astro_photz.testing.factories import gaussian_cutouts
from benchmarks.common.claims import claim
from benchmarks.common.timing import peak_memory, print_table

_DIFFERENT = 256  # stamps
_LEVELS = 0.005  # nanomaggies between two values of a pixel: neighbours are then equal as often as in a real frame


def write_stamps(path, n):
    """Write a file of n stamps, of which only some are different: their chunks are compressed once."""
    few = gaussian_cutouts(_DIFFERENT)
    few.flux[:] = np.round(few.flux / _LEVELS) * _LEVELS
    with TemporaryDirectory(dir=path.parent) as folder:
        part = Path(folder) / "few.h5"
        few.write(part, dtype="float16")
        with h5py.File(part) as source, h5py.File(path, "w") as file:
            file.attrs.update(source.attrs)
            for name, dataset in source.items():
                if name == "images":
                    _repeat_images(file, dataset, n)
                    continue
                values = np.resize(dataset[()], (n, *dataset.shape[1:]))
                file.create_dataset(name, data=values).attrs.update(dataset.attrs)
            file["ObjID"][...] = np.arange(n)


def _repeat_images(file, dataset, n):
    shape = dataset.shape[1:]
    images = file.create_dataset("images", (n, *shape), dataset.dtype, chunks=(1, *shape), compression="gzip")
    images.attrs.update(dataset.attrs)
    images[:_DIFFERENT] = dataset[: min(n, _DIFFERENT)]
    chunks = [images.id.read_direct_chunk((row, 0, 0, 0))[1] for row in range(min(n, _DIFFERENT))]
    for row in range(_DIFFERENT, n):
        images.id.write_direct_chunk((row, 0, 0, 0), chunks[row % _DIFFERENT])


def run(source, output):
    """Estimate in this process; print its figures as JSON."""
    moments = []

    @contextmanager
    def clock(total, progress=None):
        done = 0

        def advance(steps, failed=0):
            nonlocal done
            done += steps
            if done == total or done - moments[-1][0] * total >= total / 1000:
                moments.append((done / total, time.perf_counter(), time.process_time()))

        moments.append((0.0, time.perf_counter(), time.process_time()))
        yield advance

    prediction_files.progress_bar = clock
    began = time.perf_counter()
    prediction_files.predict_to_file(source, output)
    share, wall, cpu = np.transpose(moments)
    figures = {"seconds": time.perf_counter() - began, "estimating": wall[-1] - wall[0], "memory": peak_memory()}
    print(json.dumps(figures | {"second_half": _second_half(share, wall), "second_half_cpu": _second_half(share, cpu)}))


def _second_half(share, moment):
    """Time of the second half of the rows over that of the first."""
    half = float(np.interp(0.5, share, moment))
    return (moment[-1] - half) / (half - moment[0])


def measured(folder, n, form):
    """Figures of a run of n rows, in a process of its own."""
    source, output = folder / f"sky-{n}.h5", folder / f"z-{n}.{form}"
    if not source.exists():
        write_stamps(source, n)
    command = [sys.executable, "-m", "benchmarks.inference.million", "--run", str(source), str(output)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    if len(astro_photz.tables.read_table(output)) != n:
        raise RuntimeError(f"{output} does not have {n} rows")
    output.unlink()
    return json.loads(done.stdout.splitlines()[-1])


def main():
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[1])
    parser.add_argument("--rows", type=int, default=1_000_000, help="(default: %(default)s)")
    parser.add_argument("--form", default="parquet", choices=("parquet", "fits", "h5"), help="(default: %(default)s)")
    parser.add_argument("--folder", type=Path, help="keeps the files of stamps (default: a temporary one)")
    parser.add_argument("--run", nargs=2, metavar=("STAMPS", "OUT"), help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.run:
        run(*args.run)
        return
    with TemporaryDirectory() as temporary:
        folder = args.folder or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        results = {n: measured(folder, n, args.form) for n in (args.rows // 10, args.rows)}
    print(f"{os.cpu_count()} processors, into {args.form}; peak memory of a process, ratios to the tenth of the rows\n")
    few = results[args.rows // 10]
    rows = []
    for n, one in results.items():
        writing = 1 - one["estimating"] / one["seconds"]
        figures = f"{n / one['seconds']:.0f}", f"{one['memory']:.0f}", f"{one['memory'] / few['memory']:.3f}"
        halves = f"{one['second_half']:.3f}", f"{one['second_half_cpu']:.3f}"
        rows.append((f"{n:,} rows", *figures, *halves, f"{100 * writing:.1f} %"))
    print_table(
        ("", "rows/s", "MB", "ratio", "second half over first", "by the processors' time", "all but estimates"), rows
    )
    claim(f"peak memory of {args.rows:,} rows (MB)", one["memory"], most=600)
    claim("the same over that of a tenth of the rows", one["memory"] / few["memory"], most=1.05)
    claim("time of the second half of the rows over that of the first", one["second_half"], most=1.05)
    claim("the same by the time of the processors", one["second_half_cpu"], most=1.05)
    claim("share of the time that goes into other things than estimates", writing, most=0.05)


if __name__ == "__main__":
    main()
