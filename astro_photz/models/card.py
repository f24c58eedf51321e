# Licensed under a 3-clause BSD style license - see LICENSE
"""
The card of a model, ``card.json``: its description, training data, figures of merit and limits.
"""

import hashlib
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar, Self

from astro_photz.sdss import BANDS, PIXEL_SCALE
from astro_photz.utils._document import Document
from astro_photz.utils._files import aside, sha256
from astro_photz.utils._types import PathLike

__all__ = ["ANALOGUES", "BESIDE", "CARD", "LINEAGE", "REFERENCE", "ModelCard", "ModelError"]

CARD = "card.json"
"""Name of the file, by which the folder of a model is known."""

LINEAGE = "lineage.json"
"""Name of the file with the galaxies that a model was trained on: `~astro_photz.models.lineage.Lineage`."""

REFERENCE = "reference.npz"
"""Name of the file by which strangers are told from the galaxies of the training."""

ANALOGUES = "analogues.npz"
"""Name of the file with galaxies of known redshift to compare others with."""

BESIDE = (LINEAGE, REFERENCE, ANALOGUES)
"""Names of the files that a model may have beside its graphs."""

_IN_EVERY_FILE = ("name", "version", "bands", "pixel_scale", "embedding_dim", "training_data", "limits", "files")
_HASHED = (".onnx", ".pt", ".safetensors")


class ModelError(ValueError):
    """A folder that should hold a model does not, or not the one that its card describes."""


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
        Galaxies by which strangers are told: ``of`` (which they are), ``n`` and ``n_validation`` of them, ``sha256`` of
        the file.
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
        Hashes of the files of the model, by name; `write` fills them in.
    form : int, optional
        Version of the form of a card. Cards without one have form 1.
    others : dict, optional
        Entries of the file that have no field: they are kept.

    Raises
    ------
    ModelError
        If a field is of another type, or the form is newer than this version of the package.

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
            If the card is not JSON, lacks an entry, or has one of another type.
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

    def entries(self) -> dict:
        return super().entries() | {"files": self.files}

    @property
    def has_head(self) -> bool:
        """True for a model that gives redshifts, False for an encoder that was pretrained without labels, bool."""
        return "head.onnx" in self.files

    @property
    def sha256(self) -> str:
        """Hash of the files' hashes, by which the model is known, str."""
        return hashlib.sha256("".join(self.files[name] for name in sorted(self.files)).encode()).hexdigest()

    @property
    def trained_on(self) -> str:
        """Kind of the images that the weights were learnt from, in the order of the trainings, str."""
        if self.simulated or not self.origin.get("simulated"):
            return "simulated images" if self.simulated else "real images"
        return "simulated images, then real images"
