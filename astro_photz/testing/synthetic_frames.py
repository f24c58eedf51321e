# Licensed under a 3-clause BSD style license - see LICENSE
"""
Synthetic SDSS fields with known truth.

`make_run` renders consecutive fields of one drift scan, which share the pixels of their overlap as real ones do;
`make_edge` makes a galaxy that no single field holds whole. A `Field` becomes FITS files of the real layout. The
galaxies and the pixel grids are those of `astro_photz.testing.synthetic_sky`.

>>> from astro_photz.sdss import FieldID
>>> from astro_photz.testing.synthetic_frames import make_field
>>> from astro_photz.testing.synthetic_sky import Galaxy, Geometry
>>> geometry = Geometry(ra=150.0, dec=2.0)
>>> galaxy = Galaxy(*geometry.sky(120.3, 90.8), flux=(3.0, 12.0, 30.0, 45.0, 60.0))
>>> field = make_field(FieldID(4207, 301, 3, 110), geometry, [galaxy], noise=False)
>>> round(float(field.images["r"].sum()), 3)
30.0
"""

from __future__ import annotations

import bz2
import gzip
import io
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from astropy.io import fits

from astro_photz.sdss import BANDS, FieldID, dark_variance, frame_name, frame_path, gain
from astro_photz.utils._types import PathLike

from .synthetic_sky import SHAPE, Galaxy, Geometry, add_galaxy

__all__ = ["OVERLAP", "Edge", "Field", "compress", "make_edge", "make_field", "make_run", "write_field"]

OVERLAP = 80
"""Default rows that consecutive fields share."""

# Calibration (nanomaggies per DN), its relative change over the columns, and sky (DN per pixel), as in real frames.
CALIBRATION = {"u": 0.0072, "g": 0.0039, "r": 0.0051, "i": 0.0067, "z": 0.0307}
FLAT_FIELD = 0.01
SKY = {"u": 41.0, "g": 78.0, "r": 168.0, "i": 235.0, "z": 166.0}
SKY_GRADIENT = 0.0005  # DN per pixel, along columns and rows
SKY_BIN = 8  # pixels per node of the sky table


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

    Examples
    --------
    >>> from astro_photz import sdss, testing
    >>> geometry = testing.Geometry(150.0, 2.0, shape=(240, 240))
    >>> field = testing.make_field(sdss.FieldID(9000, 301, 3, 11), geometry, testing.make_sky(geometry, 2))
    >>> field.images["r"].shape
    (240, 240)
    """

    field_id: FieldID
    geometry: Geometry
    images: dict[str, np.ndarray]
    calibration: dict[str, np.ndarray]
    first_row: int = 0
    _files: dict[tuple[str, str | None], bytes] = field(default_factory=dict, init=False, repr=False)

    def hdulist(self, band: str) -> fits.HDUList:
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

    def frame(self, band: str, *, compression: str | None = "bz2") -> bytes:
        """The frame's file as bytes; ``compression`` is 'bz2', 'gz' or None."""
        if (band, compression) not in self._files:
            buffer = io.BytesIO()
            self.hdulist(band).writeto(buffer)
            self._files[band, compression] = compress(buffer.getvalue(), compression)
        return self._files[band, compression]


def compress(data: bytes, compression: str | None) -> bytes:
    """Compress bytes by 'bz2', 'gz' or None."""
    if compression is None:
        return data
    return bz2.compress(data) if compression == "bz2" else gzip.compress(data)


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


def make_run(
    first: FieldID,
    geometry: Geometry,
    galaxies: Sequence[Galaxy],
    *,
    n_fields: int = 2,
    overlap: int = OVERLAP,
    noise: bool = True,
    seed: int = 0,
    dead: dict[str, tuple[slice, slice]] | None = None,
) -> list[Field]:
    """
    Render consecutive fields of one drift scan.

    Parameters
    ----------
    first : `~astro_photz.sdss.FieldID`
    geometry : `Geometry`
        Of the first field. The scan goes on along its rows.
    galaxies : list of `Galaxy`
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

    Examples
    --------
    >>> from astro_photz import sdss, testing
    >>> geometry = testing.Geometry(150.0, 2.0, shape=(240, 240))
    >>> fields = testing.make_run(sdss.FieldID(9000, 301, 3, 11), geometry, testing.make_sky(geometry, 2), overlap=40)
    >>> [field.field_id.field for field in fields]
    [11, 12]
    """
    rows, columns = geometry.shape
    step = rows - overlap
    scan = geometry.window(0, 0, (rows + step * (n_fields - 1), columns))
    images, calibration = {}, {}
    for k, band in enumerate(BANDS):
        image = np.zeros(scan.shape)
        wcs = scan.wcs(band)
        for galaxy in galaxies:
            add_galaxy(image, galaxy, band, wcs)
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


def make_field(field_id: FieldID, geometry: Geometry, galaxies: Sequence[Galaxy], **options: Any) -> Field:
    """
    Make one `Field`; ``options`` as of `make_run`.

    Examples
    --------
    >>> from astro_photz import sdss, testing
    >>> geometry = testing.Geometry(150.0, 2.0, shape=(240, 240))
    >>> field = testing.make_field(sdss.FieldID(9000, 301, 3, 11), geometry, testing.make_sky(geometry, 2), noise=False)
    >>> sorted(field.images)
    ['g', 'i', 'r', 'u', 'z']
    """
    return make_run(field_id, geometry, galaxies, n_fields=1, **options)[0]


NEAR = FieldID(4207, 301, 3, 110)
FAR = FieldID(4263, 301, 3, 87)


class Edge(NamedTuple):
    """A galaxy at the edge: the field that it is most central in, its neighbour, and one that holds it whole."""

    near: Field
    far: Field
    whole: Field
    target: Galaxy


def make_edge(
    *, overlap: float = 40, noise: bool = False, seed: int = 0, near_id: FieldID = NEAR, far_id: FieldID = FAR
) -> Edge:
    """
    Render a galaxy whose stamp of 64 pixels runs over the last column of its field into a field of the next strip.

    Parameters
    ----------
    overlap : int, optional
        Columns that the fields share. The galaxy lies about the middle of them, most central in ``near``.
    noise, seed : optional
        As of `make_run`.
    near_id, far_id : `~astro_photz.sdss.FieldID`, optional

    Returns
    -------
    Edge
        The fields ``near``, ``far`` and ``whole``, and the galaxy. ``whole`` continues the pixel grids of ``near``. It
        was never observed so: use it as the truth, and don't serve it. Its run is 9999.

    Examples
    --------
    >>> from astro_photz import testing
    >>> edge = testing.make_edge()
    >>> edge.near.field_id.run, edge.far.field_id.run
    (4207, 4263)
    """
    rows, columns = SHAPE
    near = Geometry(ra=182.3, dec=11.4, rotation=-42.7)
    target = Galaxy(
        *near.sky(columns - overlap / 2 - 2.3, 99.6),
        flux=(4.0, 15.0, 35.0, 52.0, 70.0),
        sigma=2.2,
        axis_ratio=0.6,
        position_angle=70.0,
    )
    neighbour = Galaxy(
        *near.sky(columns + 2.2, 84.4), flux=(2.0, 6.0, 12.0, 16.0, 20.0), sigma=(1.1, 1.0, 0.9, 0.85, 0.8)
    )
    elsewhere = Galaxy(*near.sky(70.4, 60.1), flux=(2.0, 8.0, 20.0, 30.0, 40.0))
    galaxies = [target, neighbour, elsewhere]

    # The next strip is a fraction of a pixel and of a degree off.
    ra, dec = near.sky(columns - overlap + columns // 2 + 0.37, rows // 2 + 7.6)
    far = Geometry(ra=ra, dec=dec, rotation=-42.4)
    options = {"noise": noise, "seed": seed}
    return Edge(
        make_field(near_id, near, galaxies, **options),
        make_field(far_id, far, galaxies, **options),
        make_field(near_id._replace(run=9999), near.window(0, 0, (rows, columns + 60)), galaxies, **options),
        target,
    )


def write_field(
    directory: PathLike,
    field: Field,
    *,
    layout: str = "flat",
    compression: str | None = "bz2",
    data_release: int = 17,
    bands: Sequence[str] = BANDS,
) -> list[Path]:
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

    Examples
    --------
    >>> import pathlib, tempfile
    >>> from astro_photz import sdss, testing
    >>> geometry = testing.Geometry(150.0, 2.0, shape=(240, 240))
    >>> field = testing.make_field(sdss.FieldID(9000, 301, 3, 11), geometry, testing.make_sky(geometry, 2))
    >>> written = testing.write_field(pathlib.Path(tempfile.mkdtemp()), field, bands="ri")
    >>> [path.name for path in written]
    ['frame-r-009000-3-0011.fits.bz2', 'frame-i-009000-3-0011.fits.bz2']
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
