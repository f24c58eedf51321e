# Licensed under a 3-clause BSD style license - see LICENSE
"""
Delimited text: rows of fields between commas, tabs, semicolons, bars or blanks.

Python's module csv splits the rows. This module finds the delimiter of a file, the line of its names, and its comments.
"""

import csv
import io
import re
import warnings
from collections import Counter
from typing import NamedTuple

import numpy as np
from astropy.io import ascii
from astropy.table import Table
from astropy.units import Unit

from ._names import unique_names
from ._words import decimal_points, is_number, typed

__all__ = ["plain_names", "read_delimited", "sniffed", "words", "write_delimited", "write_rows"]

_DELIMITERS = (",", "\t", ";", "|", " ")  # of two that fit equally well, the first is taken
_SAMPLE_ROWS, _SAMPLE_TEXT = 200, 200_000
_RULE = re.compile(r"[-=+|:]+").fullmatch  # of a line that is drawn below the names
_NEEDS_NO_QUOTES = re.compile(r"[\w.+:-]+").fullmatch
_LARGE = 1_000_000  # characters, of a text that is worth a quick way
_NOT_PLAIN = re.compile(  # a comment, a quote, a zero before other digits, a power of Fortran's, another end of lines
    r'^[ \t]*#|"|(?:^|[,;|\t])[ \t]*[+-]?0\d|\d[dD][+-]?\d|\r(?!\n)|\n[ \t]*\r?\n', re.MULTILINE
)
_EXACT = 2**53  # up to which a float tells one integer from the next
_SEP = re.compile(r"sep=(.)\r?\n", re.IGNORECASE)  # a line that gives Excel the delimiter


class _Row(NamedTuple):
    line: int
    fields: list


def read_delimited(text, *, delimiter=None):
    """
    Read delimited text; a blank as delimiter stands for any white space, and None is found out.

    Lines that begin with ``#`` are comments; one of them may hold the names, if no other line does. Without any names
    the columns are ``col1``, ``col2`` and so on. An empty field is masked. A row with more or fewer fields than names,
    and a mixture of decimal commas and points, raise ValueError.

    >>> from astro_photz.tables._delimited import read_delimited
    >>> read_delimited("ra;dec\\n150,1;2,2\\n").pprint()
      ra  dec
    ----- ---
    150.1 2.2
    """
    if found := _SEP.match(text):
        delimiter, text = delimiter or found[1], text[found.end() :]
    delimiter = delimiter or sniffed(text)
    quick = _quickly(text, delimiter)
    if quick is not None:
        return quick
    rows = list(_rows(text, delimiter))
    if not rows:
        raise ValueError("it holds no table, only comments or blank lines")
    _tell_commented_rows(text, rows[0], delimiter)
    names, line, units, body = _names(rows, _comments(text), delimiter)
    names, body = _even(names, line, body)
    columns = [list(words) for words in zip(*(row.fields for row in body), strict=True)] or [[] for _ in names]
    columns = decimal_points(columns, [row.line for row in body], delimiter)
    kept = [index for index, name in enumerate(names) if name or any(columns[index])]  # not what a last comma makes
    unique = unique_names([names[index] or f"col{index + 1}" for index in kept])
    table = Table([typed(columns[index]) for index in kept], names=unique)
    for name, index in zip(unique, kept, strict=True):
        if units and units[index]:
            table[name].unit = Unit(units[index], parse_strict="silent")
    return table


def _quickly(text, delimiter):
    """
    Read a large table by astropy's fast reader, which takes less than half the time; None if it is not plain enough.

    It is plain if it begins with names, and has no comments, quotes or decimal commas, and no numbers that begin with
    zeros or are too large, whose digits that reader does not keep.
    """
    if len(text) < _LARGE or delimiter == " " or (delimiter != "," and "," in text) or _NOT_PLAIN.search(text):
        return None
    first, _, below = text.lstrip("\ufeff").partition("\n")
    names = plain_names(first, delimiter)
    if not names:
        return None
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        try:
            table = ascii.read(below, format="fast_no_header", delimiter=delimiter, names=names, guess=False)
        except Exception:  # of rows that are ragged, and the like: the careful way tells which
            return None
    rounded = any((np.abs(table[name]) > _EXACT).any() for name in names if table[name].dtype.kind == "f")
    return None if rounded else table


def plain_names(line, delimiter):
    """Names in a line, if it can hold nothing else and each is there once; an empty list otherwise."""
    names = next(csv.reader([line], delimiter=delimiter, skipinitialspace=True), [])
    names = [name.strip() for name in names]
    if not all(names) or any(map(is_number, names)) or len(set(names)) < len(names) or line.startswith("#"):
        return []
    return names


def write_delimited(table, path, *, delimiter):
    """
    Write a table as delimited text: names in the first line, nothing where a value is masked.

    A column that has several values a row, or is not plain, raises ValueError.
    """
    rows = words(table)
    with open(path, "w", encoding="utf-8", newline="") as file:
        write_rows([table.colnames], file, delimiter)
        write_rows(rows, file, delimiter)


def words(table):
    """Rows of words of a table, with an empty one where a value is masked."""
    return zip(*(_words(table[name]) for name in table.colnames), strict=True)


def write_rows(rows, file, delimiter):
    """Write rows of words into an open file."""
    plain = csv.writer(file, delimiter=delimiter, lineterminator="\n")
    for row in rows:
        if row[0].lstrip().startswith("#") or (delimiter == " " and not all(row)):
            # or the row would be a comment, and blanks would swallow an empty word
            file.write(delimiter.join(map(_quoted, row)) + "\n")
        else:
            plain.writerow(row)


def _quoted(word):
    return word if _NEEDS_NO_QUOTES(word) else '"' + word.replace('"', '""') + '"'


def _words(column):
    if len(column.shape) != 1:
        raise ValueError("it has several values a row")
    if not hasattr(column, "dtype") or column.dtype.kind not in "biufcUSM":
        raise ValueError("it holds objects that are no plain values")
    values = np.ma.asarray(getattr(column, "value", column))
    data = np.char.decode(values.data, "utf-8") if column.dtype.kind == "S" else values.data.astype(str)
    return np.where(np.ma.getmaskarray(values), "", data).tolist()


def _rows(text, delimiter):
    """Yield rows that are neither blank nor a comment. A quoted field may hold line ends, and ``#`` after them."""
    begun = None

    def lines():
        nonlocal begun
        for number, line in enumerate(io.StringIO(text, newline=""), 1):
            bare = line.strip(" \r\n\ufeff") if delimiter == "\t" else line.strip()
            if begun is None:
                if not bare or bare.startswith("#"):
                    continue
                begun = number
            yield bare.replace("\t", " ") + "\n" if delimiter == " " else line

    reader = csv.reader(lines(), delimiter=delimiter, skipinitialspace=True, strict=True)
    try:
        for fields in reader:
            yield _Row(begun, [field.strip() for field in fields])
            begun = None
    except csv.Error as error:
        raise ValueError(f'line {begun}: the quotes (") do not match ({error}); close or remove them') from error


def _comments(text):
    """Comments before the first row, without their ``#``."""
    found = []
    for line in io.StringIO(text, newline=""):
        if line.strip() and not line.lstrip().startswith("#"):
            break
        found.append(line.strip().lstrip("#").strip())
    return found


def _tell_commented_rows(text, first, delimiter):
    """Warn of comments below the first row that look like rows: names may begin with # too."""
    if delimiter == " " or len(first.fields) < 2:
        return
    found = [
        number
        for number, line in enumerate(io.StringIO(text, newline=""), 1)
        if number > first.line
        and line.lstrip().startswith("#")
        and '"' not in line  # which may have begun in the line before
        and line.count(delimiter) + 1 == len(first.fields)
    ]
    if found:
        warnings.warn(
            f"lines that begin with # are comments, and {len(found)} of them look like rows, the first is line "
            f"{found[0]}: put what begins with # into quotes, if it is a name",
            stacklevel=3,
        )


def sniffed(text):
    """Find the delimiter that gives the most rows the same number of fields, and the most of them numbers."""
    sample = text[:_SAMPLE_TEXT]
    if len(text) > _SAMPLE_TEXT:
        sample = sample[: sample.rfind("\n") + 1] or sample
    best, best_score = ",", (0, 0)
    for delimiter in _DELIMITERS:
        score = _score(_sample_rows(sample, delimiter), delimiter)
        if score > best_score:
            best, best_score = delimiter, score
    return best


def _sample_rows(text, delimiter):
    rows = []
    try:
        for row in _rows(text, delimiter):
            rows.append(row.fields)
            if len(rows) == _SAMPLE_ROWS:
                break
    except ValueError:  # of a quoted field that the sample cuts, or of another delimiter's quotes
        pass
    return rows


def _score(rows, delimiter):
    if not rows:
        return 0, 0
    width, count = Counter(map(len, rows)).most_common(1)[0]
    if width < 2:
        return 0, 0
    words = [word for row in rows if len(row) == width for word in row]
    share = count / len(rows) * (0.8 if delimiter == " " else 1)  # blanks are also in text
    return round(share, 3), sum(is_number(word, comma=delimiter != ",") for word in words) / len(words)


def _names(rows, comments, delimiter):
    """Find the names, the line they are in, units, and the rows below."""
    first, below = rows[0], rows[1:]
    if not _holds_names(first.fields, [row.fields for row in below[:_SAMPLE_ROWS]]):
        return (*_names_in_comments(first, comments, delimiter), None, rows)
    for number, row in enumerate(below[:2]):  # as VizieR and psql draw a line below names, and units
        if any(len(word) > 2 for word in row.fields) and all(map(_RULE, filter(None, row.fields))):
            return first.fields, first.line, below[0].fields if number else None, below[number + 1 :]
    return first.fields, first.line, None, below


def _holds_names(fields, below):
    """Check whether a row holds names: no numbers, or a word above numbers."""
    if fields in ([str(n) for n in range(len(fields))], ["", *(str(n) for n in range(len(fields) - 1))]):
        return True  # of pandas
    if not any(map(is_number, fields)):
        return True
    for index, word in enumerate(fields):
        values = [row[index] for row in below if len(row) > index and row[index]]
        if word and not is_number(word) and values and all(map(is_number, values)):
            return True
    return False


def _names_in_comments(first, comments, delimiter):
    width = len(first.fields)
    for comment in reversed(comments):
        for splitter in dict.fromkeys((delimiter, ",", " ")):
            row = next(iter(_sample_rows(comment + "\n", splitter)), [])
            while len(row) > width and not row[-1]:
                row.pop()
            if len(row) == width and all(row) and not any(map(is_number, row)):
                return row, first.line
    return [f"col{number}" for number in range(1, width + 1)], first.line


def _even(names, line, body):
    """Make names and rows of one length, without the empty fields after a delimiter at the end of a line."""
    names = list(names)
    longest = max((len(row.fields) for row in body), default=len(names))
    while len(names) > longest and not names[-1]:
        names.pop()
    width = len(names)
    for row in body:
        while len(row.fields) > width and not row.fields[-1]:
            row.fields.pop()
        if len(row.fields) != width:
            raise ValueError(
                f"line {row.line} has {len(row.fields)} field(s), where line {line} has {width}: mend that line; "
                "if the delimiter is another than it seems, or columns have fixed widths, name the format, such as "
                "format='csv' or 'tab', 'basic', 'fixed_width'"
            )
    return names, body
