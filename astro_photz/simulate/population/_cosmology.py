# Licensed under a 3-clause BSD style license - see LICENSE
"""
Distances and volumes, tabulated once: a galaxy drawn needs several, and astropy's are integrals.
"""

from functools import cache

import numpy as np

__all__ = ["arcsec_per_kpc", "distance_modulus", "redshift_at", "volume_per_modulus"]

_REDSHIFT = 1e-3, 1.0, 2000  # range and number of the table's redshifts


@cache
def _table():
    from astropy.cosmology import FlatLambdaCDM

    cosmology = FlatLambdaCDM(H0=70, Om0=0.3)
    redshift = np.geomspace(*_REDSHIFT)
    modulus = cosmology.distmod(redshift).value
    return redshift, modulus, np.gradient(cosmology.comoving_volume(redshift).value, modulus)


def distance_modulus(redshift):
    """Distance modulus (mag), for 0.001 <= z <= 1."""
    grid, modulus, _ = _table()
    return np.interp(redshift, grid, modulus)


def redshift_at(modulus):
    """Redshift at a distance modulus (mag); beyond the table's end, that of the end."""
    grid, moduli, _ = _table()
    return np.interp(modulus, moduli, grid)


def volume_per_modulus(redshift):
    """Comoving volume per unit of the distance modulus (Mpc^3 per mag, whole sky)."""
    grid, _, volume = _table()
    return np.interp(redshift, grid, volume)


def arcsec_per_kpc(redshift):
    """Angle (arcsec) of a length of 1 kpc, by the angular diameter distance."""
    angular_distance = 10 ** (0.2 * distance_modulus(redshift) - 2) / (1 + redshift) ** 2  # kpc
    return np.rad2deg(3600) / angular_distance
