# Licensed under a 3-clause BSD style license - see LICENSE
"""
VOTables: a table, with parameters for the edges of the bins of redshift and the origin of the redshifts.

The parameter ``z_phot_z_edges``, after the prefix, is the array of edges; ``z_phot_model`` and others are the facts.
"""

import numpy as np
from astropy.io import votable
from astropy.io.votable.tree import Param
from astropy.table import Table

from ._names import unique_names
from ._record import EDGES, edges_of, split_records, with_edges

__all__ = ["read_votable", "write_votable"]

_COMMENTS = "comments"  # as astropy calls them in the meta of text


def read_votable(file):
    """Read the first table with rows; without one, a ValueError gives the server's message."""
    document = votable.parse(file, verify="ignore")
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
