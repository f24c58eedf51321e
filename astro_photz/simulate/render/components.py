# Licensed under a 3-clause BSD style license - see LICENSE
"""
Components of light, as the renderer takes them: each has a place in one of many scenes, a profile, and fluxes.

A star is one component; a galaxy is several, such as bulge, disc and clumps.
"""

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import torch

from .profiles import PROFILES

__all__ = ["Components", "add_by_scene", "by_scene", "quadratic_form"]


@dataclass
class Components:
    """
    Components of light, each in one of many scenes.

    Parameters
    ----------
    scene : `~numpy.ndarray` (M,) of int
        Which scene it is in, in increasing order.
    profile : `~numpy.ndarray` (M,) of int
        Index into `~astro_photz.simulate.render.profiles.PROFILES`.
    x, y : `~numpy.ndarray` (M,)
        Column and row of the centre (pixels of the drawn image, 0 the centre of the first).
    flux : `~numpy.ndarray` (M, 5)
        In *ugriz*.
    radius : `~numpy.ndarray` (M,)
        Half-light radius along the major axis (pixels); without meaning for points.
    axis_ratio : `~numpy.ndarray` (M,)
    angle : `~numpy.ndarray` (M,)
        Of the major axis from the columns' direction (radians).
    sersic_index : `~numpy.ndarray` (M,), optional
        n of the components whose profile is 'sersic', without meaning for others; NaN if it is not given.
    """

    scene: np.ndarray
    profile: np.ndarray
    x: np.ndarray
    y: np.ndarray
    flux: np.ndarray
    radius: np.ndarray
    axis_ratio: np.ndarray
    angle: np.ndarray
    sersic_index: np.ndarray | None = None

    def __post_init__(self):
        if self.sersic_index is None:
            self.sersic_index = np.full(len(self.scene), np.nan)

    def __len__(self):
        return len(self.scene)

    def __getitem__(self, rows):
        return Components(**{name: value[rows] for name, value in vars(self).items()})

    @classmethod
    def round(cls, profile, *, scene, x, y, flux, radius):
        """
        Round components of one profile.

        Parameters
        ----------
        profile : str
            One of `~astro_photz.simulate.render.profiles.PROFILES`.
        scene, x, y, flux, radius : `~numpy.ndarray`
            As above.

        Returns
        -------
        `Components` (M,)
        """
        n = len(scene)
        profile = np.full(n, PROFILES.index(profile))
        axis_ratio, angle = np.ones(n), np.zeros(n)
        return cls(scene, profile, x, y, flux, radius, axis_ratio, angle)

    def have_profile(self, name):
        """
        Mask of the components with a profile.

        Parameters
        ----------
        name : str
            One of `~astro_photz.simulate.render.profiles.PROFILES`.

        Returns
        -------
        `~numpy.ndarray` (M,) of bool
        """
        return self.profile == PROFILES.index(name)

    @classmethod
    def concatenate(cls, parts):
        """
        Join several sets of components, sorted by scene.

        Parameters
        ----------
        parts : sequence of `Components`

        Returns
        -------
        `Components`
        """
        together = cls(**{name: np.concatenate([vars(part)[name] for part in parts]) for name in vars(parts[0])})
        return together[np.argsort(together.scene, kind="stable")]


def by_scene(components):
    """
    Sort components by scene.

    Parameters
    ----------
    components : `Components` (M,)

    Returns
    -------
    list of (int, slice)
        Number of a scene and the slice of its components, for each scene that has some.
    """
    scene, first = np.unique(components.scene, return_index=True)
    return [(number, slice(*rows)) for number, rows in zip(scene, pairwise([*first, len(components)]), strict=True)]


def add_by_scene(total, components, pattern):
    """
    Add to each scene the patterns of its components, times their fluxes.

    Parameters
    ----------
    total : `torch.Tensor` (N, 5, P)
        Changed in place.
    components : `Components` (M,)
    pattern : `torch.Tensor` (M, P)
    """
    flux = torch.as_tensor(components.flux.T, dtype=total.dtype, device=total.device)
    for scene, members in by_scene(components):
        total[scene].addmm_(flux[:, members], pattern[members])


def quadratic_form(angle, scale, ratio):
    """
    Squared length of a vector (x, y) scaled by ``scale`` along a direction and by ``ratio`` of that across it.

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
