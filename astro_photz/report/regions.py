# Licensed under a 3-clause BSD style license - see LICENSE
"""
Regions for SAOImage DS9 and Aladin: a circle around each galaxy of a table, coloured by what its flags say.

The lines are made here, and not by the package *regions*, which takes half an hour for a million galaxies and lets the
name of one break the file. The tests read them with that package.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from astropy import units as u
from astropy.utils.exceptions import AstropyUserWarning

from astro_photz.cutouts.hdf5.layout import MINIMUM_SIZE
from astro_photz.flags import BAD, names
from astro_photz.positions import read_positions
from astro_photz.sdss import PIXEL_SCALE
from astro_photz.utils._checks import check_not_there
from astro_photz.utils._files import aside, expanded
from astro_photz.utils._suggestions import shortened
from astro_photz.utils._types import PathLike, TableLike

from .subject import read_subject

if TYPE_CHECKING:
    from .subject import Subject

__all__ = ["STATES", "write_regions"]

STATES = ("good", "doubtful", "masked")
"""States of a row: with an estimate and none of `astro_photz.flags.BAD`, with an estimate and some, without one."""

_LOOK = ("color=cyan", "color=yellow", "color=red dash=1")  # told apart without red and green, too
_RADIUS = MINIMUM_SIZE * PIXEL_SCALE / 2  # arcsec: what a model looks at
_LONGEST = 80  # characters of a name
_BRACES = str.maketrans("{}\\;", "()/,")  # braces end a text in DS9, a semicolon ends it in other readers
_HEADER = """# Region file format: DS9 version 4.1
# Made by astro_photz. cyan: good, yellow: doubtful, red: masked, no redshift. The tags name state and flags.
global color=cyan
icrs
"""


def write_regions(
    result: TableLike,
    path: PathLike,
    *,
    states: Iterable[str] = STATES,
    radius: float | u.Quantity = _RADIUS,
    prefix: str = "z_phot",
    overwrite: bool = False,
    **positions: Any,
) -> Path:
    """
    Write the galaxies of a table with photometric redshifts as regions, for DS9 and Aladin.

    Each galaxy is a circle: cyan if it is good, yellow if it is doubtful, red and dashed if it is masked. Its text is
    its name, its redshift and its flags; its tags, which DS9 lists as groups, are its state and its flags.

    Parameters
    ----------
    result : table-like
        A table of `~astro_photz.predict` (N,), in memory or in a file.
    path : str or path-like
        The file, ``.reg``.
    states : iterable of {"good", "doubtful", "masked"}, optional
        States of the rows to write; all by default. A row is masked if it has no estimate, doubtful if it has one and
        any of `astro_photz.flags.BAD`, and good otherwise.
    radius : float or `~astropy.units.Quantity`, optional
        Radius of the circles (arcsec); by default 12.7, half the side of the stamps that a model looks at.
    prefix : str, optional
        Beginning of the names of the redshifts' columns.
    overwrite : bool, optional
        Replace a file that is there.
    **positions
        Names of the columns of positions, where they are not the usual ones: ``coord``, ``ra``, ``dec`` and
        ``ra_unit``, as in `~astro_photz.predict`.

    Returns
    -------
    `~pathlib.Path`
        Of the file.

    Raises
    ------
    FileExistsError
        If there is such a file and ``overwrite`` is not set.
    ValueError
        If the table has no photometric redshifts under the prefix, or no positions, or there is no such state, or the
        radius is no positive angle.
    KeyError
        If there is no column of that name.
    OSError
        If there is no such file.

    Warns
    -----
    AstropyUserWarning
        If rows are left out because they have no position.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> from astropy.table import Table
    >>> from astro_photz.report import write_regions
    >>> columns = {"objid": [7], "ra": [150.1], "dec": [2.2], "z_phot": [0.12], "z_phot_err": [0.01]}
    >>> table = Table(columns | {"z_phot_flags": [64]})
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     print(write_regions(table, Path(folder) / "hosts.reg").read_text().splitlines()[-1])
    circle(150.1000000,2.2000000,12.672") # color=yellow text={7 z=0.1200 LOW_SNR} tag={doubtful} tag={LOW_SNR}
    """
    wanted, radius = _checked_states(states), _checked_radius(radius)
    path = expanded(path)
    check_not_there(path, overwrite=overwrite)
    subject = read_subject(result, prefix=prefix, named=positions)
    if subject.path is not None and path.exists() and path.samefile(subject.path):
        raise ValueError(f"{path} is the table itself: give the regions another name")
    placed = _placed(subject)
    state = _states_of(subject)
    chosen = np.isin(state, wanted)
    lost = int(np.count_nonzero(chosen & ~placed))
    if lost:
        told = f"{path} lacks {lost:,} of {np.count_nonzero(chosen):,} rows, which have no position"
        warnings.warn(told, AstropyUserWarning, stacklevel=2)
    with aside(path, overwrite=overwrite) as part, open(part, "w", encoding="utf-8", newline="\n") as file:
        file.write(_HEADER)
        file.writelines(_lines(subject, np.flatnonzero(chosen & placed), state, radius))
    return path


def _checked_states(states):
    """Numbers of the states that are asked for."""
    states = [states] if isinstance(states, str) else list(states)
    unknown = [one for one in states if one not in STATES]
    if unknown or not states:
        given = shortened(unknown[0]) if unknown else "none"
        raise ValueError(f"states must be some of {', '.join(STATES)}; got {given}")
    return [STATES.index(one) for one in states]


def _checked_radius(radius):
    """Radius in arcsec."""
    try:
        value = float(u.Quantity(radius, u.arcsec).value)
    except (TypeError, ValueError):  # also of a unit that does not convert
        value = math.nan
    if not 0 < value < math.inf:
        raise ValueError(f"radius must be a positive number of arcseconds, or an angle; got {shortened(radius)}")
    return value


def _placed(subject):
    """Mask of the rows with a position."""
    if subject.coord is None:
        read_positions(subject.table)  # raises, and names the columns that there are
    placed = np.isfinite(subject.coord.ra.deg + subject.coord.dec.deg)
    if not placed.any():
        raise ValueError(f"{subject.name}: none of {len(subject):,} rows has a position, so that there is no region")
    return placed


def _states_of(subject):
    """Number of the state of each row (N,)."""
    return np.where(subject.estimated, np.where(subject.flags & BAD, 1, 0), 2)


def _lines(subject: Subject, rows: np.ndarray, state: np.ndarray, radius: float) -> Iterator[str]:
    """Make the line of each galaxy."""
    known = {value: names(value) for value in np.unique(subject.flags[rows]).tolist()}
    place: Any = subject.coord
    columns = (place.ra.deg, place.dec.deg, subject.z, subject.flags, state)
    for row, ra, dec, z, flags, number in zip(rows, *(values[rows].tolist() for values in columns), strict=True):
        words = [_plain(subject.ids[row]) or f"row {row}"] + ([f"z={z:.4f}"] if number < 2 else []) + known[flags]
        tags = " ".join(f"tag={{{tag}}}" for tag in (STATES[number], *known[flags]))
        yield f'circle({ra:.7f},{dec:.7f},{radius:.6g}") # {_LOOK[number]} text={{{" ".join(words)}}} {tags}\n'


def _plain(name):
    """Name of a galaxy without what has a meaning in a region file."""
    printable = "".join(letter if letter.isprintable() else " " for letter in name[:_LONGEST])
    return " ".join(printable.translate(_BRACES).split())
