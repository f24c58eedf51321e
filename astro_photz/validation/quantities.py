# Licensed under a 3-clause BSD style license - see LICENSE
"""
Quantities that galaxies are binned by, from the columns of a table.
"""

import numpy as np

from astro_photz.sdss import BANDS
from astro_photz.utils._arrays import POSITIVE_SENTINELS, SENTINELS, numbers
from astro_photz.utils._column_names import bare

__all__ = ["BINS", "quantities_in"]

BINS = {
    "r_mag": (12.0, 15.0, 16.0, 16.5, 17.0, 17.5, 18.0, 18.5, 19.0, 20.0, 21.0, 22.0, 24.0, 26.0),
    "z_phot": (0.0, 0.05, 0.1, 0.15, 0.2, 0.25, 0.3, 0.4, 0.5, 0.6, 0.8, 1.0, 1.5, 2.0, 3.0, 6.0),
    "ebv": (0.0, 0.02, 0.04, 0.06, 0.1, 0.2, 0.5),
    "seeing": (0.5, 0.7, 1.0, 1.1, 1.2, 1.3, 1.4, 1.6, 2.2),
}
"""Edges of the bins: *r* (mag), the estimate, E(B-V) (mag), and the seeing (FWHM in *r*, arcsec)."""

# Bare names of columns, best first: free of extinction, then of the total light, then others.
_R_MAG = (
    *("deredmagr", "deredr", "rdered", "rmag", "cmodelmagr", "modelmagr", "petromagr", "magr", "rpetro", "rmodel"),
    *("raper", "rauto", "r"),
)
_SEEING = ("seeing", "psffwhm", "psffwhmr", "seeingr")
_RANGES = {"r_mag": (5, 35), "seeing": (0.1, 20)}  # mag, arcsec: numbers beyond stand for no value
_R = BANDS.index("r")


def quantities_in(table, positions):
    """
    Find the quantities in a table.

    Parameters
    ----------
    table : `~astropy.table.Table` (N,)
    positions : `~astro_photz.positions.Positions` (N,) or None

    Returns
    -------
    values : dict of `~numpy.ndarray` (N,)
        Those of ``r_mag``, ``ebv`` and ``seeing`` that are known; NaN for galaxies without.
    names : dict of str
        Names of the columns of ``r_mag`` and ``seeing``.

    Examples
    --------
    >>> from astropy.table import Table
    >>> from astro_photz.validation.quantities import quantities_in
    >>> quantities_in(Table({"modelMag_r": [17.2, -9999.0]}), None)
    ({'r_mag': array([17.2,  nan])}, {'r_mag': 'modelMag_r'})
    """
    values, names = {}, {}
    for quantity, known in (("r_mag", _R_MAG), ("seeing", _SEEING)):
        name = _first(table, known)
        found = None if name is None else _plausible(table[name], *_RANGES[quantity])
        if found is not None:
            values[quantity], names[quantity] = found, name
    if positions is not None and positions.ebv is not None and np.isfinite(positions.ebv).any():
        values["ebv"] = positions.ebv
    return values, names


def _first(table, known):
    columns = {bare(name): name for name in reversed(table.colnames)}
    return next((columns[name] for name in known if name in columns), None)


def _plausible(column, low, high):
    """Numbers (N,) within a range, NaN elsewhere; of five bands, that in r. None if there are none."""
    try:
        found = numbers(column, sentinels=SENTINELS + POSITIVE_SENTINELS)
    except ValueError:
        return None
    if found.ndim == 2 and found.shape[1] == len(BANDS):
        found = found[:, _R]
    if found.ndim != 1:
        return None
    found = np.where((found > low) & (found < high), found, np.nan)
    return found if np.isfinite(found).any() else None
