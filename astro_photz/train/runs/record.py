# Licensed under a 3-clause BSD style license - see LICENSE
"""
The record of a run, ``run.json``: what trained on what, with which software.
"""

import json
import platform
from dataclasses import asdict, dataclass, field
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import ClassVar

from astro_photz.cutouts.hdf5.dataset import data_hash
from astro_photz.cutouts.hdf5.layout import is_simulated, open_cutouts
from astro_photz.utils._document import Document
from astro_photz.utils._files import aside

__all__ = ["FORM", "KINDS", "RECORD", "DataFile", "Origin", "RunRecord", "differences"]

RECORD = "run.json"
"""Name of the file, by which the folder of a run is known."""

FORM = 2
"""Version of the form of a record."""

KINDS = ("pretrain", "finetune", "adapt")
"""Kinds of a run."""

_VERSIONED = ("astro-photz", "torch", "lightning", "numpy", "h5py")
_MAY_DIFFER = ("origin", "files", "versions", "form", "others")  # in a run that is resumed


@dataclass(frozen=True, kw_only=True)
class DataFile:
    """
    Content of a file of stamps, wherever the file is.

    Parameters
    ----------
    n : int
        Number of stamps.
    simulated : bool
        Whether they are simulated.
    sha256 : str
        Hash of the data.
    """

    n: int
    simulated: bool
    sha256: str

    @classmethod
    def of(cls, path):
        """
        Look at a file.

        Parameters
        ----------
        path : str or path-like

        Returns
        -------
        `DataFile`
        """
        with open_cutouts(path) as file:
            n, simulated = len(file["images"]), is_simulated(file)
        return cls(n=n, simulated=simulated, sha256=data_hash(path))


@dataclass(frozen=True, kw_only=True)
class Origin:
    """
    The model or run whose weights a training begins with.

    Parameters
    ----------
    name : str
    simulated : bool
        Whether it, or its own origin, was trained on simulated images.
    training_range : dict, optional
        Of a model: see `~astro_photz.models.ModelCard`.
    """

    name: str
    simulated: bool
    training_range: dict | None = None


@dataclass(frozen=True, kw_only=True)
class RunRecord(Document):
    """
    The record of a run.

    Parameters
    ----------
    kind : {"pretrain", "finetune", "adapt"}
    seed : int
    data : `DataFile`
        The stamps to learn from.
    validation : `DataFile`, optional
    n_images, n_labels : int, optional
        Number of stamps that a pretraining, or another run, uses; None for all.
    held_out : int, optional
        Number of stamps of ``data`` that serve as validation set.
    init : str, optional
        Hash of the weights that the run begins with.
    origin : `Origin`, optional
        Of those weights.
    files : dict of str, optional
        Paths of ``data``, ``validation``, ``init`` and ``resume``. Files may move.
    versions : dict of str, optional
        Of the software.
    form, others : int, dict, optional
        Version of the form, and entries that have no field.

    Raises
    ------
    ValueError
        If a field is of another type, the kind is unknown, or the form is newer than this version of the package.
    """

    newest: ClassVar[int] = FORM
    noun: ClassVar[str] = "a record of a run"

    kind: str
    seed: int
    data: DataFile
    validation: DataFile | None = None
    n_images: int | None = None
    n_labels: int | None = None
    held_out: int = 0
    init: str | None = None
    origin: Origin | None = None
    files: dict = field(default_factory=dict)
    versions: dict = field(default_factory=lambda: _versions())
    form: int = FORM

    def __post_init__(self):
        super().__post_init__()
        if self.kind not in KINDS:
            raise ValueError(f"kind must be one of {', '.join(KINDS)}, got {self.kind!r}")

    @classmethod
    def of(cls, entries):
        """
        Make a record of the entries of a file, of form 1 too.

        Parameters
        ----------
        entries : dict

        Returns
        -------
        `RunRecord`

        Raises
        ------
        ValueError
            If an entry is missing or of another type.
        """
        if "what" in entries:  # form 1
            entries = entries["what"] | {name: value for name, value in entries.items() if name != "what"}
        try:
            parts = {name: part(**entries[name]) for name, part in _PARTS.items() if entries.get(name)}
        except TypeError as error:
            raise ValueError(f"{cls.noun} is damaged: {error}") from error
        return super().of(entries | parts)

    @classmethod
    def read(cls, folder):
        """
        Read the record of a run.

        Parameters
        ----------
        folder : str or path-like
            Of the run.

        Returns
        -------
        `RunRecord`

        Raises
        ------
        FileNotFoundError
            If there is none.
        ValueError
            If it is damaged, or of a newer version of the package.
        """
        return cls.of_file(Path(folder) / RECORD)

    def write(self, folder):
        """
        Write the record.

        Parameters
        ----------
        folder : str or path-like
            Of the run.
        """
        with aside(Path(folder) / RECORD) as part:
            part.write_text(json.dumps(self.entries(), indent=2, default=asdict) + "\n", encoding="utf-8")

    def facts(self):
        """
        Collect what makes a run this one and no other.

        The origin follows from the weights that a run begins with, beside which files may change.

        Returns
        -------
        dict
        """
        return {name: value for name, value in asdict(self).items() if name not in _MAY_DIFFER}

    @property
    def n(self):
        """Number of stamps that the run learns from, int."""
        return self.n_labels or self.n_images or self.data.n - self.held_out


_PARTS = {"data": DataFile, "validation": DataFile, "origin": Origin}


def differences(stored, wanted, where=""):
    """
    Yield the names of all that differs between two nested dicts.

    Parameters
    ----------
    stored, wanted : dict
    where : str, optional
        Beginning of the names.

    Yields
    ------
    str
        Names, with a dot between levels.
    """
    for name in {*stored, *wanted}:
        a, b = stored.get(name), wanted.get(name)
        if isinstance(a, dict) and isinstance(b, dict):
            yield from differences(a, b, f"{where}{name}.")
        elif a != b:
            yield f"{where}{name}"


def _versions():
    return {"python": platform.python_version()} | {name: _version(name) for name in _VERSIONED}


def _version(name):
    try:
        return version(name)
    except PackageNotFoundError:
        return None
