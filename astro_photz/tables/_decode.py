# Licensed under a 3-clause BSD style license - see LICENSE
"""
Decode text in any of the usual encodings.
"""

import codecs
import re

__all__ = ["decode"]

_MARKS = (  # UTF-32 first: its mark begins as that of UTF-16 does
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_CONTROL = re.compile(r"[\x00-\x08\x0e-\x19\x1c-\x1f]")
_LOOKED_AT = 4096  # bytes that tell UTF-16 without a mark


def decode(data):
    """
    Decode text: by its byte-order mark, as UTF-16 that lacks one, as UTF-8, or else as Windows' Latin-1.

    Bytes that are no text raise ValueError.

    >>> from astro_photz.tables._decode import decode
    >>> decode("Gödel".encode("utf-16-le")), decode("Gödel".encode("latin-1"))
    ('Gödel', 'Gödel')
    """
    encoding = _encoding(data)
    try:
        text = data.decode(encoding)
    except UnicodeDecodeError as error:
        raise ValueError(f"its text seems to be {encoding}, and is not: it may be cut short") from error
    text = text.rstrip("\x1a\x00")  # with which DOS and some downloads end
    if len(_CONTROL.findall(text, 0, _LOOKED_AT)) > 0 or "\x00" in text:
        raise ValueError(
            "it cannot be read as a table: binary data of no kind that is known here (FITS, HDF5, Parquet, VOTable); "
            "if astropy reads it, name the format: format=..."
        )
    return text


def _encoding(data):
    for mark, encoding in _MARKS:
        if data.startswith(mark):
            return encoding
    head = data[:_LOOKED_AT]
    even, odd = head[::2].count(0), head[1::2].count(0)
    if len(data) % 2 == 0 and odd > len(head) / 8 and not even:
        return "utf-16-le"
    if len(data) % 2 == 0 and even > len(head) / 8 and not odd:
        return "utf-16-be"
    for encoding in ("utf-8", "cp1252"):
        try:
            data.decode(encoding)
        except UnicodeDecodeError:
            continue
        return encoding
    return "latin-1"
