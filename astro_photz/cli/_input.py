# Licensed under a 3-clause BSD style license - see LICENSE
"""
The table of galaxies that commands take, and where their images come from.
"""

import sys
from functools import partial
from pathlib import Path

from ._common import say

__all__ = ["add_input", "brings_images", "input_options", "say_flags", "source_if_needed", "source_of"]

_OF_ALL = (
    "OUTLIER",
    "MISALIGNED",
    "WRONG_SCALE",
    "EBV_MISMATCH",
    "BAD_SEEING",
)  # flags that a wrong table has in most rows
_FEW = 5
_NAMED = 10  # rows that are named, at most


def add_input(parser):
    """Add the arguments to a command."""
    parser.add_argument(
        "input",
        type=Path,
        metavar="IN",
        help="table of galaxies, in any format that astropy reads; - is standard input",
    )
    parser.add_argument(
        "--format", metavar="FORMAT", help="format of IN, as astropy calls it (default: by the content of the file)"
    )
    parser.add_argument(
        "--source",
        default="sdss",
        metavar="sdss|DIR|FILE.h5",
        help="where the images come from: the SDSS archive (default), a folder of frames, an HDF5 file of cutouts",
    )
    parser.add_argument("--data-release", type=int, metavar="N", help="of SDSS (default: 17 for the archive)")
    parser.add_argument(
        "--dust-map",
        metavar="DIR",
        help="folder of the SFD map, for a folder of frames and a table without E(B-V) "
        "(default: a coarse map that comes with the package)",
    )
    for name, what in (
        ("coord", "of the coordinates"),
        ("ra", "of the right ascension"),
        ("dec", "of the declination"),
        ("ebv", "of E(B-V)"),
    ):
        parser.add_argument(f"--{name}", metavar="COLUMN", help=f"name of the column {what}, if it is not a usual one")
    parser.add_argument(
        "--ra-unit",
        metavar="UNIT",
        help="unit of a right ascension whose column has none, such as hourangle (default: deg)",
    )
    parser.add_argument(
        "--extinction-release",
        type=int,
        metavar="N",
        help="data release of SDSS of the table's extinctions, if they do not show it themselves",
    )
    parser.add_argument("--overwrite", action="store_true", help="replace OUT if it exists")
    parser.add_argument("--yes", action="store_true", help="download without a question, however much it is")
    parser.add_argument("--quiet", action="store_true", help="no progress bar")


def input_options(arguments):
    """Keywords of `~astro_photz.predict` for the positions, and for the progress bar."""
    progress = False if arguments.quiet else None
    names = ("coord", "ra", "dec", "ra_unit", "ebv", "extinction_release")
    return {"progress": progress} | {name: getattr(arguments, name) for name in names}


def source_of(arguments):
    """Make the source of cutouts."""
    from astro_photz.cutouts.sources.named import source_or_archive

    source = source_or_archive(arguments.source, data_release=arguments.data_release, dust_map=arguments.dust_map)
    if hasattr(source, "confirm"):
        source.confirm = partial(_confirm, yes=getattr(arguments, "yes", False))
    return source


def brings_images(arguments):
    """Tell whether the input is a file of cutouts, whose images are taken unless another source is named."""
    from astro_photz.cutouts.hdf5.layout import holds
    from astro_photz.utils._files import expanded

    return arguments.source == "sdss" and str(arguments.input) != "-" and holds(expanded(arguments.input))


def source_if_needed(arguments):
    """Make the source of cutouts; None for an input that brings its images."""
    return None if brings_images(arguments) else source_of(arguments)


def _confirm(estimate, *, yes):
    """Ask before a large download; without a terminal, refuse it."""
    if yes:
        say(f"the download is {estimate}")
        return
    if not (sys.stdin and sys.stdin.isatty() and sys.stderr and sys.stderr.isatty()):
        raise ValueError(
            f"the download is {estimate}, and there is no terminal to ask on: give --yes to download it, or raise "
            "confirm_download_gb in the configuration of astro_photz"
        )
    say(f"the download is {estimate}; it goes into the cache of astropy.")
    say("Go on? [y/N]")
    if sys.stdin.readline().strip().lower() not in ("y", "yes"):
        raise ValueError("nothing was downloaded: the answer was not y")


def say_flags(flags):
    """Say how many galaxies have each flag, and its meaning; of a few without an estimate, their rows too."""
    from astro_photz.flags import MISSING, to_table

    for flag in to_table(flags):
        if flag["n"]:
            rows = _rows(flags, flag["bit"]) if flag["bit"] & MISSING and flag["n"] <= _NAMED else ""
            say(f"  {flag['n']:6d} {flag['name']}: {flag['meaning']}{rows}")
        if flag["name"] in _OF_ALL and flag["n"] > max(_FEW, len(flags) / 2):
            say(f"         {_of_all(flag, flags)}")


def _rows(flags, bit):
    """Rows of the galaxies with a flag, counted from 1."""
    rows = [str(row) for row, value in enumerate(flags, 1) if value & bit]
    return f" (row{'s' * (len(rows) > 1)} {', '.join(rows)})"


def _of_all(flag, flags):
    """Say what may be wrong where most rows have one flag."""
    from astro_photz.flags import FLAG_ADVICE, PhotozFlag

    faint_or_bright = (flags & (PhotozFlag.EXTRAPOLATED | PhotozFlag.LOW_SNR)) != 0
    if flag["name"] == "OUTLIER" and faint_or_bright[(flags & PhotozFlag.OUTLIER) != 0].mean() > 0.5:
        return (
            "most of these are EXTRAPOLATED or LOW_SNR too: fainter or brighter than what the model was trained on, "
            "or pixels of another unit"
        )
    advice = FLAG_ADVICE[flag["name"]].removeprefix("if there are many, ")
    return f"so many that something may be wrong with all: {advice}"
