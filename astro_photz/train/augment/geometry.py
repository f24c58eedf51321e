# Licensed under a 3-clause BSD style license - see LICENSE
"""
Augmentations of place and shape: magnify, turn, mirror, crop.

A rotation interpolates, once, and so smooths the noise a little (of white noise the default, bicubic, keeps about 0.86
of the rms). The corners of what is cut out must lie within the stamp, wherever it is turned: a crop of 64 pixels with
a jitter of 5 needs stamps of 106. Smaller ones are turned by quarter turns only, exactly.
"""

import math

import torch
from torch import nn
from torch.nn import functional as F

from astro_photz.train.tensors import central
from astro_photz.utils._settings import check_one_of

from ._draws import checked, uniform

__all__ = ["JitterCrop", "RotateFlip", "SizeScaling"]


class SizeScaling(nn.Module):
    """
    Magnify or shrink a galaxy.

    Its total flux stays, since the redshift depends more on flux than on size. So the surface brightness changes, and
    with it the noise of a pixel, by up to the square of the factor. Beyond its edge, the stamp is continued by its
    mirror image.

    Parameters
    ----------
    factor : float, optional
        Largest magnification, and largest shrinking; the logarithm is drawn evenly.

    Raises
    ------
    ValueError
        If the factor is not a number of 1 or more.

    Examples
    --------
    >>> import torch
    >>> from astro_photz.train.augment import SizeScaling
    >>> step = SizeScaling(factor=1.3)
    >>> step(torch.rand(8, 5, 107, 107)).shape
    torch.Size([8, 5, 107, 107])
    """

    def __init__(self, factor=1.1):
        super().__init__()
        self.factor = checked("factor", factor, least=1)

    def forward(self, flux):
        """
        Scale.

        Parameters
        ----------
        flux : `torch.Tensor` (B, 5, S, S)

        Returns
        -------
        `torch.Tensor` (B, 5, S, S)
        """
        if not self.training:
            return flux
        factor = self.factor ** uniform(flux, -1, 1)
        inverse = torch.eye(2, device=flux.device) / factor[:, None, None]
        scaled = _resample(flux, inverse, flux.shape[-1], flux.new_zeros(2, 1), padding_mode="reflection")
        return scaled / factor.square()[:, None, None, None]


class RotateFlip(nn.Module):
    """
    Turn by any angle, mirror half of the stamps, and crop to the pixels that are needed.

    Parameters
    ----------
    size : int, optional
        Side of the result (pixels); by default that of the stamp.
    jitter : int, optional
        Largest displacement of the result (pixels), as in `JitterCrop`: with the turn, it costs nothing. None by
        default.
    angles : {'any', 'quarter'}, optional
        ``'quarter'`` turns by multiples of 90° only, which copies pixels and does not interpolate.
    corners : {'inside', 'zero'}, optional
        ``'inside'`` turns stamps that are too small for their corners to stay inside by quarter turns only; ``'zero'``
        turns all of them freely and fills the corners from outside with zero, as the published method does.
    interpolation : {'bicubic', 'bilinear'}, optional
    mirror : bool, optional
        Whether half of the stamps are mirrored, too.

    Raises
    ------
    ValueError
        If an option is unknown.

    Examples
    --------
    >>> import torch
    >>> from astro_photz.train.augment import RotateFlip
    >>> step = RotateFlip(angles="quarter")
    >>> step(torch.rand(8, 5, 107, 107)).shape
    torch.Size([8, 5, 107, 107])
    """

    def __init__(self, size=None, *, jitter=None, angles="any", corners="inside", interpolation="bicubic", mirror=True):
        super().__init__()
        check_one_of("angles", angles, ("any", "quarter"))
        check_one_of("corners", corners, ("inside", "zero"))
        check_one_of("interpolation", interpolation, ("bicubic", "bilinear"))
        self.size = size if size is None else checked("size", size, least=1, kind=int)
        self.jitter = checked("jitter", jitter or 0, kind=int)
        self.angles = angles
        self.corners = corners
        self.interpolation = interpolation
        self.mirror = mirror

    def forward(self, flux):
        """
        Turn.

        Parameters
        ----------
        flux : `torch.Tensor` (B, 5, S, S)

        Returns
        -------
        `torch.Tensor` (B, 5, size, size), or (B, 5, S, S) if the stamp is smaller
        """
        if not self.training:
            return flux
        stamp = flux.shape[-1]
        size = min(self.size or stamp, stamp)
        reach = _reach(self.jitter, stamp, size)
        room = size + 2 * reach
        if not self._turns_freely(stamp, room):
            odd = (stamp - room) % 2  # a pixel more, so that the middle stays where it is
            turned = _turn_by_quarters(central(flux, room + odd), self.mirror)[..., :room, :room]
            return _crop_displaced(turned, size, reach)
        matrix = _rotations(flux, self.mirror)
        padding = "zeros" if self.corners == "zero" else "border"  # only the kernel's edge reaches the border
        displacement = _displacement(flux, reach) - reach if reach else flux.new_zeros(2, 1)
        return _resample(flux, matrix, size, displacement, mode=self.interpolation, padding_mode=padding)

    def _turns_freely(self, stamp, size):
        farthest = math.sqrt(2) * -_axis(stamp, size)[0]
        return self.angles == "any" and (self.corners == "zero" or farthest <= (stamp - 1) / 2)


class JitterCrop(nn.Module):
    """
    Crop a larger stamp, off its centre by some whole pixels in each direction.

    Parameters
    ----------
    size : int, optional
        Side of the crop (pixels).
    jitter : int, optional
        Largest displacement (pixels); cut down to what the stamp has room for.

    Examples
    --------
    >>> import torch
    >>> from astro_photz.train.augment import JitterCrop
    >>> step = JitterCrop(size=64, jitter=5)
    >>> step(torch.rand(8, 5, 107, 107)).shape
    torch.Size([8, 5, 64, 64])
    """

    def __init__(self, size=64, jitter=0):
        super().__init__()
        self.size = checked("size", size, least=1, kind=int)
        self.jitter = checked("jitter", jitter, kind=int)

    def forward(self, flux):
        """
        Crop; in the middle when not training.

        Parameters
        ----------
        flux : `torch.Tensor` (B, 5, S, S)

        Returns
        -------
        `torch.Tensor` (B, 5, size, size)

        Raises
        ------
        ValueError
            If the stamps are smaller than the crop.
        """
        reach = _reach(self.jitter, flux.shape[-1], self.size) if self.training else 0
        return _crop_displaced(flux, self.size, reach)


def _axis(stamp, size, device=None):
    """Places of the central pixels along an axis (pixels from the middle of the stamp)."""
    return torch.arange(size, device=device) + ((stamp - size) // 2 - (stamp - 1) / 2)


def _reach(jitter, stamp, size):
    """Largest displacement of a crop (whole pixels): 0 without room for any."""
    return max(min(jitter, (stamp - size) // 2), 0)


def _displacement(flux, reach):
    """Draw rows and columns (2, B), from 0 to twice the reach."""
    return torch.randint(2 * reach + 1, (2, len(flux)), device=flux.device)


def _crop_displaced(flux, size, reach):
    """Crop the middle of each stamp, displaced by whole pixels of its own, up to the reach."""
    if reach == 0:
        return central(flux, size)
    crops = central(flux, size + 2 * reach).unfold(2, size, 1).unfold(3, size, 1)  # all there are
    row, column = _displacement(flux, reach)
    return crops[torch.arange(len(flux), device=flux.device), :, row, column]


def _resample(flux, matrix, size, displacement, *, mode="bicubic", padding_mode):
    """
    Sample each stamp at the places of its central pixels, about its middle.

    The places are displaced by rows and columns (2, B), and then multiplied by a matrix (B, 2, 2).
    """
    middle = (flux.shape[-1] - 1) / 2
    row, column = (_axis(flux.shape[-1], size, flux.device) + displacement[..., None]) / middle  # the stamp is -1 to 1
    grid = column[:, None, :, None] * matrix[:, None, None, :, 0] + row[:, :, None, None] * matrix[:, None, None, :, 1]
    return F.grid_sample(flux, grid, mode=mode, padding_mode=padding_mode, align_corners=True)


def _rotations(flux, mirrored):
    """Matrices (B, 2, 2) of turns by any angle, half of them mirrored."""
    angle = uniform(flux, 0, 2 * math.pi)
    mirror = torch.where(uniform(flux) < 0.5 * mirrored, -1.0, 1.0)
    cosine, sine = angle.cos(), angle.sin()
    return torch.stack([cosine * mirror, -sine, sine * mirror, cosine], dim=1).unflatten(1, (2, 2))


def _turn_by_quarters(flux, mirrored):
    """Turn, and mirror half of the stamps: a turn, a half turn and a mirror make all eight orientations."""
    for changed, share in ((lambda x: x.mT.flip(-1), 0.5), (lambda x: x.flip(-1, -2), 0.5), (_mirror, 0.5 * mirrored)):
        flux = torch.where((uniform(flux) < share)[:, None, None, None], changed(flux), flux)
    return flux


def _mirror(flux):
    return flux.flip(-1)
