# Licensed under a 3-clause BSD style license - see LICENSE
"""
Layers that do not care how a galaxy lies on the sky.

The eight ways to turn a square by quarter turns and to mirror it form the group D4. A feature map here holds, for each
*field*, eight channels, one for each way; a convolution learns one kernel a field and applies it in the eight
orientations, each time with the input's eight channels in the order that belongs to it (Cohen & Welling 2016,
arXiv 1602.07576). Turning the image then turns the maps and exchanges the eight channels, nothing else; the mean over
pixels and orientations does not change at all.

In exported graphs these are plain convolutions: kernel, orientation and normalisation are folded into one weight.
"""

import itertools

from ._torch import torch

nn = torch.nn
F = torch.nn.functional

__all__ = ["ORIENTATIONS", "SymmetricConv", "SymmetricPool", "turned"]

ORIENTATIONS = tuple(itertools.product((False, True), range(4)))
"""The elements of D4: mirrored or not, then turned by so many quarter turns."""


def turned(images, orientation):
    """
    Mirror and turn images.

    Parameters
    ----------
    images : `torch.Tensor` (..., S, S)
    orientation : (bool, int)
        One of `ORIENTATIONS`.

    Returns
    -------
    `torch.Tensor` (..., S, S)
    """
    mirrored, quarters = orientation
    return torch.rot90(images.flip(-1) if mirrored else images, quarters, dims=(-2, -1))


def _product(first, second):
    """The element that ``second``, then ``first``, amounts to: a mirror reverses the turns that come before it."""
    sign = -1 if first[0] else 1
    return first[0] != second[0], (first[1] + sign * second[1]) % 4


def _orders():
    """For each orientation h, where the input's channel g comes from: h^-1 g, (8, 8)."""
    inverse = {h: g for h in ORIENTATIONS for g in ORIENTATIONS if _product(h, g) == (False, 0)}
    return [[ORIENTATIONS.index(_product(inverse[h], g)) for g in ORIENTATIONS] for h in ORIENTATIONS]


class SymmetricConv(nn.Module):
    """
    Convolution over D4, and batch normalisation with statistics shared by the eight orientations.

    Parameters
    ----------
    fields_in : int
        Fields of the input, or channels of an image.
    fields_out : int
    kernel_size : int
        Odd with stride 1. With stride 2 an even one, over an image of even size: only then do the windows lie
        symmetrically on it.
    stride : {1, 2}, optional
    lift : bool, optional
        Whether the input is an image, with one channel a field, and not a map with eight.
    """

    def __init__(self, fields_in, fields_out, kernel_size, *, stride=1, lift=False):
        super().__init__()
        if kernel_size % 2 != stride % 2:
            raise ValueError(
                f"kernel_size must be odd with stride 1 and even with stride 2, got {kernel_size} with {stride}"
            )
        self.stride = stride
        channels = 1 if lift else 8
        self.weight = nn.Parameter(torch.empty(fields_out, fields_in, channels, kernel_size, kernel_size))
        self.norm = nn.BatchNorm2d(fields_out)
        self.lift = lift
        fan_in = fields_in * channels * kernel_size**2
        nn.init.normal_(self.weight, std=(2 / fan_in) ** 0.5)

    def expanded_weight(self, weight):
        """
        The kernel in its eight orientations.

        Parameters
        ----------
        weight : `torch.Tensor` (fields_out, fields_in, 1 or 8, k, k)

        Returns
        -------
        `torch.Tensor` (8 fields_out, fields_in or 8 fields_in, k, k)
        """
        oriented = [
            turned(weight if self.lift else weight[:, :, order], orientation)
            for orientation, order in zip(ORIENTATIONS, _orders(), strict=True)
        ]
        return torch.stack(oriented, dim=1).flatten(2, 3).flatten(0, 1)

    def forward(self, x):
        """
        Convolve and normalise.

        Parameters
        ----------
        x : `torch.Tensor` (B, fields_in or 8 fields_in, S, S)

        Returns
        -------
        `torch.Tensor` (B, 8 fields_out, S / stride, S / stride)
        """
        padding = (self.weight.shape[-1] - 1) // 2
        if self.training:
            y = F.conv2d(x, self.expanded_weight(self.weight), stride=self.stride, padding=padding)
            together = y.reshape(len(y), -1, 8 * y.shape[-2], y.shape[-1])
            return self.norm(together).reshape(y.shape)
        scale = self.norm.weight * torch.rsqrt(self.norm.running_var + self.norm.eps)
        bias = self.norm.bias - self.norm.running_mean * scale
        weight = self.weight * scale[:, None, None, None, None]
        bias = bias.repeat_interleave(8, dim=0)
        return F.conv2d(x, self.expanded_weight(weight), bias, stride=self.stride, padding=padding)


class SymmetricPool(nn.Module):
    """Mean over the eight orientations of each field: (B, 8 fields, ...) in, (B, fields, ...) out."""

    def forward(self, x):
        """
        Average.

        Parameters
        ----------
        x : `torch.Tensor` (B, 8 fields, ...)

        Returns
        -------
        `torch.Tensor` (B, fields, ...)
        """
        return x.unflatten(1, (-1, 8)).mean(dim=2)
