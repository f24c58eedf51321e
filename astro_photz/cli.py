# Licensed under a 3-clause BSD style license - see LICENSE
"""
The command ``astro-photz``.
"""

import argparse
import os
import sys
import warnings
from contextlib import contextmanager
from functools import partial
from pathlib import Path

__all__ = ["main"]

_EXAMPLES = """\
examples:
  astro-photz demo                                         what it does, offline, in a few seconds
  astro-photz predict hosts.csv hosts_z.ecsv               images from the SDSS archive
  astro-photz predict hosts.fits z.fits --source frames/   images from a folder of frames
  astro-photz fetch hosts.csv stamps.h5                    keep the images ...
  astro-photz predict hosts.csv z.csv --source stamps.h5   ... and use them again
  astro-photz simulate galaxies sky.h5 --n 1000 --seed 1   a simulated sky, with known redshifts
"""
_PREDICT_EXAMPLES = """\
examples:
  astro-photz predict hosts.csv hosts_z.ecsv
  astro-photz predict hosts.vot z.fits --ra RA_host --dec DE_host --pdf
  astro-photz predict hosts.ecsv z.ecsv --source frames/ --dust-map sfddata/
"""
_FETCH_EXAMPLES = """\
examples:
  astro-photz fetch hosts.csv stamps.h5
  astro-photz fetch hosts.csv stamps.h5 --size 107 --dtype float16
"""
_SIMULATE_EXAMPLES = """\
examples:
  astro-photz simulate galaxies sky.h5 --n 10000 --seed 1
  astro-photz simulate galaxies deep.h5 --n 100000 --seed 2 --size 107 --config deep.toml --workers 2
  astro-photz simulate frames field/ --seed 1              whole fields, and the truth about them in field/truth.ecsv

An unfinished file is gone on with when the same command is given again.
"""


def main(argv=None):
    """
    Run the command line.

    Parameters
    ----------
    argv : list of str, optional
        Arguments; those of the process by default.

    Returns
    -------
    int
        Exit code: 0 for success, 1 for an error, 130 after an interrupt; wrong usage leaves with 2.
    """
    from astropy.io.registry import IORegistryError

    arguments = _parser().parse_args(argv)
    try:
        with _warnings_in_a_line():
            arguments.run(arguments)
    except (OSError, ValueError, TypeError, KeyError, ImportError, IORegistryError) as error:
        message = error.args[0] if isinstance(error, KeyError) else error
        print(f"astro-photz: error: {str(message).strip().splitlines()[0]}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("astro-photz: interrupted", file=sys.stderr)
        return 130
    return 0


def _parser():
    from . import __version__

    parser = argparse.ArgumentParser(
        prog="astro-photz",
        description="Photometric redshifts of galaxies from their SDSS images.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"astro-photz {__version__}")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)

    command = partial(_add_command, commands)
    demo = command("demo", _demo, "estimate the redshifts of two dozen simulated galaxies that come with the package")
    demo.add_argument("--output", type=Path, default=Path(), metavar="DIR", help="where the files go (default: here)")

    predict = command("predict", _predict, "add photometric redshifts to a table of galaxies", _PREDICT_EXAMPLES)
    _add_input(predict)
    predict.add_argument("output", type=Path, metavar="OUT", help="table to write, in any format that astropy writes")
    predict.add_argument("--model", help="name or folder of a model (default: the bundled one; see astro-photz models)")
    predict.add_argument("--prefix", default="z_phot", help="of the new columns' names (default: %(default)s)")
    predict.add_argument("--pdf", action="store_true", help="add the probability in each bin of redshift")

    fetch = command("fetch", _fetch, "keep the images of a table's galaxies in an HDF5 file", _FETCH_EXAMPLES)
    _add_input(fetch)
    fetch.add_argument("output", type=Path, metavar="OUT.h5", help="file to write")
    fetch.add_argument("--size", type=int, default=64, help="side of a stamp in pixels (default: %(default)s)")
    fetch.add_argument(
        "--dtype", choices=("float32", "float16"), default="float32", help="of the pixels (default: %(default)s)"
    )

    _add_simulate(commands)
    command("models", _models, "list the models that are at hand")
    return parser


def _add_command(commands, name, run, summary, examples=None):
    made = commands.add_parser(
        name,
        help=summary,
        description=summary[0].upper() + summary[1:] + ".",
        epilog=examples,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    made.set_defaults(run=run)
    return made


def _add_simulate(commands):
    """The command simulate, which has two of its own."""
    simulate = _add_command(commands, "simulate", None, "make images of a simulated sky", _SIMULATE_EXAMPLES)
    kinds = simulate.add_subparsers(title="commands", metavar="COMMAND", required=True)
    galaxies = _add_command(
        kinds, "galaxies", _simulate_galaxies, "simulate galaxies into an HDF5 file of stamps", _SIMULATE_EXAMPLES
    )
    galaxies.add_argument("output", type=Path, metavar="OUT.h5", help="file to write")
    galaxies.add_argument("--n", type=int, required=True, help="number of galaxies")
    galaxies.add_argument("--size", type=int, default=64, help="side of a stamp in pixels (default: %(default)s)")
    galaxies.add_argument("--device", default="cpu", help="where images are drawn, e.g. cuda (default: %(default)s)")
    galaxies.add_argument(
        "--workers", type=int, default=os.cpu_count(), help="processes that work at a time (default: one a processor)"
    )
    frames = _add_command(
        kinds, "frames", _simulate_frames, "simulate whole fields into a folder of frames", _SIMULATE_EXAMPLES
    )
    frames.add_argument("output", type=Path, metavar="DIR", help="folder to write to")
    frames.add_argument("--n", type=int, default=1, help="number of consecutive fields (default: %(default)s)")
    frames.add_argument("--run", dest="run_number", type=int, default=9000, help="imaging run (default: %(default)s)")
    frames.add_argument("--camcol", type=int, default=3, help="camera column, 1 to 6 (default: %(default)s)")
    frames.add_argument("--field", type=int, default=11, help="number of the first field (default: %(default)s)")
    frames.add_argument("--ra", type=float, default=180.0, help="of the first field's centre (default: %(default)s)")
    frames.add_argument("--dec", type=float, default=30.0, help="of the first field's centre (default: %(default)s)")
    for parser in (galaxies, frames):
        parser.add_argument("--seed", type=int, required=True, help="the same seed gives the same sky")
        parser.add_argument(
            "--split",
            default="train",
            metavar="train|validation|test",
            help="which of the real galaxies to begin with (default: %(default)s)",
        )
        parser.add_argument("--config", type=Path, metavar="FILE.toml", help="settings, where not the default ones")
        parser.add_argument("--overwrite", action="store_true", help="replace what is there")
        parser.add_argument("--quiet", action="store_true", help="no progress bar")


def _add_input(parser):
    parser.add_argument("input", type=Path, metavar="IN", help="table of galaxies, in any format that astropy reads")
    parser.add_argument(
        "--source",
        default="sdss",
        metavar="sdss|DIR|FILE.h5",
        help="where the images come from: the SDSS archive (default), a folder of frames, an HDF5 file of cutouts",
    )
    parser.add_argument("--data-release", type=int, default=17, metavar="N", help="of SDSS (default: %(default)s)")
    parser.add_argument("--dust-map", metavar="DIR", help="folder of the SFD map, if the table has no E(B-V)")
    for name, what in (
        ("coord", "of the coordinates"),
        ("ra", "of the right ascension"),
        ("dec", "of the declination"),
        ("ebv", "of E(B-V)"),
    ):
        parser.add_argument(f"--{name}", metavar="COLUMN", help=f"name of the column {what}, if it is not a usual one")
    parser.add_argument("--overwrite", action="store_true", help="replace OUT if it exists")
    parser.add_argument("--quiet", action="store_true", help="no progress bar")


def _demo(arguments):
    from .demo import run_demo

    table, written = run_demo(arguments.output)
    shown = table["objid", "redshift", *(f"z_phot{name}" for name in ("", "_err", "_lo68", "_hi68", "_odds", "_flags"))]
    for name in shown.colnames[1:-1]:
        shown[name].info.format = ".3f"
    shown.rename_column("redshift", "true redshift")
    print("Simulated galaxies, with the colours and redshifts of real ones (the model has not seen them):\n")
    shown.pprint_all()
    print("\nwritten: " + ", ".join(str(path) for path in written))


def _predict(arguments):
    from .prediction import predict

    _check_output(arguments)
    _check_format(arguments.output)
    table = predict(
        _read_table(arguments.input),
        source=_source(arguments),
        model=arguments.model,
        prefix=arguments.prefix,
        pdf=arguments.pdf,
        **_options(arguments),
    )
    _write_table(table, arguments.output, arguments.prefix)
    missing = int(table[arguments.prefix].mask.sum())
    _say(f"{arguments.output}: {len(table)} galaxies, {len(table) - missing} with a redshift")
    _tell_flags(table[f"{arguments.prefix}_flags"])


def _fetch(arguments):
    from .cutouts import fetch

    _check_output(arguments)
    cutouts = fetch(_read_table(arguments.input), source=_source(arguments), size=arguments.size, **_options(arguments))
    cutouts.write(arguments.output, overwrite=arguments.overwrite, dtype=arguments.dtype)
    _say(f"{arguments.output}: {len(cutouts)} galaxies, {int((cutouts.flags == 0).sum())} with a whole image")
    _tell_flags(cutouts.flags)


def _simulate_galaxies(arguments):
    from .simulate import write

    _check_output(arguments)
    write(
        arguments.output,
        arguments.n,
        size=arguments.size,
        device=arguments.device,
        workers=arguments.workers,
        **_simulation(arguments),
    )
    _say(f"{arguments.output}: {arguments.n} galaxies")


def _simulate_frames(arguments):
    from astropy.coordinates import SkyCoord

    from .simulate import write_frames

    truth = write_frames(
        arguments.output,
        n_fields=arguments.n,
        run=arguments.run_number,
        camcol=arguments.camcol,
        field=arguments.field,
        coord=SkyCoord(arguments.ra, arguments.dec, unit="deg"),
        **_simulation(arguments),
    )
    known = int((truth["redshift"] > 0).sum())
    _say(f"{arguments.output}: {arguments.n} fields with {len(truth)} objects, {known} of them galaxies of the sample")


def _simulation(arguments):
    progress = False if arguments.quiet else None
    return {"progress": progress} | {
        name: getattr(arguments, name) for name in ("seed", "split", "config", "overwrite")
    }


def _models(arguments):
    from .models import list_models

    list_models().pprint_all()


def _options(arguments):
    progress = False if arguments.quiet else None
    return {"progress": progress} | {name: getattr(arguments, name) for name in ("coord", "ra", "dec", "ebv")}


def _source(arguments):
    from .cutouts import CutoutFile, FrameDirectory, SDSSArchive

    if arguments.source == "sdss":
        return SDSSArchive(data_release=arguments.data_release)
    path = Path(arguments.source)
    if path.is_dir():
        return FrameDirectory(path, dust_map=arguments.dust_map, data_release=arguments.data_release)
    if path.is_file():
        return CutoutFile(path)
    raise FileNotFoundError(f"--source {arguments.source}: neither 'sdss', nor a folder of frames, nor an HDF5 file")


def _check_output(arguments):
    """Tell before the work, not after it, that its result cannot be written."""
    output = arguments.output
    if output.exists() and not arguments.overwrite:
        raise FileExistsError(f"{output} exists: choose another name, or say --overwrite")
    if not output.parent.is_dir():
        raise FileNotFoundError(f"{output}: there is no folder {output.parent}")
    if not os.access(output.parent, os.W_OK):
        raise PermissionError(f"{output}: no permission to write in {output.parent}")


def _format(path):
    """What astropy calls the format that a file's ending stands for, None to let it find out itself."""
    return "votable" if path.suffix in (".vot", ".xml") else None  # which astropy tells on reading only


def _check_format(path):
    from astropy.io.registry import identify_format
    from astropy.table import Table

    if not _format(path) and not identify_format("write", Table, str(path), None, [], {}):
        known = ".ecsv, .fits, .csv, .vot or .parquet"
        raise ValueError(f"{path}: astropy knows no table format by that ending; use {known}")


def _read_table(path):
    from astropy.table import Table

    if not path.is_file():
        raise FileNotFoundError(f"no file {path}")
    try:
        return Table.read(path)
    except Exception as error:  # each format's reader has errors of its own
        raise ValueError(f"{path} cannot be read as a table: {str(error).strip().splitlines()[0]}") from error


def _write_table(table, path, prefix):
    """Write aside and rename, so that there is never half a table under its name."""
    part = path.with_name(f".{path.stem}.part{path.suffix}")
    if path.suffix != ".ecsv":  # other formats have no place for nested meta: what made the table goes into comments
        record = table.meta.pop(prefix)
        comments = [f"{prefix} {name}: {value}" for name, value in record.items()]
        table.meta["comments"] = [*table.meta.get("comments", []), *comments]
    try:
        table.write(part, overwrite=True, format=_format(path))
        os.replace(part, path)
    finally:
        part.unlink(missing_ok=True)


def _tell_flags(flags):
    from .flags import FLAG_MEANINGS, PhotozFlag

    for name, meaning in FLAG_MEANINGS.items():
        count = int(((flags & getattr(PhotozFlag, name)) != 0).sum())
        if count:
            _say(f"  {count:6d} {name}: {meaning}")


def _say(line):
    print(line, file=sys.stderr)


@contextmanager
def _warnings_in_a_line():
    def show(message, category, filename, lineno, file=None, line=None):
        print(f"astro-photz: warning: {str(message).strip().splitlines()[0]}", file=sys.stderr)

    with warnings.catch_warnings():
        warnings.showwarning = show
        yield


if __name__ == "__main__":
    sys.exit(main())
