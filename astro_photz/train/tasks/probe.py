# Licensed under a 3-clause BSD style license - see LICENSE
"""
What an encoder has learnt without labels, looked at from outside while it learns.

A redshift is read off the nearest neighbours of a galaxy among the embeddings: nothing is fitted, so what it finds is
in the embedding. *Alignment* and *uniformity* (Wang & Isola 2020, arXiv 2005.10242) tell whether views of a galaxy lie
together, and galaxies apart; embeddings that have all fallen together are said to have collapsed.
"""

import math
import warnings

import numpy as np

from astro_photz.metrics import sigma_mad
from astro_photz.train._lightning import lightning
from astro_photz.train._torch import torch
from astro_photz.train.data.stamps import Stamps
from astro_photz.train.tensors import central

__all__ = ["RedshiftProbe", "alignment", "embed", "knn_redshift", "probe_scatter", "uniformity"]

_NEIGHBOURS = 16
_COLLAPSED = -0.1  # uniformity: mean squared distances of 0.05 on the unit sphere, where 2 is usual


def alignment(query, key):
    """
    Mean squared distance of the two views of a galaxy.

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
    Logarithm of the mean Gaussian potential between galaxies.

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
    >>> from astro_photz.train.tasks.probe import uniformity
    >>> round(float(uniformity(torch.eye(64))), 3)
    -4.0
    """
    return torch.pdist(embedding.float()).square().mul(-t).exp().mean().log()


def knn_redshift(reference, redshift, query, *, k=_NEIGHBOURS):
    """
    Redshifts by nearest neighbours: the mean of the k nearest references.

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
    >>> from astro_photz.train.tasks.probe import knn_redshift
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


def probe_scatter(embedding, redshift, *, groups=None, seed=0, k=_NEIGHBOURS):
    """
    Scatter of nearest-neighbour redshifts, half of the galaxies being the references of the other half.

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


@torch.no_grad()
def embed(encoder, stamps, rows, *, device="cpu", batch_size=256):
    """
    Embeddings of stamps as they are: without any change, in evaluation mode.

    Parameters
    ----------
    encoder : `torch.nn.Module`
    stamps : `~astro_photz.train.data.stamps.Stamps`
    rows : sequence of int
    device : str or `torch.device`, optional
        Where the encoder is.
    batch_size : int, optional

    Returns
    -------
    `torch.Tensor` (N, D)
    """
    training = encoder.training
    encoder.eval()
    parts = []
    for start in range(0, len(rows), batch_size):
        batch = stamps.__getitems__(rows[start : start + batch_size])
        flux, ebv = central(batch["flux"].to(device).float(), encoder.image_size), batch["ebv"].to(device)
        parts.append(encoder(flux, ebv).float())
    encoder.train(training)
    return torch.cat(parts)


class RedshiftProbe(lightning.Callback):
    """
    Logs how well nearest neighbours know the redshift, before the first epoch and after each; warns of a collapse.

    Parameters
    ----------
    path : str or path-like, optional
        Labelled data set that is not trained on; without one, only the warning is left.
    n : int, optional
        How many of its galaxies are used, at most.
    seed : int, optional
        Which, and which of them are references.

    Raises
    ------
    ValueError
        If there are too few for the neighbours to be sought among half of them.
    """

    def __init__(self, path=None, *, n=6000, seed=0):
        self._seed = seed
        self._stamps = None
        if path is not None:
            self._stamps = Stamps(path, labelled=True)
            if len(self._stamps) < 2 * _NEIGHBOURS:
                raise ValueError(
                    f"validation: {path} must have the {2 * _NEIGHBOURS} labelled galaxies that the redshift probe "
                    f"takes, got {len(self._stamps)}"
                )
            order = np.random.default_rng(seed).permutation(len(self._stamps))
            self._rows = np.sort(order[:n])

    def on_train_start(self, trainer, module):
        """Where random weights are."""
        if self._stamps is not None and trainer.global_step == 0:
            scatter = self._scatter(module)
            for logger in trainer.loggers:
                logger.log_metrics({"probe_sigma_mad": scatter}, step=0)

    def on_train_epoch_end(self, trainer, module):
        """Probe."""
        if self._stamps is not None:
            module.log("probe_sigma_mad", self._scatter(module), prog_bar=True, rank_zero_only=False, sync_dist=False)
        spread = trainer.callback_metrics.get("uniformity")
        if spread is not None and not spread <= _COLLAPSED:
            warnings.warn(
                f"the representation has collapsed: the uniformity is {spread:.3f} after epoch {trainer.current_epoch} "
                "(0: all galaxies look the same); try a lower learning rate or a longer queue",
                UserWarning,
                stacklevel=2,
            )

    def _scatter(self, module):
        embedding = embed(module.encoder, self._stamps, self._rows, device=module.device)
        redshift = torch.as_tensor(self._stamps.redshift[self._rows], device=module.device)
        groups = None if self._stamps.groups is None else self._stamps.groups[self._rows]
        return probe_scatter(embedding, redshift, groups=groups, seed=self._seed)
