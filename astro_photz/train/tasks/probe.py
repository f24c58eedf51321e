# Licensed under a 3-clause BSD style license - see LICENSE
"""
Watch what an encoder learns without labels, from outside, while it learns.

A probe reads redshifts off the nearest neighbours among the embeddings. It also warns of a *collapse*, where all
embeddings have become the same.
"""

import warnings

import lightning
import numpy as np
import torch

from astro_photz.train.data.stamps import Stamps
from astro_photz.train.networks.embedding import embed

from .representation import NEIGHBOURS, probe_scatter

__all__ = ["RedshiftProbe"]

_COLLAPSED = -0.1  # uniformity: mean squared distances of 0.05 on the unit sphere, where 2 is usual


class RedshiftProbe(lightning.Callback):
    """
    Log the scatter of nearest neighbours' redshifts, before the first epoch and after each; warn of a collapse.

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
            if len(self._stamps) < 2 * NEIGHBOURS:
                raise ValueError(
                    f"validation: {path} must have the {2 * NEIGHBOURS} labelled galaxies that the redshift probe "
                    f"takes, got {len(self._stamps)}"
                )
            order = np.random.default_rng(seed).permutation(len(self._stamps))
            self._rows = np.sort(order[:n])

    def on_train_start(self, trainer, module):
        """Probe the random weights."""
        if self._stamps is not None and trainer.global_step == 0:
            scatter = self._scatter(module)
            for logger in trainer.loggers:
                logger.log_metrics({"probe_sigma_mad": scatter}, step=0)

    def on_train_epoch_end(self, trainer, module):
        """Probe the weights of the epoch."""
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
