# Licensed under a 3-clause BSD style license - see LICENSE
"""
From a trained model to the folder that `astro_photz.load_model` opens: two ONNX graphs and a card.
"""

import hashlib
import json
import logging
import os
import shutil
import warnings
from pathlib import Path

import numpy as np

from astro_photz.sdss import BANDS, PIXEL_SCALE, R_UGRIZ

from ._torch import torch
from .redshift import Z_EDGES

__all__ = ["OPSET", "export_model"]

OPSET = 20
"""Version of the ONNX operators that the graphs use."""


class _PDFHead(torch.nn.Module):
    """The linear head with its softmax: probabilities of the bins."""

    def __init__(self, head):
        super().__init__()
        self.head = head

    def forward(self, embedding):
        return self.head(embedding).softmax(dim=1)


def export_model(encoder, head, path, *, card, overwrite=False):
    """
    Write a model as ``encoder.onnx``, ``head.onnx`` and ``card.json``.

    The folder is written aside, and takes its name when it is whole.

    Parameters
    ----------
    encoder : `torch.nn.Module`
        Takes ``flux`` (B, 5, 64, 64) and ``ebv`` (B,), gives embeddings (B, D); has ``image_size`` and
        ``embedding_dim``.
    head : `torch.nn.Linear`
        Scores of the redshift bins, calibrated.
    path : str or path-like
        Folder to make.
    card : dict
        What the model is: ``name``, ``version``, ``training_data``, ``metrics``, ``calibration``, ``limits`` and
        whatever else; what the graphs themselves tell is added here, and by how much they differ from torch.
    overwrite : bool, optional
        Replace a folder that is there.

    Raises
    ------
    FileExistsError
        If there is such a folder and ``overwrite`` is not set.
    ImportError
        Without onnx and onnxscript.
    RuntimeError
        If the graphs do not give what torch gives: embeddings within 1e-4 of the largest number, PDFs within 1e-5.
    """
    path = Path(path)
    if path.exists() and not overwrite:
        raise FileExistsError(f"{path} exists: choose another path, or set overwrite=True")
    try:
        import onnxscript  # noqa: F401
    except ImportError as error:
        raise ImportError('exporting needs onnx and onnxscript: pip install "astro-photz[train]"') from error

    size = encoder.image_size
    part = path.with_name(path.name + ".part")
    shutil.rmtree(part, ignore_errors=True)
    part.mkdir(parents=True)
    stamps = torch.zeros(2, 5, size, size), torch.zeros(2)
    _export(encoder, stamps, ("flux", "ebv"), "embedding", part / "encoder.onnx")
    pdf_head = _PDFHead(head)
    _export(pdf_head, (torch.zeros(2, encoder.embedding_dim),), ("embedding",), "pdf", part / "head.onnx")
    difference = _difference_from_torch(encoder, pdf_head, part)
    if difference["embedding"] > 1e-4 or difference["pdf"] > 1e-5:
        raise RuntimeError(f"the exported graphs do not give what torch gives: they differ by {difference}")
    whole_card = card | {
        "z_edges": Z_EDGES.round(12).tolist(),
        "bands": list(BANDS),
        "pixel_scale": PIXEL_SCALE,
        "r_ugriz": np.asarray(R_UGRIZ, dtype=float).round(4).tolist(),
        "image_size": size,
        "embedding_dim": encoder.embedding_dim,
        "opset": OPSET,
        "difference_from_torch": difference,
        "files": {file.name: _sha256(file) for file in sorted(part.glob("*.onnx"))},
    }
    (part / "card.json").write_text(json.dumps(whole_card, indent=2) + "\n", encoding="utf-8")
    if path.exists():
        shutil.rmtree(path)
    os.replace(part, path)


def _export(module, example, inputs, output, path):
    module = module.cpu().float().eval()
    batch = torch.export.Dim("batch", min=1)
    logger = logging.getLogger("torch.onnx")
    level = logger.level
    with warnings.catch_warnings():
        # the exporter speaks of its own innards
        warnings.simplefilter("ignore")
        logger.setLevel(logging.ERROR)
        try:
            program = torch.onnx.export(
                module,
                example,
                dynamo=True,
                opset_version=OPSET,
                input_names=inputs,
                output_names=[output],
                dynamic_shapes=tuple({0: batch} for _ in example),
                verbose=False,
            )
        finally:
            logger.setLevel(level)
    program.save(path, external_data=False)


@torch.no_grad()
def _difference_from_torch(encoder, head, folder):
    """Largest differences between graphs and modules, for galaxies of very different brightness, some incomplete."""
    import onnxruntime

    size, n = encoder.image_size, 16
    axis = torch.arange(size) - (size - 1) / 2
    profile = torch.exp(-0.5 * (axis[:, None] ** 2 + axis**2) / 3**2)
    brightness = torch.logspace(-2, 2, n)[:, None, None, None] * torch.linspace(0.2, 1.5, 5)[:, None, None]
    flux = brightness * profile + 0.02 * torch.randn(n, 5, size, size, generator=torch.Generator().manual_seed(0))
    flux[0, 1] = flux[1, :, :, size // 2 :] = torch.nan
    ebv = torch.linspace(0, 0.3, n)
    embedding = encoder(flux, ebv)
    pdf = head(embedding)

    sessions = [onnxruntime.InferenceSession(folder / f"{name}.onnx") for name in ("encoder", "head")]
    (exported,) = sessions[0].run(None, {"flux": flux.numpy(), "ebv": ebv.numpy()})
    (exported_pdf,) = sessions[1].run(None, {"embedding": exported})
    return {
        "embedding": float(np.abs(exported - embedding.numpy()).max() / embedding.abs().max()),
        "pdf": float(np.abs(exported_pdf - pdf.numpy()).max()),
    }


def _sha256(path):
    return hashlib.sha256(path.read_bytes()).hexdigest()
