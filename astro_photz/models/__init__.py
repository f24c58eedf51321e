# Licensed under a 3-clause BSD style license - see LICENSE
"""
Models, which turn images into embeddings and redshift PDFs.
"""

from .card import ModelCard, ModelError
from .model import PhotozModel
from .registry import list_models, load_model, model_directory

__all__ = ["ModelCard", "ModelError", "PhotozModel", "list_models", "load_model", "model_directory"]
