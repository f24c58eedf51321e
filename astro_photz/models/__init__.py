# Licensed under a 3-clause BSD style license - see LICENSE
"""
Models: what turns images into embeddings and redshift PDFs.
"""

from .model import ModelError, PhotozModel
from .registry import list_models, load_model, model_directory

__all__ = ["ModelError", "PhotozModel", "list_models", "load_model", "model_directory"]
