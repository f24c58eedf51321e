# Licensed under a 3-clause BSD style license - see LICENSE
"""
Whole fields, as the survey's archive has them: five frames each, and a catalogue of the true objects in them.

The fields are consecutive ones of a drift scan (`astro_photz.simulate.fields.drift_scan`). The layout of the files is
that of SDSS frames: calibrated, sky-subtracted nanomaggies in HDU 0, rounded to whole counts, and kept to 10 binary
digits as in the survey; calibration in HDU 1; sky in HDU 2; the names of the field in HDU 3.
"""

from __future__ import annotations

import bz2
import io
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from astropy import units as u
from astropy.coordinates import SkyCoord
from astropy.io import fits
from astropy.table import vstack

from astro_photz.cutouts.frames import SIMULATED
from astro_photz.sdss import BANDS, RERUN, FieldID, frame_name
from astro_photz.simulate.settings import Settings
from astro_photz.simulate.simulation import Simulation
from astro_photz.utils._checks import check_count
from astro_photz.utils._claims import claimed
from astro_photz.utils._files import aside
from astro_photz.utils._progress import progress_bar
from astro_photz.utils._types import PathLike

from .drift_scan import Scan

if TYPE_CHECKING:
    from astropy.table import Table

__all__ = ["write_frames"]


def write_frames(
    path: PathLike,
    *,
    seed: int,
    n_fields: int = 1,
    run: int = 9000,
    camcol: int = 3,
    field: int = 11,
    coord: SkyCoord | None = None,
    split: str = "train",
    config: Settings | dict | PathLike | None = None,
    overwrite: bool = False,
    progress: bool | None = None,
) -> Table:
    """
    Simulate consecutive fields of a scan into a folder: ``frame-*.fits.bz2`` in five bands, and ``truth.ecsv``.

    Parameters
    ----------
    path : str or path-like
        Folder; it is made if it is not there.
    seed : int
        The same seed gives the same sky; more fields begin with the same ones.
    n_fields : int, optional
    run, camcol, field : int, optional
        Numbers of the first field; the default run is one that SDSS never had. Gains and dark variances are those of
        the camera column in that run.
    coord : `~astropy.coordinates.SkyCoord`, optional
        Centre of the first field; (180, 30) deg by default.
    split : {'train', 'validation', 'test'}, optional
        Which of the real galaxies are their progenitors.
    config : `Settings`, dict, str or path-like, optional
        As in `galaxies`. Errors of calibration, registration and sky subtraction are not made here, whatever it says.
    overwrite : bool, optional
        Replace files that are there.
    progress : bool, optional
        Whether to draw a progress bar, on a terminal or in a notebook; it is drawn by default.

    Returns
    -------
    `~astropy.table.QTable` (N,)
        The content of ``truth.ecsv``, a row an object whose centre lies on an *r* frame: position (ICRS), the field
        in which it is most central and its column and row there (pixels, the first pixel's centre at 0), type, total
        flux in each band as observed, extinction included, and E(B-V). The galaxies of the sample (by default those
        to r = 17.8) have a redshift and a shape, too; fainter galaxies, such as are brighter than the sample has any,
        and stars have NaN there. Seeing, seed and settings are in ``meta``.

    Raises
    ------
    FileExistsError
        If one of the files is there and ``overwrite`` is not set.
    OSError
        If the files cannot be written.
    ValueError, TypeError
        If a parameter is out of its range.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> from astro_photz import FrameDirectory, fetch, simulate
    >>> folder = pathlib.Path(tempfile.mkdtemp())
    >>> truth = simulate.write_frames(folder, seed=1)
    >>> sample = truth[truth["redshift"] > 0]
    >>> fetch(sample[:2], source=FrameDirectory(folder))
    <Cutouts of 2 galaxies, 5 x 64 x 64 pixels>
    """
    simulation = _simulation_of_fields(seed, split, config)
    n_fields = check_count("n_fields", n_fields)
    first = _first_field(run, camcol, field, n_fields)
    coord = SkyCoord(180, 30, unit=u.deg) if coord is None else coord
    if not isinstance(coord, SkyCoord) or not coord.isscalar:
        raise TypeError(f"coord must be a SkyCoord of one position, the centre of the first field; got {coord!r}")
    path = Path(path)
    names = [frame_name(band, first._replace(field=field + k)) for k in range(n_fields) for band in BANDS]
    _check_folder(path, [*names, "truth.ecsv"], overwrite)
    scan = Scan(simulation, first, coord.icrs)
    path.mkdir(parents=True, exist_ok=True)
    tables = []
    with claimed(path), progress_bar(n_fields, progress, unit="fields", long=0) as advance:
        for number in range(n_fields):
            images, objects = scan.draw(number)
            _write_field(path, scan, number, images)
            tables.append(scan.truth(number, objects, n_fields))
            advance(1)
        truth = vstack(tables, metadata_conflicts="silent")
        truth.meta = scan.meta()
        with aside(path / "truth.ecsv") as part:
            truth.write(part, format="ascii.ecsv", overwrite=True)
    return truth


def _simulation_of_fields(seed, split, config):
    simulation = Simulation(seed=seed, split=split, settings=Settings.of(config))
    if patches := simulation.settings.background["patches"]:
        raise ValueError(
            f"patches in [background] are for galaxies in stamps, got {patches!r}; whole fields need a simulated sky: "
            "leave the setting out"
        )
    if simulation.settings.sample.flat_redshift:
        raise ValueError(
            "flat_redshift in [sample] is for galaxies in stamps, got True; whole fields hold as many galaxies of each "
            "magnitude as the sky does: leave the setting out"
        )
    return simulation


def _first_field(run, camcol, field, n_fields):
    for name, value, last in (("run", run, 999_999), ("camcol", camcol, 6), ("field", field, 9999)):
        if check_count(name, value) > last:
            raise ValueError(f"{name} must be at most {last}, got {value}")
    if field + n_fields > 10_000:
        raise ValueError(f"n_fields must leave the last field's number below 10000, got {n_fields} from {field} on")
    return FieldID(run, RERUN, camcol, field)


def _check_folder(path, names, overwrite):
    if path.exists() and not path.is_dir():
        raise NotADirectoryError(f"{path} is a file: give the name of a folder")
    if path.is_dir() and not os.access(path, os.W_OK):
        raise PermissionError(f"{path}: no permission to write there")
    there = [name for name in names if (path / name).exists()]
    if there and not overwrite:
        raise FileExistsError(f"{path / there[0]} exists: choose another folder, or set overwrite=True")
    others = sorted({file.name for file in path.glob("frame-*.fits*")} - {*names}) if there else []
    if others:
        raise FileExistsError(
            f"{path / others[0]} would lie among frames that it does not belong to: choose another folder, or remove it"
        )


def _hdulist(scan, number, k, image):
    """A frame in the layout of SDSS."""
    band, field_id = BANDS[k], scan.first._replace(field=scan.first.field + number)
    primary = fits.PrimaryHDU(scan.camera.expose(number, k, image), _header(scan, number, k, field_id))
    allsky, x, y = scan.camera.sky(number, k)
    sky = [
        fits.Column("ALLSKY", f"{allsky.size}E", dim=str(allsky.shape[::-1]), array=allsky[None]),
        fits.Column("XINTERP", f"{x.size}E", array=x[None]),
        fits.Column("YINTERP", f"{y.size}E", array=y[None]),
    ]
    names = [fits.Column(name.upper(), "J", array=[getattr(field_id, name)]) for name in ("run", "camcol", "field")]
    names += [
        fits.Column("RERUN", "3A", array=[str(field_id.rerun)]),
        fits.Column("FILTER", "A", array=[band]),
    ]
    tables = [fits.BinTableHDU.from_columns(columns) for columns in (sky, names)]
    return fits.HDUList([primary, fits.ImageHDU(scan.camera.calibration(k)), *tables])


def _header(scan, number, k, field_id):
    wcs = scan.wcs(number, BANDS[k]).wcs
    header = fits.Header()
    header[SIMULATED] = (True, "simulated by astro_photz: no real sky")
    header["RUN"] = (field_id.run, "Run number")
    header["FRAME"] = (field_id.field, "Frame sequence number within the run")
    header["CAMCOL"] = (field_id.camcol, "column in the imaging camera")
    header["FILTER"] = (BANDS[k], "filter used")
    header["BUNIT"] = ("nanomaggy", "1 nanomaggy = 3.631e-6 Jy")
    header["EQUINOX"] = 2000.0
    header["RADECSYS"] = ("ICRS", "International Celestial Ref. System")
    for axis in (0, 1):
        header[f"CTYPE{axis + 1}"] = wcs.ctype[axis]
        header[f"CUNIT{axis + 1}"] = "deg"
        header[f"CRPIX{axis + 1}"] = wcs.crpix[axis]
        header[f"CRVAL{axis + 1}"] = wcs.crval[axis]
        for other in (0, 1):
            header[f"CD{axis + 1}_{other + 1}"] = wcs.cd[axis, other]
    header["NMGY"] = (float(np.median(scan.camera.calibration(k))), "Calibration factor [nMgy per count]")
    header["RERUN"] = (str(field_id.rerun), "rerun")
    return header


def _write_field(path, scan, number, images):
    def compressed(k):
        buffer = io.BytesIO()
        _hdulist(scan, number, k, images[k]).writeto(buffer)
        return bz2.compress(buffer.getvalue())

    pool = ThreadPoolExecutor()  # bzip2 works without Python's lock
    try:
        for band, data in zip(BANDS, pool.map(compressed, range(len(BANDS))), strict=True):
            name = frame_name(band, scan.first._replace(field=scan.first.field + number))
            with aside(path / name) as part:
                part.write_bytes(data)
    finally:
        pool.shutdown(wait=False, cancel_futures=True)  # an interrupt does not wait for what nobody will write
