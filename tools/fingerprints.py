# Licensed under a 3-clause BSD style license - see LICENSE
"""
Print a hash of everything that users get: estimates, simulated files, trained graphs.

A change that means to change nothing leaves them as they are. Run it before and after, on one machine (rounding differs
between machines), and compare::

    python -m tools.fingerprints > before.txt
    python -m tools.fingerprints > after.txt
    diff before.txt after.txt

With ``--frames`` and ``--table`` it also estimates galaxies of real frames.
"""

import argparse
import hashlib
import subprocess
import sys
import tempfile
from pathlib import Path

import h5py
import numpy as np
from astropy.io import fits
from astropy.table import Table

import astro_photz


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--frames", type=Path, help="folder of real frames")
    parser.add_argument("--table", type=Path, help="table of galaxies in them")
    parser.add_argument("--n", type=int, default=384, help="simulated galaxies to train on (default: %(default)s)")
    arguments = parser.parse_args()
    cutouts = astro_photz.Cutouts.read(astro_photz.demo_path())
    tell_table("predict, demonstration set", astro_photz.predict(cutouts, pdf=True, progress=False))
    tell("embed, demonstration set", astro_photz.embed(cutouts, progress=False))
    if arguments.frames:
        source = astro_photz.FrameDirectory(arguments.frames, data_release=17)
        table = Table.read(arguments.table)
        tell_table("predict, real frames", astro_photz.predict(table, source=source, pdf=True, progress=False))
    with tempfile.TemporaryDirectory() as folder:
        simulated(Path(folder), arguments.n)


def simulated(folder, n):
    """Files of the simulation, and the graphs that are trained on them."""
    settings = ["--seed", "5", "--quiet"]
    run("simulate", "galaxies", folder / "stamps.h5", "--n", n, "--workers", "1", *settings)
    tell_file("simulate galaxies", folder / "stamps.h5")
    run("simulate", "galaxies", folder / "test.h5", "--n", "128", "--size", "68", "--split", "test", *settings)
    tell_file("simulate galaxies, another split", folder / "test.h5")
    run("simulate", "frames", folder / "fields", "--n", "1", *settings)
    for path in sorted((folder / "fields").iterdir()):
        tell(f"simulate frames, {path.name}", *contents(path))
    training = ["--threads", "1", "--accelerator", "cpu", "--devices", "1", "--recipe", "smoke", "--quiet"]
    run("pretrain", folder / "stamps.h5", folder / "pretrained", "--validation", folder / "test.h5", *training)
    run("finetune", folder / "stamps.h5", folder / "run", "--init", folder / "pretrained", *training)
    run("export", folder / "run", folder / "model", "--int8")
    for path in sorted(folder.glob("model*/*.onnx")):
        tell(f"{path.parent.name}/{path.name}", path.read_bytes())
    model = astro_photz.load_model(folder / "model")
    cutouts = astro_photz.Cutouts.read(folder / "test.h5")
    tell_table("predict, model trained here", astro_photz.predict(cutouts, model=model, pdf=True, progress=False))


def run(*arguments):
    subprocess.run([sys.executable, "-m", "astro_photz", *map(str, arguments)], check=True, stdout=subprocess.DEVNULL)


def contents(path):
    """Contents of a file without the parts that differ from run to run (compression, comments of the header)."""
    if path.name.endswith(".ecsv"):
        return [np.asarray(column).tobytes() for column in Table.read(path).itercols()]
    with fits.open(path) as hdus:
        return [hdu.data.tobytes() for hdu in hdus if hdu.data is not None]


def tell_table(name, table):
    for column in table.colnames:
        if column.startswith("z_phot"):
            tell(f"{name}: {column}", np.ma.filled(table[column], 0))


def tell_file(name, path):
    with h5py.File(path) as file:
        for dataset in sorted(file):
            tell(f"{name}: {dataset}", file[dataset][()])


def tell(name, *parts):
    digest = hashlib.sha256()
    for part in parts:
        digest.update(part if isinstance(part, bytes) else np.ascontiguousarray(part).tobytes())
    print(digest.hexdigest()[:16], name, flush=True)


if __name__ == "__main__":
    main()
