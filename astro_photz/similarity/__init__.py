# Licensed under a 3-clause BSD style license - see LICENSE
"""
Search for similar galaxies, by their embeddings.
"""

from ._folder import IndexFolderError
from .embeddings import Embeddings, read_embeddings
from .exploration import Exploration
from .hats import write_hats
from .index import SimilarityIndex
from .space import SearchSpace

__all__ = [
    "Embeddings",
    "Exploration",
    "IndexFolderError",
    "SearchSpace",
    "SimilarityIndex",
    "read_embeddings",
    "write_hats",
]
