# Licensed under a 3-clause BSD style license - see LICENSE
"""
Names of columns in the spellings of catalogues.
"""

import re
from difflib import SequenceMatcher

from astropy import units as u

from ._units import parse_unit

__all__ = ["GALAXY_NAMES", "IDENTIFIERS", "bare", "named", "nearest", "no_coordinates", "unit_in_name"]

IDENTIFIERS = "objid", "objectid", "specobjid", "sourceid", "galaxyid", "id"
"""Bare names of columns that identify galaxies, best first: a plain ``id`` may be the number of a row."""

GALAXY_NAMES = *IDENTIFIERS, "name", "galaxy"
"""The same, and those of names, which may be one for all galaxies of a survey."""

PAIRS = (
    ("ra", "dec"),
    ("ra", "de"),
    ("ra", "decl"),
    ("rightascension", "declination"),
    ("radeg", "decdeg"),
    ("radeg", "dedeg"),
    ("radegrees", "decdegrees"),
    ("rahms", "decdms"),
    ("rahms", "dedms"),
    ("raj2000", "dej2000"),
    ("raj2000", "decj2000"),
    ("ra2000", "dec2000"),
    ("ra2000", "de2000"),
    ("raicrs", "deicrs"),
    ("raicrs", "decicrs"),
    ("alphaj2000", "deltaj2000"),  # SExtractor, and the next five
    ("alphawinj2000", "deltawinj2000"),
    ("alphapeakj2000", "deltapeakj2000"),
    ("alphasky", "deltasky"),
    ("alphawinsky", "deltawinsky"),
    ("xworld", "yworld"),
    ("sra", "sdec"),  # the Virtual Observatory
    ("ra1", "dec1"),  # the first of two tables that TOPCAT has matched
    ("plugra", "plugdec"),  # spectrographs
    ("fiberra", "fiberdec"),
    ("targetra", "targetdec"),
    ("ramean", "decmean"),  # Pan-STARRS
    ("meanra", "meandec"),
    ("rastack", "decstack"),
    ("coordra", "coorddec"),  # Rubin
    ("hostra", "hostdec"),
    ("rahost", "dechost"),
    ("galaxyra", "galaxydec"),
    ("galra", "galdec"),
    ("objra", "objdec"),
    ("objectra", "objectdec"),
    ("sourcera", "sourcedec"),
    ("optra", "optdec"),
)
"""Bare names (see `bare`) of right ascension and declination."""

_GREEK = "alpha", "delta"  # alone they are not known names, for they may be slopes
_BRACKETS = re.compile(r"^(?P<stem>.*?)\s*[\[({](?P<unit>[^\[\](){}]*)[\])}]\s*$")
_SUFFIX = re.compile(r"^(?P<stem>.+)[_ ](?P<unit>deg|degrees|degree|rad|radians|hours|hour|hrs|hr)$", re.IGNORECASE)
_LIKE = 0.6  # of SequenceMatcher: "RA_GAL" is like "ra_gal_1", "redshift" is not like "ra"


def unit_in_name(name):
    """
    Find the unit in the name of a column.

    Return the name without the unit, and the unit or None.

    Examples
    --------
    >>> from astro_photz.utils._column_names import unit_in_name
    >>> unit_in_name("RA [deg]")
    ('RA', Unit("deg"))
    >>> unit_in_name("E(B-V)")
    ('E(B-V)', None)
    """
    for pattern in (_BRACKETS, _SUFFIX):
        found = pattern.match(name)
        if found:
            try:
                unit = parse_unit(found["unit"])
            except ValueError:
                continue
            if unit is not None and (unit.is_equivalent(u.deg) or unit.is_equivalent(u.mag)):
                return found["stem"], unit
    return name, None


def bare(name):
    """
    Strip a name of case, spaces, brackets, punctuation and a unit.

    Examples
    --------
    >>> from astro_photz.utils._column_names import bare
    >>> [bare(name) for name in ("RA [deg]", "RA(J2000)", "R.A.", "E(B-V)")]
    ['ra', 'raj2000', 'ra', 'ebv']
    """
    return re.sub(r"[^a-z0-9]", "", unit_in_name(str(name))[0].lower())


def named(table, *names):
    """
    List the columns of a table that have one of some bare names.

    They come in the order of the table.
    """
    return [name for name in table.colnames if bare(name) in names]


def nearest(columns, names):
    """
    Find the column whose name is most similar to a known one.

    ``names`` are bare names; return None if no column's name is similar.

    Examples
    --------
    >>> from astro_photz.utils._column_names import nearest
    >>> nearest(["name", "gal_RA", "z"], ["ra", "alphaj2000"])
    'gal_RA'
    """
    likeness = {column: max(_likeness(column, name) for name in names) for column in columns}
    best = max(likeness, key=likeness.get, default=None)
    return best if best is not None and likeness[best] >= _LIKE else None


def no_coordinates(columns):
    """
    Say that a table has no coordinates under a known name, and propose the columns that come nearest.

    Examples
    --------
    >>> from astro_photz.utils._column_names import no_coordinates
    >>> "if they are 'alpha_host' and 'delta_host', say so" in no_coordinates(["host_mag", "alpha_host", "delta_host"])
    True
    """
    ra, dec = (nearest(columns, {word, *(pair[axis] for pair in PAIRS)}) for axis, word in enumerate(_GREEK))
    if ra and dec and ra != dec:
        remedy = f"if they are {ra!r} and {dec!r}, say so by ra={ra!r} and dec={dec!r}"
    else:
        remedy = "name them by coord= or by ra= and dec="
    has = ", ".join(map(str, columns)) or "no columns"
    return (
        "the table has no coordinates: no SkyCoord column, and no columns ra and dec under a usual name; "
        f"{remedy}. It has {has}."
    )


def _likeness(column, name):
    words = re.split(r"[^a-z0-9]+", re.sub(r"(?<=[a-z])(?=[A-Z])", "_", str(column)).lower())
    has_word = name in words
    return 0.9 * has_word if has_word else SequenceMatcher(None, bare(column), name).ratio()
