# Licensed under a 3-clause BSD style license - see LICENSE
"""
Positions out of any table.

An astronomer's table names its coordinates in one of a dozen ways, and may bring along what saves asking the archive:
the reddening, or the SDSS field of each galaxy. `read_positions` finds all that, or says what it could not decide.
"""

from dataclasses import dataclass
from itertools import product

import numpy as np
from astropy import units as u
from astropy.coordinates import SkyCoord
from astropy.table import Table

from ._arrays import filled, numbers
from .dust import ebv_from_extinction
from .sdss import BANDS, RERUN

__all__ = ["Positions", "read_positions"]

# Lower-case names of right ascension and declination that are taken for what they are.
_PAIRS = (
    ("ra", "dec"),
    ("raj2000", "dej2000"),
    ("raj2000", "decj2000"),
    ("_raj2000", "_dej2000"),
    ("_ra", "_de"),
    ("ra_j2000", "dec_j2000"),
    ("alpha_j2000", "delta_j2000"),
    ("ra_icrs", "de_icrs"),
    ("ra_icrs", "dec_icrs"),
    ("ra_deg", "dec_deg"),
    ("radeg", "dedeg"),
    ("radeg", "decdeg"),
    ("right_ascension", "declination"),
    ("s_ra", "s_dec"),
)
_EBV_NAMES = ("ebv", "e_bv", "e(b-v)", "ebv_sfd")
_SAME_PLACE = 1 * u.arcsec


@dataclass
class Positions:
    """
    Where the galaxies are, and what their table knows of them already.

    Parameters
    ----------
    coord : `~astropy.coordinates.SkyCoord` (N,)
        ICRS; NaN where the table has no usable position.
    ids : `~numpy.ndarray` (N,), optional
        Names or numbers of the galaxies.
    ebv : `~numpy.ndarray` (N,) float32, optional
        E(B-V) (mag), SFD98 scale; NaN where the table has no usable value, None where it has no such column.
    field_ids : `~numpy.ndarray` (N, 4) int32, optional
        Run, rerun, camcol, field of each galaxy; -1 where masked, None where the table does not have them.
    """

    coord: SkyCoord
    ids: np.ndarray | None = None
    ebv: np.ndarray | None = None
    field_ids: np.ndarray | None = None

    def __len__(self):
        return len(self.coord)

    @property
    def valid(self):
        """Whether there is a usable position, `~numpy.ndarray` (N,) bool."""
        return np.isfinite(self.coord.ra.deg)


def read_positions(data, *, coord=None, ra=None, dec=None, ebv=None):
    """
    Find the positions in a table.

    Parameters
    ----------
    data : `~astropy.table.Table` or `~astropy.coordinates.SkyCoord`
        With a SkyCoord column of any name and frame, or with columns of right ascension and declination under the
        usual names (ICRS; numbers without a unit are degrees, sexagesimal text is hours and degrees). A SkyCoord may be
        scalar: that is one galaxy.
    coord : str, optional
        Name of the SkyCoord column, if there are several.
    ra, dec : str, optional
        Names of the columns of right ascension and declination, if they are not the usual ones.
    ebv : str, optional
        Name of the column of E(B-V), if it is not ``ebv``, ``e_bv`` or ``EBV``. Without such a column, the SDSS
        extinctions ``extinction_u`` ... ``extinction_z`` or ``A_u`` ... ``A_z`` are used.

    Returns
    -------
    `Positions`
        A masked or NaN position, or one with a declination beyond the poles, comes out as NaN. So does an E(B-V) that
        is masked, negative or not finite.

    Raises
    ------
    TypeError
        If ``data`` is neither a Table nor a SkyCoord.
    ValueError
        If there are no coordinates or several that differ, or if a unit is no angle (of E(B-V): no magnitude).
    KeyError
        If a named column is not there.

    Examples
    --------
    >>> from astropy.table import Table
    >>> from astro_photz.catalog import read_positions
    >>> table = Table({"RAJ2000": [150.1, 150.2], "DEJ2000": [2.2, 95.0], "EBV": [0.02, 0.02]})
    >>> read_positions(table).valid
    array([ True, False])
    """
    if isinstance(data, SkyCoord):
        return Positions(_icrs(data.reshape(-1)))
    if not isinstance(data, Table):
        raise TypeError(
            f"data must be an astropy Table, QTable or SkyCoord, or Cutouts; got {type(data).__name__}. "
            "A pandas frame becomes one by Table.from_pandas(data)."
        )
    return Positions(
        _find_coord(data, coord, ra, dec),
        ids=_find_ids(data),
        ebv=_find_ebv(data, ebv),
        field_ids=_find_field_ids(data),
    )


def _column(table, name, parameter):
    if name not in table.colnames:
        raise KeyError(f"{parameter}={name!r}: the table has no such column; it has {', '.join(table.colnames)}")
    return table[name]


def _named(table, names):
    """Columns whose lower-case name is one of ``names``, in the order of the table."""
    return [name for name in table.colnames if name.lower() in names]


def _find_coord(table, coord, ra, dec):
    if coord is not None:
        column = _column(table, coord, "coord")
        if not isinstance(column, SkyCoord):
            raise ValueError(f"coord={coord!r} must be a SkyCoord column; for numbers, name the columns ra= and dec=")
        return _icrs(column)
    if ra is not None or dec is not None:
        if ra is None or dec is None:
            raise ValueError(f"ra= and dec= go together; got ra={ra!r}, dec={dec!r}")
        return _from_columns(_column(table, ra, "ra"), _column(table, dec, "dec"))

    candidates = {repr(name): _icrs(table[name]) for name in table.colnames if isinstance(table[name], SkyCoord)}
    for names in _PAIRS:
        ras, decs = _named(table, names[:1]), _named(table, names[1:])
        for ra, dec in zip(ras, decs, strict=True) if len(ras) == len(decs) else product(ras, decs):
            candidates[f"{ra!r}/{dec!r}"] = _from_columns(table[ra], table[dec])
    if not candidates:
        raise ValueError(
            "the table has no coordinates: no SkyCoord column, and no columns ra and dec under a usual name; name them "
            f"by coord= or by ra= and dec=. It has {', '.join(table.colnames) or 'no columns'}."
        )
    first, *others = candidates.values()
    if not all(_same_place(first, other) for other in others):
        raise ValueError(
            f"the table has several coordinates that differ: {', '.join(candidates)}; "
            "say which by coord= (a SkyCoord column) or by ra= and dec="
        )
    return first


def _same_place(one, other):
    separation = one.separation(other)
    both = np.isfinite(separation)
    same_rows = np.array_equal(np.isfinite(one.ra), np.isfinite(other.ra))
    return same_rows and bool((separation[both] < _SAME_PLACE).all())


def _icrs(coord):
    """The same places in ICRS, with NaN for what is masked or not finite."""
    mask = np.broadcast_to(getattr(coord, "mask", False), coord.shape)
    if mask.any():
        coord = coord.unmasked
    icrs = coord.icrs
    return _skycoord(np.where(mask, np.nan, icrs.ra.deg), icrs.dec.deg)


def _from_columns(ra, dec):
    return _skycoord(_degrees(ra, text_unit=u.hourangle), _degrees(dec, text_unit=u.deg))


# How VizieR and others write the units of text.
_SEXAGESIMAL = dict.fromkeys(("h:m:s", "hms", "hh:mm:ss"), u.hourangle) | dict.fromkeys(
    ("d:m:s", "dms", "dd:mm:ss"), u.deg
)


def _degrees(column, *, text_unit):
    if len(column.shape) != 1:
        raise ValueError(f"column {column.info.name!r} must have one number in each row, got the shape {column.shape}")
    own = _SEXAGESIMAL.get(str(column.unit).strip('"').lower(), column.unit)
    unit = own or u.deg
    try:
        if column.dtype.kind in "USO":
            unit.to(u.deg)
            text = np.ma.filled(np.ma.asarray(column).astype(str), "nan")
            return np.array([_parse_angle(value, unit, own or text_unit) for value in text], dtype=float)
        return (filled(column) * unit).to_value(u.deg)
    except ValueError:  # of a unit that astropy does not know, too
        raise ValueError(
            f"column {column.info.name!r} has the unit {str(unit)!r}, which is no angle: "
            "give it one (deg, hourangle, rad)"
        ) from None


def _parse_angle(text, number_unit, unit):
    from astropy.coordinates import Angle

    try:
        return float(text) * number_unit.to(u.deg)  # a number that was read as text
    except ValueError:
        pass
    try:
        return Angle(text, unit=unit).deg
    except ValueError:
        return np.nan


def _skycoord(ra, dec):
    usable = np.isfinite(ra) & np.isfinite(dec) & (np.abs(dec) <= 90) & (np.abs(ra) <= 360)
    return SkyCoord(np.where(usable, ra, np.nan), np.where(usable, dec, np.nan), unit=u.deg)


def _find_ids(table):
    names = _named(table, ("objid",))
    return np.asarray(table[names[0]]) if names else None


def _find_ebv(table, ebv):
    if ebv is not None:
        return _clean_ebv(_magnitudes(_column(table, ebv, "ebv")))
    names = _named(table, _EBV_NAMES)
    if len(names) > 1:
        raise ValueError(f"the table has several columns of E(B-V): {', '.join(names)}; say which by ebv=")
    if names:
        return _clean_ebv(_magnitudes(table[names[0]]))
    for stem in ("extinction_", "A_"):
        bands = [_named(table, (f"{stem}{band}".lower(),)) for band in BANDS]
        if all(bands):
            return _clean_ebv(np.stack([_magnitudes(table[names[0]]) for names in bands], axis=1))
    return None


def _magnitudes(column):
    unit = getattr(column, "unit", None) or u.mag
    if unit == u.dimensionless_unscaled:
        unit = u.mag
    try:
        return (numbers(column) * unit).to_value(u.mag)
    except ValueError:
        raise ValueError(f"column {column.info.name!r} must hold magnitudes; it has the unit {str(unit)!r}") from None


def _clean_ebv(values):
    """E(B-V) with NaN for what cannot be; five numbers a row are A_ugriz, as in the published data sets."""
    ebv = ebv_from_extinction(values) if values.ndim == 2 else values.astype(np.float32)
    return np.where(np.isfinite(ebv) & (ebv >= 0), ebv, np.nan).astype(np.float32)


def _find_field_ids(table):
    names = {name: _named(table, (name,)) for name in ("run", "rerun", "camcol", "field")}
    if not (names["run"] and names["camcol"] and names["field"]):
        return None
    columns = []
    for found in names.values():
        if not found:
            columns.append(np.full(len(table), RERUN))
        elif table[found[0]].dtype.kind not in "iuf":
            return None  # e.g. a "field" that names a region of the sky
        else:
            columns.append(np.nan_to_num(filled(table[found[0]]), nan=-1).astype(int))
    field_ids = np.stack(columns, axis=1).astype(np.int32)
    field_ids[(field_ids < 0).any(axis=1)] = -1
    return field_ids
