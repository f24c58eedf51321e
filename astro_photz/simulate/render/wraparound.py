# Licensed under a 3-clause BSD style license - see LICENSE
"""
Light that comes round a Fourier grid.

On a finite grid, light that leaves on one side comes in again on the other, as from copies of the component, one grid
apart. What large galaxies send round is known from their profiles and smooth, as the grid leaves a margin around the
image: so it is computed at a few places, blurred and shifted to first order as the band is, and interpolated.
"""

from functools import cache
from itertools import product

import numpy as np
import torch
from scipy.special import gamma

from .components import add_by_scene, quadratic_form
from .profiles import SERSIC, exp_of_minus, light_beyond
from .sersic import sersic_law

__all__ = ["light_come_round"]

# Of copies of the grid: the first and last ring, and nodes a side for their light. The third set is for few components.
_RINGS = ((1, 1), 10), ((2, 3), 5), ((4, 10), 3)
_FAINT = 1e-4  # of a component's light beyond the grid: below it, nothing is taken off
_WIDE = 0.008  # of its light beyond the second set of rings: above it, the third is needed
_SMALL = 0.2  # change by blur and shift, relative to the light, to which their first order is right


def light_come_round(components, variance, shift, grid):
    """
    Light that the inverse transform adds to images, from the components' copies, one grid apart.

    Parameters
    ----------
    components : `~astro_photz.simulate.render.components.Components` (M,)
    variance : `torch.Tensor` (N, 5)
        Of the point-spread functions along an axis (square pixels).
    shift : `~numpy.ndarray` (N, 5, 2)
        Displacement of each band in columns and rows (pixels).
    grid : object
        With the ``side`` of the grid, the ``size`` of the images in its middle (pixels), the ``device``, and
        ``column``, which makes values of components broadcast along their pixels.

    Returns
    -------
    `torch.Tensor` (N, 5, size, size)
    """
    light = _as_seen(_copies_at_nodes(components, len(shift), grid), variance, shift, grid)
    to_pixels = _interpolation(light.shape[-1], tuple(np.linspace(-1, 1, grid.size)), grid.device)
    return to_pixels @ light @ to_pixels.T


def _copies_at_nodes(components, n, grid):
    """
    Light of the copies, before blur and shift.

    It is smooth within the image, and the smoother the further a copy: a polynomial follows it through a few nodes, at
    which it is given (n, 5, nodes, nodes). Beyond the last ring of copies their light is spread evenly.
    """
    number = _RINGS[0][1]
    at_nodes = torch.zeros((n, 5, number**2), device=grid.device)
    for profile in (*SERSIC, "sersic"):
        alike = components[components.have_profile(profile)]
        large = alike[_light_beyond(alike.radius, grid.side / 2, *_law(profile, alike)) > _FAINT]
        wide = _light_beyond(large.radius, _followed(_RINGS[1], grid), *_law(profile, large)) > _WIDE
        for group, rings in ((large[~wide], _RINGS[:2]), (large[wide], _RINGS)):
            if not len(group):
                continue
            law = _law(profile, group)
            copies = sum(_copies(group, *ring, law, grid) for ring in rings)
            everywhere = grid.column(_evenly_spread(group, rings[-1], law, grid))
            add_by_scene(at_nodes, group, copies + everywhere)
    return at_nodes.unflatten(-1, (number, number))


def _law(profile, components):
    """n and b_n of components of one profile: numbers, or arrays (M,) where each has its own."""
    return SERSIC[profile] if profile in SERSIC else sersic_law(components.sersic_index)


def _as_seen(light, variance, shift, grid):
    """Blur and move smooth light at nodes (n, 5, nodes, nodes): f + variance / 2 laplace f - shift grad f."""
    slope = _slope(light.shape[-1], grid.size, grid.device)
    along_y, along_x = slope @ light, light @ slope.T
    x, y = (grid.column(shift[..., axis])[..., None] for axis in (0, 1))
    curvature = slope @ along_y + along_x @ slope.T
    change = 0.5 * variance[..., None, None] * curvature - x * along_x - y * along_y
    return light + torch.clamp(change, -_SMALL * light.abs(), _SMALL * light.abs())


def _light_beyond(radius, distance, index, b):
    """Share of the light beyond a distance (pixels), of round profiles with half-light radii (M,)."""
    return light_beyond(distance / np.maximum(radius, 1e-6), index, b)


def _followed(ring, grid):
    """Radius (pixels) of a circle as large as all copies up to a ring."""
    (_, last), _ = ring
    return grid.side * (2 * last + 1) / np.sqrt(np.pi)


def _evenly_spread(components, ring, law, grid):
    """Brightness (M,) of the copies beyond a ring, for a flux of 1."""
    round_radius = components.radius * np.sqrt(components.axis_ratio)
    return _light_beyond(round_radius, _followed(ring, grid), *law) / grid.side**2


def _copies(components, rings, number, law, grid):
    """Brightness (M, nodes^2) of the copies in some rings, taken at ``number`` nodes a side, for a flux of 1."""
    index, b = law
    first, last = rings
    copy_y, copy_x = (grid.column(grid.side * step)[..., None] for step in _steps(first, last))
    nodes = grid.column((_nodes(number) + 1) / 2 * (grid.size - 1))[:, 0]

    def column(values):
        return grid.column(values)[..., None, None]  # (M, 1, 1, 1): by copy, node row, node column

    y = nodes[:, None] - copy_y - column(components.y)
    x = nodes - copy_x - column(components.x)
    xx, yy, xy = (
        column(value) for value in quadratic_form(components.angle, 1 / components.radius, 1 / components.axis_ratio)
    )
    r2 = xy * x + yy * y
    r2 *= y
    r2 += xx * x**2
    root = r2.clamp_(min=0)
    if np.ndim(index):
        root.pow_(column(0.5 / index)).mul_(column(b))
    else:
        for _ in range(int(np.log2(2 * index))):  # r^(1 / n) by square roots, which are quicker than powers
            root = root.sqrt_()
        root.mul_(b)
    profile = exp_of_minus(root).sum(dim=1)
    refine = _interpolation(number, tuple(_nodes(_RINGS[0][1])), grid.device)
    area = components.radius**2 * components.axis_ratio
    light = (refine @ profile @ refine.T).flatten(1)
    return light / grid.column(area * 2 * np.pi * index * gamma(2 * index) / b ** (2 * index))


@cache
def _steps(first, last):
    """Rows and columns (2, copies), in grids, of the copies from one ring to another."""
    steps = product(range(-last, last + 1), repeat=2)
    return np.array([step for step in steps if max(map(abs, step)) >= first]).T


def _nodes(number):
    """Places, from -1 to 1, through which a polynomial follows a smooth function best."""
    return np.polynomial.chebyshev.chebpts1(number)


@cache
def _interpolation(number, places, device):
    """Matrix (places, number) that takes the polynomial through the nodes to other places from -1 to 1."""
    vander = np.polynomial.chebyshev.chebvander
    matrix = vander(np.array(places), number - 1) @ np.linalg.inv(vander(_nodes(number), number - 1))
    return torch.as_tensor(matrix, dtype=torch.float32, device=device)


@cache
def _slope(number, size, device):
    """Matrix (number, number) from values at the nodes to the derivative there, per pixel."""
    chebyshev = np.polynomial.chebyshev
    coefficients = chebyshev.chebder(np.linalg.inv(chebyshev.chebvander(_nodes(number), number - 1)))
    matrix = chebyshev.chebvander(_nodes(number), number - 2) @ coefficients * 2 / (size - 1)
    return torch.as_tensor(matrix, dtype=torch.float32, device=device)
