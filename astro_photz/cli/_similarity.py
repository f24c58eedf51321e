# Licensed under a 3-clause BSD style license - see LICENSE
"""
The commands for similar galaxies: ``embed``, ``index`` and ``search``.
"""

import re
from functools import partial
from pathlib import Path

from ._common import add_command, check_output, print_table, say
from ._input import add_input, input_options, say_flags, source_of

__all__ = ["add_commands"]

_EMBED_EXAMPLES = [
    ("astro-photz embed hosts.csv hosts.h5", "images from the SDSS archive"),
    ("astro-photz embed stamps.h5 stamps.npy", "images that are at hand"),
]
_INDEX_EXAMPLES = [
    ("astro-photz index hosts.h5 hosts.index --table hosts.csv", "with the columns of the table, to search among"),
]
_SEARCH_EXAMPLES = [
    ("astro-photz search hosts.index --like 1237648720693755918", "like a galaxy of the index"),
    ('astro-photz search hosts.index --like "150.1 2.2" --k 20', "like the galaxy at a position (deg)"),
    ("astro-photz search hosts.index --like mine.csv --source frames/ --output similar.ecsv", "like each of a table"),
    ("astro-photz search hosts.index --like 7 --where r_mag=15:17 --where without=CROWDED", "among some only"),
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

    search = command("search", _search, "find galaxies similar to others", _SEARCH_EXAMPLES)
    search.add_argument("index", type=Path, metavar="INDEX", help="folder of astro-photz index")
    search.add_argument(
        "--like",
        action="append",
        required=True,
        metavar='ID|"RA DEC"|FILE',
        help="id in the index, position, or file of a table, cutouts or embeddings; may be given repeatedly",
    )
    search.add_argument("--k", type=int, default=10, help="neighbours of each (default: %(default)s)")
    search.add_argument(
        "--where",
        action="append",
        default=[],
        metavar="CONDITION",
        help="galaxies to search among: column=low:high, column=value, cone='RA DEC RADIUS' (such as '150.1 2.2 "
        "30arcmin'), or without=FLAG,FLAG; may be given repeatedly",
    )
    search.add_argument("--radius", type=float, help="largest distance of a neighbour")
    search.add_argument("--mutual", action="store_true", help="only neighbours that have the query as neighbour, too")
    search.add_argument("--exact", action="store_true", help="search exactly, even if the index has a faster search")
    search.add_argument("--model", help="folder of the model of the index, if it has moved")
    search.add_argument(
        "--source",
        default="sdss",
        metavar="sdss|DIR|FILE.h5",
        help="where images of galaxies outside the index come from, as in predict (default: the SDSS archive)",
    )
    search.add_argument("--data-release", type=int, metavar="N", help="of SDSS (default: 17 for the archive)")
    search.add_argument("--dust-map", metavar="DIR", help="folder of the SFD map, for a folder of frames")
    search.add_argument("--output", type=Path, metavar="FILE", help="table to write (default: print it)")
    search.add_argument("--overwrite", action="store_true", help="replace the output if it exists")


def _embed(arguments):
    from astro_photz.cutouts.hdf5.layout import holds
    from astro_photz.flags import MISSING
    from astro_photz.inference.embedding_files import embed_to_file
    from astro_photz.tables import read_table

    check_output(arguments.output, overwrite=arguments.overwrite, inputs=[arguments.input, arguments.source])
    data = arguments.input
    if not holds(data):
        data = read_table(data, format=arguments.format)
    flags = embed_to_file(
        data,
        arguments.output,
        source=source_of(arguments),
        model=arguments.model,
        overwrite=arguments.overwrite,
        **input_options(arguments),
    )
    embedded = int(((flags & MISSING) == 0).sum())
    say(f"{arguments.output}: {len(flags)} galaxies, {embedded} with an embedding")
    say_flags(flags)
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


def _search(arguments):
    from astropy.table import vstack

    from astro_photz.similarity import SimilarityIndex
    from astro_photz.tables import output_format, write_table

    if arguments.output is not None:
        check_output(arguments.output, overwrite=arguments.overwrite)
        form = output_format(arguments.output, None)
    index = SimilarityIndex.load(arguments.index)
    options = {name: getattr(arguments, name) for name in ("radius", "mutual", "exact", "model")}
    options["where"] = [_condition(text, index) for text in arguments.where]
    likes = [_like(text) for text in arguments.like]
    if all(isinstance(like, str) for like in likes):  # ids, together
        likes = [likes]
    source = source_of(arguments)
    answers = [index.query(like, arguments.k, source=source, **options) for like in likes]
    _number_on(answers, likes)
    answer = answers[0] if len(answers) == 1 else vstack(answers, metadata_conflicts="silent")
    if arguments.output is not None:
        write_table(answer, arguments.output, format=form)
        say(f"{arguments.output}: {len(answer)} neighbours")
        return
    for name, form in (("distance", ".3f"), ("similarity", ".5f")):
        answer[name].info.format = form
    print_table(answer)


def _number_on(answers, likes):
    """Number queries without a name on from one ``--like`` to the next, and have names of one kind."""
    n = 0
    for answer, like in zip(answers, likes, strict=True):
        labels = answer["query"]
        count = len(like) if getattr(like, "shape", None) != () and hasattr(like, "__len__") else len(set(labels)) or 1
        if not isinstance(like, str | list) and labels.dtype.kind in "iu" and (labels < count).all():
            labels += n
            n += count
    if len({answer["query"].dtype.kind in "iu" for answer in answers}) > 1:
        for answer in answers:
            answer["query"] = answer["query"].astype(str)


def _like(text):
    """A query: a position, the content of a file, or an id."""
    from astropy import units as u
    from astropy.coordinates import SkyCoord

    from astro_photz.cutouts import Cutouts
    from astro_photz.cutouts.hdf5.layout import holds
    from astro_photz.similarity import read_embeddings
    from astro_photz.utils._files import expanded

    path = expanded(text)
    if path.is_file():
        if holds(path):
            return Cutouts.read(path)
        if path.suffix in (".npy", ".parquet") or holds(path, "embedding"):
            return read_embeddings(path)
        return path
    if re.fullmatch(r"\s*[-+\d.:hms ]+[\s,]+[-+\d.:dms ]+", text) and len(re.split(r"[\s,]+", text.strip())) > 1:
        sexagesimal = re.search(r"[:h]", text) or len(text.split()) == 6
        unit = (u.hourangle, u.deg) if sexagesimal else u.deg
        try:
            return SkyCoord(text.replace(",", " "), unit=unit)
        except ValueError as error:
            raise ValueError(f"--like {text!r} is no position: {error}") from error
    return text.strip()


def _condition(text, index):
    """A condition of a search, as `~astro_photz.similarity.SimilarityIndex.query` takes it."""
    name, sign, value = (part.strip() for part in text.partition("="))
    if not sign or not name or not value:
        raise ValueError(
            f"--where {text!r} is no condition: write column=low:high, column=value, cone=... or without=FLAG"
        )
    if name == "cone":
        return _cone(value)
    if name == "without":
        return _flags(value)
    if ":" in value:
        low, _, high = value.partition(":")
        return {name: (_number(low), _number(high))}
    column = index.catalogue[name] if name in index.catalogue.colnames else index.ids
    return {name: value if column.dtype.kind in "US" else _number(value)}


def _cone(value):
    from astropy import units as u
    from astropy.coordinates import SkyCoord

    parts = re.split(r"[\s,]+", value, maxsplit=2)
    try:
        radius = u.Quantity(parts[2])
        radius = radius * u.deg if radius.unit == u.one else radius
        return SkyCoord(float(parts[0]), float(parts[1]), unit=u.deg), radius
    except (IndexError, ValueError, TypeError):
        raise ValueError(f"--where cone={value!r}: write 'RA DEC RADIUS', such as '150.1 2.2 30arcmin'") from None


def _flags(names):
    from astro_photz.flags import FLAG_MEANINGS, PhotozFlag
    from astro_photz.utils._suggestions import advice

    bits = 0
    for name in re.split(r"[\s,]+", names.strip()):
        if name not in FLAG_MEANINGS:
            raise ValueError(f"no flag {name!r}: {advice(name, FLAG_MEANINGS)}")
        bits |= int(getattr(PhotozFlag, name))
    return bits


def _number(text):
    if not text.strip():
        return None
    try:
        number = float(text)
    except ValueError:
        raise ValueError(f"--where: {text!r} is no number") from None
    return int(text) if re.fullmatch(r"\s*[-+]?\d+\s*", text) else number
