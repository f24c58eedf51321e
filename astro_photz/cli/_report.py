# Licensed under a 3-clause BSD style license - see LICENSE
"""
The commands that show a table of redshifts: ``report``, as a page, and ``regions``, in DS9 and Aladin.
"""

from pathlib import Path
from shlex import quote

from ._common import ANEW, add_command, check_output, say

__all__ = ["add_commands"]

_EXAMPLES = [
    ("astro-photz report hosts_z.ecsv", "a page, hosts_z.html, without images of galaxies"),
    ("astro-photz report hosts_z.ecsv --source sdss", "with the images of rows to look at"),
    ("astro-photz report hosts_z.fits --redshift z --source frames/", "checked against redshifts of the same table"),
    ("astro-photz report theirs.csv --prefix zph --redshift zspec", "redshifts of another code, in the column zph"),
]
_OF_REGIONS = [
    ("astro-photz regions hosts_z.ecsv", "a circle for each galaxy, hosts_z.reg"),
    ("astro-photz regions hosts_z.fits --states doubtful,masked --output look.reg", "those to look at"),
]
_POSITIONS = ("coord", "ra", "dec", "ra_unit")


def add_commands(commands):
    """Add the commands and their arguments."""
    _add_report(commands)
    _add_regions(commands)


def _add_report(commands):
    report = add_command(
        commands,
        "report",
        _report,
        "write a page about a table of photometric redshifts",
        _EXAMPLES,
        resume_hint=ANEW,
    )
    _add_table(report)
    report.add_argument(
        "--output", type=Path, metavar="PAGE.html", help="page to write (default: the name of TABLE, with .html)"
    )
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
    _add_positions(report)
    report.add_argument("--overwrite", action="store_true", help="replace the page if it exists")


def _add_regions(commands):
    regions = add_command(
        commands,
        "regions",
        _regions,
        "write the galaxies of a table of photometric redshifts as regions for DS9 and Aladin",
        _OF_REGIONS,
        notes=[
            "Circles are cyan around good rows, yellow around doubtful ones (flags.BAD), red and dashed around masked "
            "ones, which have no redshift. Their text is name, redshift and flags."
        ],
        resume_hint=ANEW,
    )
    _add_table(regions)
    regions.add_argument(
        "--output", type=Path, metavar="FILE.reg", help="file to write (default: the name of TABLE, with .reg)"
    )
    regions.add_argument(
        "--states",
        default="good,doubtful,masked",
        metavar="STATE,...",
        help="rows to write: good, doubtful, masked, with commas between them (default: all)",
    )
    regions.add_argument(
        "--radius", type=float, metavar="ARCSEC", help="of the circles (default: 12.7, what a model looks at)"
    )
    _add_positions(regions)
    regions.add_argument("--overwrite", action="store_true", help="replace the file if it exists")


def _add_table(parser):
    parser.add_argument(
        "table", type=Path, metavar="TABLE", help="table with photometric redshifts; - is standard input"
    )
    parser.add_argument(
        "--prefix",
        default="z_phot",
        help="prefix of the redshifts' columns, or the column of another code's redshifts (default: %(default)s)",
    )


def _add_positions(parser):
    for name, what in (("coord", "coordinates"), ("ra", "right ascension"), ("dec", "declination")):
        parser.add_argument(f"--{name}", metavar="COLUMN", help=f"name of the column of the {what}, if not a usual one")
    parser.add_argument("--ra-unit", metavar="UNIT", help="unit of a right ascension whose column has none")


def _report(arguments):
    from astro_photz.report import write_report

    output = _output(arguments, ".html")
    check_output(arguments, output, inputs=_inputs(arguments))
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


def _regions(arguments):
    from astro_photz.report import write_regions

    output = _output(arguments, ".reg")
    check_output(arguments, output, inputs=[arguments.table])
    path = write_regions(
        arguments.table,
        output,
        states=[state.strip() for state in arguments.states.split(",")],
        prefix=arguments.prefix,
        overwrite=arguments.overwrite,
        **({} if arguments.radius is None else {"radius": arguments.radius}),
        **{name: getattr(arguments, name) for name in _POSITIONS},
    )
    say(f"wrote {path}")


def _output(arguments, suffix):
    """File to write: by default of the table's name."""
    if str(arguments.table) == "-" and arguments.output is None:
        arguments.parser.error("a table from standard input needs --output, the name of the file to write")
    return arguments.output or arguments.table.with_suffix(suffix)


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
