# Licensed under a 3-clause BSD style license - see LICENSE
"""
ResNets for small images in five bands.

These are the networks of He et al. (2016, arXiv 1512.03385), with torchvision's names for every layer, so that weights
trained elsewhere can be read. Galaxies are small, so the image keeps its size in the first convolution, of stride 1,
and there is no pooling behind it, as in the reference method (Hayat et al. 2021, arXiv 2101.04293). A stem that halves
the image, ``stem="light"``, saves three quarters of the work, and one that pools as well, ``stem="pooled"``, saves most
of it: these are for training on processors.
"""

import torch
from torch import nn

from astro_photz.train.networks.scaling import PixelScaling

F = torch.nn.functional

__all__ = ["ResNet"]


class _Basic(nn.Module):
    """Two 3x3 convolutions beside a shortcut."""

    expansion = 1

    def __init__(self, channels_in, width, stride):
        super().__init__()
        self.conv1 = _conv3(channels_in, width, stride)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = _conv3(width, width)
        self.bn2 = nn.BatchNorm2d(width)
        self.downsample = _shortcut(channels_in, width, stride)

    def forward(self, x):
        y = F.relu(self.bn1(self.conv1(x)))
        y = self.bn2(self.conv2(y))
        return F.relu(y + self.downsample(x))


class _Bottleneck(nn.Module):
    """A 3x3 convolution, which bears the stride, between 1x1 ones into fewer channels and back."""

    expansion = 4

    def __init__(self, channels_in, width, stride):
        super().__init__()
        self.conv1 = nn.Conv2d(channels_in, width, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = _conv3(width, width, stride)
        self.bn2 = nn.BatchNorm2d(width)
        self.conv3 = nn.Conv2d(width, width * self.expansion, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(width * self.expansion)
        self.downsample = _shortcut(channels_in, width * self.expansion, stride)

    def forward(self, x):
        y = F.relu(self.bn1(self.conv1(x)))
        y = F.relu(self.bn2(self.conv2(y)))
        y = self.bn3(self.conv3(y))
        return F.relu(y + self.downsample(x))


def _conv3(channels_in, channels_out, stride=1):
    return nn.Conv2d(channels_in, channels_out, 3, stride=stride, padding=1, bias=False)


def _shortcut(channels_in, channels_out, stride):
    if stride == 1 and channels_in == channels_out:
        return nn.Identity()
    return nn.Sequential(
        nn.Conv2d(channels_in, channels_out, 1, stride=stride, bias=False), nn.BatchNorm2d(channels_out)
    )


DEPTHS = {18: (_Basic, (2, 2, 2, 2)), 34: (_Basic, (3, 4, 6, 3)), 50: (_Bottleneck, (3, 4, 6, 3))}
"""Block and number of blocks in each stage, by the number of layers."""

STEMS = {"published": (1, False), "light": (2, False), "pooled": (2, True)}
"""Stride of the first convolution, and whether a max-pool follows, by the name of the stem."""


class ResNet(nn.Module):
    """
    A ResNet that embeds fluxes, given E(B-V).

    Parameters
    ----------
    depth : {18, 34, 50}
        Number of layers.
    width : int, optional
        Channels of the first stage, doubled from stage to stage; 64 in the paper.
    scaling : {'asinh', 'linear', 'none'}, optional
        Of the pixels; see `~astro_photz.train.networks.scaling.PixelScaling`. The published weights belong to
        ``'none'``.
    stem : {'published', 'light', 'pooled'}, optional
        Whether the first convolution keeps the image's size, halves it, or halves it before a max-pool that does so
        again, as for ImageNet.
    n_bins : int, optional
        Redshift bins of a linear layer ``fc`` at the end, whose scores come instead of the embedding: so are published
        networks stored. Replaced by `torch.nn.Identity`, it leaves the encoder.

    Attributes
    ----------
    embedding_dim : int
        Length of the embedding: 8 ``width``, for depth 50 four times that.
    image_size : int
        Side of the images (pixels).

    Raises
    ------
    ValueError
        If depth, stem or scaling are not among those named, or the width is no whole number of 1 or more.

    Examples
    --------
    >>> import torch
    >>> from astro_photz.train.networks.resnet import ResNet
    >>> encoder = ResNet(18, width=16, stem="light").eval()
    >>> encoder(torch.zeros(3, 5, 64, 64), torch.zeros(3)).shape
    torch.Size([3, 128])
    """

    image_size = 64

    def __init__(self, depth, *, width=64, scaling="asinh", stem="published", n_bins=None):
        super().__init__()
        for name, value, known in (("depth", depth, DEPTHS), ("stem", stem, STEMS)):
            if value not in known:
                raise ValueError(f"{name} must be one of {', '.join(map(str, known))}, got {value!r}")
        if not isinstance(width, int) or width < 1:
            raise ValueError(f"width must be a whole number of 1 or more, got {width!r}")
        block, numbers = DEPTHS[depth]
        self.embedding_dim = 8 * width * block.expansion
        self.scaling = PixelScaling(scaling)
        stride, pooled = STEMS[stem]
        self.conv1 = nn.Conv2d(5, width, 7, stride=stride, padding=3, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.maxpool = nn.MaxPool2d(3, stride=2, padding=1) if pooled else nn.Identity()
        channels = width
        for stage, number in enumerate(numbers):
            wide, stride = width * 2**stage, 1 if stage == 0 else 2
            self.add_module(f"layer{stage + 1}", _stage(block, channels, wide, number, stride))
            channels = wide * block.expansion
        self.fc = nn.Linear(self.embedding_dim, n_bins) if n_bins else nn.Identity()
        self.apply(_initialise)

    def forward(self, flux, ebv):
        """
        Encode.

        Parameters
        ----------
        flux : `torch.Tensor` (B, 5, 64, 64)
            Nanomaggies, *ugriz*, not corrected for extinction; NaN where there is no image.
        ebv : `torch.Tensor` (B,)
            E(B-V) (mag).

        Returns
        -------
        `torch.Tensor` (B, embedding_dim), or (B, n_bins)
        """
        # Channels last: faster on a processor in bf16, and the convolutions keep to it.
        scaled = self.scaling(flux, ebv).contiguous(memory_format=torch.channels_last)
        x = self.maxpool(F.relu(self.bn1(self.conv1(scaled))))
        for stage in (self.layer1, self.layer2, self.layer3, self.layer4):
            x = stage(x)
        return self.fc(x.mean(dim=(2, 3)))


def _stage(block, channels_in, width, number, stride):
    first = block(channels_in, width, stride)
    return nn.Sequential(first, *(block(width * block.expansion, width, 1) for _ in range(number - 1)))


def _initialise(module):
    if isinstance(module, nn.Conv2d):
        nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
