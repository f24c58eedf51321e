# Licensed under a 3-clause BSD style license - see LICENSE
"""
torch, or an error that names the extra that brings it.
"""

try:
    import torch
except ImportError as error:
    raise ImportError('training needs torch: pip install "astro-photz[train]"') from error

__all__ = ["torch"]
