# Licensed under a 3-clause BSD style license - see LICENSE
"""
FITS files: a table, and an extension with the edges of the bins of redshift.

The extension ``Z_PHOT_EDGES``, of the prefix in capitals, is the array of edges; cards of its header say which model
and images made the redshifts. It is no second table: astropy would warn of one whenever the file is read.
"""

import errno
import io
import os
import re
from math import prod

from astropy.io import fits
from astropy.table import Table

from ._names import unique_names
from ._record import edges_of, split_records, with_edges

__all__ = ["checked_size", "extensions", "find_table", "read_fits", "with_comments", "write_fits"]

_CARDS = {  # of a record; others are cards of long names
    "astro_photz": "CREATOR",
    "model": "MODEL",
    "model_version": "MODELVER",
    "model_sha256": "MODELSHA",
    "trained_on": "TRAINED",
    "source": "SOURCE",
    "data_release": "DATAREL",
}
_TABLES = fits.BinTableHDU, fits.TableHDU
_PREFIX = "ZPREFIX"
_CARD = 72  # characters of a comment
_MOST_COLUMNS = 999  # of the standard
_MOST_HDUS = 1000
_MOST_BLOCKS = 1000  # of a header: 36,000 cards
_BLOCK = 2880
_SIZE = re.compile(rb"(BITPIX|NAXIS[0-9]{0,3}|PCOUNT|GCOUNT) *= *([+-]?[0-9]{1,18})(?![0-9])")
_MOST_EDGES = 10**6  # bytes


def read_fits(file):
    """
    Read the first table with rows; ValueError without a table, even if there are images.

    A table that declares more than its file holds is refused before memory is asked for.
    """
    size = checked_size(file)
    with fits.open(file, character_as_bytes=True, memmap=False) as hdus:
        hdu, edges = find_table(hdus, size)
        table = Table.read(hdu, format="fits", astropy_native=True, unit_parse_strict="silent")
        for one in edges:
            _take_record(table, one)
    return table


def checked_size(file):
    """Bytes of a file whose headers declare no more than it holds; ValueError for another."""
    with io.BytesIO(file.getbuffer()) if isinstance(file, io.BytesIO) else open(file, "rb") as opened:
        size = opened.seek(0, os.SEEK_END)
        opened.seek(0)
        _check_headers(opened, size)
    return size


def find_table(hdus, size):
    """Find the table that is read, whose columns get names of their own, and the extensions with edges."""
    found = list(hdus)
    tables = [hdu for hdu in found if isinstance(hdu, _TABLES) and not isinstance(hdu, fits.CompImageHDU)]
    if not tables:
        raise ValueError(f"it is a FITS file of {len(found)} image(s), without a table: give that of the galaxies")
    filled = [hdu for hdu in tables if hdu.header["NAXIS2"] and hdu.name != "LDAC_IMHEAD"]  # SExtractor's header
    hdu = next(iter(filled), tables[0])
    _name_columns(hdu)
    _check_size(hdu, size)
    images = [hdu for hdu in found if _PREFIX in hdu.header and type(hdu) is fits.ImageHDU]
    return hdu, [image for image in images if image.size <= _MOST_EDGES]


def _name_columns(hdu):
    """Give each column a name of its own."""
    header = hdu.header  # from which astropy makes the columns, once they are asked for
    if not 0 <= header["TFIELDS"] <= _MOST_COLUMNS:
        raise ValueError(f"its table has {header['TFIELDS']} columns (TFIELDS), and FITS {_MOST_COLUMNS} at most")
    numbers = range(1, header["TFIELDS"] + 1)
    names = [str(header.get(f"TTYPE{number}") or f"col{number}").strip() for number in numbers]
    for number, name in zip(numbers, unique_names(names), strict=True):
        header[f"TTYPE{number}"] = name


def _check_size(hdu, size):
    """Refuse a table whose rows, as astropy will read them, do not lie within its file."""
    rows, start = hdu.header["NAXIS2"], hdu.fileinfo()["datLoc"]
    width = max(hdu.columns.dtype.itemsize, hdu.header["NAXIS1"])
    if rows < 0 or start + rows * width > size:
        raise ValueError(
            f"it is cut short or broken: its table has {rows:,} rows of {width:,} bytes, which its {size:,} cannot hold"
        )


def _check_headers(file, size):
    """Refuse a header without an end and parts without number, over which astropy sits for long."""
    for _ in range(_MOST_HDUS):
        sizes, ended = {}, False
        for _ in range(_MOST_BLOCKS):
            block = file.read(_BLOCK)
            if not sizes and not block.startswith((b"SIMPLE", b"XTENSION")):
                return  # no header: astropy tells, if it matters
            sizes = {match[1]: int(match[2]) for card in _cards(block) if (match := _SIZE.match(card))} | sizes
            ended = any(card.rstrip() == b"END" for card in _cards(block))
            if ended or len(block) < _BLOCK:
                break
        else:
            raise ValueError(f"it has a header without an end within {_MOST_BLOCKS} blocks: it is broken, get it again")
        if not ended:
            return
        axes = [sizes.get(b"NAXIS%d" % axis, 0) for axis in range(1, min(sizes.get(b"NAXIS", 0), 999) + 1)]
        axes = axes[1:] if axes[:1] == [0] and len(axes) > 1 else axes  # random groups
        values = prod(axes) + sizes.get(b"PCOUNT", 0) if axes else 0
        nbytes = max(0, abs(sizes.get(b"BITPIX", 8)) // 8 * sizes.get(b"GCOUNT", 1) * values)
        end = file.tell() + nbytes
        if end > size:
            raise ValueError(f"it is cut short or broken: it declares {end:,} bytes, and has {size:,}: get it again")
        file.seek(-(-end // _BLOCK) * _BLOCK)
    if file.read(1):
        raise ValueError(f"it is a FITS file of more than {_MOST_HDUS} parts: give the table alone")


def _cards(block):
    return (block[start : start + 80] for start in range(0, len(block), 80))


def _take_record(table, hdu):
    prefix = hdu.header[_PREFIX]
    record = {key: hdu.header[card] for key, card in _CARDS.items() if card in hdu.header}
    table.meta[prefix] = with_edges(record, hdu.data)
    comments = [line for line in table.meta.get("comments", []) if not line.startswith(f"{prefix} ")]
    table.meta.pop("comments", None)
    if comments:
        table.meta["comments"] = comments


def write_fits(table, path):
    """Write a table, and an extension for each record of redshifts in its meta."""
    table, records = with_comments(table)
    try:
        table.write(path, format="fits", overwrite=True)
        with fits.open(path, mode="append") as hdus:
            hdus.extend(extensions(records))
    except OSError as error:
        if error.errno is None and "space on disk" in str(error):  # which astropy finds out itself
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)) from error
        raise


def with_comments(table):
    """Table with its records of redshifts as comments in its meta, and these records."""
    records, rest = split_records(table.meta)
    table = table.copy(copy_data=False)
    table.meta = rest
    before = rest.get("comments", [])
    comments = [before] if isinstance(before, str) else list(before)
    lines = [f"{prefix} {key}: {value}" for prefix, record in records.items() for key, value in record.items()]
    table.meta["comments"] = comments + [line for line in lines if len(line) <= _CARD and line.isascii()]
    return table, records


def extensions(records):
    """Extensions with the edges of records of redshifts."""
    return [_extension(prefix, record) for prefix, record in records.items()]


def _extension(prefix, record):
    hdu = fits.ImageHDU(edges_of(record), name=f"{prefix}_edges".upper())
    hdu.header[_PREFIX] = prefix, "of the columns' names"
    for key, value in record.items():
        if key in _CARDS:
            hdu.header[_CARDS[key]] = value if not isinstance(value, str) else ascii(value)[1:-1], key
    return hdu
