# Licensed under a 3-clause BSD style license - see LICENSE
"""
Units in the spellings that catalogues use.
"""

import re

from astropy import units as u

__all__ = ["own_unit", "parse_unit"]

_SPELLINGS = {
    u.deg: ("deg", "degs", "degree", "degrees", "decimal degrees", "decimal degree", "degr", "°"),
    u.hourangle: ("hourangle", "hour", "hours", "hr", "hrs", "h", "hms", "h:m:s", "hh:mm:ss", "hour angle"),
    u.rad: ("rad", "rads", "radian", "radians"),
    u.arcmin: ("arcmin", "arcmins", "arcminute", "arcminutes", "amin", "'"),
    u.arcsec: ("arcsec", "arcsecs", "arcsecond", "arcseconds", "asec", '"'),
    u.mas: ("mas", "milliarcsec", "milliarcsecond", "milliarcseconds"),
    u.mag: ("mag", "mags", "magnitude", "magnitudes", "abmag", "mag(ab)"),
    u.mmag: ("mmag", "millimag", "millimagnitude", "millimagnitudes"),
    u.nmgy: ("nmgy", "nanomaggy", "nanomaggies"),
}
_BY_NAME = {name: unit for unit, names in _SPELLINGS.items() for name in names}
_BY_NAME |= dict.fromkeys(("d:m:s", "dms", "dd:mm:ss"), u.deg)
_NONE = ("", "none", "null", "-", "--", "---", "1", "unitless", "dimensionless")


def parse_unit(text):
    """
    Read a unit.

    Any usual spelling will do, in brackets or not: ``deg``, ``DEGREES``, ``[deg]``, ``"h:m:s"``; an hour is one of
    angle. Return None for no unit; raise a ValueError if the text is no unit.

    Examples
    --------
    >>> from astro_photz.utils._units import parse_unit
    >>> parse_unit("[DEGREES]")
    Unit("deg")
    """
    if text is None or (isinstance(text, u.UnitBase) and text == u.dimensionless_unscaled):
        return None
    spelt = re.sub(r"\s+", " ", str(text)).strip()
    bare = spelt.strip(" .[](){}").strip("\"'" if len(spelt) > 2 else "").lower()
    if bare in _NONE and spelt not in ("'", '"'):
        return None
    known = _BY_NAME.get(bare) or _BY_NAME.get(spelt) or _BY_NAME.get(spelt.lower())
    if known is not None:
        return known
    if isinstance(text, u.UnitBase) and not isinstance(text, u.UnrecognizedUnit):
        return text
    for candidate in (spelt, spelt.strip(" .[](){}"), bare):
        try:
            unit = u.Unit(candidate)
            return None if unit == u.dimensionless_unscaled else unit
        except (ValueError, TypeError, ArithmeticError):  # also of a power that no number holds
            continue
    raise ValueError(f"{spelt!r} is no unit")


def own_unit(values):
    """
    Find the unit of values.

    Return None if they have none; a list of quantities has the unit of the first. Raise a ValueError if it is no unit.
    """
    if isinstance(values, list | tuple):
        units = [value.unit for value in values if isinstance(value, u.Quantity)]
        return parse_unit(units[0]) if units else None
    return parse_unit(getattr(values, "unit", None))
