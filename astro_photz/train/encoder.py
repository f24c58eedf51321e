# Licensed under a 3-clause BSD style license - see LICENSE
"""
From a galaxy's image to a vector that says what kind of galaxy it is, and how far away.

An encoder takes fluxes as they come from the survey, and E(B-V). Dereddening and pixel scaling are its first layers
(`astro_photz.train.pixels`), so whatever runs it, training or an exported graph, treats pixels alike. `make_encoder`
makes one by the name of its kind: a ResNet (`astro_photz.train.resnet`), or the `SymmetricEncoder` of this module. That
is a small ResNet whose layers are symmetric under turns and mirrors of the image (`astro_photz.train.symmetry`), and
beside it soft aperture photometry, the classical way to a redshift, so that the convolutions are free to look for what
lies beyond it. Neither depends on how the galaxy lies on the sky, so the embedding does not. A ResNet has photometry
beside it where it is wanted (`PhotometricEncoder`). Either may be followed by a `Bottleneck`.
"""

import inspect
from contextlib import nullcontext
from functools import partial

from astro_photz._advice import advice

from ._torch import torch
from .pixels import APERTURES, AperturePhotometry, PixelScaling, StandardPhotometry, asinh
from .resnet import DEPTHS, ResNet
from .symmetry import SymmetricConv, SymmetricPool

nn = torch.nn
F = torch.nn.functional

__all__ = ["Bottleneck", "PhotometricEncoder", "SymmetricEncoder", "make_encoder"]


class _Block(nn.Module):
    """Residual block of two convolutions; halves the image before them if ``halve``."""

    def __init__(self, fields_in, fields_out, *, halve):
        super().__init__()
        self.halve = halve
        self.first = SymmetricConv(fields_in, fields_out, 3)
        self.second = SymmetricConv(fields_out, fields_out, 3)
        self.shortcut = SymmetricConv(fields_in, fields_out, 1) if fields_in != fields_out else nn.Identity()

    def forward(self, x):
        if self.halve:
            # A stride would favour one corner of each square; the mean of four pixels does not.
            x = F.avg_pool2d(x, 2)
        return F.relu(self.second(F.relu(self.first(x))) + self.shortcut(x))


class SymmetricEncoder(nn.Module):
    """
    ResNet over D4: (flux, E(B-V)) in, embedding out.

    Parameters
    ----------
    fields : int, optional
        Fields of the first stage, of eight channels each; doubled from stage to stage.
    embedding_dim : int, optional
    blocks : sequence of int, optional
        Residual blocks in each stage; the image is halved before the first stage, by the first convolution, and before
        each other one.
    image_size : int, optional
        Side of the images (pixels), a multiple of 2 for each halving.
    half_precision : bool, optional
        Whether the convolutions are trained in bfloat16.
    shape_dropout : float, optional
        Share of the galaxies that are trained on their photometry alone, so that what is known of colours, which hold
        for any galaxy, is learnt whole before shapes, which are its own, refine it.

    Examples
    --------
    >>> import torch
    >>> from astro_photz.train.encoder import SymmetricEncoder
    >>> encoder = SymmetricEncoder(fields=2, embedding_dim=16).eval()
    >>> encoder(torch.zeros(3, 5, 64, 64), torch.zeros(3)).shape
    torch.Size([3, 16])
    """

    def __init__(
        self,
        *,
        fields=4,
        embedding_dim=128,
        blocks=(1, 1, 1, 1),
        image_size=64,
        half_precision=False,
        shape_dropout=0.0,
    ):
        super().__init__()
        if image_size % 2 ** len(blocks):
            raise ValueError(f"image_size must be a multiple of {2 ** len(blocks)}, got {image_size}")
        self.embedding_dim = embedding_dim
        self.image_size = image_size
        self.half_precision = half_precision
        self.shape_dropout = shape_dropout
        self.scaling = PixelScaling("linear")
        self.register_buffer("radius", _radius(image_size), persistent=False)
        self.stem = SymmetricConv(6, fields, 6, stride=2, lift=True)
        stages, width = [], fields
        for stage, number in enumerate(blocks):
            for block in range(number):
                wanted = fields * 2**stage
                stages.append(_Block(width, wanted, halve=stage > 0 and block == 0))
                width = wanted
        self.stages = nn.Sequential(*stages)
        self.project = SymmetricConv(width, embedding_dim, 1)
        self.pool = SymmetricPool()
        self.photometry = AperturePhotometry(image_size)
        measured = 5 * len(APERTURES)
        self.colours = nn.Sequential(
            nn.BatchNorm1d(measured),
            nn.Linear(measured, embedding_dim),
            nn.ReLU(),
            nn.Linear(embedding_dim, embedding_dim),
            nn.ReLU(),
        )
        self.join = nn.Sequential(nn.Linear(2 * embedding_dim, embedding_dim), nn.ReLU())

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
        scaled = self.scaling(flux, ebv)
        with _all_digits(flux, self.training):
            colours = self.colours(self.photometry(scaled))
        if self.training and self.half_precision:
            with torch.autocast(flux.device.type, torch.bfloat16):
                shape = self._convolve(scaled).float()
        else:
            shape = self._convolve(scaled)
        if self.training and self.shape_dropout > 0:
            shape = shape * (torch.rand(len(shape), 1, device=shape.device) >= self.shape_dropout)
        return self.join(torch.cat([shape, colours], dim=1))

    def _convolve(self, scaled):
        # The distance from the centre tells the galaxy in question from its neighbours.
        x = torch.cat([asinh(scaled), self.radius.expand(scaled.shape[0], -1, -1, -1)], dim=1)
        x = self.stages(F.relu(self.stem(x))).mean(dim=(2, 3), keepdim=True)
        return self.pool(F.relu(self.project(x))).flatten(1)


def _radius(size):
    """Distance of each pixel from the centre (1, size, size), from 0 to about 1.4."""
    axis = (torch.arange(size) - (size - 1) / 2) / (size / 2)
    return torch.hypot(axis[:, None], axis[None, :])[None]


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
    >>> from astro_photz.train.encoder import PhotometricEncoder, make_encoder
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
        with _all_digits(flux, self.training):
            measured, known = self.photometry(self.linear(flux, ebv), ~torch.isnan(flux))
            # What is not known is taken to be as usual; what lies far out is no colour of a galaxy, but a band without
            # one.
            measured = torch.where(known, measured.clamp(-_FAR_OUT, _FAR_OUT), 0.0)
            return self.join(torch.cat([shape.float(), measured], dim=1))


class Bottleneck(nn.Module):
    """
    An encoder whose embedding knows of a galaxy only what a few numbers hold.

    Pretraining can have these numbers be the galaxy's photometry, by what they are compared with
    (`~astro_photz.train.contrastive.ContrastiveModel`); then a redshift is a function of a handful of numbers that mean
    something, which a few hundred labels tell, while the whole of the features would be learnt by heart. Fine-tuned as
    a whole, they become whatever serves the redshift.

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
    >>> from astro_photz.train.encoder import make_encoder
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
        with _all_digits(flux, self.training):
            return self.expand(self.describe(features.float()))


def _all_digits(flux, training):
    """Photometry needs all digits, whatever precision the training has."""
    return torch.autocast(flux.device.type, enabled=False) if training else nullcontext()


_KINDS = {"symmetric": SymmetricEncoder} | {f"resnet{depth}": partial(ResNet, depth) for depth in DEPTHS}


def make_encoder(kind, *, photometry=False, bottleneck=0, **options):
    """
    Make an encoder by name.

    Parameters
    ----------
    kind : {'symmetric', 'resnet18', 'resnet34', 'resnet50'}
    photometry : bool, optional
        Whether a ResNet has photometry beside it (`PhotometricEncoder`); ``'symmetric'`` always has its own.
    bottleneck : int, optional
        Through how many numbers the embedding must pass (`Bottleneck`); 0 for none.
    **options
        Of `SymmetricEncoder`, or of `~astro_photz.train.resnet.ResNet` but for its depth.

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
    >>> from astro_photz.train.encoder import make_encoder
    >>> encoder = make_encoder("resnet18", width=16, stem="light").eval()
    >>> encoder(torch.zeros(3, 5, 64, 64), torch.zeros(3)).shape
    torch.Size([3, 128])
    """
    if kind not in _KINDS:
        raise ValueError(f"unknown kind of encoder {kind!r}: {advice(kind, _KINDS)}")
    known = inspect.signature(_KINDS[kind]).parameters
    for name in options:
        if name not in known or known[name].kind is not inspect.Parameter.KEYWORD_ONLY:
            raise ValueError(f"unknown option {name!r} of the encoder {kind!r}: {advice(name, known)}")
    if not isinstance(bottleneck, int) or bottleneck < 0:
        raise ValueError(f"bottleneck must be a whole number of 0 or more, got {bottleneck!r}")
    encoder = _KINDS[kind](**options)
    encoder = PhotometricEncoder(encoder) if photometry else encoder
    return Bottleneck(encoder, bottleneck) if bottleneck else encoder
