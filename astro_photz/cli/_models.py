# Licensed under a 3-clause BSD style license - see LICENSE
"""
The command ``models``.
"""

from pathlib import Path

from ._common import add_command, print_table, say

__all__ = ["add_commands"]

_EXAMPLES = [
    ("astro-photz models", "list those at hand"),
    ("astro-photz models import hayat2021", "download a published network"),
    (
        "astro-photz models import hayat2021 --kind pretrained --file pretrained_paper_model.pth.tar",
        "take another one from a file",
    ),
]


def add_commands(commands):
    """Add the command and its arguments."""
    models = add_command(
        commands, "models", _list, "list the models at hand, or add a published one", _EXAMPLES, resume_hint=""
    )
    kinds = models.add_subparsers(title="commands", metavar="COMMAND")
    add_command(kinds, "list", _list, "list the models at hand", resume_hint="")
    add = add_command(
        kinds,
        "import",
        _import,
        "make a model of published weights",
        _EXAMPLES,
        resume_hint=(
            "no model was made; give the same command again, or download the file by other means and give --file"
        ),
    )
    add.add_argument("name", metavar="hayat2021", help="publication")
    add.add_argument(
        "--kind",
        choices=("finetuned", "pretrained", "supervised"),
        default="finetuned",
        metavar="KIND",
        help="which of its networks: %(choices)s; a pretrained one gives no redshifts (default: %(default)s)",
    )
    add.add_argument("--file", type=Path, metavar="FILE", help="the published file, if it is at hand")
    add.add_argument("--sha256", metavar="HASH", help="of the file; if not given, it is recorded")
    add.add_argument("--overwrite", action="store_true", help="replace the model if it is there")
    add.add_argument("--quiet", action="store_true", help="no progress bar")


def _list(arguments):
    from astro_photz.models import list_models

    print_table(list_models())


def _import(arguments):
    from astro_photz.models import load_model
    from astro_photz.train.export.published_weights import import_checkpoint

    options = {name: getattr(arguments, name) for name in ("kind", "file", "sha256", "overwrite")}
    model = load_model(import_checkpoint(arguments.name, progress=not arguments.quiet, **options))
    source = model.card.source
    note = "as given" if source["sha256_given"] else "recorded; none is published to check it by"
    say(f"sha256 {source['sha256']} ({note})")
    use = "finetune --init" if source["kind"] == "pretrained" else "predict --model"
    say(f"{model.name}: in {model.path}; use it by astro-photz {use} {model.name}")
