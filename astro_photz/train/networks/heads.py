# Licensed under a 3-clause BSD style license - see LICENSE
"""
Heads: from an embedding to scores of the redshift bins.

A head is a linear layer, or one whose PDFs are recalibrated (`CalibratedHead`).
"""

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

__all__ = ["Z_EDGES", "CalibratedHead", "linear_layer"]

Z_EDGES = np.linspace(0.0, 0.4, 181)
"""Edges of the redshift bins."""


_SMALLEST = 1e-20  # probability of a bin, so that its logarithm is finite


class CalibratedHead(nn.Module):
    """
    A head whose PDFs are recalibrated.

    Parameters
    ----------
    head : `torch.nn.Module`
        Takes embeddings (B, D), gives scores (B, K), whose softmax is the PDF.
    levels : array_like (L,)
        G at equal steps of F from 0 to 1, increasing from 0 to 1; see `fit_recalibration`.

    Examples
    --------
    >>> import torch
    >>> from astro_photz.train.networks.heads import CalibratedHead
    >>> head = CalibratedHead(torch.nn.Linear(3, 180), [0.0, 0.6, 1.0])
    >>> pdf = head(torch.zeros(1, 3)).softmax(dim=1)
    >>> round(pdf.sum().item(), 4)
    1.0
    """

    def __init__(self, head, levels):
        super().__init__()
        levels = torch.as_tensor(np.asarray(levels), dtype=torch.float32)
        if levels.ndim != 1 or levels[0] != 0 or levels[-1] != 1 or (levels.diff() < 0).any():
            raise ValueError(f"levels must increase from 0 to 1, got {levels.tolist()}")
        self.head = head
        self.register_buffer("levels", levels)

    def forward(self, embedding):
        """
        Compute the scores of the redshift bins.

        Parameters
        ----------
        embedding : `torch.Tensor` (B, D)

        Returns
        -------
        `torch.Tensor` (B, K)
            Logarithms of the calibrated probabilities.
        """
        return self.recalibrate(self.head(embedding))

    def recalibrate(self, scores):
        """
        Recalibrate scores: their softmax is the recalibrated PDF.

        Parameters
        ----------
        scores : `torch.Tensor` (B, K)

        Returns
        -------
        `torch.Tensor` (B, K)
        """
        p = scores.softmax(dim=1)
        cumulative = p.cumsum(dim=1)
        edges = F.pad((cumulative / cumulative[:, -1:]).clamp(0, 1), (1, 0))
        mapped, piece, slope = self._map(edges)
        # Near 1 there are no digits left for the difference of two cumulative probabilities.
        within_one = piece[:, 1:] == piece[:, :-1]
        return torch.where(within_one, p * slope[:, 1:], mapped.diff(dim=1)).clamp(min=_SMALLEST).log()

    def _map(self, cumulative):
        """Map by G, in straight pieces between its levels; return the pieces and their slopes too."""
        steps = len(self.levels) - 1
        piece = (cumulative * steps).floor().clamp(max=steps - 1).long()
        low, high = self.levels[piece], self.levels[piece + 1]
        return low + (cumulative * steps - piece) * (high - low), piece, (high - low) * steps


def linear_layer(head):
    """
    Find the linear layer inside a head.

    Parameters
    ----------
    head : `torch.nn.Linear` or `CalibratedHead`

    Returns
    -------
    `torch.nn.Linear`
    """
    return head.head if isinstance(head, CalibratedHead) else head
