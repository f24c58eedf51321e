# Licensed under a 3-clause BSD style license - see LICENSE
"""
Images of many components at once, drawn in Fourier space.

A component's image is a profile, moved to its place and blurred. In Fourier space each is a factor: the profile's
transform, a phase, the transfer function of the point-spread function. So a stamp is the sum of its components'
transforms times the transfer function of each band, turned into pixels by one inverse transform; torch does it for a
batch of stamps, on a processor or on a GPU.

Profiles (`astro_photz.simulate.render.profiles`) are circular ones stretched along an axis, or points. Points and round
Gaussians are products of a column and a row in Fourier space too, and cost next to nothing. The Gaussians of a chain,
such as a spiral arm, cost little more, since all have the same shape: they are points, blurred together.

On a finite grid light that leaves on one side comes in again on the other; it is taken off again
(`astro_photz.simulate.render.wraparound`).
"""

from dataclasses import dataclass, replace
from functools import cached_property, partial
from itertools import pairwise

import numpy as np
import torch
from scipy.fft import next_fast_len

from .components import add_by_scene, by_scene, quadratic_form
from .profiles import HALF_LIGHT_SIGMA, PROFILES, TRANSFORMS, exp_of_minus
from .sersic import sersic_transform
from .wraparound import light_come_round

__all__ = ["REACH", "render"]

REACH = 10
"""How far outside the drawn image a component's centre may lie (pixels): those further out are left out."""

_BEYOND_NYQUIST = 1.12  # wave number of the shortest wave followed: in good seeing those of two pixels hold light
_PIXELS_AT_ONCE = 24 * 96**2  # of grid, in each band: so that a batch's transforms fit into the processor's cache


def render(components, transfer, *, size, shift, device="cpu"):
    """
    Draw scenes in five bands, without noise.

    Parameters
    ----------
    components : `~astro_photz.simulate.render.components.Components` (M,)
    transfer : callable
        ``transfer(k2, scenes)`` gives the transfer function of the point-spread function, tensor
        (len(scenes), 5, ...), at squared wave numbers ``k2`` (...) (radians per pixel, squared) for a slice of scenes.
    size : int
        Side of the images (pixels).
    shift : `~numpy.ndarray` (N, 5, 2)
        Displacement of each band in columns and rows (pixels); its length is the number of scenes.
    device : str or `torch.device`, optional
        Where it is computed, and where the images lie.

    Returns
    -------
    images : `torch.Tensor` (N, 5, size, size) float32
        Flux in each pixel, in the unit of the components'.

    Raises
    ------
    ValueError
        If ``size`` is not positive, or a component's place is not finite.

    Examples
    --------
    A star in one scene, blurred by a Gaussian of 1.5 pixels:

    >>> import numpy as np
    >>> from astro_photz.simulate.render.fourier import render
    >>> from astro_photz.simulate.render.components import Components
    >>> place = np.array([31.0])
    >>> flux = np.full((1, 5), 100.0)
    >>> star = Components.round("point", scene=np.array([0]), x=place, y=place, flux=flux, radius=place)
    >>> blur = lambda k2, scenes: (-0.5 * 1.5**2 * k2).exp().expand(1, 5, *k2.shape)
    >>> image = render(star, blur, size=63, shift=np.zeros((1, 5, 2)))
    >>> print(f"{image[0, 2].sum():.2f}")
    100.00
    """
    if size < 1:
        raise ValueError(f"size must be at least 1 pixel, got {size}")
    components = _within_reach(components, size)
    grid = _Grid.around(size, device)
    n = len(shift)
    step = max(1, _PIXELS_AT_ONCE // grid.side**2)
    bounds = np.searchsorted(components.scene, np.arange(0, n + step, step))
    images = torch.empty((n, 5, size, size), device=device)
    for batch, (first, last) in enumerate(pairwise(bounds)):
        scenes = slice(batch * step, min((batch + 1) * step, n))
        local = components[first:last]
        local.scene = local.scene - scenes.start
        images[scenes] = _render_batch(local, transfer, scenes, grid, shift[scenes])
    return images


def _within_reach(components, size):
    place = np.stack([components.x, components.y])
    if not np.isfinite(place).all():
        raise ValueError("components must have finite x and y, got some that are not; leave those out")
    return components[(np.maximum(-place, place - (size - 1)) <= REACH).all(axis=0)]


@dataclass(frozen=True)
class _Grid:
    """The Fourier grid around an image of ``size`` pixels, on a device."""

    size: int
    side: int
    device: torch.device

    @classmethod
    def around(cls, size, device):
        # what comes round from a component at its furthest ends REACH before the image's other edge; an even side
        side = 2 * next_fast_len(-(-size // 2) + REACH, real=True)
        return cls(size, side, torch.device(device))

    @property
    def margin(self):
        return (self.side - self.size) // 2

    @property
    def last(self):
        """Number of the highest wave."""
        return int(self.side // 2 * _BEYOND_NYQUIST)

    @cached_property
    def kx(self):
        """Wave numbers from 0 up."""
        return 2 * np.pi / self.side * torch.arange(self.last + 1, device=self.device)

    @property
    def waves_along_y(self):
        """Numbers of all waves, in the order of the inverse transform; at the end those that look like the first."""
        first_negative = self.last + 1 - self.side
        return np.r_[0 : self.last + 1, first_negative:0, -self.last : first_negative]

    @cached_property
    def ky(self):
        """Wave numbers of `waves_along_y`."""
        return 2 * np.pi / self.side * torch.as_tensor(self.waves_along_y, device=self.device)

    @cached_property
    def distinct_k2(self):
        """Squared wave numbers that differ, in increasing order, and the index of each place of the grid among them."""
        wave = np.arange(self.last + 1)
        waves2, place = np.unique(np.add.outer(wave**2, self.waves_along_y**2), return_inverse=True)
        k2 = torch.as_tensor((2 * np.pi / self.side) ** 2 * waves2, dtype=torch.float32, device=self.device)
        return k2, torch.as_tensor(place.ravel(), device=self.device)

    def column(self, values):
        """Values of components as a tensor that broadcasts along their pixels."""
        return torch.as_tensor(np.asarray(values), dtype=torch.float32, device=self.device)[..., None]


def _render_batch(components, transfer, scenes, grid, shift):
    n = scenes.stop - scenes.start
    spectrum = torch.zeros((n, 5, len(grid.kx), len(grid.ky)), dtype=torch.complex64, device=grid.device)
    separable, in_chain = _is_separable(components), _is_in_chain(components)
    _add_separable(spectrum, components[separable], grid)
    _add_chains(spectrum, components[in_chain], grid)
    for profile, transform in TRANSFORMS.items():
        alike = components[~separable & ~in_chain & components.have_profile(profile)]
        _add_profile(spectrum, alike, transform, grid)
    free = components[components.have_profile("sersic")]
    _add_profile(spectrum, free, partial(sersic_transform, index=free.sersic_index), grid)
    spectrum *= _transfer(transfer, scenes, grid)
    come_round = light_come_round(components, _blur_variance(transfer, scenes, grid), shift, grid)
    return _to_pixels(spectrum, shift, grid) - come_round


def _phases(x, y, grid):
    """exp(-i k r) as a column (..., side) and a row (..., side / 2 + 1), whose outer product it is."""
    along_y, along_x = -grid.ky * grid.column(y), -grid.kx * grid.column(x)
    return torch.polar(torch.ones_like(along_y), along_y), torch.polar(torch.ones_like(along_x), along_x)


def _transfer(transfer, scenes, grid):
    """
    Compute the transfer function on the whole grid, where few squared wave numbers differ.

    It is made complex while it is small: a product of real and complex numbers would make each pixel complex first.
    """
    k2, place = grid.distinct_k2
    values = transfer(k2, scenes).to(torch.complex64)
    return values.gather(-1, place.expand(*values.shape[:2], -1)).unflatten(-1, (len(grid.kx), len(grid.ky)))


def _blur_variance(transfer, scenes, grid):
    """Variance of the point-spread functions along an axis (n, 5), from the slope of their transfer functions at 0."""
    k2 = torch.tensor([1e-3], device=grid.device)
    return 2 * (1 - transfer(k2, scenes)[..., 0]) / k2


def _to_pixels(spectrum, shift, grid):
    """
    Images (n, 5, size, size), each band displaced, by the inverse transform, which uses the spectrum up.

    Waves shorter than two pixels look to the pixels like longer ones, as many waves short of the grid's side. Those to
    the left of zero, which real images need not keep, are the conjugates of those to the right.
    """
    last, nyquist = grid.last, grid.side // 2
    along_y, along_x = _phases(shift[..., 0], shift[..., 1], grid)
    spectrum *= along_y[..., None, :]
    left_over = spectrum[..., grid.side :]
    spectrum[..., last + 1 - left_over.shape[-1] : last + 1] += left_over
    inner = slice(grid.margin, grid.margin + grid.size)
    lines = torch.fft.ifft(spectrum[..., : grid.side])[..., inner] * along_x[..., None]
    lines[..., grid.side - last : nyquist + 1, :] += lines[..., nyquist:, :].flip(-2).conj()
    return torch.fft.irfft(lines[..., : nyquist + 1, :], n=grid.side, dim=-2)[..., inner, :].mT


def _is_separable(components):
    """Mask of the components whose transform is a column times a row."""
    return components.have_profile("point") | (components.have_profile("gaussian") & (components.axis_ratio == 1))


def _is_in_chain(components):
    """Mask of the stretched Gaussians that have the same shape as the component before or after them in their scene."""
    stretched = components.have_profile("gaussian") & (components.axis_ratio != 1)
    linked = np.append(stretched, False) & np.append(False, stretched)
    for name in ("scene", "radius", "axis_ratio", "angle"):
        values = vars(components)[name]
        linked[1:-1] &= values[1:] == values[:-1]
    return linked[1:] | linked[:-1]


def _add_separable(spectrum, components, grid):
    rows, columns = _phases(components.x + grid.margin, components.y + grid.margin, grid)
    variance = grid.column(np.where(components.have_profile("point"), 0, components.radius / HALF_LIGHT_SIGMA) ** 2)
    rows *= exp_of_minus(0.5 * variance * grid.ky**2)
    columns *= exp_of_minus(0.5 * variance * grid.kx**2)
    columns = (grid.column(components.flux) * columns[:, None, :]).flatten(1)  # (M, 5 side / 2)
    total = spectrum.flatten(1, 2)
    for scene, members in by_scene(components):
        total[scene].addmm_(columns[members].T, rows[members])


def _add_chains(spectrum, components, grid):
    """Add Gaussians of equal shape: as points together, all blurred at once."""
    if not len(components):
        return
    shape = np.stack([components.scene, components.radius, components.axis_ratio, components.angle])
    begins = np.append(True, (shape[:, 1:] != shape[:, :-1]).any(axis=0))
    first, number = components[begins], np.cumsum(begins) - 1
    points = replace(components, scene=number, profile=np.full(len(number), PROFILES.index("point")))
    chains = torch.zeros((len(first), *spectrum.shape[1:]), dtype=spectrum.dtype, device=grid.device)
    _add_separable(chains, points, grid)
    chains *= TRANSFORMS["gaussian"](_stretched_k2(first, grid))[:, None]
    spectrum.index_add_(0, torch.as_tensor(first.scene, device=grid.device), chains)


def _add_profile(spectrum, components, transform, grid):
    """Add components of one profile; ``transform`` turns their (k R_50)^2 into the profile's transform, in place."""
    rows, columns = _phases(components.x + grid.margin, components.y + grid.margin, grid)
    pattern = columns[:, :, None] * rows[:, None, :]
    pattern *= transform(_stretched_k2(components, grid))
    add_by_scene(torch.view_as_real(spectrum).flatten(2), components, torch.view_as_real(pattern).flatten(1))


def _stretched_k2(components, grid):
    """(k R_50)^2, in the frame in which a component is circular: tensor (M, side / 2 + 1, side)."""
    form = quadratic_form(components.angle, components.radius, components.axis_ratio)
    xx, yy, xy = (grid.column(value)[..., None] for value in form)
    kx, ky = grid.kx[:, None], grid.ky
    k2 = xy * kx + yy * ky
    k2 *= ky
    k2 += xx * kx**2
    return k2.clamp_(min=0)
