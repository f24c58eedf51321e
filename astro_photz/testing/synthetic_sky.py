# Licensed under a 3-clause BSD style license - see LICENSE
"""
A synthetic piece of sky: galaxies with known truth, and the pixel grids of a camera that sees them.

A `Geometry` places the five pixel grids of a field on the sky as the camera does: orthogonal, rotated against north
and mirrored, each band a few whole and fractional pixels (and a hundredth of a degree) away from *r*. A `Galaxy`
is a Gaussian, integrated over the pixels, so the flux it leaves in a noiseless frame is exact to 1e-6.

>>> from astro_photz.testing.synthetic_sky import Geometry
>>> geometry = Geometry(ra=150.0, dec=2.0)
>>> x, y = geometry.pixel(150.0, 2.0)
>>> round(x), round(y)
(130, 100)
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from astropy.wcs import WCS

from astro_photz.sdss import BANDS, PIXEL_SCALE

__all__ = ["SHAPE", "Galaxy", "Geometry", "add_galaxy", "make_sky"]

SHAPE = (200, 260)
"""Default rows and columns of a synthetic frame: large enough for stamps of 64 pixels, small enough to be fast."""

# Where a point of the r frame lies in the other bands (columns, rows), how much those are turned against r (deg), and
# by which fraction their columns are farther apart: of the size found in real frames.
OFFSETS = {"u": (0.36, 6.66), "g": (-0.93, 9.87), "r": (0.0, 0.0), "i": (1.63, 2.76), "z": (-1.74, 6.52)}
TURNS = {"u": -0.010, "g": 0.013, "r": 0.0, "i": 0.006, "z": -0.012}
STRETCHES = {"u": 5e-4, "g": 4e-4, "r": 0.0, "i": 3e-4, "z": -4e-4}

_NODES, _WEIGHTS = np.polynomial.legendre.leggauss(5)


@dataclass(frozen=True)
class Galaxy:
    """
    A galaxy with an elliptical Gaussian profile, as seen through the atmosphere.

    Parameters
    ----------
    ra, dec : float
        ICRS (deg).
    flux : sequence of float (5,)
        Total flux in *ugriz* (nanomaggies), not extinction-corrected.
    sigma : float or sequence of float (5,), optional
        Standard deviation along the major axis (arcsec), in all bands or in each. At least a pixel.
    axis_ratio : float, optional
    position_angle : float, optional
        Of the major axis, north through east (deg).
    ebv : float, optional
        E(B-V) toward it (mag).

    Examples
    --------
    >>> from astro_photz import testing
    >>> galaxy = testing.Galaxy(150.0, 2.0, flux=(5, 20, 40, 55, 65), sigma=1.2, axis_ratio=0.6)
    >>> galaxy.ebv
    0.05
    """

    ra: float
    dec: float
    flux: Sequence[float]
    sigma: float | Sequence[float] = 1.2
    axis_ratio: float = 1.0
    position_angle: float = 0.0
    ebv: float = 0.05


@dataclass(frozen=True)
class Geometry:
    """
    The pixel grids of a field, or of a scan of fields, in the five bands.

    Parameters
    ----------
    ra, dec : float
        The tangent point, at pixel ``origin`` of the *r* grid (ICRS, deg).
    shape : tuple of int, optional
        Rows and columns.
    rotation : float, optional
        Angle between columns and declination (deg). Real stripes on the equator have about 0, the others anything.
    origin : tuple of float, optional
        Column and row (from 0) of the tangent point. The middle of the frame by default.
    offsets : dict, optional
        For each band, column and row of a point less those in the *r* frame.
    turns : dict, optional
        For each band, its rotation against *r* (deg).
    stretches : dict, optional
        For each band, the fraction by which its columns are farther apart than those of *r*.

    Examples
    --------
    >>> from astro_photz import testing
    >>> geometry = testing.Geometry(ra=150.0, dec=2.0, shape=(240, 240), rotation=30)
    >>> [float(one) for one in geometry.pixel(150.0, 2.0)]
    [119.99999999997237, 120.00000000001594]
    """

    ra: float
    dec: float
    shape: tuple[int, int] = SHAPE
    rotation: float = 25.0
    origin: tuple[float, float] | None = None
    offsets: dict[str, tuple[float, float]] | None = None
    turns: dict[str, float] | None = None
    stretches: dict[str, float] | None = None

    @property
    def _origin(self) -> tuple[float, float]:
        return self.origin if self.origin is not None else (self.shape[1] // 2, self.shape[0] // 2)

    def wcs(self, band: str) -> WCS:
        """World coordinate system of the band's frame (`~astropy.wcs.WCS`)."""
        if band == "r":
            return _tangent_plane(self.ra, self.dec, self._origin, self.rotation)
        # As in real frames, the bands share CRPIX and differ in CRVAL.
        dx, dy = (self.offsets or OFFSETS)[band]
        x, y = self._origin
        ra, dec = self.sky(x - dx, y - dy)
        rotation = self.rotation + (self.turns or TURNS)[band]
        return _tangent_plane(ra, dec, self._origin, rotation, (self.stretches or STRETCHES)[band])

    def sky(self, x: float, y: float) -> tuple[float, float]:
        """Right ascension and declination (deg) of column ``x``, row ``y`` (from 0) of the *r* frame."""
        ra, dec = self.wcs("r").pixel_to_world_values(x, y)
        return float(ra), float(dec)

    def pixel(self, ra: float, dec: float, *, band: str = "r") -> tuple[float, float]:
        """Column and row (from 0) of a position in the band's frame."""
        x, y = self.wcs(band).world_to_pixel_values(ra, dec)
        return float(x), float(y)

    def window(self, x: float, y: float, shape: tuple[int, int]) -> Geometry:
        """Geometry of ``shape`` pixels of the same grids, from column ``x`` and row ``y`` on."""
        x0, y0 = self._origin
        return replace(self, shape=shape, origin=(x0 - x, y0 - y))


def _tangent_plane(ra, dec, origin, rotation, stretch=0.0):
    wcs = WCS(naxis=2)
    wcs.wcs.ctype = "RA---TAN", "DEC--TAN"
    wcs.wcs.cunit = "deg", "deg"
    wcs.wcs.crval = ra, dec
    wcs.wcs.crpix = np.add(origin, 1.0)
    c, s = np.cos(np.deg2rad(rotation)), np.sin(np.deg2rad(rotation))
    wcs.wcs.cd = PIXEL_SCALE / 3600 * np.array([[s, c], [c, -s]]) * [1 + stretch, 1]
    wcs.wcs.radesys = "ICRS"
    wcs.wcs.set()
    return wcs


def make_sky(
    geometry: Geometry,
    n: int,
    *,
    seed: int = 0,
    margin: float = 40,
    r_mag: tuple[float, float] = (16.0, 18.5),
) -> list[Galaxy]:
    """
    Draw galaxies all over a field, with plausible colours, sizes and shapes.

    Parameters
    ----------
    geometry : `Geometry`
    n : int
    seed : int, optional
    margin : float, optional
        Least distance to the edges of the *r* frame (pixels).
    r_mag : tuple of float, optional
        Range of *r* magnitudes.

    Returns
    -------
    list of `Galaxy`

    Examples
    --------
    >>> from astro_photz import testing
    >>> galaxies = testing.make_sky(testing.Geometry(150.0, 2.0, shape=(240, 240)), 4)
    >>> len(galaxies)
    4
    """
    rng = np.random.default_rng(seed)
    rows, columns = geometry.shape
    galaxies = []
    for _ in range(n):
        ra, dec = geometry.sky(rng.uniform(margin, columns - 1 - margin), rng.uniform(margin, rows - 1 - margin))
        r = rng.uniform(*r_mag)
        u_g, g_r, r_i, i_z = rng.normal((1.6, 0.8, 0.4, 0.3), 0.08)
        magnitudes = np.array([r + g_r + u_g, r + g_r, r, r - r_i, r - r_i - i_z])
        galaxies.append(
            Galaxy(
                ra,
                dec,
                flux=tuple(10 ** (0.4 * (22.5 - magnitudes))),
                sigma=rng.uniform(0.8, 1.6),
                axis_ratio=rng.uniform(0.5, 1.0),
                position_angle=rng.uniform(0, 180),
                ebv=round(rng.uniform(0.02, 0.1), 4),
            )
        )
    return galaxies


def add_galaxy(image: np.ndarray, galaxy: Galaxy, band: str, wcs: WCS) -> None:
    """
    Add a galaxy to an image, integrated over the pixels.

    Parameters
    ----------
    image : `~numpy.ndarray` (rows, columns)
        In nanomaggies; changed in place.
    galaxy : `Galaxy`
    band : str
    wcs : `~astropy.wcs.WCS`

    Raises
    ------
    ValueError
        If the galaxy is narrower than a pixel.
    """
    k = BANDS.index(band)
    flux = galaxy.flux[k]
    sigma = float(np.broadcast_to(galaxy.sigma, 5)[k])
    x0, y0 = wcs.world_to_pixel_values(galaxy.ra, galaxy.dec)

    # Covariance in east and north (deg^2), then in columns and rows.
    angle = np.deg2rad(galaxy.position_angle)
    axes = np.array([[np.sin(angle), np.cos(angle)], [np.cos(angle), -np.sin(angle)]])
    to_pixels = np.linalg.inv(wcs.wcs.cd) @ axes * (sigma / 3600)
    covariance = to_pixels @ np.diag([1, galaxy.axis_ratio**2]) @ to_pixels.T
    if np.sqrt(np.linalg.eigvalsh(covariance)[0]) < 1:
        raise ValueError(f"a Galaxy's minor axis must have a sigma of at least one pixel ({PIXEL_SCALE} arcsec)")

    reach = 6.5 * np.sqrt(covariance.diagonal())
    columns = np.arange(max(0, int(x0 - reach[0])), min(image.shape[1], int(x0 + reach[0]) + 2))
    rows = np.arange(max(0, int(y0 - reach[1])), min(image.shape[0], int(y0 + reach[1]) + 2))
    if columns.size == 0 or rows.size == 0:
        return
    # Gauss-Legendre nodes inside every pixel.
    dx = (columns[:, None] + _NODES / 2 - x0).ravel()
    dy = (rows[:, None] + _NODES / 2 - y0).ravel()
    (a, b), (_, d) = np.linalg.inv(covariance)
    density = np.exp(-0.5 * (a * dx**2 + 2 * b * dx * dy[:, None] + d * dy[:, None] ** 2))
    density *= flux / (2 * np.pi * np.sqrt(np.linalg.det(covariance)))
    density = density.reshape(rows.size, _NODES.size, columns.size, _NODES.size)
    image[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1] += np.einsum(
        "ymxn,m,n->yx", density, _WEIGHTS / 2, _WEIGHTS / 2
    )
