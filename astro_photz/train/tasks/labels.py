# Licensed under a 3-clause BSD style license - see LICENSE
"""
Redshifts as labels of the bins: one bin, or a Gaussian over several.
"""

import torch

from astro_photz.train.networks.heads import Z_EDGES

__all__ = ["hard_labels", "soft_labels"]


def soft_labels(redshift, *, width):
    """
    Spread each redshift over the bins: a Gaussian about it, integrated over the bins.

    Parameters
    ----------
    redshift : `torch.Tensor` (B,)
        A redshift beyond the grid goes into its last bin.
    width : float
        Standard deviation of the Gaussian.

    Returns
    -------
    `torch.Tensor` (B, 180)
        Rows sum to 1.
    """
    edges = torch.as_tensor(Z_EDGES, dtype=redshift.dtype, device=redshift.device)
    redshift = redshift.clamp(max=float(Z_EDGES[-2:].mean()))
    cumulative = torch.special.ndtr((edges - redshift[:, None]) / width)
    labels = cumulative.diff(dim=1)
    return labels / labels.sum(dim=1, keepdim=True)


def hard_labels(redshift):
    """
    Find the bin of each redshift.

    Parameters
    ----------
    redshift : `torch.Tensor` (B,)
        A redshift beyond the grid goes into its last bin.

    Returns
    -------
    `torch.Tensor` (B,) of int
    """
    inner = torch.as_tensor(Z_EDGES[1:-1], dtype=redshift.dtype, device=redshift.device)
    return torch.bucketize(redshift, inner, right=True)
