# Licensed under a 3-clause BSD style license - see LICENSE
"""
A model in 8-bit integers: faster on processors that multiply them, for a little accuracy.

The convolutions are quantised *statically* (onnxruntime's QDQ format): weights per channel, and each convolution's
input on a scale fixed beforehand from stamps of the training set. Dereddening, scaling of the pixels, photometry and
the head stay as they are: they take little time and need their digits. The loss of accuracy is measured on the
validation set, and written into the card.
"""

import logging
import tempfile
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from astro_photz.cutouts.container import read_rows
from astro_photz.cutouts.hdf5.dataset import data_hash
from astro_photz.cutouts.hdf5.layout import open_cutouts
from astro_photz.evaluation.scores import evaluate_model
from astro_photz.models import PhotozModel, load_model
from astro_photz.models.card import BESIDE
from astro_photz.models.model import IMAGE_SIZE
from astro_photz.models.writing import new_model
from astro_photz.utils._checks import check_not_there
from astro_photz.utils._onnxruntime import onnxruntime

__all__ = ["quantize_model"]

_BATCH = 64
_COMPARED = ("bias", "sigma_mad", "eta", "crps")


def quantize_model(model, path, *, stamps, validation, n_stamps=512, seed=0, overwrite=False):
    """
    Write a model again, with the convolutions of its encoder in 8-bit integers.

    Parameters
    ----------
    model : str, path-like or `~astro_photz.models.PhotozModel`
        A model, its name or its folder.
    path : str or path-like
        Folder to make.
    stamps : str or path-like
        HDF5 file of stamps to take the scales from: the training set.
    validation : str or path-like
        HDF5 file with redshifts to measure the loss of accuracy on.
    n_stamps : int, optional
        Number of ``stamps`` to take; all, if there are fewer.
    seed : int, optional
        Of the draw.
    overwrite : bool, optional
        Replace a folder that is there.

    Returns
    -------
    dict
        Under ``float32`` and ``int8``, ``bias``, ``sigma_mad``, ``eta`` and ``crps`` on the validation set, and
        ``sigma_mad_ratio``, that of int8 over that of float32. It is in the card too, under ``quantization``.

    Raises
    ------
    FileExistsError
        If there is such a folder and ``overwrite`` is not set.
    OSError, ValueError
        If a file cannot be used, or the model has no redshift head to measure by.
    ImportError
        Without onnx.
    """
    path = Path(path)
    check_not_there(path, overwrite=overwrite)
    model = load_model(model)
    measured = {"seen": True, "progress": False}  # the calibration's galaxies serve both, and are compared
    before = evaluate_model(model, validation, **measured).overall  # refuses what cannot be used, at the start
    batches = _batches(stamps, n_stamps, seed)
    with new_model(path, overwrite=overwrite) as part:
        for name in ("head.onnx", *(name for name in BESIDE if name in model.card.hashes)):
            (part / name).write_bytes(model.content(name))
        _quantize(model.content("encoder.onnx"), part / "encoder.onnx", batches)
        # metrics and differences were measured in float32
        card = model.card.updated(name=f"{model.name}-int8", metrics={}, difference_from_torch={}).write(part)
        after = evaluate_model(PhotozModel(part), validation, **measured).overall
        loss = {
            "float32": {name: before[name] for name in _COMPARED},
            "int8": {name: after[name] for name in _COMPARED},
            "sigma_mad_ratio": round(after["sigma_mad"] / before["sigma_mad"], 4),
        }
        method = "convolutions in static int8 (QDQ), weights per channel"
        sets = {"n_stamps": sum(len(batch["ebv"]) for batch in batches), "sha256": data_hash(stamps), "seed": seed}
        judged = {"validation_sha256": data_hash(validation), "n_validation": after["n"], **loss}
        card.updated(quantization={"method": method, **sets, **judged}).write(part)
    return loss


def _batches(path, n, seed):
    """Read the stamps that the scales are taken from, as inputs of the graph."""
    with open_cutouts(path) as file:
        n_rows = len(file["images"])
        rows = np.sort(np.random.default_rng(seed).permutation(n_rows)[:n])
        cutouts = read_rows(file, rows).crop(IMAGE_SIZE)
    parts = (cutouts[start : start + _BATCH] for start in range(0, len(cutouts), _BATCH))
    return [{"flux": np.ascontiguousarray(part.flux), "ebv": part.ebv} for part in parts]


def _quantize(source, target, batches):
    try:
        quantization = onnxruntime("quantization")
    except ImportError as error:
        raise ImportError('quantising needs onnx: pip install "astro-photz[train]"') from error

    class Reader(quantization.CalibrationDataReader):
        """The batches, one after another, for onnxruntime."""

        def __init__(self):
            self._left = iter(batches)

        def get_next(self):
            return next(self._left, None)

    with tempfile.TemporaryDirectory() as folder, _quiet():
        folded = Path(folder) / "folded.onnx"
        _fold_constants(source, folded)
        quantization.quantize_static(
            folded,
            target,
            Reader(),
            quant_format=quantization.QuantFormat.QDQ,
            op_types_to_quantize=["Conv"],
            per_channel=True,
            activation_type=quantization.QuantType.QUInt8,
            weight_type=quantization.QuantType.QInt8,
        )


def _fold_constants(source, target):
    """Compute all that depends on weights only, so that the weights of convolutions are numbers."""
    ort = onnxruntime()
    options = ort.SessionOptions()
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_ENABLE_BASIC
    options.optimized_model_filepath = str(target)
    ort.InferenceSession(source, options, providers=["CPUExecutionProvider"])


@contextmanager
def _quiet():
    """Silence onnxruntime's advice to do what has been done."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        yield
    finally:
        logging.disable(before)
