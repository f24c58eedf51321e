# Licensed under a 3-clause BSD style license - see LICENSE
"""
Encoders: from the image of a galaxy to a vector that describes it.

An encoder takes fluxes as they come from the survey, and E(B-V). Dereddening and pixel scaling are its first layers
(`astro_photz.train.networks.scaling`), so that training and exported graphs treat pixels alike. `make_encoder` makes an
encoder by the name of its kind, a ResNet (`astro_photz.train.networks.resnet`). A recipe may put aperture photometry
beside it, the classical way to a redshift (`PhotometricEncoder`), and a `Bottleneck` behind it.
"""

import inspect
from contextlib import nullcontext
from functools import partial
from typing import Any

import torch
from torch import nn

from astro_photz.train.networks.photometry import StandardPhotometry
from astro_photz.train.networks.scaling import PixelScaling
from astro_photz.utils._settings import check_known

from .resnet import DEPTHS, ResNet

__all__ = ["KINDS", "Bottleneck", "PhotometricEncoder", "encoder_settings", "make_encoder", "settings_text"]

_WIDER = 4  # numbers of an embedding for each one of the convolutions'
_FAR_OUT = 10.0  # scatters


class PhotometricEncoder(nn.Module):
    """
    An encoder with aperture photometry beside it, joined in one embedding.

    A colour is a ratio of two sums over many pixels, most of them faint; convolutions are long in learning to take it
    as precisely as adding up does. So it is measured, and the encoder is free to look for more than the apertures show:
    how much light lies outside, seeing, neighbours, shapes.

    Parameters
    ----------
    encoder : `torch.nn.Module`
        Gives embeddings of D numbers, and says ``embedding_dim``, ``image_size`` and ``scaling``.

    Examples
    --------
    >>> import torch
    >>> from astro_photz.train.networks.encoder import PhotometricEncoder, make_encoder
    >>> encoder = PhotometricEncoder(make_encoder("resnet18", width=4, stem="pooled")).eval()
    >>> encoder(torch.zeros(3, 5, 64, 64), torch.zeros(3)).shape
    torch.Size([3, 128])
    """

    def __init__(self, encoder):
        super().__init__()
        self.encoder = encoder
        self.embedding_dim, self.image_size = _WIDER * encoder.embedding_dim, encoder.image_size
        self.linear = PixelScaling("linear")
        self.photometry = StandardPhotometry(encoder.image_size)
        measured = len(self.photometry.centre)
        self.join = nn.Sequential(nn.Linear(encoder.embedding_dim + measured, self.embedding_dim), nn.ReLU())

    @property
    def scaling(self):
        """The scaling of the encoder within."""
        return self.encoder.scaling

    def forward(self, flux, ebv):
        """
        Encode.

        Parameters
        ----------
        flux : `torch.Tensor` (B, 5, image_size, image_size)
            Nanomaggies, *ugriz*, not corrected for extinction; NaN where there is no image.
        ebv : `torch.Tensor` (B,)
            E(B-V) (mag).

        Returns
        -------
        `torch.Tensor` (B, embedding_dim)
        """
        shape = self.encoder(flux, ebv)
        with _all_digits(flux):
            measured, known = self.photometry(self.linear(flux, ebv), ~torch.isnan(flux))
            # an unknown colour is taken to be the usual one; one that lies far out is that of a band without light
            measured = torch.where(known, measured.clamp(-_FAR_OUT, _FAR_OUT), 0.0)
            return self.join(torch.cat([shape.float(), measured], dim=1))


class Bottleneck(nn.Module):
    """
    An encoder whose embedding is a function of a few numbers.

    Pretraining can make these numbers the galaxy's photometry
    (`~astro_photz.train.tasks.moco.ContrastiveModel`); then a redshift is a function of a handful of numbers
    that mean something, which a few hundred labels are enough to learn, while hundreds of features would be learnt by
    heart. When all layers are fine-tuned, the numbers become whatever serves the redshift.

    Parameters
    ----------
    encoder : `torch.nn.Module`
        Gives the features; says ``embedding_dim``, ``image_size`` and ``scaling``.
    width : int
        Number of these numbers.

    Attributes
    ----------
    encoder : `torch.nn.Module`
    describe : `torch.nn.Module`
        Gives the numbers (B, width) of features (B, ``encoder.embedding_dim``).
    expand : `torch.nn.Module`
        Gives embeddings (B, 256) of the numbers, such that a linear head can take any function of them. No task before
        the head's teaches it, so it always learns with the head.

    Examples
    --------
    >>> import torch
    >>> from astro_photz.train import make_encoder
    >>> encoder = make_encoder("resnet18", width=4, stem="pooled", bottleneck=5).eval()
    >>> features = encoder.encoder(torch.zeros(3, 5, 64, 64), torch.zeros(3))
    >>> encoder.describe(features).shape, encoder(torch.zeros(3, 5, 64, 64), torch.zeros(3)).shape
    (torch.Size([3, 5]), torch.Size([3, 256]))
    """

    embedding_dim = 256

    def __init__(self, encoder, width):
        super().__init__()
        self.encoder, self.image_size, self.width = encoder, encoder.image_size, width
        hidden = self.embedding_dim
        self.describe = nn.Sequential(nn.Linear(encoder.embedding_dim, hidden), nn.ReLU(), nn.Linear(hidden, width))
        self.expand = nn.Sequential(nn.Linear(width, self.embedding_dim), nn.ReLU())

    @property
    def scaling(self):
        """The scaling of the encoder within."""
        return self.encoder.scaling

    def forward(self, flux, ebv):
        """
        Encode.

        Parameters
        ----------
        flux : `torch.Tensor` (B, 5, image_size, image_size)
            Nanomaggies, *ugriz*, not corrected for extinction; NaN where there is no image.
        ebv : `torch.Tensor` (B,)
            E(B-V) (mag).

        Returns
        -------
        `torch.Tensor` (B, 256)
        """
        embedding, _ = self.encoding(flux, ebv)
        return embedding

    def encoding(self, flux, ebv):
        """
        Encode, and keep the features.

        Parameters
        ----------
        flux, ebv : `torch.Tensor`
            As in `forward`.

        Returns
        -------
        embedding : `torch.Tensor` (B, 256)
        features : `torch.Tensor` (B, ``encoder.embedding_dim``)
        """
        features = self.encoder(flux, ebv)
        with _all_digits(flux):
            features = features.float()
            return self.expand(self.describe(features)), features


def _all_digits(flux):
    """Compute in full precision, whatever the training has: photometry needs all digits, as exported graphs have."""
    device = flux.device.type
    return torch.autocast(device, enabled=False) if torch.is_autocast_enabled(device) else nullcontext()


KINDS = {f"resnet{depth}": partial(ResNet, depth) for depth in DEPTHS}
"""Makers of encoders by the name that a recipe has for them."""


def encoder_settings(kind, *, photometry=False, bottleneck=0, **options):
    """
    Fill in the settings of an encoder that are left out.

    Parameters
    ----------
    kind, photometry, bottleneck, **options
        Of `make_encoder`.

    Returns
    -------
    dict
        All keywords of `make_encoder`.

    Raises
    ------
    ValueError
        If there is no such kind, or it has no such option, or the bottleneck is no whole number of 0 or more.

    Examples
    --------
    >>> from astro_photz.train.networks.encoder import encoder_settings
    >>> encoder_settings("resnet18", width=16)
    {'kind': 'resnet18', 'width': 16, 'scaling': 'asinh', 'stem': 'published', 'photometry': False, 'bottleneck': 0}
    """
    check_known([kind], KINDS, kind="kind of encoder")
    parameters = inspect.signature(KINDS[kind]).parameters.values()
    known = {item.name: item.default for item in parameters if item.kind is inspect.Parameter.KEYWORD_ONLY}
    check_known(options, known, kind="option", where=f"of the encoder {kind!r}")
    if not isinstance(bottleneck, int) or bottleneck < 0:
        raise ValueError(f"bottleneck must be a whole number of 0 or more, got {bottleneck!r}")
    chosen = {name: value for name, value in (known | options).items() if value is not None}
    return {"kind": kind, **chosen, "photometry": photometry, "bottleneck": bottleneck}


def settings_text(settings):
    """
    Write the settings of an encoder as text, for messages.

    Parameters
    ----------
    settings : dict

    Returns
    -------
    str
    """
    return ", ".join(f"{name} = {value!r}" for name, value in settings.items())


def make_encoder(kind: str, *, photometry: bool = False, bottleneck: int = 0, **options: Any) -> torch.nn.Module:
    """
    Make an encoder by name.

    Parameters
    ----------
    kind : {'resnet18', 'resnet34', 'resnet50'}
    photometry : bool, optional
        Whether it has aperture photometry beside it.
    bottleneck : int, optional
        Number of numbers that the embedding must pass through; 0 for none.
    **options
        Of ``networks.resnet.ResNet``, but for its depth.

    Returns
    -------
    `torch.nn.Module`
        ``encoder(flux (B, 5, 64, 64), ebv (B,))`` gives embeddings (B, ``embedding_dim``).

    Raises
    ------
    ValueError
        If there is no such kind, or it has no such option, or the bottleneck is no whole number of 0 or more.

    Examples
    --------
    >>> import torch
    >>> from astro_photz.train import make_encoder
    >>> encoder = make_encoder("resnet18", width=16, stem="light").eval()
    >>> encoder(torch.zeros(3, 5, 64, 64), torch.zeros(3)).shape
    torch.Size([3, 128])
    """
    encoder_settings(kind, photometry=photometry, bottleneck=bottleneck, **options)  # checks them
    encoder = KINDS[kind](**options)
    encoder = PhotometricEncoder(encoder) if photometry else encoder
    return Bottleneck(encoder, bottleneck) if bottleneck else encoder
