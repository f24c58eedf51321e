# Licensed under a 3-clause BSD style license - see LICENSE
"""
HDF5 files that others wrote: what no file may make its reader do is refused before a value is read.

A name may lead to another file or in circles. A data set may take its values from any file of this machine, declare
more than memory holds, be packed so that a row takes hours, or hold references instead of numbers. An attribute may be
anything. All of it is looked at here, by HDF5's description of it alone.
"""

import struct
from io import SEEK_END, BytesIO
from math import ceil, prod
from pathlib import Path

import h5py
import numpy as np
from h5py import h5a, h5d, h5l, h5o, h5t, h5z

from ._suggestions import first_line

__all__ = [
    "MOST_UNPACKED",
    "ROOM",
    "NotHDF5",
    "OpenFile",
    "attribute",
    "check_dataset",
    "check_whole",
    "find",
    "first_names",
    "open_hdf5",
    "row_cost",
    "size_of",
    "unwritten_rows",
]

ROOM = 256 * 2**20
"""Bytes that a data set may declare, however small its file is: what was never written takes no room in it."""

MOST_UNPACKED = 1100
"""Bytes that a byte of a file may unpack to: gzip packs by 1032 at most."""

_SCANNED = 256 * 2**20  # bytes of a file that is looked through for heaps without an end
_PIECE = 2**20  # bytes of a file that are looked through at once
_MOST_COST = 128 * 2**20  # bytes that one row may make HDF5 unpack
_CACHED = 8 * 2**20  # chunks up to this size may be read whole though they are not packed
_LONGEST = 1000  # bytes of a text
_MOST_LINKS = 16
_MOST_VALUES = 1000  # of an attribute
_HEAP = b"GCOL\x01\0\0\0"  # begins a heap, of lengths of 8 bytes
_NUMBERS = (h5t.INTEGER, h5t.FLOAT, h5t.ENUM)
_CLASSES = {
    h5t.COMPOUND: "a table",
    h5t.REFERENCE: "references",
    h5t.VLEN: "lists",
    h5t.ARRAY: "arrays",
    h5t.OPAQUE: "bytes without a meaning",
    h5t.BITFIELD: "bits",
    h5t.TIME: "times",
}


class NotHDF5(OSError):
    """A file that is not HDF5, or not whole."""


class OpenFile(h5py.File):
    """An HDF5 file open for reading, which remembers what takes long to find out."""

    def __init__(self, path, **options):
        super().__init__(path, "r", **options)
        self.unwritten = {}


def open_hdf5(path, **options):
    """
    Open an HDF5 file for reading, `OpenFile`: its path, or its content as a BytesIO.

    Raise FileNotFoundError if it is no file, NotHDF5 if it is not HDF5 or cut short, and OSError if it is locked.
    """
    if not isinstance(path, BytesIO) and not Path(path).is_file():
        raise FileNotFoundError(f"no file {path}")
    if _has_endless_heap(path):
        raise OSError(f"{'it' if isinstance(path, BytesIO) else path} is broken: its texts have no end; get it again")
    try:
        return OpenFile(path, **options)
    except (PermissionError, BlockingIOError):
        raise
    except Exception as error:  # a damaged file raises errors of many classes
        raise NotHDF5(f"{path} is not an HDF5 file, or it is cut short: {first_line(error)}") from error


def _has_endless_heap(path):
    """
    Tell whether HDF5 would read a heap of texts for ever, which has a part that takes no room (HDF5 2.0 looks not).

    Large files, which are no file of settings or results, are not looked through.
    """
    if isinstance(path, BytesIO):
        content = path.getvalue()
        return any(_is_endless(BytesIO(content), start) for start in _heaps(BytesIO(content)))
    if Path(path).stat().st_size > _SCANNED:
        return False
    with open(path, "rb") as file, open(path, "rb") as heap:
        return any(_is_endless(heap, start) for start in _heaps(file))


def _heaps(file):
    """Yield where heaps may begin in an open file, which is read piece by piece: what is mapped counts as memory."""
    before, place = b"", 0
    while piece := file.read(_PIECE):
        content = before + piece
        start = content.find(_HEAP)
        while start >= 0:
            yield place - len(before) + start
            start = content.find(_HEAP, start + 1)
        place += len(piece)
        before = content[1 - len(_HEAP) :]


def _is_endless(file, start):
    whole = file.seek(0, SEEK_END)
    file.seek(start + 8)
    head = file.read(8)
    (length,) = struct.unpack("<Q", head) if len(head) == 8 else (0,)
    place, end = start + 16, min(start + length, whole)
    while place + 16 <= end:
        file.seek(place)
        number, size = struct.unpack("<H6xQ", file.read(16))
        step = (16 + (size + 7) // 8 * 8 if number else size) % 2**64
        if not step:
            return True
        place += step
    return False


def size_of(file):
    """Size of an open file, or of that of an open group, in bytes."""
    return file.file.id.get_filesize()


def first_names(group, most=10):
    """Names of a group in a message."""
    names = [ascii(name)[1:-1] for _, name in zip(range(most), group, strict=False)]
    more = len(group) - len(names)
    return (", ".join(names) or "none") + (f" and {more} more" if more > 0 else "")


def find(group, name):
    """
    Find what has a name in a group, without leaving the file.

    Return None if there is no such name. Raise ValueError if the name leads to another file, in circles or nowhere.
    """
    place, parts, links = group, name.split("/")[::-1], 0
    while parts:
        part = parts.pop()
        if part in ("", "."):
            continue
        key = part.encode("utf-8", "surrogateescape")
        if not isinstance(place, h5py.Group) or not place.id.links.exists(key):
            if links:
                raise ValueError(f"{name} is a link to nothing: copy the data set into the file")
            return None
        kind = place.id.links.get_info(key).type
        if kind == h5l.TYPE_HARD:
            place = _opened(place, part, name)
            continue
        links += 1
        if kind != h5l.TYPE_SOFT:
            raise ValueError(f"{name} is a link to another file: copy the data set into this one")
        if links > _MOST_LINKS:
            raise ValueError(f"{name} is a link that leads in circles: copy the data set into the file")
        target = place.id.links.get_val(key).decode("utf-8", "surrogateescape")
        place = place.file["/"] if target.startswith("/") else place
        parts += target.split("/")[::-1]
    return place


def _opened(group, part, name):
    try:
        return group[part]
    except Exception as error:  # a damaged file raises errors of many classes
        raise ValueError(f"{name} cannot be opened, the file is broken: {first_line(error)}") from error


def check_dataset(dataset, name, *, classes=(*_NUMBERS, h5t.STRING)):
    """
    Refuse, by a ValueError, what is no data set of plain values that lie in its own file.

    ``name`` is what the messages call it; ``classes`` are HDF5's kinds of values that it may have.
    """
    if not isinstance(dataset, h5py.Dataset):
        raise ValueError(f"{name} must be a data set with values, got {type(dataset).__name__}")
    try:
        _check_storage(dataset, name)  # first: to ask a virtual data set for its shape opens other files
        _check_type(dataset, name, classes)
        _check_extent(dataset, name)
    except (OSError, RuntimeError, TypeError, KeyError) as error:
        raise ValueError(f"{name} cannot be read, the file is broken: {first_line(error)}") from error


def check_whole(group):
    """
    Refuse, by a ValueError, a group whose values do not all lie in its own file.

    For readers of other packages, which follow each link and open what is there.
    """
    seen, waiting = set(), [("", group)]
    while waiting:
        path, place = waiting.pop()
        seen.add(h5o.get_info(place.id).addr)
        for part in place:
            name = f"{path}/{part}"
            item = find(group, name)
            if isinstance(item, h5py.Dataset):
                check_dataset(item, name, classes=(*_NUMBERS, h5t.STRING, h5t.COMPOUND))
            elif isinstance(item, h5py.Group) and h5o.get_info(item.id).addr not in seen:
                waiting.append((name, item))


def _check_storage(dataset, name):
    made = dataset.id.get_create_plist()
    if made.get_layout() not in (h5d.COMPACT, h5d.CONTIGUOUS, h5d.CHUNKED) or made.get_external_count():
        raise ValueError(f"{name} has its values in other files, or elsewhere in this one: copy them to their place")
    for number in range(made.get_nfilters()):
        code, _, _, title = made.get_filter(number)
        if not h5z.filter_avail(code):
            title = title.decode("ascii", "replace").strip("\0 ") or "no name"
            raise ValueError(
                f"{name} is packed by the filter {code} ({ascii(title)[1:-1]}), which HDF5 lacks here: pack it with "
                "gzip, or import hdf5plugin first"
            )


def _check_type(dataset, name, classes):
    kind = dataset.id.get_type()
    if kind.get_class() not in classes:
        plain = "numbers or texts" if h5t.STRING in classes else "real numbers"
        what = "texts" if kind.get_class() == h5t.STRING else _CLASSES.get(kind.get_class(), "values of another kind")
        raise ValueError(f"{name} must be {plain}, got {what}")
    if kind.get_class() == h5t.STRING and not kind.is_variable_str() and kind.get_size() > _LONGEST:
        raise ValueError(f"{name} has texts of {kind.get_size()} bytes: shorten them to {_LONGEST} at most")
    dataset.dtype  # noqa: B018 - raises a TypeError of what NumPy does not know


def _check_extent(dataset, name):
    shape = dataset.shape
    if shape is None:
        raise ValueError(f"{name} must be a data set with values, got an empty one")
    size, declared = size_of(dataset), prod(shape) * dataset.dtype.itemsize
    if declared > max(ROOM, MOST_UNPACKED * size):
        raise ValueError(
            f"{name} of the shape {shape} has {declared:,} bytes, which a file of {size:,} cannot hold: it is broken"
        )
    made = dataset.id.get_create_plist()
    start = dataset.id.get_offset() if made.get_layout() == h5d.CONTIGUOUS else None
    if start is not None and start + declared > size:
        raise ValueError(f"{name} ends beyond the end of the file: it is cut short, get it again")
    if row_cost(dataset) > _MOST_COST:
        raise ValueError(
            f"{name} is stored in chunks of {dataset.chunks}, so that a row takes {row_cost(dataset):,} bytes to "
            f"read: store it with chunks of {(1, *shape[1:])}"
        )


def row_cost(dataset):
    """Bytes that HDF5 reads or unpacks for one row of a data set, at most; 0 if rows are stored one by one."""
    if dataset.chunks is None:
        return 0
    chunk = prod(dataset.chunks) * dataset.dtype.itemsize
    if not dataset.id.get_create_plist().get_nfilters():
        chunk = min(chunk, _CACHED)
    return chunk * prod(ceil(n / step) for n, step in zip(dataset.shape[1:], dataset.chunks[1:], strict=True))


def unwritten_rows(dataset, *, wholly=False):
    """
    Find the rows with a part that was never written, and reads as HDF5's fill value.

    Parameters
    ----------
    dataset : `h5py.Dataset` (N, ...)
    wholly : bool, optional
        Find the rows without any part that was written instead.

    Returns
    -------
    `~numpy.ndarray` (N,) of bool, or None if all rows were written
    """
    n, chunks = len(dataset), dataset.chunks
    if not n or dataset.id.get_create_plist().get_layout() == h5d.COMPACT:
        return None
    if chunks is None:
        return None if dataset.id.get_storage_size() else np.ones(n, dtype=bool)
    in_row = prod(ceil(n / step) for n, step in zip(dataset.shape[1:], chunks[1:], strict=True))
    groups = ceil(n / chunks[0])
    if dataset.id.get_num_chunks() >= in_row * groups:
        return None
    written = np.zeros(groups, dtype=int)

    def count(chunk):
        written[chunk.chunk_offset[0] // chunks[0]] += 1

    dataset.id.chunk_iter(count)
    return np.repeat(written < (1 if wholly else in_row), chunks[0])[:n]


def attribute(item, name):
    """
    Read an attribute: a text, number or truth; the first one of several.

    Return None if there is none, or an empty one. Raise ValueError if it is anything else.
    """
    wrong = f"the attribute {name} must be a text or a number"
    try:
        if not h5a.exists(item.id, name.encode()):
            return None
        opened = h5a.open(item.id, name.encode())
        kind, count = opened.get_type(), opened.get_space().get_simple_extent_npoints()
        if kind.get_class() not in (*_NUMBERS, h5t.STRING) or count > _MOST_VALUES or kind.get_size() > _LONGEST:
            raise ValueError(wrong)
        value = np.ravel(item.attrs[name])[0] if count else None
    except (OSError, RuntimeError, TypeError, KeyError, UnicodeError) as error:
        raise ValueError(f"{wrong}: {first_line(error)}") from error
    value = value.item() if isinstance(value, np.generic) else value
    if isinstance(value, str):
        value = value.encode("utf-8", "surrogateescape")
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else value
