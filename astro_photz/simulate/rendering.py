# Licensed under a 3-clause BSD style license - see LICENSE
"""
Images of many sources at once, drawn in Fourier space.

A source's image is a profile, moved to its place and blurred. In Fourier space each is a factor: the profile's
transform, a phase, the transfer function of the point-spread function. So a stamp is the sum of its sources'
transforms times the transfer function of each band, turned into pixels by one inverse transform; torch does it for a
batch of stamps.

Profiles are circular ones stretched along an axis: the exponential, whose transform has a closed form; de Vaucouleurs',
whose transform is tabulated once from a sum of Gaussians that follows the profile to 1e-6 (the law exp(-b r^(1/4)) is a
mixture of Gaussians with positive weights; compare Hogg & Lang 2013, PASP 125, 719); and the point source.
"""

from dataclasses import dataclass
from functools import cache
from itertools import pairwise

import numpy as np

from ._torch import torch
from .morphology import DEVAUCOULEURS, EXPONENTIAL

__all__ = ["PROFILES", "Sources", "render"]

PROFILES = ("point", "exponential", "devaucouleurs")
"""Names of the profiles; a source's ``profile`` is its place here."""

_GRID = 128  # pixels a side of the Fourier grid
_SCENES_AT_ONCE = 32  # so that a batch's transforms fit into the processor's cache
_LOG_K = -9.0, 10.0, 4096  # range and number of the table's ln(k R_50)


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
        Half-light radius along the major axis (pixels).
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


def render(sources, transfer, *, size, shift=None):
    """
    Draw scenes in five bands, without noise.

    Parameters
    ----------
    sources : `Sources` (M,)
    transfer : callable
        ``transfer(k2, scenes)`` gives the transfer function of the point-spread function, tensor
        (len(scenes), 5, ...), at squared wave numbers ``k2`` (...) (radians per pixel, squared) for a slice of scenes.
    size : int
        Side of the images (pixels), at most 128.
    shift : `~numpy.ndarray` (N, 5, 2)
        Displacement of each band in columns and rows (pixels); its length is the number of scenes.

    Returns
    -------
    images : `torch.Tensor` (N, 5, size, size) float32
        Flux in each pixel, in the unit of the sources'.

    Raises
    ------
    ValueError
        If ``size`` is larger than the grid.
    """
    if not 0 < size <= _GRID:
        raise ValueError(f"size must be at most {_GRID} pixels, got {size}")
    n = len(shift)
    bounds = np.searchsorted(sources.scene, np.arange(0, n + _SCENES_AT_ONCE, _SCENES_AT_ONCE))
    images = torch.empty((n, 5, size, size))
    for batch, (first, last) in enumerate(pairwise(bounds)):
        scenes = slice(batch * _SCENES_AT_ONCE, min((batch + 1) * _SCENES_AT_ONCE, n))
        images[scenes] = _render_batch(sources[first:last], transfer, scenes, size, shift[scenes])
    return images


def _render_batch(sources, transfer, scenes, size, shift):
    margin = (_GRID - size) // 2  # light that leaves the image leaves into the margin before it comes round
    ky, kx = _wave_numbers()
    n = scenes.stop - scenes.start
    spectrum = torch.zeros((n, 5, _GRID, _GRID // 2 + 1), dtype=torch.complex64)
    scene = torch.as_tensor(sources.scene - scenes.start)
    flux = torch.as_tensor(sources.flux, dtype=torch.float32)
    phase = _phase(sources.x + margin, sources.y + margin, ky, kx)
    phase = phase * _profile_transform(sources, ky, kx)
    for band in range(5):
        spectrum[:, band].index_add_(0, scene, phase * flux[:, band, None, None])
    transfer_function = transfer(ky**2 + kx**2, scenes)
    spectrum *= transfer_function * _phase(shift[..., 0], shift[..., 1], ky, kx)
    images = torch.fft.irfft2(spectrum, s=(_GRID, _GRID))
    return images[..., margin : margin + size, margin : margin + size]


def _wave_numbers():
    ky = 2 * np.pi * torch.fft.fftfreq(_GRID, dtype=torch.float32)[:, None]
    kx = 2 * np.pi * torch.fft.rfftfreq(_GRID, dtype=torch.float32)[None, :]
    return ky, kx


def _phase(x, y, ky, kx):
    """exp(-i k r) as the product of a column and a row."""
    x, y = (torch.as_tensor(value, dtype=torch.float32)[..., None, None] for value in (x, y))
    along_y, along_x = -ky * y, -kx * x
    return torch.polar(torch.ones_like(along_y), along_y) * torch.polar(torch.ones_like(along_x), along_x)


def _profile_transform(sources, ky, kx):
    """Transforms (M, grid, grid / 2 + 1) of the sources' profiles about their own centres, 1 at k = 0."""

    def column(values):
        return torch.as_tensor(np.asarray(values), dtype=torch.float32)[:, None, None]

    cosine, sine = column(np.cos(sources.angle)), column(np.sin(sources.angle))
    along, across = kx * cosine + ky * sine, ky * cosine - kx * sine
    k2 = (along**2 + (across * column(sources.axis_ratio)) ** 2) * column(sources.radius) ** 2  # (k R_50)^2
    transform = torch.ones_like(k2)
    exponential, devaucouleurs = (torch.as_tensor(sources.profile == PROFILES.index(name)) for name in PROFILES[1:])
    transform[exponential] = (1 + k2[exponential] / EXPONENTIAL**2) ** -1.5
    transform[devaucouleurs] = _look_up(k2[devaucouleurs])
    return transform


def _look_up(k2):
    first, last, number = _LOG_K
    place = (0.5 * torch.log(k2.clamp_min(1e-12)) - first) * ((number - 1) / (last - first))
    place = place.clamp_(0, number - 1.001)
    index = place.to(torch.int64)
    table = _devaucouleurs_table()
    below = table[index]
    return below + (table[index + 1] - below) * (place - index)


@cache
def _devaucouleurs_table():
    """Transform of de Vaucouleurs' profile at equal steps of ln(k R_50)."""
    from scipy.optimize import nnls

    radius = np.logspace(-5, 2.5, 400)
    profile = np.exp(-DEVAUCOULEURS * radius**0.25)
    width = np.logspace(-5, 2, 40)
    gaussians = np.exp(-0.5 * (radius[:, None] / width) ** 2)
    weight = 1 / (profile + 1e-4)  # relative in the middle, absolute in the wings
    amplitude, _ = nnls(gaussians * weight[:, None], profile * weight, maxiter=4000)
    flux = amplitude * width**2
    k = np.exp(np.linspace(*_LOG_K))
    transform = np.exp(-0.5 * (k[:, None] * width) ** 2) @ (flux / flux.sum())
    return torch.as_tensor(transform, dtype=torch.float32)
