# Licensed under a 3-clause BSD style license - see LICENSE
"""
Headers of frames, read card by card: what no header may say is refused before memory is asked for.

Only cards of a plain value (text, number, truth) count. Comments, continued texts and cards that are no FITS are left
out, so that nothing in a header can make astropy warn or stop.
"""

import math
import re

import numpy as np
from astropy.io import fits
from astropy.wcs import WCS

from astro_photz.sdss import PIXEL_SCALE

__all__ = ["BLOCK", "MOST_BLOCKS", "MOST_PIXELS", "check_image", "frame_wcs", "parse_cards"]

BLOCK = 2880
"""Bytes of a block of a FITS file."""

MOST_BLOCKS = 64
"""Largest header, in blocks: 2,304 cards. Those of the survey have 96 cards."""

MOST_PIXELS = 2 * 2048 * 1489
"""Largest image, in pixels: twice a frame of the survey."""

_LARGEST = 4096  # pixels along a side
_TYPES = (8, 16, 32, 64, -32, -64)  # BITPIX of the standard
_CARD_LENGTH = 80
_VALUE = re.compile(
    rb" *(?:'(?P<text>(?:[ -&(-~]|'')*)'|(?P<truth>[TF])|(?P<whole>[+-]?[0-9]+)"
    rb"|(?P<real>[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[EeDd][+-]?[0-9]+)?)) *(?:/.*)?",
    re.DOTALL,
)
_KEYWORD = re.compile(rb"[A-Z0-9_-]{1,8} *")
_NO_VALUES = ("COMMENT", "CONTINUE", "HIERARCH", "HISTORY")
_MATRIX = ("CD1_1", "CD1_2", "CD2_1", "CD2_2")
_SCALES = 0.5, 2.0  # of the survey's pixels, between which those of a frame lie


def parse_cards(block):
    """
    Parse one block of a header.

    Parameters
    ----------
    block : bytes

    Returns
    -------
    cards : list of (str, object)
        Keywords and their values: str, bool, int or a finite float.
    ended : bool
        Whether the header ends in this block.
    """
    cards = []
    for start in range(0, len(block), _CARD_LENGTH):
        card = block[start : start + _CARD_LENGTH]
        if card[:8] == b"END     ":
            return cards, True
        if card[8:10] == b"= " and _KEYWORD.fullmatch(card[:8]) and (match := _VALUE.fullmatch(card[10:])):
            keyword, value = card[:8].decode().rstrip(), _value(match)
            if value is not None and keyword not in _NO_VALUES:
                cards.append((keyword, value))
    return cards, False


def _value(match):
    if match["text"] is not None:
        return match["text"].decode().replace("''", "'").rstrip()
    if match["truth"]:
        return match["truth"] == b"T"
    if match["whole"]:
        return int(match["whole"])
    real = float(match["real"].decode().upper().replace("D", "E"))
    return real if math.isfinite(real) else None


def check_image(header):
    """
    Read the shape of an image, which must be one that a frame can have.

    Parameters
    ----------
    header : `~astropy.io.fits.Header`

    Returns
    -------
    shape : tuple of int
        Rows and columns.
    layout : `~astropy.io.fits.Header`
        The cards by which pixels are stored, and no others.

    Raises
    ------
    ValueError
        If a card is missing, or has a value that no frame has.
    """
    axes, bits, columns, rows = (_whole(header, name) for name in ("NAXIS", "BITPIX", "NAXIS1", "NAXIS2"))
    if axes != 2:
        raise ValueError(f"its image has {axes} axes (NAXIS), not 2")
    if bits not in _TYPES:
        raise ValueError(f"its pixels have {bits} bits (BITPIX), which FITS does not know")
    if not (0 < rows <= _LARGEST and 0 < columns <= _LARGEST and rows * columns <= MOST_PIXELS):
        raise ValueError(f"a frame has no {columns} x {rows} pixels (NAXIS1, NAXIS2)")
    cards = [("SIMPLE", True), ("BITPIX", bits), ("NAXIS", 2), ("NAXIS1", columns), ("NAXIS2", rows)]
    cards += [(name, _number(header, name)) for name in ("BSCALE", "BZERO") if name in header]
    if header.get("BSCALE") == 0:
        raise ValueError("its pixels are scaled by 0 (BSCALE)")
    blank = header.get("BLANK")
    if bits > 0 and type(blank) is int and -(2 ** (bits - 1)) <= blank < 2 ** (bits - 1):
        cards.append(("BLANK", blank))
    return (rows, columns), fits.Header(cards)


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
    ValueError
        If a card is missing, or the cards give no place that a frame can have.
    """
    # Only the keywords of the WCS proper: the headers have others (RADECSYS, ...) at which wcslib warns.
    types = {name: _text(header, name) for name in ("CTYPE1", "CTYPE2")}
    names = ("CRPIX1", "CRPIX2", "CRVAL1", "CRVAL2", *_MATRIX)
    numbers = {name: float(_number(header, name)) for name in names}
    if not (types["CTYPE1"].startswith("RA--") and types["CTYPE2"].startswith("DEC-")):
        raise ValueError(f"its axes (CTYPE1, CTYPE2) are {' and '.join(types.values())}, not RA and Dec")
    if not (abs(numbers["CRVAL1"]) <= 360 and abs(numbers["CRVAL2"]) <= 90):
        raise ValueError(f"it lies at no place of the sky: {numbers['CRVAL1']}, {numbers['CRVAL2']} (CRVAL1, CRVAL2)")
    matrix = np.reshape([numbers[name] for name in _MATRIX], (2, 2))
    with np.errstate(over="ignore"):
        scales = np.linalg.svd(matrix, compute_uv=False) * 3600 / PIXEL_SCALE
    if not (_SCALES[0] < scales.min() and scales.max() < _SCALES[1]):
        raise ValueError(f"its pixels (CD1_1 to CD2_2) are not the {PIXEL_SCALE} arcsec of the survey")
    wcs = WCS(types | numbers | {"RADESYS": "ICRS"}, fix=False)
    if not np.isfinite(wcs.all_pix2world(0, 0, 0)).all():
        raise ValueError("its keywords give no place on the sky")
    return wcs


def _card(header, name):
    if name not in header:
        raise ValueError(f"its header lacks {name}, or gives it no value")
    return header[name]


def _whole(header, name):
    value = _card(header, name)
    if type(value) is not int:  # a truth is an int
        raise ValueError(f"its {name} is {value!r}, not a whole number")
    return value


def _number(header, name):
    value = _card(header, name)
    if type(value) not in (int, float):
        raise ValueError(f"its {name} is {value!r}, not a number")
    return value


def _text(header, name):
    value = _card(header, name)
    if not isinstance(value, str):
        raise ValueError(f"its {name} is {value!r}, not a text")
    return value
