# Licensed under a 3-clause BSD style license - see LICENSE
"""
Delimited text, some rows at a time.

A file is read once to find its rows, and the type that all words of a column have together. Some rows are then a small
text: the line of the names, a row of words that have these types, and the lines of the rows. Only plain text is read
so: a line for each row, without quotes, comments among the rows, and decimal commas.
"""

import re
import warnings
from itertools import islice
from typing import NamedTuple

import numpy as np

from ._delimited import plain_names, read_delimited, sniffed, words, write_rows
from ._text import is_delimited
from ._unpack import refuse_known
from ._words import INTEGER_LETTERS
from .formats import DELIMITERS

__all__ = ["DelimitedRows", "DelimitedStream"]

_PIECE = 2**22  # bytes that are looked at together
_STEP = 1024  # rows between those whose place is kept
_PLAIN_DELIMITERS = (",", "\t", ";", "|")
_MARK = b"\xef\xbb\xbf"
_BEFORE = re.compile(rb"(?:[ \t]*(?:#[^\r\n]*)?\r?\n)*")  # comments and blank lines
_STRANGE = re.compile(r'^[ \t]*(?:#|\r?\n)|["\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u2028\u2029]|\r(?!\n)', re.MULTILINE)
_EXACT = 2**53  # up to which a float tells one integer from the next
_LARGEST = 2**64 - 1
_TYPES = {  # the word that makes a column of such words one of that type, and the type
    "none": ("", None),
    "int": (str(_EXACT + 1), np.dtype(np.int64)),
    "uint": (str(_LARGEST), np.dtype(np.uint64)),
    "float": ("0.5", np.dtype(np.float64)),
    "text": ("x", None),
}


class _Kind(NamedTuple):
    """Type of the words of a column, and the least and greatest integer."""

    name: str
    least: int = 0
    greatest: int = 0


class DelimitedRows:
    """Rows of a file of delimited text; ValueError if they cannot be read by themselves."""

    def __init__(self, path, form, ending):
        self._path = path
        with open(path, "rb") as file:
            head = file.read(_PIECE)
            refuse_known(head[:512])
            head = head if len(head) < _PIECE else head[: head.rindex(b"\n") + 1]
            begin = len(_MARK) if head.startswith(_MARK) else 0
            text = head[begin:].decode("utf-8")
            self._delimiter = _delimiter(text, form, ending)
            begin = _BEFORE.match(head, begin).end()
            file.seek(begin)
            line = file.readline()
            self._line = line.rstrip(b"\r\n").decode("utf-8")
            self._names = plain_names(self._line, self._delimiter)
            if not self._names or _STRANGE.search(self._line):
                raise _doubt()
            self._places, self.rows, kinds = self._survey(file)
        self.row_nbytes = len(head) // max(1, head.count(b"\n"))
        self._kinds = list(map(_joined, zip(*kinds, strict=True)))

    def _survey(self, file):
        """Places of some rows in the file, their number, and the types of the columns in each piece."""
        places, rows, kinds = [], 0, []
        while piece := _piece(file):
            begin, last = file.tell() - len(piece), not file.peek(1)
            text = piece.decode("utf-8")
            text = text.rstrip("\r\n ") + "\n" if last else text
            kinds.append(self._kinds_of(text))
            ends = np.flatnonzero(np.frombuffer(piece, dtype=np.uint8) == ord("\n")) + 1
            starts = np.concatenate([[0], ends])[: text.count("\n")]
            places += (begin + starts[-rows % _STEP :: _STEP]).tolist()
            rows += len(starts)
        return places, rows, kinds

    def _kinds_of(self, text):
        if _STRANGE.search(text) or (self._delimiter != "," and "," in text):
            raise _doubt()
        table = self._table(f"{self._line}\n{text}", text.count("\n"))
        return [_kind(table[name]) for name in self._names]

    def _table(self, text, rows):
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            table = read_delimited(text, delimiter=self._delimiter)
        if table.colnames != self._names or len(table) != rows:
            raise _doubt()
        return table

    def read(self, start, stop):
        """Table of some rows."""
        with open(self._path, "rb") as file:
            file.seek(self._places[start // _STEP])
            before = start % _STEP
            lines = b"".join(islice(file, before, before + stop - start)).decode("utf-8")
        typed = self._delimiter.join(_TYPES[kind][0] for kind in self._kinds)
        table = self._table(f"{self._line}\n{typed}\n{lines}", 1 + stop - start)[1:]
        for name, kind in zip(self._names, self._kinds, strict=True):
            right = _TYPES[kind][1]
            if right not in (None, table[name].dtype) or (kind == "text") != (table[name].dtype.kind == "U"):
                raise _doubt()
        return table


class DelimitedStream:
    """File of delimited text that is written some rows at a time."""

    def __init__(self, path, seed, *, form):
        self._delimiter = DELIMITERS[form]
        words(seed)  # which raises a ValueError if they cannot be written
        self._file = open(path, "w", encoding="utf-8", newline="")  # noqa: SIM115 - closed by `close`
        write_rows([seed.colnames], self._file, self._delimiter)

    def append(self, table, skip):
        """Write the rows of a table but the first ones."""
        write_rows(islice(words(table), skip, None), self._file, self._delimiter)

    def complete(self):
        """Write what stands behind the rows: nothing."""

    def close(self):
        """Close the file."""
        self._file.close()


def _doubt():
    return ValueError("its rows do not stand alone")


def _delimiter(text, form, ending):
    """Delimiter of a file, by its beginning; ValueError if it is more than delimited text."""
    if text.lstrip().startswith("<") or text.lower().startswith("sep="):
        raise _doubt()
    delimiter = DELIMITERS.get(form)
    if delimiter is None:
        if form not in (None, "ascii") or not is_delimited(text, ending=ending):
            raise _doubt()
        delimiter = sniffed(text)
    if delimiter not in _PLAIN_DELIMITERS:
        raise _doubt()
    return delimiter


def _piece(file):
    """Whole lines of a file, some at a time."""
    return file.read(_PIECE) + file.readline()


def _kind(column):
    """Type of the words that a column is made of."""
    values = np.ma.asarray(column).compressed()
    if not len(values):
        return _Kind("none")
    kind = values.dtype.kind
    if kind == "f":
        return _Kind("float")
    if kind == "U":
        return _Kind(_kind_of_text(values.tolist(), masked=len(values) < len(column)))
    return _Kind("int" if kind == "i" else "uint", int(values.min()), int(values.max()))


def _kind_of_text(found, *, masked):
    """Text, or integers that are text lest they lose digits: whether NaN is a word among these, all rows decide."""
    if not set("".join(found)) <= INTEGER_LETTERS:
        return "text"
    return "masked digits" if masked else "digits"


def _joined(kinds):
    """Type of a column whose pieces have these types; ValueError if their words would be read in another way."""
    names = {kind.name for kind in kinds} - {"none"}
    least, greatest = min(kind.least for kind in kinds), max(kind.greatest for kind in kinds)
    if names == {"digits"} or ("text" in names and names <= {"text", "digits", "masked digits"}):
        return "text"
    if len(names) < 2 and names <= set(_TYPES):
        return next(iter(names), "none")
    if names == {"int", "float"} and max(-least, greatest) <= _EXACT:
        return "float"
    if names == {"int", "uint"} and least >= 0:
        return "uint"
    raise _doubt()
