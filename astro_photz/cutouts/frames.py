# Licensed under a 3-clause BSD style license - see LICENSE
"""
Read SDSS frames from their files: the image as far as it is needed, and its place on the sky.
"""

import bz2
import gzip
import zlib
from dataclasses import dataclass

import numpy as np
from astropy.io import fits
from astropy.wcs import WCS

from .missing import missing_pixels
from .resampling import MARGIN

__all__ = [
    "SIMULATED",
    "Frame",
    "FrameError",
    "frame_wcs",
    "open_decompressed",
    "read_frame",
    "read_header",
]

SIMULATED = "SIMULATE"
"""Keyword of the header by which a frame says that it is simulated."""

_WCS_KEYWORDS = ("CTYPE1", "CTYPE2", "CRPIX1", "CRPIX2", "CRVAL1", "CRVAL2", "CD1_1", "CD1_2", "CD2_1", "CD2_2")
_LARGEST = 20_000  # pixels along a side: what says more is broken, and would take all memory
_OPENERS = {b"BZh": bz2.open, b"\x1f\x8b\x08": gzip.open}
# What bz2, gzip and astropy say of broken files.
_BROKEN = (OSError, EOFError, ValueError, TypeError, KeyError, zlib.error, fits.VerifyError)


class FrameError(OSError):
    """A file that should be an SDSS frame is not, or not whole."""


@dataclass(frozen=True)
class Frame:
    """
    One frame: an image in nanomaggies and its place on the sky.

    Parameters
    ----------
    image : `~numpy.ndarray` (rows, columns) float32
        Calibrated, sky-subtracted flux (nanomaggies); NaN in rows that were not read.
    wcs : `~astropy.wcs.WCS`
    simulated : bool
        Whether its header says that it is simulated.
    """

    image: np.ndarray
    wcs: WCS
    simulated: bool

    @property
    def nbytes(self):
        """Memory that the image takes, int."""
        return self.image.nbytes


def open_decompressed(path):
    """
    Open a file, and recognise its compression (bzip2, gzip, none) by its first bytes.

    Parameters
    ----------
    path : str or path-like

    Returns
    -------
    file object
        Of the decompressed bytes; no more is decompressed than is read.
    """
    with open(path, "rb") as file:
        opener = _OPENERS.get(file.read(3), open)
    return opener(path, "rb")


def read_frame(path, *, coord=None, size=0):
    """
    Read a frame into memory, as far as it is needed.

    Decompression takes most of the time, and goes row by row. It stops at the last row that a stamp needs.

    Parameters
    ----------
    path : str or path-like
        A file ``frame-*.fits``, compressed by bzip2, gzip or not at all.
    coord : `~astropy.coordinates.SkyCoord` (N,), optional
        Centres of the stamps to be cut. Rows beyond all stamps are NaN. By default all rows are read.
    size : int, optional
        Side of those stamps (pixels).

    Returns
    -------
    `Frame`

    Raises
    ------
    FrameError
        If the file is empty, no FITS image, or ends before the last row that is needed.
    """
    try:
        with open_decompressed(path) as file:
            header = _header(file)
            wcs, shape = frame_wcs(header), _shape(header)
            rows = shape[0] if coord is None else _rows_needed(wcs, coord, size, shape[0])
            image = np.full(shape, np.nan, dtype=np.float32)
            if rows:
                image[:rows] = _first_rows(file, header, rows)
                _blank_missing(image)
            if coord is None or isinstance(file, gzip.GzipFile):
                file.read()  # gzip has its checksum at the end, bzip2 one for each block
        return Frame(image, wcs, bool(header.get(SIMULATED, False)))
    except _BROKEN as error:
        raise FrameError(f"{path} is broken, truncated or no frame: {error}") from error


def _blank_missing(image):
    """Put NaN where a frame holds no data. A frame without noise, which has no pixel below its sky, is left alone."""
    missing = missing_pixels(image)
    data = image[~missing & ~np.isnan(image)]
    if missing.any() and (not data.size or (data < 0).any()):
        image[missing] = np.nan


def read_header(path):
    """
    Read the header of a frame, decompressing little more.

    Parameters
    ----------
    path : str or path-like

    Returns
    -------
    `~astropy.io.fits.Header`

    Raises
    ------
    FrameError
        If the file is empty, truncated, or no FITS image.
    """
    try:
        with open_decompressed(path) as file:
            header = _header(file)
        frame_wcs(header), _shape(header)  # raise, if it is no frame
        return header
    except _BROKEN as error:
        raise FrameError(f"{path} has no header of a frame: {error}") from error


def _header(file):
    start = file.peek(9)[:9]
    if not start:
        raise EOFError("it is empty")
    if start.lstrip().startswith(b"<"):
        raise ValueError("it is a web page")
    if start != b"SIMPLE  =":
        raise ValueError(f"a FITS file does not begin with {start!r}")
    return fits.Header.fromfile(file)


def _shape(header):
    """Rows and columns of a frame's image."""
    shape = header["NAXIS2"], header["NAXIS1"]
    if not all(isinstance(n, int) and 0 < n <= _LARGEST for n in shape):
        raise ValueError(f"an image has no {shape[0]} x {shape[1]} pixels")
    return shape


def _rows_needed(wcs, coord, size, rows):
    """Number of rows, from the first of a frame, that stamps need."""
    _, y = wcs.all_world2pix(coord.ra.deg, coord.dec.deg, 0)
    # Frames of crossing scans are turned, and hold a corner of the stamp; NaN is on the other side of the sky.
    last = np.nan_to_num(y, nan=-np.inf) + size / np.sqrt(2) + MARGIN + 3
    return int(np.clip(np.ceil(last.max(initial=-np.inf)), 0, rows))


def _first_rows(file, header, rows):
    """First rows of an image whose header has been read."""
    shorter = header.copy()
    shorter["NAXIS2"] = rows
    n = abs(header["BITPIX"]) // 8 * header["NAXIS1"] * rows
    pixels = file.read(n)
    if len(pixels) < n:
        raise EOFError(f"it ends {n - len(pixels)} bytes too early")
    return fits.PrimaryHDU.fromstring(shorter.tostring().encode() + pixels).data


def frame_wcs(header):
    """
    Read a frame's place on the sky from its header.

    Parameters
    ----------
    header : `~astropy.io.fits.Header`

    Returns
    -------
    `~astropy.wcs.WCS`

    Raises
    ------
    KeyError
        If a keyword is missing.
    ValueError
        If the keywords give no place.
    """
    # Only the keywords of the WCS proper: the headers have others (RADECSYS, ...) at which wcslib warns.
    wcs = WCS({name: header[name] for name in _WCS_KEYWORDS} | {"RADESYS": "ICRS"}, fix=False)
    if not np.isfinite(wcs.all_pix2world(0, 0, 0)).all():
        raise ValueError("its keywords give no place on the sky")
    return wcs
