# Licensed under a 3-clause BSD style license - see LICENSE
"""
Doors that read and write tables.
"""

import io
import warnings
from functools import cache

import numpy as np
from astropy.table import Table
from hypothesis import strategies as st

from astro_photz.positions import read_positions
from astro_photz.tables import read_table, write_table
from astro_photz.tables.inputs import as_table
from astro_photz.tables.writing import check_writable

from .edits import byte_edits, edited_bytes, edited_text, hostile, mostly, text_edits
from .galaxies import columns, made_table, names
from .judging import Fault, Target

__all__ = ["TARGETS"]

_TEXTS = {
    "csv": "objid,ra,dec,ebv\n1237651943176138868,150.1,2.2,0.02\n1237651943176138869,150.2,-2.5,\n7,1e2,3,0.5\n",
    "semicolons": "name;ra;dec\nNGC 1;150,1;2,2\nNGC 2;150,2;2,5\n",
    "tabs": "# ra dec\n150.1\t2.2\n150.2\t2.3\n",
    "blanks": "   ra     dec   z\n 150.1   2.2  0.1\n 150.2   2.3  0.2\n",
    "psql": " objid | ra | dec \n-------+----+-----\n 1 | 150.1 | 2.2\n 2 | 150.2 | 2.3\n",
    "box": "+----+-----+\n| ra | dec |\n+----+-----+\n| 1  | 2   |\n+----+-----+\n",
    "rdb": "ra\tdec\n5N\t5N\n150.1\t2.2\n",
    "ipac": "|   ra|  dec|\n| real| real|\n|  deg|  deg|\n| null| null|\n  150.1   2.2 \n",
    "rst": "===== ====\n   ra  dec\n===== ====\n150.1  2.2\n===== ====\n",
    "latex": "\\begin{tabular}{cc}\nra & dec \\\\\n150.1 & 2.2 \\\\\n\\end{tabular}\n",
    "sextractor": "# 1 NUMBER Running\n# 2 ALPHA_J2000 RA [deg]\n# 3 DELTA_J2000 Dec\n 1 150.1 2.2\n 2 150.2 2.3\n",
    "excel": "sep=;\nra;dec\n1;2\n",
    "skyserver": "#Table1\nobjid,ra,dec\n1237651943176138868,150.1,2.2\n",
    "html": "<html><body><table><tr><th>ra</th><th>dec</th></tr><tr><td>1</td><td>2</td></tr></table></body></html>",
    "json": '[{"ra": 1, "dec": 2}]',
    "daophot": "#K A = 1\n#N RA DEC\n#U deg deg\n#F %5.1f %5.1f\n150.1 2.2\n",
}


def _table():
    table = Table({"objid": [1237651943176138868, 2, 3], "ra": [150.1, 150.2, 150.3], "dec": [2.2, 2.3, -2.5]})
    table["name"], table["pdf"] = ["NGC 1", "b", "é"], np.full((3, 4), 0.25)
    table["ra"].unit, table.meta["note"] = "deg", "x"
    return table


@cache
def texts():
    """Valid tables in text, by their format."""
    made = dict(_TEXTS)
    for form in ("ascii.ecsv", "votable", "ascii.mrt"):
        file, table = io.StringIO() if form != "votable" else io.BytesIO(), _table()
        if form == "ascii.mrt":
            table.remove_columns(["pdf", "name"])
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            table.write(file, format=form)
        made[form] = file.getvalue().decode() if form == "votable" else file.getvalue()
    return made


@cache
def binaries():
    """Valid tables in bytes, by their format."""
    made = {}
    table = _table()
    table.replace_column("name", ["NGC 1", "b", "c"])
    for form in ("fits", "votable", "parquet", "hdf5"):
        file = io.BytesIO()
        if form == "hdf5":
            import h5py

            with h5py.File(file, "w") as store:
                table.write(store, path="t", serialize_meta=True)
        elif form == "votable":
            table.write(file, format="votable", tabledata_format="binary2")
        elif form == "parquet":
            import pyarrow
            import pyarrow.parquet

            columns = {name: table[name].tolist() for name in table.colnames}
            pyarrow.parquet.write_table(pyarrow.table(columns), file)
        else:
            table.write(file, format=form)
        made[form] = file.getvalue()
    import bz2
    import gzip
    import lzma

    made |= {"gz": gzip.compress(_TEXTS["csv"].encode(), mtime=0), "bz2": bz2.compress(made["fits"])}
    return made | {"xz": lzma.compress(_TEXTS["csv"].encode())}


_FORMATS = st.sampled_from(
    [None, None, None, None, "csv", "ecsv", "fits", "votable", "hdf5", "parquet", "ascii", "tab", "fixed_width", "html"]
)


def _read(content, folder, given):
    path = folder / f"table{given.get('suffix', '')}"
    path.write_bytes(content)
    with warnings.catch_warnings(record=True):
        table = read_table(path, format=given.get("format"))
    if not isinstance(table, Table) or len(set(table.colnames)) != len(table.colnames):
        raise Fault(f"read_table gave {type(table).__name__} with the columns {table.colnames}")


def _read_text(given, folder):
    _read(edited_text(texts()[given["base"]], given["edits"]).encode("utf-8", "surrogatepass"), folder, given)


def _read_binary(given, folder):
    _read(edited_bytes(binaries()[given["base"]], given["edits"]), folder, given)


def _files(bases, edits):
    suffixes = st.sampled_from(["", "", ".csv", ".fits", ".vot", ".h5", ".txt", ".dat", ".ecsv", ".html"])
    return st.fixed_dictionaries(
        {"base": st.sampled_from(bases), "edits": edits}, optional={"format": _FORMATS, "suffix": suffixes}
    )


_NAMED = mostly(st.none(), names | hostile)


def _positions(given, folder):
    table = made_table(given["columns"], quantities=given["quantities"])
    found = read_positions(table, **given["options"])
    if len(found) != len(table):
        raise Fault(f"{len(found)} positions of {len(table)} rows")
    for name in ("ids", "ebv", "field_ids"):
        values = getattr(found, name)
        if values is not None and len(values) != len(table):
            raise Fault(f"{name} has {len(values)} values for {len(table)} rows")
    if found.ebv is not None and ((found.ebv < 0) | np.isinf(found.ebv)).any():
        raise Fault("E(B-V) is negative or infinite")
    if not (np.isfinite(found.coord.dec.deg) == found.valid).all():
        raise Fault("a position is known by half")


def _as_table(given, folder):
    data = {one["name"]: one["values"] for one in given["columns"]}
    kind = given["kind"]
    if kind == "dict":
        table = as_table(data)
    elif kind == "dict of columns":
        made = made_table(given["columns"])
        table = as_table({name: made[name] for name in made.colnames})
    elif kind == "list of dicts":
        table = as_table([dict(zip(data, row, strict=True)) for row in zip(*data.values(), strict=True)])
    elif kind == "frame":
        import pandas

        try:
            frame = pandas.DataFrame(data)
        except UnicodeEncodeError:  # pandas takes no half of a pair of surrogates
            return
        table = as_table(frame)
    else:
        table = as_table(given["other"])
    if not isinstance(table, Table):
        raise Fault(f"as_table gave {type(table).__name__}")


def _write(given, folder):
    table = made_table(given["columns"])
    for name, value in given["meta"].items():
        table.meta[name] = value
    path = folder / f"out{given['suffix']}"
    check_writable(table, path)
    write_table(table, path)
    back = read_table(path)
    if len(back) != len(table):
        raise Fault(f"{len(back)} of {len(table)} rows came back from {given['suffix']}")


_META = st.dictionaries(st.sampled_from(["note", "é", "z_phot", "", "a\nb", "HISTORY", "x" * 100]), hostile, max_size=2)

TARGETS = (
    Target(
        "tables.text", _files([*_TEXTS, "ascii.ecsv", "votable", "ascii.mrt"], text_edits()), _read_text,
        (OSError, ValueError, ImportError), 2.0,
    ),
    Target(
        "tables.binary", _files(["fits", "votable", "parquet", "hdf5", "gz", "bz2", "xz"], byte_edits()), _read_binary,
        (OSError, ValueError, ImportError), 2.0,
    ),
    Target(
        "positions",
        st.fixed_dictionaries(
            {
                "columns": columns(),
                "quantities": st.booleans(),
                "options": st.fixed_dictionaries(
                    {},
                    optional={
                        **dict.fromkeys(("coord", "ra", "dec", "ebv"), _NAMED),
                        "ra_unit": mostly(st.sampled_from(["deg", "hourangle", None]), names | hostile),
                        "extinction_release": mostly(st.sampled_from([None, 12, 17])),
                    },
                ),
            }
        ),
        _positions, (TypeError, ValueError, KeyError), 2.0,
    ),
    Target(
        "tables.inputs",
        st.fixed_dictionaries(
            {
                "columns": columns(most=4),
                "kind": st.sampled_from(["dict", "dict of columns", "list of dicts", "frame", "other"]),
                "other": hostile.filter(lambda value: not isinstance(value, str)),
            }
        ),
        _as_table, (TypeError, ValueError), 1.0,
    ),
    Target(
        "tables.writing",
        st.fixed_dictionaries(
            {
                "columns": columns(most=4),
                "meta": _META,
                "suffix": st.sampled_from([".fits", ".csv", ".ecsv", ".vot", ".h5", ".parquet", ".tex"]),
            }
        ),
        _write, (ValueError, ImportError, OSError), 0.5,
    ),
)  # fmt: skip
