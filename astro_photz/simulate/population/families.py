# Licensed under a 3-clause BSD style license - see LICENSE
"""
Two families of shapes, written independently of each other, and their mixture.

The first (`~astro_photz.simulate.population.morphology`) makes every galaxy of a bulge and a disc. The second
(`~astro_photz.simulate.population.sersic`) makes it of one Sersic profile, with bars, rings, arms and clumps on some.
A network that is trained on both, or on one and tested on the other, shows what it has learnt of galaxies rather than
of a generator.
"""

import numpy as np

from astro_photz.utils._settings import check_between

from .morphology import draw_morphology
from .sersic import draw_sersic
from .shapes import Shapes

__all__ = ["draw_shapes"]


def draw_shapes(population, rng, *, sersic=0.0):
    """
    Give each galaxy a shape of one of the two families.

    Parameters
    ----------
    population : `~astro_photz.simulate.population.draw.Population` (N,)
    rng : `~numpy.random.Generator`
    sersic : float, optional
        Share of the galaxies that have a shape of the second family, from 0 to 1.

    Returns
    -------
    `~astro_photz.simulate.population.shapes.Shapes` (N,)

    Raises
    ------
    ValueError
        If ``sersic`` is no share.

    Examples
    --------
    >>> import numpy as np
    >>> from astro_photz.simulate.population.draw import draw_population
    >>> from astro_photz.simulate.population.families import draw_shapes
    >>> rng = np.random.default_rng(0)
    >>> shape = draw_shapes(draw_population(1000, rng), rng, sersic=0.3)
    >>> print(f"{np.isfinite(shape.sersic_index).mean():.1f}")
    0.3
    """
    check_between("sersic", sersic, 0, 1)
    if sersic == 0:  # nothing is drawn to choose by: the galaxies are those of the first family alone
        return draw_morphology(population, rng)
    of_second = rng.uniform(size=len(population)) < sersic
    rows = [np.flatnonzero(some) for some in (~of_second, of_second)]
    drawn = [draw(population[own], rng) for draw, own in zip((draw_morphology, draw_sersic), rows, strict=True)]
    return Shapes.join(drawn, rows)
