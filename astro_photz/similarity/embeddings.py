# Licensed under a 3-clause BSD style license - see LICENSE
"""
Files of embeddings: NumPy, HDF5 or Parquet, with identifiers, positions, flags and the model that made them.

- ``.npy``: a structured array with the fields below; the record of the model is in a file beside it, ``.npy.json``.
- ``.h5``: a data set for each field; the record is the attribute ``astro_photz``.
- ``.parquet``: a column for each field; the record is in the metadata, under ``astro_photz``.

The fields are ``id``, ``ra`` and ``dec`` (deg, ICRS; NaN where unknown), ``flags`` (bits of `~astro_photz.PhotozFlag`)
and ``embedding`` (D,) float32, NaN for a galaxy without an image.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from astro_photz.utils._files import aside, expanded
from astro_photz.utils._npy import read_npy
from astro_photz.utils._optional import optional
from astro_photz.utils._types import PathLike

__all__ = ["SUFFIXES", "Embeddings", "fields", "read_embeddings", "write_embeddings"]

SUFFIXES = (".npy", ".h5", ".hdf5", ".parquet")
"""Endings of the names of files that can be written."""

_FIELDS = ("id", "ra", "dec", "flags", "embedding")
_RECORD = "astro_photz"
_BLOCK = 2**14


@dataclass(frozen=True, eq=False)
class Embeddings:
    """
    Embeddings of N galaxies in a file.

    Parameters
    ----------
    ids : `~numpy.ndarray` (N,) or None
    ra, dec : `~numpy.ndarray` (N,) or None
        Degrees, ICRS.
    flags : `~numpy.ndarray` (N,) of int or None
    record : dict
        ``model``, ``model_version`` and ``encoder_sha256`` of the model that made them; empty if that is not known.
    path : `~pathlib.Path`
    shape : tuple of int
        (N, D).

    Examples
    --------
    >>> import pathlib, tempfile
    >>> import numpy as np
    >>> from astro_photz.similarity import read_embeddings
    >>> path = pathlib.Path(tempfile.mkdtemp()) / "mine.npy"
    >>> np.save(path, np.ones((3, 8)))
    >>> embeddings = read_embeddings(path)
    >>> embeddings.shape, embeddings.record
    ((3, 8), {})
    """

    ids: np.ndarray | None
    ra: np.ndarray | None
    dec: np.ndarray | None
    flags: np.ndarray | None
    record: dict
    path: Path
    shape: tuple[int, int]

    def __len__(self) -> int:
        return self.shape[0]

    def blocks(self) -> Iterator[np.ndarray]:
        """
        Yield the embeddings in the order of the file, with one block in memory at a time.

        Yields
        ------
        `~numpy.ndarray` (M, D) float32
        """
        kind = _kind(self.path)
        if kind == "npy":
            array = read_npy(self.path, mapped=len(self) > 0)
            for start in range(0, len(self), _BLOCK):
                part = array[start : start + _BLOCK]
                yield np.asarray(part["embedding"] if part.dtype.names else part, dtype=np.float32)
        elif kind == "hdf5":
            from astro_photz.utils._hdf5 import check_whole, open_hdf5

            with open_hdf5(self.path) as file:
                check_whole(file)
                for start in range(0, len(self), _BLOCK):
                    yield np.asarray(file["embedding"][start : start + _BLOCK], dtype=np.float32)
        else:
            for batch in _parquet().ParquetFile(self.path).iter_batches(_BLOCK, columns=["embedding"]):
                yield _lists(batch.column(0), self.shape[1])


def read_embeddings(path: PathLike) -> Embeddings:
    """
    Open a file of embeddings.

    Parameters
    ----------
    path : str or path-like
        A file that ``astro-photz embed`` has written, or a NumPy array (N, D) in a file.

    Returns
    -------
    `Embeddings`

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If it holds no embeddings.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> import numpy as np
    >>> from astro_photz.similarity import read_embeddings
    >>> path = pathlib.Path(tempfile.mkdtemp()) / "mine.npy"
    >>> np.save(path, np.ones((3, 8)))
    >>> read_embeddings(path).shape
    (3, 8)
    """
    path = expanded(path)
    if not path.is_file():
        raise FileNotFoundError(f"no file {path}")
    try:
        return {"npy": _read_npy, "hdf5": _read_hdf5, "parquet": _read_parquet}[_kind(path)](path)
    except (KeyError, ValueError, EOFError) as error:
        raise ValueError(f"{path} holds no embeddings ({error}): give a file of astro-photz embed") from error


def fields(dim: int, ids: np.ndarray) -> np.dtype:
    """
    Type of a row of a file.

    Parameters
    ----------
    dim : int
        Length of an embedding.
    ids : `~numpy.ndarray` (N,)

    Returns
    -------
    `~numpy.dtype`
    """
    return np.dtype([("id", ids.dtype), ("ra", "f8"), ("dec", "f8"), ("flags", "i4"), ("embedding", "f4", (dim,))])


def write_embeddings(path: PathLike, rows: np.ndarray, record: dict, *, overwrite: bool = True) -> None:
    """
    Write a file of embeddings, in the form of its ending.

    Parameters
    ----------
    path : str or path-like
        With one of `SUFFIXES`; replaced if it is there.
    rows : `~numpy.ndarray` (N,)
        Structured, of the type of `fields`; may be mapped from a file.
    record : dict
        Of the model.
    overwrite : bool, optional
        Replace a file that is there.
    """
    path = expanded(path)
    kind = _kind(path)
    if kind == "npy":  # first, so that no embeddings are without their record
        with aside(_beside(path)) as part:
            part.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
    with aside(path, overwrite=overwrite) as part:
        if kind == "npy":
            np.save(part, rows, allow_pickle=False)
        elif kind == "hdf5":
            _write_hdf5(part, rows, record)
        else:
            _write_parquet(part, rows, record)


def _kind(path):
    kinds = {".npy": "npy", ".h5": "hdf5", ".hdf5": "hdf5", ".parquet": "parquet"}
    kind = kinds.get(Path(path).suffix.lower())
    if kind is None:
        raise ValueError(f"{path}: embeddings are kept in files that end in {', '.join(SUFFIXES)}")
    return kind


def _beside(path):
    return path.with_name(path.name + ".json")


def _parquet():
    return optional("pyarrow.parquet", extra="search", doing="a Parquet file of embeddings")


def _read_npy(path):
    array = read_npy(path, mapped=os.stat(path).st_size > 128)
    beside = _beside(path)
    record = json.loads(beside.read_text(encoding="utf-8")) if beside.is_file() else {}
    if array.dtype.names is None:
        if array.ndim != 2 or array.dtype.kind not in "fiu":
            raise ValueError(f"it is no array of numbers (N, D), but one of the shape {array.shape}")
        return Embeddings(None, None, None, None, record, path.resolve(), array.shape)
    own = {name: np.array(array[name]) for name in _FIELDS[:-1] if name in array.dtype.names}
    return _embeddings(own, record, path, array["embedding"].shape)


def _read_hdf5(path):
    from astro_photz.utils._hdf5 import check_whole, open_hdf5

    try:
        with open_hdf5(path) as file:
            check_whole(file)
            record = json.loads(file.attrs.get(_RECORD, "{}"))
            own = {name: file[name][:] for name in _FIELDS[:-1] if name in file}
            shape = file["embedding"].shape
    except OSError as error:
        raise ValueError("it is no HDF5 file, or cut short") from error
    if own.get("id") is not None and own["id"].dtype.kind in "OS":
        own["id"] = np.array([one.decode() for one in own["id"]], dtype=str)
    return _embeddings(own, record, path, shape)


def _read_parquet(path):
    import pyarrow

    try:
        file = _parquet().ParquetFile(path)
        record = json.loads((file.schema_arrow.metadata or {}).get(_RECORD.encode(), b"{}"))
        names = [name for name in _FIELDS[:-1] if name in file.schema_arrow.names]
        table = file.read(columns=names)
        first = next(file.iter_batches(1, columns=["embedding"]), None)
    except (pyarrow.ArrowException, OSError) as error:
        raise ValueError("it is no Parquet file, or cut short") from error
    own = {name: table[name].to_numpy() for name in names}
    if "id" in own and own["id"].dtype.kind == "O":
        own["id"] = own["id"].astype(str)
    dim = len(first.column(0)[0]) if first is not None else 0
    return _embeddings(own, record, path, (file.metadata.num_rows, dim))


def _embeddings(own, record, path, shape):
    if len(shape) != 2:
        raise ValueError(f"its embeddings have the shape {shape}, not (N, D)")
    return Embeddings(*(own.get(name) for name in _FIELDS[:-1]), record, path.resolve(), tuple(map(int, shape)))


def _write_hdf5(path, rows, record):
    import h5py

    with h5py.File(path, "w") as file:
        file.attrs[_RECORD] = json.dumps(record)
        for name in rows.dtype.names:
            kind, shape = rows.dtype[name].base, tuple(rows.dtype[name].shape)
            if kind.kind == "U":
                file.create_dataset(name, data=[str(one) for one in rows["id"]], dtype=h5py.string_dtype())
                continue
            made = file.create_dataset(name, (len(rows), *shape), dtype=kind)
            for start in range(0, len(rows), _BLOCK):
                made[start : start + _BLOCK] = rows[name][start : start + _BLOCK]


def _write_parquet(path, rows, record):
    import pyarrow as pa

    dim = rows.dtype["embedding"].shape[0]
    plain = [name for name in rows.dtype.names if name != "embedding"]
    kinds = [pa.string() if rows.dtype[name].kind == "U" else pa.from_numpy_dtype(rows.dtype[name]) for name in plain]
    schema = pa.schema(
        [*zip(plain, kinds, strict=True), ("embedding", pa.list_(pa.float32(), dim))],
        metadata={_RECORD: json.dumps(record)},
    )
    with _parquet().ParquetWriter(path, schema) as writer:
        for start in range(0, max(1, len(rows)), _BLOCK):
            part = rows[start : start + _BLOCK]
            columns = [pa.array(np.ascontiguousarray(part[name])) for name in plain]
            flat = pa.array(np.ascontiguousarray(part["embedding"]).reshape(-1))
            arrays = [*columns, pa.FixedSizeListArray.from_arrays(flat, dim)]
            writer.write_table(pa.Table.from_arrays(arrays, schema=schema))


def _lists(column, dim):
    """Arrow's lists of numbers (M,) as an array (M, D)."""
    return np.asarray(column.flatten(), dtype=np.float32).reshape(-1, dim)
