# Licensed under a 3-clause BSD style license - see LICENSE
"""
torch, or an error that names the extra that brings it; and what of its own it computes slowly.
"""

try:
    import torch
except ImportError as error:
    raise ImportError('simulating needs torch: pip install "astro-photz[simulate]"') from error

__all__ = ["exp_of_minus", "torch"]


def exp_of_minus(values):
    """exp(-values), never so small that processors compute it ten times more slowly; changes its argument."""
    return values.clamp_(max=80).neg_().exp_()
