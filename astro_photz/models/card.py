# Licensed under a 3-clause BSD style license - see LICENSE
"""
The card of a model, ``card.json``: its description, training data, figures of merit and limits.
"""

import hashlib
import json
import reprlib
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar, Self

from astro_photz.sdss import BANDS, PIXEL_SCALE
from astro_photz.utils._document import Document
from astro_photz.utils._files import aside, sha256
from astro_photz.utils._types import PathLike

from ._fields import fault_of, is_hash
from ._listed import listed_bytes

__all__ = ["ANALOGUES", "BESIDE", "CARD", "LINEAGE", "REFERENCE", "SPACE", "ModelCard", "ModelError"]

CARD = "card.json"
"""Name of the file, by which the folder of a model is known."""

LINEAGE = "lineage.json"
"""Name of the file with the galaxies that a model was trained on: `~astro_photz.models.lineage.Lineage`."""

REFERENCE = "reference.npz"
"""Name of the file by which strangers are told from the galaxies of the training."""

ANALOGUES = "analogues.npz"
"""Name of the file with galaxies of known redshift to compare others with."""

SPACE = "similarity.npz"
"""Name of the file with the space of similarity searches."""

BESIDE = (LINEAGE, REFERENCE, ANALOGUES, SPACE)
"""Names of the files that a model may have beside its graphs."""

_IN_EVERY_FILE = ("name", "version", "bands", "pixel_scale", "embedding_dim", "training_data", "limits", "files")
_HASHED = (".onnx", ".pt", ".safetensors")
_SEARCHES = "similarity"  # entry about the space, which had the hash of its file before `files` did
# What changes an estimate, a flag, or what a result says of the model. All else is a report.
_DECIDE = (
    *("z_edges", "calibration", "training_range", "simulated", "origin"),
    *("bands", "pixel_scale", "r_ugriz", "image_size", "embedding_dim"),
)


class ModelError(ValueError):
    """
    A folder that should hold a model does not, or not the one that its card describes.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> from astro_photz.models import ModelError, load_model
    >>> folder = pathlib.Path(tempfile.mkdtemp())
    >>> _ = (folder / "card.json").write_text("{}")
    >>> try:
    ...     load_model(folder)
    ... except ModelError as error:
    ...     print(str(error).partition("card.json ")[2])
    lacks name, version, bands, pixel_scale, embedding_dim, training_data, limits, files
    """


@dataclass(frozen=True, kw_only=True)
class ModelCard(Document):
    """
    A description of a model, in the words of its file ``card.json``.

    Parameters
    ----------
    name, version : str
    training_data : dict
        ``description``, and for a model that was trained here ``n``, ``sha256``, ``seed``, and perhaps ``splits``.
    limits : list of str
        Known limits, a sentence each.
    simulated : bool, optional
        Whether the model was trained on simulated images only.
    origin : dict, optional
        Of the model whose weights the training began with: ``name``, ``simulated`` and ``training_range``.
    training_range : dict of list of float, optional
        Lowest and highest ``r_mag``, ``ebv`` and ``redshift`` of nearly all galaxies of the training set, and
        ``seeing`` (full width at half maximum in *r*, arcsec) where it is known.
    metrics : dict of dict of float, optional
        Figures of merit, by the set of galaxies that they were measured on.
    calibration, quantization, source : dict, optional
        Reports of the calibration, of the conversion to 8-bit integers, and of the download of published weights.
    recipe, versions, made_by, commit, steps : dict or str, optional
        How the model was trained, with which software, and when.
    reference : dict, optional
        Galaxies by which strangers are told: ``of`` (which they are), ``n`` and ``n_validation`` of them, perhaps
        ``n_point_sources``, ``n_distant`` and ``n_faint`` by which kinds are told, and ``sha256`` of the file.
    encoder : dict, optional
        Keywords of `~astro_photz.train.make_encoder`.
    z_edges : list of float (K + 1,), optional
        Edges of the redshift bins; None without a redshift head.
    bands, pixel_scale, r_ugriz, image_size : list of str, float (arcsec), list of float, int, optional
        The images that the model takes: their bands, sampling, extinction coefficients and size (pixels).
    embedding_dim : int, optional
        Length of an embedding; None until the graphs are written.
    opset, difference_from_torch : int, dict of float, optional
        Version of the ONNX operators, and largest differences between the graphs and what was trained.
    files : dict of str, optional
        Hashes of the files of the model, by name; `write` fills them in. A file that is not listed is not used.
    form : int, optional
        Version of the form of a card. Cards without one have form 1.
    others : dict, optional
        Entries of the file that have no field: they are kept.

    Raises
    ------
    ModelError
        If a field is of another type, holds what no model can have, such as edges that do not increase, or the form is
        newer than this version of the package.

    Examples
    --------
    >>> from astro_photz.models import ModelCard
    >>> card = ModelCard(name="mine", version="1", training_data={"description": "none"}, limits=[])
    >>> card.updated(simulated=True, survey="mine").others
    {'survey': 'mine'}
    """

    noun: ClassVar[str] = "a card"
    error: ClassVar[type] = ModelError

    name: str
    version: str
    training_data: dict
    limits: list
    simulated: bool = False
    origin: dict = field(default_factory=dict)
    training_range: dict = field(default_factory=dict)
    metrics: dict = field(default_factory=dict)
    calibration: dict = field(default_factory=dict)
    quantization: dict = field(default_factory=dict)
    source: dict = field(default_factory=dict)
    recipe: dict = field(default_factory=dict)
    versions: dict = field(default_factory=dict)
    made_by: dict = field(default_factory=dict)
    commit: str | None = None
    steps: dict = field(default_factory=dict)
    reference: dict = field(default_factory=dict)
    encoder: dict = field(default_factory=dict)
    z_edges: list | None = None
    bands: list = field(default_factory=lambda: list(BANDS))
    pixel_scale: float | int = PIXEL_SCALE
    r_ugriz: list | None = None
    image_size: int = 64
    embedding_dim: int = 0
    opset: int | None = None
    difference_from_torch: dict = field(default_factory=dict)
    files: dict = field(default_factory=dict)

    def __post_init__(self):
        super().__post_init__()
        fault = fault_of(vars(self)) or self._fault_of_space()
        if fault:
            name, words = fault
            raise self.error(f"{name} of {self.noun} {words}")

    @classmethod
    def of(cls, entries: dict) -> Self:
        if isinstance(entries.get("version"), int):  # as some users have written it
            entries = entries | {"version": str(entries["version"])}
        return super().of(entries)

    @classmethod
    def read(cls, folder: PathLike) -> Self:
        """
        Read the card of a model.

        Parameters
        ----------
        folder : str or path-like
            Of the model.

        Returns
        -------
        `ModelCard`

        Raises
        ------
        FileNotFoundError
            If the folder has no card.
        ModelError
            If the card is not JSON, lacks an entry, or has one that no model can have.
        """
        file = Path(folder) / CARD
        if not file.is_file():
            raise FileNotFoundError(f"{folder} is no folder of a model: it has no card.json")
        card = cls.of_file(file, needed=_IN_EVERY_FILE)
        if card.has_head and card.z_edges is None:
            raise ModelError(f"{file} lacks z_edges")
        return card

    def write(self, folder: PathLike) -> Self:
        """
        Write the card, with the hashes of the files of the model that are in the folder.

        Parameters
        ----------
        folder : str or path-like

        Returns
        -------
        `ModelCard`
            As written.
        """
        folder = Path(folder)
        files = sorted(file for file in folder.iterdir() if file.suffix in _HASHED or file.name in BESIDE)
        card = self.updated(files={file.name: sha256(file) for file in files})
        with aside(folder / CARD) as part:
            part.write_text(json.dumps(card.entries(), indent=2) + "\n", encoding="utf-8")
        return card

    def content(self, folder: PathLike, name: str) -> bytes:
        """
        Read a file of the model that the card lists.

        Parameters
        ----------
        folder : str or path-like
            Of the model.
        name : str
            Of the file.

        Returns
        -------
        bytes
            Those that have the hash of the card.

        Raises
        ------
        FileNotFoundError
            If it is missing.
        ModelError
            If the card does not list it, or it is not the one that the card describes.
        """
        try:
            return listed_bytes(Path(folder), name, self.hashes)
        except ValueError as error:
            raise ModelError(str(error)) from error

    def entries(self) -> dict:
        return super().entries() | {"files": self.files}

    @property
    def has_head(self) -> bool:
        """True for a model that gives redshifts, False for an encoder that was pretrained without labels, bool."""
        return "head.onnx" in self.files

    @property
    def hashes(self) -> dict[str, str]:
        """Hashes of all files that are used, by name: `files`, and the space of cards that list it elsewhere, dict."""
        space = self.others.get(_SEARCHES, {})
        return ({SPACE: space["sha256"]} if space else {}) | self.files

    @property
    def sha256(self) -> str:
        """
        Hash of all that decides what the model says, by which it is known, str.

        It is that of a JSON text, with sorted keys and no spaces, of the hashes of the files and of the entries that
        change an estimate, a flag, or what a result tells of the model: ``z_edges``, ``calibration``,
        ``training_range``, ``simulated``, ``origin``, ``bands``, ``pixel_scale``, ``r_ugriz``, ``image_size`` and
        ``embedding_dim``. Figures of merit, limits and words are not part of it.
        """
        told = {name: getattr(self, name) for name in _DECIDE} | {"files": self.hashes}
        text = json.dumps(_whole(told), sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(text.encode()).hexdigest()

    @property
    def trained_on(self) -> str:
        """Kind of the images that the weights were learnt from, in the order of the trainings, str."""
        if self.simulated or not self.origin.get("simulated"):
            return "simulated images" if self.simulated else "real images"
        return "simulated images, then real images"

    def _fault_of_space(self):
        space = self.others.get(_SEARCHES)
        if space is None or (isinstance(space, dict) and is_hash(space.get("sha256"))):
            return None
        return _SEARCHES, f"must hold the sha256 of {SPACE}, got {reprlib.repr(space)}"


def _whole(value):
    """A value whose numbers are whole where they can be: 64 and 64.0 are one size."""
    if isinstance(value, dict):
        return {name: _whole(one) for name, one in value.items()}
    if isinstance(value, list | tuple):
        return [_whole(one) for one in value]
    return int(value) if isinstance(value, float) and value.is_integer() else value
