# Licensed under a 3-clause BSD style license - see LICENSE
"""
Galaxies that are not independent: observed several times, or drawn from the same real one.
"""

import numpy as np
from astropy import units as u

from astro_photz.utils._arrays import identifiers
from astro_photz.utils._column_names import IDENTIFIERS, bare

from .pairing import id_columns, id_texts
from .redshifts import advised

__all__ = ["group_galaxies"]

_SAME_PLACE = 1 * u.arcsec
_DRAWN_FROM = "seed_index"  # of simulated galaxies, in files of this package


def group_galaxies(table, positions, groups=None):
    """
    Number the groups of galaxies that belong together.

    Galaxies are in one group if they have the same value of ``groups``, the same ``seed_index`` (the progenitor of
    simulated ones), the same identifier (``objid``, ``id``, ``specobjid`` or such), or positions within 1 arcsec; and
    so on, from one to the next.

    Parameters
    ----------
    table : `~astropy.table.Table` (N,)
    positions : `~astro_photz.positions.Positions` (N,) or None
    groups : str or array_like (N,), optional
        Name of a column, or values.

    Returns
    -------
    `~numpy.ndarray` (N,) of int

    Raises
    ------
    KeyError
        If there is no such column.
    ValueError
        If there is not one value in each row.

    Examples
    --------
    >>> from astropy.table import Table
    >>> from astro_photz.validation.groups import group_galaxies
    >>> group_galaxies(Table({"run": ["a", "b", "a", ""]}), None, "run")
    array([0, 1, 0, 2], dtype=int32)
    """
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    n = len(table)
    pairs = [_alike(key) for key in _keys(table, groups)]
    if positions is not None:
        pairs.append(_near(positions))
    one, other = np.concatenate([np.zeros((2, 0), dtype=int), *pairs], axis=1)
    return connected_components(coo_array((np.ones(len(one)), (one, other)), shape=(n, n)), directed=False)[1]


def _keys(table, groups):
    """Values that galaxies of one group share."""
    if groups is not None:
        if isinstance(groups, str) and groups not in table.colnames:
            raise KeyError(f"groups={groups!r}: the table has no such column; {advised(groups, table.colnames)}")
        values = identifiers(table[groups] if isinstance(groups, str) else groups)
        if values.shape != (len(table),):
            raise ValueError(f"groups must have the shape ({len(table)},), a value in each row; got {values.shape}")
        yield values
    if _DRAWN_FROM in table.colnames:
        yield identifiers(table[_DRAWN_FROM])
    for name in id_columns(table):
        texts = id_texts(table[name]) if bare(name) in IDENTIFIERS else None
        if texts is not None and (texts != "").any():
            yield texts
            break


def _alike(key):
    """Pairs of rows with the same key: each and the first of its kind; an unknown key is like no other."""
    unknown = np.isnan(key) if key.dtype.kind == "f" else key == "" if key.dtype.kind == "U" else key == -1
    known = np.flatnonzero(~unknown)
    _, first, member_of = np.unique(key[known], return_index=True, return_inverse=True)
    return np.stack([known, known[first][member_of]])


def _near(positions):
    """Pairs of rows at the same place."""
    valid = np.flatnonzero(positions.valid)
    if len(valid) < 2:
        return np.zeros((2, 0), dtype=int)
    coord = positions.coord[valid]
    one, other, _, _ = coord.search_around_sky(coord, _SAME_PLACE)
    return np.stack([valid[one], valid[other]])
