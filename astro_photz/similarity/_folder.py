# Licensed under a 3-clause BSD style license - see LICENSE
"""
The folder of an index: generations of files, and a document that names the one that holds.

A writer makes a new generation beside the old one. When its files are complete, the document ``index.json`` is replaced
in one step. A reader sees the old generation or the new one, whole; one that has mapped the old files keeps them, even
after they are deleted.
"""

import os
import re
import shutil
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import ClassVar
from zipfile import BadZipFile

import numpy as np
from astropy.table import Column, MaskedColumn, Table

from astro_photz.utils._document import Document
from astro_photz.utils._files import full_disk_told, write_json
from astro_photz.utils._npy import read_npy
from astro_photz.utils._parts import sync

from ._approximate import ApproximateSearch
from ._contents import Contents
from .space import SearchSpace

__all__ = ["DOCUMENT", "IndexFolderError", "VectorFile", "check_folder", "new_generation", "read_index", "save"]

DOCUMENT = "index.json"
"""Name of the document, by which the folder of an index is known."""

_TRIES = 5  # to read a folder that others write to meanwhile
_VECTORS, _SPACE = "vectors.npy", "space.npz"


class IndexFolderError(ValueError):
    """
    A folder that should hold an index does not, or not a whole one.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> from astro_photz.similarity import IndexFolderError, SimilarityIndex
    >>> folder = pathlib.Path(tempfile.mkdtemp())
    >>> _ = (folder / "index.json").write_text("{}")
    >>> try:
    ...     SimilarityIndex.load(folder)
    ... except IndexFolderError as error:
    ...     print(str(error).partition("index.json ")[2])
    lacks generation, n, dim, files, columns
    """


@dataclass(frozen=True, kw_only=True)
class IndexDocument(Document):
    """
    The document of an index: its generation, its columns, and the size of each file (bytes).
    """

    noun: ClassVar[str] = "the document of an index"
    error: ClassVar[type] = IndexFolderError

    generation: int
    n: int
    dim: int
    files: dict
    columns: list
    space: str
    recall: float
    approximate: bool
    model: dict


def check_folder(path, *, overwrite=False):
    """Raise a FileExistsError if a path is something else than an index, or one that is not to be overwritten."""
    if (path / DOCUMENT).exists():
        if not overwrite:
            raise FileExistsError(f"{path} exists: choose another path, or set overwrite=True")
    elif path.exists() and not (path.is_dir() and all(_generation(one) is not None for one in path.iterdir())):
        raise FileExistsError(f"{path} exists and is not the folder of an index: choose another path")


@contextmanager
def new_generation(path):
    """
    Yield a folder for a generation, while no other process may write one.

    After an error, nothing is left of it. Raise a BlockingIOError if another process is writing.
    """
    made = [one for one in (path, *path.parents) if not one.exists()]
    path.mkdir(parents=True, exist_ok=True)
    with _alone(path), full_disk_told(path), _emptied(made):
        there = [number for number in map(_generation, path.iterdir()) if number is not None]
        folder = path / f"generation-{1 + max(there, default=0)}"
        folder.mkdir()
        try:
            yield folder
        except BaseException:
            shutil.rmtree(folder, ignore_errors=True)
            raise


@contextmanager
def _emptied(made):
    """Delete folders that were made, the innermost first, after an error, unless something is in them."""
    try:
        yield
    except BaseException:
        with suppress(OSError):
            for one in made:
                one.rmdir()
        raise


def save(folder, contents):
    """
    Write the files of a generation, and let the document name it; earlier generations are deleted.

    Vectors that a `VectorFile` has put into the folder stay as they are.
    """
    if not (folder / _VECTORS).exists():
        with VectorFile(folder, contents.vectors.shape[1]) as file:
            for start in range(0, len(contents), 2**16):
                file.append(contents.vectors[start : start + 2**16])
    np.save(folder / "ids.npy", np.asarray(contents.ids), allow_pickle=False)
    np.save(folder / "pairs.npy", contents.pairs)
    contents.space.write(folder / _SPACE)
    columns = [
        _write_column(folder, place, contents.catalogue[name]) for place, name in enumerate(contents.catalogue.colnames)
    ]
    if contents.approximate is not None:
        contents.approximate.write(folder)
    document = IndexDocument(
        generation=_generation(folder),
        n=len(contents),
        dim=contents.space.dim,
        files={file.name: file.stat().st_size for file in sorted(folder.iterdir())},
        columns=columns,
        space=contents.space.sha256,
        recall=float(contents.recall),
        approximate=contents.approximate is not None,
        model=contents.model,
    )
    sync(folder)  # before the document names it
    write_json(folder.parent / DOCUMENT, document.entries())
    for other in folder.parent.iterdir():
        number = _generation(other)
        if number is not None and number != document.generation:
            shutil.rmtree(other, ignore_errors=True)


def read_index(path, *, approximate=True):
    """
    Read an index; its vectors, identifiers and columns are mapped into memory.

    Parameters
    ----------
    path : `~pathlib.Path`
    approximate : bool, optional
        Whether to read the approximate search, for which faiss is needed, if there is one.

    Returns
    -------
    contents : `~astro_photz.similarity._contents.Contents`
    document : `IndexDocument`

    Raises
    ------
    FileNotFoundError
        If there is no index.
    IndexFolderError
        If it is not whole.
    """
    generation = None
    for _ in range(_TRIES):
        if not (path / DOCUMENT).is_file():
            begun = path.is_dir() and any(_generation(one) is not None for one in path.iterdir())
            unfinished = " complete: the process that wrote it was stopped; make it again" if begun else ""
            raise FileNotFoundError(f"{path} is no index" + (unfinished or ": there is no index.json in it"))
        document = IndexDocument.of_file(path / DOCUMENT, needed=("generation", "n", "dim", "files", "columns"))
        if document.generation == generation:
            break
        generation = document.generation
        try:
            return _opened(path.resolve() / f"generation-{generation}", document, approximate), document
        except FileNotFoundError as error:  # replaced meanwhile, or damaged
            missing = error
        except IndexFolderError:
            raise
        except (ValueError, KeyError, EOFError, BadZipFile) as error:
            raise IndexFolderError(f"{path} is damaged ({error}); make the index again") from error
    raise IndexFolderError(f"{path} is not whole: {missing.filename or missing} is missing; make the index again")


def _opened(folder, document, approximate):
    for name, size in document.files.items():
        if os.stat(folder / name).st_size != size:
            raise IndexFolderError(
                f"{folder / name} has {os.stat(folder / name).st_size} bytes, not {size}: it was cut short or changed; "
                "make the index again"
            )
    space = SearchSpace.read(folder / _SPACE)
    if space.sha256 != document.space:
        raise IndexFolderError(f"{folder / _SPACE} is not the space that the index was made with; make the index again")
    vectors = _mapped(folder / _VECTORS)
    if vectors.shape != (document.n, document.dim):
        raise IndexFolderError(f"{folder / _VECTORS} has the shape {vectors.shape}, not {(document.n, document.dim)}")
    return Contents(
        vectors=vectors,
        ids=_of_length(document.n, folder / "ids.npy"),
        catalogue=_catalogue(folder, document.columns, document.n),
        space=space,
        pairs=_mapped(folder / "pairs.npy"),
        model=document.model,
        approximate=ApproximateSearch.read(folder) if document.approximate and approximate else None,
        recall=document.recall,
    )


def _of_length(n, file):
    values = _mapped(file)
    if values.shape[:1] != (n,):
        raise IndexFolderError(f"{file} has the shape {values.shape}, not {n} rows; make the index again")
    return values


def _mapped(file):
    try:
        return read_npy(file, mapped=True)
    except ValueError as error:
        if "mmap" in str(error) or "empty" in str(error):
            with suppress(ValueError):
                return read_npy(file)  # without rows, there is nothing to map
        raise IndexFolderError(f"{file} is no array of numpy; make the index again") from error


def _catalogue(folder, columns, n):
    table = Table()
    for place, column in enumerate(columns):
        values = np.asarray(_of_length(n, folder / f"column-{place}.npy"))
        about = {name: column[name] for name in ("unit", "description")}
        if column["masked"]:
            mask = np.asarray(_of_length(n, folder / f"mask-{place}.npy"))
            table.add_column(MaskedColumn(values, mask=mask, copy=False, **about), name=column["name"], copy=False)
        else:
            table.add_column(Column(values, copy=False, **about), name=column["name"], copy=False)
    return table


def _write_column(folder, place, column):
    masked = isinstance(column, MaskedColumn)
    np.save(folder / f"column-{place}.npy", np.asarray(np.ma.getdata(column)), allow_pickle=False)
    if masked:
        np.save(folder / f"mask-{place}.npy", np.ma.getmaskarray(column))
    unit = str(column.unit) if column.unit is not None else None
    return {"name": column.name, "unit": unit, "description": column.description, "masked": masked}


class VectorFile:
    """
    A file of vectors that grows: ``vectors.npy`` of a generation.

    A context; afterwards the file is a NumPy array of shape (N, K), float16.

    Parameters
    ----------
    folder : `~pathlib.Path`
    dim : int
        Length K of a vector.
    """

    def __init__(self, folder, dim):
        self.path = folder / _VECTORS
        self.dim, self.n = dim, 0

    def __enter__(self):
        self._file = open(self.path, "wb")
        self._write_header()
        return self

    def append(self, vectors):
        """Append vectors (M, K) float16."""
        self._file.write(np.ascontiguousarray(vectors, dtype=np.float16))
        self.n += len(vectors)

    def _write_header(self):
        header = {"descr": np.dtype(np.float16).str, "fortran_order": False, "shape": (self.n, self.dim)}
        np.lib.format.write_array_header_1_0(self._file, header)  # numpy leaves room in it for any number of rows

    def __exit__(self, *error):
        try:
            if error[0] is None:
                self._file.seek(0)
                self._write_header()
        finally:
            self._file.close()

    def mapped(self):
        """Map the file into memory."""
        return _mapped(self.path)


def _generation(path):
    """Number of a generation's folder, None for another one."""
    found = re.fullmatch(r"generation-(\d+)", path.name)
    return int(found[1]) if found else None


@contextmanager
def _alone(path):
    """Lock a folder against other writers. The lock ends with its process, however that ends."""
    try:
        import fcntl
    except ImportError:  # Windows
        yield
        return
    descriptor = os.open(path, os.O_RDONLY)  # of the folder itself: no file is left behind
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise BlockingIOError(f"another process is writing the index {path}: wait until it has ended") from error
        yield
    finally:
        os.close(descriptor)
