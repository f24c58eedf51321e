# Licensed under a 3-clause BSD style license - see LICENSE
"""
A model: two ONNX graphs and the card that describes them.

``encoder.onnx`` turns an image and its E(B-V) into an embedding, and may give the features that the embedding is made
of; dereddening and the scaling of pixels are inside the graph, so that they cannot differ from those of the training.
``head.onnx`` turns the embedding into probabilities in bins of redshift. A model that was pretrained without labels has
no head yet: it embeds, and no more.
"""

from collections.abc import Sequence
from functools import cached_property, partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from astro_photz.config import conf
from astro_photz.cutouts import Cutouts
from astro_photz.pdf import RedshiftPDF
from astro_photz.utils._onnxruntime import onnxruntime
from astro_photz.utils._products import ROWS, padded
from astro_photz.utils._threads import in_threads
from astro_photz.utils._types import PathLike

from ._graph import weights_outside
from .card import BESIDE, LINEAGE, ModelCard, ModelError
from .lineage import Lineage

__all__ = ["IMAGE_SIZE", "Encoding", "PhotozModel"]

IMAGE_SIZE = 64
# Stamps that go through the encoder at once, in a thread: enough to keep a processor busy, few enough to stay in its
# cache and to be shared out evenly. It is always as many, and of the head as well: see `row_products`.
_BATCH = ROWS
_HEAD_BATCH = 64


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
    providers : sequence of str, optional
        Execution providers of onnxruntime, the preferred one first; ``conf.providers`` by default. On others than the
        processor, the last digits of a result may depend on the hardware.

    Attributes
    ----------
    card : `ModelCard`
        Description of the model: training data, metrics, calibration, known limits.

    Raises
    ------
    FileNotFoundError
        If a file is missing.
    OSError
        If a file cannot be read.
    ModelError
        If a file is not the one that the card describes, the graphs do not fit together, or a graph has its weights in
        another file; or if onnxruntime does not have a provider, or cannot use the preferred one.

    Examples
    --------
    >>> import numpy as np
    >>> from astro_photz import load_model
    >>> model = load_model()
    >>> embedding = model.encode(np.zeros((2, 5, 64, 64), dtype=np.float32), [0.02, 0.02])
    >>> model.pdf(embedding)
    <RedshiftPDF of 2 galaxies, 180 bins on 0 to 0.4>
    """

    def __init__(self, path: PathLike, *, providers: Sequence[str] | None = None):
        self.path = Path(path)
        self._providers = _checked(conf.providers if providers is None else providers)
        self.card = ModelCard.read(self.path)
        beside = [name for name in BESIDE if name in self.card.hashes or (self.path / name).is_file()]
        self._kept: dict[str, bytes] = {name: self.card.content(self.path, name) for name in beside}
        self._encoder = self._session("encoder.onnx")
        self._head: Any = self._session("head.onnx") if self.card.has_head else None
        self._gives = _lengths(self._encoder.get_outputs())
        self._check_shapes()
        self._check_ranges()

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
        """Hash of all that decides what the model says, by which it is known: `ModelCard.sha256`, str."""
        return self.card.sha256

    @property
    def trained_on(self) -> str:
        """Kind of the images that the weights were learnt from, in the order of the trainings, str."""
        return self.card.trained_on

    @cached_property
    def lineage(self) -> Lineage | None:
        """The galaxies that it was trained and calibrated on, `Lineage`; None if its folder does not tell."""
        if LINEAGE not in self.card.files:
            return None
        return Lineage.of_bytes(self.content(LINEAGE), self.path / LINEAGE)

    def content(self, name: str) -> bytes:
        """
        Read a file of the model that its card lists; those beside the graphs were read when it was loaded.

        Parameters
        ----------
        name : str

        Returns
        -------
        bytes

        Raises
        ------
        FileNotFoundError, ModelError
            As in `ModelCard.content`.

        Examples
        --------
        >>> from astro_photz import load_model
        >>> load_model().content("reference.npz")[:2]
        b'PK'
        """
        return self._kept[name] if name in self._kept else self.card.content(self.path, name)

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
        return partial(type(self), providers=self._providers), (self.path,)

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
        Encoding (N,)
            Of one pass through the graph.

        Examples
        --------
        >>> import astro_photz
        >>> model = astro_photz.load_model()
        >>> encoding = model.encoding(astro_photz.Cutouts.read(astro_photz.demo_path())[:3])
        >>> encoding.embedding.shape, encoding.features.shape
        ((3, 256), (3, 512))
        """
        outputs = self._outputs(cutouts, list(self._gives))
        return Encoding(outputs["embedding"], outputs.get("features", outputs["embedding"]))

    @property
    def feature_dim(self) -> int:
        """Length F of the features of an encoding, int."""
        return self._gives.get("features", (self.card.embedding_dim,))[0]

    @property
    def gives_features(self) -> bool:
        """True if the encoder's graph gives other features than the embedding itself, bool."""
        return "features" in self._gives

    def _outputs(self, cutouts, names):
        cutouts = cutouts if cutouts.size == IMAGE_SIZE else cutouts.crop(IMAGE_SIZE)
        outputs = {name: np.empty((len(cutouts), *self._gives[name]), dtype=np.float32) for name in names}

        def run(start):
            part = slice(start, start + _BATCH)
            feed = {"flux": padded(np.ascontiguousarray(cutouts.flux[part])), "ebv": padded(cutouts.ebv[part])}
            for name, values in zip(names, self._encoder.run(names, feed), strict=True):
                outputs[name][part] = values[: len(cutouts.ebv[part])]

        for _ in in_threads(run, range(0, len(cutouts), _BATCH)):
            pass
        known = np.isfinite(cutouts.ebv) & (cutouts.ebv >= 0) & ~_blank(cutouts.flux)
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
        blocks = (embedding[start : start + _HEAD_BATCH] for start in range(0, len(embedding), _HEAD_BATCH))
        parts = [self._head.run(["pdf"], {"embedding": padded(block, _HEAD_BATCH)})[0] for block in blocks]
        return RedshiftPDF(np.concatenate(parts)[: len(embedding)], edges)

    def _check_ranges(self):
        missing = {"r_mag", "ebv"} - set(self.card.training_range)
        if self.card.training_range and missing:
            raise ModelError(f"{self.path}: training_range of its card lacks {', '.join(sorted(missing))}")

    def _check_shapes(self):
        graphs = [self._encoder] if self._head is None else [self._encoder, self._head]
        dim, takes = self.card.embedding_dim, _lengths(self._encoder.get_inputs())
        if takes != {"flux": (5, IMAGE_SIZE, IMAGE_SIZE), "ebv": ()}:
            raise ModelError(f"{self.path}/encoder.onnx must take flux (N, 5, 64, 64) and ebv (N,), but takes {takes}")
        if any(not node.shape or isinstance(node.shape[0], int) for graph in graphs for node in graph.get_inputs()):
            raise ModelError(f"{self.path}: the graphs take batches of one length only: export a dynamic batch")
        expected = {"embedding": (dim,)}
        if len(features := self._gives.get("features", ())) == 1 and isinstance(features[0], int):  # no card tells it
            expected["features"] = features
        gives = self._gives
        if self._head is not None:
            expected["pdf"] = (len(self.edges) - 1,)
            gives = gives | _lengths(self._head.get_outputs())
        if gives != expected:
            raise ModelError(f"{self.path}: the graphs give {gives}, while the card says {expected}")
        if self._head is not None and (takes := _lengths(self._head.get_inputs())) != {"embedding": (dim,)}:
            raise ModelError(f"{self.path}/head.onnx must take embedding (N, {dim}), but takes {takes}")
        nodes = [node for graph in graphs for node in (*graph.get_inputs(), *graph.get_outputs())]
        if any(node.type != "tensor(float)" for node in nodes):
            raise ModelError(f"{self.path}: the graphs must take and give numbers of float32 only")

    def _session(self, name):
        """Open a graph, from the bytes whose hash was compared."""
        path, content = self.path / name, self.card.content(self.path, name)
        try:
            outside = weights_outside(content)
        except ValueError as error:
            raise ModelError(f"onnxruntime cannot read {path}: it is no ONNX graph ({error})") from error
        if outside:
            raise ModelError(
                f"{path} is refused: the weights of {outside} are in another file, which no hash of the card covers. "
                "Save the graph with all its weights inside: onnx.save(..., save_as_external_data=False)"
            )
        ort = onnxruntime()
        options = ort.SessionOptions()
        # The threads are ours, a batch each. Those of onnxruntime spin while they wait for each other, so that a
        # neighbour on the machine costs more than its share, and are pinned to cores that may not be this process's.
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        options.log_severity_level = 3
        options.add_session_config_entry("session.load_model_format", "ONNX")  # and no other, which was not looked into
        try:
            session = ort.InferenceSession(content, options, providers=self._providers)
        except Exception as error:  # onnxruntime raises classes of its own, without a common parent
            raise ModelError(f"onnxruntime cannot read {path}: {error}") from error
        if session.get_providers()[0] != self._providers[0]:  # it falls back without a word
            raise ModelError(
                f"providers[0]={self._providers[0]!r} cannot be used here, though onnxruntime has it: its libraries "
                "may be missing. Mend them, or leave it out"
            )
        return session


def _blank(flux):
    """Mask of the stamps without any pixel (N,); few lack their first one, and only those are looked at."""
    blank = np.isnan(flux[:, 0, 0, 0])
    blank[blank] = np.isnan(flux[blank]).all(axis=(1, 2, 3))
    return blank


def _checked(providers):
    """Check that onnxruntime has all of some execution providers, and list them."""
    given = [providers] if isinstance(providers, str) else list(providers)
    known = onnxruntime().get_available_providers()
    unknown = [name for name in given if name not in known]
    if unknown or not given:
        raise ModelError(
            f"providers must be some that this onnxruntime has, {', '.join(known)}; got {', '.join(map(repr, given))}"
        )
    return given


def _lengths(nodes: Any) -> dict[str, Any]:
    """Shapes of one row of inputs or outputs of a graph, by name."""
    return {node.name: tuple(node.shape[1:]) for node in nodes}
