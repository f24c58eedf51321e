# Licensed under a 3-clause BSD style license - see LICENSE
"""
Features of the second family's galaxies, face-on: bars, spiral arms, rings and clumps.

- Bars are flat in brightness, about as long as the disc's half-light radius, have a tenth of the light (Gadotti 2011,
  MNRAS 415, 3308), and are a little redder.
- Grand-design arms are two logarithmic spirals, continuous, with pitch angles of 8 to 28 degrees (Savchenko &
  Reshetnikov 2013, MNRAS 436, 1074); they widen outwards (Honig & Reid 2015, ApJ 800, 53).
- Rings lie at the end of a bar, or further out where there is none (Comeron et al. 2014, A&A 562, A121).
- Clumps have no pattern: a few spots on one side of the galaxy, mostly faint and some bright, by a power law of their
  luminosities (Elmegreen & Elmegreen 2001, AJ 121, 1507).

A feature has a share of the galaxy's light which changes with wavelength as a power law: arms, rings and clumps stand
out in the blue, bars in the red.
"""

from dataclasses import dataclass

import numpy as np

from astro_photz.simulate.render.sersic import nearest_index

__all__ = ["GAUSSIAN_INDEX", "Parts", "draw_arms", "draw_bars", "draw_clumps", "draw_rings"]

GAUSSIAN_INDEX = 0.5
"""Sersic index of a Gaussian."""

_BAR_SHARE, _ARMS_SHARE, _RING_SHARE, _CLUMPS_SHARE = (0.10, 0.5), (0.20, 0.4), (0.13, 0.4), (0.08, 0.7)
"""Of the light in r: median and scatter of the logarithm."""

_MOST = 0.45  # of the light in r in one feature
_BAR_LENGTH, _BAR_WIDTH, _BAR_INDEX = (0.40, 0.2), (0.25, 0.45), 0.65  # half-light radius; width over length; n
_BAR_REDDENING, _ARMS_REDDENING, _RING_REDDENING, _CLUMPS_REDDENING = 0.3, -0.7, -0.6, -1.2  # power of wavelength
_ALONG_ARM = 22  # Gaussians
_ALONG_RING = 22
_PITCH = 8.0, 28.0  # degrees
_WINDING = 2.8, 5.0  # rad, from one end of an arm to the other
_ARM_BEGINS, _ARM_ENDS = (0.45, 0.8), 2.3
_ARM_WIDTH = 0.14, 0.26  # half-light radius of a Gaussian in the inner half, in that of the galaxy
_WIDENING = 1.4  # in the outer half of an arm
_ARM_DECLINE = 1.1  # radii in which an arm's brightness falls by e
_BAR_END = 2.2  # half-light radii of the bar
_RING_RADIUS, _RING_WIDTH, _RING_RATIO = (0.8, 1.7), (0.14, 0.28), (0.82, 1.0)
_MOST_CLUMPS = 7
_CLUMPS_FURTHEST = 1.6
_CLUMPS_ASIDE = 0.45  # mean distance of their middle from the galaxy's
_CLUMP_RADIUS = 0.16, 0.4  # median and scatter of the logarithm


@dataclass(frozen=True)
class Parts:
    """
    Parts of galaxies, face-on, in units of the half-light radius of the galaxy's main body.

    Attributes
    ----------
    galaxy : `~numpy.ndarray` (M,) of int
        Row of the galaxy.
    share : `~numpy.ndarray` (M,)
        Of the galaxy's light in *r*.
    reddening : `~numpy.ndarray` (M,)
        Power of wavelength with which the share grows.
    x, y : `~numpy.ndarray` (M,)
    radius : `~numpy.ndarray` (M,)
        Half-light radius along the major axis.
    axis_ratio, angle : `~numpy.ndarray` (M,)
    index : `~numpy.ndarray` (M,)
        Sersic index; 0.5 is a Gaussian.
    depth : `~numpy.ndarray` (M,)
        0 for what is as flat as the disc, 1 for what looks round from everywhere.
    """

    galaxy: np.ndarray
    share: np.ndarray
    reddening: np.ndarray
    x: np.ndarray
    y: np.ndarray
    radius: np.ndarray
    axis_ratio: np.ndarray
    angle: np.ndarray
    index: np.ndarray
    depth: np.ndarray

    def __len__(self):
        return len(self.galaxy)

    @classmethod
    def of(cls, galaxy, share, **values):
        """
        Make parts, by default round, grey and flat Gaussians in the middle.

        Parameters
        ----------
        galaxy, share : `~numpy.ndarray` (...)
        **values : array_like
            That broadcast with them.

        Returns
        -------
        `Parts`
        """
        plain = {"reddening": 0, "x": 0, "y": 0, "axis_ratio": 1, "angle": 0, "index": GAUSSIAN_INDEX, "depth": 0}
        every = {"galaxy": galaxy, "share": share} | plain | values
        return cls(**dict(zip(every, map(np.ravel, np.broadcast_arrays(*every.values())), strict=True)))

    @classmethod
    def join(cls, several):
        """
        Join parts, sorted by galaxy; those of one galaxy stay in the order given.

        Parameters
        ----------
        several : sequence of `Parts`

        Returns
        -------
        `Parts`
        """
        joined = {name: np.concatenate([vars(one)[name] for one in several]) for name in vars(several[0])}
        order = np.argsort(joined["galaxy"], kind="stable")
        return cls(**{name: values[order] for name, values in joined.items()})


def draw_bars(galaxies, rng):
    """
    Draw a bar in each of some galaxies.

    Parameters
    ----------
    galaxies : `~numpy.ndarray` (K,) of int
    rng : `~numpy.random.Generator`

    Returns
    -------
    `Parts` (K,)
    """
    n = len(galaxies)
    return Parts.of(
        galaxies,
        _share(_BAR_SHARE, n, rng),
        reddening=_BAR_REDDENING,
        radius=_log_normal(_BAR_LENGTH, n, rng),
        axis_ratio=rng.uniform(*_BAR_WIDTH, size=n),
        angle=rng.uniform(0, np.pi, size=n),
        index=nearest_index(np.array(_BAR_INDEX)),
    )


def draw_arms(galaxies, rng):
    """
    Draw two arms in each of some galaxies: chains of Gaussians, evenly spaced along a logarithmic spiral.

    Parameters
    ----------
    galaxies : `~numpy.ndarray` (K,) of int
    rng : `~numpy.random.Generator`

    Returns
    -------
    `Parts` (44 K,)
    """
    n = len(galaxies)
    slope = np.tan(np.deg2rad(rng.uniform(*_PITCH, size=n)))
    begin = rng.uniform(*_ARM_BEGINS, size=n)
    end = np.minimum(begin * np.exp(rng.uniform(*_WINDING, size=n) * slope), _ARM_ENDS)
    along = np.linspace(0, 1, _ALONG_ARM)  # equal steps in radius are equal lengths of a logarithmic spiral
    distance = (begin[:, None] + (end - begin)[:, None] * along)[:, None]
    azimuth = rng.choice([-1, 1], size=n)[:, None, None] * np.log(distance) / slope[:, None, None]
    azimuth = azimuth + rng.uniform(0, np.pi, size=n)[:, None, None] + np.array([[0.0], [np.pi]])
    # brightest inside, fading in at the beginning, patchy, and one arm a little brighter than the other
    weight = np.exp(-distance / _ARM_DECLINE) * np.minimum(1, (along + 0.05) / 0.2)
    weight = weight * np.exp(0.3 * rng.standard_normal(azimuth.shape) + 0.15 * rng.standard_normal((n, 2, 1)))
    width = rng.uniform(*_ARM_WIDTH, size=n)[:, None, None] * np.where(along < 0.5, 1, _WIDENING)
    inner, outer = np.s_[..., : _ALONG_ARM // 2], np.s_[..., _ALONG_ARM // 2 :]
    share = _share(_ARMS_SHARE, n, rng)[:, None, None] * weight / weight.sum(axis=(1, 2), keepdims=True)
    place = {"x": distance * np.cos(azimuth), "y": distance * np.sin(azimuth)}
    width = np.broadcast_to(width, azimuth.shape)
    halves = (  # what is equally wide stands together, to be drawn together
        Parts.of(
            galaxies[:, None, None],
            share[half],
            reddening=_ARMS_REDDENING,
            radius=width[half],
            **{name: values[half] for name, values in place.items()},
        )
        for half in (inner, outer)
    )
    return Parts.join([*halves])


def draw_rings(galaxies, bars, rng):
    """
    Draw a ring in each of some galaxies: a closed chain of Gaussians.

    Parameters
    ----------
    galaxies : `~numpy.ndarray` (K,) of int
    bars : `Parts`
        At whose ends the rings of barred galaxies lie.
    rng : `~numpy.random.Generator`

    Returns
    -------
    `Parts` (22 K,)
    """
    n = len(galaxies)
    radius = rng.uniform(*_RING_RADIUS, size=n)
    barred, own, bar = np.intersect1d(galaxies, bars.galaxy, return_indices=True)
    if len(barred):
        radius[own] = _BAR_END * bars.radius[bar]
    ratio, turn = rng.uniform(*_RING_RATIO, size=n)[:, None], rng.uniform(0, np.pi, size=n)[:, None]
    azimuth = 2 * np.pi * np.arange(_ALONG_RING) / _ALONG_RING
    along, across = radius[:, None] * np.cos(azimuth), radius[:, None] * ratio * np.sin(azimuth)
    weight = np.exp(0.25 * rng.standard_normal((n, _ALONG_RING)))
    return Parts.of(
        galaxies[:, None],
        _share(_RING_SHARE, n, rng)[:, None] * weight / weight.sum(axis=1, keepdims=True),
        reddening=_RING_REDDENING,
        x=along * np.cos(turn) - across * np.sin(turn),
        y=along * np.sin(turn) + across * np.cos(turn),
        radius=radius[:, None] * rng.uniform(*_RING_WIDTH, size=n)[:, None],
    )


def draw_clumps(galaxies, rng):
    """
    Draw one to seven clumps in each of some galaxies.

    Parameters
    ----------
    galaxies : `~numpy.ndarray` (K,) of int
    rng : `~numpy.random.Generator`

    Returns
    -------
    `Parts`
    """
    n, shape = len(galaxies), (len(galaxies), _MOST_CLUMPS)
    exists = np.arange(_MOST_CLUMPS) < rng.integers(1, _MOST_CLUMPS + 1, size=n)[:, None]
    weight = np.where(exists, 1 + rng.pareto(1.0, size=shape), 0)
    aside = _CLUMPS_ASIDE * rng.standard_normal((2, n, 1))
    distance = _CLUMPS_FURTHEST * np.sqrt(rng.uniform(size=shape))
    azimuth = rng.uniform(0, 2 * np.pi, size=shape)
    parts = Parts.of(
        galaxies[:, None],
        _share(_CLUMPS_SHARE, n, rng)[:, None] * weight / weight.sum(axis=1, keepdims=True),
        reddening=_CLUMPS_REDDENING,
        x=aside[0] + distance * np.cos(azimuth),
        y=aside[1] + distance * np.sin(azimuth),
        radius=_log_normal(_CLUMP_RADIUS, shape, rng),
        depth=1,
    )
    return Parts(**{name: values[exists.ravel()] for name, values in vars(parts).items()})


def _share(parameters, n, rng):
    return np.minimum(_log_normal(parameters, n, rng), _MOST)


def _log_normal(parameters, size, rng):
    median, scatter = parameters
    return median * np.exp(scatter * rng.standard_normal(size))
