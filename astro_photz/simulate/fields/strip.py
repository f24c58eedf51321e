# Licensed under a 3-clause BSD style license - see LICENSE
"""
Strips of a drift scan: the objects in 64 rows of it, and their light.

Every strip has a random generator of its own, so that fields share their objects where they overlap. Compact objects
are drawn together in stamps that tile the strip, extended ones each in a stamp of its own; stamps are added up at the
places that the world coordinate system of each band gives. Light of a galaxy farther out than 76 arcsec is not drawn.
"""

from contextlib import suppress
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from astropy import units as u
from astropy.nddata import NoOverlapError, add_array
from astropy.table import QTable, vstack
from scipy.optimize import linear_sum_assignment

from astro_photz.photometry import r_magnitude
from astro_photz.sdss import BANDS, FRAME_SHAPE, PIXEL_SCALE, R_UGRIZ
from astro_photz.simulate.population.draw import draw_population
from astro_photz.simulate.render.components import Components
from astro_photz.simulate.render.fourier import render
from astro_photz.simulate.scene.neighbours import draw_neighbours
from astro_photz.simulate.scene.targets import draw_targets

__all__ = ["ROWS", "WIDE_STAMP", "Strip", "draw_strip", "sample_objects"]

ROWS = 64
"""Rows of a strip; it is drawn in tiles as wide, 32 to a frame."""

WIDE_STAMP = 384
"""Side of the stamp (pixels) of an extended galaxy."""

_TILE_STAMP = 128  # pixels: side of the stamp of a tile's compact objects
_COMPACT = 6.0  # half-light radius (pixels) up to which a faint galaxy's light stays within 32 pixels of its tile
_CANDIDATES = 1000  # galaxies of the sample to choose from in a strip: some of any magnitude
_ALIKE = 0.5  # mag in r, to which one of them must be as bright as the galaxy whose place it takes


@dataclass
class Strip:
    """
    Objects in 64 rows of a scan, and their components of light.

    Parameters
    ----------
    number : int
        Of the strip; the first field begins with strip 0.
    objects : `~astropy.table.QTable` (N,)
        Their ``x`` and ``y`` are columns and rows of the scan (pixels).
    components : `~astro_photz.simulate.render.components.Components` (M,)
        With the object's row as the ``scene``.
    """

    number: int
    objects: QTable
    components: Components

    def add_to(self, images, maps, first_row, conditions):
        """
        Add the light to the images of a field.

        Parameters
        ----------
        images : `~numpy.ndarray` (5, rows, columns)
            Changed in place.
        maps : list of callable
            From places on the *r* frame (N, 2) to those on the frame of each band.
        first_row : int
            First row of the field.
        conditions : `~astro_photz.simulate.camera.conditions.Conditions` (1,)
        """
        for components, centre, size in (self._in_tiles, self._on_their_own):
            corner = np.floor(centre).astype(int) - size // 2 + 1
            x, y = components.x - corner[components.scene, 0], components.y - corner[components.scene, 1]
            native = centre - [0, first_row]
            moved = np.stack([transform(native) - native for transform in maps], axis=1)  # (N, 5, 2)
            whole = np.rint(moved).astype(int)
            transfer = conditions[np.zeros(len(centre), dtype=int)].transfer
            stamps = render(replace(components, x=x, y=y), transfer, size=size, shift=moved - whole).numpy()
            places = (corner - [0, first_row])[:, None] + whole
            for in_bands in zip(stamps, places, strict=True):
                for image, stamp, place in zip(images, *in_bands, strict=True):
                    _add(image, stamp, *place)

    @property
    def _is_wide(self):
        """Mask of the objects that shine farther than their tile's stamp (N,)."""
        wide = self.objects["redshift"] > 0
        wide[self.components.scene[self.components.radius > _COMPACT]] = True
        return wide

    @cached_property
    def _in_tiles(self):
        """Components of the other objects by tile, the tiles' middles (N, 2), and the size of their stamps."""
        number = np.arange(-1, FRAME_SHAPE[1] // ROWS + 1)
        centre = np.stack([ROWS * (number + 0.5), np.full(len(number), ROWS * (self.number + 0.5))], axis=1) - 0.5
        components = self.components[~self._is_wide[self.components.scene]]
        tile = np.floor((self.objects["x"][components.scene] + 0.5) / ROWS).astype(int) + 1
        components = replace(components, scene=tile)
        return components[np.argsort(tile, kind="stable")], centre, _TILE_STAMP

    @cached_property
    def _on_their_own(self):
        """Components of the wide objects by object, the objects' places (N, 2), and the size of their stamps."""
        objects = np.flatnonzero(self._is_wide)
        components = self.components[self._is_wide[self.components.scene]]
        centre = np.stack([self.objects["x"], self.objects["y"]], axis=1)[objects]
        return replace(components, scene=np.searchsorted(objects, components.scene)), centre, WIDE_STAMP


def draw_strip(number, rng, simulation, ebv):
    """
    Draw the objects in a strip.

    Parameters
    ----------
    number : int
        Of the strip.
    rng : `~numpy.random.Generator`
    simulation : `~astro_photz.simulate.simulation.Simulation`
        With the split and the settings.
    ebv : float
        E(B-V) (mag) in front of them.

    Returns
    -------
    `Strip`
    """
    others = _draw_others(number, rng, simulation, ebv)
    # A galaxy as bright as the sample's gives its place to one of those, with a redshift, a bulge and a disc.
    extended = ~others.have_profile("point")
    r = r_magnitude(others.flux[:, 2], ebv)
    sample = simulation.settings.sample
    replaced = extended & (r >= sample.brightest) & (r < sample.faintest)
    if replaced.any():
        population, found = _draw_as_bright(r[replaced], rng, simulation, ebv)
        replaced[replaced] = found
    rest = others[~replaced]
    rest.scene = np.arange(len(rest))
    objects = _plain_objects(rest, extended[~replaced])
    if replaced.any():
        places = np.stack([others.x, others.y], axis=1)[replaced]
        targets, truth = draw_targets(population, rng, places, **simulation.settings.shapes)
        targets.scene = targets.scene + len(rest)
        objects = vstack([objects, sample_objects(places, truth, ebv)])
        rest = Components.concatenate([rest, targets])
    return Strip(number, objects, rest)


def _draw_others(number, rng, simulation, ebv):
    """Draw galaxies and stars at the density of the sky; a tile to each side of the frame shines in."""
    tiles = FRAME_SHAPE[1] // ROWS + 2
    settings = simulation.settings
    others = draw_neighbours(
        np.full(tiles, ebv), rng, size=ROWS, split=simulation.split, shapes=settings.shapes, **settings.neighbours
    )
    inside = np.abs(others.x - (ROWS - 1) / 2) < ROWS / 2
    inside &= np.abs(others.y - (ROWS - 1) / 2) < ROWS / 2
    others = others[inside]
    others.x, others.y = others.x + ROWS * (others.scene - 1), others.y + ROWS * number
    return others


def _draw_as_bright(r, rng, simulation, ebv):
    """Draw galaxies of the sample as bright as given magnitudes (N,); say for which there is one."""
    sample = simulation.settings.sample
    candidates = draw_population(len(r) + _CANDIDATES, rng, split=simulation.split, sample=sample)
    apart = np.minimum(np.abs(np.subtract.outer(r, r_magnitude(candidates.flux[:, 2]))), _ALIKE)
    row, candidate = linear_sum_assignment(apart)
    found = apart[row, candidate] < _ALIKE
    population = candidates[candidate[found]]
    return replace(population, ebv=np.full(len(population), ebv)), found


def sample_objects(places, truth, ebv):
    """
    Tabulate galaxies of the sample.

    Parameters
    ----------
    places : `~numpy.ndarray` (N, 2)
        Column and row of each (pixels).
    truth : `~astropy.table.QTable` (N,)
        Of `~astro_photz.simulate.scene.targets.draw_targets`.
    ebv : float
        E(B-V) (mag) in front of them.

    Returns
    -------
    `~astropy.table.QTable` (N,)
    """
    observed = truth["flux"] * 10 ** (-0.4 * R_UGRIZ * ebv)
    names = ("redshift", "bulge_fraction", "half_light_radius", "inclination", "sersic_index", "seed_index")
    kind = np.full(len(truth), "galaxy")
    return _objects(*places.T, kind, observed.value, **{name: truth[name] for name in names})


def _plain_objects(components, extended):
    """Tabulate objects of one component each, without a redshift or a shape."""
    n = len(components)
    unknown = np.full(n, np.nan)
    return _objects(
        components.x,
        components.y,
        np.where(extended, "galaxy", "star"),
        components.flux,
        redshift=unknown,
        bulge_fraction=unknown,
        half_light_radius=np.where(extended, components.radius * np.sqrt(components.axis_ratio) * PIXEL_SCALE, 0)
        * u.arcsec,
        inclination=unknown * u.deg,
        sersic_index=unknown,
        seed_index=np.full(n, -1),
    )


def _objects(x, y, kind, flux, **columns):
    fluxes = {f"flux_{band}": flux[:, k] * u.nmgy for k, band in enumerate(BANDS)}
    return QTable({"type": kind, **fluxes, "x": x, "y": y, **columns})


def _add(image, stamp, x, y):
    """Add a stamp whose first pixel lies at column x and row y, as far as it is on the image."""
    rows, columns = stamp.shape
    with suppress(NoOverlapError):
        add_array(image, stamp, (y + rows // 2, x + columns // 2))
