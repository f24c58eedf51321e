# Licensed under a 3-clause BSD style license - see LICENSE
"""
Augmentations of light: dust, seeing, brightness, noise, and pixels that are missing.
"""

import math

import torch
from torch import nn

from astro_photz.sdss import BANDS
from astro_photz.train.networks.dereddening import deredden
from astro_photz.utils._settings import check_one_of

from ._draws import checked, uniform

__all__ = ["Blur", "MissingPixels", "Noise", "Normalisation", "Reddening", "noise_rms"]

_R = BANDS.index("r")


class Reddening(nn.Module):
    """
    Dim galaxies like uncorrected dust of our Galaxy.

    Each band by 10^(-0.4 R E(B-V)), with R of `~astro_photz.sdss.R_UGRIZ` and E(B-V) drawn evenly.

    Parameters
    ----------
    ebv_max : float, optional
        Largest E(B-V) (mag).

    Examples
    --------
    >>> import torch
    >>> from astro_photz.train.augment import Reddening
    >>> step = Reddening(ebv_max=0.3)
    >>> step(torch.rand(8, 5, 64, 64)).shape
    torch.Size([8, 5, 64, 64])
    """

    def __init__(self, ebv_max=0.5):
        super().__init__()
        self.ebv_max = checked("ebv_max", ebv_max)

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
        return deredden(flux, -uniform(flux, 0, self.ebv_max)) if self.training else flux


class Blur(nn.Module):
    """
    Blur, like worse seeing.

    Parameters
    ----------
    sigma : float, optional
        Largest width of the Gaussian (pixels, one standard deviation), drawn evenly from 0.
    bands : {'alike', 'each'}, optional
        Whether all bands are blurred alike, or each by a draw of its own, which changes the colours of small apertures.

    Raises
    ------
    ValueError
        If an option is unknown.

    Examples
    --------
    >>> import torch
    >>> from astro_photz.train.augment import Blur
    >>> step = Blur(sigma=1.5)
    >>> step(torch.rand(8, 5, 64, 64)).shape
    torch.Size([8, 5, 64, 64])
    """

    def __init__(self, sigma=1.0, *, bands="alike"):
        super().__init__()
        check_one_of("bands", bands, ("alike", "each"))
        self.sigma = checked("sigma", sigma)
        self.bands = bands

    def forward(self, flux):
        """
        Blur.

        Parameters
        ----------
        flux : `torch.Tensor` (B, 5, S, S)

        Returns
        -------
        `torch.Tensor` (B, 5, S, S)
            NaN where ``flux`` is; around it, the light is averaged over the pixels that are known.
        """
        if not self.training:
            return flux
        along = torch.arange(flux.shape[-1], dtype=flux.dtype, device=flux.device)
        draws = flux.flatten(0, 1) if self.bands == "each" else flux
        width = uniform(draws, 0, self.sigma).clamp(min=1e-3).view(len(flux), -1, 1, 1)
        kernel = torch.exp(-0.5 * ((along[:, None] - along) / width).square())  # a matrix that blurs columns or rows
        there = ~torch.isnan(flux)
        light = kernel @ torch.where(there, flux, 0) @ kernel
        return torch.where(there, light / (kernel @ there.to(flux.dtype) @ kernel), torch.nan)


class Normalisation(nn.Module):
    """
    Bring galaxies to a common brightness in *r*, and so take away what tells them apart without colours.

    All bands and pixels of a stamp are multiplied by one number, so colours and shape stay; its noise grows or
    shrinks with it. The flux of the stamp is what it holds in *r* under a Gaussian about the centre (6 pixels, one
    standard deviation) or, if there is next to no light, three times the noise of that. A stamp without pixels in *r*
    stays as it is.

    Parameters
    ----------
    magnitude : float, optional
        Magnitude in *r*, of the light under the Gaussian.
    spread : float, optional
        Largest difference from it (mag), drawn evenly on either side for each stamp: the brightness of a view says
        nothing, and a network still sees those that there are. With 0, all are alike.

    Examples
    --------
    >>> import torch
    >>> from astro_photz.train.augment import Normalisation
    >>> step = Normalisation()
    >>> step(torch.rand(8, 5, 64, 64)).shape
    torch.Size([8, 5, 64, 64])
    """

    def __init__(self, magnitude=18.0, *, spread=1.0):
        super().__init__()
        self.magnitude = checked("magnitude", magnitude)
        self.spread = checked("spread", spread)

    def forward(self, flux):
        """
        Normalise.

        Parameters
        ----------
        flux : `torch.Tensor` (B, 5, S, S)

        Returns
        -------
        `torch.Tensor` (B, 5, S, S)
        """
        if not self.training:
            return flux
        magnitude = self.magnitude
        if self.spread:
            magnitude = magnitude + uniform(flux, -self.spread, self.spread)
        wanted = flux.new_tensor(10.0) ** (0.4 * (22.5 - magnitude))
        own = _flux_r(flux)
        factor = torch.where(own > 0, wanted / own, 1.0)
        return flux * factor[:, None, None, None]


class Noise(nn.Module):
    """
    Add Gaussian noise, to each band in units of its own.

    Parameters
    ----------
    low, high : float, optional
        Range of the rms that is added, over the rms of the band (``noise_rms``); drawn evenly for each stamp and band.
        In a chain (`make_augmentation`), the rms is that before all other steps: turning and blurring make noise
        smoother, and dust does not dim that of the sky.
    fill : bool, optional
        Whether that range is of the rms in all: only what the view lacks is added, in quadrature. With ``low`` equal
        to ``high``, the views of a stamp have the same noise then, unless one has more.

    Raises
    ------
    ValueError
        If an option is out of its range.

    Examples
    --------
    >>> import torch
    >>> from astro_photz.train.augment import Noise
    >>> step = Noise(low=0.5, high=2.0)
    >>> step(torch.rand(8, 5, 64, 64)).shape
    torch.Size([8, 5, 64, 64])
    """

    def __init__(self, low=0.0, high=1.0, *, fill=False):
        super().__init__()
        self.low = checked("low", low)
        self.high = checked("high", high, least=low)
        if not isinstance(fill, bool):
            raise ValueError(f"fill must be true or false, got {fill!r}")
        self.fill = fill

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
        if self.fill:
            added = (added.square() - noise_rms(flux).square()).clamp(min=0).sqrt()
        # randn_like would keep the strides of what was turned, for which numbers are drawn one at a time
        noise = torch.randn(flux.shape, dtype=flux.dtype, device=flux.device)
        return torch.addcmul(flux, added[:, :, None, None], noise)


class MissingPixels(nn.Module):
    """
    Take a band, a side or a corner from a few stamps, like the edge of a frame.

    Parameters
    ----------
    band : float, optional
        Share of the stamps that lose a band.
    edge : float, optional
        Share of the stamps that lose a side, up to half of the stamp, or a corner, up to a quarter of it.

    Examples
    --------
    >>> import torch
    >>> from astro_photz.train.augment import MissingPixels
    >>> step = MissingPixels()
    >>> step(torch.rand(8, 5, 64, 64)).shape
    torch.Size([8, 5, 64, 64])
    """

    def __init__(self, *, band=0.02, edge=0.1):
        super().__init__()
        self.band = checked("band", band, most=1)
        self.edge = checked("edge", edge, most=1)

    def forward(self, flux):
        """
        Put NaN in place of the pixels that are taken.

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
        lost = (uniform(flux) < self.band)[:, None] & (torch.arange(bands, device=flux.device) == one)
        kind = torch.randint(3, (n, 1), device=flux.device)
        columns, rows = _beyond_an_edge(flux) | (kind == 1), _beyond_an_edge(flux) | (kind == 2)  # a corner is in both
        beyond = (uniform(flux) < self.edge)[:, None, None] & rows[:, :, None] & columns[:, None, :]
        return flux.masked_fill(lost[:, :, None, None] | beyond[:, None], torch.nan)


def _beyond_an_edge(flux):
    """Mask of the places along an axis (B, S) beyond an edge: at one end, and short of the galaxy in the middle."""
    n, size = len(flux), flux.shape[-1]
    first = torch.randint(size // 2, size, (n, 1), device=flux.device)
    beyond = torch.arange(size, device=flux.device) >= first
    return torch.where(uniform(flux)[:, None] < 0.5, beyond, beyond.flip(1))


_APERTURE = 6.0  # pixels, one standard deviation: most of a galaxy, little of its neighbours


_FAINTEST = 3.0  # signal to noise


def _flux_r(flux):
    """Measure the flux in r under a Gaussian (B,), at least three times its noise; 0 without pixels."""
    axis = torch.arange(flux.shape[-1], dtype=flux.dtype, device=flux.device) - (flux.shape[-1] - 1) / 2
    weight = torch.exp(-0.5 * (axis / _APERTURE).square())
    light = weight @ flux[:, _R].nan_to_num() @ weight
    noise = noise_rms(flux[:, [_R]])[:, 0] * weight.square().sum()
    return torch.maximum(light, _FAINTEST * noise)


_SCATTER = 1.4826  # of a Gaussian, over its median absolute deviation


def noise_rms(flux):
    """
    Measure the noise of a pixel by the differences between pixels.

    They are differences of second order, four pixels apart, in the first and the last fifth of the rows: neither the
    galaxy in the middle nor the correlation of neighbouring pixels adds much to them. Their median size leaves other
    galaxies out.

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
    >>> from astro_photz.train.augment.light import noise_rms
    >>> generator = torch.Generator().manual_seed(0)
    >>> noise_rms(3 * torch.randn(4, 5, 107, 107, generator=generator)).mean(dim=0).round()
    tensor([3., 3., 3., 3., 3.])
    """
    edge = flux.shape[-2] // 5
    every = max(4, edge // 3)  # some three hundred pixels are enough, whatever the size
    rows = torch.cat([flux[..., :edge:every, :], flux[..., -edge::every, :]], dim=-2)
    difference = (rows[..., 4:-4] - (rows[..., :-8] + rows[..., 8:]) / 2)[..., :: max(1, flux.shape[-1] // 48)]
    difference = difference.abs().flatten(2)
    return torch.nan_to_num(difference.nanmedian(dim=2).values) * (_SCATTER / math.sqrt(1.5))
