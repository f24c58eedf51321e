# Licensed under a 3-clause BSD style license - see LICENSE
"""
Answers of the catalogue server as arrays, read value by value.

The general readers of tables guess: a column with one value that is no number becomes text, a whole number may lose its
digits, doubled columns are renamed and short lines filled. Here a value is what its column can hold in the survey, or
known to be missing, or the line is impossible. An answer with an impossible line is not trusted: it is asked for again.
Only if that does not help, the other lines are used.
"""

import json
import re
from dataclasses import dataclass, field
from math import isnan

import numpy as np
from astropy import units as u
from astropy.coordinates import SkyCoord
from astroquery.exceptions import RemoteServiceError

from astro_photz import sdss
from astro_photz.utils._arrays import SENTINELS

from ._failures import PartAnswer

__all__ = ["DETAILS", "PLACE", "TYPE", "ImpossibleAnswer", "Objects", "check_columns", "is_field", "read_objects"]

_FIELD = ("run", "rerun", "camcol", "field")
PLACE = ("ra", "dec", *_FIELD, "rowc_r", "colc_r", "objID")
"""Columns that say where an object was seen; its identifier repeats the field."""

_EXTINCTION = tuple(f"extinction_{band}" for band in sdss.BANDS)
_PSF = tuple(f"psffwhm_{band}" for band in sdss.BANDS)
DETAILS = _EXTINCTION + _PSF
"""Columns with the extinction and the width of the point-spread function."""

TYPE = "type"
"""Column that astroquery adds at the end of a cross-identification."""

_END = sdss.FieldID(run=10**6, rerun=10**3, camcol=7, field=10**4)  # beyond what the names of frames can hold
_MOST_LINES = 200_000  # of an answer: what fits into the longest
_LONGEST_LIST = 2**22  # characters of a list of columns; real ones have 200,000
_MARGIN = 256  # pixels beyond its frame where the centre of an object is still believed
_SLACK = 0.5 * u.arcsec  # for the digits of a position

_SHORT = 24  # characters of a value in a message

_UNKNOWN = ("", "null", "nan")
_NUMBER = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)(e[+-]?\d+)?", re.ASCII | re.IGNORECASE)
_TYPES = ["UNKNOWN", "COSMIC_RAY", "DEFECT", "GALAXY", "GHOST", "KNOWNOBJ", "STAR", "TRAIL", "SKY", "NOTATYPE", "NULL"]


class ImpossibleAnswer(PartAnswer):
    """
    An answer with lines that cannot be; ``objects`` are those of the other lines.
    """

    def __init__(self, message, objects):
        super().__init__(message)
        self.objects = objects


@dataclass
class Objects:
    """
    Objects of the catalogue that have a position.

    ``field_ids`` is None where the rest of the line is impossible; ``astray`` counts the lines without a position.
    ``depth`` (M,) is the distance to the nearest edge of the *r* frame (pixels); extinction (mag) and PSF width
    (arcsec) are (M, 5). NaN where unknown or not asked for.
    """

    coord: SkyCoord
    field_ids: list
    depth: np.ndarray
    extinction: np.ndarray
    psf_fwhm: np.ndarray
    astray: int = 0


@dataclass(frozen=True)
class _Range:
    """Values that a column can hold; one that must not be missing is ``needed``."""

    least: float
    most: float
    whole: bool = False
    needed: bool = False

    def value(self, cell):
        """Read a cell: NaN for a missing value, None for one that cannot be."""
        value = float(cell) if _NUMBER.fullmatch(cell) else np.nan
        if isnan(value) and cell.lower() not in _UNKNOWN:
            return None
        if not self.needed and (isnan(value) or value in SENTINELS):
            return np.nan
        possible = self.least <= value <= self.most and (not self.whole or value == int(value))
        return value if possible else None


def _ranges():
    """Range of each column; of the numbers of a field, by the bits that the identifiers of objects have for them."""
    rows, columns = sdss.FRAME_SHAPE
    return {
        "ra": _Range(0, 360, needed=True),
        "dec": _Range(-90, 90, needed=True),
        "run": _Range(1, 2**16 - 1, whole=True, needed=True),
        "rerun": _Range(0, 2**11 - 1, whole=True),
        "camcol": _Range(min(sdss.CAMCOLS), max(sdss.CAMCOLS), whole=True, needed=True),
        "field": _Range(0, 2**12 - 1, whole=True, needed=True),
        "rowc_r": _Range(-_MARGIN, rows + _MARGIN),
        "colc_r": _Range(-_MARGIN, columns + _MARGIN),
        **dict.fromkeys(_EXTINCTION, _Range(0, 500)),  # mag; SFD98's map ends at E(B-V) of some ten
        **dict.fromkeys(_PSF, _Range(0, 100)),  # arcsec; 0 where it was not measured
    }


def check_columns(text):
    """Refuse what is no list of the columns of a table, as JSON, by a RemoteServiceError."""
    if len(text) > _LONGEST_LIST:
        raise RemoteServiceError("it is longer than any list of columns")
    try:
        rows = json.loads(text)[0]["Rows"]
        names = [row["name"].lower() for row in rows]
        alike = all(row.keys() == rows[0].keys() for row in rows)
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError) as error:
        raise RemoteServiceError("it is no list of columns") from error
    if not alike or not {"ra", "dec"} <= set(names) or len(set(names)) < len(names):
        raise RemoteServiceError("it is no list of the columns of a catalogue")


def is_field(field_ids):
    """Mask (M,) of the numbers (M, 4) of run, rerun, camcol and field that identify a field."""
    return ((field_ids >= (0, 0, 1, 0)) & (field_ids < _END)).all(axis=1)


def read_objects(text, columns, *, around, radius, most=_MOST_LINES):
    """
    Read an answer about the objects within ``radius`` of positions: CSV with the columns `PLACE` and perhaps others.

    Raise a RemoteServiceError if it is no such table, or has more than ``most`` lines; and an `ImpossibleAnswer` if it
    is one, but some lines cannot be: a line of too few or too many values, a value outside the range of its column, a
    field that the identifier contradicts, an object that is nowhere near.
    """
    n_lines = text.strip().count("\n")
    if n_lines > most + 1:
        raise RemoteServiceError(f"it has {n_lines} lines, where no more than {most} objects can be")
    names, lines = _split(text, columns)
    read, faults = _read_lines(lines, names, columns)
    coord, placed = _positions(read["ra"], read["dec"], around, radius, faults)
    sound = faults.without(len(lines))[placed]
    objects = Objects(
        coord,
        _field_ids(_side_by_side(read, _FIELD, placed, sound)),
        _depth(read["rowc_r"][placed], read["colc_r"][placed]),
        *(_side_by_side(read, names, placed, sound) for names in (_EXTINCTION, _PSF)),
        astray=len(lines) - len(placed),
    )
    objects.psf_fwhm[objects.psf_fwhm == 0] = np.nan
    if faults.first:
        raise ImpossibleAnswer(faults.words(), objects)
    return objects


@dataclass
class _Faults:
    """Faults of lines, by their numbers from 0."""

    first: dict = field(default_factory=dict)

    def add(self, line, what):
        self.first.setdefault(line, what)

    def without(self, n):
        """Mask (n,) of the lines that have no fault."""
        return ~np.isin(np.arange(n), list(self.first))

    def words(self):
        line = min(self.first)
        more = f", nor {len(self.first) - 1} more" if len(self.first) > 1 else ""
        return f"its line {line + 1} cannot be{more}: {self.first[line]}"


def _split(text, columns):
    """Names of the columns, in lower case, and the cells of each line."""
    if "error_message" in text:
        raise RemoteServiceError(f"it is an error: {' '.join(text[:500].split())}")
    lines = [[cell.strip() for cell in line.split(",")] for line in text.strip().split("\n")]
    if lines[0][0].startswith("#"):
        del lines[0]
    names = [name.lower() for name in lines[0]] if lines else []
    missing = [name for name in columns if name.lower() not in names]
    if missing:
        raise RemoteServiceError(f"it lacks {', '.join(missing)}")
    doubled = [name for name in columns if names.count(name.lower()) > 1]
    if doubled:
        raise RemoteServiceError(f"it has {', '.join(doubled)} twice")
    return names, [line for line in lines[1:] if line != [""]]


def _read_lines(lines, names, columns):
    """Values of all lines, an array (M,) for each column, and their faults."""
    places, ranges, faults = {name: names.index(name.lower()) for name in columns}, _ranges(), _Faults()
    table = np.full((len(lines), len(columns)), np.nan)
    for k, line in enumerate(lines):
        values, fault = _read_line(line, names, places, ranges)
        table[k] = list(values.values())
        if fault:
            faults.add(k, fault)
    return dict(zip(columns, table.T, strict=True)), faults


def _read_line(line, names, places, ranges):
    """Values of a line by column, NaN where there is none, and what is wrong with it, or None."""
    if len(line) != len(names):
        return dict.fromkeys(places, np.nan), f"it has {len(line)} values for {len(names)} columns"
    cells = {name: line[place] for name, place in places.items()}
    values = {name: ranges[name].value(cells[name]) if name in ranges else np.nan for name in cells}
    wrong = [name for name, value in values.items() if value is None]
    values |= dict.fromkeys(wrong, np.nan)
    kind = cells.get(TYPE, _TYPES[0])
    if wrong:
        return values, f"{wrong[0]} is {_quoted(cells[wrong[0]])}"
    if kind.upper() not in _TYPES:  # the last column: here a line shows that it breaks off
        return values, f"type is {_quoted(kind)}"
    return values, _contradiction(values, cells["objID"])


def _contradiction(values, object_id):
    """
    Compare the field with that in the identifier, or None.

    The bits of identifiers are those of the glossary of SkyServer. An unknown rerun is taken from there.
    """
    if not re.fullmatch(r"\d{1,19}", object_id, re.ASCII):
        return f"objID is {_quoted(object_id)}"
    bits = int(object_id)
    told = dict(zip(_FIELD, (bits >> 32 & 0xFFFF, bits >> 48 & 0x7FF, bits >> 29 & 7, bits >> 16 & 0xFFF), strict=True))
    if isnan(values["rerun"]):
        values["rerun"] = told["rerun"]
    wrong = next((name for name in _FIELD if values[name] != told[name]), None)
    return wrong and f"{wrong} is {values[wrong]:g}, but {told[wrong]} in its objID"


def _quoted(cell):
    return repr(cell) if len(cell) <= _SHORT else f"{cell[:_SHORT]!r}..."


def _positions(ra, dec, around, radius, faults):
    """Positions of the lines that have one, and the indices of these."""
    placed = np.flatnonzero(np.isfinite(ra) & np.isfinite(dec))
    coord = SkyCoord(ra[placed], dec[placed], unit=u.deg)
    if len(placed):
        _, apart, _ = coord.match_to_catalog_sky(around)
        near = apart <= radius + _SLACK
        for k, distance in zip(placed[~near], apart[~near], strict=True):
            faults.add(k, f"it is {distance.to(u.arcsec):.3g} from the next position")
        placed, coord = placed[near], coord[near]
    return coord, placed


def _side_by_side(read, names, placed, sound):
    values = np.full((len(placed), len(names)), np.nan)
    if names[0] in read:
        values[sound] = np.stack([read[name][placed] for name in names], axis=1)[sound]
    return values


def _field_ids(numbers):
    return [None if isnan(row[0]) else sdss.FieldID(*map(int, row)) for row in numbers.tolist()]


def _depth(row, column):
    rows, columns = sdss.FRAME_SHAPE
    return np.min([column, columns - column, row, rows - row], axis=0)
