# Licensed under a 3-clause BSD style license - see LICENSE
"""
Read SDSS frames from their files: the image as far as it is needed, and its place on the sky.
"""

import bz2
import gzip
import io
import os
import stat
import zlib
from dataclasses import dataclass

import numpy as np
from astropy.io import fits
from astropy.wcs import WCS

from astro_photz.utils._suggestions import first_line

from ._frame_header import BLOCK, MOST_BLOCKS, check_image, frame_wcs, parse_cards
from .missing import impossible, missing_pixels
from .resampling import MARGIN

__all__ = [
    "MOST_TAIL",
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

MOST_TAIL = 16 * 2**20
"""Bytes that may follow the image: the extensions of a frame have 0.3 million."""

_OPENERS = {b"BZh": bz2.open, b"\x1f\x8b\x08": gzip.open}
_PIECE = 2**20  # bytes read at once, so that no more memory is asked for than the file fills
# Bytes of a compressed file that may be read ahead of the decompressed ones: a block of bzip2 has 0.9 million.
_AHEAD = 1_200_000
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
    with _open_regular(path) as file:
        opener = _OPENERS.get(file.read(3), open)
    return opener(path, "rb")


def _open_regular(path):
    """Open a file, but no pipe, on which one would wait for ever, nor a device."""
    nonblocking = getattr(os, "O_NONBLOCK", 0)
    file = open(path, "rb", opener=lambda name, flags: os.open(name, flags | nonblocking))  # noqa: SIM115 - the caller closes it
    if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
        file.close()
        raise ValueError("it is a pipe or a device, not a file")
    return file


class _FrameFile:
    """The decompressed bytes of a frame, read from its start: memory and time go with what is asked for."""

    def __init__(self, given):
        self._file = self._source = (
            io.BufferedReader(io.BytesIO(given)) if isinstance(given, bytes) else _open_regular(given)
        )
        opener = _OPENERS.get(self._source.peek(3)[:3])
        self.is_gzip = opener is gzip.open
        self.is_packed = opener is not None
        if opener:
            self._packed = _Metered(self._source)
            self._file = opener(self._packed, "rb")

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        self._file.close()
        self._source.close()

    def read(self, n):
        """Read n bytes, or fewer at the end of the file."""
        pieces = []
        while n > 0 and (piece := self._piece(n)):
            pieces.append(piece)
            n -= len(piece)
        return b"".join(pieces)

    def drain(self, most):
        """Read to the end, by which gzip and bzip2 check what they hold; ValueError if it is far off."""
        while piece := self._piece(_PIECE):
            most -= len(piece)
            if most < 0:
                raise ValueError(f"more than {MOST_TAIL} bytes follow its image")

    def _piece(self, n):
        n = min(n, _PIECE)
        if self.is_packed:
            self._packed.allowed += 2 * n
        return self._file.read(n)


class _Metered:
    """A compressed file that must yield content: one of empty streams would be read for ever."""

    def __init__(self, file):
        self._file = file
        self.allowed = _AHEAD

    def read(self, n):
        data = self._file.read(n)
        self.allowed -= len(data)
        if self.allowed < 0:
            raise ValueError("its compressed bytes hold next to nothing")
        return data


def read_frame(given, *, coord=None, size=0):
    """
    Read a frame into memory, as far as it is needed.

    Decompression takes most of the time, and goes row by row. It stops at the last row that a stamp needs.

    Parameters
    ----------
    given : str, path-like or bytes
        A file ``frame-*.fits``, or what is in it, compressed by bzip2, gzip or not at all.
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
        If the file is empty, no FITS image of the size and scale of a frame, or ends before the last row that is
        needed; if it is a pipe or a device.
    """
    try:
        with _FrameFile(given) as file:
            header = _header(file)
            wcs = frame_wcs(header)
            shape, layout = check_image(header)
            rows = shape[0] if coord is None else _rows_needed(wcs, coord, size, shape[0])
            image = _first_rows(file, layout, rows)
            if (coord is None and file.is_packed) or file.is_gzip:  # gzip has its checksum at the end
                file.drain(_nbytes(layout, shape[0] - rows) + MOST_TAIL)
        return Frame(image, wcs, bool(header.get(SIMULATED, False)))
    except _BROKEN as error:
        name = "the file" if isinstance(given, bytes) else given
        raise FrameError(f"{name} is broken, truncated or no frame: {first_line(error)}") from error


def _blank_missing(image):
    """
    Put NaN where a frame holds no data.

    Regions of one value count as data in a frame without noise, which has no pixel below its sky.
    """
    missing = missing_pixels(image)
    image[impossible(image)] = np.nan
    if missing.any() and ((image < 0)[~missing].any() or np.isnan(image[~missing]).all()):
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
        with _FrameFile(path) as file:
            header = _header(file)
        frame_wcs(header), check_image(header)  # raise, if it is no frame
        return header
    except _BROKEN as error:
        raise FrameError(f"{path} has no header of a frame: {first_line(error)}") from error


def _header(file):
    """Header of the primary image, read no further than that of a frame goes."""
    cards, ended = [], False
    for number in range(MOST_BLOCKS):
        block = file.read(BLOCK)
        if number == 0:
            _check_start(block)
        if len(block) < BLOCK:
            raise EOFError("it ends within its header")
        found, ended = parse_cards(block)
        cards += found
        if ended:
            return fits.Header(cards)
    raise ValueError(f"its header has no end within {MOST_BLOCKS} blocks")


def _check_start(block):
    if not block:
        raise EOFError("it is empty")
    if block.lstrip().startswith(b"<"):
        raise ValueError("it is a web page")
    if not block.startswith(b"SIMPLE  ="):
        raise ValueError(f"a FITS file does not begin with {block[:9]!r}")


def _rows_needed(wcs, coord, size, rows):
    """Number of rows, from the first of a frame, that stamps need."""
    _, y = wcs.all_world2pix(coord.ra.deg, coord.dec.deg, 0)
    # Frames of crossing scans are turned, and hold a corner of the stamp; NaN is on the other side of the sky.
    last = np.nan_to_num(y, nan=-np.inf) + size / np.sqrt(2) + MARGIN + 3
    return int(np.clip(np.ceil(last.max(initial=-np.inf)), 0, rows))


def _nbytes(layout, rows):
    """Bytes that rows of an image take in its file."""
    return abs(layout["BITPIX"]) // 8 * layout["NAXIS1"] * rows


def _first_rows(file, layout, rows):
    """Image whose first rows are read from a file that stands at its pixels; NaN in the others."""
    nbytes = _nbytes(layout, rows)
    pixels = file.read(nbytes)
    if len(pixels) < nbytes:
        raise EOFError(f"it ends {nbytes - len(pixels)} bytes too early")
    image = np.full((layout["NAXIS2"], layout["NAXIS1"]), np.nan, dtype=np.float32)
    if rows:
        layout["NAXIS2"] = rows
        with np.errstate(over="ignore", invalid="ignore"):  # of a scale that no frame has: such pixels hold no data
            image[:rows] = fits.PrimaryHDU.fromstring(layout.tostring().encode() + pixels).data
        _blank_missing(image)
    return image
