# Licensed under a 3-clause BSD style license - see LICENSE
"""
Check what ``python -m build`` made: metadata, contents and size of the wheel, and whether it works by itself.

``python -m tools.check_wheel dist`` prints the largest files of the wheel. ``--demo`` installs the wheel with the extra
``plot`` in an empty environment, and runs ``astro-photz demo`` in an empty folder; ``--run FILE`` runs scripts there.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

PACKAGE = "astro_photz"
LARGEST = 20e6
"""Bytes that a wheel may have: what it would cost a user on a slow line, not what a registry allows."""
NEEDED = (
    "data/demo.h5",
    "data/models/sim-small-v1/card.json",
    "data/models/sim-small-v1/encoder.onnx",
    "data/models/sim-small-v1/head.onnx",
    "py.typed",
    "train/recipes/small.toml",
)
SHOWN = 8


def contents(wheel):
    """Bytes that each file of a wheel takes in it, by name, the largest first."""
    with zipfile.ZipFile(wheel) as opened:
        sizes = {one.filename: one.compress_size for one in opened.infolist()}
    return dict(sorted(sizes.items(), key=lambda item: -item[1]))


def faults(wheel):
    """List what is wrong with a wheel: files that are missing or do not belong there, and its size."""
    names = set(contents(wheel))
    found = [f"{name} is missing" for name in NEEDED if f"{PACKAGE}/{name}" not in names]
    tops = {name.partition("/")[0] for name in names}
    found += [f"{top} does not belong in it" for top in sorted(tops) if not top.startswith(PACKAGE)]
    left = [name for name in names if name.endswith((".part", ".photz-sha256", ".pyc"))]
    found += [f"{name} is left over" for name in sorted(left)]
    size = Path(wheel).stat().st_size
    return found + [f"{size / 1e6:.1f} MB are more than {LARGEST / 1e6:.0f} MB"] * (size > LARGEST)


def only_wheel(folder):
    """Find the wheel of a folder; there must be one."""
    wheels = sorted(Path(folder).glob("*.whl"))
    if len(wheels) != 1:
        raise SystemExit(
            f"{folder} must hold one wheel, got {len(wheels)}: python -m build makes it in an empty folder"
        )
    return wheels[0]


def describe(wheel):
    """Say in lines how large a wheel is, and its largest files."""
    sizes = contents(wheel)
    lines = [f"{wheel.name}: {wheel.stat().st_size / 1e6:.1f} MB, {len(sizes)} files; the largest, as they lie in it:"]
    return lines + [f"  {size / 1e6:6.2f} MB  {name}" for name, size in list(sizes.items())[:SHOWN]]


def try_out(wheel, scripts=()):
    """Install a wheel in an empty environment, run the demonstration and scripts there, in an empty folder."""
    scripts = [Path(script).resolve() for script in scripts]
    with tempfile.TemporaryDirectory() as folder:
        environment, elsewhere = Path(folder, "environment"), Path(folder, "elsewhere")
        elsewhere.mkdir()
        subprocess.run([sys.executable, "-m", "venv", environment], check=True)
        python = environment / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
        subprocess.run([python, "-m", "pip", "install", "--quiet", f"{wheel.resolve()}[plot]"], check=True)
        subprocess.run([python, "-m", "pip", "check"], check=True)
        for words in (["-m", PACKAGE, "demo"], *([script] for script in scripts)):
            subprocess.run([python, *words], cwd=elsewhere, check=True)
        if not list(elsewhere.glob("*.ecsv")):
            raise SystemExit("the demonstration left no table")


def main(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="folder of the wheel and the source archive")
    parser.add_argument(
        "--demo", action="store_true", help="install the wheel in an empty environment, run the demonstration"
    )
    parser.add_argument("--run", nargs="+", default=[], type=Path, metavar="FILE", help="scripts to run there too")
    options = parser.parse_args(arguments)
    wheel = only_wheel(options.folder)
    archives = [str(path) for path in sorted(options.folder.glob("astro_photz-*")) if path.suffix in (".gz", ".whl")]
    subprocess.run([sys.executable, "-m", "twine", "check", "--strict", *archives], check=True)
    print(*describe(wheel), sep="\n")
    found = faults(wheel)
    if found:
        raise SystemExit("\n".join([f"{wheel.name} is not as it should be:", *found]))
    if options.demo or options.run:
        try_out(wheel, options.run)


if __name__ == "__main__":
    main()
