# Licensed under a 3-clause BSD style license - see LICENSE
"""
What galaxies look like: a de Vaucouleurs bulge and an exponential disc, by type, luminosity and colour.

- Type: galaxies on the red sequence are early, those in the blue cloud late, the boundary at g - r = 0.8 in the bands
  shifted to z = 0.1 (Blanton et al. 2003, ApJ 594, 186), softened by 0.06 mag.
- Size: the half-light radius follows the size-luminosity relations of Shen et al. (2003, MNRAS 343, 978; equations
  14-16 with the parameters of their figure 4), scatter included.
- Bulge: most of the light of early types, a fifth of that of late ones, with a wide scatter.
- Colour: bulges are redder than discs, the more so in late types; the sum keeps the galaxy's colours exactly.
- Inclination: discs at random angles, oblate with an intrinsic axis ratio of 0.2.
"""

from dataclasses import dataclass

import numpy as np
from scipy.special import expit, gammainc, logit

from astro_photz.sdss import PIXEL_SCALE

__all__ = ["DEVAUCOULEURS", "EXPONENTIAL", "Morphology", "draw_morphology", "shen_radius"]

EXPONENTIAL = 1.67834699
DEVAUCOULEURS = 7.66924944
"""b_n of the Sersic profiles exp(-b_n (r / R_50)^(1/n)), n = 1 and 4, that makes R_50 the half-light radius."""

# Colour difference of bulge and disc (mag) in ugriz relative to r, for a difference of one in g - r: an old population
# beside a younger one.
_COLOUR_VECTOR = np.array([1.75, 1.0, 0.0, -0.5, -0.85])
_BULGE_REDDER = {"early": (0.16, 0.06), "late": (0.42, 0.14)}  # mean and scatter in g - r (mag)
_RADIUS_RATIO = {"early": (-0.2, 0.12), "late": (-0.45, 0.15)}  # log10 of bulge to disc half-light radius
_DISC_THICKNESS = 0.2
_MEAN_DISC_AXIS_RATIO = 0.6
_RADIUS_LIMITS = 0.3, 12.0  # arcsec


@dataclass(frozen=True)
class Morphology:
    """
    Bulge (first) and disc (second) of each galaxy.

    Attributes
    ----------
    early : `~numpy.ndarray` (N,) of bool
    bulge_fraction : `~numpy.ndarray` (N,)
        Share of the bulge in the *r* band.
    radius : `~numpy.ndarray` (N,)
        Half-light radius of the whole (arcsec).
    component_flux : `~numpy.ndarray` (N, 2, 5)
        Fluxes of bulge and disc, in the unit of the population's.
    component_radius : `~numpy.ndarray` (N, 2)
        Half-light radius along the major axis (pixels).
    axis_ratio : `~numpy.ndarray` (N, 2)
    angle : `~numpy.ndarray` (N, 2)
        Of the major axis from the columns' direction (radians).
    """

    early: np.ndarray
    bulge_fraction: np.ndarray
    radius: np.ndarray
    component_flux: np.ndarray
    component_radius: np.ndarray
    axis_ratio: np.ndarray
    angle: np.ndarray


def shen_radius(absolute_magnitude, early):
    """
    Median half-light radius at given luminosity, and its scatter.

    Parameters
    ----------
    absolute_magnitude : array_like (N,)
        In the *r* band shifted to z = 0.1, h = 0.7.
    early : array_like (N,) of bool
        Type.

    Returns
    -------
    radius : `~numpy.ndarray` (N,)
        In kpc.
    scatter : `~numpy.ndarray` (N,)
        Standard deviation of ln R.

    References
    ----------
    Shen et al. 2003, MNRAS 343, 978, equations 14 (early types), 15 (late types) and 16.

    Examples
    --------
    >>> from astro_photz.simulate.morphology import shen_radius
    >>> radius, _ = shen_radius([-21.5, -21.5], [True, False])
    >>> radius.round(1)
    array([3.4, 4.7])
    """
    magnitude = np.asarray(absolute_magnitude, dtype=float)
    characteristic = -20.52
    log_early = -0.4 * 0.60 * magnitude - 4.63
    knee = np.log10(1 + 10 ** (-0.4 * (magnitude - characteristic)))
    log_late = -0.4 * 0.21 * magnitude + (0.53 - 0.21) * knee - 1.31
    scatter = 0.25 + (0.48 - 0.25) / (1 + 10 ** (-0.8 * (magnitude - characteristic)))
    return 10 ** np.where(early, log_early, log_late), scatter


def draw_morphology(population, rng):
    """
    Give each galaxy a shape that suits its luminosity and colour.

    Parameters
    ----------
    population : `~astro_photz.simulate.population.Population` (N,)
    rng : `~numpy.random.Generator`

    Returns
    -------
    `Morphology`
    """
    n = len(population)
    early = rng.uniform(size=n) < expit((population.rest_colour - 0.8) / 0.06)
    radius_kpc, scatter = shen_radius(population.absolute_magnitude, early)
    radius = radius_kpc * np.exp(scatter * rng.standard_normal(n)) * _arcsec_per_kpc(population.redshift)
    radius = np.clip(radius, *_RADIUS_LIMITS)

    bulge_fraction = np.where(early, rng.beta(5.0, 2.0, size=n), rng.beta(1.2, 5.0, size=n))
    bulge_fraction = np.clip(bulge_fraction, 0.002, 0.998)
    inclination_cosine = rng.uniform(size=n)
    disc_axis_ratio = np.sqrt(inclination_cosine**2 * (1 - _DISC_THICKNESS**2) + _DISC_THICKNESS**2)
    bulge_axis_ratio = np.clip(np.where(early, 0.75, 0.8) + 0.13 * rng.standard_normal(n), 0.3, 1.0)
    axis_ratio = np.stack([bulge_axis_ratio, np.where(early, bulge_axis_ratio, disc_axis_ratio)], axis=1)
    mean_axis_ratio = np.where(early, bulge_axis_ratio, _MEAN_DISC_AXIS_RATIO)

    ratio = 10 ** _normal(rng, _RADIUS_RATIO, early)
    bulge, disc = _component_radii(radius, bulge_fraction, ratio)
    # The relations hold for circular apertures; a disc's radius along the major axis does not depend on its
    # inclination.
    major = np.stack([bulge / np.sqrt(bulge_axis_ratio), disc / np.sqrt(mean_axis_ratio)], axis=1)
    angle = rng.uniform(0, np.pi, size=n)
    return Morphology(
        early=early,
        bulge_fraction=bulge_fraction,
        radius=radius,
        component_flux=_split_flux(population.flux, bulge_fraction, _normal(rng, _BULGE_REDDER, early)),
        component_radius=major / PIXEL_SCALE,
        axis_ratio=axis_ratio,
        angle=np.stack([angle + np.where(early, 0, 0.1) * rng.standard_normal(n), angle], axis=1),
    )


def _normal(rng, parameters, early):
    mean, scatter = (np.where(early, *pair) for pair in zip(parameters["early"], parameters["late"], strict=True))
    return mean + scatter * rng.standard_normal(len(early))


def _arcsec_per_kpc(redshift):
    from astropy.cosmology import FlatLambdaCDM

    return FlatLambdaCDM(H0=70, Om0=0.3).arcsec_per_kpc_proper(redshift).value


def _component_radii(radius, bulge_fraction, ratio):
    """Half-light radii of bulge and disc, in the given ratio, whose sum has the half-light radius wanted."""
    low, high = np.full_like(radius, 0.2), np.full_like(radius, 20.0)  # disc radius over the half-light radius
    for _ in range(30):
        disc = np.sqrt(low * high)
        in_bulge = gammainc(8, DEVAUCOULEURS * (1 / (ratio * disc)) ** 0.25)
        in_disc = gammainc(2, EXPONENTIAL / disc)
        too_large = bulge_fraction * in_bulge + (1 - bulge_fraction) * in_disc < 0.5
        low, high = np.where(too_large, low, disc), np.where(too_large, disc, high)
    return radius * disc * ratio, radius * disc


def _split_flux(flux, bulge_fraction, redder):
    """Fluxes of bulge and disc (N, 2, 5): the bulge redder, their sum the flux given."""
    # A component's share is odds / (1 + odds), so the two sum to one in every band.
    magnitudes = _COLOUR_VECTOR * redder[:, None]
    bulge = expit(logit(bulge_fraction)[:, None] - 0.4 * np.log(10) * magnitudes) * flux
    return np.stack([bulge, flux - bulge], axis=1)
