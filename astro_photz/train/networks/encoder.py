# Licensed under a 3-clause BSD style license - see LICENSE
"""
From a galaxy's image to a vector that says what kind of galaxy it is, and how far away.

An encoder takes fluxes as they come from the survey, and E(B-V). Dereddening and pixel scaling are its first layers
(`astro_photz.train.tensors`), so whatever runs it, training or an exported graph, treats pixels alike. `make_encoder`
makes one by the name of its kind, a ResNet (`astro_photz.train.networks.resnet`). Where it is wanted, it has aperture
photometry beside it, the classical way to a redshift (`PhotometricEncoder`), and is followed by a `Bottleneck`.
"""

import inspect
from contextlib import nullcontext
from functools import partial

from astro_photz.train._torch import torch
from astro_photz.train.tensors import PixelScaling, StandardPhotometry
from astro_photz.utils._suggestions import advice

from .resnet import DEPTHS, ResNet

nn = torch.nn

__all__ = ["Bottleneck", "PhotometricEncoder", "encoder_settings", "make_encoder"]

_WIDER = 4  # numbers of an embedding for each one of the convolutions'
_FAR_OUT = 10.0  # scatters


class PhotometricEncoder(nn.Module):
    """
    Another encoder and aperture photometry beside it, joined in one embedding.

    A colour is a ratio of two sums over many pixels, most of them faint; convolutions are long in learning to take it
    as precisely as adding up does. So it is measured, and the other encoder is free to look for what the apertures do
    not tell: how much light lies outside, seeing, neighbours, shapes.

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
        """The other encoder's."""
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
            # What is not known is taken to be as usual; what lies far out is no colour of a galaxy, but a band without
            # one.
            measured = torch.where(known, measured.clamp(-_FAR_OUT, _FAR_OUT), 0.0)
            return self.join(torch.cat([shape.float(), measured], dim=1))


class Bottleneck(nn.Module):
    """
    An encoder whose embedding knows of a galaxy only what a few numbers hold.

    Pretraining can have these numbers be the galaxy's photometry, by what they are compared with
    (`~astro_photz.train.tasks.contrastive.ContrastiveModel`); then a redshift is a function of a handful of numbers
    that mean something, which a few hundred labels tell, while the whole of the features would be learnt by heart.
    Fine-tuned as a whole, they become whatever serves the redshift.

    Parameters
    ----------
    encoder : `torch.nn.Module`
        Gives the features; says ``embedding_dim``, ``image_size`` and ``scaling``.
    width : int
        How many numbers.

    Attributes
    ----------
    encoder : `torch.nn.Module`
    describe : `torch.nn.Module`
        Gives the numbers (B, width) of features (B, ``encoder.embedding_dim``).
    expand : `torch.nn.Module`
        Gives embeddings (B, 256) of the numbers, such that a linear head can take any function of them. Nothing teaches
        it before there is a head: it always learns with that.

    Examples
    --------
    >>> import torch
    >>> from astro_photz.train.networks.encoder import make_encoder
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
        """The encoder's."""
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
        features = self.encoder(flux, ebv)
        with _all_digits(flux):
            return self.expand(self.describe(features.float()))


def _all_digits(flux):
    """Photometry needs all digits, whatever precision the training has; an exported graph has no other."""
    device = flux.device.type
    return torch.autocast(device, enabled=False) if torch.is_autocast_enabled(device) else nullcontext()


_KINDS = {f"resnet{depth}": partial(ResNet, depth) for depth in DEPTHS}


def encoder_settings(kind, *, photometry=False, bottleneck=0, **options):
    """
    All that an encoder is made with, what is left out too.

    Parameters
    ----------
    kind, photometry, bottleneck, **options
        Of `make_encoder`.

    Returns
    -------
    dict
        The same and, where there was none, the defaults.

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
    if kind not in _KINDS:
        raise ValueError(f"unknown kind of encoder {kind!r}: {advice(kind, _KINDS)}")
    parameters = inspect.signature(_KINDS[kind]).parameters.values()
    known = {item.name: item.default for item in parameters if item.kind is inspect.Parameter.KEYWORD_ONLY}
    for name in options:
        if name not in known:
            raise ValueError(f"unknown option {name!r} of the encoder {kind!r}: {advice(name, known)}")
    if not isinstance(bottleneck, int) or bottleneck < 0:
        raise ValueError(f"bottleneck must be a whole number of 0 or more, got {bottleneck!r}")
    chosen = {name: value for name, value in (known | options).items() if value is not None}
    return {"kind": kind, **chosen, "photometry": photometry, "bottleneck": bottleneck}


def make_encoder(kind, *, photometry=False, bottleneck=0, **options):
    """
    Make an encoder by name.

    Parameters
    ----------
    kind : {'resnet18', 'resnet34', 'resnet50'}
    photometry : bool, optional
        Whether it has photometry beside it (`PhotometricEncoder`).
    bottleneck : int, optional
        Through how many numbers the embedding must pass (`Bottleneck`); 0 for none.
    **options
        Of `~astro_photz.train.networks.resnet.ResNet`, but for its depth.

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
    >>> from astro_photz.train.networks.encoder import make_encoder
    >>> encoder = make_encoder("resnet18", width=16, stem="light").eval()
    >>> encoder(torch.zeros(3, 5, 64, 64), torch.zeros(3)).shape
    torch.Size([3, 128])
    """
    encoder_settings(kind, photometry=photometry, bottleneck=bottleneck, **options)  # an error, if there are no such
    encoder = _KINDS[kind](**options)
    encoder = PhotometricEncoder(encoder) if photometry else encoder
    return Bottleneck(encoder, bottleneck) if bottleneck else encoder
