# Licensed under a 3-clause BSD style license - see LICENSE
"""
Tables that commands read and write, in the formats that astropy knows.
"""

from importlib.util import find_spec
from pathlib import Path

from .._files import aside

__all__ = ["check_format", "read_table", "side_by_side", "try_to_write", "write_table"]


def _format(path):
    """What astropy calls the format that a file's ending stands for, None to let it find out itself."""
    return "votable" if path.suffix in (".vot", ".xml") else None  # which astropy tells on reading only


def check_format(path):
    """Tell before the work if astropy cannot write a table under a name."""
    from astropy.io.registry import identify_format
    from astropy.table import Table

    form = _format(path) or next(iter(identify_format("write", Table, str(path), None, [], {})), None)
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
        return Table.read(path)
    except Exception as error:  # each format's reader has errors of its own
        raise ValueError(f"{path} cannot be read as a table: {str(error).strip().splitlines()[0]}") from error


def try_to_write(table, path, *, pdf):
    """Tell before the work, not after it, if a format has no place for what is in a table."""
    from tempfile import TemporaryDirectory

    import numpy as np

    trial = table.copy(copy_data=False)
    if pdf:
        trial["a pdf"] = np.zeros((len(trial), 2))
    with TemporaryDirectory() as folder:
        try:
            trial.write(Path(folder) / path.name, format=_format(path))
        except Exception as error:  # each format's writer has errors of its own
            reason = str(error).strip().splitlines()[0]
            raise ValueError(f"{path}: that format cannot hold this table ({reason}); .ecsv holds any") from error


def write_table(table, path, prefix):
    """Write a table, and with it what ``meta[prefix]`` says of how it was made."""
    if path.suffix != ".ecsv":  # other formats have no place for nested meta: what made the table goes into comments
        record = table.meta.pop(prefix)
        comments = [f"{prefix} {name}: {value}" for name, value in record.items()]
        if _format(path) == "votable":
            table.meta["description"] = "\n".join([*filter(None, [table.meta.get("description")]), *comments])
        else:
            table.meta["comments"] = [*table.meta.get("comments", []), *comments]
    with aside(path) as part:
        table.write(part, overwrite=True, format=_format(path))


def side_by_side(table, names):
    """Columns as one array, NaN where they are masked, with their unit if they have one."""
    import numpy as np
    from astropy import units as u

    for name in names:
        if name not in table.colnames:
            raise ValueError(f"no column {name!r} in the table, which has {', '.join(table.colnames)}")
    units = {table[name].unit for name in names}
    if len(units) > 1:
        raise ValueError(f"{', '.join(names)} must have the same unit, got {', '.join(map(str, units))}")
    arrays = [np.ma.filled(np.ma.asarray(table[name], dtype=float), np.nan) for name in names]
    values = arrays[0] if len(arrays) == 1 else np.stack(arrays, axis=1)
    (unit,) = units
    return u.Quantity(values, unit) if unit else values
