# Licensed under a 3-clause BSD style license - see LICENSE
"""What is known of the shapes of simulated galaxies: bars, rings, arms, and how they are inclined."""

import numpy as np

from astro_photz.simulate.render.sersic import nearest_index

__all__ = ["TRAITS", "features_of", "traits_of"]

TRAITS = ("bar", "ring", "arms", "edge-on", "inclination")
_GAUSSIANS_OF_ARMS, _GAUSSIANS_OF_RING, _BAR_INDEX = 44, 22, 0.65  # of the second family of shapes
_EDGE_ON = 75  # degrees
_BRIGHT_NEIGHBOURS = 0.5  # their light in r over that of the galaxy


def features_of(shape, truth):
    """Features of galaxies by name: masks (N,), and the mask of those that could have one."""
    parts = shape.components
    second = np.isfinite(shape.sersic_index)
    round_ones = np.bincount(parts.scene, np.isnan(parts.sersic_index), minlength=len(shape))
    arms = second & (round_ones >= _GAUSSIANS_OF_ARMS)
    ring = second & (round_ones - _GAUSSIANS_OF_ARMS * arms >= _GAUSSIANS_OF_RING)
    later = np.arange(len(parts.scene)) - shape.first[parts.scene] >= 2  # the body comes first
    of_bar = later & (parts.sersic_index == nearest_index(np.array(_BAR_INDEX)))
    bar = second & (np.bincount(parts.scene, of_bar, minlength=len(shape)) > 0)
    flux = truth["catalog_flux"][:, 2]
    close = np.asarray(truth["neighbour_flux"][:, 2] / flux) > _BRIGHT_NEIGHBOURS
    every = np.ones(len(shape), dtype=bool)
    edge_on = np.nan_to_num(shape.inclination) > _EDGE_ON
    return {
        "bar": (bar, second),
        "ring": (ring, second),
        "arms": (arms, second),
        "edge-on": (edge_on, every),
        "bright neighbour": (close, every),
    }


def traits_of(shape, truth):
    """Numbers (N, T) of `TRAITS`: 1 or 0 for features, degrees; NaN where a galaxy cannot have one."""
    features = features_of(shape, truth)
    told = {name: np.where(could, has, np.nan) for name, (has, could) in features.items()}
    told["inclination"] = np.asarray(truth["inclination"], dtype=float)
    return np.stack([told[name] for name in TRAITS], axis=1)
