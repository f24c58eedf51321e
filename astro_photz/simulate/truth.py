# Licensed under a 3-clause BSD style license - see LICENSE
"""
The truth about simulated galaxies: a table of it, and its data sets in files.
"""

import numpy as np
from astropy import units as u
from astropy.table import QTable

__all__ = ["count_neighbours", "truth_columns", "truth_table"]

_SAME_NAMES = (
    "catalog_flux",
    "catalog_radius",
    "early",
    "bulge_fraction",
    "half_light_radius",
    "inclination",
    "sersic_index",
    "neighbours",
    "neighbour_flux",
    "seed_index",
)
_TYPES = {"early": bool, "neighbours": np.int32, "seed_index": np.int32}  # others are float32


def truth_table(population, shape):
    """
    Tabulate the truth about galaxies.

    Parameters
    ----------
    population : `~astro_photz.simulate.population.draw.Population` (N,)
    shape : `~astro_photz.simulate.population.shapes.Shapes` (N,)

    Returns
    -------
    `~astropy.table.QTable` (N,)
    """
    return QTable(
        {
            "redshift": population.redshift,
            "flux": population.flux * u.nmgy,
            "early": shape.early,
            "bulge_fraction": shape.bulge_fraction,
            "half_light_radius": shape.radius * u.arcsec,
            "inclination": shape.inclination * u.deg,
            "sersic_index": shape.sersic_index,
            "seed_index": population.progenitor,
        }
    )


def count_neighbours(neighbours, size, n):
    """
    Count the neighbours whose centres lie in a stamp, and add up their light.

    Parameters
    ----------
    neighbours : `~astro_photz.simulate.render.components.Components` (M,)
    size : int
        Side of the stamps (pixels).
    n : int
        Number of stamps.

    Returns
    -------
    number : `~numpy.ndarray` (n,) of int
    flux : `~astropy.units.Quantity` (n, 5)
    """
    place = np.stack([neighbours.x, neighbours.y]) - (size - 1) / 2
    inside = neighbours[(np.abs(place) < size / 2).all(axis=0)]
    flux = np.zeros((n, 5))
    np.add.at(flux, inside.scene, inside.flux)
    return np.bincount(inside.scene, minlength=n), flux * u.nmgy


def truth_columns(truth):
    """
    Convert a table of the truth to data sets of the HDF5 layout.

    Parameters
    ----------
    truth : `~astropy.table.QTable` (n,)

    Returns
    -------
    dict of `~numpy.ndarray`
    """
    columns = {"specz_redshift": truth["redshift"], "true_flux": truth["flux"]}
    columns |= {name: truth[name] for name in _SAME_NAMES}
    return {
        name: np.asarray(getattr(column, "value", column), dtype=_TYPES.get(name, np.float32))
        for name, column in columns.items()
    }
