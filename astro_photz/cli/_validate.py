# Licensed under a 3-clause BSD style license - see LICENSE
"""
The command that judges photometric redshifts by true ones: ``validate``.
"""

import sys
from functools import partial
from pathlib import Path

from astro_photz.utils._terminal import terminal_width

from ._common import ANEW, add_command, check_output, print_table, say
from ._input import add_input, input_options, source_of
from ._terminal import wrapped
from ._wording import in_options

__all__ = ["add_commands"]

_EXAMPLES = [
    ("astro-photz validate spectra.fits --redshift z", "estimate, and compare"),
    ("astro-photz validate hosts_z.ecsv --redshift z_spec", "redshifts of astro-photz predict"),
    ("astro-photz validate theirs.csv --redshift zspec --z-phot zph --z-err e_zph", "those of another code"),
    ("astro-photz validate theirs.csv --redshift zspec --pdf pdfs.hdf5", "its PDFs in a file of qp"),
    ("astro-photz validate test.h5 --redshift specz_redshift --output judged.h5", "a file of images; keep the result"),
]
_HDF5 = ".h5", ".hdf5"
_MOST_OUTLIERS = 10
_NAMES = ("redshift", "z_phot", "z_err", "pdf", "prefix", "groups", "model", "resamples")
_SHOWN = ("row", "id", "redshift", "z_phot", "z_phot_err", "deviation", "r_mag")


def add_commands(commands):
    """Add the command and its arguments."""
    command = partial(add_command, commands)
    validate = command("validate", _validate, "judge photometric redshifts by known ones", _EXAMPLES, resume_hint=ANEW)
    add_input(validate)
    validate.set_defaults(source=None)
    validate.add_argument(
        "--redshift", default="z_spec", metavar="COLUMN", help="column of the known redshifts (default: %(default)s)"
    )
    validate.add_argument("--model", help="name or folder of a model, where redshifts are to be estimated")
    validate.add_argument(
        "--prefix", default="z_phot", help="prefix of the columns of astro-photz predict (default: %(default)s)"
    )
    other = validate.add_argument_group("redshifts of another code")
    other.add_argument("--z-phot", metavar="COLUMN", help="column of its redshifts")
    other.add_argument("--z-err", metavar="COLUMN", help="column of their errors, for Gaussian PDFs")
    other.add_argument("--pdf", metavar="COLUMN|FILE.hdf5", help="column of its PDFs, or a file of qp")
    judging = validate.add_argument_group("judging")
    judging.add_argument(
        "--groups", metavar="COLUMN", help="column that is alike for galaxies that are not independent"
    )
    judging.add_argument(
        "--resamples", type=int, default=200, metavar="N", help="samples of the bootstrap (default: %(default)s)"
    )
    judging.add_argument("--output", type=Path, metavar="FILE.h5", help="file for everything, galaxy by galaxy too")
    judging.add_argument("--table", type=Path, metavar="FILE.ecsv", help="table of every number, also in bins")


def _validate(arguments):
    from astro_photz.tables import read_table, write_table
    from astro_photz.validation import validate

    _check_outputs(arguments)
    from_pipe = str(arguments.input) == "-" or arguments.format is not None
    validation = validate(
        read_table(arguments.input, format=arguments.format) if from_pipe else arguments.input,
        source=_named_source(arguments),
        **{name: getattr(arguments, name) for name in _NAMES},
        **input_options(arguments),
    )
    print_table(_numbers(validation))
    print()
    width = terminal_width(sys.stdout)
    for sentence in validation.verdict:
        print(wrapped(in_options(sentence, arguments.parser), width))
    outliers = validation.outliers
    if len(outliers):
        more = f", the worst {_MOST_OUTLIERS} of {len(outliers)}" if len(outliers) > _MOST_OUTLIERS else ""
        print(f"\nOutliers{more}:\n")
        print_table(_shown(outliers[:_MOST_OUTLIERS]))
    if arguments.output:
        validation.write(arguments.output, overwrite=True)
        say(f"wrote {arguments.output}")
    if arguments.table:
        write_table(validation.table, arguments.table)
        say(f"wrote {arguments.table}")


def _check_outputs(arguments):
    """Refuse outputs that cannot be written, would replace what is read, or each other, or have no known ending."""
    from astro_photz.tables import output_format

    inputs = [arguments.input, arguments.pdf, arguments.source]
    if arguments.output:
        if arguments.output.suffix.lower() not in _HDF5:
            arguments.parser.error(f"--output {arguments.output}: the name must end in {' or '.join(_HDF5)}")
        check_output(arguments, arguments.output, inputs=[*inputs, arguments.table])
    if arguments.table:
        try:
            output_format(arguments.table)
        except ValueError:
            arguments.parser.error(
                f"--table {arguments.table}: no format has that ending; use .ecsv, .fits, .csv, .vot, .h5 or .parquet"
            )
        check_output(arguments, arguments.table, inputs=inputs)


def _named_source(arguments):
    """Source of images that the user names, or None for the usual one, which is opened only if it is needed."""
    named = (arguments.source, arguments.data_release, arguments.dust_map)
    return None if all(one is None for one in named) else source_of(arguments)


def _numbers(validation):
    """Table of the metrics, of all galaxies and of those without a flag."""
    from astropy.table import Table

    from astro_photz.validation.verdict import with_error

    parts = {"all galaxies": (validation.overall, validation.errors)}
    if validation.unflagged and validation.sample["n_flagged"]:
        parts["without flags"] = (validation.unflagged, validation.unflagged_errors)
    names = [name for name in validation.overall if name != "n"]
    table = Table({"metric": ["galaxies", *names]})
    for title, (values, errors) in parts.items():
        table[title] = [str(values["n"]), *(with_error(values[name], errors[name]) for name in names)]
    return table


def _shown(outliers):
    """Outliers as they are printed, with the names of their flags."""
    from astropy.table import Table

    from astro_photz.flags import FLAG_MEANINGS, PhotozFlag

    table = Table(outliers[[name for name in _SHOWN if name in outliers.colnames]])
    empty = [name for name in table.colnames[1:] if getattr(table[name], "mask", None) is not None]
    table.remove_columns([name for name in empty if table[name].mask.all()])
    bits = outliers["flags"].filled(0).tolist()
    if any(bits):
        table["flags"] = [
            " ".join(name for name in FLAG_MEANINGS if value & int(getattr(PhotozFlag, name))) for value in bits
        ]
    return table
