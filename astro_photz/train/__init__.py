# Licensed under a 3-clause BSD style license - see LICENSE
"""
Training: from labelled images to a model that `astro_photz.load_model` opens.

`RedshiftModel` is the network and how Lightning trains it, `loader` its batches, `fit_temperature` its calibration,
`evaluate` its quality, `export_model` its way into ONNX. Needs the extra ``[train]``: torch, lightning, onnx and
onnxscript.
"""

from .calibrate import fit_temperature, fold_temperature
from .data import LabelledStamps, loader
from .encoder import Encoder
from .evaluate import evaluate
from .export import export_model
from .redshift import RedshiftModel

__all__ = [
    "Encoder",
    "LabelledStamps",
    "RedshiftModel",
    "evaluate",
    "export_model",
    "fit_temperature",
    "fold_temperature",
    "loader",
]
