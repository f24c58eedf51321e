# Licensed under a 3-clause BSD style license - see LICENSE
"""
Kind and compression of a file, from its first bytes.
"""

import bz2
import gzip
import io
import lzma
import zlib

__all__ = ["PACKERS", "ROOM", "binary_kind", "is_packed", "refuse_known", "unpacked"]

PACKERS = {".gz": gzip, ".bz2": bz2, ".xz": lzma}
"""Modules that pack and unpack, by the ending of a file."""

ROOM = 256 * 2**20
"""Bytes that a file may declare, or unpack to, however small it is."""

_MOST_UNPACKED = 100  # bytes of a table in a packed byte
_MOST_TIMES = 5
_PIECE = 2**20
_PACKED = ((b"\x1f\x8b", gzip), (b"BZh", bz2), (b"\xfd7zXZ\x00", lzma))
_TABLES = ((b"SIMPLE  =", "fits"), (b"\x89HDF\r\n\x1a\n", "hdf5"), (b"PAR1", "parquet"))
_SAVE_AS = "save the table as CSV, FITS, VOTable or ECSV"
_NO_TABLES = (
    (b"PK\x03\x04", "a ZIP archive or an Excel workbook", f"unpack it, or {_SAVE_AS}"),
    (b"\xd0\xcf\x11\xe0", "an old Excel workbook", _SAVE_AS),
    (b"%PDF", "a PDF document", _SAVE_AS),
    (b"\x89PNG", "a picture (PNG)", _SAVE_AS),
    (b"\xff\xd8\xff", "a picture (JPEG)", _SAVE_AS),
    (b"\x93NUMPY", "an array of NumPy", "make it a table: Table(numpy.load(...)).write(...)"),
    (b"SQLite format 3", "an SQLite database", _SAVE_AS),
    (b"ARROW1", "a Feather file", "save the table as Parquet"),
    (b"#ASDF", "an ASDF file", _SAVE_AS),
    (b"\x28\xb5\x2f\xfd", "packed with zstd", "unpack it with unzstd"),
    (b"\x1f\x9d", "packed with compress (.Z)", "unpack it with uncompress"),
    (b"7z\xbc\xaf\x27\x1c", "a 7z archive", "unpack it"),
)


def unpacked(data):
    """
    Unpack bytes that gzip, bzip2 or xz have packed, once or more.

    Raise a ValueError if they are broken, cut short, or hold more than a table packs into them.

    >>> import bz2
    >>> from astro_photz.tables._unpack import unpacked
    >>> unpacked(bz2.compress(b"ra,dec"))
    b'ra,dec'
    """
    for _ in range(_MOST_TIMES):
        packer = next((packer for magic, packer in _PACKED if data.startswith(magic)), None)
        if packer is None:
            return data
        try:
            data = _content(packer, data)
        except (EOFError, OSError, lzma.LZMAError) as error:
            raise ValueError(f"it is packed with {packer.__name__}, and cut short or broken: get it again") from error
        except zlib.error as error:
            raise ValueError(f"it is packed with {packer.__name__}, and broken: get it again") from error
    raise ValueError(f"it is packed more than {_MOST_TIMES} times: unpack it")


def _content(packer, data):
    """Unpack once, piece by piece, so that no more memory is asked for than the content fills."""
    most = max(ROOM, _MOST_UNPACKED * len(data))
    content = bytearray()
    with packer.open(io.BytesIO(data)) as file:
        while piece := file.read(_PIECE):
            content += piece
            if len(content) > most:
                raise ValueError(
                    f"it is packed with {packer.__name__}, and its {len(data):,} bytes hold more than {most:,}, as no "
                    "table does: unpack it, if it is one"
                )
    return bytes(content)


def is_packed(head):
    """Check whether a file begins like a packed one."""
    return head.startswith(tuple(magic for magic, _ in _PACKED))


def binary_kind(head):
    """Format of a binary table, by astropy's name, from the first bytes of its file; None for anything else."""
    return next((kind for magic, kind in _TABLES if head.startswith(magic)), None)


def refuse_known(head):
    """Refuse a file of a well-known kind that holds no table, by a ValueError."""
    for magic, what, remedy in _NO_TABLES:
        if head.startswith(magic):
            raise ValueError(f"it is {what}: {remedy}")
    if head[257:262] == b"ustar":
        raise ValueError("it is a tar archive: unpack it")
