# Licensed under a 3-clause BSD style license - see LICENSE
"""
The table of galaxies that commands take, and where their images come from.
"""

from pathlib import Path

from ._common import say

__all__ = ["add_input", "input_options", "say_flags", "source_of"]

_OF_ALL = (
    "OUTLIER",
    "MISALIGNED",
    "WRONG_SCALE",
    "EBV_MISMATCH",
    "BAD_SEEING",
)  # flags that a wrong table has in most rows
_FEW = 5


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
    parser.add_argument("--quiet", action="store_true", help="no progress bar")


def input_options(arguments):
    """Keywords of `~astro_photz.predict` for the positions, and for the progress bar."""
    progress = False if arguments.quiet else None
    names = ("coord", "ra", "dec", "ra_unit", "ebv", "extinction_release")
    return {"progress": progress} | {name: getattr(arguments, name) for name in names}


def source_of(arguments):
    """Make the source of cutouts."""
    from astro_photz.cutouts.sources.named import source_or_archive

    return source_or_archive(arguments.source, data_release=arguments.data_release, dust_map=arguments.dust_map)


def say_flags(flags):
    """Say how many galaxies have each flag, and its meaning."""
    from astro_photz.flags import FLAG_ADVICE, to_table

    for flag in to_table(flags):
        if flag["n"]:
            say(f"  {flag['n']:6d} {flag['name']}: {flag['meaning']}")
        if flag["name"] in _OF_ALL and flag["n"] > max(_FEW, len(flags) / 2):
            say(f"         so many that something may be wrong with all: {FLAG_ADVICE[flag['name']]}")
