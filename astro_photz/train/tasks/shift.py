# Licensed under a 3-clause BSD style license - see LICENSE
"""
Adapt a head to another sample of galaxies by a shift of the embeddings.

What differs between samples, such as a zero-point or the mix of galaxies, moves the embeddings of all galaxies much
alike. So one *shift* of the embedding, before the head, is learnt: as many numbers as the embedding has, where the head
alone has a hundred times more, which a few hundred labels cannot tell. The shift has a Gaussian prior about zero, in
units of each number's scatter over the sample. Cross-validation chooses how wide the prior is, or that there is no
shift at all: a model that fits already stays what it is.

The likelihood is concave in the shift (nearly so for a recalibrated head), so there is one solution,
which a quasi-Newton method finds in a second: there is no learning rate, and there are no epochs.
"""

import copy

import numpy as np
import torch

from astro_photz.train.networks.heads import linear_layer

from .labels import soft_labels

__all__ = ["FEWEST_LABELS", "WIDTHS", "check_enough", "fit_shift"]

WIDTHS = (0.0, 0.03, 0.1, 0.3, 1.0, 3.0)
"""Widths of the prior that are tried, in units of the embedding's scatter; 0 is no shift."""


_FOLDS = 5


FEWEST_LABELS = 20
"""Galaxies that a shift takes at least."""


_LABEL_WIDTH = 0.004


_BEYOND = 2  # errors that a gain must come to: the best of several widths is a little better by chance


def check_enough(n):
    if n < FEWEST_LABELS:
        raise ValueError(f"there must be at least {FEWEST_LABELS} galaxies to learn from, got {n}")


def fit_shift(head, embedding, redshift, *, groups=None, seed=0):
    """
    Adapt a head to a sample by a shift of the embeddings.

    Parameters
    ----------
    head : `torch.nn.Linear` or `~astro_photz.train.networks.heads.CalibratedHead`
        It stays as it is.
    embedding : `torch.Tensor` (N, D)
    redshift : `torch.Tensor` (N,)
    groups : array_like (N,), optional
        Galaxies with the same number are not independent, such as simulated ones that were drawn from the same real
        one: they stay together in the cross-validation.
    seed : int, optional
        Of the parts that the galaxies are shared out to for the cross-validation.

    Returns
    -------
    head : `torch.nn.Module`
        A copy with the shift in it: in its biases.
    report : dict
        ``n``; ``width``, of the prior, 0 for no shift; ``gain``, by how much the logarithm of the likelihood of a
        galaxy's redshift is larger for it than without, and ``gain_err``, both from galaxies that the shift was not
        learnt from. A gain that is not larger than twice its error is none.

    Raises
    ------
    ValueError
        If there are fewer than 20 galaxies.

    Examples
    --------
    A head that reads the redshift off one number, which has an offset of 0.2 in the new sample:

    >>> import torch
    >>> from astro_photz.train.tasks.shift import fit_shift
    >>> from astro_photz.train.networks.heads import Z_EDGES
    >>> centres = torch.tensor((Z_EDGES[1:] + Z_EDGES[:-1]) / 2, dtype=torch.float32)
    >>> head = torch.nn.Linear(1, 180)
    >>> with torch.no_grad():
    ...     head.weight[:], head.bias[:] = 1000 * centres[:, None], -5000 * centres**2
    >>> redshift = torch.linspace(0.1, 0.3, 200)
    >>> embedding = 10 * redshift[:, None] + 0.2
    >>> adapted, report = fit_shift(head, embedding, redshift)
    >>> mean = lambda head: head(embedding).softmax(dim=1) @ centres
    >>> bool((mean(head) - redshift).mean() > 0.019), bool((mean(adapted) - redshift).mean().abs() < 0.001)
    (True, True)
    """
    check_enough(len(embedding))
    labels = soft_labels(redshift, width=_LABEL_WIDTH)
    together = np.arange(len(embedding)) if groups is None else np.unique(groups, return_inverse=True)[1]
    parts = torch.from_numpy(np.random.default_rng(seed).permutation(together.max() + 1)[together] % _FOLDS)
    likelihood = {width: _cross_validated(head, embedding, labels, width, parts) for width in WIDTHS}
    best = max(WIDTHS, key=lambda width: float(likelihood[width].mean()))
    difference = (likelihood[best] - likelihood[0.0]).numpy()
    gain = float(difference.mean())
    error = float(np.linalg.norm(np.bincount(together, difference - gain)) / len(difference))
    if gain <= _BEYOND * error:
        best, gain, error = 0.0, 0.0, 0.0
    report = {"n": len(embedding), "width": best, "gain": round(gain, 5), "gain_err": round(error, 5)}
    return _shifted(head, _shift(head, embedding, labels, best)), report


def _cross_validated(head, embedding, labels, width, parts):
    """Log-likelihood of each galaxy's redshift (N,), with the shift that galaxies of other parts teach."""
    likelihood = torch.empty(len(embedding))
    for part in parts.unique():
        own = parts == part
        shift = _shift(head, embedding[~own], labels[~own], width)
        with torch.no_grad():
            likelihood[own] = _likelihood(head, embedding[own] + shift, labels[own])
    return likelihood


def _likelihood(head, embedding, labels):
    return (labels * head(embedding).log_softmax(dim=1)).sum(dim=1)


def _shift(head, embedding, labels, width):
    """The most probable shift (D,)."""
    scale = width * embedding.std(dim=0)
    unit = torch.zeros(embedding.shape[1], requires_grad=width > 0)
    if width > 0:
        optimizer = torch.optim.LBFGS([unit], max_iter=100, line_search_fn="strong_wolfe")

        def closure():
            optimizer.zero_grad()
            likelihood = _likelihood(head, embedding + scale * unit, labels).sum()
            loss = (unit.square().sum() / 2 - likelihood) / len(embedding)
            loss.backward(inputs=[unit])
            return loss

        optimizer.step(closure)
    return scale * unit.detach()


@torch.no_grad()
def _shifted(head, shift):
    """Copy a head, with the shift folded in."""
    head = copy.deepcopy(head)
    linear = linear_layer(head)
    linear.bias += linear.weight @ shift
    return head
