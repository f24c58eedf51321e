# Licensed under a 3-clause BSD style license - see LICENSE
"""
Clumps: knots of young stars in the discs of late types.

They lie along a logarithmic spiral of two arms in the plane of the disc, its pitch angle drawn from the range of
spirals (Kennicutt 1981, AJ 86, 1847); they share the disc's light and radial distribution, and are bluer than it.
"""

import numpy as np
from scipy.special import expit, logit

__all__ = ["draw_clump_flux", "draw_clump_places", "split_light"]

# Colour difference of two components (mag) in ugriz relative to r, for a difference of one in g - r: an old population
# beside a younger one.
_COLOUR_VECTOR = np.array([1.75, 1.0, 0.0, -0.5, -0.85])
_CLUMPS = 8  # in a disc
_CLUMP_SHARE = 0.10, 0.6  # of the disc's light in r: median and scatter of the logarithm
_CLUMP_BLUER = 0.35, 0.1  # than the disc in g - r (mag)
_CLUMP_RADIUS = 0.35, 0.3  # half-light radius over the scale length: median and scatter of the logarithm
_CLUMP_REACH = 0.4, 4.0  # scale lengths
_CLUMP_FURTHEST = 30.0  # pixels: within the smallest stamp
_PITCH = 18.0, 5.0, 8.0  # degrees: mean, scatter, least
_ARM_WIDTH = 0.25  # rad


def split_light(flux, share, redder):
    """
    Split the light of galaxies between two components of different colour.

    Parameters
    ----------
    flux : `~numpy.ndarray` (N, 5)
    share : `~numpy.ndarray` (N,)
        Share of the first component in *r*.
    redder : `~numpy.ndarray` (N,)
        Colour g - r of the first component, less that of the second (mag).

    Returns
    -------
    `~numpy.ndarray` (N, 2, 5)
        The two add up to the flux.
    """
    # A component's share is odds / (1 + odds), so the two sum to one in every band.
    magnitudes = _COLOUR_VECTOR * redder[:, None]
    first = expit(logit(share)[:, None] - 0.4 * np.log(10) * magnitudes) * flux
    return np.stack([first, flux - first], axis=1)


def draw_clump_flux(disc_flux, rng):
    """
    Draw the fluxes of clumps, as shares of their discs'.

    Parameters
    ----------
    disc_flux : `~numpy.ndarray` (N, 5)
    rng : `~numpy.random.Generator`

    Returns
    -------
    `~numpy.ndarray` (N, clumps, 5)
    """
    n = len(disc_flux)
    median, scatter = _CLUMP_SHARE
    share = np.minimum(median * np.exp(scatter * rng.standard_normal(n)), 0.5)
    bluer = _CLUMP_BLUER[0] + _CLUMP_BLUER[1] * rng.standard_normal(n)
    all_clumps = split_light(disc_flux, share, -bluer)[:, 0]
    weight = rng.standard_exponential((n, _CLUMPS))
    return all_clumps[:, None] * (weight / weight.sum(axis=1, keepdims=True))[..., None]


def draw_clump_places(scale_length, axis_ratio, angle, rng):
    """
    Draw the places of clumps along the arms of their discs, and their sizes.

    Parameters
    ----------
    scale_length, axis_ratio, angle : `~numpy.ndarray` (N,)
        Of the discs (pixels; radians from the columns' direction).
    rng : `~numpy.random.Generator`

    Returns
    -------
    offset : `~numpy.ndarray` (N, clumps, 2)
        From the disc's centre, in columns and rows (pixels).
    radius : `~numpy.ndarray` (N, clumps)
        Half-light radius (pixels).
    """
    shape = len(scale_length), _CLUMPS
    distance = np.clip(rng.gamma(2.0, size=shape), *_CLUMP_REACH)  # the light of an exponential disc
    mean, scatter, least = _PITCH
    pitch = np.deg2rad(np.maximum(mean + scatter * rng.standard_normal(len(scale_length)), least))
    winding = rng.choice([-1, 1], size=len(scale_length)) / np.tan(pitch)
    arm = rng.integers(2, size=shape) * np.pi + rng.uniform(0, np.pi, size=len(scale_length))[:, None]
    azimuth = winding[:, None] * np.log(distance) + arm + _ARM_WIDTH * rng.standard_normal(shape)
    distance = distance * scale_length[:, None]
    distance = np.where(distance < _CLUMP_FURTHEST, distance, _CLUMP_FURTHEST * rng.uniform(size=shape))
    along, across = distance * np.cos(azimuth), distance * np.sin(azimuth) * axis_ratio[:, None]
    cosine, sine = np.cos(angle)[:, None], np.sin(angle)[:, None]
    place = np.stack([along * cosine - across * sine, along * sine + across * cosine], axis=-1)
    median, spread = _CLUMP_RADIUS
    return place, scale_length[:, None] * median * np.exp(spread * rng.standard_normal(shape))
