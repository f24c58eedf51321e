# Licensed under a 3-clause BSD style license - see LICENSE
"""
Arguments of `~astro_photz.Cutouts` as arrays of the right shape and unit.
"""

import numpy as np
from astropy import units as u
from astropy.table import Table
from astropy.utils.masked import Masked

from astro_photz.sdss import CAMCOLS
from astro_photz.utils._arrays import POSITIVE_SENTINELS, SENTINELS, integers, numbers
from astro_photz.utils._units import own_unit

from .hdf5.layout import MINIMUM_SIZE, PROVENANCE
from .missing import missing_pixels

__all__ = ["ebv_array", "float_array", "flux_array", "provenance_table"]

_LONG_NAMES = {u.mag: "magnitudes", u.arcsec: "arcseconds"}


def flux_array(flux):
    """Convert fluxes to nanomaggies (N, 5, S, S) float32, with NaN where there is no data."""
    if isinstance(flux, u.Quantity):
        try:
            flux = flux.to_value(u.nmgy)
        except u.UnitConversionError:
            raise ValueError(f"flux has the unit {flux.unit}, which does not convert to nanomaggies (nmgy)") from None
    flux = np.asanyarray(flux)
    if flux.dtype.kind not in "fiu":
        raise TypeError(f"flux must hold real numbers (float32, nanomaggies), got dtype {flux.dtype}")
    if flux.ndim != 4 or flux.shape[1] != 5 or flux.shape[2] != flux.shape[3]:
        raise ValueError(
            f"flux must have the shape (N, 5, S, S): galaxies, the bands ugriz, rows, columns; got {flux.shape}. "
            "A missing band is a plane of NaN; a single galaxy is flux[np.newaxis]."
        )
    if flux.shape[2] < MINIMUM_SIZE:
        raise ValueError(f"flux must have at least {MINIMUM_SIZE} x {MINIMUM_SIZE} pixels a band, got {flux.shape}")
    if isinstance(flux, np.ma.MaskedArray | Masked):
        flux = flux.astype(np.float32).filled(np.nan)
    flux = np.asarray(flux, dtype=np.float32)
    missing = missing_pixels(flux)
    return np.where(missing, np.nan, flux) if missing.any() else flux


def ebv_array(ebv, n):
    """Convert E(B-V) to magnitudes (n,) float32, with NaN where it is unknown."""
    unit = _checked_unit(ebv, "ebv", u.mag)
    ebv = numbers(ebv, unit=unit, sentinels=SENTINELS + POSITIVE_SENTINELS).astype(np.float32)
    ebv = np.where(ebv >= 0, ebv, np.float32(np.nan))  # dust takes light: less than none is unknown
    if ebv.shape not in ((), (n,)):
        raise ValueError(f"ebv must be one number or have the shape ({n},), one a stamp; got {ebv.shape}")
    return np.array(np.broadcast_to(ebv, n))


def float_array(values, shape, name, *, unit=None):
    """Convert numbers to an array of a shape, float32; NaN everywhere for None."""
    if values is None:
        return np.full(shape, np.nan, dtype=np.float32)
    values = numbers(values, unit=_checked_unit(values, name, unit)).astype(np.float32)
    if values.shape != shape:
        raise ValueError(f"{name} must have the shape {shape}, got {values.shape}")
    return values


def _checked_unit(values, name, unit):
    own = None if unit is None else own_unit(values)
    if own is not None and not own.is_equivalent(unit):
        raise ValueError(f"{name} has the unit {own}, which does not convert to {_LONG_NAMES[unit]} ({unit})")
    return unit


def provenance_table(provenance, n):
    """Convert the provenance of n stamps to a table of integers, with -1 where it is unknown."""
    if provenance is None:
        return Table({name: np.full(n, -1, dtype=np.int32) for name in PROVENANCE})
    missing = [name for name in PROVENANCE if name not in provenance.colnames]
    if missing or len(provenance) != n:
        raise ValueError(f"provenance must be a Table of {n} rows with the columns {', '.join(PROVENANCE)}")
    columns = {name: integers(provenance[name]).astype(np.int32) for name in PROVENANCE}
    columns["camcol"][~np.isin(columns["camcol"], CAMCOLS)] = -1
    return Table(columns)
