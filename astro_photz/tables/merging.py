# Licensed under a 3-clause BSD style license - see LICENSE
"""
Put the files of several runs together, in memory that does not grow with their rows.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from functools import partial
from itertools import chain

from astro_photz.utils._checks import check_not_there
from astro_photz.utils._claims import claimed
from astro_photz.utils._files import expanded, full_disk_told
from astro_photz.utils._types import PathLike

from .formats import output_format
from .parts import open_parts
from .streams import write_parts

__all__ = ["merge_tables"]


def merge_tables(
    paths: Sequence[PathLike], output: PathLike, *, format: str | None = None, overwrite: bool = False
) -> int:
    """
    Set tables with the same columns one below the other.

    Parameters
    ----------
    paths : sequence of path-like
        Files of the parts, in their order: such as those of the shards of a run.
    output : path-like
        The file. It takes its name when it is complete.
    format : str, optional
        Astropy's name of its format, if it is not that of its suffix.
    overwrite : bool, optional
        Replace a file that is there.

    Returns
    -------
    int
        Number of rows.

    Raises
    ------
    ValueError
        If there is no file; if two have other columns, or records of other models.
    FileExistsError
        If there is such a file, and ``overwrite`` is not set.
    OSError, ImportError
        As of `~astro_photz.tables.read_table` and `~astro_photz.tables.write_table`.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> from astropy.table import Table
    >>> from astro_photz.tables import merge_tables, read_table, write_table
    >>> folder = pathlib.Path(tempfile.mkdtemp())
    >>> for number in (1, 2):
    ...     write_table(Table({"z": [0.1 * number]}), folder / f"{number}.fits")
    >>> merge_tables([folder / "1.fits", folder / "2.fits"], folder / "all.fits")
    2
    >>> read_table(folder / "all.fits")["z"].tolist()
    [0.1, 0.2]
    """
    form, output = output_format(output, format), expanded(output)
    if not paths:
        raise ValueError("paths must name a file at least")
    check_not_there(output, overwrite=overwrite)
    with ExitStack() as opened, claimed(output), full_disk_told(output):
        tables = [opened.enter_context(open_parts(path)) for path in paths]
        _check_alike(paths, tables)
        n = sum(table.n for table in tables)
        write_parts(partial(chain.from_iterable, tables), output, n, form=form, overwrite=overwrite)
    return n


def _check_alike(paths, tables):
    """Refuse tables that do not belong together."""
    first = tables[0]
    for path, table in zip(paths, tables, strict=True):
        if table.colnames != first.colnames:
            raise ValueError(
                f"{path} has the columns {', '.join(table.colnames)}, and {paths[0]} {', '.join(first.colnames)}: "
                "give files of one run"
            )
        for prefix, record in first.meta.items():
            made = table.meta.get(prefix)
            if isinstance(record, dict) and isinstance(made, dict):
                other = next((key for key in record if key.startswith("model") and made.get(key) != record[key]), None)
                if other is not None:
                    raise ValueError(
                        f"{path} has {prefix} of another model than {paths[0]} ({other} {made.get(other)!r}, not "
                        f"{record[other]!r}): give files of one run"
                    )
