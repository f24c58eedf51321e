# Licensed under a 3-clause BSD style license - see LICENSE
"""
torch, or an error that names the extra that brings it.
"""

try:
    import torch
except ImportError as error:
    raise ImportError('simulating needs torch: pip install "astro-photz[simulate]"') from error

__all__ = ["torch"]
