# Licensed under a 3-clause BSD style license - see LICENSE
"""
Print how readable the pages of the guide are: words, pictures, runnable examples and the median sentence.

    python -m tools.readability [PAGE ...] [--at COMMIT]

Without pages it takes all of ``docs/user`` and ``docs/training``; with ``--at``, as a commit has them.
"""

import argparse
import re
import statistics
import subprocess
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[1]
GUIDE = ("docs/user", "docs/training")
ADMONITIONS = ("important", "note", "tip", "warning")
"""Directives whose content is read as prose; that of others is code, a picture or a table."""

_BORDER = re.compile(r"=+( +=+)+$")
_UNDERLINE = re.compile(r"([-=^~\"])\1{2,}$")
_ITEM = re.compile(r"([-*]|#\.|\d+\.) +")
_DIRECTIVE = re.compile(r"\.\.(?: ([\w-]+)::| |$)")
_SENTENCE_END = re.compile(r"(?<=[.!?])(?<!\bal\.)(?<!\.\.\.)(?<!e\.g\.)(?<!i\.e\.)[)*\"”]*\s+(?!\d)")


@dataclass(frozen=True)
class Page:
    """
    A page of the docs, measured.

    Attributes
    ----------
    name : str
    words : int
        As ``wc -w`` counts them in the source, code and tables included.
    pictures : int
        Images, figures, and plots that are drawn.
    examples : int
        Groups of lines that run as doctests, set apart by text or empty lines.
    sentence : float
        Median number of words in a sentence; 0 without any sentence.
    """

    name: str
    words: int
    pictures: int
    examples: int
    sentence: float

    @classmethod
    def measure(cls, name, text):
        """Count, in the source of a page."""
        lengths = [len(sentence.split()) for sentence in prose(text)]
        return cls(
            name=name,
            words=len(text.split()),
            pictures=_count_pictures(text),
            examples=_count_examples(text),
            sentence=statistics.median(lengths) if lengths else 0.0,
        )


def prose(text):
    """
    Find the sentences of a page: no titles, tables, code, directives and targets.

    Parameters
    ----------
    text : str
        Source of the page, as reStructuredText.

    Returns
    -------
    list of str
        Sentences of more than three words. Colons and semicolons do not end a sentence.
    """
    paragraphs = (" ".join(paragraph.split()) for block in _blocks(text) for paragraph in _paragraphs(block))
    named = (re.sub(r"`([^`<]+?) *<[^`]*>`(__?)?", r"`\1`", paragraph) for paragraph in paragraphs)
    return [one for paragraph in named for one in _SENTENCE_END.split(paragraph) if len(one.split()) > 3]


def _indent(line):
    return len(line) - len(line.lstrip())


def _groups(text):
    """Yield the lines between empty lines."""
    for group in re.split(r"\n(?:[ \t]*\n)+", text.strip("\n")):
        yield group.split("\n")


def _blocks(text):
    """Yield each block of lines that may be prose."""
    inside = []  # (indent, name) of the directives and literal blocks that are open
    for lines in _groups(text):
        depth = _indent(lines[0])
        inside = [(start, name) for start, name in inside if start < depth]
        directive = _DIRECTIVE.match(lines[0].lstrip())
        if directive:
            inside.append((depth, directive[1] or "comment"))
            lines = [line for line in lines[1:] if not re.match(r" +:\w+:", line)]
            if not lines:
                continue
        if all(name in ADMONITIONS for _, name in inside) and not lines[0].lstrip().startswith(">>>"):
            yield lines
            if lines[-1].endswith("::"):
                inside.append((depth, "literal"))


def _paragraphs(lines):
    """Yield paragraphs, items and definitions of a block, without titles and tables."""
    if _BORDER.match(lines[0].strip()):
        return
    found = []
    for line, following in zip(lines, [*lines[1:], ""], strict=True):
        title = _UNDERLINE.match(following.strip()) and not following.startswith(" ")
        term = _indent(following) > _indent(line) and not _ITEM.match(line.lstrip())
        if title or term or _UNDERLINE.match(line.strip()):
            found.append([])
        elif _ITEM.match(line.lstrip()):
            found.append([_ITEM.sub("", line.lstrip(), count=1)])
        else:
            found = found or [[]]
            found[-1].append(line)
    yield from (" ".join(paragraph) for paragraph in found if paragraph)


def _count_pictures(text):
    """Count the images, figures and plots; a plot with ``:nofigs:`` is code alone."""
    shown = re.findall(r"(?m)^ *(?:[*-] )*\.\. (?:image|figure|plot)::(?:.*\n +:\w+:)*.*", text)
    return sum(":nofigs:" not in options for options in shown)


def _count_examples(text):
    """Count the groups of doctests that run and are shown."""
    count, skipping = 0, None
    for lines in _groups(text):
        depth = _indent(lines[0])
        if skipping is not None and depth <= skipping:
            skipping = None
        if re.match(r" *\.\.(?: doctest-skip::.*)?$", lines[0]):
            skipping = depth
        starts = [line for line in lines if line.lstrip().startswith(">>>")]
        count += skipping is None and any("+SKIP" not in line for line in starts)
    return count


def pages_of_the_guide(commit=None):
    """
    Read the pages of the user guide and of the training guide.

    Parameters
    ----------
    commit : str, optional
        The working tree by default.

    Returns
    -------
    dict of str to str
        Source by path, relative to the root of the repository.
    """
    if commit is None:
        paths = sorted(path for folder in GUIDE for path in (ROOT / folder).glob("*.rst"))
        return {str(path.relative_to(ROOT)): path.read_text(encoding="utf-8") for path in paths}
    listed = _git("ls-tree", "-r", "--name-only", commit, *GUIDE).split("\n")
    return {name: _git("show", f"{commit}:{name}") for name in listed if name.endswith(".rst")}


def _git(*arguments):
    return subprocess.run(
        ["git", *arguments], cwd=ROOT, check=True, capture_output=True, text=True, encoding="utf-8"
    ).stdout


def main():
    """Print a row a page, and the sums."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[1])
    parser.add_argument("pages", nargs="*", type=Path, metavar="PAGE", help="pages to read (default: the guide)")
    parser.add_argument("--at", metavar="COMMIT", help="read the guide as this commit has it")
    arguments = parser.parse_args()
    if arguments.pages and arguments.at:
        parser.error("--at is for the whole guide: leave out PAGE")
    try:
        named = {str(path): path.read_text(encoding="utf-8") for path in arguments.pages}
        texts = named or pages_of_the_guide(arguments.at)
    except OSError as error:
        parser.error(str(error))
    except subprocess.CalledProcessError as error:
        parser.error(f"--at {arguments.at}: {error.stderr.strip()}")
    pages = [Page.measure(name, text) for name, text in texts.items()]
    lengths = [len(sentence.split()) for text in texts.values() for sentence in prose(text)]
    whole = Page(
        f"{len(pages)} pages",
        sum(page.words for page in pages),
        sum(page.pictures for page in pages),
        sum(page.examples for page in pages),
        statistics.median(lengths) if lengths else 0.0,
    )
    width = max(len(page.name) for page in [*pages, whole])
    print(f"{'page':{width}} {'words':>6} {'pictures':>8} {'examples':>8} {'sentence':>8}")
    for page in [*pages, whole]:
        print(f"{page.name:{width}} {page.words:6d} {page.pictures:8d} {page.examples:8d} {page.sentence:8.1f}")


if __name__ == "__main__":
    main()
