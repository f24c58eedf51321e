# Licensed under a 3-clause BSD style license - see LICENSE
"""
The commands that make embeddings and an index of them: ``embed`` and ``index``; those that look into it follow.
"""

from functools import partial
from pathlib import Path

from . import _search
from ._common import add_command, check_output, say
from ._input import add_input, input_options, say_flags, source_if_needed

__all__ = ["add_commands"]

_EMBED_EXAMPLES = [
    ("astro-photz embed hosts.csv hosts.h5", "images from the SDSS archive"),
    ("astro-photz embed stamps.h5 stamps.npy", "images that are at hand"),
]
_INDEX_EXAMPLES = [
    ("astro-photz index hosts.h5 hosts.index --table hosts.csv", "with the columns of the table, to search among"),
]
_RESUMED = "give the same command again, which resumes it"
_NOTHING_EMBEDDED = 3  # exit code, where not one galaxy has an image


def add_commands(commands):
    """Add the commands and their arguments."""
    command = partial(add_command, commands)
    embed = command("embed", _embed, "embed the galaxies of a table into a file", _EMBED_EXAMPLES, resume_hint=_RESUMED)
    add_input(embed)
    embed.add_argument("output", type=Path, metavar="OUT", help="file to write: .npy, .h5 or .parquet")
    embed.add_argument("--model", help="name or folder of a model (default: the bundled one, as pretrained)")
    embed.add_argument(
        "--hats", type=Path, metavar="FOLDER", help="also write them as a HATS catalogue, which LSDB opens"
    )

    index = command(
        "index",
        _index,
        "make an index of embeddings, to search in",
        _INDEX_EXAMPLES,
        resume_hint="give the same command again",
    )
    index.add_argument("embeddings", type=Path, metavar="EMBEDDINGS", help="file of astro-photz embed, or (N, D) .npy")
    index.add_argument("index", type=Path, metavar="INDEX", help="folder to write")
    index.add_argument("--table", type=Path, metavar="FILE", help="catalogue of the same galaxies, by id or row by row")
    index.add_argument(
        "--ids", metavar="COLUMN", help="column of the table that names the galaxies (default: objid, ...)"
    )
    index.add_argument("--model", help="name or folder of the model that made the embeddings, if it has moved")
    kinds = index.add_mutually_exclusive_group()
    kinds.add_argument("--approximate", action="store_true", help="with a fast search (needs faiss; default: if large)")
    kinds.add_argument("--exact", action="store_true", help="without one")
    index.add_argument("--add", action="store_true", help="add the galaxies to INDEX")
    index.add_argument("--overwrite", action="store_true", help="replace INDEX if it exists")

    _search.add_commands(commands)


def _embed(arguments):
    from astro_photz.cutouts.hdf5.layout import holds
    from astro_photz.flags import MISSING
    from astro_photz.inference.embedding_files import embed_to_file
    from astro_photz.similarity import write_hats
    from astro_photz.similarity.hats import check_folder_name
    from astro_photz.tables import read_table

    check_output(arguments, arguments.output, inputs=[arguments.input, arguments.source])
    if arguments.hats is not None:
        check_folder_name(arguments.hats, overwrite=arguments.overwrite)
    data = arguments.input
    if not holds(data):
        data = read_table(data, format=arguments.format)
    flags = embed_to_file(
        data,
        arguments.output,
        source=source_if_needed(arguments),
        model=arguments.model,
        overwrite=arguments.overwrite,
        **input_options(arguments),
    )
    embedded = int(((flags & MISSING) == 0).sum())
    say(f"{arguments.output}: {len(flags)} galaxies, {embedded} with an embedding")
    say_flags(flags)
    if arguments.hats is not None:
        written = write_hats(arguments.output, arguments.hats, overwrite=arguments.overwrite)
        say(f"{arguments.hats}: {written} galaxies as a HATS catalogue")
    return _NOTHING_EMBEDDED if len(flags) and not embedded else 0


def _index(arguments):
    from astro_photz.similarity import SimilarityIndex, read_embeddings

    embeddings = read_embeddings(arguments.embeddings)
    given = {"table": arguments.table, "model": arguments.model, "ids": arguments.ids}
    if arguments.add:
        index = SimilarityIndex.load(arguments.index)
        index.add(embeddings, **given)
    else:
        approximate = True if arguments.approximate else False if arguments.exact else None
        index = SimilarityIndex.build(
            embeddings, path=arguments.index, overwrite=arguments.overwrite, approximate=approximate, **given
        )
    told = f"approximate with a recall of {index.recall:.3f}" if index.is_approximate else "exact"
    say(f"{arguments.index}: {len(index)} galaxies, {index.space.dim} numbers each; the search is {told}")
