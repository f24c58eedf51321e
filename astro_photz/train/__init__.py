# Licensed under a 3-clause BSD style license - see LICENSE
"""
Training: from images, with or without redshifts, to a model that `astro_photz.load_model` opens.

`pretrain` teaches an encoder without labels, `finetune` lets it learn redshifts; a `Recipe` says how, and a folder
keeps what came of it. `adapt` carries a model over to another sample with few labels. `fit_temperature` calibrates,
`export_run` writes a model, in ONNX. Needs the extra ``[train]``: torch, lightning, onnx and onnxscript.
"""

from astro_photz.utils._optional import optional

for _module in ("torch", "lightning"):
    optional(_module, extra="train", doing="training")

from .data.loader import StampData, loader
from .data.stamps import Stamps
from .export.onnx import export_model
from .export.run_to_model import export_run
from .networks.dereddening import deredden
from .networks.encoder import make_encoder
from .recipe import FineTuning, Pretraining, Recipe, list_recipes
from .runs.adaptation import adapt
from .runs.finetuning import finetune
from .runs.machine import Machine
from .runs.pretraining import pretrain
from .tasks.calibration import fit_temperature, fold_temperature
from .tasks.moco import ContrastiveModel
from .tasks.optimizer import Optimizer
from .tasks.redshift import RedshiftModel

__all__ = [
    "ContrastiveModel",
    "FineTuning",
    "Machine",
    "Optimizer",
    "Pretraining",
    "Recipe",
    "RedshiftModel",
    "StampData",
    "Stamps",
    "adapt",
    "deredden",
    "export_model",
    "export_run",
    "finetune",
    "fit_temperature",
    "fold_temperature",
    "list_recipes",
    "loader",
    "make_encoder",
    "pretrain",
]
