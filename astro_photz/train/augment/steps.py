# Licensed under a 3-clause BSD style license - see LICENSE
"""
Changes to stamps that leave the redshift alone, each a module that works on a batch.

They take dereddened fluxes (`~astro_photz.train.tensors.deredden`) with NaN where there is no image, on whatever device
these lie, and do nothing unless they are training. Random numbers come from torch's global generator, for each stamp
its own. `~astro_photz.train.augment.chain` chains them as a recipe tells::

    augment = make_augmentation({"rotate": {}, "crop": {"jitter": 5}, "redden": {"ebv_max": 0.3}})
    view = augment(deredden(flux, ebv))

A rotation interpolates, once, and so smooths the noise a little (of white noise the default, bicubic, keeps about 0.86
of the rms). The corners of what is cut out must lie within the stamp, wherever it is turned: a crop of 64 pixels with
a jitter of 5 needs stamps of 106. Smaller ones are turned by quarter turns only, exactly.
"""

import math

from astro_photz.train._torch import torch
from astro_photz.train.tensors import central, deredden

nn = torch.nn
F = torch.nn.functional

__all__ = [
    "Blur",
    "JitterCrop",
    "MissingPixels",
    "Noise",
    "Reddening",
    "RotateFlip",
    "SizeScaling",
    "noise_rms",
]


class SizeScaling(nn.Module):
    """
    Magnify or shrink a galaxy.

    Its total flux stays, since flux tells more of the redshift than size does. So the surface brightness changes, and
    with it the noise of a pixel, by up to the square of the factor. What lies beyond the edge of the stamp is taken to
    be its mirror image.

    Parameters
    ----------
    factor : float, optional
        Largest magnification, and largest shrinking; the logarithm is drawn evenly.

    Raises
    ------
    ValueError
        If the factor is not a number of 1 or more.
    """

    def __init__(self, factor=1.1):
        super().__init__()
        self.factor = _checked("factor", factor, least=1)

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
        factor = self.factor ** _uniform(flux, -1, 1)
        inverse = torch.eye(2, device=flux.device) / factor[:, None, None]
        scaled = _resample(flux, inverse, flux.shape[-1], flux.new_zeros(2, 1), padding_mode="reflection")
        return scaled / factor.square()[:, None, None, None]


class RotateFlip(nn.Module):
    """
    Turn by any angle, mirror half of the stamps, and cut off what is not needed any more.

    Parameters
    ----------
    size : int, optional
        Side of what is left (pixels); by default all of the stamp.
    jitter : int, optional
        Largest displacement of what is left, as `JitterCrop` has it: with the turn, it costs nothing. None by default.
    angles : {'any', 'quarter'}, optional
        ``'quarter'`` turns by multiples of 90° only, which copies pixels and does not interpolate.
    corners : {'inside', 'zero'}, optional
        ``'inside'`` turns stamps that are too small for their corners to stay inside by quarter turns only; ``'zero'``
        turns them all freely and fills with zero what comes from outside, as the published method does.
    interpolation : {'bicubic', 'bilinear'}, optional
    mirror : bool, optional
        Whether half of the stamps are mirrored, too.

    Raises
    ------
    ValueError
        If an option is none of those named.
    """

    def __init__(self, size=None, *, jitter=None, angles="any", corners="inside", interpolation="bicubic", mirror=True):
        super().__init__()
        _check_choice("angles", angles, ("any", "quarter"))
        _check_choice("corners", corners, ("inside", "zero"))
        _check_choice("interpolation", interpolation, ("bicubic", "bilinear"))
        self.size = size if size is None else _checked("size", size, least=1, kind=int)
        self.jitter = _checked("jitter", jitter or 0, kind=int)
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
    """

    def __init__(self, size=64, jitter=0):
        super().__init__()
        self.size = _checked("size", size, least=1, kind=int)
        self.jitter = _checked("jitter", jitter, kind=int)

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


class Reddening(nn.Module):
    """
    Dim galaxies as dust of our Galaxy would that was not corrected for.

    Each band by 10^(-0.4 R E(B-V)), with R of `~astro_photz.sdss.R_UGRIZ` and E(B-V) drawn evenly.

    Parameters
    ----------
    ebv_max : float, optional
        Largest E(B-V) (mag).
    """

    def __init__(self, ebv_max=0.5):
        super().__init__()
        self.ebv_max = _checked("ebv_max", ebv_max)

    def forward(self, flux):
        """
        Redden.

        Parameters
        ----------
        flux : `torch.Tensor` (B, 5, S, S)

        Returns
        -------
        `torch.Tensor` (B, 5, S, S)
        """
        return deredden(flux, -_uniform(flux, 0, self.ebv_max)) if self.training else flux


class Blur(nn.Module):
    """
    Blur all bands alike, as worse seeing would.

    Parameters
    ----------
    sigma : float, optional
        Largest width of the Gaussian (pixels, one standard deviation), drawn evenly from 0.
    """

    def __init__(self, sigma=1.0):
        super().__init__()
        self.sigma = _checked("sigma", sigma)

    def forward(self, flux):
        """
        Blur.

        Parameters
        ----------
        flux : `torch.Tensor` (B, 5, S, S)

        Returns
        -------
        `torch.Tensor` (B, 5, S, S)
            NaN where it was; beside, the light is averaged over the pixels that there are.
        """
        if not self.training:
            return flux
        along = torch.arange(flux.shape[-1], dtype=flux.dtype, device=flux.device)
        width = _uniform(flux, 0, self.sigma).clamp(min=1e-3)[:, None, None, None]
        kernel = torch.exp(-0.5 * ((along[:, None] - along) / width).square())  # a matrix that blurs columns or rows
        there = ~torch.isnan(flux)
        light = kernel @ torch.where(there, flux, 0) @ kernel
        return torch.where(there, light / (kernel @ there.to(flux.dtype) @ kernel), torch.nan)


class Noise(nn.Module):
    """
    Add Gaussian noise, to each band in units of its own.

    Parameters
    ----------
    low, high : float, optional
        Range of the rms that is added, over the rms that the band has (`noise_rms`); drawn evenly for each stamp and
        band. In a chain (`~astro_photz.train.augment.chain.make_augmentation`), that is what it had before anything
        else was done to it: turning and blurring make noise smoother, and dust does not dim that of the sky.
    """

    def __init__(self, low=0.0, high=1.0):
        super().__init__()
        self.low = _checked("low", low)
        self.high = _checked("high", high, least=low)

    def forward(self, flux, rms=None):
        """
        Add noise.

        Parameters
        ----------
        flux : `torch.Tensor` (B, 5, S, S)
        rms : `torch.Tensor` (B, 5), optional
            The unit; by default that of ``flux``.

        Returns
        -------
        `torch.Tensor` (B, 5, S, S)
        """
        if not self.training:
            return flux
        rms = noise_rms(flux) if rms is None else rms
        added = rms * (self.low + (self.high - self.low) * torch.rand_like(rms))
        # randn_like would keep the strides of what was turned, for which numbers are drawn one at a time
        noise = torch.randn(flux.shape, dtype=flux.dtype, device=flux.device)
        return torch.addcmul(flux, added[:, :, None, None], noise)


class MissingPixels(nn.Module):
    """
    Take a band, a side or a corner from a few stamps, as frames do that end.

    Parameters
    ----------
    band : float, optional
        Share of the stamps that lose a band.
    edge : float, optional
        Share of the stamps that lose a side, up to half of the stamp, or a corner, up to a quarter of it.
    """

    def __init__(self, *, band=0.02, edge=0.1):
        super().__init__()
        self.band = _checked("band", band, most=1)
        self.edge = _checked("edge", edge, most=1)

    def forward(self, flux):
        """
        Put NaN where pixels are taken.

        Parameters
        ----------
        flux : `torch.Tensor` (B, 5, S, S)

        Returns
        -------
        `torch.Tensor` (B, 5, S, S)
        """
        if not self.training:
            return flux
        n, bands = flux.shape[:2]
        one = torch.randint(bands, (n, 1), device=flux.device)
        lost = (_uniform(flux) < self.band)[:, None] & (torch.arange(bands, device=flux.device) == one)
        kind = torch.randint(3, (n, 1), device=flux.device)
        columns, rows = _beyond_an_edge(flux) | (kind == 1), _beyond_an_edge(flux) | (kind == 2)  # a corner is in both
        beyond = (_uniform(flux) < self.edge)[:, None, None] & rows[:, :, None] & columns[:, None, :]
        return flux.masked_fill(lost[:, :, None, None] | beyond[:, None], torch.nan)


def _beyond_an_edge(flux):
    """Which places along an axis (B, S) lie beyond an edge: those at one end, up to the middle, where the galaxy is."""
    n, size = len(flux), flux.shape[-1]
    first = torch.randint(size // 2, size, (n, 1), device=flux.device)
    beyond = torch.arange(size, device=flux.device) >= first
    return torch.where(_uniform(flux)[:, None] < 0.5, beyond, beyond.flip(1))


def noise_rms(flux):
    """
    Noise of a pixel, from the differences between pixels.

    Those of second order, four pixels apart, in the first and the last fifth of the rows: neither the galaxy in the
    middle nor the correlation of neighbouring pixels is much in them. Of their sizes the median, so that another galaxy
    does not count.

    Parameters
    ----------
    flux : `torch.Tensor` (B, 5, S, S)

    Returns
    -------
    `torch.Tensor` (B, 5)
        0 where a band has no pixels.

    Examples
    --------
    >>> import torch
    >>> from astro_photz.train.augment.steps import noise_rms
    >>> noise_rms(3 * torch.randn(1, 5, 107, 107)).round()
    tensor([[3., 3., 3., 3., 3.]])
    """
    edge = flux.shape[-2] // 5
    every = max(4, edge // 3)  # some three hundred pixels are enough, whatever the size
    rows = torch.cat([flux[..., :edge:every, :], flux[..., -edge::every, :]], dim=-2)
    difference = (rows[..., 4:-4] - (rows[..., :-8] + rows[..., 8:]) / 2)[..., :: max(1, flux.shape[-1] // 48)]
    difference = difference.abs().flatten(2)
    return torch.nan_to_num(difference.nanmedian(dim=2).values) * (_SCATTER / math.sqrt(1.5))


_SCATTER = 1.4826  # of a Gaussian, over its median absolute deviation


def _uniform(flux, low=0.0, high=1.0):
    """A number for each stamp."""
    return low + (high - low) * torch.rand(len(flux), device=flux.device)


def _checked(name, value, *, least=0, most=math.inf, kind=(int, float)):
    if isinstance(value, bool) or not isinstance(value, kind) or not least <= value <= most or math.isinf(value):
        number = "a whole number" if kind is int else "a number"
        limits = f"of {least:g} or more" if most == math.inf else f"from {least:g} to {most:g}"
        raise ValueError(f"{name} must be {number} {limits}, got {value!r}")
    return value


def _check_choice(name, value, known):
    if value not in known:
        raise ValueError(f"{name} must be one of {', '.join(map(repr, known))}, got {value!r}")


def _axis(stamp, size, device=None):
    """Places of the central pixels along an axis (pixels from the middle of the stamp)."""
    return torch.arange(size, device=device) + ((stamp - size) // 2 - (stamp - 1) / 2)


def _reach(jitter, stamp, size):
    """How far a crop can be displaced (whole pixels): 0 if there is no room at all."""
    return max(min(jitter, (stamp - size) // 2), 0)


def _displacement(flux, reach):
    """Rows and columns (2, B), from 0 to twice the reach."""
    return torch.randint(2 * reach + 1, (2, len(flux)), device=flux.device)


def _crop_displaced(flux, size, reach):
    """Crops of the middle, each displaced by its own whole pixels up to the reach."""
    if reach == 0:
        return central(flux, size)
    crops = central(flux, size + 2 * reach).unfold(2, size, 1).unfold(3, size, 1)  # all there are
    row, column = _displacement(flux, reach)
    return crops[torch.arange(len(flux), device=flux.device), :, row, column]


def _resample(flux, matrix, size, displacement, *, mode="bicubic", padding_mode):
    """
    The stamp at places that are a matrix (B, 2, 2) times those of its central pixels, about its middle; these displaced
    by rows and columns (2, B) first.
    """
    middle = (flux.shape[-1] - 1) / 2
    row, column = (_axis(flux.shape[-1], size, flux.device) + displacement[..., None]) / middle  # the stamp is -1 to 1
    grid = column[:, None, :, None] * matrix[:, None, None, :, 0] + row[:, :, None, None] * matrix[:, None, None, :, 1]
    return F.grid_sample(flux, grid, mode=mode, padding_mode=padding_mode, align_corners=True)


def _rotations(flux, mirrored):
    """Matrices (B, 2, 2) of turns by any angle, half of them mirrored."""
    angle = _uniform(flux, 0, 2 * math.pi)
    mirror = torch.where(_uniform(flux) < 0.5 * mirrored, -1.0, 1.0)
    cosine, sine = angle.cos(), angle.sin()
    return torch.stack([cosine * mirror, -sine, sine * mirror, cosine], dim=1).unflatten(1, (2, 2))


def _turn_by_quarters(flux, mirrored):
    """Turn, and mirror half of the stamps: a turn, a half turn and a mirror make all eight ways."""
    for changed, share in ((lambda x: x.mT.flip(-1), 0.5), (lambda x: x.flip(-1, -2), 0.5), (_mirror, 0.5 * mirrored)):
        flux = torch.where((_uniform(flux) < share)[:, None, None, None], changed(flux), flux)
    return flux


def _mirror(flux):
    return flux.flip(-1)
