# Licensed under a 3-clause BSD style license - see LICENSE
"""
The optimizer of a training and the schedule of its learning rate.

Pretraining and fine-tuning share them, by the same names in a recipe.
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from torch import optim

from astro_photz.utils._settings import check_one_of

__all__ = ["OPTIMIZERS", "SCHEDULES", "Optimizer", "total_steps"]

OPTIMIZERS = ("adamw", "sgd")
"""Names of the optimizers."""

SCHEDULES = ("one_cycle", "cosine", "steps", "constant")
"""Names of the schedules."""

_FIRST = 0.01  # of the learning rate, where the warm-up begins


@dataclass(frozen=True)
class Optimizer:
    """
    An optimizer and its schedule.

    Parameters
    ----------
    name : {"adamw", "sgd"}, optional
    learning_rate : float, optional
        Highest learning rate.
    weight_decay : float, optional
    momentum : float, optional
        Of ``"sgd"``. That of ``"adamw"`` is 0.9, but with ``"one_cycle"`` goes from 0.95 to 0.85 and back.
    schedule : {"one_cycle", "cosine", "steps", "constant"}, optional
        ``"one_cycle"`` rises and falls (Smith & Topin 2017, arXiv 1708.07120), ``"cosine"`` falls to zero,
        ``"steps"`` is divided by ten at each of the ``milestones``.
    warmup : float, optional
        Share of the training over which the learning rate rises to its highest; with ``"one_cycle"``, 0 is 0.15.
    milestones : tuple of float, optional
        Shares of the training, for ``"steps"``.

    Raises
    ------
    ValueError
        If a name is unknown, or a number out of its range.

    Examples
    --------
    >>> import torch
    >>> from astro_photz.train import Optimizer
    >>> made = Optimizer(learning_rate=0.1, schedule="cosine").make([torch.nn.Parameter(torch.zeros(1))], steps=10)
    >>> made["lr_scheduler"]["scheduler"].get_last_lr()
    [0.1]
    """

    name: str = "adamw"
    learning_rate: float = 1e-3
    weight_decay: float = 0.02
    momentum: float = 0.9
    schedule: str = "cosine"
    warmup: float = 0.0
    milestones: tuple[float, ...] = (0.6, 0.9)

    def __post_init__(self):
        check_one_of("name", self.name, OPTIMIZERS)
        check_one_of("schedule", self.schedule, SCHEDULES)
        if not self.learning_rate > 0:
            raise ValueError(f"learning_rate must be above 0, got {self.learning_rate}")
        for what, shares in (("warmup", (self.warmup,)), ("milestones", self.milestones)):
            if not all(0 <= share < 1 for share in shares):
                raise ValueError(f"{what} must be a share of the training, 0 or more and below 1, got {shares}")

    def make(self, parameters: Iterable[Any], *, steps: int) -> dict[str, Any]:
        """
        Make the optimizer, in the form that Lightning takes.

        Parameters
        ----------
        parameters : iterable of `torch.nn.Parameter` or of dict
            Dicts are groups, with a ``scale`` of the learning rate each.
        steps : int
            Steps of the whole training.

        Returns
        -------
        dict
            ``optimizer`` and ``lr_scheduler``.
        """
        optimizer = self._optimizer(self._groups(parameters))
        return {
            "optimizer": optimizer,
            "lr_scheduler": {"scheduler": self._schedule(optimizer, steps), "interval": "step"},
        }

    def _groups(self, parameters):
        groups = [value if isinstance(value, dict) else {"params": [value]} for value in parameters]
        return [{"params": list(g["params"]), "lr": self.learning_rate * g.get("scale", 1.0)} for g in groups]

    def _optimizer(self, groups):
        if self.name == "sgd":
            return optim.SGD(groups, momentum=self.momentum, weight_decay=self.weight_decay)
        return optim.AdamW(groups, weight_decay=self.weight_decay)

    def _schedule(self, optimizer, steps):
        schedule = optim.lr_scheduler
        if self.schedule == "one_cycle":
            highest, rising = [group["lr"] for group in optimizer.param_groups], self.warmup or 0.15
            options = {"pct_start": rising if rising * steps > 1 else 0.0, "cycle_momentum": self.name != "sgd"}
            return schedule.OneCycleLR(optimizer, max_lr=highest, total_steps=steps, **options)
        chained = []
        rising = round(self.warmup * steps)
        if rising > 0:
            chained.append(schedule.LinearLR(optimizer, start_factor=_FIRST, total_iters=rising))
        if self.schedule == "cosine":
            chained.append(schedule.CosineAnnealingLR(optimizer, T_max=steps))
        if self.schedule == "steps":
            milestones = [round(share * steps) for share in self.milestones]
            chained.append(schedule.MultiStepLR(optimizer, milestones=milestones, gamma=0.1))
        return schedule.ChainedScheduler(chained or [schedule.ConstantLR(optimizer, factor=1.0)], optimizer=optimizer)


def total_steps(trainer, data=None):
    """
    Count the steps of a whole training.

    Lightning's own estimate would set up the data before it reads a checkpoint, and lose the place in the epoch.

    Parameters
    ----------
    trainer : `lightning.Trainer`
    data : `~astro_photz.train.data.loader.StampData`, optional
        The data of the training, if it has not begun.

    Returns
    -------
    int
    """
    data = data or trainer.datamodule
    if data is None:
        return int(trainer.estimated_stepping_batches)
    return math.ceil(data.n_batches / trainer.accumulate_grad_batches) * trainer.max_epochs
