# Licensed under a 3-clause BSD style license - see LICENSE
"""
Images of many sources at once, drawn in Fourier space.

A source's image is a profile, moved to its place and blurred. In Fourier space each is a factor: the profile's
transform, a phase, the transfer function of the point-spread function. So a stamp is the sum of its sources'
transforms times the transfer function of each band, turned into pixels by one inverse transform; torch does it for a
batch of stamps, on a processor or on a GPU.

Profiles are circular ones stretched along an axis: the exponential and the Gaussian, whose transforms have a closed
form; de Vaucouleurs', whose transform is tabulated once from a sum of Gaussians that follows the profile to 1e-6 (the
law exp(-b r^(1/4)) is a mixture of Gaussians with positive weights; compare Hogg & Lang 2013, PASP 125, 719); and the
point source. Points and round Gaussians are products of a column and a row in Fourier space too, and cost next to
nothing.

On a finite grid light that leaves on one side comes in again on the other. What large galaxies send round is known from
their profiles and smooth, as the grid leaves a margin around the image: so it is computed at a few places, and taken
off again.
"""

from dataclasses import dataclass
from functools import cache, cached_property
from itertools import pairwise, product

import numpy as np
from scipy.fft import next_fast_len
from scipy.special import gamma, gammaincc

from ._torch import torch
from .morphology import DEVAUCOULEURS, EXPONENTIAL

__all__ = ["PROFILES", "REACH", "Sources", "render"]

PROFILES = ("point", "exponential", "devaucouleurs", "gaussian")
"""Names of the profiles; a source's ``profile`` is its place here."""

REACH = 10
"""How far outside the drawn image a source's centre may lie (pixels): those further out are left out."""

_BEYOND_NYQUIST = 1.12  # wave number of the shortest wave followed: in good seeing those of two pixels hold light
_PIXELS_AT_ONCE = 24 * 96**2  # of grid, in each band: so that a batch's transforms fit into the processor's cache
_HALF_LIGHT_SIGMA = np.sqrt(2 * np.log(2))  # half-light radius of a round Gaussian of unit width


@dataclass
class Sources:
    """
    Things that shine, each in one of many scenes.

    Parameters
    ----------
    scene : `~numpy.ndarray` (M,) of int
        Which scene it is in, in increasing order.
    profile : `~numpy.ndarray` (M,) of int
        Index into `PROFILES`.
    x, y : `~numpy.ndarray` (M,)
        Column and row of the centre (pixels of the drawn image, 0 the centre of the first).
    flux : `~numpy.ndarray` (M, 5)
        In *ugriz*.
    radius : `~numpy.ndarray` (M,)
        Half-light radius along the major axis (pixels); without meaning for points.
    axis_ratio : `~numpy.ndarray` (M,)
    angle : `~numpy.ndarray` (M,)
        Of the major axis from the columns' direction (radians).
    """

    scene: np.ndarray
    profile: np.ndarray
    x: np.ndarray
    y: np.ndarray
    flux: np.ndarray
    radius: np.ndarray
    axis_ratio: np.ndarray
    angle: np.ndarray

    def __len__(self):
        return len(self.scene)

    def __getitem__(self, rows):
        return Sources(**{name: value[rows] for name, value in vars(self).items()})

    @classmethod
    def concatenate(cls, parts):
        """
        Put several sets of sources together, sorted by scene.

        Parameters
        ----------
        parts : sequence of `Sources`

        Returns
        -------
        `Sources`
        """
        together = cls(**{name: np.concatenate([vars(part)[name] for part in parts]) for name in vars(parts[0])})
        return together[np.argsort(together.scene, kind="stable")]


def render(sources, transfer, *, size, shift, device="cpu"):
    """
    Draw scenes in five bands, without noise.

    Parameters
    ----------
    sources : `Sources` (M,)
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
        Flux in each pixel, in the unit of the sources'.

    Raises
    ------
    ValueError
        If ``size`` is not positive, or a source's place is not finite.

    Examples
    --------
    A star in one scene, blurred by a Gaussian of 1.5 pixels:

    >>> import numpy as np
    >>> from astro_photz.simulate.rendering import PROFILES, Sources, render
    >>> one = np.ones(1)
    >>> star = Sources(scene=np.array([0]), profile=np.array([PROFILES.index("point")]), x=31 * one, y=31 * one,
    ...                flux=np.full((1, 5), 100.0), radius=one, axis_ratio=one, angle=0 * one)
    >>> blur = lambda k2, scenes: (-0.5 * 1.5**2 * k2).exp().expand(1, 5, *k2.shape)
    >>> image = render(star, blur, size=63, shift=np.zeros((1, 5, 2)))
    >>> print(f"{image[0, 2].sum():.2f}")
    100.00
    """
    if size < 1:
        raise ValueError(f"size must be at least 1 pixel, got {size}")
    sources = _within_reach(sources, size)
    grid = _Grid.around(size, device)
    n = len(shift)
    step = max(1, _PIXELS_AT_ONCE // grid.side**2)
    bounds = np.searchsorted(sources.scene, np.arange(0, n + step, step))
    images = torch.empty((n, 5, size, size), device=device)
    for batch, (first, last) in enumerate(pairwise(bounds)):
        scenes = slice(batch * step, min((batch + 1) * step, n))
        local = sources[first:last]
        local.scene = local.scene - scenes.start
        images[scenes] = _render_batch(local, transfer, scenes, grid, shift[scenes])
    return images


def _within_reach(sources, size):
    place = np.stack([sources.x, sources.y])
    if not np.isfinite(place).all():
        raise ValueError("sources must have finite x and y, got some that are not; leave those out")
    return sources[(np.maximum(-place, place - (size - 1)) <= REACH).all(axis=0)]


@dataclass(frozen=True)
class _Grid:
    """The Fourier grid around an image of ``size`` pixels, on a device."""

    size: int
    side: int
    device: torch.device

    @classmethod
    def around(cls, size, device):
        # what comes round from a source at its furthest ends REACH before the image's other edge; an even side
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

    @cached_property
    def ky(self):
        """The same, and then the negative ones, also in increasing order."""
        return torch.cat([self.kx, -self.kx[1:].flip(0)])

    @cached_property
    def distinct_k2(self):
        """Squared wave numbers that differ, in increasing order, and which of them each place of the grid has."""
        wave = np.arange(self.last + 1)
        waves2, place = np.unique(np.add.outer(np.r_[wave, wave[:0:-1]] ** 2, wave**2), return_inverse=True)
        k2 = torch.as_tensor((2 * np.pi / self.side) ** 2 * waves2, dtype=torch.float32, device=self.device)
        return k2, torch.as_tensor(place.ravel(), device=self.device)

    def column(self, values):
        """Values of sources as a tensor that broadcasts along their pixels."""
        return torch.as_tensor(np.asarray(values), dtype=torch.float32, device=self.device)[..., None]


def _render_batch(sources, transfer, scenes, grid, shift):
    n = scenes.stop - scenes.start
    spectrum = torch.zeros((n, 5, len(grid.ky), len(grid.kx)), dtype=torch.complex64, device=grid.device)
    separable = _is_separable(sources)
    _add_separable(spectrum, sources[separable], grid)
    for profile, transform in _TRANSFORMS.items():
        alike = ~separable & (sources.profile == PROFILES.index(profile))
        _add_profile(spectrum, sources[alike], transform, grid)
    spectrum *= _transfer(transfer, scenes, grid)
    rows, columns = _phases(shift[..., 0], shift[..., 1], grid)
    spectrum *= rows[..., :, None]
    spectrum *= columns[..., None, :]
    come_round = _light_come_round(sources, n, grid)
    come_round = _as_seen(come_round, _blur_variance(transfer, scenes, grid), shift, grid)
    return _to_pixels(spectrum, grid) - _interpolated(come_round, grid)


def _phases(x, y, grid):
    """exp(-i k r) as a column (..., side) and a row (..., side / 2 + 1), whose outer product it is."""
    along_y, along_x = -grid.ky * grid.column(y), -grid.kx * grid.column(x)
    return torch.polar(torch.ones_like(along_y), along_y), torch.polar(torch.ones_like(along_x), along_x)


def _transfer(transfer, scenes, grid):
    """The transfer function on the whole grid: few of its squared wave numbers differ."""
    k2, place = grid.distinct_k2
    values = transfer(k2, scenes)
    return values.gather(-1, place.expand(*values.shape[:2], -1)).unflatten(-1, (len(grid.ky), len(grid.kx)))


def _to_pixels(spectrum, grid):
    """
    Images (n, 5, size, size) by the inverse transform, which uses the spectrum up.

    Waves shorter than two pixels look to the pixels like longer ones, as many waves short of the grid's side. Those to
    the left of zero, which real images need not keep, are the conjugates of those to the right.
    """
    last, nyquist = grid.last, grid.side // 2
    twice = 2 * last + 1 - grid.side  # rows that fall on one another
    spectrum[..., last + 1 - twice : last + 1, :] += spectrum[..., last + 1 : last + 1 + twice, :]
    rows = torch.cat([spectrum[..., : last + 1, :], spectrum[..., last + 1 + twice :, :]], dim=-2)
    inner = slice(grid.margin, grid.margin + grid.size)
    rows = torch.fft.ifft(rows, dim=-2)[..., inner, :]
    columns = rows[..., : nyquist + 1].contiguous()
    columns[..., grid.side - last :] += rows[..., nyquist:].flip(-1).conj()
    return torch.fft.irfft(columns, n=grid.side)[..., inner]


def _by_scene(sources):
    """Number of a scene and the slice of its sources, for each scene that has some."""
    scene, first = np.unique(sources.scene, return_index=True)
    return [(number, slice(*rows)) for number, rows in zip(scene, pairwise([*first, len(sources)]), strict=True)]


def _add_by_scene(total, sources, pattern):
    """Add to each scene, in ``total`` (n, 5, P), the patterns (M, P) of its sources times their fluxes."""
    flux = torch.as_tensor(sources.flux.T, dtype=total.dtype, device=total.device)
    for scene, members in _by_scene(sources):
        total[scene].addmm_(flux[:, members], pattern[members])


def _is_separable(sources):
    """Whether a source's transform is a column times a row."""
    point, gaussian = (sources.profile == PROFILES.index(name) for name in ("point", "gaussian"))
    return point | (gaussian & (sources.axis_ratio == 1))


def _add_separable(spectrum, sources, grid):
    rows, columns = _phases(sources.x + grid.margin, sources.y + grid.margin, grid)
    point = sources.profile == PROFILES.index("point")
    variance = grid.column(np.where(point, 0, sources.radius / _HALF_LIGHT_SIGMA) ** 2)
    rows *= _exp_of_minus(0.5 * variance * grid.ky**2)
    columns *= _exp_of_minus(0.5 * variance * grid.kx**2)
    rows = (grid.column(sources.flux) * rows[:, None, :]).flatten(1)  # (M, 5 side)
    total = spectrum.flatten(1, 2)
    for scene, members in _by_scene(sources):
        total[scene].addmm_(rows[members].T, columns[members])


def _add_profile(spectrum, sources, transform, grid):
    """Add sources of one profile; ``transform`` turns their (k R_50)^2 into the profile's transform, in place."""
    rows, columns = _phases(sources.x + grid.margin, sources.y + grid.margin, grid)
    pattern = rows[:, :, None] * columns[:, None, :]
    pattern *= transform(_stretched_k2(sources, grid))
    _add_by_scene(torch.view_as_real(spectrum).flatten(2), sources, torch.view_as_real(pattern).flatten(1))


def _quadratic_form(angle, scale, ratio):
    """Coefficients of x^2, y^2 and xy in the squared length of a vector (x, y) that is scaled by ``scale`` along a
    direction and by ``ratio`` of that across it."""
    cosine, sine = np.cos(angle), np.sin(angle)
    along, across = scale**2, (scale * ratio) ** 2
    xx, yy = along * cosine**2 + across * sine**2, along * sine**2 + across * cosine**2
    return xx, yy, 2 * (along - across) * cosine * sine


def _stretched_k2(sources, grid):
    """(k R_50)^2, in the frame in which a source is circular: tensor (M, side, side / 2 + 1)."""
    form = _quadratic_form(sources.angle, sources.radius, sources.axis_ratio)
    xx, yy, xy = (grid.column(value)[..., None] for value in form)
    ky, kx = grid.ky[:, None], grid.kx
    k2 = xy * ky + xx * kx
    k2 *= kx
    k2 += yy * ky**2
    return k2.clamp_(min=0)


def _exponential(k2):
    """Freeman (1970, ApJ 160, 811): the transform of exp(-r) is (1 + k^2)^(-3/2)."""
    root = k2.mul_(EXPONENTIAL**-2).add_(1).rsqrt_()
    return root * root * root


def _devaucouleurs(k2):
    """The nearest entry of the table: the leading bits of a positive float grow with it, and with its logarithm nearly
    in proportion."""
    table = _devaucouleurs_table(k2.device)
    place = k2.view(torch.int32).bitwise_right_shift(_DROPPED_BITS).sub_(_FIRST_PLACE).clamp_(0, len(table) - 1)
    return table.index_select(0, place.flatten()).view(k2.shape)


def _gaussian(k2):
    return _exp_of_minus(k2.mul_(0.5 / _HALF_LIGHT_SIGMA**2))


def _exp_of_minus(values):
    """exp(-values), never so small that processors compute it ten times more slowly; changes its argument."""
    return values.clamp_(max=80).neg_().exp_()


_TRANSFORMS = {"exponential": _exponential, "devaucouleurs": _devaucouleurs, "gaussian": _gaussian}

_DROPPED_BITS = 12  # of 23 that a float has: leaves 2048 places to an octave
_TABLE_LIMITS = np.array([2.0**-24, 2.0**18], dtype=np.float32)  # of (k R_50)^2
_FIRST_PLACE, _LAST_PLACE = (int(bits) for bits in _TABLE_LIMITS.view(np.int32) >> _DROPPED_BITS)


@cache
def _devaucouleurs_table(device):
    """Transform of de Vaucouleurs' profile in the middle of each interval of (k R_50)^2."""
    place = np.arange(_FIRST_PLACE, _LAST_PLACE, dtype=np.int32)
    k2 = ((place << _DROPPED_BITS) + (1 << (_DROPPED_BITS - 1))).astype(np.int32).view(np.float32)
    width, flux = _devaucouleurs_gaussians()
    transform = sum(share * np.exp(-0.5 * k2 * sigma**2) for sigma, share in zip(width, flux, strict=True))
    return torch.as_tensor(transform, dtype=torch.float32, device=device)


def _devaucouleurs_gaussians():
    """Widths (in R_50) and shares of the light of round Gaussians that make up de Vaucouleurs' profile."""
    from scipy.optimize import nnls

    radius = np.logspace(-5, 2.5, 400)
    profile = np.exp(-DEVAUCOULEURS * radius**0.25)
    width = np.logspace(-5, 2, 40)
    gaussians = np.exp(-0.5 * (radius[:, None] / width) ** 2)
    weight = 1 / (profile + 1e-4)  # relative in the middle, absolute in the wings
    amplitude, _ = nnls(gaussians * weight[:, None], profile * weight, maxiter=4000)
    flux = amplitude * width**2
    return width, flux / flux.sum()


# Light that comes round

# Of copies of the grid: the first and last ring, and nodes a side for their light. The third set is for few sources.
_RINGS = ((1, 1), 10), ((2, 3), 5), ((4, 10), 3)
_FAINT = 1e-4  # of a source's light beyond the grid: below it, nothing is taken off
_WIDE = 0.008  # of its light beyond the second set of rings: above it, the third is needed
_SMALL = 0.2  # change by blur and shift, relative to the light, to which their first order is right
_SERSIC = {"exponential": (1, EXPONENTIAL), "devaucouleurs": (4, DEVAUCOULEURS)}  # n, b_n


def _light_come_round(sources, n, grid):
    """
    Light of the sources' copies, one grid apart, that the inverse transform adds to the image, before blur and shift.

    It is smooth within the image, and the smoother the further a copy: a polynomial follows it through a few nodes, at
    which it is given (n, 5, nodes, nodes). Beyond the last ring of copies their light is spread evenly.
    """
    number = _RINGS[0][1]
    at_nodes = torch.zeros((n, 5, number**2), device=grid.device)
    for profile, law in _SERSIC.items():
        alike = sources[sources.profile == PROFILES.index(profile)]
        large = alike[_light_beyond(alike.radius, grid.side / 2, *law) > _FAINT]
        wide = _light_beyond(large.radius, _followed(_RINGS[1], grid), *law) > _WIDE
        for group, rings in ((large[~wide], _RINGS[:2]), (large[wide], _RINGS)):
            if not len(group):
                continue
            copies = sum(_copies(group, *ring, law, grid) for ring in rings)
            everywhere = grid.column(_evenly_spread(group, rings[-1], law, grid))
            _add_by_scene(at_nodes, group, copies + everywhere)
    return at_nodes.unflatten(-1, (number, number))


def _blur_variance(transfer, scenes, grid):
    """Of the point-spread functions along an axis (n, 5): how fast their transfer functions fall at first."""
    k2 = torch.tensor([1e-3], device=grid.device)
    return 2 * (1 - transfer(k2, scenes)[..., 0]) / k2


def _as_seen(light, variance, shift, grid):
    """Light at nodes (n, 5, nodes, nodes), blurred and moved: f + variance / 2 laplace f - shift grad f, as it is
    smooth."""
    slope = _slope(light.shape[-1], grid.size, grid.device)
    along_y, along_x = slope @ light, light @ slope.T
    x, y = (grid.column(shift[..., axis])[..., None] for axis in (0, 1))
    curvature = slope @ along_y + along_x @ slope.T
    change = 0.5 * variance[..., None, None] * curvature - x * along_x - y * along_y
    return light + torch.clamp(change, -_SMALL * light.abs(), _SMALL * light.abs())


def _interpolated(light, grid):
    """From nodes (n, 5, nodes, nodes) to pixels (n, 5, size, size)."""
    to_pixels = _interpolation(light.shape[-1], tuple(np.linspace(-1, 1, grid.size)), grid.device)
    return to_pixels @ light @ to_pixels.T


def _light_beyond(radius, distance, index, b):
    """Share of a round Sersic profile's light outside a distance (Graham & Driver 2005, PASA 22, 118, equation 2)."""
    return gammaincc(2 * index, b * (distance / np.maximum(radius, 1e-6)) ** (1 / index))


def _followed(ring, grid):
    """Radius (pixels) of a circle as large as all copies up to a ring."""
    (_, last), _ = ring
    return grid.side * (2 * last + 1) / np.sqrt(np.pi)


def _evenly_spread(sources, ring, law, grid):
    """Brightness (M,) of the copies beyond a ring, for a flux of 1."""
    round_radius = sources.radius * np.sqrt(sources.axis_ratio)
    return _light_beyond(round_radius, _followed(ring, grid), *law) / grid.side**2


def _copies(sources, rings, number, law, grid):
    """Brightness (M, nodes^2) of the copies in some rings, taken at ``number`` nodes a side, for a flux of 1."""
    index, b = law
    first, last = rings
    copy_y, copy_x = (grid.column(grid.side * step)[..., None] for step in _steps(first, last))
    nodes = grid.column((_nodes(number) + 1) / 2 * (grid.size - 1))[:, 0]

    def column(values):
        return grid.column(values)[..., None, None]  # (M, 1, 1, 1): by copy, node row, node column

    y = nodes[:, None] - copy_y - column(sources.y)
    x = nodes - copy_x - column(sources.x)
    xx, yy, xy = (column(value) for value in _quadratic_form(sources.angle, 1 / sources.radius, 1 / sources.axis_ratio))
    r2 = xy * x + yy * y
    r2 *= y
    r2 += xx * x**2
    root = r2.clamp_(min=0)
    for _ in range({1: 1, 4: 3}[index]):  # r^(1 / n) by square roots, which are quicker than powers
        root = root.sqrt_()
    profile = _exp_of_minus(root.mul_(b)).sum(dim=1)
    refine = _interpolation(number, tuple(_nodes(_RINGS[0][1])), grid.device)
    area = sources.radius**2 * sources.axis_ratio
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
