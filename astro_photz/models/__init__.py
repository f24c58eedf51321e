# Licensed under a 3-clause BSD style license - see LICENSE
"""
Models, which turn images into embeddings and redshift PDFs.

A `Lineage` tells which galaxies a model was trained and calibrated on.
"""

from .card import ModelCard, ModelError
from .lineage import Lineage, TrainedOnWarning
from .model import PhotozModel
from .registry import list_models, load_model, model_directory
from .training_sets import Overlap, TrainingSet

__all__ = [
    "Lineage",
    "ModelCard",
    "ModelError",
    "Overlap",
    "PhotozModel",
    "TrainedOnWarning",
    "TrainingSet",
    "list_models",
    "load_model",
    "model_directory",
]
