# Licensed under a 3-clause BSD style license - see LICENSE
"""
The commands that look into an index of embeddings: ``search``, ``outliers`` and ``suggest``.
"""

import re
from functools import partial
from pathlib import Path
from shlex import quote

from ._common import add_command, check_output, print_table, say
from ._input import source_of

__all__ = ["add_commands"]

_SEARCH_EXAMPLES = [
    ("astro-photz search hosts.index --like 1237648720693755918", "like a galaxy of the index"),
    ('astro-photz search hosts.index --like "150.1 2.2" --k 20', "like the galaxy at a position (deg)"),
    ("astro-photz search hosts.index --like mine.csv --source frames/ --output similar.ecsv", "like each of a table"),
    ("astro-photz search hosts.index --like 7 --where r_mag=15:17 --where without=CROWDED", "among some only"),
    ('astro-photz search hosts.index --like "150.1 2.2" --page similar.html', "as a page, with images"),
]
_OUTLIER_EXAMPLES = [
    ("astro-photz outliers hosts.index --n 50", "the galaxies that are least like any other"),
    ("astro-photz outliers hosts.index --page odd.html --source stamps.h5", "as a page, with images that are at hand"),
]
_SUGGEST_EXAMPLES = [
    (
        "astro-photz suggest hosts.index --interesting 12,15 --not-interesting 3,7,40 --page next.html",
        "what to look at next",
    ),
    ("astro-photz suggest hosts.index --interesting rings.txt --not-interesting others.txt", "ids in files"),
]
_NO_IMAGES = "none"


def add_commands(commands):
    """Add the commands and their arguments."""
    command = partial(add_command, commands)
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
    search.add_argument("--radius", type=float, help="largest distance of a neighbour")
    search.add_argument("--mutual", action="store_true", help="only neighbours that have the query as neighbour, too")
    search.add_argument("--exact", action="store_true", help="search exactly, even if the index has a faster search")
    search.add_argument("--model", help="folder of the model of the index, if it has moved")
    _add_results(search)

    outliers = command("outliers", _outliers, "list the galaxies that are least like others", _OUTLIER_EXAMPLES)
    outliers.add_argument("index", type=Path, metavar="INDEX", help="folder of astro-photz index")
    outliers.add_argument("--n", type=int, default=20, help="galaxies to list (default: %(default)s)")
    outliers.add_argument(
        "--k", type=int, default=10, help="neighbours whose mean distance counts (default: %(default)s)"
    )
    _add_results(outliers)

    suggest = command(
        "suggest", _suggest, "list galaxies to look at next, by some that are labelled", _SUGGEST_EXAMPLES
    )
    suggest.add_argument("index", type=Path, metavar="INDEX", help="folder of astro-photz index")
    for name, what in (("interesting", "interesting"), ("not-interesting", "not interesting")):
        suggest.add_argument(
            f"--{name}",
            action="append",
            required=True,
            metavar="ID,ID|FILE",
            help=f"galaxies that you call {what}: ids, or a file with one in each line; may be given repeatedly",
        )
    suggest.add_argument("--n", type=int, default=20, help="galaxies to list (default: %(default)s)")
    _add_results(suggest)


def _add_results(parser):
    """Add where to look, and what to make of the answer."""
    parser.add_argument(
        "--where",
        action="append",
        default=[],
        metavar="CONDITION",
        help="galaxies to look among: column=low:high, column=value, cone='RA DEC RADIUS' (such as '150.1 2.2 "
        "30arcmin'), or without=FLAG,FLAG; may be given repeatedly",
    )
    parser.add_argument(
        "--source",
        default="sdss",
        metavar="sdss|DIR|FILE.h5|none",
        help="where images come from, of galaxies outside the index and for pictures, as in predict (default: the SDSS "
        "archive); none for a page without images",
    )
    parser.add_argument("--data-release", type=int, metavar="N", help="of SDSS (default: 17 for the archive)")
    parser.add_argument("--yes", action="store_true", help="download without a question, however much it is")
    parser.add_argument("--dust-map", metavar="DIR", help="folder of the SFD map, for a folder of frames")
    parser.add_argument("--output", type=Path, metavar="FILE", help="table to write (default: print it)")
    parser.add_argument("--picture", type=Path, metavar="FILE.png", help="picture of the galaxies to write")
    parser.add_argument(
        "--page", type=Path, metavar="FILE.html", help="page to write, in which a click on a galaxy searches from it"
    )
    parser.add_argument(
        "--further",
        type=int,
        metavar="N",
        help="more galaxies on the page than were found (default: 120 if images are in a file, none if not)",
    )
    parser.add_argument("--overwrite", action="store_true", help="replace outputs if they exist")


def _search(arguments):
    index, where = _opened(arguments)
    options = {name: getattr(arguments, name) for name in ("radius", "mutual", "exact", "model")}
    likes = [_like(text) for text in arguments.like]
    if all(isinstance(like, str) for like in likes):  # ids, together
        likes = [likes]
    source = None if arguments.source == _NO_IMAGES else source_of(arguments)
    answers = [index.query(like, arguments.k, source=source, where=where, **options) for like in likes]
    _number_on(answers, likes)
    answer = _stacked(answers)
    images = _images_of(likes)
    _show(arguments, index, answer, where=where, queries=images, noun="neighbours")


def _outliers(arguments):
    index, where = _opened(arguments)
    _show(arguments, index, index.outliers(arguments.n, k=arguments.k, where=where), where=where)


def _suggest(arguments):
    index, where = _opened(arguments)
    interesting, others = (_ids(texts) for texts in (arguments.interesting, arguments.not_interesting))
    _show(arguments, index, index.suggest(interesting, others, arguments.n, where=where), where=where)


def _opened(arguments):
    """The index and the conditions; outputs that cannot be written are refused first."""
    from astro_photz.similarity import SimilarityIndex
    from astro_photz.tables import output_format
    from astro_photz.utils._optional import optional

    for output in (arguments.output, arguments.picture, arguments.page):
        if output is not None:
            check_output(arguments, output)
    if arguments.output is not None:
        output_format(arguments.output, None)
    if arguments.picture is not None:
        if arguments.source == _NO_IMAGES:
            raise ValueError("--picture needs images: give a --source of them")
        if arguments.picture.suffix.lower() not in (".png", ".pdf", ".svg"):
            raise ValueError(f"{arguments.picture}: the name of a picture ends in .png, .pdf or .svg")
        optional("matplotlib", extra="plot", doing="a picture")
    index = SimilarityIndex.load(arguments.index)
    return index, [_condition(text, index) for text in arguments.where]


def _show(arguments, index, answer, *, where, queries=None, noun="galaxies"):
    """Print an answer, or write it as a table, a picture and a page."""
    from astro_photz.tables import output_format, write_table

    if arguments.output is not None:
        write_table(
            answer, arguments.output, format=output_format(arguments.output, None), overwrite=arguments.overwrite
        )
        say(f"{arguments.output}: {len(answer)} {noun}")
    pictures = arguments.picture is not None or arguments.page is not None
    if arguments.output is None and not pictures:
        _formatted(answer)
        print_table(answer)
    if not pictures:
        return
    source = None if arguments.source == _NO_IMAGES else source_of(arguments)
    if arguments.picture is not None:
        from astro_photz.plots.neighbours import neighbours_figure
        from astro_photz.utils._files import aside

        figure = neighbours_figure(answer, source, queries=queries)
        with aside(arguments.picture, overwrite=arguments.overwrite) as part:
            figure.savefig(part, dpi=110)
        say(f"wrote {arguments.picture}")
    if arguments.page is not None:
        from astro_photz.report import write_similar

        options = {"where": where or None, "further": arguments.further, "overwrite": arguments.overwrite}
        write_similar(
            index, answer, arguments.page, source=source, queries=queries, command=_command(arguments), **options
        )
        say(f"wrote {arguments.page}")


def _formatted(answer):
    """Let numbers have the digits that mean something."""
    forms = {"distance": ".3f", "similarity": ".5f", "probability": ".3f", "ra": ".6f", "dec": ".6f"}
    for name in answer.colnames:
        column = answer[name]
        if getattr(getattr(column, "dtype", None), "kind", "") != "f" or column.info.format:
            continue
        form = forms.get(name) or (".6g" if _largest(column) < 1e5 else ".12g")
        column.info.format = form


def _largest(column):
    import numpy as np

    values = np.abs(np.ma.filled(np.ma.asarray(getattr(column, "value", column)).astype(float), np.nan))
    return np.max(values, initial=0, where=np.isfinite(values))


def _stacked(answers):
    """One table of several answers, with the positions of all queries."""
    from astropy.table import vstack

    if len(answers) == 1:
        return answers[0]
    told = [answer.meta.pop("queries", None) for answer in answers]
    answer = vstack(answers, metadata_conflicts="silent")
    if None not in told:
        answer.meta["queries"] = {name: [value for one in told for value in one[name]] for name in told[0]}
    return answer


def _images_of(likes):
    """Images of the queries, if they all came as cutouts of one file."""
    from astro_photz.cutouts import Cutouts

    return likes[0] if len(likes) == 1 and isinstance(likes[0], Cutouts) else None


def _command(arguments):
    """Put the command together again, as the page tells it."""
    words = ["astro-photz", arguments.parser.prog.split()[-1], quote(str(arguments.index))]
    for name, value in vars(arguments).items():
        default = arguments.parser.get_default(name)
        if name in ("index", "run", "parser", "resume_hint", "traceback", "overwrite", "claims") or value == default:
            continue
        option = f"--{name.replace('_', '-')}"
        words += [option] if value is True else []
        for one in value if isinstance(value, list) else [value] if value is not True else []:
            words += [option, quote(str(one))]
    return " ".join(words)


def _number_on(answers, likes):
    """Number queries without a name on from one ``--like`` to the next, and have names of one kind."""
    n = 0
    for answer, like in zip(answers, likes, strict=True):
        labels = answer["query"]
        count = len(like) if getattr(like, "shape", None) != () and hasattr(like, "__len__") else len(set(labels)) or 1
        if not isinstance(like, str | list) and labels.dtype.kind in "iu" and (labels < count).all():
            labels += n
            if "queries" in answer.meta:
                answer.meta["queries"]["query"] = [label + n for label in answer.meta["queries"]["query"]]
            n += count
    if len({answer["query"].dtype.kind in "iu" for answer in answers}) > 1:
        for answer in answers:
            answer["query"] = answer["query"].astype(str)
            if "queries" in answer.meta:
                answer.meta["queries"]["query"] = [str(label) for label in answer.meta["queries"]["query"]]


def _ids(texts):
    """Ids out of options: separated by commas, or in the lines of files."""
    from astro_photz.utils._files import expanded

    ids = []
    for text in texts:
        path = expanded(text)
        if path.is_file():
            ids += path.read_text(encoding="utf-8").split("\n")
        else:
            ids += text.split(",")
    return [one.strip() for one in ids if one.strip()]


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
    """A condition of a search, as `~astro_photz.SimilarityIndex.query` takes it."""
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
