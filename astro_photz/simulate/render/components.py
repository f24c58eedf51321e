# Licensed under a 3-clause BSD style license - see LICENSE
"""
Sources of light, as the renderer takes them: each has a place in one of many scenes, a profile, and fluxes.
"""

from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from astro_photz.simulate._torch import torch

__all__ = [
    "DEVAUCOULEURS",
    "EXPONENTIAL",
    "PROFILES",
    "SERSIC",
    "Sources",
    "add_by_scene",
    "by_scene",
    "quadratic_form",
]

PROFILES = ("point", "exponential", "devaucouleurs", "gaussian")
"""Names of the profiles; a source's ``profile`` is its place here."""

EXPONENTIAL = 1.67834699
DEVAUCOULEURS = 7.66924944
"""b_n of the Sersic profiles exp(-b_n (r / R_50)^(1/n)), n = 1 and 4, that makes R_50 the half-light radius."""

SERSIC = {"gaussian": (0.5, np.log(2)), "exponential": (1, EXPONENTIAL), "devaucouleurs": (4, DEVAUCOULEURS)}
"""n and b_n of the extended profiles."""


@dataclass
class Sources:
    """
    Things that shine, each in one of many scenes.

    Parameters
    ----------
    scene : `~numpy.ndarray` (M,) of int
        Which scene it is in, in increasing order.
    profile : `~numpy.ndarray` (M,) of int
        Index into `PROFILES`.
    x, y : `~numpy.ndarray` (M,)
        Column and row of the centre (pixels of the drawn image, 0 the centre of the first).
    flux : `~numpy.ndarray` (M, 5)
        In *ugriz*.
    radius : `~numpy.ndarray` (M,)
        Half-light radius along the major axis (pixels); without meaning for points.
    axis_ratio : `~numpy.ndarray` (M,)
    angle : `~numpy.ndarray` (M,)
        Of the major axis from the columns' direction (radians).
    """

    scene: np.ndarray
    profile: np.ndarray
    x: np.ndarray
    y: np.ndarray
    flux: np.ndarray
    radius: np.ndarray
    axis_ratio: np.ndarray
    angle: np.ndarray

    def __len__(self):
        return len(self.scene)

    def __getitem__(self, rows):
        return Sources(**{name: value[rows] for name, value in vars(self).items()})

    @classmethod
    def concatenate(cls, parts):
        """
        Put several sets of sources together, sorted by scene.

        Parameters
        ----------
        parts : sequence of `Sources`

        Returns
        -------
        `Sources`
        """
        together = cls(**{name: np.concatenate([vars(part)[name] for part in parts]) for name in vars(parts[0])})
        return together[np.argsort(together.scene, kind="stable")]


def by_scene(sources):
    """
    Sort sources by scene.

    Parameters
    ----------
    sources : `Sources` (M,)

    Returns
    -------
    list of (int, slice)
        Number of a scene and the slice of its sources, for each scene that has some.
    """
    scene, first = np.unique(sources.scene, return_index=True)
    return [(number, slice(*rows)) for number, rows in zip(scene, pairwise([*first, len(sources)]), strict=True)]


def add_by_scene(total, sources, pattern):
    """
    Add to each scene the patterns of its sources, times their fluxes.

    Parameters
    ----------
    total : `torch.Tensor` (N, 5, P)
        Changed in place.
    sources : `Sources` (M,)
    pattern : `torch.Tensor` (M, P)
    """
    flux = torch.as_tensor(sources.flux.T, dtype=total.dtype, device=total.device)
    for scene, members in by_scene(sources):
        total[scene].addmm_(flux[:, members], pattern[members])


def quadratic_form(angle, scale, ratio):
    """
    Squared length of a vector (x, y) that is scaled by ``scale`` along a direction and by ``ratio`` of that across it.

    Parameters
    ----------
    angle : `~numpy.ndarray` (M,)
        Of the direction, from the columns' (radians).
    scale, ratio : `~numpy.ndarray` (M,)

    Returns
    -------
    tuple of `~numpy.ndarray` (M,)
        Coefficients of x^2, y^2 and xy.
    """
    cosine, sine = np.cos(angle), np.sin(angle)
    along, across = scale**2, (scale * ratio) ** 2
    xx, yy = along * cosine**2 + across * sine**2, along * sine**2 + across * cosine**2
    return xx, yy, 2 * (along - across) * cosine * sine
