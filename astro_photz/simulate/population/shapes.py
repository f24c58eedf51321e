# Licensed under a 3-clause BSD style license - see LICENSE
"""
The type that carries shapes of galaxies, whatever family they are drawn from.

A galaxy is a few truths and any number of components of light about its place.
"""

from dataclasses import dataclass, replace

import numpy as np

from astro_photz.simulate.render.components import Components

__all__ = ["Shapes"]


@dataclass(frozen=True)
class Shapes:
    """
    Shapes of galaxies.

    Attributes
    ----------
    early : `~numpy.ndarray` (N,) of bool
    bulge_fraction : `~numpy.ndarray` (N,)
        Share of the bulge in the *r* band; NaN for a galaxy that is not divided into a bulge and the rest.
    radius : `~numpy.ndarray` (N,)
        Half-light radius of the whole in the *r* band (arcsec).
    inclination : `~numpy.ndarray` (N,)
        Of the discs of late types (deg, 0 is face-on); NaN for early types.
    sersic_index : `~numpy.ndarray` (N,)
        n of the main body in the *r* band; NaN for galaxies of bulge and disc.
    components : `~astro_photz.simulate.render.components.Components` (M,)
        With the galaxy's row as the ``scene``, places relative to the galaxy's (pixels), and fluxes in the unit of the
        population's. A galaxy has two at least: bulge and disc, or the main body, come first.
    """

    early: np.ndarray
    bulge_fraction: np.ndarray
    radius: np.ndarray
    inclination: np.ndarray
    sersic_index: np.ndarray
    components: Components

    def __len__(self):
        return len(self.early)

    def __getitem__(self, rows):
        """Select galaxies, which are numbered anew; one may be there several times."""
        rows = np.arange(len(self))[rows]
        first, last = (np.searchsorted(self.components.scene, rows, side=side) for side in ("left", "right"))
        components = self.components[np.concatenate([np.arange(0), *map(np.arange, first, last)])]
        components.scene = np.repeat(np.arange(len(rows)), last - first)
        truths = {name: value[rows] for name, value in vars(self).items() if name != "components"}
        return Shapes(**truths, components=components)

    @property
    def first(self):
        """Row of each galaxy's first component `~numpy.ndarray` (N,) of int."""
        return np.searchsorted(self.components.scene, np.arange(len(self)))

    def dimmed(self, factor):
        """
        The same shapes in another light.

        Parameters
        ----------
        factor : `~numpy.ndarray` (N, 5)
            By which the fluxes are multiplied.

        Returns
        -------
        `Shapes` (N,)
        """
        light = self.components
        return replace(self, components=replace(light, flux=light.flux * factor[light.scene]))

    @classmethod
    def join(cls, parts, rows):
        """
        Join shapes of several sets of galaxies.

        Parameters
        ----------
        parts : sequence of `Shapes`
        rows : sequence of `~numpy.ndarray` of int
            Of the galaxies of each part in the whole, in increasing order.

        Returns
        -------
        `Shapes`
        """
        order = np.argsort(np.concatenate(rows))
        truths = {
            name: np.concatenate([vars(part)[name] for part in parts])[order]
            for name in vars(parts[0])
            if name != "components"
        }
        moved = [
            replace(part.components, scene=own[part.components.scene]) for part, own in zip(parts, rows, strict=True)
        ]
        return cls(**truths, components=Components.concatenate(moved))
