# Licensed under a 3-clause BSD style license - see LICENSE
"""
FITS files: a table, and an extension with the edges of the bins of redshift.

The extension ``Z_PHOT_EDGES``, of the prefix in capitals, is the array of edges; cards of its header say which model
and images made the redshifts. It is no second table: astropy would warn of one whenever the file is read.
"""

import errno
import os

from astropy.io import fits
from astropy.table import Table

from ._names import unique_names
from ._record import edges_of, split_records, with_edges

__all__ = ["read_fits", "write_fits"]

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


def read_fits(file):
    """Read the first table with rows; ValueError without a table, even if there are images."""
    with fits.open(file, character_as_bytes=True, memmap=False) as hdus:
        edges = [hdu for hdu in hdus if _PREFIX in hdu.header]
        tables = [hdu for hdu in hdus if isinstance(hdu, _TABLES) and not isinstance(hdu, fits.CompImageHDU)]
        if not tables:
            raise ValueError(f"it is a FITS file of {len(hdus)} image(s), without a table: give that of the galaxies")
        filled = [hdu for hdu in tables if hdu.header["NAXIS2"] and hdu.name != "LDAC_IMHEAD"]  # SExtractor's header
        hdu = next(iter(filled), tables[0])
        header = hdu.header  # from which astropy makes the columns, once they are asked for
        numbers = range(1, header["TFIELDS"] + 1)
        names = [str(header.get(f"TTYPE{number}") or f"col{number}").strip() for number in numbers]
        for number, name in zip(numbers, unique_names(names), strict=True):
            header[f"TTYPE{number}"] = name
        table = Table.read(hdu, format="fits", astropy_native=True, unit_parse_strict="silent")
        for hdu in edges:
            _take_record(table, hdu)
    return table


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
    records, rest = split_records(table.meta)
    table = table.copy(copy_data=False)
    table.meta = rest
    before = rest.get("comments", [])
    comments = [before] if isinstance(before, str) else list(before)
    lines = [f"{prefix} {key}: {value}" for prefix, record in records.items() for key, value in record.items()]
    table.meta["comments"] = comments + [line for line in lines if len(line) <= _CARD and line.isascii()]
    try:
        table.write(path, format="fits", overwrite=True)
        with fits.open(path, mode="append") as hdus:
            hdus.extend([_extension(prefix, record) for prefix, record in records.items()])
    except OSError as error:
        if error.errno is None and "space on disk" in str(error):  # which astropy finds out itself
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)) from error
        raise


def _extension(prefix, record):
    hdu = fits.ImageHDU(edges_of(record), name=f"{prefix}_edges".upper())
    hdu.header[_PREFIX] = prefix, "of the columns' names"
    for key, value in record.items():
        if key in _CARDS:
            hdu.header[_CARDS[key]] = value if not isinstance(value, str) else ascii(value)[1:-1], key
    return hdu
