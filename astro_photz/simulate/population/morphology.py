# Licensed under a 3-clause BSD style license - see LICENSE
"""
Shapes of galaxies: a bulge, a disc and clumps in its arms, by type, luminosity and colour.

- Type: galaxies on the red sequence are early, those in the blue cloud late
  (`~astro_photz.simulate.population.draw.red_share`).
- Size: the half-light radius follows size-luminosity relations of the form of Shen et al. (2003, MNRAS 343, 978),
  scatter included, set so that drawn galaxies have the Petrosian radii and the concentration that real ones of z < 0.06
  have at their luminosity (benchmarks/simulation/shapes.py). At one luminosity and type, the more concentrated galaxies
  are smaller. Further away, galaxies of a size were more luminous: they have faded since.
- Concentration: the mixture of two profiles stands for the range of Sersic indices, mostly 2.5 to 4 for early types and
  0.6 to 2 for late ones. In early types the bulge has de Vaucouleurs' profile and four fifths of the light, with a wide
  scatter from lenticulars to ellipticals. In two late types of three it has less than a fifth of the light, and in
  three of four its profile is nearer to an exponential (Weinzirl et al. 2009, ApJ 696, 411).
- Discs are exponential, but three of five late ones bend down, most often between two and three scale lengths (Pohlen &
  Trujillo 2006, A&A 454, 759). With a slope twice as steep from there on, such a profile is as concentrated as one of
  Sersic index 0.6, and less flat in the middle: Gaussians for half of them stand for all.
- Colour: bulges are redder than discs, the more so in late types; in early types, where both are old, the two profiles
  make the gradient of ellipticals, redder in the middle. Clumps are bluer than the disc. The sum keeps the galaxy's
  colours exactly.
- Flattening: early types are prolate at random angles, the less luminous the longer for their width (Vincent & Ryden
  2005, ApJ 623, 137); discs are oblate, with an intrinsic axis ratio of 0.2, and at random angles too.
- Inclination: a galaxy's colour is its progenitor's, dust of its own included, so it is not reddened again: the redder
  of the late types are drawn at the higher inclinations, by which edge-on discs are redder than face-on ones by about
  0.1 mag in g - r (Masters et al. 2010, MNRAS 404, 792).
- Arms: clumps of young stars (`astro_photz.simulate.population.clumps`).
- Lopsidedness: discs are off the middle of their bulges, by a tenth of a scale length in the median, which makes a
  dipole of that size (Zaritsky & Rix 1997, ApJ 477, 118).
"""

import numpy as np
from scipy.special import ndtr

from astro_photz.sdss import PIXEL_SCALE
from astro_photz.simulate.render.components import Components
from astro_photz.simulate.render.profiles import EXPONENTIAL, PROFILES, SERSIC, light_within

from .clumps import draw_clump_flux, draw_clump_places, split_light
from .draw import red_share
from .shapes import Shapes
from .sizes import draw_radius

__all__ = ["disc_inclination", "draw_morphology"]

# Mean and scatter of how much redder the bulge is in g - r (mag), and of the logarithm of bulge to disc half-light
# radius: set so that colours at 1 and at 2.5 arcsec differ as in the galaxies of four real fields. The catalogue of
# another field (benchmarks/simulation/structure.py) asks for redder bulges; but light in the outskirts would then be so
# blue that apertures, which miss it, would not return the colours (tests/simulate/test_camera.py).
_BULGE_REDDER = {"early": (0.33, 0.08), "late": (0.60, 0.15)}
_RADIUS_RATIO = {"early": (-0.30, 0.15), "late": (-0.45, 0.15)}
_BULGE_SHARE = {"early": (1.96, 0.49), "late": (0.29, 1.26)}  # parameters of a beta distribution
# Change of the logarithm of the half-light radius with the bulge's share: at one luminosity and type, the more
# concentrated galaxies are smaller.
_SMALLER_BY_BULGE = {"early": -0.21, "late": -0.375}
_DISC_LIKE = 0.76  # share of late types whose bulge is exponential
_BENT_DOWN = 0.3  # share of late types whose disc is Gaussian
_DISC_THICKNESS = 0.2
# Width over length of early types, mean: of those more luminous than that magnitude, and of the others.
_EARLY_WIDTH = {"bright": 0.67, "faint": 0.51}
_BRIGHT = -21.84
_EARLY_WIDTH_SCATTER = 0.12
_MEAN_DISC_AXIS_RATIO = 0.6
_LATE_COLOUR = 0.62, 0.165  # mean and scatter of g - r at z = 0.1 of late types (mag)
_COLOUR_INCLINATION = 0.2  # correlation of the two
_LOPSIDEDNESS = 0.085  # scale lengths: parameter of a Rayleigh distribution, whose median is 1.18 times that


def disc_inclination(axis_ratio):
    """
    Angle from face-on at which a disc has an axis ratio.

    Parameters
    ----------
    axis_ratio : array_like (N,)
        Of an oblate disc, a fifth as thick as wide.

    Returns
    -------
    inclination : `~numpy.ndarray` (N,)
        In degrees.

    References
    ----------
    Hubble 1926, ApJ 64, 321.

    Examples
    --------
    >>> from astro_photz.simulate.population.morphology import disc_inclination
    >>> disc_inclination([1.0, 0.2])
    array([ 0., 90.])
    """
    cosine2 = (np.square(axis_ratio) - _DISC_THICKNESS**2) / (1 - _DISC_THICKNESS**2)
    return np.rad2deg(np.arccos(np.sqrt(np.clip(cosine2, 0, 1))))


def draw_morphology(population, rng):
    """
    Give each galaxy a shape that suits its luminosity and colour.

    Parameters
    ----------
    population : `~astro_photz.simulate.population.draw.Population` (N,)
    rng : `~numpy.random.Generator`

    Returns
    -------
    `~astro_photz.simulate.population.shapes.Shapes` (N,)
        A galaxy's components are its bulge, its disc and, in late types, the clumps.

    Examples
    --------
    >>> import numpy as np
    >>> from astro_photz.simulate.population.morphology import draw_morphology
    >>> from astro_photz.simulate.population.draw import draw_population
    >>> rng = np.random.default_rng(0)
    >>> population = draw_population(100, rng)
    >>> shape = draw_morphology(population, rng)
    >>> total = np.zeros((100, 5))
    >>> np.add.at(total, shape.components.scene, shape.components.flux)
    >>> bool(np.allclose(total, population.flux))
    True
    """
    n = len(population)
    early = rng.uniform(size=n) < red_share(population.rest_colour)
    bulge_fraction = np.clip(_beta(rng, _BULGE_SHARE, early), 0.002, 0.998)
    radius = draw_radius(population, early, rng) * _by_bulge(bulge_fraction, early)
    profile = _profiles(early, rng)
    axis_ratio = _draw_axis_ratio(population, early, rng)
    major = _major_axes(radius, bulge_fraction, 10 ** _normal(rng, _RADIUS_RATIO, early), profile, axis_ratio, early)
    angle = rng.uniform(0, np.pi, size=n)
    scale_length = np.where(early, 0.0, major[:, 1] / EXPONENTIAL)
    component_offset = _off_centre(scale_length, bulge_fraction, rng)
    component_flux = split_light(population.flux, bulge_fraction, _normal(rng, _BULGE_REDDER, early))

    late = np.flatnonzero(~early)
    clump_flux = draw_clump_flux(component_flux[late, 1], rng)
    component_flux[late, 1] -= clump_flux.sum(axis=1)
    clump_offset, clump_radius = draw_clump_places(scale_length[late], axis_ratio[late, 1], angle[late], rng)
    clump_offset += component_offset[late, 1][:, None]
    tilt = np.where(early, 0, 0.1) * rng.standard_normal(n)
    smooth = Components(
        scene=np.repeat(np.arange(n), 2),
        profile=profile.ravel(),
        x=component_offset[..., 0].ravel(),
        y=component_offset[..., 1].ravel(),
        flux=component_flux.reshape(-1, 5),
        radius=major.ravel(),
        axis_ratio=axis_ratio.ravel(),
        angle=np.stack([angle + tilt, angle], axis=1).ravel(),
    )
    return Shapes(
        early=early,
        bulge_fraction=bulge_fraction,
        radius=radius,
        inclination=np.where(early, np.nan, disc_inclination(axis_ratio[:, 1])),
        sersic_index=np.full(n, np.nan),
        components=Components.concatenate([smooth, _as_components(late, clump_offset, clump_flux, clump_radius)]),
    )


def _by_bulge(bulge_fraction, early):
    """Half-light radii (N,) relative to those of galaxies with a mean bulge."""
    mean = np.where(early, *(a / (a + b) for a, b in (_BULGE_SHARE[kind] for kind in ("early", "late"))))
    change = np.where(early, _SMALLER_BY_BULGE["early"], _SMALLER_BY_BULGE["late"])
    return 10 ** (change * (bulge_fraction - mean))


def _as_components(galaxies, offset, flux, radius):
    """Clumps (K, clumps) of some galaxies."""
    x, y = offset.reshape(-1, 2).T
    scene = np.repeat(galaxies, radius.shape[1])
    return Components.round("gaussian", scene=scene, x=x, y=y, flux=flux.reshape(-1, 5), radius=radius.ravel())


def _draw_axis_ratio(population, early, rng):
    """Axis ratios of bulge and disc (N, 2)."""
    spheroid = _early_axis_ratio(population.absolute_magnitude, rng)
    bulge = np.where(early, spheroid, np.clip(0.8 + 0.13 * rng.standard_normal(len(early)), 0.3, 1.0))
    disc = np.where(early, spheroid, _disc_axis_ratio(population.rest_colour, rng))
    return np.stack([bulge, disc], axis=1)


def _major_axes(radius, bulge_fraction, ratio, profile, axis_ratio, early):
    """Half-light radii of bulge and disc along the major axis (N, 2) (pixels)."""
    # The relations hold for circular apertures; a disc's radius along the major axis does not depend on its
    # inclination.
    mean_axis_ratio = np.where(early, axis_ratio[:, 1], _MEAN_DISC_AXIS_RATIO)
    bulge, disc = _component_radii(radius, bulge_fraction, ratio, profile)
    return np.stack([bulge / np.sqrt(axis_ratio[:, 0]), disc / np.sqrt(mean_axis_ratio)], axis=1) / PIXEL_SCALE


def _beta(rng, parameters, early):
    return np.where(early, *(rng.beta(*parameters[kind], size=len(early)) for kind in ("early", "late")))


def _normal(rng, parameters, early):
    mean, scatter = (np.where(early, *pair) for pair in zip(parameters["early"], parameters["late"], strict=True))
    return mean + scatter * rng.standard_normal(len(early))


def _profiles(early, rng):
    """Profiles of bulge and disc (N, 2), by their place in `PROFILES`."""
    gaussian, exponential, devaucouleurs = (PROFILES.index(name) for name in SERSIC)
    disc_like, bent_down = (~early & (rng.uniform(size=len(early)) < share) for share in (_DISC_LIKE, _BENT_DOWN))
    bulge = np.where(disc_like, exponential, devaucouleurs)
    return np.stack([bulge, np.where(bent_down, gaussian, exponential)], axis=1)


def _early_axis_ratio(absolute_magnitude, rng):
    """Axis ratios (N,) of prolate galaxies at random angles."""
    mean = np.where(absolute_magnitude < _BRIGHT, _EARLY_WIDTH["bright"], _EARLY_WIDTH["faint"])
    width = np.clip(mean + _EARLY_WIDTH_SCATTER * rng.standard_normal(len(mean)), 0.2, 1.0)
    cosine = rng.uniform(size=len(mean))  # of the angle between the long axis and the line of sight
    return width / np.sqrt(width**2 * cosine**2 + 1 - cosine**2)


def _disc_axis_ratio(colour, rng):
    """Axis ratios (N,) of discs at random angles, the redder ones at the higher inclinations (a Gaussian copula)."""
    mean, scatter = _LATE_COLOUR
    redder = np.clip((colour - mean) / scatter, -3, 3)
    rest = np.sqrt(1 - _COLOUR_INCLINATION**2)
    cosine = ndtr(rest * rng.standard_normal(len(colour)) - _COLOUR_INCLINATION * redder)
    return np.sqrt(cosine**2 * (1 - _DISC_THICKNESS**2) + _DISC_THICKNESS**2)


def _component_radii(radius, bulge_fraction, ratio, profile):
    """Half-light radii of bulge and disc, in the given ratio, whose sum has the half-light radius wanted."""
    low, high = np.full_like(radius, 0.2), np.full_like(radius, 20.0)  # disc radius over the half-light radius
    for _ in range(30):
        disc = np.sqrt(low * high)
        in_bulge, in_disc = light_within(1 / np.stack([ratio * disc, disc], axis=1), profile).T
        too_large = bulge_fraction * in_bulge + (1 - bulge_fraction) * in_disc < 0.5
        low, high = np.where(too_large, low, disc), np.where(too_large, disc, high)
    return radius * disc * ratio, radius * disc


def _off_centre(scale_length, bulge_fraction, rng):
    """Places of bulge and disc (N, 2, 2), apart by the lopsidedness and with the light's centre in the middle."""
    apart = _LOPSIDEDNESS * scale_length[:, None] * rng.standard_normal((len(scale_length), 2))
    share = bulge_fraction[:, None]
    return np.stack([-(1 - share) * apart, share * apart], axis=1)
