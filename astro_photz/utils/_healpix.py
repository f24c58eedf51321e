# Licensed under a 3-clause BSD style license - see LICENSE
"""
Values of maps of the sky in HEALPix pixels.
"""

from functools import cache

import numpy as np
from astropy import units as u
from astropy.coordinates import CartesianRepresentation, Longitude, SkyCoord, UnitSphericalRepresentation

from ._sky import direction_of

__all__ = ["interpolated"]


def interpolated(values, coord):
    """
    Interpolate a map (12 nside^2,) in Galactic coordinates and ring order, at positions (N,) in any frame.

    The value (N,) comes from the four nearest pixels; NaN where the position is.

    Examples
    --------
    >>> import numpy as np
    >>> from astropy.coordinates import SkyCoord
    >>> from astro_photz.utils._healpix import interpolated
    >>> interpolated(np.ones(12), SkyCoord([150.0, np.nan], [2.0, np.nan], unit="deg"))
    array([ 1., nan])
    """
    from astropy_healpix import HEALPix

    ra, dec = _icrs(coord)
    known = np.isfinite(ra) & np.isfinite(dec)
    found = np.full(len(ra), np.nan)
    if known.any():
        x, y, z = _galactic_axes() @ _unit_vectors(ra[known], dec[known])
        longitude, latitude = np.arctan2(y, x) % (2 * np.pi), np.arctan2(z, np.hypot(x, y))
        grid = HEALPix(nside=int(np.sqrt(len(values) / 12)), order="ring")
        found[known] = grid.interpolate_bilinear_lonlat(longitude * u.rad, latitude * u.rad, values)
    return found


# Batches can be of a few galaxies, for which the transformations of frames take longer than all else. So positions that
# are ICRS already are taken as they are, and the rotation to Galactic axes, which do not move, is worked out once.


def _icrs(coord):
    """Right ascension and declination (N,) (rad), NaN where unknown."""
    angles = coord.data
    if coord.frame.name == "icrs" and isinstance(angles, UnitSphericalRepresentation) and type(angles.lon) is Longitude:
        return np.atleast_1d(angles.lon.rad), np.atleast_1d(angles.lat.rad)
    place = direction_of(coord)
    return place.ra.rad, place.dec.rad


def _unit_vectors(longitude, latitude):
    """Directions (3, N) of angles (rad)."""
    across = np.cos(latitude)
    return np.stack([across * np.cos(longitude), across * np.sin(longitude), np.sin(latitude)])


@cache
def _galactic_axes():
    """Rotation (3, 3) from ICRS to Galactic axes."""
    axes = SkyCoord(CartesianRepresentation(np.eye(3)), frame="icrs")
    return axes.galactic.cartesian.xyz.value
