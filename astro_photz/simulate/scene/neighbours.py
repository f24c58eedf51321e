# Licensed under a 3-clause BSD style license - see LICENSE
"""
Neighbours: other galaxies that fall into a stamp, and stars of our own.

Galaxies brighter than r = 18 number 120 a square degree: 92 to r = 17.77, the density of the Main Galaxy Sample
(Strauss et al. 2002, AJ 124, 1810), and a little more for what it leaves out, whose images are too faint in surface
brightness or too close to others. Their number grows as 10^(0.475 r), about as in the counts of SDSS to r = 21 (Yasuda
et al. 2001, AJ 122, 1104), where these end, and as 10^(0.40 r) to r = 22.7: two real catalogues have 8,300 and 8,500 a
square degree at r < 22. Stars number 3,100 a square degree at r < 21, the mean of the same two (2,100 and 4,100), and
grow as 10^(0.18 r), taken to go on so to r = 23.5. Galaxies cluster: their number varies from stamp to stamp by more
than chance, its variance in excess being the mean of the angular correlation function over a stamp (Peebles 1980, The
Large-Scale Structure of the Universe, section 36), about 0.2 at the depth of SDSS (Connolly et al. 2002, ApJ 579, 42).
Fainter than r = 22.7, where they grow as 10^(0.35 r) (Metcalfe et al. 2001, MNRAS 323, 795), single galaxies disappear
in the noise: they are drawn as small round blobs, down to where all together no longer matter.
"""

from dataclasses import replace

import numpy as np

from astro_photz.sdss import PIXEL_SCALE, R_UGRIZ, ZERO_POINT
from astro_photz.simulate.population.draw import draw_population
from astro_photz.simulate.population.families import draw_shapes
from astro_photz.simulate.render.components import Components
from astro_photz.simulate.render.fourier import REACH
from astro_photz.utils._settings import check_between

__all__ = ["FAINTEST_SINGLE", "draw_neighbours"]

FAINTEST_SINGLE = 22.7
"""r magnitude to which neighbours are seen one by one; fainter ones are part of what the sky is like."""

_BRIGHT_GALAXIES = {"number": 120.0, "at": 18.0, "slope": 0.475, "faintest": 21.0, "brightest": 15.0}
_GALAXIES = {"number": 3200.0, "at": 21.0, "slope": 0.40, "faintest": 22.7, "brightest": 21.0}
_FAINT_GALAXIES = {
    "number": 15_300.0,
    "at": FAINTEST_SINGLE,
    "slope": 0.35,
    "faintest": 24.5,
    "brightest": FAINTEST_SINGLE,
}
_STARS = {"number": 3100.0, "at": 21.0, "slope": 0.18, "faintest": 23.5, "brightest": 13.0}
_COLOUR_SCATTER = 0.12  # mag a band, about those of nearby galaxies
_CLUSTERING = 0.2  # variance of the galaxies' number in a stamp beyond Poisson's, relative to the mean squared
_FAINT_COLOURS = np.array([1.0, 0.6, 0.0, -0.25, -0.4])  # mag relative to r: blue galaxies at z = 0.3 to 1
_FAINT_COLOUR_SCATTER = np.array([0.4, 0.4, 0.0, 0.4, 0.4])  # mag: counts are of r
_FAINT_RADIUS = 0.45, 0.3  # half-light radius (arcsec): median and scatter of the logarithm


def draw_neighbours(ebv, rng, *, size, split, density=1.0, shapes=None):
    """
    Draw the neighbours of galaxies.

    Parameters
    ----------
    ebv : `~numpy.ndarray` (N,)
        E(B-V) (mag) that reddens everything in a scene.
    rng : `~numpy.random.Generator`
    size : int
        Side of the images (pixels).
    split : str
        Which of the real galaxies are their progenitors.
    density : float, optional
        Number of neighbours relative to the real sky; 0 for none.
    shapes : dict, optional
        Keywords of `~astro_photz.simulate.population.families.draw_shapes`.

    Returns
    -------
    `~astro_photz.simulate.render.components.Components`
        With the fluxes as observed, extinction included.

    Raises
    ------
    ValueError
        If ``density`` is negative or beyond all reason.

    Examples
    --------
    >>> import numpy as np
    >>> from astro_photz.simulate.scene.neighbours import draw_neighbours
    >>> neighbours = draw_neighbours(np.full(100, 0.03), np.random.default_rng(0), size=64, split="train")
    >>> 300 < len(neighbours) < 1500
    True
    """
    check_between("density", density, 0, 10)
    area = density * ((size + 2 * REACH) * PIXEL_SCALE / 3600) ** 2
    clustered = rng.gamma(1 / _CLUSTERING, area * _CLUSTERING, size=len(ebv))
    single = (_place(counts, clustered, size, rng) for counts in (_BRIGHT_GALAXIES, _GALAXIES))
    galaxies = _shape_galaxies(*map(np.concatenate, zip(*single, strict=True)), rng, split, shapes or {})
    faint = _blur_faint(*_place(_FAINT_GALAXIES, clustered, size, rng), rng)
    stars = _colour_stars(*_place(_STARS, np.full(len(ebv), area), size, rng), rng)
    every = Components.concatenate([galaxies, faint, stars])
    # Counts are of observed magnitudes; only the colours change.
    reddening = 10 ** (-0.4 * (R_UGRIZ - R_UGRIZ[2]) * ebv[every.scene, None])
    return replace(every, flux=every.flux * reddening)


def _place(counts, area, size, rng):
    """Scene, position and r magnitude of objects with power-law counts, on areas (N,) in square degrees."""
    slope = counts["slope"]
    below, above = (10 ** (slope * (counts[limit] - counts["at"])) for limit in ("brightest", "faintest"))
    number = rng.poisson(counts["number"] * (above - below) * area)
    scene = np.repeat(np.arange(len(area)), number)
    cumulative = rng.uniform(below, above, size=len(scene))
    magnitude = counts["at"] + np.log10(cumulative) / slope
    x, y = rng.uniform(-REACH - 0.5, size + REACH - 0.5, size=(2, len(scene)))
    return scene, x, y, magnitude


def _shape_galaxies(scene, x, y, magnitude, rng, split, shapes):
    """
    Draw galaxies of the sample, dimmed to the magnitudes wanted, and smaller.

    They shrink by half as much as by a distance alone, since fainter galaxies are of less luminosity too.
    """
    n = len(scene)
    population = draw_population(n, rng, split=split)
    shape = draw_shapes(population, rng, **shapes)
    own_magnitude = ZERO_POINT - 2.5 * np.log10(population.flux[:, 2])
    scatter = _COLOUR_SCATTER * rng.standard_normal((n, 5))
    scatter[:, 2] = 0
    flux = population.flux * 10 ** (-0.4 * (magnitude - own_magnitude)[:, None] + 0.4 * scatter)
    # one component stands for the whole: the larger one of bulge and disc, or the main body
    main = shape.components[shape.first + (np.isnan(shape.sersic_index) & (shape.bulge_fraction < 0.5))]
    radius = shape.radius / PIXEL_SCALE * 10 ** (-0.1 * (magnitude - own_magnitude))
    return replace(main, scene=scene, x=x, y=y, flux=flux, radius=np.clip(radius, 0.8, 30))


def _blur_faint(scene, x, y, magnitude, rng):
    """Draw round blobs, so small that their profile does not matter."""
    n = len(scene)
    magnitudes = magnitude[:, None] + _FAINT_COLOURS + _FAINT_COLOUR_SCATTER * rng.standard_normal((n, 5))
    median, scatter = _FAINT_RADIUS
    radius = median / PIXEL_SCALE * np.exp(scatter * rng.standard_normal(n))
    return Components.round("gaussian", scene=scene, x=x, y=y, flux=_flux(magnitudes), radius=radius)


def _colour_stars(scene, x, y, magnitude, rng):
    """Draw stars on the stellar locus (Covey et al. 2007, AJ 134, 2398, roughly): turn-off stars and M dwarfs."""
    n = len(scene)
    dwarf = rng.uniform(size=n) < 0.55
    g_r = np.where(dwarf, 1.40 + 0.08 * rng.standard_normal(n), 0.30 + rng.gamma(2.0, 0.16, size=n))
    g_r = np.clip(g_r, 0.1, 1.7)
    r_i = np.where(dwarf, rng.uniform(0.5, 1.8, size=n), 0.36 * g_r - 0.02)
    i_z = np.where(dwarf, 0.55 * r_i - 0.02, 0.5 * r_i - 0.03)
    u_g = np.interp(g_r, [0.1, 0.3, 0.5, 0.8, 1.2, 1.7], [0.95, 0.95, 1.25, 1.95, 2.50, 2.65])
    magnitudes = np.stack([g_r + u_g, g_r, np.zeros(n), -r_i, -r_i - i_z], axis=1) + magnitude[:, None]
    magnitudes += 0.03 * rng.standard_normal((n, 5))
    return Components.round("point", scene=scene, x=x, y=y, flux=_flux(magnitudes), radius=np.zeros(n))


def _flux(magnitudes):
    return 10 ** (0.4 * (ZERO_POINT - magnitudes))
