# Licensed under a 3-clause BSD style license - see LICENSE
"""
The second family of shapes: one Sersic profile of free index, with features on some.

It has nothing of the first family (`~astro_photz.simulate.population.morphology`), and follows other measurements:

- Type: a part of the red galaxies are discs, and a few blue ones spheroids (Masters et al. 2010, MNRAS 405, 783;
  Schawinski et al. 2009, MNRAS 396, 818).
- Profile: Sersic's. The index of ellipticals grows with luminosity, about 4 in the mean; that of late types is about 1,
  with a wide scatter (Simard et al. 2011, ApJS 196, 11; Blanton & Moustakas 2009, ARA&A 47, 159).
- Bulges: three quarters of the early types and many late ones have none. The others are lenticulars, mostly bulge, and
  luminous spirals, whose bulges have nearly a tenth of the light, and an index and a size of their own (Gadotti 2009,
  MNRAS 393, 1531).
- Colour: it changes with radius because the half-light radius falls, and the index grows, with wavelength, as power
  laws (Kelvin et al. 2012, MNRAS 421, 1007; Vulcani et al. 2014, MNRAS 441, 1340; Kennedy et al. 2015, MNRAS 454,
  806). The body is drawn with its profiles in u and in z; in between it is a mixture of the two.
- Flattening: all are triaxial, seen from anywhere; ellipticals have a mean thickness of 0.43, discs of 0.21 and an
  ellipticity of a tenth (Padilla & Strauss 2008, MNRAS 388, 1321). The redder of the late types are more inclined.
- Size: the logarithm of the half-light radius is a parabola in magnitude, by type. Among late types of one luminosity,
  the more concentrated are the smaller. Further away, galaxies of a size were more luminous: they have faded since.
- Features (`~astro_photz.simulate.population.features`): bars in three of ten late types (Masters et al. 2011, MNRAS
  411, 2026), grand-design arms, rings, and clumps, which are the more frequent the fainter the galaxy.
"""

from dataclasses import dataclass

import numpy as np
from scipy.special import expit, gammainc, gammaincinv

from astro_photz.sdss import PIXEL_SCALE
from astro_photz.simulate.render.components import Components
from astro_photz.simulate.render.profiles import PROFILES
from astro_photz.simulate.render.sersic import nearest_index

from ._cosmology import arcsec_per_kpc
from .draw import red_share
from .features import GAUSSIAN_INDEX, Parts, draw_arms, draw_bars, draw_clumps, draw_rings
from .shapes import Shapes
from .sizes import shen_radius

__all__ = ["draw_sersic", "projected_axis_ratio"]

_WAVELENGTH = np.array([3551.0, 4686.0, 6166.0, 7480.0, 8932.0])  # angstrom, of ugriz
_R, _Z = 2, 4
# Share of the light of the body that has the profile of u; the rest has that of z.
_LIKE_U = np.log(_WAVELENGTH[_Z] / _WAVELENGTH) / np.log(_WAVELENGTH[_Z] / _WAVELENGTH[0])

_EARLY_SHARE = 0.035, 0.87  # of the blue galaxies that are early, and of the red ones
_LENTICULAR = 0.27  # share of the early types
_BULGED = -20.5, 0.56  # M_r at which half of the late types have a bulge, and the width of the transition (mag)
_SPIRAL_BULGE = 0.085, 0.54, 0.5  # of the light in r: median, scatter of the logarithm, most
_LENTICULAR_BULGE = 5.8, 2.3  # parameters of a beta distribution
_BULGE_INDEX = {"early": (3.5, 0.3), "late": (1.6, 0.35)}  # median and scatter of the logarithm
_BULGE_RADIUS = {"early": (0.35, 0.3), "late": (0.16, 0.3)}  # in that of the body
_BULGE_DEPTH = 0.6
_BULGE_REDDENING = {"early": 0.0, "late": 0.5}  # power of wavelength of its share
# Sersic indices: median at a magnitude, change of the logarithm per magnitude, scatter of it; limits.
_INDEX = {"elliptical": (4.0, -20.5, -0.175, 0.33), "disc": (0.85, -20.5, 0.0, 0.23), "late": (1.03, -20.5, 0.0, 0.49)}
_INDEX_LIMITS = 0.55, 5.6
# Powers of wavelength of half-light radius and index: mean, scatter.
_RADIUS_POWER = {"early": (-0.25, 0.12), "late": (-0.38, 0.20)}
_INDEX_POWER = {"early": 0.17, "late": 0.27}
# Triaxial axes: thickness over length (mean, scatter, limits); ellipticity face-on (logarithm: mean, scatter; most).
_THICKNESS = {
    "elliptical": (0.43, 0.21, 0.25, 0.95),
    "lenticular": (0.32, 0.08, 0.15, 0.6),
    "disc": (0.21, 0.05, 0.08, 0.5),
}
_ELLIPTICITY = {"elliptical": (-2.2, 1.0, 0.5), "lenticular": (-2.33, 0.79, 0.4), "disc": (-2.33, 0.79, 0.4)}
# Sizes: logarithm (dex, of kpc) at a magnitude, its change with magnitude and with the square of it; by how much the
# natural logarithm falls with that of the index, above an index, and with the bulge's share; scatter, in that of Shen
# et al. They, the indices and the bulges are set so that Petrosian radii and concentrations are those of real galaxies
# (benchmarks/simulation/shapes.py, even rows).
_SIZE = {"early": (0.314, -0.223, 0.015, 0.0, 0.0, 0.65), "late": (0.614, -0.186, 0.019, 1.0, 0.9, 0.67)}
_SIZE_AT, _SMALLER_ABOVE = -20.5, 1.1
_SIZE_MAGNITUDES = -23.0, -17.5  # beyond which sizes are those at the limit
_RADIUS_LIMITS = 0.3, 20.0  # arcsec
_FADING = 1.6  # mag per unit of redshift (Blanton et al. 2003, ApJ 592, 819)
_NEARBY_REDSHIFT = 0.04  # median of the galaxies that the sizes were set by
_MEAN_DISC_AXIS_RATIO = 0.6
_LATE_COLOUR = 0.62, 0.165  # mean and scatter of g - r at z = 0.1 (mag)
_REDDER_INCLINED = 0.22
# Shares of the late types with a bar, arms or a ring; of the lenticulars with a bar or a ring.
_FEATURES = {"late": (0.30, 0.28, 0.13), "lenticular": (0.20, 0.0, 0.10)}
_CLUMPY = -18.8, 1.2  # M_r at which half of the late types have clumps, and the width of the transition (mag)
_MOST_IN_FEATURES = 0.75  # of the light in any band


@dataclass(frozen=True)
class _Body:
    """Type, profile and orientation of galaxies (N,); ``radius_power`` and ``index_power`` are those of wavelength."""

    early: np.ndarray
    lenticular: np.ndarray
    bulged: np.ndarray
    index: np.ndarray
    radius_power: np.ndarray
    index_power: np.ndarray
    axis_ratio: np.ndarray
    cosine: np.ndarray

    def __len__(self):
        return len(self.early)


def draw_sersic(population, rng):
    """
    Give each galaxy a Sersic profile that suits its luminosity and colour, and features to some.

    Parameters
    ----------
    population : `~astro_photz.simulate.population.draw.Population` (N,)
    rng : `~numpy.random.Generator`

    Returns
    -------
    `~astro_photz.simulate.population.shapes.Shapes` (N,)
        The first two components of a galaxy are its main body, with the profiles of *u* and of *z*.

    Examples
    --------
    >>> import numpy as np
    >>> from astro_photz.simulate.population.draw import draw_population
    >>> from astro_photz.simulate.population.sersic import draw_sersic
    >>> rng = np.random.default_rng(0)
    >>> population = draw_population(100, rng)
    >>> shape = draw_sersic(population, rng)
    >>> total = np.zeros((100, 5))
    >>> np.add.at(total, shape.components.scene, shape.components.flux)
    >>> bool(np.allclose(total, population.flux))
    True
    """
    n = len(population)
    body = _draw_body(population, rng)
    bulges = _draw_bulges(body, rng)
    features = Parts.join([bulges, *_draw_features(population, body, rng)])
    share, left = _shares(features, n)
    flux = share * population.flux[features.galaxy]
    parts, flux = _with_bodies(body, features, flux, population.flux)
    radius = _draw_radius(population, body, bulges, rng)
    unit = radius / _half_light_radius(parts, flux[:, _R] / population.flux[parts.galaxy, _R], n)
    # The sizes hold for circular apertures; a disc's radius along the major axis does not depend on its inclination.
    unit = unit / np.sqrt(np.where(body.early, body.axis_ratio, _MEAN_DISC_AXIS_RATIO)) / PIXEL_SCALE
    bulge_fraction = np.full(n, np.nan)
    bulge_fraction[bulges.galaxy] = bulges.share * left[bulges.galaxy]
    return Shapes(
        early=body.early,
        bulge_fraction=bulge_fraction,
        radius=radius,
        inclination=np.where(body.early, np.nan, np.rad2deg(np.arccos(body.cosine))),
        sersic_index=body.index,
        components=_on_the_sky(parts, flux, unit, body.axis_ratio, rng.uniform(0, np.pi, size=n)),
    )


def projected_axis_ratio(middle, short, cosine, azimuth):
    """
    Axis ratio of a triaxial ellipsoid as it is seen.

    Parameters
    ----------
    middle, short : array_like (N,)
        Its axes over the longest; ``short <= middle <= 1``.
    cosine, azimuth : array_like (N,)
        Of the line of sight: cosine of its angle from the short axis, and its direction from the long axis in the
        plane of the two others (radians).

    Returns
    -------
    `~numpy.ndarray` (N,)

    References
    ----------
    Binney 1985, MNRAS 212, 767, equations 11 and 12.

    Examples
    --------
    >>> from astro_photz.simulate.population.sersic import projected_axis_ratio
    >>> projected_axis_ratio(0.8, 0.2, [1.0, 0.0, 0.0], [0.0, 0.0, 1.5708]).round(3)
    array([0.8 , 0.25, 0.2 ])
    """
    middle, short, cosine, azimuth = map(np.asarray, (middle, short, cosine, azimuth))
    cos2, sin2 = np.cos(azimuth) ** 2, np.sin(azimuth) ** 2
    a = cosine**2 / short**2 * (sin2 + cos2 / middle**2) + (1 - cosine**2) / middle**2
    b = cosine * np.sin(2 * azimuth) * (1 - 1 / middle**2) / short**2
    c = (sin2 / middle**2 + cos2) / short**2
    root = np.sqrt((a - c) ** 2 + b**2)
    return np.sqrt((a + c - root) / (a + c + root))


def _draw_body(population, rng):
    n, magnitude = len(population), population.absolute_magnitude
    least, more = _EARLY_SHARE
    early = rng.uniform(size=n) < least + (more - least) * red_share(population.rest_colour)
    lenticular = early & (rng.uniform(size=n) < _LENTICULAR)
    bulged = lenticular | (~early & (rng.uniform(size=n) < _brighter(magnitude, *_BULGED)))
    kind = np.select([early & ~lenticular, bulged], ["elliptical", "disc"], "late")
    build = np.select([lenticular, early], ["lenticular", "elliptical"], "disc")
    cosine = _cosine(early, population.rest_colour, rng)
    side = np.where(early, "early", "late")
    mean, scatter = _by(side, _RADIUS_POWER)
    return _Body(
        early=early,
        lenticular=lenticular,
        bulged=bulged,
        index=_index(magnitude, _by(kind, _INDEX), rng),
        radius_power=mean + scatter * rng.standard_normal(n),
        index_power=_by(side, _INDEX_POWER)[0],
        axis_ratio=_axis_ratio(build, cosine, rng),
        cosine=cosine,
    )


def _by(kind, parameters):
    """Parameters (p, N) of galaxies by kind."""
    table = {name: np.atleast_1d(values) for name, values in parameters.items()}
    return np.select([(kind == name)[None] for name in table], [values[:, None] for values in table.values()])


def _brighter(magnitude, middle, width):
    """Probability (N,) that grows from 0 to 1 with luminosity, about a magnitude."""
    return expit((middle - magnitude) / width)


def _index(magnitude, parameters, rng):
    median, at, change, scatter = parameters
    logarithm = np.log(median) + change * (magnitude - at) + scatter * rng.standard_normal(len(magnitude))
    return np.clip(np.exp(logarithm), *_INDEX_LIMITS)


def _cosine(early, colour, rng):
    """Cosine (N,) of the angle of the short axis from the line of sight, smaller for redder late types."""
    mean, scatter = _LATE_COLOUR
    redder = np.where(early, 0, np.clip((colour - mean) / scatter, -2.5, 2.5))
    return rng.uniform(size=len(early)) ** np.exp(_REDDER_INCLINED * redder)


def _axis_ratio(kind, cosine, rng):
    mean, scatter, least, most = _by(kind, _THICKNESS)
    short = np.clip(mean + scatter * rng.standard_normal(len(kind)), least, most)
    mean, scatter, most = _by(kind, _ELLIPTICITY)
    middle = 1 - np.minimum(np.exp(mean + scatter * rng.standard_normal(len(kind))), most)
    return projected_axis_ratio(np.maximum(middle, short), short, cosine, rng.uniform(0, 2 * np.pi, size=len(kind)))


def _draw_radius(population, body, bulges, rng):
    """Half-light radii (N,) (arcsec), log-normal about the median of galaxies as luminous and as concentrated."""
    middle, slope, curvature, by_index, by_bulge, scatter = _by(np.where(body.early, "early", "late"), _SIZE)
    faded = population.absolute_magnitude + _FADING * (population.redshift - _NEARBY_REDSHIFT)
    fainter = np.clip(faded, *_SIZE_MAGNITUDES) - _SIZE_AT
    bulge_share = np.zeros(len(body))
    bulge_share[bulges.galaxy] = bulges.share
    smaller = by_index * np.maximum(np.log(body.index / _SMALLER_ABOVE), 0) + by_bulge * bulge_share
    scatter = scatter * shen_radius(faded, body.early)[1]
    kpc = 10 ** (middle + slope * fainter + curvature * fainter**2)
    radius = kpc * np.exp(scatter * rng.standard_normal(len(body)) - smaller) * arcsec_per_kpc(population.redshift)
    return np.clip(radius, *_RADIUS_LIMITS)


def _draw_bulges(body, rng):
    galaxies = np.flatnonzero(body.bulged)
    n, early = len(galaxies), body.early[galaxies]
    side = np.where(early, "early", "late")
    median, scatter, most = _SPIRAL_BULGE
    small = np.minimum(median * np.exp(scatter * rng.standard_normal(n)), most)
    (index, index_scatter), (radius, radius_scatter) = _by(side, _BULGE_INDEX), _by(side, _BULGE_RADIUS)
    index = index * np.exp(index_scatter * rng.standard_normal(n))
    return Parts.of(
        galaxies,
        np.where(early, rng.beta(*_LENTICULAR_BULGE, size=n), small),
        reddening=_by(side, _BULGE_REDDENING)[0],
        radius=radius * np.exp(radius_scatter * rng.standard_normal(n)),
        index=nearest_index(np.clip(index, *_INDEX_LIMITS)),
        depth=_BULGE_DEPTH,
    )


def _draw_features(population, body, rng):
    late = ~body.early
    bar, arms, ring = np.where(late, *(np.array(_FEATURES[kind])[:, None] for kind in ("late", "lenticular")))
    disc = late | body.lenticular
    barred, armed, ringed = (
        np.flatnonzero(disc & (rng.uniform(size=len(body)) < share)) for share in (bar, arms, ring)
    )
    clumpy = late & (rng.uniform(size=len(body)) > _brighter(population.absolute_magnitude, *_CLUMPY))
    bars = draw_bars(barred, rng)
    return bars, draw_arms(armed, rng), draw_rings(ringed, bars, rng), draw_clumps(np.flatnonzero(clumpy), rng)


def _shares(features, n):
    """Shares of the light (M, 5) in parts, which leave some to the body in every band; what is left of theirs (N,)."""
    share = features.share[:, None] * (_WAVELENGTH / _WAVELENGTH[_R]) ** features.reddening[:, None]
    together = np.zeros((n, len(_WAVELENGTH)))
    np.add.at(together, features.galaxy, share)
    # one factor for all bands, so that colours stay as they are
    left = np.minimum(1, _MOST_IN_FEATURES / np.maximum(together.max(axis=1), _MOST_IN_FEATURES))
    return share * left[features.galaxy, None], left


def _with_bodies(body, features, flux, total):
    """Add the bodies: what light the features leave, with the profiles of u and of z."""
    rest = total.copy()
    np.subtract.at(rest, features.galaxy, flux)
    shift = np.log(_WAVELENGTH[[0, _Z]] / _WAVELENGTH[_R])
    index = nearest_index(body.index[:, None] * np.exp(np.outer(body.index_power, shift)))
    bodies = Parts.of(
        np.arange(len(body))[:, None], np.nan, radius=np.exp(np.outer(body.radius_power, shift)), index=index
    )
    body_flux = rest[:, None] * np.stack([_LIKE_U, 1 - _LIKE_U])
    order = np.argsort(np.concatenate([bodies.galaxy, features.galaxy]), kind="stable")
    return Parts.join([bodies, features]), np.concatenate([body_flux.reshape(-1, 5), flux])[order]


def _half_light_radius(parts, share, n):
    """Radii (N,) of circles with half the light, face-on; what is off the middle counts as a point."""
    distance = np.hypot(parts.x, parts.y)
    central = distance == 0
    of, light = parts.galaxy[central], share[central]
    order, radius = 2 * parts.index[central], parts.radius[central] * np.sqrt(parts.axis_ratio[central])
    b = gammaincinv(order, 0.5)
    low, high = np.full(n, 0.1), np.full(n, 4.0)
    for _ in range(14):  # to 2e-4
        middle = np.sqrt(low * high)
        inside = np.bincount(of, light * gammainc(order, b * (middle[of] / radius) ** (2 / order)), minlength=n)
        inside += np.bincount(parts.galaxy, share * (~central & (distance < middle[parts.galaxy])), minlength=n)
        low, high = np.where(inside < 0.5, middle, low), np.where(inside < 0.5, high, middle)
    return np.sqrt(low * high)


def _on_the_sky(parts, flux, unit, axis_ratio, angle):
    """Components of parts whose disc is inclined and turned."""
    galaxy = parts.galaxy
    unit, ratio, angle = unit[galaxy], axis_ratio[galaxy], angle[galaxy]
    cosine, sine = np.cos(angle), np.sin(angle)
    x, y = parts.x * unit, parts.y * unit * ratio
    squash = 1 - (1 - parts.depth) * (1 - ratio)
    stretch, own_ratio, own_angle = _squashed(parts.axis_ratio, parts.angle, squash)
    gaussian = parts.index == GAUSSIAN_INDEX
    return Components(
        scene=galaxy,
        profile=np.where(gaussian, PROFILES.index("gaussian"), PROFILES.index("sersic")),
        x=x * cosine - y * sine,
        y=x * sine + y * cosine,
        flux=flux,
        radius=parts.radius * unit * stretch,
        axis_ratio=own_ratio,
        angle=own_angle + angle,
        sersic_index=np.where(gaussian, np.nan, parts.index),
    )


def _squashed(axis_ratio, angle, squash):
    """Major axes (relative), axis ratios and angles (M,) of ellipses squashed in y: eigenvectors of their moments."""
    across = axis_ratio**2
    cosine, sine = np.cos(angle), np.sin(angle)
    xx, yy = cosine**2 + across * sine**2, (sine**2 + across * cosine**2) * squash**2
    xy = (1 - across) * cosine * sine * squash
    mean, root = (xx + yy) / 2, np.hypot((xx - yy) / 2, xy)
    return np.sqrt(mean + root), np.sqrt((mean - root) / (mean + root)), 0.5 * np.arctan2(2 * xy, xx - yy)
