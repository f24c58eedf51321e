# Licensed under a 3-clause BSD style license - see LICENSE
"""
Read positions out of any table.

Astronomers name coordinates in dozens of ways. A table may also hold the reddening, or the SDSS field of each galaxy,
which saves queries of the archive. `read_positions` finds all of these, or says what it cannot decide.
"""

from dataclasses import dataclass
from itertools import product

import numpy as np
from astropy import units as u
from astropy.coordinates import Angle, SkyCoord
from astropy.table import Table

from astro_photz.utils._types import UnitLike

from .dust import ebv_from_extinction
from .sdss import BANDS, CAMCOLS, RERUN
from .utils._arrays import (
    NULL_WORDS,
    POSITIVE_SENTINELS,
    SENTINELS,
    foreign_kind,
    identifiers,
    integers,
    numbers,
    values_and_mask,
)
from .utils._checks import check_release
from .utils._column_names import PAIRS, named, no_coordinates, unit_in_name
from .utils._sky import direction_of, icrs_from_degrees
from .utils._suggestions import advice, shortened
from .utils._units import own_unit, parse_unit

__all__ = ["Positions", "position_columns", "read_positions"]

_EBV_NAMES = ("ebv", "ebvsfd", "sfdebv", "ebvsfd98")
_EXTINCTION_STEMS = ("extinction", "a")
_FIELD_NAMES = ("run", "rerun", "camcol", "field")
_SAME_PLACE = 1 * u.arcsec


@dataclass
class Positions:
    """
    Positions of galaxies, with the identifiers, reddening and fields that their table gives.

    Parameters
    ----------
    coord : `~astropy.coordinates.SkyCoord` (N,)
        ICRS; NaN where the table has no usable position.
    ids : `~numpy.ndarray` (N,), optional
        Names or numbers of the galaxies; -1 or an empty text where unknown.
    ebv : `~numpy.ndarray` (N,) float32, optional
        E(B-V) (mag), SFD98 scale; NaN where the table has no usable value, None if it has no such column.
    field_ids : `~numpy.ndarray` (N, 4) int32, optional
        Run, rerun, camcol, field of each galaxy; -1 where unknown, None if the table does not have them.
    like_hours : bool, optional
        Whether right ascensions are numbers without a unit, all below 24, like hours.

    Examples
    --------
    >>> from astropy.coordinates import SkyCoord
    >>> from astro_photz.positions import Positions
    >>> positions = Positions(SkyCoord([150.1, 150.2], [2.2, 2.3], unit="deg"), ids=["A", "B"])
    >>> len(positions), positions.ebv is None
    (2, True)
    """

    coord: SkyCoord
    ids: np.ndarray | None = None
    ebv: np.ndarray | None = None
    field_ids: np.ndarray | None = None
    like_hours: bool = False

    def __len__(self):
        return len(self.coord)

    @property
    def valid(self):
        """Mask of the galaxies with a usable position, `~numpy.ndarray` (N,) bool."""
        return np.isfinite(self.coord.ra.deg)


def read_positions(
    data: Table | SkyCoord,
    *,
    coord: str | SkyCoord | None = None,
    ra: str | None = None,
    dec: str | None = None,
    ra_unit: UnitLike = None,
    ebv: str | None = None,
    extinction_release: int | None = None,
) -> Positions:
    """
    Find the positions in a table.

    Parameters
    ----------
    data : `~astropy.table.Table` or `~astropy.coordinates.SkyCoord`
        With a SkyCoord column of any name, frame and representation, or with columns of right ascension and
        declination under the usual names (ICRS; numbers without a unit are degrees, sexagesimal text is hours and
        degrees). A SkyCoord may be scalar: that is one galaxy.
    coord : str, optional
        Name of the SkyCoord column, if there are several.
    ra, dec : str, optional
        Names of the columns of right ascension and declination, if they are not the usual ones.
    ra_unit : str or `~astropy.units.Unit`, optional
        Unit of a right ascension whose column has none, such as ``"hourangle"``.
    ebv : str, optional
        Name of the column of E(B-V), if it is not ``ebv``, ``E(B-V)`` or ``EBV_SFD``. Without such a column, the SDSS
        extinctions ``extinction_u`` ... ``extinction_z`` or ``A_u`` ... ``A_z`` are used.
    extinction_release : int, optional
        SDSS data release of those extinctions, if their values do not show it: see
        `~astro_photz.dust.ebv_from_extinction`.

    Returns
    -------
    `Positions`
        A position is NaN if it is masked, a null word, a sentinel (-9999 and the like), not finite or beyond the poles.
        An E(B-V) is NaN in the same cases, and if it is negative.

    Raises
    ------
    TypeError
        If ``data`` is neither a Table nor a SkyCoord, or the name of a column is no text.
    ValueError
        If there are no coordinates or several that differ, a column holds neither numbers nor text, a unit is no angle
        (for E(B-V), no magnitude), a frame does not convert to ICRS, or ``extinction_release`` is none of SDSS.
    KeyError
        If a named column is not there.

    Warns
    -----
    AstropyUserWarning
        If extinctions fit no release of SDSS, or several.

    Examples
    --------
    >>> from astropy.table import Table
    >>> from astro_photz.positions import read_positions
    >>> table = Table({"RAJ2000": [150.1, 150.2], "DEJ2000": [2.2, 95.0], "EBV": [0.02, 0.02]})
    >>> read_positions(table).valid
    array([ True, False])
    """
    if isinstance(data, SkyCoord):
        return Positions(direction_of(data))
    if not isinstance(data, Table):
        raise TypeError(f"data must be an astropy Table or a SkyCoord; got {type(data).__name__}")
    if extinction_release is not None:
        check_release("extinction_release", extinction_release)
    place, like_hours = _find_coord(data, coord, ra, dec, ra_unit)
    return Positions(
        place,
        ids=_find_ids(data),
        ebv=_find_ebv(data, ebv, extinction_release),
        field_ids=_find_field_ids(data),
        like_hours=like_hours,
    )


def position_columns(
    table: Table,
    *,
    coord: str | SkyCoord | None = None,
    ra: str | None = None,
    dec: str | None = None,
    ebv: str | None = None,
) -> list[str]:
    """
    List the columns that `read_positions` may look at.

    Parameters
    ----------
    table : `~astropy.table.Table`
        Any rows of it.
    coord, ra, dec, ebv : str, optional
        As in `read_positions`.

    Returns
    -------
    list of str
        In the order of the table.

    Examples
    --------
    >>> from astropy.table import Table
    >>> from astro_photz.positions import position_columns
    >>> position_columns(Table({"objid": [1], "RAJ2000": [1.5], "DEJ2000": [2.5], "mag": [17.0]}))
    ['objid', 'RAJ2000', 'DEJ2000']
    """
    usual = {name for pair in PAIRS for name in pair}.union(_EBV_NAMES, _FIELD_NAMES, ["objid"])
    usual |= {f"{stem}{band}" for stem in _EXTINCTION_STEMS for band in BANDS}
    found = {str(name) for name in (coord, ra, dec, ebv) if isinstance(name, str)}.union(named(table, *usual))
    return [name for name in table.colnames if name in found or isinstance(table[name], SkyCoord)]


def _column(table, name, parameter):
    if isinstance(name, bool) or not isinstance(name, str | int | float | np.number):
        raise TypeError(f"{parameter} must be the name of a column, got {shortened(name)}")
    name = str(name)  # pandas may have numbers for names
    if name not in table.colnames:
        raise KeyError(f"{parameter}={name!r}: the table has no such column; {advice(name, table.colnames)}")
    return table[name]


def _find_coord(table, coord, ra, dec, ra_unit):
    """Find the positions, and whether they may be in hours."""
    if coord is not None:
        column = _column(table, coord, "coord")
        if not isinstance(column, SkyCoord):
            raise ValueError(
                f"coord={coord!r} must be a SkyCoord column; name columns of ra and dec by ra= and dec=, and make text "
                f"of both a SkyCoord: SkyCoord(table[{coord!r}], unit=('hourangle', 'deg'))"
            )
        return _of_skycoord(column, coord), False
    if ra is not None or dec is not None:
        if ra is None or dec is None:
            raise ValueError(f"ra= and dec= go together; got ra={ra!r}, dec={dec!r}")
        return _from_columns(_column(table, ra, "ra"), _column(table, dec, "dec"), ra_unit)

    candidates = {
        repr(name): (_of_skycoord(table[name], name), False)
        for name in table.colnames
        if isinstance(table[name], SkyCoord)
    }
    for names in PAIRS:
        ras, decs = named(table, names[0]), named(table, names[1])
        for ra, dec in zip(ras, decs, strict=True) if len(ras) == len(decs) else product(ras, decs):
            if candidates and (foreign_kind(table[ra]) or foreign_kind(table[dec])):
                continue  # such as a SkyCoord of the name ra, which is among the candidates
            candidates[f"{ra!r}/{dec!r}"] = _from_columns(table[ra], table[dec], ra_unit)
    if not candidates:
        raise ValueError(no_coordinates(table.colnames))
    (place, like_hours), *others = candidates.values()
    for other, _ in others:
        if not _same_place(place, other):
            raise ValueError(
                f"the table has several coordinates that differ: {', '.join(candidates)}; "
                "say which by coord= (a SkyCoord column) or by ra= and dec="
            )
        known = np.isfinite(place.ra.deg)
        ra, dec = (np.where(known, getattr(place, name).deg, getattr(other, name).deg) for name in ("ra", "dec"))
        place = icrs_from_degrees(ra, dec)
    return place, like_hours


def _same_place(one, other):
    """Check whether two positions agree in all rows in which both are known."""
    separation = one.separation(other)
    return bool((separation[np.isfinite(separation)] < _SAME_PLACE).all())


def _of_skycoord(column, name):
    try:
        return direction_of(column)
    except ValueError as error:
        raise ValueError(f"column {name!r}: {error}") from None


def _from_columns(ra, dec, ra_unit):
    """Positions, and whether they may be in hours: numbers without a unit, all below 24."""
    for column in (ra, dec):
        if kind := foreign_kind(column):
            remedy = "name it by coord=" if isinstance(column, SkyCoord) else "give it numbers or text"
            raise ValueError(f"column {column.info.name!r} must hold angles; it holds {kind}: {remedy}")
    unit = _unit_of(ra) or _given_unit(ra_unit)
    degrees = _degrees(ra, unit, text_unit=u.hourangle, sentinels=SENTINELS)
    # A declination of -9 can be meant; the other sentinels lie beyond a pole.
    place = icrs_from_degrees(degrees, _degrees(dec, _unit_of(dec), text_unit=u.deg, sentinels=()))
    known = degrees[np.isfinite(place.ra.deg)]
    like_hours = unit is None and ra.dtype.kind in "iuf" and len(known) > 0 and (0 <= known.min() <= known.max() < 24)
    return place, bool(like_hours)


def _given_unit(ra_unit):
    try:
        unit = parse_unit(ra_unit)
    except ValueError:
        unit = u.m
    if unit is not None and not unit.is_equivalent(u.deg):
        raise ValueError(f"ra_unit={str(ra_unit)!r} must be a unit of angle: deg, hourangle, rad")
    return unit


def _unit_of(column):
    """Unit of a column of angles, from the column or its name; None if there is none."""
    name = column.info.name
    try:
        unit = own_unit(column)
    except ValueError:
        unit = u.m
    if unit is not None and not unit.is_equivalent(u.deg):
        raise ValueError(
            f"column {name!r} has the unit {str(column.unit)!r}, which is no angle: give it one (deg, hourangle, rad)"
        )
    return unit or unit_in_name(name)[1]


def _degrees(column, unit, *, text_unit, sentinels):
    """Angles (N,) in degrees, NaN where unknown."""
    if len(column.shape) != 1:
        raise ValueError(f"column {column.info.name!r} must have one number in each row, got the shape {column.shape}")
    factor = (unit or u.deg).to(u.deg)
    degrees = numbers(column, sentinels=sentinels) * factor
    plain, mask = values_and_mask(column)
    if plain.dtype.kind in "USO":
        for row in np.flatnonzero(np.isnan(degrees) & ~mask):
            degrees[row] = _parse_angle(plain[row], unit or text_unit)
    return degrees


def _parse_angle(text, unit):
    text = text.decode("utf-8", "replace") if isinstance(text, bytes) else str(text)
    if text.strip().lower() in NULL_WORDS:
        return np.nan
    try:
        float(text)
    except ValueError:
        pass
    else:
        return np.nan  # a sentinel
    if any(letter.isdigit() and not letter.isascii() for letter in text):
        return np.nan  # Angle reads digits of any script
    try:
        return Angle(text, unit=unit).deg
    except ValueError:
        return np.nan


def _find_ids(table):
    names = [name for name in named(table, "objid") if _is_plain(table[name])]
    return identifiers(table[names[0]]) if names else None


def _is_plain(column):
    """Check whether a column holds a number or a text in each row."""
    return not foreign_kind(column) and len(column.shape) == 1


def _find_ebv(table, ebv, data_release):
    if ebv is not None:
        return _clean_ebv(_magnitudes(_column(table, ebv, "ebv")), data_release)
    names = named(table, *_EBV_NAMES)
    if len(names) > 1:
        raise ValueError(f"the table has several columns of E(B-V): {', '.join(names)}; say which by ebv=")
    if names:
        return _clean_ebv(_magnitudes(table[names[0]]), data_release)
    for stem in _EXTINCTION_STEMS:
        bands = [named(table, f"{stem}{band}") for band in BANDS]
        if all(bands):
            extinction = np.stack([_magnitudes(table[names[0]]) for names in bands], axis=1)
            return _clean_ebv(extinction, data_release)
    return None


def _magnitudes(column):
    name = column.info.name
    if kind := foreign_kind(column):
        raise ValueError(f"column {name!r} must hold magnitudes; it holds {kind}: give it numbers, or name another one")
    try:
        unit = own_unit(column) or unit_in_name(name)[1] or u.mag
        factor = unit.to(u.mag)
    except ValueError:  # also of a unit that is none
        raise ValueError(f"column {name!r} must hold magnitudes; it has the unit {str(column.unit)!r}") from None
    return numbers(column, sentinels=SENTINELS + POSITIVE_SENTINELS) * factor


def _clean_ebv(values, data_release):
    """E(B-V) with NaN for impossible values; five numbers a row are A_ugriz, as in the published data sets."""
    if values.ndim > 1:
        return ebv_from_extinction(values, data_release=data_release)
    return np.where(values >= 0, values, np.nan).astype(np.float32)


def _find_field_ids(table):
    found = {name: [column for column in named(table, name) if _is_plain(table[column])][:1] for name in _FIELD_NAMES}
    if not (found["run"] and found["camcol"] and found["field"]):
        return None
    known = {name: integers(table[column]) for name, columns in found.items() for column in columns}
    if len(table) and any((known[name] < 0).all() for name in ("run", "camcol", "field")):
        return None  # e.g. a "field" that names a region of the sky
    field_ids = np.full((len(table), 4), RERUN, dtype=np.int32)
    for place, name in enumerate(found):
        field_ids[:, place] = known.get(name, RERUN)
    field_ids[(field_ids < 0).any(axis=1) | ~np.isin(field_ids[:, 2], CAMCOLS)] = -1
    return field_ids
