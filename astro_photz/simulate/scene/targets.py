# Licensed under a 3-clause BSD style license - see LICENSE
"""
Targets: the galaxies in the middle of their stamps, as components of light.
"""

import numpy as np

from astro_photz.sdss import R_UGRIZ
from astro_photz.simulate.population.morphology import draw_morphology
from astro_photz.simulate.render.components import Components
from astro_photz.simulate.truth import truth_table

__all__ = ["draw_targets"]


def draw_targets(population, rng, xy, *, shape=None):
    """
    Draw shapes of galaxies, and make components of light of them.

    Parameters
    ----------
    population : `~astro_photz.simulate.population.draw.Population` (N,)
    rng : `~numpy.random.Generator`
    xy : `~numpy.ndarray` (N, 2)
        Column and row of each (pixels).
    shape : `~astro_photz.simulate.population.morphology.Morphology` (N,), optional
        Drawn if it is not given.

    Returns
    -------
    components : `~astro_photz.simulate.render.components.Components`
        Bulges, discs and clumps, dimmed and reddened by our Galaxy; the scene is the galaxy's number.
    truth : `~astropy.table.QTable` (N,)
        The truth about them.
    """
    shape = draw_morphology(population, rng) if shape is None else shape
    return _components(population, shape, xy), truth_table(population, shape)


def _components(population, shape, xy):
    extinction = 10 ** (-0.4 * R_UGRIZ * population.ebv[:, None])
    n, clumps = len(population), shape.clumps
    x, y = (xy[:, None] + shape.component_offset).reshape(-1, 2).T
    smooth = Components(
        scene=np.repeat(np.arange(n), 2),
        profile=shape.component_profile.ravel(),
        x=x,
        y=y,
        flux=(shape.component_flux * extinction[:, None]).reshape(-1, 5),
        radius=shape.component_radius.ravel(),
        axis_ratio=shape.axis_ratio.ravel(),
        angle=shape.angle.ravel(),
    )
    x, y = (xy[clumps.galaxy] + clumps.offset).T
    flux = clumps.flux * extinction[clumps.galaxy]
    knots = Components.round("gaussian", scene=clumps.galaxy, x=x, y=y, flux=flux, radius=clumps.radius)
    return Components.concatenate([smooth, knots])
