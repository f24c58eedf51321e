# Licensed under a 3-clause BSD style license - see LICENSE
"""
Brightness and colours of galaxies: as a layer beside a network's convolutions, and as a task for pretraining.

`AperturePhotometry` adds up the light in apertures about the centre; `StandardPhotometry` makes brightness and colours
of it, each in units of its own scatter. Pretraining has a network predict `aperture_photometry`, the same of stamps, or
`catalog_photometry`, that of a catalogue: neither needs labels. `brightness_and_size` of either tell which galaxies are
alike in what is not colour.
"""

import functools

import torch
from torch import nn

from astro_photz.train.tensors import asinh, central

from .dereddening import deredden
from .scaling import SOFTENING

__all__ = [
    "APERTURES",
    "AperturePhotometry",
    "StandardPhotometry",
    "aperture_photometry",
    "brightness_and_size",
    "catalog_photometry",
    "colours",
]

APERTURES = (3.0, 6.0, 12.0)
"""Widths (pixels, one standard deviation) of the Gaussian apertures about the centre."""


_SKY_RADIUS = 22  # pixels; beyond lies little of the galaxy's light


_SKY_CLIP = 2.0  # softenings, three times the usual noise: what is brighter belongs to a neighbour


class AperturePhotometry(nn.Module):
    """
    Measure the light about the centre in Gaussian apertures, on the asinh scale.

    The rest of the sky is measured around the galaxy, in each band, and subtracted: over a large aperture it would
    outweigh the noise.

    Parameters
    ----------
    image_size : int
        Side of the images (pixels).
    """

    def __init__(self, image_size):
        super().__init__()
        axis = torch.arange(image_size) - (image_size - 1) / 2
        square = axis[:, None] ** 2 + axis[None, :] ** 2
        weights = torch.stack([torch.exp(-0.5 * square / width**2) for width in APERTURES])
        # noise of an aperture grows as the root of the weights' squares: in its unit, all are alike
        weights = weights / weights.square().sum(dim=(1, 2), keepdim=True).sqrt()
        around = (square > _SKY_RADIUS**2).float()
        self.register_buffer("weights", weights.flatten(1), persistent=False)
        self.register_buffer("around", (around / around.sum()).flatten(), persistent=False)

    def forward(self, scaled):
        """
        Measure.

        Parameters
        ----------
        scaled : `torch.Tensor` (B, 5, S, S)
            On the scale ``'linear'`` of `PixelScaling`.

        Returns
        -------
        `torch.Tensor` (B, 5 * number of apertures)
            All apertures of *u* first, then of *g*, and so on.
        """
        pixels = scaled.flatten(2)
        sky = pixels.clamp(-_SKY_CLIP, _SKY_CLIP) @ self.around
        return asinh(pixels @ self.weights.T - sky[..., None] * self.weights.sum(dim=1)).flatten(1)


def colours(measured):
    """
    Turn photometry into brightness and colours.

    Parameters
    ----------
    measured : `torch.Tensor` (B, 5 * number of apertures)
        By `AperturePhotometry`.

    Returns
    -------
    `torch.Tensor` (B, 5 * number of apertures)
        In each aperture in turn *r*, *u-g*, *g-r*, *r-i* and *i-z*: asinh magnitudes (Lupton, Gunn & Szalay 1999), but
        for a factor of 0.92 and a zero point.
    """
    bands = measured.unflatten(1, (5, -1)).transpose(1, 2)
    return torch.cat([-bands[..., 2:3], bands.diff(dim=2)], dim=2).flatten(1)


_STAMP = 64  # pixels: of larger stamps the middle is measured, so that all are measured alike


_COVERED = 0.95  # of an aperture's weight: less of it with pixels is no measurement


class StandardPhotometry(nn.Module):
    """
    Measure brightness and colours in three apertures, in units of their scatter over galaxies.

    Magnitudes are asinh magnitudes, finite whatever the noise (Lupton, Gunn & Szalay 1999), in Gaussian apertures of 3,
    6 and 12 pixels (one standard deviation). They are standardised by the median and the scatter over simulated
    galaxies of the SDSS main sample, so that a colour, whose range is narrow, weighs as much as a brightness.

    Parameters
    ----------
    image_size : int
        Side of the images (pixels).
    """

    def __init__(self, image_size):
        super().__init__()
        self.photometry = AperturePhotometry(image_size)
        weights = self.photometry.weights
        self.register_buffer("share", weights / weights.sum(dim=1, keepdim=True), persistent=False)
        self.register_buffer("centre", torch.tensor(_MEAN).flatten(), persistent=False)
        self.register_buffer("scatter", torch.tensor(_SCATTER).flatten(), persistent=False)

    def forward(self, scaled, covered):
        """
        Measure.

        Parameters
        ----------
        scaled : `torch.Tensor` (B, 5, S, S)
            On the scale ``'linear'`` of `PixelScaling`, dereddened, 0 where there is no image.
        covered : `torch.Tensor` (B, 5, S, S) of bool
            Where there is one.

        Returns
        -------
        measured : `torch.Tensor` (B, 15)
            In each aperture in turn *r*, *u-g*, *g-r*, *r-i* and *i-z*, of order one.
        known : `torch.Tensor` (B, 15) of bool
            Whether the bands have pixels there.
        """
        measured = (colours(self.photometry(scaled)) - self.centre) / self.scatter
        seen = (covered.flatten(2).to(scaled.dtype) @ self.share.T > _COVERED).transpose(1, 2)
        known = torch.cat([seen[..., 2:3], seen[..., 1:] & seen[..., :-1]], dim=2).flatten(1)
        return measured, known


def aperture_photometry(flux):
    """
    Measure brightness and colours of galaxies, as a task for pretraining that needs no label: see `StandardPhotometry`.

    Parameters
    ----------
    flux : `torch.Tensor` (B, 5, S, S)
        Dereddened (`~astro_photz.train.networks.dereddening.deredden`) stamps, not otherwise changed.

    Returns
    -------
    `torch.Tensor` (B, 15)
        NaN where a band lacks pixels.
    """
    flux = central(flux, min(flux.shape[-1], _STAMP))
    missing = torch.isnan(flux)
    scaled = torch.where(missing, 0.0, flux) / flux.new_tensor(SOFTENING)[:, None, None]
    measured, known = _photometer(flux.shape[-1], flux.device)(scaled, ~missing)
    return torch.where(known, measured, torch.nan)


def catalog_photometry(flux, radius, ebv):
    """
    Standardise a catalogue's brightness, colours and size of galaxies, in units of their scatter.

    Parameters
    ----------
    flux : `torch.Tensor` (B, 5)
        Total flux in *ugriz* (nanomaggies), as observed.
    radius : `torch.Tensor` (B,)
        That holds half of the light (arcsec).
    ebv : `torch.Tensor` (B,)
        E(B-V) (mag).

    Returns
    -------
    `torch.Tensor` (B, 6)
        *r*, *u-g*, *g-r*, *r-i* and *i-z* (magnitudes, free of extinction) and the logarithm of the radius, less the
        median and over the scatter of simulated galaxies; NaN where a flux or the radius is not known, or not positive.

    Examples
    --------
    >>> import torch
    >>> from astro_photz.train.networks.photometry import catalog_photometry
    >>> catalog_photometry(torch.tensor([[10.0, 40.0, 90.0, 130.0, 160.0]]), torch.tensor([2.0]), torch.zeros(1))
    tensor([[ 0.6578,  0.0156,  0.3498,  0.1542, -0.2729,  0.0526]])
    """
    clear = deredden(flux[:, :, None, None], ebv)[:, :, 0, 0]
    magnitude = 22.5 - 2.5 * torch.where(clear > 0, clear, torch.nan).log10()
    size = torch.where(radius > 0, radius, torch.nan).log()
    measured = torch.cat([magnitude[:, 2:3], -magnitude.diff(dim=1), size[:, None]], dim=1)
    return (measured - magnitude.new_tensor(_CATALOG_MEAN)) / magnitude.new_tensor(_CATALOG_SCATTER)


def brightness_and_size(measured):
    """
    Take brightness and size of galaxies out of their photometry.

    Parameters
    ----------
    measured : `torch.Tensor` (B, 15) or (B, 6)
        By `aperture_photometry` or by `catalog_photometry`.

    Returns
    -------
    `torch.Tensor` (B, 2)
        *r*, and the logarithm of the radius or, of apertures, by how much the largest holds more light than the
        smallest; of order one, NaN where they are not known.

    Examples
    --------
    >>> import torch
    >>> from astro_photz.train.networks.photometry import brightness_and_size
    >>> brightness_and_size(torch.tensor([[0.7, 0.0, 0.3, 0.2, -0.3, 0.1]]))
    tensor([[0.7000, 0.1000]])
    """
    if measured.shape[1] == len(_CATALOG_MEAN):
        return measured[:, [0, -1]]
    r_mag = measured[:, :: len(_MEAN[0])]
    return torch.stack([r_mag[:, 1], (r_mag[:, 0] - r_mag[:, 2]) / _CONCENTRATION_SCATTER], dim=1)


@functools.cache
def _photometer(size, device):
    return StandardPhotometry(size).to(device)


# Median, and half of the range that holds 68 %, of r, u-g, g-r, r-i, i-z in the apertures of APERTURES, over simulated
# galaxies to r = 19 (tools/measure_photometry_units.py). They need not be exact: they weigh the quantities.
_MEAN = (
    (-5.50, 2.34, 0.29, -0.09, -1.08),
    (-5.37, 2.32, 0.26, -0.10, -1.07),
    (-5.00, 2.27, 0.24, -0.11, -1.07),
)


_SCATTER = (
    (0.61, 0.36, 0.27, 0.10, 0.11),
    (0.63, 0.35, 0.27, 0.08, 0.10),
    (0.67, 0.39, 0.27, 0.08, 0.10),
)


# Half of the range that holds 68 %, of the one less the other, each standardised, over the same galaxies.
_CONCENTRATION_SCATTER = 0.4


# The same of the light in all (magnitudes), and of the radius's logarithm, over the main sample (--faintest 17.8).
_CATALOG_MEAN = (17.2, 1.5, 0.8, 0.39, 0.25, 0.67)


_CATALOG_SCATTER = (0.63, 0.33, 0.23, 0.06, 0.09, 0.44)
