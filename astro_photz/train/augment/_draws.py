# Licensed under a 3-clause BSD style license - see LICENSE
"""
Random numbers and option checks that all augmentations share.
"""

import math

import torch

__all__ = ["checked", "uniform"]


def uniform(flux, low=0.0, high=1.0):
    """Draw a number for each stamp."""
    return low + (high - low) * torch.rand(len(flux), device=flux.device)


def checked(name, value, *, least=0, most=math.inf, kind=(int, float)):
    """Return the value of an option; refuse one that is no finite number within the limits."""
    if isinstance(value, bool) or not isinstance(value, kind) or not least <= value <= most or math.isinf(value):
        number = "a whole number" if kind is int else "a number"
        limits = f"of {least:g} or more" if most == math.inf else f"from {least:g} to {most:g}"
        raise ValueError(f"{name} must be {number} {limits}, got {value!r}")
    return value
