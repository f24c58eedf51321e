# Licensed under a 3-clause BSD style license - see LICENSE
"""
Augmentations: random changes of an image that leave its redshift alone.

Each is a module of torch that works on a batch. `make_augmentation` chains them, as a recipe sets them.
"""

from .chain import make_augmentation
from .geometry import JitterCrop, RotateFlip, SizeScaling
from .light import Blur, MissingPixels, Noise, Normalisation, Reddening

__all__ = [
    "Blur",
    "JitterCrop",
    "MissingPixels",
    "Noise",
    "Normalisation",
    "Reddening",
    "RotateFlip",
    "SizeScaling",
    "make_augmentation",
]
