# Licensed under a 3-clause BSD style license - see LICENSE
"""
Training: from images, with or without redshifts, to a model that `astro_photz.load_model` opens.

`pretrain` teaches an encoder without labels (`astro_photz.train.contrastive`), `finetune` lets it learn redshifts
(`astro_photz.train.redshift`); a `Recipe` says how, and a folder keeps what came of it. `adapt` carries a model over to
another sample with few labels. `fit_temperature` calibrates, `evaluate` measures, `export_model` writes ONNX. Needs the
extra ``[train]``: torch, lightning, onnx and onnxscript.
"""

from .adaptation import adapt
from .calibrate import fit_temperature, fold_temperature
from .contrastive import ContrastiveModel
from .data import StampData, loader
from .encoder import make_encoder
from .evaluate import comparison, evaluate, evaluate_model
from .export import export_model
from .model_card import write_model_card
from .recipe import Recipe, list_recipes
from .redshift import RedshiftModel
from .release import export_run
from .run import Machine, finetune, pretrain
from .stamps import Stamps

__all__ = [
    "ContrastiveModel",
    "Machine",
    "Recipe",
    "RedshiftModel",
    "StampData",
    "Stamps",
    "adapt",
    "comparison",
    "evaluate",
    "evaluate_model",
    "export_model",
    "export_run",
    "finetune",
    "fit_temperature",
    "fold_temperature",
    "list_recipes",
    "loader",
    "make_encoder",
    "pretrain",
    "write_model_card",
]
