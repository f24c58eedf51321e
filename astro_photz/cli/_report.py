# Licensed under a 3-clause BSD style license - see LICENSE
"""
The command that writes a page about a table of redshifts: ``report``.
"""

from pathlib import Path
from shlex import quote

from ._common import ANEW, add_command, check_output, say

__all__ = ["add_commands"]

_EXAMPLES = [
    ("astro-photz report hosts_z.ecsv", "a page, hosts_z.html, without images of galaxies"),
    ("astro-photz report hosts_z.ecsv --source sdss", "with the images of rows to look at"),
    ("astro-photz report hosts_z.fits --redshift z --source frames/", "checked against redshifts of the same table"),
]
_POSITIONS = ("coord", "ra", "dec", "ra_unit")


def add_commands(commands):
    """Add the command and its arguments."""
    report = add_command(
        commands,
        "report",
        _report,
        "write a page about a table of photometric redshifts",
        _EXAMPLES,
        resume_hint=ANEW,
    )
    report.add_argument(
        "table", type=Path, metavar="TABLE", help="table that astro-photz predict has written; - is standard input"
    )
    report.add_argument(
        "--output", type=Path, metavar="PAGE.html", help="page to write (default: the name of TABLE, with .html)"
    )
    report.add_argument("--prefix", default="z_phot", help="prefix of the redshifts' columns (default: %(default)s)")
    report.add_argument("--redshift", metavar="COLUMN", help="known redshifts, to check the estimates against")
    report.add_argument(
        "--validation", type=Path, metavar="FILE.h5", help="the same of astro-photz validate --output, made before"
    )
    report.add_argument(
        "--source",
        metavar="sdss|DIR|FILE.h5",
        help="where images of the rows to look at come from: the SDSS archive, a folder of frames, an HDF5 file of "
        "cutouts (default: no images)",
    )
    report.add_argument("--data-release", type=int, metavar="N", help="of SDSS (default: 17 for the archive)")
    for name, what in (("coord", "coordinates"), ("ra", "right ascension"), ("dec", "declination")):
        report.add_argument(f"--{name}", metavar="COLUMN", help=f"name of the column of the {what}, if not a usual one")
    report.add_argument("--ra-unit", metavar="UNIT", help="unit of a right ascension whose column has none")
    report.add_argument("--overwrite", action="store_true", help="replace the page if it exists")


def _report(arguments):
    from astro_photz.report import write_report

    if str(arguments.table) == "-" and arguments.output is None:
        arguments.parser.error("a table from standard input needs --output, the name of the page")
    output = arguments.output or arguments.table.with_suffix(".html")
    check_output(output, overwrite=arguments.overwrite, inputs=_inputs(arguments))
    page = write_report(
        arguments.table,
        output,
        redshift=arguments.redshift,
        validation=arguments.validation,
        prefix=arguments.prefix,
        source=_source(arguments),
        overwrite=arguments.overwrite,
        command=_command(arguments),
        **{name: getattr(arguments, name) for name in _POSITIONS},
    )
    say(f"wrote {page}")


def _source(arguments):
    from astro_photz.cutouts.sources.named import source_or_archive

    if arguments.source is None:
        return None
    return source_or_archive(arguments.source, data_release=arguments.data_release)


def _inputs(arguments):
    """Files that the command reads."""
    return [getattr(arguments, name) for name in ("table", "validation", "source")]


def _command(arguments):
    """Put the command together again, as the page tells it."""
    names = ("output", "prefix", "redshift", "validation", "source", "data_release", *_POSITIONS)
    given = {name: getattr(arguments, name) for name in names}
    if given["prefix"] == "z_phot":
        del given["prefix"]
    options = [f"--{name.replace('_', '-')} {quote(str(value))}" for name, value in given.items() if value is not None]
    return " ".join(["astro-photz report", quote(str(arguments.table)), *options])
