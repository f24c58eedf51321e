# Licensed under a 3-clause BSD style license - see LICENSE
"""
Frames that are wrong in one way, for tests and for fuzzing.

`REFUSED` holds the ways for which a frame is broken: functions from the bytes of a sound frame, which is not
compressed, to those of a broken one. `HARMLESS` holds those that no one should notice.
"""

import bz2
import gzip
import io

import numpy as np
from astropy.io import fits

__all__ = ["BLOCK", "HARMLESS", "REFUSED", "change_bytes", "with_card"]

BLOCK = 2880
"""Bytes of a block of a FITS file."""

_CARD = 80


def with_card(keyword, value):
    """Change the text of a card, comment and all; a card that is not there is put before the end."""

    def change(frame):
        text = f"{keyword:<8}= {value}".encode("latin-1").ljust(_CARD)[:_CARD]
        place = frame.find(f"{keyword:<8}=".encode())
        if place < 0:
            place = frame.find(b"END" + b" " * 77)
            return frame[:place] + text + frame[place : place + _CARD] + frame[place + 2 * _CARD :]
        return frame[:place] + text + frame[place + _CARD :]

    return change


def _size(columns, rows):
    return lambda frame: with_card("NAXIS1", columns)(with_card("NAXIS2", rows)(frame))


def _matrix(scale):
    """Pixels of another size (degrees)."""

    def change(frame):
        for name, value in {"CD1_1": scale, "CD1_2": 0.0, "CD2_1": 0.0, "CD2_2": scale}.items():
            frame = with_card(name, value)(frame)
        return frame

    return change


def _without_end(filling):
    def change(frame):
        place = frame.find(b"END" + b" " * 77)
        return frame[:place] + filling * (2**20 // len(filling))

    return change


def _many_streams(packer):
    """Streams without content, one behind the other, after a sound beginning."""

    def change(frame):
        return packer.compress(frame[:BLOCK]) + packer.compress(b"") * 200_000

    return change


def _no_image(frame):
    file = io.BytesIO()
    table = fits.BinTableHDU.from_columns([fits.Column("a", "J", array=[1])])
    fits.HDUList([fits.PrimaryHDU(), table]).writeto(file)
    return file.getvalue()


def _image_in_an_extension(frame):
    file = io.BytesIO()
    with fits.open(io.BytesIO(frame)) as hdus:
        fits.HDUList([fits.PrimaryHDU(), fits.ImageHDU(hdus[0].data, hdus[0].header)]).writeto(file)
    return file.getvalue()


def _long_tail(packer):
    return lambda frame: packer.compress(frame + bytes(20 * 2**20))


_NUMBERS = ("T", "'0.5'", "", "1e999", "-1e999", "NaN", "(1.0, 2.0)", "1.0.0", "0x10", "1_000", "1e400")

REFUSED = {
    "2**31 columns": _size(2**31, 10),
    "2**31 rows": _size(10, 2**31),
    "2**31 columns and rows": _size(2**31, 2**31),
    "300,000 columns and rows": _size(300_000, 300_000),
    "20,000 columns and rows": _size(20_000, 20_000),
    "columns of 60 digits": _size("9" * 60, 10),
    "no columns": _size(0, 10),
    "-1 rows": _size(10, -1),
    "more rows than pixels": _size(2048, 1489),
    "1 axis": with_card("NAXIS", 1),
    "3 axes": with_card("NAXIS", 3),
    "999 axes": with_card("NAXIS", 999),
    "-2 axes": with_card("NAXIS", -2),
    "header without an end, blank": _without_end(b" "),
    "header without an end, of comments": _without_end(b"COMMENT for ever".ljust(_CARD)),
    "header without an end, of cards": _without_end(b"CRVAL1  = 1.0".ljust(_CARD)),
    "header without an end, of zeros": _without_end(b"\0"),
    "header without an end, packed": lambda frame: gzip.compress(_without_end(b" ")(frame) + bytes(2**22)),
    "header without an end, packed by bzip2": lambda frame: bz2.compress(_without_end(b" ")(frame) + bytes(2**22)),
    "header that is cut short": lambda frame: frame[:BLOCK],
    "streams without content of gzip": _many_streams(gzip),
    "streams without content of bzip2": _many_streams(bz2),
    "long tail of gzip": _long_tail(gzip),
    "long tail of bzip2": _long_tail(bz2),
    "no image": _no_image,
    "image in an extension": _image_in_an_extension,
    "packed twice": lambda frame: gzip.compress(bz2.compress(frame)),
    "no axes of the sky": lambda frame: with_card("CTYPE1", "'LINEAR'")(with_card("CTYPE2", "'LINEAR'")(frame)),
    "axes that are exchanged": lambda frame: with_card("CTYPE1", "'DEC--TAN'")(
        with_card("CTYPE2", "'RA---TAN'")(frame)
    ),
    "two kinds of projection": with_card("CTYPE2", "'DEC--SIN'"),
    "a projection that is none": lambda frame: with_card("CTYPE1", "'RA---XXX'")(
        with_card("CTYPE2", "'DEC--XXX'")(frame)
    ),
    "no scale": lambda frame: with_card("BSCALE", 0.0)(frame),
    "declination 295": with_card("CRVAL2", 295.0),
    "right ascension 1e300": with_card("CRVAL1", 1e300),
    "pixels of a degree": with_card("CD1_1", 1.0),
    "pixels of no number": with_card("CD1_1", -9.8e304),
    "pixels of nothing": _matrix(0.0),
    "pixels of 1e-300": _matrix(1e-300),
    "pixels of 1e300": _matrix(1e300),
}
"""Ways by which a frame is broken, by what is wrong."""

REFUSED |= {f"BITPIX = {value}": with_card("BITPIX", value) for value in (0, 1, 7, 33, -31, 2**31, "T", "'-32'", "")}
REFUSED |= {f"NAXIS = {value}": with_card("NAXIS", value) for value in ("T", "'2'", "2.0", "")}
REFUSED |= {f"NAXIS1 = {value}": with_card("NAXIS1", value) for value in ("T", "'100'", "100.0", "", "NaN")}
REFUSED |= {
    f"{name} = {value}": with_card(name, value) for name in ("CTYPE1", "CTYPE2") for value in (5, "T", "", "''")
}
REFUSED |= {
    f"{name} = {value}": with_card(name, value)
    for name in ("CRVAL1", "CRVAL2", "CRPIX1", "CD1_1", "CD2_1")
    for value in _NUMBERS
}
REFUSED |= {f"BSCALE = {value}": with_card("BSCALE", value) for value in ("'1'", "T")}


def _before_end(text):
    """Put cards before the end, and fill the block."""

    def change(frame):
        place = frame.find(b"END" + b" " * 77)
        header = frame[:place] + text
        header += b"END".ljust(_CARD)
        header = header.ljust(-(-len(header) // BLOCK) * BLOCK)
        return header + frame[-(-(place + _CARD) // BLOCK) * BLOCK :]

    return change


HARMLESS = {
    "comments": _before_end(b"COMMENT nothing".ljust(_CARD) * 500),
    "blank cards": _before_end(b" " * _CARD * 500),
    "a long text": _before_end(
        b"LONG    = 'begins &'".ljust(_CARD) + b"CONTINUE  'goes on &'".ljust(_CARD) + b"CONTINUE  'ends'".ljust(_CARD)
    ),
    "a text that goes on nowhere": _before_end(b"CONTINUE  'ends'".ljust(_CARD) + b"CONTINUE".ljust(_CARD)),
    "not of ASCII": _before_end("AUTHOR  = 'Gödel'".encode("latin-1").ljust(_CARD)),
    "bytes that are no text": _before_end(bytes(range(128, 208))),
    "a card that is none": _before_end(b"NOTHING = ~!@#".ljust(_CARD)),
    "a keyword that is none": _before_end(b"lower c = 5".ljust(_CARD)),
    "a hierarchical card": _before_end(b"HIERARCH ESO much longer than eight = 5".ljust(_CARD)),
    "a keyword twice": _before_end(b"NAXIS1  = 7".ljust(_CARD) + b"CRVAL1  = 'x'".ljust(_CARD)),
    "a rerun that is no number": with_card("RERUN", "'three'"),
    "a rerun of 40 digits": with_card("RERUN", "9" * 40),
    "a rerun that is infinite": with_card("RERUN", "1e999"),
    "a rerun that is true": with_card("RERUN", "T"),
    "BLANK of floating-point numbers": with_card("BLANK", -999),
    "BLANK that is none": with_card("BLANK", "'none'"),
    "groups": with_card("GROUPS", "T"),
    "a size of the extension": with_card("PCOUNT", 10**12),
    "a tail": lambda frame: frame + b"nothing of FITS",
}
"""Ways by which a frame is odd, and can be read."""


def change_bytes(content, *, seed, most=8):
    """Change some bytes of a file, drawn at random, most of them in its header; some files are cut short."""
    rng = np.random.default_rng(seed)
    changed = bytearray(content)
    for _ in range(rng.integers(1, most + 1)):
        place = int(min(len(changed), 3 * BLOCK) * rng.random()) if rng.random() < 0.9 else rng.integers(len(changed))
        changed[place] = rng.integers(256) if rng.random() < 0.5 else rng.choice(list(b" '0123456789TE=.-+/"))
    if rng.random() < 0.1:
        del changed[int(len(changed) * rng.random()) :]
    return bytes(changed)
