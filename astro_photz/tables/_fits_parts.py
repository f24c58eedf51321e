# Licensed under a 3-clause BSD style license - see LICENSE
"""
FITS tables, some rows at a time.

Some rows of a file are a small file in memory: the same headers with another number of rows. Reading and writing such
files is left to `astro_photz.tables._fits`.
"""

import io
import re

from astropy.io import fits

from ._fits import checked_size, extensions, find_table, read_fits, with_comments

__all__ = ["FITSRows", "FITSStream"]

_CARD, _BLOCK = 80, 2880  # bytes
_VALUE = 30  # bytes of a card up to its comment
_LISTS = re.compile(r"\d*[PQ]")  # of a column whose values lie behind the table


class FITSRows:
    """Rows of the table in a FITS file; ValueError if they cannot be read by themselves."""

    def __init__(self, path):
        self._path = path
        size = checked_size(path)
        with fits.open(path, character_as_bytes=True, memmap=False) as hdus:
            hdu, edges = find_table(hdus, size)
            header = hdu.header
            self.rows, self.row_nbytes = header["NAXIS2"], header["NAXIS1"]
            lists = any(_LISTS.match(str(value)) for value in header["TFORM*"].values())
            plain = type(hdu) is fits.BinTableHDU and not lists and not header["PCOUNT"] and header["GCOUNT"] == 1
            if not plain or hdu.columns.dtype.itemsize != self.row_nbytes:
                raise ValueError("its rows do not stand alone")
            places = [one.fileinfo() for one in (hdu, *edges)]
        self._first = places[0]["datLoc"]
        with open(path, "rb") as file:
            self._header = _read(file, places[0]["hdrLoc"], places[0]["datLoc"])
            ends = [(place["hdrLoc"], place["datLoc"] + place["datSpan"]) for place in places[1:]]
            self._edges = b"".join(_padded(_read(file, *end)) for end in ends)

    def read(self, start, stop):
        """Table of some rows."""
        with open(self._path, "rb") as file:
            begin = self._first + start * self.row_nbytes
            data = _read(file, begin, begin + (stop - start) * self.row_nbytes)
        primary = fits.PrimaryHDU().header.tostring().encode("ascii")
        content = primary, _with_rows(self._header, stop - start), _padded(data), self._edges
        return read_fits(io.BytesIO(b"".join(content)))


class FITSStream:
    """FITS file that is written some rows at a time."""

    def __init__(self, path, seed, rows):
        self._records = with_comments(seed)[1]
        self._primary, self._header, _ = _laid_out(seed)
        self._written = 0
        self._file = open(path, "wb")  # noqa: SIM115 - closed by `close`
        try:
            self._file.write(self._primary + _with_rows(self._header, rows))
        except BaseException:
            self.close()
            raise

    def append(self, table, skip):
        """Write the rows of a table but the first ones."""
        primary, header, data = _laid_out(table)
        if _with_rows(header, 0) != _with_rows(self._header, 0) or primary != self._primary:
            raise ValueError(f"{_other_card(header, self._header)} is another than in the rows before")
        width = len(data) // max(1, len(table))
        self._written += self._file.write(memoryview(data)[skip * width :])

    def complete(self):
        """Write what stands behind the rows."""
        self._file.write(bytes(-self._written % _BLOCK))
        behind = io.BytesIO()
        fits.HDUList([fits.PrimaryHDU(), *extensions(self._records)]).writeto(behind)
        self._file.write(behind.getvalue()[_BLOCK:])

    def close(self):
        """Close the file."""
        self._file.close()


def _read(file, start, stop):
    file.seek(start)
    data = file.read(stop - start)
    if len(data) < stop - start:
        raise ValueError("it is cut short")
    return data


def _padded(data):
    return data + bytes(-len(data) % _BLOCK)


def _with_rows(header, rows):
    """Bytes of a header with another number of rows."""
    cards = [header[start : start + _CARD] for start in range(0, len(header), _CARD)]
    number = next(number for number, card in enumerate(cards) if card.startswith(b"NAXIS2  ="))
    comment = cards[number][_VALUE:] if cards[number][_VALUE:].startswith(b" / ") else b""
    cards[number] = (f"NAXIS2  = {rows:>20}".encode() + comment).ljust(_CARD)
    return b"".join(cards)


def _laid_out(table):
    """Headers and rows of a table, as bytes."""
    file = io.BytesIO()
    with_comments(table)[0].write(file, format="fits")
    with fits.open(io.BytesIO(file.getvalue()), memmap=False) as hdus:
        place = hdus[1].fileinfo()
        nbytes = hdus[1].header["NAXIS1"] * hdus[1].header["NAXIS2"]
    content = file.getvalue()
    start, data = place["hdrLoc"], place["datLoc"]
    return content[:start], content[start:data], content[data : data + nbytes]


def _other_card(header, other):
    """First card in which two headers differ."""
    cards = [header[start : start + _CARD] for start in range(0, len(header), _CARD)]
    others = [other[start : start + _CARD] for start in range(0, len(other), _CARD)]
    pairs = zip(cards, others, strict=False)
    found = (card for card, begun in pairs if card != begun and not card.startswith(b"NAXIS2"))
    return next(found, b"a card").decode("ascii", "replace").strip()
