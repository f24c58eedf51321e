# Licensed under a 3-clause BSD style license - see LICENSE
"""
From a trained model to the folder that `astro_photz.load_model` opens: two ONNX graphs and a card.

The graphs are checked by onnx's own checker, and against torch, before the folder takes its name.
"""

import logging
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import torch

from astro_photz.models.card import ModelCard
from astro_photz.models.lineage import Lineage
from astro_photz.models.writing import new_model
from astro_photz.sdss import R_UGRIZ
from astro_photz.train.networks.encoder import Bottleneck
from astro_photz.train.networks.heads import Z_EDGES
from astro_photz.train.networks.weights import WEIGHTS, write_weights
from astro_photz.utils._checks import check_not_there
from astro_photz.utils._onnxruntime import onnxruntime
from astro_photz.utils._types import PathLike

__all__ = ["OPSET", "export_model", "write_model"]

OPSET = 20
"""Version of the ONNX operators that the graphs use."""


class _WithFeatures(torch.nn.Module):
    """An encoder that gives its features too: they tell a stranger, which the few numbers behind them do not."""

    def __init__(self, encoder):
        super().__init__()
        self.encoder = encoder

    def forward(self, flux, ebv):
        return self.encoder.encoding(flux, ebv)


class _PDFHead(torch.nn.Module):
    """A head with its softmax: probabilities of the bins."""

    def __init__(self, head):
        super().__init__()
        self.head = head

    def forward(self, embedding):
        return self.head(embedding).softmax(dim=1)


def export_model(
    encoder: torch.nn.Module,
    head: torch.nn.Module | None,
    path: PathLike,
    *,
    card: ModelCard,
    lineage: Lineage | None = None,
    settings: dict[str, Any] | None = None,
    weights: bool = True,
    overwrite: bool = False,
) -> None:
    """
    Write a model as ``encoder.onnx``, ``head.onnx`` and ``card.json``.

    The folder is written aside, and takes its name when it is whole.

    Parameters
    ----------
    encoder : `torch.nn.Module`
        Takes ``flux`` (B, 5, 64, 64) and ``ebv`` (B,), gives embeddings (B, D); has ``image_size`` and
        ``embedding_dim``. The graph of one with a bottleneck gives its ``features`` too.
    head : `torch.nn.Module` or None
        Takes embeddings (B, D), gives scores of the redshift bins (B, 180), calibrated: their softmax is the PDF. None
        for an encoder alone, which embeds but gives no redshifts.
    path : str or path-like
        Folder to make.
    card : `~astro_photz.models.ModelCard`
        Description of the model; the facts of the graphs, and their difference from torch, are added here.
    lineage : `~astro_photz.models.Lineage`, optional
        The galaxies that the model was trained and calibrated on.
    settings : dict, optional
        Keywords of `~astro_photz.train.make_encoder` that the encoder was made with: they go into the card.
    weights : bool, optional
        Whether the weights, with the head's, go into ``encoder.safetensors``, for training that begins with them; not
        without ``settings``.
    overwrite : bool, optional
        Replace a folder that is there.

    Raises
    ------
    FileExistsError
        If there is such a folder and ``overwrite`` is not set.
    ImportError
        Without onnx and onnxscript.
    RuntimeError
        If the graphs do not give what torch gives: embeddings and features within 1e-4 of the largest number, PDFs
        within 1e-5.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> from astro_photz import train
    >>> from astro_photz.models import ModelCard, load_model
    >>> folder = pathlib.Path(tempfile.mkdtemp())
    >>> encoder = train.make_encoder("resnet18", width=4).eval()
    >>> card = ModelCard(name="mine", version="1", training_data={"description": "none: random weights"}, limits=[])
    >>> train.export_model(encoder, None, folder / "mine", card=card)
    >>> load_model(folder / "mine").card.embedding_dim
    32
    """
    path = Path(path)
    check_not_there(path, overwrite=overwrite)
    with new_model(path, overwrite=overwrite) as part:
        write_model(encoder, head, part, card=card, lineage=lineage, settings=settings, weights=weights)


def write_model(
    encoder: torch.nn.Module,
    head: torch.nn.Module | None,
    folder: Path,
    *,
    card: ModelCard,
    lineage: Lineage | None = None,
    settings: dict[str, Any] | None = None,
    weights: bool = True,
) -> None:
    """
    Write the files of a model into a folder that is there, as `export_model` does.

    Parameters
    ----------
    encoder, head, card, lineage, settings, weights
        As in `export_model`.
    folder : `~pathlib.Path`

    Raises
    ------
    ImportError, RuntimeError
        As in `export_model`.
    """
    try:
        import onnxscript  # noqa: F401
    except ImportError as error:
        raise ImportError('exporting needs onnx and onnxscript: pip install "astro-photz[train]"') from error
    difference = _write_graphs(encoder, head, folder)
    if settings and weights:
        write_weights(folder / WEIGHTS, encoder, settings, head=head)
    if lineage:
        lineage.write(folder)
    card.updated(difference_from_torch=difference, **_facts(encoder, head, settings)).write(folder)


def _write_graphs(encoder, head, folder):
    """Write the graphs, and measure their difference from torch; raise an error if it is large."""
    size = encoder.image_size
    stamps = {"flux": torch.zeros(2, 5, size, size), "ebv": torch.zeros(2)}
    if isinstance(encoder, Bottleneck):
        _export(_WithFeatures(encoder), stamps, ["embedding", "features"], folder / "encoder.onnx")
    else:
        _export(encoder, stamps, ["embedding"], folder / "encoder.onnx")
    pdf_head = _PDFHead(head) if head else None
    if head:
        _export(pdf_head, {"embedding": torch.zeros(2, encoder.embedding_dim)}, ["pdf"], folder / "head.onnx")
    difference = _difference_from_torch(encoder, pdf_head, folder)
    if not all(value <= (1e-5 if name == "pdf" else 1e-4) for name, value in difference.items()):  # NaN is not
        raise RuntimeError(f"the exported graphs do not give what torch gives: they differ by {difference}")
    return difference


def _facts(encoder, head, settings):
    """Facts of a model that its code tells, as entries of its card."""
    facts = {"encoder": settings} if settings else {}
    if head:
        facts["z_edges"] = Z_EDGES.round(12).tolist()
    return facts | {
        "r_ugriz": np.asarray(R_UGRIZ, dtype=float).round(4).tolist(),
        "image_size": encoder.image_size,
        "embedding_dim": encoder.embedding_dim,
        "opset": OPSET,
    }


def _export(module, inputs, outputs, path):
    import onnx

    module = module.cpu().float().eval()
    batch = torch.export.Dim("batch", min=1)
    logger = logging.getLogger("torch.onnx")
    level = logger.level
    with warnings.catch_warnings():
        # the exporter warns of its own code
        warnings.simplefilter("ignore")
        logger.setLevel(logging.ERROR)
        try:
            program = torch.onnx.export(
                module,
                tuple(inputs.values()),
                dynamo=True,
                opset_version=OPSET,
                input_names=list(inputs),
                output_names=outputs,
                dynamic_shapes=tuple({0: batch} for _ in inputs),
                verbose=False,
            )
        finally:
            logger.setLevel(level)
    graph = program.model_proto
    _forget_sources(graph)
    onnx.save(graph, path)
    onnx.checker.check_model(path, full_check=True)


def _forget_sources(graph):
    """Remove the lines of source files, and their place on this machine, that each node is from."""
    for part in (graph.graph, *graph.functions):
        for one in (part, *part.node, *getattr(part, "value_info", ())):
            del one.metadata_props[:]
            one.doc_string = ""


@torch.no_grad()
def _difference_from_torch(encoder, head, folder):
    """Largest differences between graphs and modules, for galaxies of very different brightness, some incomplete."""
    size, n = encoder.image_size, 8
    axis = torch.arange(size) - (size - 1) / 2
    profile = torch.exp(-0.5 * (axis[:, None] ** 2 + axis**2) / 3**2)
    brightness = torch.logspace(-2, 2, n)[:, None, None, None] * torch.linspace(0.2, 1.5, 5)[:, None, None]
    flux = brightness * profile + 0.02 * torch.randn(n, 5, size, size, generator=torch.Generator().manual_seed(0))
    flux[0, 1] = flux[1, :, :, size // 2 :] = torch.nan
    ebv = torch.linspace(0, 0.3, n)
    trained = encoder.encoding(flux, ebv) if isinstance(encoder, Bottleneck) else (encoder(flux, ebv),)
    exported = _run(folder / "encoder.onnx", flux=flux, ebv=ebv)
    difference = {
        name: float(np.abs(graphs - torchs.numpy()).max() / torchs.abs().max())
        for name, graphs, torchs in zip(("embedding", "features"), exported, trained, strict=False)
    }
    embedding = trained[0]
    if head:
        (pdf,) = _run(folder / "head.onnx", embedding=embedding)
        difference["pdf"] = float(np.abs(pdf - head(embedding).numpy()).max())
    return difference


def _run(path, **inputs):
    session = onnxruntime().InferenceSession(path, providers=["CPUExecutionProvider"])
    return session.run(None, {name: values.numpy() for name, values in inputs.items()})
