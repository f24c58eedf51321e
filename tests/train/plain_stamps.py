# Licensed under a 3-clause BSD style license - see LICENSE
"""Stamps of a galaxy or of the sky alone, for the tests of augmentations."""

import torch

SKY_RMS = torch.tensor([0.035, 0.014, 0.024, 0.04, 0.14])


def radius(size):
    axis = torch.arange(size) - (size - 1) / 2
    return torch.hypot(axis[:, None], axis)


def galaxies(n=4, *, size=107, scale=3.0, peak=1.0):
    """Round, without noise, as bright in all bands."""
    return (peak * torch.exp(-radius(size) / scale)).expand(n, 5, size, size).clone()


def noise(n=64, *, size=64, rms=SKY_RMS):
    return rms[:, None, None] * torch.randn(n, 5, size, size)
