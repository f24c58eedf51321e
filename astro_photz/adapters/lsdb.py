# Licensed under a 3-clause BSD style license - see LICENSE
"""
Photometric redshifts of catalogues that are too large for one machine: LSDB and dask.

LSDB opens a HATS catalogue as partitions, each a region of the sky; a dask DataFrame has partitions too. The workers of
a dask cluster estimate them side by side. A partition goes through `~astro_photz.predict` as a table of its own, so the
results are those of one process, to the bit.

The extra ``[scale]`` installs LSDB and dask.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import numpy as np

from astro_photz.config import conf
from astro_photz.cutouts.sources.named import source_or_archive
from astro_photz.inference import predict
from astro_photz.inference.columns import earlier_columns
from astro_photz.models import ModelError, PhotozModel, load_model
from astro_photz.tables.inputs import as_table, frame_with
from astro_photz.utils._types import PathLike

if TYPE_CHECKING:
    from astropy.table import MaskedColumn

    from astro_photz.cutouts import CutoutSource

__all__ = ["predict_catalog"]

__doctest_requires__ = {"predict_catalog": ["dask", "pandas", "pyarrow"]}

_NAMED = ("coord", "ra", "dec", "ra_unit", "ebv", "extinction_release")
_KINDS = (("lsdb.catalog.dataset.healpix_dataset", "HealpixDataset"), ("dask.dataframe", "DataFrame"))
_THREADS = "inference_threads"
_SOURCES: dict[str, Any] = {}  # by the call
_MOST_SOURCES = 4
_LOCK = threading.Lock()


def predict_catalog(
    catalog: Any,
    *,
    source: CutoutSource | PathLike | None = None,
    model: PathLike | PhotozModel | None = None,
    prefix: str = "z_phot",
    pdf: bool = False,
    analogues: int = 0,
    replace: bool = False,
    **named: Any,
) -> Any:
    """
    Add photometric redshifts to a catalogue of LSDB or dask, partition by partition.

    Nothing is estimated before the catalogue is computed or written, as by ``to_hats``. A mistake in the arguments
    shows at once: the columns are made of no rows first.

    Parameters
    ----------
    catalog : `lsdb.catalog.Catalog` or `dask.dataframe.DataFrame`
        Galaxies with columns of right ascension and declination, under usual names or those of ``named``. A margin of
        the catalogue is estimated too.
    source : `~astro_photz.cutouts.CutoutSource`, str or path-like, optional
        Where the images come from, as in `~astro_photz.predict`. Each worker opens it once; a path must be there on
        the machines of all workers.
    model : str, path-like or `~astro_photz.models.PhotozModel`, optional
        As in `~astro_photz.predict`. Each worker opens it once, by its path, or by its name where the path is not
        there, and compares its hash.
    prefix, pdf, analogues, replace : optional
        As in `~astro_photz.predict`.
    **named
        ``coord``, ``ra``, ``dec``, ``ra_unit``, ``ebv`` and ``extinction_release``, as in `~astro_photz.predict`.

    Returns
    -------
    `lsdb.catalog.Catalog` or `dask.dataframe.DataFrame`
        Of the kind of ``catalog``, with the same rows in the same order, the same index and partitions, and the
        columns of `~astro_photz.predict`. A masked number is NaN. A column of arrays, such as ``{prefix}_pdf``, has
        the type of a list in Arrow, with a null for a galaxy without an estimate. ``meta.attrs[prefix]`` of a Catalog
        records the model and the source.

    Raises
    ------
    TypeError
        If ``catalog`` is of another kind, or ``named`` has another name.
    ValueError
        If the positions cannot be found, or a column of that name is there.
    FileNotFoundError
        If there is no such file or folder.

    Notes
    -----
    dask runs as many partitions at once in a worker as it has threads, so each takes one thread for its model, unless
    ``conf.inference_threads`` is set. Settings of ``conf`` at the time of this call hold in the workers too.

    A partition whose worker dies is estimated anew by another one: dask does it.

    Examples
    --------
    >>> import dask.dataframe
    >>> import astro_photz
    >>> from astro_photz.adapters.lsdb import predict_catalog
    >>> table = astro_photz.CutoutFile(astro_photz.demo_path()).catalog()
    >>> galaxies = dask.dataframe.from_pandas(table.to_pandas(), npartitions=3)
    >>> redshifts = predict_catalog(galaxies, source=astro_photz.demo_path())
    >>> redshifts.npartitions, len(redshifts.columns)
    (3, 15)
    >>> frame = redshifts.compute(scheduler="synchronous")
    >>> for z in frame["z_phot"][:3]:
    ...     print(f"{z:.2f}")
    0.05
    0.04
    0.07
    """
    empty = _empty_partition(catalog)
    unknown = sorted(set(named) - set(_NAMED))
    if unknown:
        raise TypeError(f"predict_catalog takes no {unknown[0]}; names of columns are given by {', '.join(_NAMED)}")
    opened = load_model(model)
    options = {"prefix": prefix, "pdf": pdf, "analogues": analogues, **named}
    work = _Work(
        source=source_or_archive(source),
        model=str(opened.path.absolute()),
        sha256=opened.sha256,
        options=options,
        replace=replace,
        settings={name: getattr(conf, name) for name in conf} | {_THREADS: conf.inference_threads or 1},
    )
    meta = predict_partition(empty, work)
    del meta.attrs[prefix]["simulated"]  # not known before there are images
    return catalog.map_partitions(predict_partition, work, meta=meta)


@dataclass(frozen=True)
class _Work:
    """Work on each partition, which goes to the workers."""

    source: Any
    model: str
    sha256: str
    options: dict
    replace: bool
    settings: dict
    call: str = field(default_factory=lambda: uuid4().hex)

    def __dask_tokenize__(self):  # dask takes equal work for done; what is in the files may change from call to call
        return self.call


def predict_partition(partition, work):
    """
    Add photometric redshifts to a partition, in a worker.

    Parameters
    ----------
    partition : `pandas.DataFrame` (N,)
    work : _Work

    Returns
    -------
    `pandas.DataFrame` (N,)
        Of the same class, with the same index.
    """
    prefix = work.options["prefix"]
    kept = partition.drop(columns=earlier_columns(list(partition.columns), prefix, replace=work.replace))
    galaxies = as_table(kept[[name for name, dtype in kept.dtypes.items() if _may_tell(dtype)]])
    model, source = _opened_model(work), _opened_source(work)
    with _SETTINGS.held(work.settings):
        table = predict(galaxies, source=source, model=model, progress=False, **work.options)
    columns = {name: table[name] for name in table.colnames if name not in galaxies.colnames}
    result = frame_with(
        kept,
        {name: column for name, column in columns.items() if column.ndim == 1},
        prefix=prefix,
        record=table.meta[prefix],
    )
    for name, column in columns.items():
        if column.ndim > 1:
            result[name] = _lists(column, result.index)
    return result[[*kept.columns, *columns]]


def _empty_partition(catalog):
    """A frame without rows, of the columns of a catalogue, whose kinds are looked for without an import."""
    kinds = [getattr(sys.modules.get(module), name, ()) for module, name in _KINDS]
    if isinstance(catalog, kinds[0]):
        return catalog.meta.iloc[:0]
    if isinstance(catalog, kinds[1]):
        return catalog._meta.iloc[:0]
    raise TypeError(
        "catalog must be a Catalog of LSDB, such as lsdb.open_catalog(path), or a DataFrame of dask; got "
        f"{type(catalog).__name__}. Tables and DataFrames of pandas are for astro_photz.predict"
    )


def _may_tell(dtype):
    """Tell whether a column may hold positions or reddening: numbers or text, and not the nested tables of LSDB."""
    from pandas.api.types import is_numeric_dtype, is_string_dtype

    return is_numeric_dtype(dtype) or is_string_dtype(dtype) or dtype == "category"


def _opened_model(work):
    """Model of the call, which `load_model` opens once in each process."""
    path = Path(work.model)
    model = load_model(path if path.is_dir() else path.name)
    if model.sha256 != work.sha256:
        raise ModelError(
            f"the model in {model.path} is not the one of the call, by its hash {model.sha256[:12]} for "
            f"{work.sha256[:12]}: give a folder that all workers share"
        )
    return model


def _opened_source(work):
    """Source of the call, the same object for all its partitions in a process: the headers that it read stay known."""
    with _LOCK:
        while len(_SOURCES) >= _MOST_SOURCES and work.call not in _SOURCES:
            _SOURCES.pop(next(iter(_SOURCES)))
        return _SOURCES.setdefault(work.call, work.source)


class _Settings:
    """Settings of ``conf`` while any partition is at work: several threads of a worker share them."""

    def __init__(self):
        self._lock = threading.Lock()
        self._at_work = 0
        self._before: dict[str, Any] = {}

    @contextmanager
    def held(self, settings: dict[str, Any]) -> Iterator[None]:
        with self._lock:
            self._at_work += 1
            if self._at_work == 1:
                self._before = {name: getattr(conf, name) for name in settings}
                _set(settings)
        try:
            yield
        finally:
            with self._lock:
                self._at_work -= 1
                if not self._at_work:
                    _set(self._before)


_SETTINGS = _Settings()


def _set(settings):
    for name, value in settings.items():
        if getattr(conf, name) != value:
            setattr(conf, name, value)


def _lists(column: MaskedColumn, index: Any) -> Any:
    """Column of arrays (N, K) as a series of lists, null where all of a row is masked."""
    import pandas
    import pyarrow

    values = np.ascontiguousarray(column.filled(np.nan) if column.dtype.kind == "f" else np.asarray(column))
    kind = pyarrow.string() if values.dtype.kind in "US" else pyarrow.from_numpy_dtype(values.dtype)
    flat = pyarrow.array(values.reshape(-1).astype(str) if values.dtype.kind in "US" else values.reshape(-1), type=kind)
    gone = np.ma.getmaskarray(column).all(axis=1)
    ends = np.arange(len(values) + 1, dtype=np.int32) * values.shape[1]
    lists = pyarrow.ListArray.from_arrays(ends, flat, mask=pyarrow.array(gone))
    return pandas.Series(lists, dtype=pandas.ArrowDtype(lists.type), index=index)
