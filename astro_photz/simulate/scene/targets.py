# Licensed under a 3-clause BSD style license - see LICENSE
"""
Targets: the galaxies in the middle of their stamps, as components of light.
"""

from dataclasses import replace

from astro_photz.sdss import R_UGRIZ
from astro_photz.simulate.population.families import draw_shapes
from astro_photz.simulate.truth import truth_table

__all__ = ["draw_targets"]


def draw_targets(population, rng, xy, *, shape=None, sersic=0.0):
    """
    Draw shapes of galaxies, and make components of light of them.

    Parameters
    ----------
    population : `~astro_photz.simulate.population.draw.Population` (N,)
    rng : `~numpy.random.Generator`
    xy : `~numpy.ndarray` (N, 2)
        Column and row of each (pixels).
    shape : `~astro_photz.simulate.population.shapes.Shapes` (N,), optional
        Drawn if it is not given.
    sersic : float, optional
        As in `~astro_photz.simulate.population.families.draw_shapes`; without meaning if the shapes are given.

    Returns
    -------
    components : `~astro_photz.simulate.render.components.Components`
        Those of the shapes, dimmed and reddened by our Galaxy; the scene is the galaxy's number.
    truth : `~astropy.table.QTable` (N,)
        The truth about them.
    """
    shape = draw_shapes(population, rng, sersic=sersic) if shape is None else shape
    extinction = 10 ** (-0.4 * R_UGRIZ * population.ebv[:, None])
    light = shape.dimmed(extinction).components
    x, y = xy[light.scene].T
    return replace(light, x=x + light.x, y=y + light.y), truth_table(population, shape)
