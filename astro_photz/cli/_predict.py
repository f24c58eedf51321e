# Licensed under a 3-clause BSD style license - see LICENSE
"""
The commands for tables of galaxies: ``demo``, ``predict``, ``merge`` and ``fetch``.
"""

import warnings
from argparse import SUPPRESS, ArgumentTypeError
from functools import partial
from pathlib import Path

from ._common import ANEW, FROM_DOWNLOADS, add_command, check_output, print_table, say
from ._input import add_input, brings_images, input_options, say_flags, source_if_needed, source_of

__all__ = ["add_commands"]

_PREDICT_EXAMPLES = [
    ("astro-photz predict hosts.csv hosts_z.ecsv", "images from the SDSS archive"),
    ("astro-photz predict hosts.vot z.fits --ra RA_host --dec DE_host --pdf", "columns with names of their own"),
    ("astro-photz predict hosts.ecsv z.ecsv --source frames/ --dust-map sfddata/", "frames and dust from the disk"),
    ("astro-photz predict hosts.csv z.csv --flags names", "flags in words, for people"),
    ("astro-photz predict hosts.csv z.ecsv --analogues 5", "with galaxies of known redshift that look alike"),
    ("astro-photz predict z.ecsv z.ecsv --replace --overwrite", "once more, in the same file"),
    ("astro-photz predict sky.parquet z-3.parquet --shard 3/10", "the third of ten parts of a large table"),
    ("astro-photz predict hosts.csv z.ecsv --retry-failed", "after a night of network faults"),
    ("zcat hosts.dat.gz | astro-photz predict - - --ra col2 --dec col3 > z.ecsv", "in a pipe"),
]
_MERGE_EXAMPLES = [
    ("astro-photz merge z.parquet z-1.parquet z-2.parquet", "of predict --shard 1/2 and --shard 2/2"),
]
_FETCH_EXAMPLES = [
    ("astro-photz fetch hosts.csv stamps.h5", "keep the images"),
    ("astro-photz fetch hosts.csv stamps.h5 --size 107 --dtype float16", "larger stamps, in half of the room"),
    ("astro-photz fetch spectra.fits labelled.h5 --size 107 --redshift z --drop-incomplete", "a file to train with"),
]
_NOTHING_ESTIMATED = 3  # exit code, where not one galaxy has a redshift or an image
_REDSHIFT, _FLUX, _RADIUS = "specz_redshift", "catalog_flux", "catalog_radius"


def add_commands(commands):
    """Add the commands and their arguments."""
    command = partial(add_command, commands)
    demo = command(
        "demo",
        _demo,
        "estimate the redshifts of two dozen simulated galaxies that come with the package",
        resume_hint=ANEW,
    )
    demo.add_argument("--output", type=Path, default=Path(), metavar="DIR", help="where the files go (default: here)")

    predict = command(
        "predict",
        _predict,
        "add photometric redshifts to a table of galaxies",
        _PREDICT_EXAMPLES,
        resume_hint=_resume_hint,
    )
    add_input(predict)
    predict.add_argument(
        "output",
        type=Path,
        metavar="OUT",
        help="table to write, in the format of its ending (.ecsv, .fits, .csv, .vot, .h5, .parquet ...); - is standard "
        "output",
    )
    predict.add_argument(
        "--output-format", metavar="FORMAT", help="format of OUT, as astropy calls it, if its suffix does not show it"
    )
    predict.add_argument("--model", help="name or folder of a model (default: the bundled one; see astro-photz models)")
    predict.add_argument("--prefix", default="z_phot", help="prefix of the new columns' names (default: %(default)s)")
    predict.add_argument("--pdf", action="store_true", help="add the probability in each bin of redshift")
    predict.add_argument(
        "--analogues",
        type=int,
        default=0,
        metavar="N",
        help="name N galaxies of known redshift that are most alike, and add the redshift that such galaxies speak for "
        "(default: none)",
    )
    predict.add_argument(
        "--flags",
        choices=("numbers", "names"),
        default="numbers",
        help="how flags are written: as sums of bits, or by name, as in LOW_SNR|CROWDED (default: %(default)s)",
    )
    predict.add_argument(
        "--replace", action="store_true", help="replace the columns that an earlier run with this prefix added"
    )

    predict.add_argument(
        "--retry-failed",
        action="store_true",
        help="of a finished OUT, ask again for the images that could not be had, and keep all others",
    )
    _add_failures(predict, "a redshift")
    predict.add_argument(
        "--shard",
        type=_shard,
        metavar="I/N",
        help="take the I-th of N parts of the table: one job of an array (merge puts their files together)",
    )

    merge = command("merge", _merge, "put the files of the parts of a table together", _MERGE_EXAMPLES)
    merge.add_argument("output", type=Path, metavar="OUT", help="table to write")
    merge.add_argument("parts", type=Path, nargs="+", metavar="PART", help="files of the parts, in their order")
    merge.add_argument("--output-format", metavar="FORMAT", help="format of OUT, if its suffix does not show it")
    merge.add_argument("--overwrite", action="store_true", help="replace OUT if it exists")

    fetch = command(
        "fetch",
        _fetch,
        "keep the images of a table's galaxies in an HDF5 file",
        _FETCH_EXAMPLES,
        resume_hint=_resume_hint,
    )
    add_input(fetch)
    fetch.add_argument("output", type=Path, metavar="OUT.h5", help="file to write")
    fetch.add_argument("--size", type=int, default=64, help="side of a stamp in pixels (default: %(default)s)")
    fetch.add_argument(
        "--dtype", choices=("float32", "float16"), default="float32", help="type of the pixels (default: %(default)s)"
    )
    _add_failures(fetch, "an image")
    training = fetch.add_argument_group("to train with the file")
    training.add_argument("--redshift", metavar="COLUMN", help="spectroscopic redshifts, to be kept in the file")
    training.add_argument(
        "--catalog-flux",
        metavar="U,G,R,I,Z",
        help="columns of the survey's total fluxes (nanomaggies, not dereddened), such as modelFlux_u to modelFlux_z",
    )
    training.add_argument("--catalog-radius", metavar="COLUMN", help="half-light radius in r (arcsec), freed of seeing")
    training.add_argument(
        "--drop-incomplete",
        action="store_true",
        help="leave out galaxies without image, good E(B-V) or redshift: no training takes them",
    )
    training.add_argument("--whole", action="store_true", help=SUPPRESS)  # its name before 0.1


def _add_failures(command, what):
    text = f"table to write of the galaxies without {what}: their rows from 0, flags, and what was wrong"
    command.add_argument("--failures", type=Path, metavar="FILE", help=text)


def _resume_hint(arguments):
    begun = arguments.output.with_name(arguments.output.name + ".part").exists()
    if begun:
        return f"give the same command again, which resumes {arguments.output}"
    return FROM_DOWNLOADS if arguments.source == "sdss" else ANEW


def _demo(arguments):
    from astro_photz.demo import demo_verdict, run_demo
    from astro_photz.flags import with_names

    table, written = run_demo(arguments.output)
    verdict, table = demo_verdict(table), with_names(table)
    short = ("err", "lo68", "hi68", "odds", "flags")  # a terminal has 80 columns
    shown = table["objid", "redshift", "z_phot", *(f"z_phot_{name}" for name in short)]
    for name in shown.colnames[1:-1]:
        shown[name].info.format = ".3f"
    shown.rename_columns(shown.colnames[1:], ["true z", "z_phot", *short])
    print("Simulated galaxies, with the colours and redshifts of real ones (the model has not seen them):\n")
    print_table(shown)
    print(f"\nIn the file, {', '.join(short[:-1])} and {short[-1]} are z_phot_{short[0]} and so on.")
    print(f"\n{verdict}")
    print("\nwritten: " + ", ".join(str(path) for path in written))
    if len(written) == 1:
        print('no picture without matplotlib: pip install "astro-photz[plot]"')


def _predict(arguments):
    from astro_photz.flags import MISSING

    flags = (_predict_to_file if _is_file(arguments.output) else _predict_into_stream)(arguments)
    estimated = int(((flags & MISSING) == 0).sum())
    name = arguments.output if str(arguments.output) != "-" else "standard output"
    say(f"{name}: {len(flags)} galaxies, {estimated} with a redshift")
    say_flags(flags)
    return _NOTHING_ESTIMATED if len(flags) and not estimated else 0


def _is_file(output):
    """Tell whether an output is a file; a device or a pipe takes what comes, once."""
    from astro_photz.utils._files import expanded

    return str(output) != "-" and (expanded(output).is_file() or not expanded(output).exists())


def _predict_to_file(arguments):
    from astro_photz.inference.prediction_files import predict_to_file
    from astro_photz.tables import LossWarning

    warnings.simplefilter("always", LossWarning)  # a filter of the command's own: see `in_lines`
    retry = arguments.retry_failed
    check_output(arguments, arguments.output, inputs=[arguments.source], overwrite=arguments.overwrite or retry)
    return predict_to_file(
        arguments.input,
        arguments.output,
        source=source_if_needed(arguments),
        retry_failed=retry,
        failures=arguments.failures,
        shard=arguments.shard,
        flags=arguments.flags,
        format=arguments.format,
        output_format=arguments.output_format,
        overwrite=arguments.overwrite,
        **_estimates(arguments),
        **input_options(arguments),
    )


def _estimates(arguments):
    names = ("model", "prefix", "pdf", "analogues", "replace")
    return {name: getattr(arguments, name) for name in names}


def _predict_into_stream(arguments):
    from astro_photz.flags import with_names
    from astro_photz.inference.analogue_columns import analogues_of
    from astro_photz.inference.tables import predict
    from astro_photz.models import load_model
    from astro_photz.tables import check_writable, output_format, write_table

    form = output_format(arguments.output, arguments.output_format)
    if arguments.retry_failed or arguments.shard or arguments.failures:
        arguments.parser.error(
            f"--retry-failed, --shard and --failures need a file to write; OUT is {arguments.output}"
        )
    if str(arguments.output) != "-":
        check_output(arguments, arguments.output)
    if brings_images(arguments):
        arguments.source = str(arguments.input)
    table, options = _table_of(arguments), _estimates(arguments)
    known = analogues_of(load_model(arguments.model), arguments.analogues)
    new = {"pdf": arguments.pdf, "prefix": arguments.prefix, "format": form}
    changes = check_writable(
        table, arguments.output, analogues=None if known is None else known.ids[: arguments.analogues], **new
    )
    if changes:
        say(f"astro-photz: warning: {changes}")
    table = predict(table, source=source_of(arguments), **options, **input_options(arguments))
    written = with_names(table, arguments.prefix) if arguments.flags == "names" else table
    write_table(written, arguments.output, format=form)
    return table[f"{arguments.prefix}_flags"]


def _table_of(arguments):
    """Table of galaxies; of a file of cutouts, its own, whose images are then those of the file."""
    from astro_photz.cutouts import CutoutFile
    from astro_photz.cutouts.hdf5.layout import holds
    from astro_photz.tables import read_table
    from astro_photz.utils._files import expanded

    path = expanded(arguments.input)
    return CutoutFile(path).catalog() if holds(path) else read_table(arguments.input, format=arguments.format)


def _merge(arguments):
    from astro_photz.tables import merge_tables

    check_output(arguments, arguments.output, inputs=arguments.parts)
    options = {"format": arguments.output_format, "overwrite": arguments.overwrite}
    n = merge_tables(arguments.parts, arguments.output, **options)
    say(f"{arguments.output}: {n} galaxies, of {len(arguments.parts)} files")


def _shard(text):
    """Number of a part and of all parts, as in ``3/10``."""
    number, _, of = text.partition("/")
    try:
        return int(number), int(of)
    except ValueError:
        raise ArgumentTypeError(f"{text!r} is no part of a table: write 3/10 for the third of ten") from None


def _fetch(arguments):
    from astro_photz.cutouts import fetch_to_file
    from astro_photz.flags import MISSING, PhotozFlag
    from astro_photz.tables import read_table

    if arguments.whole:
        arguments.parser.error("no option --whole: its name is --drop-incomplete now")
    check_output(arguments, arguments.output, inputs=[arguments.input, arguments.source])
    table = read_table(arguments.input, format=arguments.format)
    flags, kept = fetch_to_file(
        table,
        arguments.output,
        source=source_of(arguments),
        size=arguments.size,
        dtype=arguments.dtype,
        columns=_training_columns(arguments, table),
        drop_incomplete=arguments.drop_incomplete,
        failures=arguments.failures,
        overwrite=arguments.overwrite,
        **input_options(arguments),
    )
    whole = (flags[kept] & (MISSING | PhotozFlag.PARTIAL)) == 0
    say(f"{arguments.output}: {kept.sum()} galaxies, {whole.sum()} with a whole image")
    if not kept.all():
        say(f"  {(~kept).sum():6d} left out, without image, good E(B-V) or redshift")
    say_flags(flags)
    return _NOTHING_ESTIMATED if len(table) and not ((flags & MISSING) == 0).any() else 0


def _training_columns(arguments, table):
    """Columns that a training needs besides images, by their names in the file."""
    from astro_photz.tables import side_by_side

    wanted = {_REDSHIFT: arguments.redshift, _FLUX: arguments.catalog_flux, _RADIUS: arguments.catalog_radius}
    columns = {name: side_by_side(table, names.split(",")) for name, names in wanted.items() if names}
    for name, values in columns.items():
        shape = (len(table), 5) if name == _FLUX else (len(table),)
        if values.shape != shape:
            raise ValueError(f"{name} must have the shape {shape}, got {values.shape} from {wanted[name]}")
    return columns
