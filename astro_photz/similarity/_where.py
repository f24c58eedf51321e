# Licensed under a 3-clause BSD style license - see LICENSE
"""
Conditions on the galaxies that a search looks at: cones, ranges of columns, masks and flags, before the search.
"""

import numpy as np
from astropy import units as u
from astropy.coordinates import SkyCoord

from astro_photz.utils._arrays import values_and_mask
from astro_photz.utils._sky import direction_of, icrs_from_degrees
from astro_photz.utils._suggestions import advice

__all__ = ["coordinates", "selected_rows"]

_KINDS = (
    "a cone (SkyCoord, Quantity), a dict of columns and ranges, a mask, flags that rows must not have, "
    "or a list of these"
)


def selected_rows(contents, where):
    """
    Find the rows that all conditions hold for.

    Parameters
    ----------
    contents : `~astro_photz.similarity._contents.Contents` (N,)
    where : tuple, dict, `~numpy.ndarray` (N,) of bool, int, list or None
        As in `~astro_photz.SimilarityIndex.query`.

    Returns
    -------
    `~numpy.ndarray` (L,) of int or None
        In increasing order; None for all rows.

    Raises
    ------
    TypeError, ValueError
        If a condition is none.
    """
    several = isinstance(where, list) and not _is_mask(where)
    if several and len(where) > 1 and all(type(one) in (int, np.int32, np.int64) for one in where):
        raise TypeError(
            "where must not be a list of numbers: rows are chosen by a mask, such as np.isin(np.arange(len(index)), "
            "rows), ids by {'id': [...]}, and flags by one number, with | between them"
        )
    conditions = where if several else [] if where is None else [where]
    if not conditions:
        return None
    kept = np.ones(len(contents), dtype=bool)
    for condition in conditions:
        kept &= _mask(contents, condition)
    return np.flatnonzero(kept)


def coordinates(contents):
    """Positions of the galaxies, NaN where unknown. Raise a ValueError if the index has none."""
    if not contents.has_positions:
        raise ValueError("the index has no positions: build it with a table that has some")
    places = (np.ma.filled(np.ma.asarray(contents.catalogue[name]).astype(float), np.nan) for name in ("ra", "dec"))
    return icrs_from_degrees(*places)


def _is_mask(where):
    return len(where) > 0 and all(isinstance(one, bool | np.bool_) for one in where)


def _mask(contents, condition):
    """Mask (N,) of the rows that one condition holds for."""
    if isinstance(condition, dict):
        return np.logical_and.reduce([_in_range(contents, *item) for item in condition.items()])
    if isinstance(condition, tuple) and len(condition) == 2 and isinstance(condition[0], SkyCoord):
        return _in_cone(contents, *condition)
    if isinstance(condition, int | np.integer) and not isinstance(condition, bool):
        return _without_flags(contents, int(condition))
    mask, unknown = values_and_mask(condition)
    if mask.dtype.kind != "b":
        raise TypeError(f"where must be {_KINDS}; got {condition!r}")
    if mask.shape != (len(contents),):
        raise ValueError(f"where must have a value for each of the {len(contents)} galaxies, got {mask.shape}")
    return mask & ~unknown


def _in_cone(contents, centre, radius):
    try:
        radius = u.Quantity(radius)
        limit = radius.to_value(u.deg)
    except (u.UnitConversionError, TypeError):
        raise ValueError(f"the radius of a cone must be an angle, such as 0.5 * u.deg; got {radius!r}") from None
    centre = direction_of(centre)
    if len(centre) != 1 or not np.isfinite(centre.ra.deg).all():
        raise ValueError("the centre of a cone must be one position")
    return coordinates(contents).separation(centre[0]).deg <= limit  # NaN is never inside


def _in_range(contents, name, wanted):
    own = name == "id"
    if name == "id_catalogue" and name not in contents.catalogue.colnames:  # the name that it has in answers
        name = "id"
    if own:
        values, unknown, unit = np.asarray(contents.ids), False, None
    else:
        if name not in contents.catalogue.colnames:
            raise ValueError(f"no column {name!r} in the index: {advice(name, [*contents.catalogue.colnames, 'id'])}")
        values, unknown = values_and_mask(contents.catalogue[name])
        unit = contents.catalogue[name].unit
    if values.ndim != 1:
        raise ValueError(f"column {name!r} has several values a row: a range needs one")
    if isinstance(wanted, tuple):
        return _between(name, values, wanted, unit) & ~np.asarray(unknown)
    several = wanted if isinstance(wanted, list | set) else [wanted]
    return np.isin(values, [_in_unit(name, one, unit) for one in several]) & ~np.asarray(unknown)


def _in_unit(name, value, unit):
    """Convert a quantity to a number in the unit of a column, which must have one."""
    if not isinstance(value, u.Quantity):
        return value
    if unit is None and value.unit != u.one:
        raise ValueError(f"column {name!r} has no unit, so {value} does not compare with it: give a number")
    try:
        return value.to_value(unit or u.one)
    except u.UnitConversionError:
        raise ValueError(f"column {name!r} is in {unit}, so {value} does not compare with it") from None


def _between(name, values, limits, unit):
    if len(limits) != 2:
        raise ValueError(f"the range of {name!r} must be (lowest, highest), None for no limit; got {limits!r}")
    texts = values.dtype.kind in "US"
    if any(limit is not None and isinstance(limit, str | bytes) != texts for limit in limits):
        raise ValueError(f"the range {limits!r} does not suit the column {name!r}, which holds {values.dtype}")
    low, high = (_in_unit(name, limit, unit) for limit in limits)
    try:
        kept = np.ones(len(values), dtype=bool) if values.dtype.kind != "f" else ~np.isnan(values)
        kept &= True if low is None else values >= low
        kept &= True if high is None else values <= high
    except (TypeError, ValueError) as error:
        raise ValueError(f"the range {limits!r} does not suit the column {name!r}: {error}") from error
    return kept


def _without_flags(contents, flags):
    names = [name for name in contents.catalogue.colnames if name == "flags" or name.endswith("_flags")]
    names = [name for name in names if contents.catalogue[name].dtype.kind in "iu"]
    if not names:
        raise ValueError("the index has no column of flags (flags, or a name that ends in _flags)")
    kept = np.ones(len(contents), dtype=bool)
    for name in names:
        kept &= (np.asarray(contents.catalogue[name]) & flags) == 0
    return kept
