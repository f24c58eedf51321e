# Licensed under a 3-clause BSD style license - see LICENSE
"""
Names of columns in the spellings of catalogues.
"""

import re
from difflib import SequenceMatcher

from astropy import units as u

from ._units import parse_unit

__all__ = ["GALAXY_NAMES", "IDENTIFIERS", "bare", "named", "nearest", "unit_in_name"]

IDENTIFIERS = "objid", "objectid", "specobjid", "sourceid", "galaxyid", "id"
"""Bare names of columns that identify galaxies, best first: a plain ``id`` may be the number of a row."""

GALAXY_NAMES = *IDENTIFIERS, "name", "galaxy"
"""The same, and those of names, which may be one for all galaxies of a survey."""

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


def _likeness(column, name):
    words = re.split(r"[^a-z0-9]+", re.sub(r"(?<=[a-z])(?=[A-Z])", "_", str(column)).lower())
    has_word = name in words
    return 0.9 * has_word if has_word else SequenceMatcher(None, bare(column), name).ratio()
