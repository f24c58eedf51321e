# Licensed under a 3-clause BSD style license - see LICENSE
"""
Synthetic SDSS fields with known truth.

A `Geometry` places the five pixel grids of a field on the sky as the camera does: orthogonal, rotated against north
and mirrored, each band a few whole and fractional pixels (and a hundredth of a degree) away from *r*. A `Source`
is a Gaussian galaxy, integrated over the pixels, so the flux it leaves in a noiseless frame is exact to 1e-6.
`make_run` renders consecutive fields of one drift scan, which share the pixels of their overlap as real ones do;
`make_edge` makes a galaxy that no single field holds whole. A `Field` becomes FITS files of the real layout.

>>> from astro_photz.testing.synthetic_frames import Geometry, Source, make_field
>>> from astro_photz.sdss import FieldID
>>> geometry = Geometry(ra=150.0, dec=2.0)
>>> galaxy = Source(*geometry.sky(120.3, 90.8), flux=(3.0, 12.0, 30.0, 45.0, 60.0))
>>> field = make_field(FieldID(4207, 301, 3, 110), geometry, [galaxy], noise=False)
>>> round(float(field.images["r"].sum()), 3)
30.0
"""

import bz2
import gzip
import io
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
from astropy.io import fits
from astropy.wcs import WCS

from astro_photz.sdss import BANDS, PIXEL_SCALE, FieldID, dark_variance, frame_name, frame_path, gain

__all__ = [
    "Edge",
    "Field",
    "Geometry",
    "Source",
    "compress",
    "make_edge",
    "make_field",
    "make_run",
    "make_sky",
    "write_field",
]

SHAPE = (200, 260)
"""Default rows and columns of a synthetic frame: large enough for stamps of 64 pixels, small enough to be fast."""

OVERLAP = 80
"""Default rows that consecutive fields share."""

# Where a point of the r frame lies in the other bands (columns, rows), how much those are turned against r (deg), and
# by which fraction their columns are farther apart: of the size found in real frames.
OFFSETS = {"u": (0.36, 6.66), "g": (-0.93, 9.87), "r": (0.0, 0.0), "i": (1.63, 2.76), "z": (-1.74, 6.52)}
TURNS = {"u": -0.010, "g": 0.013, "r": 0.0, "i": 0.006, "z": -0.012}
STRETCHES = {"u": 5e-4, "g": 4e-4, "r": 0.0, "i": 3e-4, "z": -4e-4}

# Calibration (nanomaggies per DN), its relative change over the columns, and sky (DN per pixel), as in real frames.
CALIBRATION = {"u": 0.0072, "g": 0.0039, "r": 0.0051, "i": 0.0067, "z": 0.0307}
FLAT_FIELD = 0.01
SKY = {"u": 41.0, "g": 78.0, "r": 168.0, "i": 235.0, "z": 166.0}
SKY_GRADIENT = 0.0005  # DN per pixel, along columns and rows
SKY_BIN = 8  # pixels per node of the sky table

_NODES, _WEIGHTS = np.polynomial.legendre.leggauss(5)


@dataclass(frozen=True)
class Source:
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
    """

    ra: float
    dec: float
    flux: tuple
    sigma: float | tuple = 1.2
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
        Where pixel ``origin`` of the *r* grid lies on the sky (ICRS, deg); the tangent point.
    shape : tuple of int, optional
        Rows and columns.
    rotation : float, optional
        By how much the columns are turned against declination (deg). Real stripes on the equator have about 0, the
        others anything.
    origin : tuple of float, optional
        Column and row (from 0) of the tangent point. The middle of the frame by default.
    offsets : dict, optional
        For each band, what to add to column and row of a point in the *r* frame to find it in that band.
    turns : dict, optional
        For each band, its rotation against *r* (deg).
    stretches : dict, optional
        For each band, by which fraction its columns are farther apart than those of *r*.
    """

    ra: float
    dec: float
    shape: tuple = SHAPE
    rotation: float = 25.0
    origin: tuple | None = None
    offsets: dict | None = None
    turns: dict | None = None
    stretches: dict | None = None

    @property
    def _origin(self):
        return self.origin if self.origin is not None else (self.shape[1] // 2, self.shape[0] // 2)

    def wcs(self, band):
        """World coordinate system of the band's frame (`~astropy.wcs.WCS`)."""
        if band == "r":
            return _tangent_plane(self.ra, self.dec, self._origin, self.rotation)
        # As in real frames, the bands share CRPIX and differ in CRVAL.
        dx, dy = (self.offsets or OFFSETS)[band]
        x, y = self._origin
        ra, dec = self.sky(x - dx, y - dy)
        rotation = self.rotation + (self.turns or TURNS)[band]
        return _tangent_plane(ra, dec, self._origin, rotation, (self.stretches or STRETCHES)[band])

    def sky(self, x, y):
        """Right ascension and declination (deg) of column ``x``, row ``y`` (from 0) of the *r* frame."""
        ra, dec = self.wcs("r").pixel_to_world_values(x, y)
        return float(ra), float(dec)

    def pixel(self, ra, dec, *, band="r"):
        """Column and row (from 0) of a position in the band's frame."""
        x, y = self.wcs(band).world_to_pixel_values(ra, dec)
        return float(x), float(y)

    def window(self, x, y, shape):
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


def make_sky(geometry, n, *, seed=0, margin=40, r_mag=(16.0, 18.5)):
    """
    Galaxies strewn over a field, with plausible colours, sizes and shapes.

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
    list of `Source`
    """
    rng = np.random.default_rng(seed)
    rows, columns = geometry.shape
    sources = []
    for _ in range(n):
        ra, dec = geometry.sky(rng.uniform(margin, columns - 1 - margin), rng.uniform(margin, rows - 1 - margin))
        r = rng.uniform(*r_mag)
        u_g, g_r, r_i, i_z = rng.normal((1.6, 0.8, 0.4, 0.3), 0.08)
        magnitudes = np.array([r + g_r + u_g, r + g_r, r, r - r_i, r - r_i - i_z])
        sources.append(
            Source(
                ra,
                dec,
                flux=tuple(10 ** (0.4 * (22.5 - magnitudes))),
                sigma=rng.uniform(0.8, 1.6),
                axis_ratio=rng.uniform(0.5, 1.0),
                position_angle=rng.uniform(0, 180),
                ebv=round(rng.uniform(0.02, 0.1), 4),
            )
        )
    return sources


def _add_source(image, source, band, wcs):
    """Add a source to an image (rows, columns) in nanomaggies, integrated over the pixels."""
    k = BANDS.index(band)
    flux = source.flux[k]
    sigma = source.sigma[k] if np.ndim(source.sigma) else source.sigma
    x0, y0 = wcs.world_to_pixel_values(source.ra, source.dec)

    # Covariance in east and north (deg^2), then in columns and rows.
    angle = np.deg2rad(source.position_angle)
    axes = np.array([[np.sin(angle), np.cos(angle)], [np.cos(angle), -np.sin(angle)]])
    to_pixels = np.linalg.inv(wcs.wcs.cd) @ axes * (sigma / 3600)
    covariance = to_pixels @ np.diag([1, source.axis_ratio**2]) @ to_pixels.T
    if np.sqrt(np.linalg.eigvalsh(covariance)[0]) < 1:
        raise ValueError(f"a Source's minor axis must have a sigma of at least one pixel ({PIXEL_SCALE} arcsec)")

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


@dataclass(frozen=True)
class Field:
    """
    Five rendered frames.

    Parameters
    ----------
    field_id : `~astro_photz.sdss.FieldID`
    geometry : `Geometry`
    images : dict of `~numpy.ndarray` (rows, columns)
        Nanomaggies, by band.
    calibration : dict of `~numpy.ndarray` (columns,)
        Nanomaggies per DN, by band.
    first_row : int
        Row of the scan with which the field begins.
    """

    field_id: FieldID
    geometry: Geometry
    images: dict
    calibration: dict
    first_row: int = 0
    _files: dict = field(default_factory=dict, init=False, repr=False)

    def hdulist(self, band):
        """The frame as an `~astropy.io.fits.HDUList` laid out like a real one."""
        primary = fits.PrimaryHDU(self.images[band].astype(np.float32), header=self._header(band))
        # Real frames spell the reference system in the old way, which wcslib warns of.
        primary.header["RADECSYS"] = primary.header.pop("RADESYS")
        return fits.HDUList(
            [primary, fits.ImageHDU(self.calibration[band].astype(np.float32)), self._sky_table(band), self._id(band)]
        )

    def _header(self, band):
        run, rerun, camcol, _ = self.field_id
        header = fits.Header()
        header["DATE-OBS"] = "2002-05-09"
        header["RUN"] = run
        header["CAMCOL"] = camcol
        header["FILTER"] = band
        header["BUNIT"] = "nanomaggy"
        header.update(self.geometry.wcs(band).to_header())
        # wcslib writes PC and CDELT, SDSS writes CD.
        for key in ("PC1_1", "PC1_2", "PC2_1", "PC2_2", "CDELT1", "CDELT2", "LONPOLE", "LATPOLE", "MJDREF", "WCSAXES"):
            header.remove(key, ignore_missing=True)
        for (row, column), value in np.ndenumerate(self.geometry.wcs(band).wcs.cd):
            header[f"CD{row + 1}_{column + 1}"] = value
        header["EQUINOX"] = 2000.0
        header["NMGY"] = float(np.median(self.calibration[band]))
        header["RERUN"] = str(rerun)
        return header

    def _sky_table(self, band):
        rows, columns = self.images[band].shape
        x, y = (np.arange(n) / SKY_BIN - 0.5 + 0.5 / SKY_BIN for n in (columns, rows))
        nodes = [(np.arange(-(-n // SKY_BIN)) + 0.5) * SKY_BIN - 0.5 for n in (rows, columns)]
        allsky = _sky(band, nodes[0][:, None] + self.first_row, nodes[1])
        size = allsky.size
        return fits.BinTableHDU.from_columns(
            [
                fits.Column("ALLSKY", f"{size}E", dim=str(allsky.shape[::-1]), array=allsky[None]),
                fits.Column("XINTERP", f"{columns}E", array=x[None]),
                fits.Column("YINTERP", f"{rows}E", array=y[None]),
            ]
        )

    def _id(self, band):
        return fits.BinTableHDU.from_columns(
            [
                fits.Column("RUN", "J", array=[self.field_id.run]),
                fits.Column("RERUN", "3A", array=[str(self.field_id.rerun)]),
                fits.Column("CAMCOL", "J", array=[self.field_id.camcol]),
                fits.Column("FILTER", "A", array=[band]),
                fits.Column("FIELD", "J", array=[self.field_id.field]),
            ]
        )

    def frame(self, band, *, compression="bz2"):
        """The frame's file as bytes; ``compression`` is 'bz2', 'gz' or None."""
        if (band, compression) not in self._files:
            buffer = io.BytesIO()
            self.hdulist(band).writeto(buffer)
            self._files[band, compression] = compress(buffer.getvalue(), compression)
        return self._files[band, compression]


def compress(data, compression):
    """Bytes compressed by 'bz2', 'gz' or None."""
    return {"bz2": bz2.compress, "gz": gzip.compress, None: bytes}[compression](data)


def _sky(band, y, x):
    return SKY[band] + SKY_GRADIENT * (np.asarray(x) - np.asarray(y))


def _expose(image, band, field_id, rng):
    """Photon and read noise in counts, rounded to whole counts as the camera's are. Returns image and calibration."""
    rows, columns = image.shape
    calibration = CALIBRATION[band] * (1 + FLAT_FIELD * np.linspace(-0.5, 0.5, columns))
    if rng is not None:
        k = BANDS.index(band)
        e_per_dn = gain(field_id.camcol, field_id.run)[k]
        read_noise = np.sqrt(dark_variance(field_id.camcol, field_id.run)[k])
        sky = _sky(band, np.arange(rows)[:, None], np.arange(columns))
        counts = rng.poisson((image / calibration + sky) * e_per_dn) / e_per_dn
        counts += rng.normal(0, read_noise, image.shape)
        image = (np.rint(counts) - sky) * calibration
    return image.astype(np.float32), calibration


def make_run(first, geometry, sources, *, n_fields=2, overlap=OVERLAP, noise=True, seed=0, dead=None):
    """
    Consecutive fields of one drift scan.

    Parameters
    ----------
    first : `~astro_photz.sdss.FieldID`
    geometry : `Geometry`
        Of the first field. The scan goes on along its rows.
    sources : list of `Source`
    n_fields : int, optional
    overlap : int, optional
        Rows that a field shares with the next.
    noise : bool, optional
        Photon and read noise, and whole counts. Without, fluxes are exact.
    seed : int, optional
    dead : dict, optional
        By band, slices of rows and columns of each frame that are NaN.

    Returns
    -------
    list of `Field`
    """
    rows, columns = geometry.shape
    step = rows - overlap
    scan = geometry.window(0, 0, (rows + step * (n_fields - 1), columns))
    images, calibration = {}, {}
    for k, band in enumerate(BANDS):
        image = np.zeros(scan.shape)
        wcs = scan.wcs(band)
        for source in sources:
            _add_source(image, source, band, wcs)
        rng = np.random.default_rng([seed, first.run, first.camcol, k]) if noise else None
        images[band], calibration[band] = _expose(image, band, first, rng)

    fields = []
    for i in range(n_fields):
        frames = {band: image[i * step : i * step + rows].copy() for band, image in images.items()}
        for band, region in (dead or {}).items():
            frames[band][region] = np.nan
        fields.append(
            Field(
                first._replace(field=first.field + i),
                scan.window(0, i * step, geometry.shape),
                frames,
                calibration,
                first_row=i * step,
            )
        )
    return fields


def make_field(field_id, geometry, sources, **options):
    """One `Field`; ``options`` as of `make_run`."""
    return make_run(field_id, geometry, sources, n_fields=1, **options)[0]


NEAR = FieldID(4207, 301, 3, 110)
FAR = FieldID(4263, 301, 3, 87)


class Edge(NamedTuple):
    """A galaxy at the edge: the field that it is most central in, its neighbour, and one that holds it whole."""

    near: Field
    far: Field
    whole: Field
    target: Source


def make_edge(*, overlap=40, noise=False, seed=0, near_id=NEAR, far_id=FAR):
    """
    A galaxy whose stamp of 64 pixels runs over the last column of its field into a field of the next strip.

    Parameters
    ----------
    overlap : int, optional
        Columns that the fields share. The galaxy lies about the middle of them, most central in ``near``.
    noise, seed : optional
        As of `make_run`.
    near_id, far_id : `~astro_photz.sdss.FieldID`, optional

    Returns
    -------
    `Edge`
        ``whole`` continues the pixel grids of ``near``. It was never observed so: use it as the truth, and don't
        serve it. Its run is 9999.
    """
    rows, columns = SHAPE
    near = Geometry(ra=182.3, dec=11.4, rotation=-42.7)
    target = Source(
        *near.sky(columns - overlap / 2 - 2.3, 99.6),
        flux=(4.0, 15.0, 35.0, 52.0, 70.0),
        sigma=2.2,
        axis_ratio=0.6,
        position_angle=70.0,
    )
    neighbour = Source(
        *near.sky(columns + 2.2, 84.4), flux=(2.0, 6.0, 12.0, 16.0, 20.0), sigma=(1.1, 1.0, 0.9, 0.85, 0.8)
    )
    elsewhere = Source(*near.sky(70.4, 60.1), flux=(2.0, 8.0, 20.0, 30.0, 40.0))
    sources = [target, neighbour, elsewhere]

    # The next strip is a fraction of a pixel and of a degree off.
    ra, dec = near.sky(columns - overlap + columns // 2 + 0.37, rows // 2 + 7.6)
    far = Geometry(ra=ra, dec=dec, rotation=-42.4)
    options = {"noise": noise, "seed": seed}
    return Edge(
        make_field(near_id, near, sources, **options),
        make_field(far_id, far, sources, **options),
        make_field(near_id._replace(run=9999), near.window(0, 0, (rows, columns + 60)), sources, **options),
        target,
    )


def write_field(directory, field, *, layout="flat", compression="bz2", data_release=17, bands=BANDS):
    """
    Write a field's frames below a directory.

    Parameters
    ----------
    directory : path-like
    field : `Field`
    layout : {'flat', 'sas'}, optional
        All in one directory, or as on the Science Archive Server.
    compression : {'bz2', 'gz', None}, optional
    data_release : int, optional
        For the 'sas' layout.
    bands : sequence of str, optional

    Returns
    -------
    list of `~pathlib.Path`
    """
    paths = []
    for band in bands:
        if layout == "sas":
            name = frame_path(band, field.field_id, data_release=data_release)
        else:
            name = frame_name(band, field.field_id)
        name = name.removesuffix(".bz2") + (f".{compression}" if compression else "")
        path = Path(directory) / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(field.frame(band, compression=compression))
        paths.append(path)
    return paths
