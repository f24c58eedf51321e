# Licensed under a 3-clause BSD style license - see LICENSE
"""
True redshifts, and other numbers, from the columns of a table or from arrays.
"""

import numpy as np
from astropy import units as u

from astro_photz.utils._arrays import POSITIVE_SENTINELS, SENTINELS, numbers, values_and_mask
from astro_photz.utils._suggestions import advice
from astro_photz.utils._units import own_unit

__all__ = ["HIGHEST", "NO_ESTIMATE", "NO_REDSHIFT", "advised", "read_redshifts", "read_values"]

NO_REDSHIFT = "no redshift"
"""Reason for which a row is not used."""

NO_ESTIMATE = "no estimate"
"""Reason for which a row is not used."""

HIGHEST = 15.0
"""Number above which a value is no redshift of a galaxy."""

_LOWEST = -0.01  # nearby galaxies have redshifts below 0, by their motion
_NEGATIVE, _TOO_HIGH = "a negative redshift", f"a redshift above {HIGHEST:g}"
_USUAL = ("z_spec", "specz_redshift", "redshift", "spec_z", "specz")


def read_redshifts(table, redshift):
    """
    Read the true redshifts.

    Parameters
    ----------
    table : `~astropy.table.Table` (N,)
    redshift : str or array_like (N,)
        Name of a column, or redshifts. For the default, ``"z_spec"``, other usual names are taken where it is absent.

    Returns
    -------
    values : `~numpy.ndarray` (N,)
        NaN where unknown.
    problems : `~numpy.ndarray` (N,) of str
        Why a row has none; an empty text where it has one.
    name : str

    Raises
    ------
    KeyError
        If there is no such column.
    ValueError
        If it has the unit of a velocity, or another one; or if there is no redshift in it.

    Examples
    --------
    >>> from astropy.table import Table
    >>> from astro_photz.validation.redshifts import read_redshifts
    >>> read_redshifts(Table({"z": [0.1, -9999.0, -0.5]}), "z")[:2]
    (array([0.1, nan, nan]), array(['', 'no redshift', 'a negative redshift'], dtype='<U19'))
    """
    if isinstance(redshift, str) and redshift == _USUAL[0] and redshift not in table.colnames:
        redshift = next((name for name in _USUAL if name in table.colnames), redshift)
    values = read_values(table, redshift, "redshift")
    wrong = [np.isnan(values), values < _LOWEST, values > HIGHEST]
    problems = np.select(wrong, [NO_REDSHIFT, _NEGATIVE, _TOO_HIGH], default="")
    if (problems != "").all() and len(values):
        name = f"column {redshift!r}" if isinstance(redshift, str) else "redshift="
        first = next(iter(table[redshift] if isinstance(redshift, str) else redshift))
        raise ValueError(f"{name} has no redshift in it; the first value is {str(first)!r}")
    name = redshift if isinstance(redshift, str) else getattr(redshift, "name", None) or "redshift"
    return np.where(problems == "", values, np.nan), problems, str(name)


def read_values(table, given, parameter):
    """
    Read numbers without a unit, such as redshifts.

    Parameters
    ----------
    table : `~astropy.table.Table` (N,)
    given : str or array_like (N,)
        Name of a column, or numbers.
    parameter : str
        Name for messages.

    Returns
    -------
    `~numpy.ndarray` (N,)
        NaN where masked, a null word, a sentinel (-9999, 99, ...) or no number.

    Raises
    ------
    KeyError
        If there is no such column.
    ValueError
        If there is not one real number in each row, or they have a unit.
    """
    if isinstance(given, str):
        if given not in table.colnames:
            known = advised(given, table.colnames) if table.colnames else "it has no columns"
            raise KeyError(f"{parameter}={given!r}: the table has no such column; {known}")
        values, shown = table[given], f"column {given!r}"
    else:
        values, shown = given, f"{parameter}="
    _check_unit(values, shown)
    kind = values_and_mask(values)[0].dtype.kind
    if kind in "bc":
        raise ValueError(f"{shown} must hold numbers; it holds {'True and False' if kind == 'b' else 'complex ones'}")
    plain = numbers(values, sentinels=SENTINELS + POSITIVE_SENTINELS)
    if plain.shape != (len(table),):
        raise ValueError(f"{shown} must have the shape ({len(table)},), a number in each row; got {plain.shape}")
    return plain


def advised(name, known):
    """
    Suggest the nearest known column within a sentence.

    Parameters
    ----------
    name : str
    known : list of str

    Returns
    -------
    str

    Examples
    --------
    >>> from astro_photz.validation.redshifts import advised
    >>> advised("z", ["ra", "dec"])
    'known are ra, dec'
    """
    text = advice(name, known)
    return text[0].lower() + text[1:]


def _check_unit(values, shown):
    try:
        unit = own_unit(values)
    except ValueError:
        unit = getattr(values, "unit", None)
    if unit is None or str(unit) == "redshift":
        return
    remedy = "make numbers without a unit of it"
    if unit.is_equivalent(u.km / u.s):
        remedy = "a velocity: divide it by the speed of light, if it is c z"
    raise ValueError(f"{shown} must hold redshifts; it has the unit {str(unit)!r}: {remedy}")
