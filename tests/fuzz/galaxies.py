# Licensed under a 3-clause BSD style license - see LICENSE
"""
Tables of galaxies with columns of every kind, from plain descriptions.
"""

from functools import cache

import numpy as np
from astropy import units as u
from astropy.coordinates import AltAz, Angle, EarthLocation, Galactic, Latitude, Longitude, SkyCoord, SkyOffsetFrame
from astropy.table import Column, MaskedColumn, NdarrayMixin, QTable, Table
from astropy.time import Time, TimeDelta
from astropy.utils.masked import Masked
from hypothesis import strategies as st

from .edits import mostly

__all__ = ["columns", "made_table", "names"]

_UNITS = (
    "deg",
    "hourangle",
    "rad",
    "arcsec",
    "m",
    "mag",
    "mmag",
    "",
    "s",
    "deg2",
    "km/s",
    "nonsense",
    "dex",
    "mag(AB)",
)
_NAMES = (
    *("ra", "dec", "RA", "DEC", "RAJ2000", "DEJ2000", "ra_hms", "coord", "objid", "id", "name", "ebv", "E(B-V)"),
    *(
        "extinction_u",
        "extinction_g",
        "extinction_r",
        "extinction_i",
        "extinction_z",
        "run",
        "rerun",
        "camcol",
        "field",
    ),
    *("z_spec", "z_phot", "z_phot_err", "z_phot_flags", "z_phot_pdf", "z_phot_lo68", "r_mag", "seeing", "ra_deg"),
    *("", " ", "é", "a\nb", "\x00", "a.b", "ra [deg]", "RA(J2000)", "x" * 100, "ra ", "%", "'", '"', "#ra", "col,1"),
)
names = st.sampled_from(_NAMES) | st.text(max_size=6)
"""Names of columns, usual ones among them."""

_KINDS = (
    *("float", "float", "float32", "float16", "longdouble", "int", "int", "uint64", "text", "text", "bytes", "bool"),
    *("complex", "object", "masked", "masked text", "quantity", "masked quantity", "multi", "structured", "angle"),
    *("longitude", "latitude", "time", "timedelta", "datetime", "skycoord", "galactic", "altaz", "offset", "cartesian"),
    *("masked skycoord", "proper", "mixin", "void", "empty unit"),
)
_DEGREES = st.floats(-95, 365, allow_nan=False).map(lambda value: round(value, 4))
_VALUES = mostly(_DEGREES | st.floats(0, 1))


@st.composite
def columns(draw, *, most=6):
    """Descriptions of columns of one length: name, kind, unit and values of each."""
    n = draw(st.sampled_from([3, 3, 3, 1, 0, 2, 5]))
    found = []
    if draw(st.booleans()):  # what a right table has
        found = [
            {"name": "ra", "kind": "float", "unit": "deg", "values": [150.0 + row for row in range(n)]},
            {"name": "dec", "kind": "float", "unit": "deg", "values": [2.0 + row for row in range(n)]},
        ]
    for _ in range(draw(st.integers(0, most - len(found)))):
        found.append(
            {
                "name": draw(names),
                "kind": draw(st.sampled_from(_KINDS)),
                "unit": draw(st.sampled_from(_UNITS)),
                "values": draw(st.lists(_VALUES, min_size=n, max_size=n)),
            }
        )
    return found


def made_table(described, *, quantities=False):
    """Make the table of a description; columns of one name take the last one's values."""
    table = QTable() if quantities else Table()
    for one in described:
        if one["name"] in table.colnames:
            continue
        table[one["name"]] = _column(one["kind"], one["values"], one["unit"])
    return table


def _floats(values):
    found = []
    for value in values:
        try:
            found.append(float(value))
        except (TypeError, ValueError, OverflowError):
            found.append(np.nan)
    return np.array(found, dtype=float)


def _texts(values):
    return np.array([str(value).encode("utf-8", "replace").decode() for value in values], dtype=str)


def _angles(values, low, high):
    return np.clip(np.nan_to_num(_floats(values), nan=0, posinf=0, neginf=0), low, high)


def _objects(values):
    column = np.empty(len(values), dtype=object)
    column[:] = values
    return column


def _mask(values):
    return np.arange(len(values)) % 2 == 0


@cache
def _place():
    return {
        "obstime": Time("2020-01-01"),
        "location": EarthLocation(lat=19.8 * u.deg, lon=-155.5 * u.deg, height=4 * u.km),
    }


def _column(kind, values, unit):
    n, floats = len(values), _floats(values)
    with np.errstate(all="ignore"):
        if kind in _PLACES:
            return _coordinates(kind, _angles(values, 0, 360) * u.deg, _angles(values, -90, 90) * u.deg)
        if kind in _TIMES:
            return _time(kind, np.nan_to_num(np.clip(floats, -1e4, 1e4)))
        plain = {
            "float": lambda: Column(floats, unit=_known(unit)),
            "float32": lambda: Column(floats.astype(np.float32), unit=_known(unit)),
            "float16": lambda: floats.astype(np.float16),
            "longdouble": lambda: floats.astype(np.longdouble),
            "int": lambda: np.nan_to_num(np.clip(floats, -(2.0**62), 2.0**62)).astype(np.int64),
            "uint64": lambda: np.nan_to_num(np.clip(floats, 0, 2.0**63)).astype(np.uint64),
            "text": lambda: Column(_texts(values), unit=_known(unit)),
            "bytes": lambda: np.char.encode(_texts(values), "utf-8"),
            "bool": lambda: np.nan_to_num(floats) > 0,
            "complex": lambda: floats * (1 + 2j),
            "object": lambda: _objects(values),
            "masked": lambda: MaskedColumn(floats, mask=_mask(values), unit=_known(unit)),
            "masked text": lambda: MaskedColumn(_texts(values), mask=_mask(values)),
            "quantity": lambda: floats * u.Unit(unit if unit != "nonsense" else "m"),
            "masked quantity": lambda: Masked(floats * u.deg, mask=_mask(values)),
            "multi": lambda: np.stack([floats] * 5, axis=1),
            "structured": lambda: np.array([(value, 1) for value in floats], dtype=[("a", float), ("b", int)]),
            "angle": lambda: Angle(floats, "deg"),
            "longitude": lambda: Longitude(_angles(values, 0, 360), "deg"),
            "latitude": lambda: Latitude(_angles(values, -90, 90), "deg"),
            "mixin": lambda: np.array([(value,) for value in floats], dtype=[("a", float)]).view(NdarrayMixin),
            "void": lambda: np.zeros(n, dtype="V4"),
            "empty unit": lambda: Column(floats, unit=u.dimensionless_unscaled),
        }
        return plain[kind]()


_PLACES = ("skycoord", "galactic", "altaz", "offset", "cartesian", "masked skycoord", "proper")
_TIMES = ("time", "timedelta", "datetime")


def _known(unit):
    return u.Unit(unit, parse_strict="silent") if unit else None


def _time(kind, days):
    if kind == "datetime":
        return np.datetime64("2000-01-01") + days.astype("timedelta64[D]")
    return Time(2451545 + days, format="jd") if kind == "time" else TimeDelta(days, format="jd")


def _coordinates(kind, lon, lat):
    if kind == "galactic":
        return SkyCoord(Galactic(lon, lat))
    if kind == "altaz":
        return SkyCoord(AltAz(lon, lat))  # without a place and a time, as some write it
    if kind == "offset":
        return SkyCoord(SkyOffsetFrame(lon, lat, origin=SkyCoord(10 * u.deg, 20 * u.deg)))
    if kind == "cartesian":
        return SkyCoord(x=lon.value * u.kpc, y=lat.value * u.kpc, z=lat.value * u.kpc, representation_type="cartesian")
    if kind == "masked skycoord":
        mask = np.arange(len(lon)) % 2 == 0
        return SkyCoord(Masked(lon, mask=mask), Masked(lat, mask=mask))
    if kind == "proper":
        return SkyCoord(lon, lat, pm_ra_cosdec=lat.value * u.mas / u.yr, pm_dec=lat.value * u.mas / u.yr)
    return SkyCoord(lon, lat)
