# Licensed under a 3-clause BSD style license - see LICENSE
"""
A model: two ONNX graphs and the card that says what they are.

``encoder.onnx`` turns an image and its E(B-V) into an embedding; dereddening and the scaling of pixels are inside the
graph, so that they cannot differ from those of the training. ``head.onnx`` turns the embedding into probabilities in
bins of redshift. A model that was pretrained without labels has no head yet: it embeds, and no more.
"""

import hashlib
import json
from pathlib import Path

import numpy as np

from astro_photz.cutouts import Cutouts
from astro_photz.pdf import RedshiftPDF
from astro_photz.utils._files import sha256

from ._threads import in_threads

__all__ = ["ModelError", "PhotozModel"]

IMAGE_SIZE = 64
_CARD_KEYS = ("name", "version", "bands", "pixel_scale", "embedding_dim", "training_data", "limits", "files")
# Stamps that go through the graph at once, in a thread: enough to keep a processor busy, few enough to stay in its
# cache and to be shared out evenly.
_BATCH = 16


class ModelError(ValueError):
    """A folder that should hold a model does not, or not the one that its card describes."""


class PhotozModel:
    """
    An encoder of images, and a head that makes redshift PDFs of its embeddings.

    Parameters
    ----------
    path : str or path-like
        Folder with ``encoder.onnx``, ``head.onnx`` (but for an encoder alone) and ``card.json``.

    Attributes
    ----------
    card : dict
        What the model is: training data, metrics, calibration, known limits.

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

    def __init__(self, path):
        self.path = Path(path)
        self.card = read_card(self.path)
        _check_hashes(self.path, self.card)
        self._encoder = _session(self.path / "encoder.onnx")
        self._head = _session(self.path / "head.onnx") if has_head(self.card) else None
        self._check_shapes()

    @property
    def name(self):
        """Name of the model, str."""
        return self.card["name"]

    @property
    def version(self):
        """Version of the model, str."""
        return self.card["version"]

    @property
    def sha256(self):
        """Hash of the files' hashes: it tells this model from every other, str."""
        files = self.card["files"]
        return hashlib.sha256("".join(files[name] for name in sorted(files)).encode()).hexdigest()

    @property
    def trained_on(self):
        """What kind of images its weights were learnt from, in the order of the trainings, str."""
        simulated, origin = self.card.get("simulated"), self.card.get("origin") or {}
        if simulated or not origin.get("simulated"):
            return "simulated images" if simulated else "real images"
        return "simulated images, then real images"

    @property
    def edges(self):
        """Edges of the bins in redshift, `~numpy.ndarray` (K + 1,); `ModelError` for an encoder alone."""
        if self._head is None:
            raise ModelError(
                f"the model {self.name} embeds images, but gives no redshifts: it was pretrained without any. Use "
                "another model, or train a head on galaxies of known redshift (astro-photz finetune --init, of a run's "
                "folder or a model with an encoder.pt)"
            )
        return np.asarray(self.card["z_edges"])

    def __repr__(self):
        return f"<PhotozModel {self.name} {self.version}>"

    def __reduce__(self):  # sessions of onnxruntime do not pickle: a worker opens its own
        return type(self), (self.path,)

    def encode(self, flux, ebv):
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
            NaN for a galaxy without a pixel or E(B-V), of which the network would make something none the less.

        Raises
        ------
        TypeError, ValueError
            If ``flux`` is not what `~astro_photz.Cutouts` takes.
        """
        return self.embed(Cutouts(flux, ebv=ebv))

    def embed(self, cutouts):
        """
        Embed the images of cutouts.

        Parameters
        ----------
        cutouts : `~astro_photz.Cutouts` (N,)
            The central 64 pixels of each stamp are used.

        Returns
        -------
        embedding : `~numpy.ndarray` (N, D) float32
            NaN for a galaxy without a pixel or E(B-V), of which the network would make something none the less.
        """
        cutouts = cutouts.crop(IMAGE_SIZE)
        embedding = np.empty((len(cutouts), self.card["embedding_dim"]), dtype=np.float32)

        def embed(start):
            part = slice(start, start + _BATCH)
            feed = {"flux": np.ascontiguousarray(cutouts.flux[part]), "ebv": cutouts.ebv[part]}
            (embedding[part],) = self._encoder.run(["embedding"], feed)

        in_threads(embed, range(0, len(cutouts), _BATCH))
        known = np.isfinite(cutouts.ebv) & (cutouts.ebv >= 0) & ~np.isnan(cutouts.flux).all(axis=(1, 2, 3))
        embedding[~known] = np.nan
        return embedding

    def pdf(self, embedding):
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
            If ``embedding`` is none of this model, or the model has no head.
        """
        edges = self.edges
        embedding = np.asarray(embedding, dtype=np.float32)
        if embedding.ndim != 2 or embedding.shape[1] != self.card["embedding_dim"]:
            raise ValueError(f"embedding must have the shape (N, {self.card['embedding_dim']}), got {embedding.shape}")
        if not len(embedding):
            return RedshiftPDF(np.zeros((0, len(edges) - 1)), edges)
        (p,) = self._head.run(["pdf"], {"embedding": embedding})
        return RedshiftPDF(p, edges)

    def _check_shapes(self):
        graphs = [self._encoder] if self._head is None else [self._encoder, self._head]
        wanted = (5, IMAGE_SIZE, IMAGE_SIZE)
        inputs = {node.name: tuple(node.shape[1:]) for node in self._encoder.get_inputs()}
        outputs = {node.name: node.shape[-1] for graph in graphs for node in graph.get_outputs()}
        if inputs != {"flux": wanted, "ebv": ()}:
            raise ModelError(f"{self.path}/encoder.onnx must take flux (N, 5, 64, 64) and ebv (N,); it takes {inputs}")
        if any(isinstance(node.shape[0], int) for graph in graphs for node in graph.get_inputs()):
            raise ModelError(f"{self.path}: the graphs take batches of one length only: export a dynamic batch")
        expected = {"embedding": self.card["embedding_dim"]}
        if self._head is not None:
            expected["pdf"] = len(self.edges) - 1
        if outputs != expected:
            raise ModelError(f"{self.path}: the graphs give {outputs}, while the card says {expected}")


def has_head(card):
    """
    Tell whether a model gives redshifts, by its card.

    Parameters
    ----------
    card : dict

    Returns
    -------
    bool
        False for an encoder that was pretrained without labels, and has no head.
    """
    return "head.onnx" in card["files"]


def read_card(path):
    """
    Read the card of a model.

    Parameters
    ----------
    path : path-like
        Folder of the model.

    Returns
    -------
    dict

    Raises
    ------
    FileNotFoundError
        If there is none.
    ModelError
        If it is not JSON, or lacks an entry.
    """
    file = Path(path) / "card.json"
    if not file.is_file():
        raise FileNotFoundError(f"{path} is no folder of a model: it has no card.json")
    try:
        card = json.loads(file.read_text(encoding="utf-8"))
    except json.JSONDecodeError as error:
        raise ModelError(f"{file} is not JSON: {error}") from error
    missing = [key for key in _CARD_KEYS if key not in card]
    if not missing and has_head(card) and "z_edges" not in card:
        missing = ["z_edges"]
    if missing:
        raise ModelError(f"{file} lacks {', '.join(missing)}")
    return card


def _check_hashes(path, card):
    for name in ("encoder.onnx", "head.onnx") if has_head(card) else ("encoder.onnx",):
        file = path / name
        if not file.is_file():
            raise FileNotFoundError(f"{path} is no folder of a model: it has no {name}")
        found = sha256(file)
        files = card["files"]
        if found != files.get(name):
            raise ModelError(
                f"{file} is not the file that its card describes: its sha256 is {found}, that of the card "
                f"{files.get(name)}. It was changed or damaged; get the model again."
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
