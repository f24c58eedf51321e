# Licensed under a 3-clause BSD style license - see LICENSE
"""
Figures of merit of a representation.

*Alignment* and *uniformity* (Wang & Isola 2020, arXiv 2005.10242) tell whether views of a galaxy lie together, and
galaxies apart. Redshifts of nearest neighbours need no fit: they show what the embedding itself contains.
"""

import math

import numpy as np
import torch

from astro_photz.metrics import sigma_mad

__all__ = ["NEIGHBOURS", "alignment", "knn_redshift", "probe_scatter", "uniformity"]

NEIGHBOURS = 16
"""Neighbours whose mean redshift is taken."""


def alignment(query, key):
    """
    Compute the mean squared distance of the two views of a galaxy.

    Parameters
    ----------
    query, key : `torch.Tensor` (B, D)
        Of length one.

    Returns
    -------
    `torch.Tensor` ()
        0 if views of a galaxy are equal, 2 if they have nothing to do with each other.
    """
    return (query - key).square().sum(dim=1).mean()


def uniformity(embedding, *, t=2.0):
    """
    Compute the logarithm of the mean Gaussian potential between galaxies.

    Parameters
    ----------
    embedding : `torch.Tensor` (B, D)
        Of length one.
    t : float, optional
        Inverse square of the Gaussian's width.

    Returns
    -------
    `torch.Tensor` ()
        0 where all are the same; about -2t if they are spread over a sphere of many dimensions.

    Examples
    --------
    >>> import torch
    >>> from astro_photz.train.tasks.representation import uniformity
    >>> round(float(uniformity(torch.eye(64))), 3)
    -4.0
    """
    return torch.pdist(embedding.float()).square().mul(-t).exp().mean().log()


def knn_redshift(reference, redshift, query, *, k=NEIGHBOURS):
    """
    Estimate redshifts by nearest neighbours: the mean of the k nearest references.

    Each dimension is first brought to mean 0 and scatter 1 over the references, so that none counts for its unit.

    Parameters
    ----------
    reference : `torch.Tensor` (N, D)
        Embeddings of galaxies of known redshift.
    redshift : `torch.Tensor` (N,)
        Theirs.
    query : `torch.Tensor` (M, D)
    k : int, optional
        Number of neighbours.

    Returns
    -------
    `torch.Tensor` (M,)

    Raises
    ------
    ValueError
        If there are fewer than k references.

    Examples
    --------
    >>> import torch
    >>> from astro_photz.train.tasks.representation import knn_redshift
    >>> knn_redshift(torch.arange(5.0)[:, None], torch.arange(5.0) / 10, torch.tensor([[2.1]]), k=3)
    tensor([0.2000])
    """
    if not 1 <= k <= len(reference):
        raise ValueError(f"k must be from 1 to the {len(reference)} references, got {k}")
    mean, scatter = reference.mean(dim=0), reference.std(dim=0)
    scatter = torch.maximum(scatter, 1e-6 * mean.abs() + 1e-12)  # of dimensions that say nothing
    reference, query = (reference - mean) / scatter, (query - mean) / scatter
    nearest = [torch.cdist(part, reference).topk(k, largest=False).indices for part in query.split(1024)]
    return redshift[torch.cat(nearest)].mean(dim=1)


def probe_scatter(embedding, redshift, *, groups=None, seed=0, k=NEIGHBOURS):
    """
    Measure the scatter of nearest-neighbour redshifts; half of the galaxies are the references of the other half.

    Parameters
    ----------
    embedding : `torch.Tensor` (N, D)
    redshift : `torch.Tensor` (N,)
    groups : array_like (N,), optional
        Galaxies with the same number are not independent, such as simulated ones that were drawn from the same real
        one: they are in the same half.
    seed : int, optional
        Of the halves.
    k : int, optional
        See `knn_redshift`.

    Returns
    -------
    float
        sigma_MAD of (z_knn - z) / (1 + z); NaN if an embedding is.
    """
    if not embedding.isfinite().all():  # among which there would be nearest ones nevertheless
        return math.nan
    together = np.arange(len(redshift)) if groups is None else np.unique(groups, return_inverse=True)[1]
    half = np.random.default_rng(seed).permutation(together.max() + 1)[together] % 2
    reference, query = (torch.from_numpy(np.flatnonzero(half == one)).to(embedding.device) for one in (0, 1))
    estimate = knn_redshift(embedding[reference], redshift[reference], embedding[query], k=k)
    deviation = (estimate - redshift[query]) / (1 + redshift[query])
    return sigma_mad(deviation.cpu().numpy())
