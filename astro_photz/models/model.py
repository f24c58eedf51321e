# Licensed under a 3-clause BSD style license - see LICENSE
"""
A model: two ONNX graphs and the card that describes them.

``encoder.onnx`` turns an image and its E(B-V) into an embedding, and may give the features that the embedding is made
of; dereddening and the scaling of pixels are inside the graph, so that they cannot differ from those of the training.
``head.onnx`` turns the embedding into probabilities in bins of redshift. A model that was pretrained without labels has
no head yet: it embeds, and no more.
"""

from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from astro_photz.cutouts import Cutouts
from astro_photz.pdf import RedshiftPDF
from astro_photz.utils._files import sha256
from astro_photz.utils._types import PathLike

from ._threads import in_threads
from .card import BESIDE, LINEAGE, ModelCard, ModelError
from .lineage import Lineage

__all__ = ["IMAGE_SIZE", "Encoding", "PhotozModel"]

IMAGE_SIZE = 64
# Stamps that go through the graph at once, in a thread: enough to keep a processor busy, few enough to stay in its
# cache and to be shared out evenly.
_BATCH = 16


class Encoding(NamedTuple):
    """
    Numbers that an encoder makes of the images of N galaxies.

    Parameters
    ----------
    embedding : `~numpy.ndarray` (N, D) float32
        For the head; NaN for a galaxy without pixels or E(B-V).
    features : `~numpy.ndarray` (N, F) float32
        Numbers that the embedding is made of, which tell galaxies from all else; the embedding itself, where the graph
        does not give them. NaN for a galaxy without pixels or E(B-V).
    """

    embedding: np.ndarray
    features: np.ndarray


class PhotozModel:
    """
    An encoder of images, and a head that makes redshift PDFs of its embeddings.

    Parameters
    ----------
    path : str or path-like
        Folder with ``encoder.onnx``, ``head.onnx`` (but for an encoder alone) and ``card.json``.

    Attributes
    ----------
    card : `ModelCard`
        Description of the model: training data, metrics, calibration, known limits.

    Raises
    ------
    FileNotFoundError
        If a file is missing.
    ModelError
        If a file is not the one that the card describes, or the graphs do not fit together.

    Examples
    --------
    >>> import numpy as np
    >>> from astro_photz import load_model
    >>> model = load_model()
    >>> embedding = model.encode(np.zeros((2, 5, 64, 64), dtype=np.float32), [0.02, 0.02])
    >>> model.pdf(embedding)
    <RedshiftPDF of 2 galaxies, 180 bins on 0 to 0.4>
    """

    def __init__(self, path: PathLike):
        self.path = Path(path)
        self.card = ModelCard.read(self.path)
        _check_hashes(self.path, self.card)
        self._encoder = _session(self.path / "encoder.onnx")
        self._head: Any = _session(self.path / "head.onnx") if self.card.has_head else None
        self._dims: dict[str, Any] = {node.name: node.shape[-1] for node in self._encoder.get_outputs()}
        self._check_shapes()

    @property
    def name(self) -> str:
        """Name of the model, str."""
        return self.card.name

    @property
    def version(self) -> str:
        """Version of the model, str."""
        return self.card.version

    @property
    def sha256(self) -> str:
        """Hash of the files' hashes, by which the model is known, str."""
        return self.card.sha256

    @property
    def trained_on(self) -> str:
        """Kind of the images that the weights were learnt from, in the order of the trainings, str."""
        return self.card.trained_on

    @cached_property
    def lineage(self) -> Lineage | None:
        """The galaxies that it was trained and calibrated on, `Lineage`; None if its folder does not tell."""
        return Lineage.read(self.path) if LINEAGE in self.card.files else None

    @property
    def edges(self) -> np.ndarray:
        """Edges of the bins in redshift, `~numpy.ndarray` (K + 1,); `ModelError` for an encoder alone."""
        if self._head is None:
            raise ModelError(
                f"the model {self.name} embeds images, but gives no redshifts: it was pretrained without any. Use "
                "another model, or train a head on galaxies of known redshift: astro-photz finetune --init, with the "
                "folder of a run, or of a model with weights"
            )
        return np.asarray(self.card.z_edges)

    def __repr__(self) -> str:
        return f"<PhotozModel {self.name} {self.version}>"

    def __reduce__(self):  # sessions of onnxruntime do not pickle: a worker opens its own
        return type(self), (self.path,)

    def encode(self, flux: ArrayLike, ebv: ArrayLike) -> np.ndarray:
        """
        Embed images that come as arrays.

        Parameters
        ----------
        flux : array_like (N, 5, S, S)
            Fluxes (nanomaggies) in *ugriz*, as observed; the central 64 pixels are used. NaN where there is no data.
        ebv : array_like (N,)
            E(B-V) (mag), SFD98 scale.

        Returns
        -------
        embedding : `~numpy.ndarray` (N, D) float32
            NaN for a galaxy without pixels or E(B-V), for which the network would give numbers all the same.

        Raises
        ------
        TypeError, ValueError
            If `~astro_photz.Cutouts` does not take ``flux``.
        """
        return self.embed(Cutouts(flux, ebv=ebv))

    def embed(self, cutouts: Cutouts) -> np.ndarray:
        """
        Embed the images of cutouts.

        Parameters
        ----------
        cutouts : `~astro_photz.Cutouts` (N,)
            The central 64 pixels of each stamp are used.

        Returns
        -------
        embedding : `~numpy.ndarray` (N, D) float32
            NaN for a galaxy without pixels or E(B-V), for which the network would give numbers all the same.
        """
        return self._outputs(cutouts, ["embedding"])["embedding"]

    def encoding(self, cutouts: Cutouts) -> Encoding:
        """
        Embed the images of cutouts, and keep the features that the embeddings are made of.

        Parameters
        ----------
        cutouts : `~astro_photz.Cutouts` (N,)
            The central 64 pixels of each stamp are used.

        Returns
        -------
        `Encoding` (N,)
            Of one pass through the graph.

        Examples
        --------
        >>> import astro_photz
        >>> model = astro_photz.load_model()
        >>> encoding = model.encoding(astro_photz.Cutouts.read(astro_photz.demo_path())[:3])
        >>> encoding.embedding.shape, encoding.features.shape
        ((3, 256), (3, 512))
        """
        outputs = self._outputs(cutouts, list(self._dims))
        return Encoding(outputs["embedding"], outputs.get("features", outputs["embedding"]))

    @property
    def feature_dim(self) -> int:
        """Length F of the features of an `Encoding`, int."""
        return self._dims.get("features", self.card.embedding_dim)

    @property
    def gives_features(self) -> bool:
        """True if the encoder's graph gives other features than the embedding itself, bool."""
        return "features" in self._dims

    def _outputs(self, cutouts, names):
        cutouts = cutouts.crop(IMAGE_SIZE)
        outputs = {name: np.empty((len(cutouts), self._dims[name]), dtype=np.float32) for name in names}

        def run(start):
            part = slice(start, start + _BATCH)
            feed = {"flux": np.ascontiguousarray(cutouts.flux[part]), "ebv": cutouts.ebv[part]}
            for name, values in zip(names, self._encoder.run(names, feed), strict=True):
                outputs[name][part] = values

        in_threads(run, range(0, len(cutouts), _BATCH))
        known = np.isfinite(cutouts.ebv) & (cutouts.ebv >= 0) & ~np.isnan(cutouts.flux).all(axis=(1, 2, 3))
        for values in outputs.values():
            values[~known] = np.nan
        return outputs

    def pdf(self, embedding: ArrayLike) -> RedshiftPDF:
        """
        Redshift PDFs of embeddings.

        Parameters
        ----------
        embedding : array_like (N, D)

        Returns
        -------
        `~astro_photz.RedshiftPDF` (N,)

        Raises
        ------
        ValueError
            If ``embedding`` has another length than those of this model, or the model has no head.
        """
        edges = self.edges
        embedding = np.asarray(embedding, dtype=np.float32)
        if embedding.ndim != 2 or embedding.shape[1] != self.card.embedding_dim:
            raise ValueError(f"embedding must have the shape (N, {self.card.embedding_dim}), got {embedding.shape}")
        if not len(embedding):
            return RedshiftPDF(np.zeros((0, len(edges) - 1)), edges)
        (p,) = self._head.run(["pdf"], {"embedding": embedding})
        return RedshiftPDF(p, edges)

    def _check_shapes(self):
        graphs = [self._encoder] if self._head is None else [self._encoder, self._head]
        wanted = (5, IMAGE_SIZE, IMAGE_SIZE)
        inputs = {node.name: tuple(node.shape[1:]) for node in self._encoder.get_inputs()}
        outputs = self._dims | {node.name: node.shape[-1] for node in (self._head.get_outputs() if self._head else ())}
        if inputs != {"flux": wanted, "ebv": ()}:
            raise ModelError(f"{self.path}/encoder.onnx must take flux (N, 5, 64, 64) and ebv (N,), but takes {inputs}")
        if any(isinstance(node.shape[0], int) for graph in graphs for node in graph.get_inputs()):
            raise ModelError(f"{self.path}: the graphs take batches of one length only: export a dynamic batch")
        expected = {"embedding": self.card.embedding_dim}
        if isinstance(features := self._dims.get("features"), int):  # which no card tells
            expected["features"] = features
        if self._head is not None:
            expected["pdf"] = len(self.edges) - 1
        if outputs != expected:
            raise ModelError(f"{self.path}: the graphs give {outputs}, while the card says {expected}")


def _check_hashes(path, card):
    beside = [name for name in BESIDE if name in card.files or (path / name).is_file()]
    for name in ("encoder.onnx", *(["head.onnx"] if card.has_head else []), *beside):
        file = path / name
        if not file.is_file():
            raise FileNotFoundError(f"{path} is no folder of a model: it has no {name}")
        found = sha256(file)
        if found != card.files.get(name):
            raise ModelError(
                f"{file} is not the file that its card describes: its sha256 is {found}, and that in the card is "
                f"{card.files.get(name)}. It was changed or damaged; get the model again."
            )


def _session(file):
    import onnxruntime

    options = onnxruntime.SessionOptions()
    # The threads are ours, a batch each. Those of onnxruntime spin while they wait for each other, so that a neighbour
    # on the machine costs more than its share, and are pinned to cores that may not be this process's.
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 3
    try:
        return onnxruntime.InferenceSession(file, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # onnxruntime raises classes of its own, without a common parent
        raise ModelError(f"onnxruntime cannot read {file}: {error}") from error
