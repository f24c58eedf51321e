# Licensed under a 3-clause BSD style license - see LICENSE
"""
The command ``simulate`` and its subcommands: ``galaxies``, ``points``, ``frames`` and ``patches``.
"""

from pathlib import Path

from astro_photz.utils._processors import usable_processors

from ._common import ANEW, add_command, check_output, say

__all__ = ["add_commands"]

_EXAMPLES = [
    ("astro-photz simulate galaxies sky.h5 --n 10000 --seed 1", "stamps of galaxies, with known redshifts"),
    (
        "astro-photz simulate galaxies deep.h5 --n 100000 --seed 2 --size 107 --config deep.toml --workers 2",
        "more of them, larger, by settings of your own",
    ),
    ("astro-photz simulate points points.h5 --seed 3", "stars, quasars and distant galaxies, for a model to tell"),
    ("astro-photz simulate patches frames/ patches.h5", "real sky to simulate on: [background] of a config"),
    ("astro-photz simulate frames field/ --seed 1", "whole fields, and the truth about them in field/truth.ecsv"),
]
_NOTES = ["An unfinished file of galaxies is resumed when the same command is given again."]


def add_commands(commands):
    """Add the arguments of the commands."""
    simulate = add_command(commands, "simulate", None, "make images of a simulated sky", _EXAMPLES, notes=_NOTES)
    kinds = simulate.add_subparsers(title="commands", metavar="COMMAND", required=True)
    galaxies = add_command(
        kinds,
        "galaxies",
        _simulate_galaxies,
        "simulate galaxies into an HDF5 file of stamps",
        _EXAMPLES,
        notes=_NOTES,
        resume_hint=_resume_hint,
    )
    galaxies.add_argument("output", type=Path, metavar="OUT.h5", help="file to write")
    galaxies.add_argument("--n", type=int, required=True, help="number of galaxies")
    galaxies.add_argument("--size", type=int, default=64, help="side of a stamp in pixels (default: %(default)s)")
    galaxies.add_argument("--device", default="cpu", help="where images are drawn, e.g. cuda (default: %(default)s)")
    galaxies.add_argument(
        "--workers", type=int, help="number of processes (default: one for each processor of the job, or one for a GPU)"
    )
    points = add_command(
        kinds,
        "points",
        _simulate_points,
        "simulate stars and quasars, and faint and distant galaxies beside them, for a model to tell them apart",
        _EXAMPLES,
        notes=_NOTES,
        resume_hint=ANEW,
    )
    points.add_argument("output", type=Path, metavar="OUT.h5", help="file to write, for export --point-sources")
    points.add_argument("--n", type=int, default=13_000, help="number of stars and quasars (default: %(default)s)")
    points.add_argument(
        "--n-faint",
        type=int,
        default=5_000,
        metavar="N",
        help="number of galaxies fainter than the sample of the config (default: %(default)s)",
    )
    points.add_argument(
        "--n-distant",
        type=int,
        default=6_000,
        metavar="N",
        help="number of galaxies beyond the redshifts of that sample (default: %(default)s)",
    )
    frames = add_command(
        kinds,
        "frames",
        _simulate_frames,
        "simulate whole fields into a folder of frames",
        _EXAMPLES,
        notes=_NOTES,
        resume_hint=_frames_anew,
    )
    frames.add_argument("output", type=Path, metavar="DIR", help="folder to write to")
    number = frames.add_argument("--n", type=int, default=1, help="number of consecutive fields (default: %(default)s)")
    number.parameters = ["n_fields"]  # what Python calls it, and so its errors
    frames.add_argument("--run", dest="run_number", type=int, default=9000, help="imaging run (default: %(default)s)")
    frames.add_argument("--camcol", type=int, default=3, help="camera column, 1 to 6 (default: %(default)s)")
    frames.add_argument("--field", type=int, default=11, help="number of the first field (default: %(default)s)")
    frames.add_argument("--ra", type=float, default=180.0, help="of the first field's centre (default: %(default)s)")
    frames.add_argument("--dec", type=float, default=30.0, help="of the first field's centre (default: %(default)s)")
    patches = add_command(
        kinds,
        "patches",
        _cut_patches,
        "cut real sky out of a folder of frames, to simulate on",
        _EXAMPLES,
        notes=_NOTES,
        resume_hint="nothing was written; give the same command again",
    )
    patches.add_argument("frames", type=Path, metavar="DIR", help="folder of SDSS frames, of all five bands")
    patches.add_argument("output", type=Path, metavar="OUT.h5", help="file to write")
    patches.add_argument("--size", type=int, default=64, help="side of a patch in pixels (default: %(default)s)")
    for parser in (galaxies, points, frames):
        parser.add_argument("--seed", type=int, required=True, help="the same seed gives the same sky")
        parser.add_argument(
            "--split",
            default="train",
            metavar="train|validation|test",
            help="which of the real galaxies are the progenitors (default: %(default)s)",
        )
        parser.add_argument("--config", type=Path, metavar="FILE.toml", help="settings that differ from the defaults")
    for parser in (galaxies, points, frames, patches):
        parser.add_argument("--overwrite", action="store_true", help="replace what is there")
        parser.add_argument("--quiet", action="store_true", help="no progress bar")


def _resume_hint(arguments):
    begun = arguments.output.with_name(arguments.output.name + ".part").exists()
    resuming = f", which resumes {arguments.output}" if begun else ""
    return f"give the same command again{resuming}"


def _frames_anew(arguments):
    written = any(arguments.output.glob("frame-*"))
    replacing = f" with --overwrite, which replaces what is in {arguments.output}" if written else ""
    return f"give the same command again{replacing}"


def _simulate_galaxies(arguments):
    from astro_photz.simulate import write

    check_output(arguments, arguments.output)
    write(
        arguments.output,
        arguments.n,
        size=arguments.size,
        device=arguments.device,
        workers=_workers(arguments.device) if arguments.workers is None else arguments.workers,
        **_simulation(arguments),
    )
    say(f"{arguments.output}: {arguments.n} galaxies")


def _simulate_points(arguments):
    from astro_photz.simulate import write_points

    check_output(arguments, arguments.output)
    numbers = {name: getattr(arguments, name) for name in ("n", "n_faint", "n_distant")}
    write_points(arguments.output, **numbers, **_simulation(arguments))
    told = "{n} stars and quasars, {n_faint} faint and {n_distant} distant galaxies".format(**numbers)
    say(f"{arguments.output}: {told}")


def _simulate_frames(arguments):
    from astropy.coordinates import SkyCoord

    from astro_photz.simulate import write_frames

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
    say(f"{arguments.output}: {arguments.n} fields with {len(truth)} objects, {known} of them galaxies of the sample")


def _cut_patches(arguments):
    from astro_photz.simulate import cut_patches

    check_output(arguments, arguments.output)
    progress = False if arguments.quiet else None
    n = cut_patches(
        arguments.frames, arguments.output, size=arguments.size, overwrite=arguments.overwrite, progress=progress
    )
    say(f"{arguments.output}: {n} patches of sky")


def _simulation(arguments):
    progress = False if arguments.quiet else None
    return {"progress": progress} | {
        name: getattr(arguments, name) for name in ("seed", "split", "config", "overwrite")
    }


def _workers(device):
    return usable_processors() if device == "cpu" else 1
