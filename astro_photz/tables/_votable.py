# Licensed under a 3-clause BSD style license - see LICENSE
"""
VOTables: a table, with parameters for the edges of the bins of redshift and the origin of the redshifts.

The parameter ``z_phot_z_edges``, after the prefix, is the array of edges; ``z_phot_model`` and others are the facts.
"""

import io
from contextlib import suppress
from math import prod
from xml.parsers import expat

import numpy as np
from astropy.io import votable
from astropy.io.votable.tree import Param
from astropy.table import Table

from ._names import unique_names
from ._record import EDGES, edges_of, split_records, with_edges
from ._unpack import ROOM

__all__ = ["read_votable", "write_votable"]

_COMMENTS = "comments"  # as astropy calls them in the meta of text
_LONGEST = 2**20  # numbers in a cell
_WIDEST = 16  # bytes of a number
_OFTEN = 1000  # rows after which they are weighed
_DIGITS = 20  # of a number that is too large at any rate


def read_votable(file):
    """
    Read the first table with rows; without one, a ValueError gives the server's message.

    Nothing but the file itself is read: a table whose rows lie elsewhere is refused by a ValueError, as are entities,
    and cells that take more memory than their file explains.
    """
    document = votable.parse(io.BytesIO(_checked(file.read())), verify="ignore")
    tables = [table for table in document.iter_tables() if table.fields]
    if not tables:
        said = "; ".join(_infos(document)) or "nothing else"
        raise ValueError(f"it is a VOTable without a table, which says {said}: ask the server again")
    found = next((table for table in tables if len(table.array)), tables[0])
    table = found.to_table(use_names_over_ids=False)
    names = [field.name or field.ID for field in found.fields]
    table.rename_columns(table.colnames, [f"column {number} of {id(table)}" for number in range(len(names))])
    table.rename_columns(table.colnames, unique_names(names))
    for name in table.colnames:
        _simplify(table, name)
    _take_params(table, found.params)
    return table


def _checked(text):
    """Return the text of a document that leads nowhere else, and declares no more than memory holds."""
    _Look(max(ROOM, 100 * len(text))).at(text)
    return text


class _Look:
    """One look at the elements of a document, before astropy opens what they name and makes room for their rows."""

    def __init__(self, most):
        self._most = most
        self._cells = self._rows = 0
        self._declared = ""

    def at(self, text):
        """Look at all elements; ValueError for one that is refused. Broken XML is left for astropy to tell."""
        parser = expat.ParserCreate()
        parser.StartElementHandler = self._element
        parser.EntityDeclHandler = _refuse_entities
        with suppress(expat.ExpatError):
            parser.Parse(text, True)

    def _element(self, name, attributes):
        name = name.rpartition(":")[2]
        if name == "TR":
            self._rows += 1
            if self._rows % _OFTEN == 0:
                self._weigh(self._rows)
        elif name == "STREAM" and "href" in attributes:
            raise ValueError(
                "it is a VOTable whose rows lie in another file (STREAM href), which is not read: get it with the rows "
                "inside"
            )
        elif name in ("FIELD", "PARAM"):
            cell = _elements(attributes.get("arraysize", "1"))
            if cell > _LONGEST:
                raise ValueError(f"its cells hold up to {cell:,} values (arraysize), which no table has: mend it")
            self._cells += cell if name == "FIELD" else 0
        elif name == "TABLE":
            self._cells = self._rows = 0
            self._declared = attributes.get("nrows", "0").strip()[:_DIGITS]
        elif name == "DATA" and self._declared.isdecimal():
            self._weigh(int(self._declared))

    def _weigh(self, rows):
        if rows * self._cells * _WIDEST > self._most:
            raise ValueError(f"its {rows:,} rows of {self._cells:,} values are more than the file can hold: mend it")


def _refuse_entities(*_):
    raise ValueError("it is a VOTable with entities of its own, which are not read: save it without them")


def _elements(arraysize):
    """Number of values in a cell, less an axis of any length."""
    axes = [axis for axis in arraysize.split("x") if "*" not in axis]
    return prod(int(axis.strip()[:_DIGITS]) for axis in axes if axis.strip().isdecimal())


def _infos(document):
    infos = [*document.infos, *(info for resource in document.resources for info in resource.infos)]
    return [" ".join(filter(None, (info.name, str(info.value), info.content))) for info in infos]


def _simplify(table, name):
    """Plain columns where nothing is masked, and text of one length instead of objects."""
    column = table[name]
    if column.dtype.kind == "O" and all(isinstance(value, str) for value in np.ma.asarray(column).compressed()):
        table.replace_column(name, column.filled("").astype(str) if hasattr(column, "filled") else column.astype(str))
        column = table[name]
    if not np.any(getattr(column, "mask", False)):
        table[name] = Table.Column(np.asarray(column), unit=column.unit, description=column.description)


def _take_params(table, params):
    """Move parameters to the meta of the table, those of a record to one dict under its prefix."""
    found = {str(param.name): _plain(param.value) for param in params}
    records = [name for name in found if name.endswith(f"_{EDGES}")]
    for edges in sorted(records, key=len, reverse=True):  # z_phot is the beginning of z_phot_b
        prefix = edges.removesuffix(EDGES)
        names = [name for name in found if name.startswith(prefix)]
        record = {name.removeprefix(prefix): found.pop(name) for name in names}
        table.meta[prefix[:-1]] = with_edges(record, record[EDGES])
    if _COMMENTS in found:
        found[_COMMENTS] = str(found[_COMMENTS]).split("\n")
    table.meta.update(found)


def _plain(value):
    return value.tolist() if hasattr(value, "tolist") else value


def write_votable(table, path):
    """Write a table, with a parameter for each fact of the records in its meta."""
    records, rest = split_records(table.meta)
    table = table.copy(copy_data=False)
    table.meta = rest
    document = votable.from_table(table)
    (written,) = document.iter_tables()
    for prefix, record in records.items():
        for key, value in record.items():
            value = edges_of(record) if key == EDGES else value
            written.params.append(_param(document, f"{prefix}_{key}", value))
    comments = rest.pop(_COMMENTS, [])
    if comments:
        rest[_COMMENTS] = comments if isinstance(comments, str) else "\n".join(map(str, comments))
    for key, value in rest.items():
        if isinstance(value, (str, int, float)) and key not in ("ID", "name", "ref", "utype", "description"):
            written.params.append(_param(document, str(key), value))
    document.to_xml(str(path))


def _param(document, name, value):
    kinds = {int: ("long", None), float: ("double", None)}
    if isinstance(value, (list, tuple, np.ndarray)):
        array = np.asarray(value, dtype=float)
        return Param(document, name=name, datatype="double", arraysize=str(array.size), value=array)
    kind, size = kinds.get(type(value), ("unicodeChar", "*"))
    value = str(value) if kind == "unicodeChar" else value
    return Param(document, name=name, datatype=kind, arraysize=size, value=value)
