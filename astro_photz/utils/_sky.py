# Licensed under a 3-clause BSD style license - see LICENSE
"""
Directions on the sky, in ICRS, with NaN where unknown.
"""

import numpy as np
from astropy import units as u
from astropy.coordinates import (
    ICRS,
    ConvertError,
    SkyCoord,
    SphericalRepresentation,
    UnitSphericalRepresentation,
)

from ._arrays import values_and_mask

__all__ = ["direction_of", "icrs_from_degrees"]


def icrs_from_degrees(ra, dec):
    """
    Make positions from right ascensions and declinations.

    Both are in degrees, ICRS, (N,). A position is NaN where one of the two is unknown, or none that can be: beyond a
    pole, or more than once around.

    Examples
    --------
    >>> from astro_photz.utils._sky import icrs_from_degrees
    >>> icrs_from_degrees([150.0, 150.0], [2.0, -9999.0]).dec.deg
    array([ 2., nan])
    """
    ra, dec = np.asarray(ra, dtype=float), np.asarray(dec, dtype=float)
    usable = np.isfinite(ra) & np.isfinite(dec) & (np.abs(dec) <= 90) & (np.abs(ra) <= 360)
    return SkyCoord(np.where(usable, ra, np.nan), np.where(usable, dec, np.nan), unit=u.deg)


def direction_of(coord):
    """
    Extract the directions from coordinates of any frame and representation.

    A direction is known even if the distance is not. The result is ICRS, (N,), or (1,) for a scalar; NaN where masked,
    or not finite, or where the frame needs a distance that is not known. Raise a ValueError if there is more than one
    axis, or the frame does not convert to ICRS.

    Examples
    --------
    >>> from astropy.coordinates import SkyCoord
    >>> from astro_photz.utils._sky import direction_of
    >>> direction_of(SkyCoord(x=0.0, y=1.0, z=0.0, representation_type="cartesian")).ra.deg
    array([90.])
    """
    if coord.ndim > 1:
        raise ValueError(
            f"coordinates must have one axis, a position for each galaxy; got the shape {coord.shape}: "
            "give coord.ravel(), or one column of it"
        )
    coord = coord.reshape(-1)
    longitude, latitude, distance = _spherical(coord.data)
    known = np.isfinite(longitude) & np.isfinite(latitude)
    ra, dec = np.full(len(coord), np.nan), np.full(len(coord), np.nan)
    far = (distance.value > 0) & distance.unit.is_equivalent(u.m)
    for rows, radius in ((known & far, distance), (known & ~far, None)):
        if rows.any():
            ra[rows], dec[rows] = _transformed(coord, rows, longitude, latitude, radius)
    return icrs_from_degrees(ra, dec)


def _spherical(data):
    """Longitude and latitude (rad), with NaN where unknown, and distance, 0 where unknown."""
    data = data.without_differentials()
    if not isinstance(data, UnitSphericalRepresentation | SphericalRepresentation):
        data = data.represent_as(SphericalRepresentation)
        origin = _plain(data.distance) == 0  # which lies in no direction
    else:
        origin = False
    longitude, latitude = (np.where(origin, np.nan, _plain(angle.to(u.rad))) for angle in (data.lon, data.lat))
    if isinstance(data, UnitSphericalRepresentation):
        return longitude, latitude, np.zeros(len(longitude)) * u.one
    return longitude, latitude, np.nan_to_num(_plain(data.distance), nan=0, posinf=0, neginf=0) * data.distance.unit


def _plain(quantity):
    """Values with NaN where they are masked."""
    plain, mask = values_and_mask(quantity)
    return np.where(mask, np.nan, plain)


def _transformed(coord, rows, longitude, latitude, distance):
    """Right ascension and declination (deg) of some rows; NaN where the frame needs a distance, and there is none."""
    angles = longitude[rows] * u.rad, latitude[rows] * u.rad
    if distance is None:
        place = UnitSphericalRepresentation(*angles)
    else:
        place = SphericalRepresentation(*angles, distance=distance[rows])
    frame = coord if rows.all() else coord[rows]
    try:
        icrs = SkyCoord(frame.frame.realize_frame(place)).transform_to(ICRS())
    except (ConvertError, u.UnitsError, ValueError, TypeError, AttributeError) as error:  # each frame has its own
        if distance is None and not rows.all():
            return np.nan, np.nan
        needs = " without distances" if distance is None else ""
        raise ValueError(
            f"coordinates in the frame {frame.frame.name}{needs} do not convert to ICRS: {error}"
        ) from error
    return icrs.ra.deg, icrs.dec.deg
