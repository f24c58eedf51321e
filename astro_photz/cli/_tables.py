# Licensed under a 3-clause BSD style license - see LICENSE
"""
Tables that commands read and write, in the formats that astropy knows.
"""

from importlib.util import find_spec
from pathlib import Path

from .._files import aside
from ._common import say

__all__ = ["check_format", "read_table", "side_by_side", "try_to_write", "write_table"]

_TRIED = 1000  # rows that tell whether a format has a place for what is in a table
_PLAIN = {".txt", ".dat", ".cat", ".asc", ".tsv"}  # endings that tell astropy nothing


def _format(path):
    """What astropy calls the format that a file's ending stands for; None if it knows none."""
    from astropy.io.registry import identify_format
    from astropy.table import Table

    if path.suffix in (".vot", ".xml"):
        return "votable"  # which astropy tells on reading only
    return next(iter(identify_format("write", Table, str(path), None, [], {})), None)


def _options(path):
    """How astropy is to write a file."""
    form = _format(path)
    whole = {"path": "table", "serialize_meta": True} if form == "hdf5" else {}  # or masks would be lost
    return {"format": form, "overwrite": True} | whole


def check_format(path):
    """Tell before the work if astropy cannot write a table under a name."""
    form = _format(path)
    if not form:
        known = ".ecsv, .fits, .csv, .vot or .parquet"
        raise ValueError(f"{path}: astropy knows no table format by that ending; use {known}")
    if form.startswith("parquet") and not find_spec("pyarrow"):
        raise ImportError(f"{path}: astropy writes Parquet with pyarrow: pip install pyarrow")


def read_table(path):
    """A table of any format that astropy knows."""
    from astropy.table import Table

    if not path.is_file():
        raise FileNotFoundError(f"no file {path}")
    try:
        return Table.read(path, **({"format": "ascii"} if path.suffix in _PLAIN else {}))
    except Exception as error:  # each format's reader has errors of its own
        raise ValueError(f"{path} cannot be read as a table: {str(error).strip().splitlines()[0]}") from error


def try_to_write(table, path, *, pdf):
    """Tell before the work, not after it, if a format has no place for what is in a table."""
    from tempfile import TemporaryDirectory

    import numpy as np
    from astropy.table import MaskedColumn

    trial = table[:_TRIED]
    if pdf:
        trial["a pdf"] = MaskedColumn(np.zeros((len(trial), 2)), mask=True)
    with TemporaryDirectory() as folder:
        try:
            trial.write(Path(folder) / path.name, **_options(path))
        except OSError:  # of the disk
            raise
        except Exception as error:  # each format's writer has errors of its own
            reason = str(error).strip().splitlines()[0]
            raise ValueError(f"{path}: that format cannot hold this table ({reason}); .ecsv holds any") from error


def write_table(table, path, prefix):
    """Write a table, and with it what ``meta[prefix]`` says of how it was made, if the format has a place for that."""
    form = _format(path)
    if form not in ("ascii.ecsv", "hdf5"):  # others have no place for nested meta: it goes into comments
        record = table.meta.pop(prefix)
        comments = [f"{prefix} {name}: {value}" for name, value in record.items()]
        if form.startswith("ascii"):
            say(f"{path}: this format does not keep which model and images made the redshifts; .ecsv does")
        elif form == "votable":
            table.meta["description"] = "\n".join([*filter(None, [table.meta.get("description")]), *comments])
        else:
            before = table.meta.get("comments", [])
            table.meta["comments"] = [*([before] if isinstance(before, str) else before), *comments]
    with aside(path) as part:
        table.write(part, **_options(path))


def side_by_side(table, names):
    """Columns as one array, NaN where they are masked, with their unit if they have one."""
    import numpy as np
    from astropy import units as u

    from .._arrays import filled

    for name in names:
        if name not in table.colnames:
            raise ValueError(f"no column {name!r} in the table, which has {', '.join(table.colnames)}")
    units = {table[name].unit for name in names}
    if len(units) > 1:
        raise ValueError(f"{', '.join(names)} must have the same unit, got {', '.join(map(str, units))}")
    arrays = [filled(table[name]) for name in names]
    values = arrays[0] if len(arrays) == 1 else np.stack(arrays, axis=1)
    (unit,) = units
    return u.Quantity(values, unit) if unit else values
