# Licensed under a 3-clause BSD style license - see LICENSE
"""
Read tables out of text, in the format that it seems to have.
"""

import re

from astro_photz.utils._suggestions import first_line

from .formats import DELIMITERS

__all__ = ["is_delimited", "read_text"]

_LOOKED_AT = 20_000  # characters that tell a format
_SIGNS = (  # of formats that are more than delimited text
    ("ascii.ecsv", r"#\s*%ECSV"),
    ("ascii.sextractor", r"#\s*1\s+[A-Za-z]\w*[^\n]*\n#\s*[2-9]\s+[A-Za-z]"),
    ("ascii.mrt", r"Title:[\s\S]*Byte-by-byte Description of file"),
    ("ascii.cds", r"[\s\S]*Byte-by-byte Description of file"),
    ("ascii.daophot", r"#K\s[\s\S]*\n#N\s"),
    ("ascii.ipac", r"(\\[^\n]*\n)*(\|[^\n]*\|[ ]*\n)++[ ]"),
    ("ascii.aastex", r"[\s\S]*\\begin\{deluxetable"),
    ("ascii.latex", r"[\s\S]*\\begin\{tabular"),
    ("ascii.rst", r"=+[ \t]+=[= \t]*\n[\s\S]*\n=+[ \t]+="),
    ("ascii.rdb", r"(#[^\n]*\n)*[^\n]*\t[^\n]*\n(\d*[SNM])(\t\d*[SNM])+\n"),
)
_UNITS = re.compile(r"(?=.*\$)( *(\$\\mathrm\{[^$&]*\}\$)? *(&|\\\\$))+")
_PAGE = re.compile(r"\s*<(!doctype|!--|html|head|body|title|table|div|p|h\d|pre)\b", re.IGNORECASE)
_BOX = re.compile(r"\s*\+[-=+]+\+[ \t]*\r?\n[ \t]*\|")
_TITLE = re.compile(r"<title[^>]*>\s*([^<]*?)\s*</title", re.IGNORECASE)


def read_text(text, *, form=None, ending=None):
    """
    Read a table out of text; ValueError if it holds none.

    ``form`` is astropy's name of a format that the user names, ``ending`` the format that the file's name hints at.
    """
    from ._delimited import read_delimited

    if form in DELIMITERS:
        return read_delimited(text, delimiter=DELIMITERS[form])
    form = None if form == "ascii" else form
    if form is None and _BOX.match(text):
        return read_delimited(_unboxed(text), delimiter="|")
    form = form or _sign(text, ending)
    return _by_astropy(text, form) if form else read_delimited(text)


def is_delimited(text, *, ending=None):
    """Check whether a text, by its beginning, is nothing but delimited rows; ValueError if it is no table."""
    return not _BOX.match(text) and _sign(text, ending) is None


def _unboxed(text):
    """Rows of a table that is drawn as a box, as STILTS and databases print it."""
    return "\n".join(line.strip()[1:-1] for line in text.splitlines() if line.strip().startswith("|")) + "\n"


def _sign(text, ending):
    head = "\n".join(text[:_LOOKED_AT].splitlines()) + "\n"
    if _PAGE.match(head):
        if ending == "ascii.html":
            return ending
        title = _TITLE.search(head)
        raise ValueError(
            f"it is a web page{f' ({title[1]!r})' if title else ''}, not a table: a server's error, perhaps. "
            "Get the table again; to read one that stands in the page, say format='html'"
        )
    if re.match(r"\s*(\{\s*[\"}]|\[\s*[\[{\"\d\]-])", head):
        raise ValueError("it is JSON: save the table as CSV, FITS, VOTable or ECSV")
    return next((form for form, sign in _SIGNS if re.match(sign, head)), None)


def _without_units(lines):
    """Lines of a LaTeX table without that of the units below the header, which astropy writes, and reads as a row."""
    begin = next((number for number, line in enumerate(lines) if "\\begin{tabular" in line), len(lines))
    rows = [number for number in range(begin + 1, len(lines)) if lines[number].rstrip().endswith("\\\\")]
    if len(rows) < 2 or not _UNITS.fullmatch(lines[rows[1]].strip()):
        return lines
    return [*lines[: rows[1]], *lines[rows[1] + 1 :]]


def _by_astropy(text, form):
    from astropy.io import ascii

    from .formats import need_package, shown

    need_package(form, "the table")
    lines = text.splitlines()
    if form == "ascii.latex":
        lines = _without_units(lines)
    try:
        return ascii.read(lines, format=form.removeprefix("ascii."), guess=False)
    except Exception as error:  # each format's reader has errors of its own
        message = f"it cannot be read as a table in the format {shown(form)} ({first_line(error)})"
        raise ValueError(message) from error
