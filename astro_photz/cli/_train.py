# Licensed under a 3-clause BSD style license - see LICENSE
"""
The commands that make a model: ``pretrain``, ``finetune``, ``adapt`` and ``export``.
"""

from functools import partial
from pathlib import Path

from ._common import ANEW, add_command, say

__all__ = ["add_commands"]

_EXAMPLES = [
    (
        "astro-photz pretrain images.h5 pretrained/ --recipe small --validation validation.h5",
        "an encoder, learnt without redshifts",
    ),
    (
        "astro-photz finetune labelled.h5 finetuned/ --recipe small --validation validation.h5 --init pretrained/",
        "redshifts, beginning with that encoder",
    ),
    (
        "astro-photz finetune labelled.h5 scratch/ --recipe small --validation validation.h5",
        "redshifts, beginning with random weights",
    ),
    ("astro-photz adapt few_labels.h5 adapted/ --init bundled", "the bundled model, adapted to your galaxies"),
    ("astro-photz export finetuned/ mine/", "a model, calibrated"),
    (
        "astro-photz export finetuned/ mine/ --point-sources points.h5",
        "the same, and it tells stars and quasars from galaxies",
    ),
    (
        "astro-photz pretrain images.h5 longer/ --recipe small --set pretrain.epochs=40 --set pretrain.temperature=0.2",
        "a recipe, some settings changed",
    ),
]
_NOTES = [
    "An unfinished run is resumed when the same command is given again.",
    "Several GPUs, or machines, train together under torchrun or SLURM: see the chapter on training of the "
    "documentation.",
]
_FEW_LABELS = 1000
_HELD_OUT = "(default: the larger of 100 galaxies and a fifth of DATA.h5 is set aside)"
_WEIGHTS = "RUN|FILE|MODEL"
_INIT = "weights to begin with: the folder of a run, a checkpoint, or a model, as 'bundled'"


def add_commands(commands):
    """The commands' arguments."""
    command = partial(add_command, commands, examples=_EXAMPLES, notes=_NOTES)
    pretrain = command("pretrain", _pretrain, "train an encoder on images without redshifts", resume_hint=_resume_hint)
    _add_training(pretrain, "images to train on")
    pretrain.add_argument(
        "--validation", type=Path, metavar="FILE.h5", help="labelled images to probe the encoder with"
    )
    pretrain.add_argument("--n-images", type=int, metavar="N", help="how many of the images to use (default: all)")

    finetune = command("finetune", _finetune, "train redshifts, on images with redshifts", resume_hint=_resume_hint)
    _add_training(finetune, "images to train on, with redshifts")
    _add_labels(finetune, f"labelled images to choose the epoch by, and to calibrate with {_HELD_OUT}")
    finetune.add_argument("--init", metavar=_WEIGHTS, help=f"{_INIT} (default: random weights)")

    adapt = command(
        "adapt", _adapt, "adapt a model to your galaxies, by a few hundred redshifts of them", resume_hint=ANEW
    )
    _add_run(adapt, "images of your galaxies, with redshifts")
    _add_labels(adapt, f"labelled images to calibrate with {_HELD_OUT}")
    adapt.add_argument("--init", metavar=_WEIGHTS, default="bundled", help=f"{_INIT} (default: %(default)s)")

    export = command("export", _export, "make a model of a finished training", resume_hint=_export_anew)
    export.add_argument("run_folder", type=Path, metavar="RUN", help="folder of the training")
    export.add_argument("output", type=Path, metavar="MODEL", help="folder to write the model to")
    export.add_argument("--name", help="of the model (default: that of its folder)")
    export.add_argument("--data", type=Path, metavar="FILE.h5", help="the training's images, if they have moved")
    export.add_argument("--validation", type=Path, metavar="FILE.h5", help="its validation set, if it has moved")
    export.add_argument(
        "--point-sources",
        type=Path,
        metavar="FILE.h5",
        help="stars, quasars and distant galaxies for the model to tell, made by astro-photz simulate points",
    )
    export.add_argument(
        "--analogues",
        type=int,
        default=20_000,
        metavar="N",
        help="galaxies of the training that the model brings, with identifiers and redshifts, for predict --analogues; "
        "0 for none (default: %(default)s)",
    )
    export.add_argument("--int8", action="store_true", help="write it in 8-bit integers too: faster on processors")
    export.add_argument("--overwrite", action="store_true", help="replace MODEL if it exists")


def _add_run(parser, images):
    parser.add_argument("data", type=Path, metavar="DATA.h5", help=images)
    parser.add_argument("output", type=Path, metavar="RUN", help="folder for logs, checkpoints and results")
    parser.add_argument("--seed", type=int, default=0, help="of everything drawn at random (default: %(default)s)")
    parser.add_argument("--overwrite", action="store_true", help="remove a run that is in RUN")
    parser.add_argument("--quiet", action="store_true", help="no progress bar")


def _add_labels(parser, validation):
    parser.add_argument("--validation", type=Path, metavar="FILE.h5", help=validation)
    parser.add_argument("--n-labels", type=int, metavar="N", help="how many of the images to use (default: all)")


def _add_training(parser, images):
    _add_run(parser, images)
    parser.add_argument("--recipe", default="small", metavar="NAME|FILE.toml", help="(default: %(default)s)")
    parser.add_argument(
        "--set", dest="changes", action="append", default=[], metavar="KEY=VALUE", help="change a setting of the recipe"
    )
    parser.add_argument("--resume", type=Path, metavar="FILE.ckpt", help="resume from this checkpoint")
    parser.add_argument("--accelerator", default="auto", metavar="cpu|gpu", help="(default: %(default)s)")
    parser.add_argument("--devices", default="auto", metavar="N", help="GPUs, or processes, on each machine")
    parser.add_argument("--nodes", type=int, default=1, metavar="N", help="machines (default: %(default)s)")
    parser.add_argument("--threads", type=int, metavar="N", help="threads of a process (default: as torch chooses)")
    parser.add_argument(
        "--workers", type=int, default=0, metavar="N", help="processes that read ahead, for each device"
    )
    parser.add_argument("--in-memory", action="store_true", help="hold all images in memory")
    parser.add_argument(
        "--checkpoint-every",
        type=int,
        default=500,
        metavar="N",
        help="steps between checkpoints (default: %(default)s)",
    )


def _resume_hint(arguments):
    """Advise how to resume a training: from its last checkpoint if it has one by now."""
    if not (arguments.output / "checkpoints" / "last.ckpt").is_file():
        return "give the same command again, which begins anew: there is no checkpoint yet"
    removing = " but without --overwrite" if arguments.overwrite else ""
    return f"give the same command again{removing}, which resumes from the last checkpoint in {arguments.output}"


def _export_anew(arguments):
    half = arguments.output.exists() and not arguments.overwrite  # the model, but not yet its 8-bit one
    return ANEW + (" with --overwrite" if half else "")


def _pretrain(arguments):
    from astro_photz.train import pretrain

    options = {"n_images": arguments.n_images} | _options(arguments)
    metrics = pretrain(_recipe(arguments), arguments.data, arguments.output, **options)
    next_step = f"to teach it redshifts: astro-photz finetune LABELLED.h5 RUN --init {arguments.output}"
    _tell(arguments.output, metrics, {"probe_sigma_mad": "sigma_MAD of the redshift probe"}, next_step)


def _finetune(arguments):
    from astro_photz.train import finetune

    _advise(arguments)
    options = {"init": arguments.init, "n_labels": arguments.n_labels} | _options(arguments)
    metrics = finetune(_recipe(arguments), arguments.data, arguments.output, **options)
    next_step = f"to calibrate it and make a model of it: astro-photz export {arguments.output} MODEL"
    _tell(arguments.output, metrics, {"val_sigma_mad": "sigma_MAD on the validation set"}, next_step)


def _advise(arguments):
    """Name ``adapt`` where labels are few and the model to begin with gives redshifts."""
    from astro_photz.cutouts.hdf5.layout import open_cutouts
    from astro_photz.train.networks.weights import read_head

    with open_cutouts(arguments.data) as file:
        n = min(arguments.n_labels or _FEW_LABELS, len(file["images"]))
    if n < _FEW_LABELS and arguments.init and read_head(arguments.init) is not None:
        say(f"{n} labels are few to train a network with: astro-photz adapt takes seconds, and may do better")


def _adapt(arguments):
    from astro_photz.train import adapt

    names = ("init", "validation", "n_labels", "seed", "overwrite")
    metrics = adapt(arguments.data, arguments.output, **{name: getattr(arguments, name) for name in names})
    shift, before, after = (metrics[name] for name in ("shift", "before", "after"))
    learnt = f"a shift of the embedding from {shift['n']} galaxies" if shift["width"] else "no shift, since none helps"
    say(f"{arguments.output}: learnt {learnt}; on the {after['n']} for validation, before and after:")
    for name in ("bias", "sigma_mad", "crps"):
        say(f"  {name}: {before[name]:.5f}, {after[name]:.5f}")
    say(f"to calibrate it and make a model of it: astro-photz export {arguments.output} MODEL")


def _recipe(arguments):
    from astro_photz.train import Recipe

    return Recipe.read(arguments.recipe, changes=arguments.changes)


def _options(arguments):
    from astro_photz.train import Machine

    machine = Machine(
        accelerator=arguments.accelerator,
        devices=arguments.devices,
        num_nodes=arguments.nodes,
        workers=arguments.workers,
        in_memory=arguments.in_memory,
        threads=arguments.threads,
        checkpoint_every=arguments.checkpoint_every,
        progress=not arguments.quiet,
    )
    options = {name: getattr(arguments, name) for name in ("validation", "seed", "resume", "overwrite")}
    return options | {"machine": machine}


def _tell(folder, metrics, shown, next_step):
    if not metrics:  # another process prints them
        return
    say(f"{folder}: {metrics['epochs']} epochs, {metrics['steps']} steps")
    for name, meaning in shown.items():
        curve = [value for _, value in metrics[name]]
        if curve:
            say(f"  {meaning}: {curve[0]:.5f} at first, {curve[-1]:.5f} at last, {min(curve):.5f} at best")
    say(next_step)


def _export(arguments):
    from astro_photz.train import export_run

    names = ("name", "data", "validation", "point_sources", "analogues", "int8", "overwrite")
    report = export_run(arguments.run_folder, arguments.output, **{name: getattr(arguments, name) for name in names})
    say(f"{arguments.output}: calibration: {report['method']}")
    if "int8" in report:
        say(f"{arguments.output}-int8: sigma_MAD times {report['int8']['sigma_mad_ratio']}")
