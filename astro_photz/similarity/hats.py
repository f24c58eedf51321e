# Licensed under a 3-clause BSD style license - see LICENSE
"""
Embeddings as a HATS catalogue: Parquet files by regions of the sky, which LSDB and hats open and join to others.

A HATS catalogue is a folder with a file for each pixel of HEALPix that holds galaxies, fine where there are many of
them. Rows are in the order of ``_healpix_29``, their pixel at order 29 (IVOA Note HATS 1.0).
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from astropy import units as u
from astropy.table import Table

from astro_photz.utils._arrays import filled, values_and_mask
from astro_photz.utils._checks import check_count, check_not_there
from astro_photz.utils._claims import claimed
from astro_photz.utils._files import expanded, folder_aside, full_disk_told
from astro_photz.utils._optional import optional
from astro_photz.utils._types import PathLike

from .embeddings import Embeddings, read_embeddings

if TYPE_CHECKING:
    from .index import SimilarityIndex

__all__ = ["write_hats"]
__doctest_requires__ = {"write_hats": ["pyarrow"]}

_ORDER, _DEEPEST = 29, 12  # of the column, and of the smallest file
_PIXEL = "_healpix_29"
_FOLDER = 10_000  # files in a folder of pixels
_SIGN = "hats.properties"
_ROWS = 500_000


def write_hats(
    data: Embeddings | SimilarityIndex | PathLike,
    path: PathLike,
    *,
    name: str | None = None,
    rows_per_file: int = _ROWS,
    overwrite: bool = False,
) -> int:
    """
    Write embeddings as a HATS catalogue, to be opened by LSDB: ``lsdb.open_catalog(path)``.

    Parameters
    ----------
    data : `Embeddings`, `SimilarityIndex`, str or path-like
        N galaxies with positions: a file of ``astro-photz embed``, whose columns are written; or an index, with its
        catalogue, and its vectors in the place of embeddings.
    path : str or path-like
        The folder.
    name : str, optional
        Of the catalogue; by default that of the folder.
    rows_per_file : int, optional
        Galaxies in a file, at most; a region with more is divided.
    overwrite : bool, optional
        Replace a HATS catalogue that is there.

    Returns
    -------
    int
        Galaxies written. Those without a position have no place in it, and are left out; those without an image have
        NaN.

    Raises
    ------
    ValueError
        If no galaxy has a position.
    FileExistsError
        If there is such a folder, and ``overwrite`` is not set or it is no HATS catalogue.
    ImportError
        If pyarrow is not installed.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> import astro_photz
    >>> from astro_photz.similarity import SimilarityIndex, write_hats
    >>> index = SimilarityIndex.build(astro_photz.Cutouts.read(astro_photz.demo_path()))
    >>> path = pathlib.Path(tempfile.mkdtemp()) / "demo_hats"
    >>> write_hats(index, path)
    24
    """
    rows_per_file = check_count("rows_per_file", rows_per_file)
    path = expanded(path)
    check_folder_name(path, overwrite=overwrite)
    material = _Material.of(data)
    ra, dec = (filled(material.table[column]) for column in ("ra", "dec"))
    kept = np.flatnonzero(np.isfinite(ra) & np.isfinite(dec))
    if not len(kept):
        raise ValueError(f"no galaxy of {len(ra)} has a position, by which a HATS catalogue is ordered")
    pixel = _pixels(ra[kept], dec[kept])
    order = np.argsort(pixel, kind="stable")
    with (
        claimed(path),
        full_disk_told(path),
        folder_aside(path, sign=_SIGN, kind="a HATS catalogue", overwrite=overwrite) as folder,
    ):
        with _Rows(material, kept[order], folder) as vectors:
            files = list(_files(pixel[order], rows_per_file))
            _write_files(folder, material, kept[order], pixel[order], vectors, files)
        properties = _properties(name or path.name, len(kept), rows_per_file, files)
        for file in (_SIGN, "properties"):  # the second is the name that older readers look for
            (folder / file).write_text(properties, encoding="utf-8")
        lines = ["Norder,Npix", *(f"{one.order},{one.pixel}" for one in files)]
        (folder / "partition_info.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return len(kept)


def check_folder_name(path: PathLike, *, overwrite: bool) -> None:
    """
    Check before the work if a catalogue can be written.

    Parameters
    ----------
    path : str or path-like
    overwrite : bool
        Whether a HATS catalogue may be replaced.

    Raises
    ------
    FileExistsError
        If there is one, or anything else.
    ImportError
        If pyarrow is not installed.
    """
    optional("pyarrow.parquet", extra="search", doing="a HATS catalogue")
    path = expanded(path)
    check_not_there(path, overwrite=overwrite)
    if path.exists() and not (path / _SIGN).exists():
        raise FileExistsError(f"{path} exists and is not a HATS catalogue: choose another path")


@dataclass(frozen=True, eq=False)
class _Material:
    """Columns of N galaxies, their vectors block by block or at once, and the record of the model."""

    table: Table
    vectors: np.ndarray | Embeddings
    column: str
    record: dict

    @classmethod
    def of(cls, data):
        if hasattr(data, "catalogue"):  # an index
            table = Table(data.catalogue)
            if not {"ra", "dec"} <= set(table.colnames):
                raise ValueError("the index has no positions, by which a HATS catalogue is ordered")
            if "id" in table.colnames:
                table.rename_column("id", "id_catalogue")
            table.add_column(data.ids, name="id", index=0)
            return cls(table, data.vectors, "vector", data.model | {"space_sha256": data.space.sha256})
        file = data if isinstance(data, Embeddings) else read_embeddings(data)
        names = ("id", "ra", "dec", "flags")
        known = zip(names, (file.ids, file.ra, file.dec, file.flags), strict=True)
        table = Table({name: values for name, values in known if values is not None})
        if not {"ra", "dec"} <= set(table.colnames):
            raise ValueError(f"{file.path} has no positions, by which a HATS catalogue is ordered")
        return cls(table, file, "embedding", file.record)

    @property
    def dim(self):
        return self.vectors.shape[1]


class _Rows:
    """Vectors in the order of a catalogue; those of a file are put into it in a scratch file, block by block."""

    def __init__(self, material, rows, folder):
        self.material, self.rows, self.path = material, rows, folder / "vectors.scratch"

    def __enter__(self):
        vectors = self.material.vectors
        if isinstance(vectors, np.ndarray):
            return lambda part: vectors[self.rows[part]].astype(np.float32)
        place = np.full(len(vectors), -1)
        place[self.rows] = np.arange(len(self.rows))
        scratch = np.memmap(self.path, dtype=np.float32, mode="w+", shape=(len(self.rows), self.material.dim))
        start = 0
        for block in vectors.blocks():
            there = place[start : start + len(block)]
            scratch[there[there >= 0]] = block[there >= 0]
            start += len(block)
        return lambda part: np.asarray(scratch[part])

    def __exit__(self, *_):
        self.path.unlink(missing_ok=True)


@dataclass(frozen=True)
class _File:
    """A pixel of HEALPix, and its rows in the order of the catalogue."""

    order: int
    pixel: int
    rows: slice

    @property
    def path(self):
        folder = self.pixel // _FOLDER * _FOLDER
        return Path(f"Norder={self.order}") / f"Dir={folder}" / f"Npix={self.pixel}.parquet"


def _pixels(ra, dec):
    from astropy_healpix import lonlat_to_healpix

    return lonlat_to_healpix(ra * u.deg, dec * u.deg, 2**_ORDER, order="nested").astype(np.int64)


def _files(pixel, most):
    """Divide the sky until no file has more rows than it may; pixels (N,) are in increasing order."""
    todo = [(0, one) for one in range(11, -1, -1)]
    while todo:
        order, one = todo.pop()
        shift = 2 * (_ORDER - order)
        low, high = np.searchsorted(pixel, [one << shift, (one + 1) << shift])
        if high - low > most and order < _DEEPEST:
            todo += [(order + 1, 4 * one + quarter) for quarter in (3, 2, 1, 0)]
        elif high > low:
            yield _File(order, one, slice(int(low), int(high)))


def _write_files(folder, material, rows, pixel, vectors, files):
    import pyarrow as pa
    import pyarrow.parquet as parquet

    columns = [name for name in material.table.colnames if np.ndim(material.table[name]) == 1]
    schema, written = None, []
    for file in files:
        part = material.table[columns][rows[file.rows]]
        arrays = {_PIXEL: pa.array(pixel[file.rows])}
        arrays |= {name: _arrow(part[name]) for name in columns}
        flat = pa.array(np.ascontiguousarray(vectors(file.rows)).reshape(-1))
        arrays[material.column] = pa.FixedSizeListArray.from_arrays(flat, material.dim)
        table = pa.table(arrays).replace_schema_metadata({"astro_photz": json.dumps(material.record)})
        schema = table.schema if schema is None else schema
        path = folder / "dataset" / file.path
        path.parent.mkdir(parents=True, exist_ok=True)
        parquet.write_table(table.cast(schema), path, metadata_collector=written)
        written[-1].set_file_path(str(file.path))
    parquet.write_metadata(schema, folder / "dataset" / "_metadata", metadata_collector=written)
    parquet.write_metadata(schema, folder / "dataset" / "_common_metadata")


def _arrow(column):
    import pyarrow as pa

    values, mask = values_and_mask(column)
    kind = pa.string() if values.dtype.kind in "US" else pa.from_numpy_dtype(values.dtype)
    values = values.astype(str).astype(object) if values.dtype.kind in "US" else np.ascontiguousarray(values)
    return pa.array(values, type=kind, mask=mask if mask.any() else None)


def _properties(name, n, rows_per_file, files):
    from astro_photz import __version__

    sky = sum(4.0**-file.order for file in files) / 12
    values = {
        "obs_collection": name,
        "dataproduct_type": "object",
        "hats_nrows": n,
        "hats_col_ra": "ra",
        "hats_col_dec": "dec",
        "hats_col_healpix": _PIXEL,
        "hats_col_healpix_order": _ORDER,
        "hats_npix_suffix": ".parquet",
        "hats_max_rows": rows_per_file,
        "hats_order": max(file.order for file in files),
        "moc_sky_fraction": f"{sky:.5f}",
        "hats_builder": f"astro_photz {__version__}",
        "hats_creation_date": f"{datetime.now(UTC):%Y-%m-%dT%H:%MUTC}",
        "hats_version": "v1.0",
    }
    return "#HATS catalog\n" + "".join(f"{key}={value}\n" for key, value in values.items())
